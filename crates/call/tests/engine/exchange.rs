//! Messages between any number of peers, in memory: the network of these tests, as far as signaling goes.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ahoy_call::{
    id::{CallId, PeerId},
    message::{Envelope, ParseError, Payload},
    signaler::{Incoming, SignalError, Signaler},
};
use async_trait::async_trait;
use tokio::sync::mpsc;

type Inboxes = Mutex<HashMap<PeerId, mpsc::UnboundedSender<Incoming>>>;
type Forge = Box<dyn Fn(&mut Payload) + Send + Sync>;

/// Knows everybody's inbox.
#[derive(Clone, Default)]
pub struct Exchange(Arc<Post>);

#[derive(Default)]
struct Post {
    inboxes: Inboxes,
    forge: Option<Forge>,
    /// Peers that never acknowledge anything.
    silent: Mutex<HashSet<PeerId>>,
    /// Envelopes to silent peers that are being sent.
    unacknowledged: AtomicUsize,
}

/// One envelope less that is being sent, also where its sender gives up.
struct Unacknowledged<'a>(&'a AtomicUsize);

impl Drop for Unacknowledged<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One peer's way to all others.
pub struct Line {
    me: PeerId,
    exchange: Exchange,
    inbox: tokio::sync::Mutex<mpsc::UnboundedReceiver<Incoming>>,
}

impl Exchange {
    /// One that changes what it carries.
    pub fn forging(forge: impl Fn(&mut Payload) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Post { forge: Some(Box::new(forge)), ..Post::default() }))
    }

    pub fn line(&self, me: &PeerId) -> Line {
        let (to, inbox) = mpsc::unbounded_channel();
        self.0.inboxes.lock().unwrap().insert(me.clone(), to);
        Line { me: me.clone(), exchange: self.clone(), inbox: tokio::sync::Mutex::new(inbox) }
    }

    /// From now on nothing comes through to a peer, and nobody is told.
    pub fn cut_off(&self, peer: &PeerId) {
        self.0.inboxes.lock().unwrap().remove(peer);
    }

    /// From now on a peer acknowledges nothing: who sends to it waits for ever.
    pub fn silence(&self, peer: &PeerId) {
        self.0.silent.lock().unwrap().insert(peer.clone());
    }

    /// How many envelopes to silent peers are being sent.
    pub fn unacknowledged(&self) -> usize {
        self.0.unacknowledged.load(Ordering::SeqCst)
    }

    pub fn deliver(&self, from: &PeerId, to: &PeerId, message: Result<Envelope, ParseError>) {
        if let Some(inbox) = self.0.inboxes.lock().unwrap().get(to) {
            let _ = inbox.send(Incoming { from: from.clone(), message });
        }
    }
}

#[async_trait]
impl Signaler for Line {
    async fn send(&self, to: &PeerId, envelope: &Envelope) -> Result<(), SignalError> {
        if self.exchange.0.silent.lock().unwrap().contains(to) {
            self.exchange.0.unacknowledged.fetch_add(1, Ordering::SeqCst);
            let _under_way = Unacknowledged(&self.exchange.0.unacknowledged);
            std::future::pending().await
        }
        // As on a wire: what does not survive being written and read is not what the other side gets.
        let mut envelope = envelope.clone();
        if let Some(forge) = &self.exchange.0.forge {
            forge(&mut envelope.payload);
        }
        let json = envelope.to_json()?;
        self.exchange.deliver(&self.me, to, Envelope::parse(json.as_bytes()));
        Ok(())
    }

    async fn receive(&self) -> Option<Incoming> {
        self.inbox.lock().await.recv().await
    }
}

/// A peer that is no engine: a test that speaks the messages itself.
pub struct Stranger {
    pub name: PeerId,
    line: Line,
    seq: u64,
}

impl Stranger {
    pub fn on(exchange: &Exchange, name: &str) -> Self {
        let name = PeerId::from(name);
        Self { line: exchange.line(&name), name, seq: 0 }
    }

    pub async fn say(&mut self, to: &PeerId, call: &CallId, payload: Payload) {
        self.seq += 1;
        self.line.send(to, &Envelope::new(call.clone(), self.seq, payload)).await.unwrap();
    }

    /// Whether nothing was said to it since it last listened.
    pub async fn heard_nothing(&self) -> bool {
        self.line.inbox.lock().await.try_recv().is_err()
    }

    /// Waits for a message; others before it are passed over.
    pub async fn hears<T>(&self, what: &str, wanted: impl Fn(&Payload) -> Option<T>) -> T {
        let heard = async {
            loop {
                let envelope = self.line.receive().await.expect("the exchange stands").message.unwrap();
                if let Some(found) = wanted(&envelope.payload) {
                    return found;
                }
            }
        };
        tokio::time::timeout(super::phone::LIMIT, heard).await.unwrap_or_else(|_| panic!("{what} never came"))
    }
}
