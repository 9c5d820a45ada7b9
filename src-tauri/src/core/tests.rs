//! Tests of the app without its window, with the echo contact and the test devices. Here is their fixture: an
//! app with files of its own, and the events that it sent.

mod calls;
mod people;
mod ringing;
mod start;

use std::{path::Path, time::Duration};

use ahoy_call::{
    engine::EngineEvent,
    event::{CallEvent, Problem, ProblemCode},
    id::{CallId, PeerId},
    message,
};
use ahoy_media::{
    device::audio::TEST_TONE_ID,
    webm::hub::{Chunk, StreamId},
};
use ahoy_store::{NewContact, Whereabouts};
use ahoy_transport::{Contact, Event, SecretKey};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::*;
use crate::{
    api::{Call, CallPhase, DeviceKind, Direction, Outcome, SignalPayload, Unheard},
    settings::PlainFile,
};

/// Over what anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(20);

/// A call that rings here, for tests of what the desktop is told.
pub fn ringing_call(name: &str, mode: CallMode) -> Call {
    Running::new(&CallId::random(), &"p".into(), name.to_owned(), Direction::Incoming, true, mode).call
}

struct Fixture {
    app: Arc<App>,
    events: mpsc::UnboundedReceiver<AppEvent>,
    seen: Vec<AppEvent>,
}

impl Fixture {
    async fn start(folder: &Path) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let sink: Sink = Arc::new(move |event| drop(sender.send(event)));
        let app = App::start(options(folder), sink).await.unwrap();
        Self { app, events, seen: Vec::new() }
    }

    /// An app that calls with the test pattern and the test tone.
    async fn with_test_devices(folder: &Path) -> Self {
        let fixture = Self::start(folder).await;
        let patch = json!({"camera": "pattern", "microphone": "tone", "experimentalCalls": true});
        fixture.app.settings_set(patch.as_object().unwrap().clone()).await.unwrap();
        fixture
    }

    /// Waits for something that the page is told.
    async fn wait<T>(&mut self, what: &str, mut found: impl FnMut(&AppEvent) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("the app has ended");
                let value = found(&event);
                self.seen.push(event);
                if let Some(value) = value {
                    return value;
                }
            }
        };
        match timeout(LIMIT, waiting).await {
            Ok(value) => value,
            Err(_) => panic!("{what} did not come; seen: {:#?}", self.seen),
        }
    }

    async fn phase(&mut self, phase: CallPhase) -> Call {
        self.wait(&format!("{phase:?}"), |event| match event {
            AppEvent::Call { call } if call.phase == phase => Some(call.clone()),
            _ => None,
        })
        .await
    }

    async fn outcomes(&self) -> Vec<(Outcome, Direction)> {
        let history = self.app.history_list(None).await.unwrap();
        history.iter().map(|entry| (entry.outcome, entry.direction)).collect()
    }

    /// Somebody who is a contact and does not exist.
    fn befriend(&self) -> EndpointId {
        let peer = network::id_of(SecretKey::generate().public());
        let contact = NewContact { peer, name: None, own_name: None, whereabouts: Whereabouts::default() };
        self.app.store.add_contact(&contact, now()).unwrap();
        peer
    }

    /// The engine says something.
    async fn engine_says(&self, call: &CallId, event: CallEvent) {
        self.app.on_event(EngineEvent { call: call.clone(), event }).await;
    }

    async fn echo(&self) -> String {
        self.app.overview().await.unwrap().contacts.first().unwrap().id.clone()
    }
}

fn options(folder: &Path) -> Options {
    let profile = Profile::within(folder);
    Options { profile, settings_file: Arc::new(PlainFile), loopback_only: true }
}

async fn refused(folder: &Path) -> Notice {
    match App::start(options(folder), Arc::new(|_| {})).await {
        Ok(_) => panic!("it started"),
        Err(notice) => notice,
    }
}

fn values(value: Value) -> Values {
    value.as_object().unwrap().clone()
}

/// Reads a stream for some pictures, each a cluster.
async fn pictures(hub: &Hub, stream: &str, count: usize) {
    let id = StreamId::new(stream);
    let reading = async {
        let (mut after, mut read) = (None, 0);
        while read < count {
            match hub.read(&id, after).await {
                Ok(Chunk::Media { next, .. }) => (after, read) = (Some(next), read + 1),
                Ok(Chunk::End) => panic!("{stream} ended"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(LIMIT, reading).await.unwrap_or_else(|_| panic!("no pictures in {stream}"));
}
