//! Sends envelopes: each peer has a bounded queue and a task of its own, so a peer that never acknowledges
//! holds up nobody else.
//!
//! A task runs while its queue holds something. With a transport that keeps the order by itself
//! ([`Signaler::keeps_order`]) several envelopes are under way at once; with any other the next one waits for
//! the one before it.

mod queue;

use std::{
    collections::{HashMap, HashSet},
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use self::queue::{Outcome, SendQueue, Ticket};
use crate::{
    id::{CallId, PeerId},
    message::Envelope,
    signaler::{SignalError, Signaler},
};

/// Peers that envelopes wait for at one time. People have fewer contacts that call them at once; a task takes
/// some hundred bytes, its queue at most [`queue::MAX_MESSAGES`] envelopes.
const MAX_PEERS: usize = 256;

/// Envelopes under way to one peer at once: a description and the candidates right behind it.
const WINDOW: usize = 8;

/// A transport that has said nothing for so long never will. Ahoy's own gives up after ten seconds.
const TRY_LIMIT: Duration = Duration::from_secs(15);

/// An envelope could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// The call of the envelope.
    pub call: CallId,
    /// The peer that the envelope was for.
    pub to: PeerId,
    /// The cause, in words.
    pub error: String,
}

type Report = Arc<dyn Fn(SendFailure) + Send + Sync>;

/// Sends the envelopes of one endpoint. What waits is lost when this is dropped; see [`Self::finish`].
pub struct EnvelopeSender {
    signaler: Arc<dyn Signaler>,
    report: Report,
    peers: HashMap<PeerId, Arc<PeerQueue>>,
    tasks: JoinSet<()>,
    in_call: HashSet<PeerId>,
    try_limit: Duration,
}

/// The queue of one peer, shared with its task.
#[derive(Default)]
struct PeerQueue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    queue: SendQueue,
    /// The peer has a task.
    served: bool,
    /// What fails is not tried again.
    finishing: bool,
}

impl EnvelopeSender {
    /// Sends by `signaler`. `report` is called from any task, for each try that failed and each envelope that
    /// there was no room for.
    pub fn new(signaler: Arc<dyn Signaler>, report: impl Fn(SendFailure) + Send + Sync + 'static) -> Self {
        Self {
            signaler,
            report: Arc::new(report),
            peers: HashMap::new(),
            tasks: JoinSet::new(),
            in_call: HashSet::new(),
            try_limit: TRY_LIMIT,
        }
    }

    /// Queues an envelope. Needs a tokio runtime.
    pub fn send(&mut self, to: PeerId, envelope: Envelope) {
        while self.tasks.try_join_next().is_some() {}
        let fail = |envelope: &Envelope, error: &str| {
            (self.report)(SendFailure { call: envelope.channel.clone(), to: to.clone(), error: error.to_owned() });
        };
        if !self.peers.contains_key(&to) {
            self.peers.retain(|_, peer| peer.lock().served);
            if self.peers.len() >= MAX_PEERS {
                return fail(&envelope, "messages to too many others are waiting");
            }
        }
        let peer = self.peers.entry(to.clone()).or_default();
        let begins = {
            let mut state = peer.lock();
            if state.queue.push(envelope.clone()).is_err() {
                drop(state);
                return fail(&envelope, "too many messages are waiting for the other side");
            }
            !std::mem::replace(&mut state.served, true)
        };
        if begins {
            let task = Task {
                signaler: Arc::clone(&self.signaler),
                report: Arc::clone(&self.report),
                peer: Arc::clone(peer),
                to,
                try_limit: self.try_limit,
            };
            self.tasks.spawn(task.run());
        } else {
            peer.changed.notify_one();
        }
    }

    /// The call is over: only its hang-up is still to be sent.
    pub fn end_call(&mut self, call: &CallId) {
        for peer in self.peers.values() {
            peer.lock().queue.end_call(call);
            peer.changed.notify_one();
        }
    }

