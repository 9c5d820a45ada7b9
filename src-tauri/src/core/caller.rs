//! Whoever makes the calls: the engine, or the page's own WebRTC. One at a time.

use std::{sync::Arc, time::Duration};

use ahoy_call::{
    engine::{Engine, EngineCommand, EngineConfig, Events, PeerStats},
    id::{CallId, PeerId},
    signaler::Signaler,
};
use ahoy_media::webm::hub::Hub;
use ahoy_store::EndpointId;

use super::{Sink, browser::BrowserCalls, choice::MediaChoice};
use crate::api::{CallMode, SignalPayload};

/// After a hang-up the message has to leave, and links and devices close.
pub const FAREWELL_LIMIT: Duration = Duration::from_secs(3);

/// Takes the user's commands; what comes of them are [`Events`].
#[derive(Clone)]
pub enum Caller {
    Native(Engine),
    Browser(BrowserCalls),
}

impl Caller {
    /// Calls by the engine; the echo contact is on this machine.
    pub fn native(choice: &MediaChoice, echo: EndpointId, signaler: Arc<dyn Signaler>, hub: Hub) -> (Self, Events) {
        let config = EngineConfig { same_machine: Some(PeerId::from(echo.to_string())), ..choice.engine() };
        let (engine, events) = Engine::start(config, signaler, hub);
        (Self::Native(engine), events)
    }

    /// Calls by the page, which is told by `sink` what the other side says.
    pub fn browser(signaler: Arc<dyn Signaler>, sink: Sink) -> (Self, Events) {
        let (calls, events) = BrowserCalls::start(signaler, sink);
        (Self::Browser(calls), events)
    }

    pub fn mode(&self) -> CallMode {
        match self {
            Self::Native(_) => CallMode::Native,
            Self::Browser(_) => CallMode::Browser,
        }
    }

    pub fn command(&self, command: EngineCommand) {
        match self {
            Self::Native(engine) => engine.command(command),
            Self::Browser(calls) => calls.command(command),
        }
    }

    /// What the page's WebRTC made, on its way to the other side. False where the engine makes the calls.
    pub fn signal(&self, call: CallId, payload: SignalPayload) -> bool {
        match self {
            Self::Native(_) => false,
            Self::Browser(calls) => {
                calls.signal(call, payload);
                true
            }
        }
    }

    /// What is measured; the page measures its own calls.
    pub async fn stats(&self) -> Option<PeerStats> {
        match self {
            Self::Native(engine) => engine.stats().await.into_iter().next(),
            Self::Browser(_) => None,
        }
    }

    /// Hangs up, and waits until the messages have been handed over.
    pub async fn stop(self) {
        match self {
            Self::Native(engine) => engine.stop().await,
            Self::Browser(calls) => calls.stop().await,
        }
    }
}
