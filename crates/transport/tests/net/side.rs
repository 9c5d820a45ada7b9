//! One user's transport, what it has told so far, and what its user remembers.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use ahoy_call::{
    id::PeerId,
    message::{Envelope, Payload},
    signaler::{Incoming, Signaler},
};
use ahoy_transport::{
    Config, Contact, EndpointId, Event, Events, InviteToken, Lan, Newcomer, Policy, Presence, Redemption, Roster,
    SecretKey, Transport,
};
use async_trait::async_trait;
use tokio::time::{Instant, timeout, timeout_at};

/// What is waited for here takes a second or two, and fifteen where a connection has to be found dead.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The user's store, as far as the transport asks it.
#[derive(Default)]
pub struct Memory {
    /// Invites, and who has used them.
    invites: Mutex<HashMap<InviteToken, Option<EndpointId>>>,
    pub requests: Mutex<Vec<(Newcomer, Option<String>)>>,
}

#[async_trait]
impl Policy for Memory {
    async fn redeem(&self, token: &InviteToken, newcomer: &Newcomer) -> Redemption {
        match self.invites.lock().unwrap().get_mut(token) {
            None => Redemption::Unknown,
            Some(Some(by)) if *by != newcomer.peer => Redemption::Used,
            Some(by) => {
                *by = Some(newcomer.peer);
                Redemption::Accepted
            }
        }
    }

    async fn request(&self, newcomer: &Newcomer, text: Option<&str>) -> bool {
        self.requests.lock().unwrap().push((newcomer.clone(), text.map(str::to_owned)));
        true
    }
}

pub fn config(name: &str) -> Config {
    Config {
        secret_key: SecretKey::generate(),
        name: Some(name.to_owned()),
        presence: Presence::Online,
        relay: None,
        lan: Lan::Off,
        loopback_only: true,
    }
}

pub struct Side {
    pub transport: Transport,
    pub memory: Arc<Memory>,
    pub config: Config,
    events: Events,
    /// All events so far that were passed over.
    pub seen: Vec<Event>,
}

impl Side {
    pub async fn start(name: &str) -> Self {
        Self::with(config(name), Roster::default()).await
    }

    pub async fn with(config: Config, roster: Roster) -> Self {
        let memory = Arc::new(Memory::default());
        let (transport, events) = Transport::start(config.clone(), roster, memory.clone()).await.unwrap();
        Self { transport, memory, config, events, seen: vec![] }
    }

    pub fn id(&self) -> EndpointId {
        self.transport.id()
    }

    pub fn contact(&self) -> Contact {
        Contact { peer: self.id(), whereabouts: self.transport.whereabouts() }
    }

    /// A link that this side accepts once.
    pub fn invite(&self) -> String {
        let token = InviteToken::random();
        self.memory.invites.lock().unwrap().insert(token, None);
        self.transport.invite(token, u64::MAX).to_link()
    }

    /// Waits for an event; others before it are kept aside.
    pub async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            match timeout_at(end, self.events.recv()).await {
                Ok(Some(event)) => {
                    let found = wanted(&event);
                    self.seen.push(event);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Ok(None) => panic!("the transport ended before {what}; seen: {:#?}", self.seen),
                Err(_) => panic!("{what} never came; seen: {:#?}", self.seen),
            }
        }
    }

    pub async fn until_presence(&mut self, of: EndpointId, wanted: Presence) -> Option<String> {
        self.until(&format!("{wanted:?}"), |event| match event {
            Event::Presence { peer, presence, name } if *peer == of && *presence == wanted => Some(name.clone()),
            _ => None,
        })
        .await
    }

    pub async fn until_message(&mut self) -> (EndpointId, u64, Vec<u8>) {
        self.until("a message", |event| match event {
            Event::Message { peer, id, body, .. } => Some((*peer, *id, body.clone())),
            _ => None,
        })
        .await
    }

    /// Takes what has come, without waiting.
    pub fn catch_up(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
    }

    pub async fn send(&self, to: &Side, seq: u64) -> Result<(), ahoy_call::signaler::SignalError> {
        self.transport.send(&to.id().to_string().into(), &envelope(seq)).await
    }

    pub async fn receive(&self) -> Incoming {
        within("an envelope", self.transport.receive()).await.unwrap()
    }

    /// Starts again with the same key, on another port.
    pub async fn restart(self, roster: Roster) -> Self {
        self.transport.close().await;
        Self::with(self.config, roster).await
    }
}

/// Two that are contacts, and know it of each other.
pub async fn pair() -> (Side, Side) {
    let (mut anna, mut ben) = (Side::start("Anna").await, Side::start("Ben").await);
    befriend(&mut anna, &mut ben).await;
    (anna, ben)
}

pub async fn befriend(anna: &mut Side, ben: &mut Side) {
    anna.transport.add_contact(ben.contact());
    ben.transport.add_contact(anna.contact());
    anna.until_presence(ben.id(), Presence::Online).await;
    ben.until_presence(anna.id(), Presence::Online).await;
}

pub fn envelope(seq: u64) -> Envelope {
    Envelope::new("c".parse().unwrap(), seq, Payload::CallAck)
}

pub fn seq(incoming: &Incoming) -> u64 {
    incoming.message.as_ref().unwrap().seq
}

pub fn name(side: &Side) -> PeerId {
    side.id().to_string().into()
}

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} never came"),
    }
}

/// For assertions on lists of events.
pub fn count<T: Debug>(events: &[T], wanted: impl Fn(&T) -> bool) -> usize {
    events.iter().filter(|event| wanted(event)).count()
}