    /// Tells the transport with whom there is a call now.
    pub fn set_in_call<'a>(&mut self, peers: impl Iterator<Item = &'a PeerId>) {
        let now: HashSet<PeerId> = peers.cloned().collect();
        for peer in self.in_call.symmetric_difference(&now) {
            self.signaler.set_in_call(peer, now.contains(peer));
        }
        self.in_call = now;
    }

    /// Hands over what is queued, to all peers beside each other, within `limit`. What a peer has not
    /// acknowledged by then is given up.
    pub async fn finish(mut self, limit: Duration) {
        self.set_in_call(std::iter::empty());
        for peer in self.peers.values() {
            let mut state = peer.lock();
            state.finishing = true;
            state.queue.wake();
            drop(state);
            peer.changed.notify_one();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            tracing::debug!(peers = self.tasks.len(), "messages were not taken in time");
            self.tasks.shutdown().await;
        }
    }
}

impl Drop for EnvelopeSender {
    fn drop(&mut self) {
        self.set_in_call(std::iter::empty());
    }
}

impl PeerQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the envelopes of one peer.
struct Task {
    signaler: Arc<dyn Signaler>,
    report: Report,
    peer: Arc<PeerQueue>,
    to: PeerId,
    try_limit: Duration,
}

/// A try to send.
struct Try {
    ticket: Ticket,
    call: CallId,
    result: Pin<Box<dyn Future<Output = Result<(), SignalError>> + Send>>,
}

impl Task {
    async fn run(self) {
        let window = if self.signaler.keeps_order() { WINDOW } else { 1 };
        let mut under_way: Vec<Try> = Vec::new();
        loop {
            let due = {
                let mut state = self.peer.lock();
                // A hang-up does not wait for what it makes pointless.
                under_way.retain(|one| state.queue.has(one.ticket));
                let now = Instant::now();
                while under_way.len() < window
                    && let Some((ticket, envelope)) = state.queue.next(now)
                {
                    under_way.push(self.begin(ticket, envelope));
                }
                if state.queue.is_empty() {
                    state.served = false;
                    return;
                }
                state.queue.next_due().filter(|_| under_way.len() < window)
            };
            tokio::select! {
                (one, result) = first_settled(&mut under_way), if !under_way.is_empty() => self.settle(one, result),
                () = self.peer.changed.notified() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {}
            }
        }
    }

    fn begin(&self, ticket: Ticket, envelope: Envelope) -> Try {
        let (signaler, to, call) = (Arc::clone(&self.signaler), self.to.clone(), envelope.channel.clone());
        let limit = self.try_limit;
        let result = Box::pin(async move {
            let late = |_| Err(SignalError::Unreachable { peer: to.clone(), why: "no acknowledgement".to_owned() });
            timeout(limit, signaler.send(&to, &envelope)).await.unwrap_or_else(late)
        });
        Try { ticket, call, result }
    }

    fn settle(&self, Try { ticket, call, .. }: Try, result: Result<(), SignalError>) {
        let outcome = match &result {
            Ok(()) => Outcome::Sent,
            Err(SignalError::TooLarge(_)) => Outcome::Impossible,
            Err(SignalError::Unreachable { .. }) => Outcome::Failed,
        };
        {
            let mut state = self.peer.lock();
            let is_last = state.finishing;
            state.queue.settle(Instant::now(), ticket, outcome, is_last);
        }
        if let Err(error) = result {
            (self.report)(SendFailure { call, to: self.to.clone(), error: error.to_string() });
        }
    }
}

/// Waits for the first try to end, and takes it out. Tries are polled in their order, so they begin in their
/// order.
async fn first_settled(under_way: &mut Vec<Try>) -> (Try, Result<(), SignalError>) {
    let (at, result) = poll_fn(|context| {
        for (at, one) in under_way.iter_mut().enumerate() {
            if let Poll::Ready(result) = one.result.as_mut().poll(context) {
                return Poll::Ready((at, result));
            }
        }
        Poll::Pending
    })
    .await;
    (under_way.remove(at), result)
}

#[cfg(test)]
mod tests;
