//! The echo contact: a second peer inside of this process, with an engine, a transport and an identity of its
//! own. It is reached as any other contact is, over the loopback interface; it answers every call and sends
//! back what it receives.

use std::sync::Arc;

use ahoy_call::{
    engine::{Engine, EngineCommand},
    event::CallEvent,
};
use ahoy_media::webm::hub::Hub;
use ahoy_store::EndpointId;
use ahoy_transport::{
    Config, Contact, Lan, Newcomer, Policy, Presence, Redemption, Roster, SecretKey, StartError, Transport, Whereabouts,
};
use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::{choice::MediaChoice, network};

/// What it calls itself; the page has its own words for it.
pub const NAME: &str = "Echo";

/// A running echo contact. It ends when this is dropped.
pub struct Echo {
    transport: Transport,
    /// Each has a handle of its own, without which engine or transport would end.
    tasks: [JoinHandle<()>; 2],
}

impl Echo {
    /// Starts it, with one contact.
    ///
    /// # Errors
    /// No socket.
    pub async fn start(secret_key: SecretKey, only: ahoy_transport::EndpointId) -> Result<Self, StartError> {
        let config = Config {
            secret_key,
            name: Some(NAME.to_owned()),
            presence: Presence::Online,
            relay: None,
            lan: Lan::Off,
            loopback_only: true,
        };
        let contacts = vec![Contact { peer: only, whereabouts: Whereabouts::default() }];
        let roster = Roster { contacts, ..Roster::default() };
        let (transport, mut told) = Transport::start(config, roster, Arc::new(Closed)).await?;
        let (engine, mut events) = Engine::start(MediaChoice::echo(), Arc::new(transport.clone()), Hub::new());
        let answering = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if let CallEvent::Incoming { .. } = event.event {
                    engine.command(EngineCommand::Accept);
                }
            }
        });
        // Whoever does not read is not written to.
        let reading = tokio::spawn(async move { while told.recv().await.is_some() {} });
        Ok(Self { transport, tasks: [answering, reading] })
    }

    /// Its key.
    pub fn id(&self) -> EndpointId {
        network::id_of(self.transport.id())
    }

    /// As a contact of the one who may call it.
    pub fn contact(&self) -> Contact {
        Contact { peer: self.transport.id(), whereabouts: self.transport.whereabouts() }
    }

    /// Closes its sockets.
    pub async fn stop(&self) {
        self.transport.close().await;
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Nobody else gets to know it.
struct Closed;

#[async_trait]
impl Policy for Closed {
    async fn redeem(&self, _: &ahoy_transport::InviteToken, _: &Newcomer) -> Redemption {
        Redemption::Unknown
    }

    async fn request(&self, _: &Newcomer, _: Option<&str>) -> bool {
        false
    }
}
