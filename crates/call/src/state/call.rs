//! One call.

use std::time::Instant;

use super::{CallStatus, Input, Output};
use crate::{
    id::{CallId, PeerId},
    message::MediaState,
};

/// The state of one call: of who takes part, and of what was agreed with each.
#[derive(Debug)]
pub struct CallState {
    id: CallId,
}

impl CallState {
    /// A call to a peer.
    pub fn outgoing(_now: Instant, id: CallId, _to: PeerId, _media: MediaState) -> Self {
        Self { id }
    }

    /// A call from a peer, which is going to send `media`.
    pub fn incoming(_now: Instant, id: CallId, _from: PeerId, _media: MediaState) -> Self {
        Self { id }
    }

    /// The call's id.
    pub fn id(&self) -> &CallId {
        &self.id
    }

    /// Where the call stands.
    pub fn status(&self) -> &CallStatus {
        &CallStatus::Initiating
    }

    /// Takes an input, at its time.
    pub fn handle(&mut self, _now: Instant, _input: Input) {}

    /// The next thing to do; none when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When a tick is due, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
