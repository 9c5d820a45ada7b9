//! What a call wants done, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{LinkCommand, Output};
use crate::{
    event::{CallEvent, Problem, ProblemCode},
    id::{CallId, PeerId},
    message::{Envelope, Payload},
};

/// The outputs of one call that were not polled yet.
#[derive(Debug)]
pub(super) struct Outbox {
    channel: CallId,
    queue: VecDeque<Output>,
    /// The last `seq` used to each peer.
    seqs: BTreeMap<PeerId, u64>,
    /// Problems that were told: once a call each, or a hostile peer could fill the page with them.
    told: BTreeSet<ProblemCode>,
}

impl Outbox {
    pub(super) fn new(channel: CallId) -> Self {
        Self { channel, queue: VecDeque::new(), seqs: BTreeMap::new(), told: BTreeSet::new() }
    }

    pub(super) fn channel(&self) -> &CallId {
        &self.channel
    }

    pub(super) fn send(&mut self, to: &PeerId, payload: Payload) {
        let last = self.seqs.entry(to.clone()).or_default();
        *last += 1;
        let envelope = Envelope::new(self.channel.clone(), *last, payload);
        self.queue.push_back(Output::Send { to: to.clone(), envelope });
    }

    pub(super) fn event(&mut self, event: CallEvent) {
        self.queue.push_back(Output::Event(event));
    }

    pub(super) fn link(&mut self, peer: &PeerId, command: LinkCommand) {
        self.queue.push_back(Output::Link { peer: peer.clone(), command });
    }

    pub(super) fn problem(&mut self, code: ProblemCode, what: impl Into<String>, todo: &str) {
        if self.told.insert(code) {
            self.event(CallEvent::Problem(Problem::new(code, what, todo)));
        }
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }
}
