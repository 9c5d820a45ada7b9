//! Order of one peer's messages in one call: repeated ones are dropped, outdated ones are recognised.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::limits::REMEMBERED_MESSAGES;
use crate::message::Envelope;

/// What came from one peer so far.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Digests of the last messages. By content and not by `seq` alone, as there are peers that do not count.
    seen: VecDeque<u64>,
    /// The newest [`crate::message::Payload::MediaState`].
    pub(super) media: Newest,
    /// The newest [`crate::message::Payload::CallHold`].
    pub(super) hold: Newest,
}

impl Inbox {
    /// Whether a message is there for the first time.
    pub(super) fn is_new(&mut self, envelope: &Envelope) -> bool {
        let mut hasher = DefaultHasher::new();
        envelope.hash(&mut hasher);
        let digest = hasher.finish();
        if self.seen.contains(&digest) {
            return false;
        }
        if self.seen.len() == REMEMBERED_MESSAGES {
            self.seen.pop_front();
        }
        self.seen.push_back(digest);
        true
    }
}

/// Place of the newest message of a kind of which only the newest counts.
#[derive(Debug, Default)]
pub(super) struct Newest(u64);

impl Newest {
    /// Whether a message counts: nothing newer of its kind came before.
    pub(super) fn admit(&mut self, seq: u64) -> bool {
        let newest = seq >= self.0;
        self.0 = self.0.max(seq);
        newest
    }
}
