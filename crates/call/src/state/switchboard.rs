//! All calls of this endpoint.

use std::time::Instant;

use super::{CallState, Input, Output};
use crate::{
    id::{CallId, PeerId},
    message::{Envelope, MediaState},
};

/// All calls of this endpoint: routes messages to their call, answers busy, and makes one call of two that cross.
#[derive(Debug, Default)]
pub struct Switchboard {}

/// One call at a time: hang up first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is a call already ({0}): hang up first")]
pub struct AlreadyInCall(pub CallId);

impl Switchboard {
    /// Calls a peer; `media` is what we are going to send. The id is new ([`CallId::random`]).
    ///
    /// # Errors
    /// There is a call already.
    pub fn place(&mut self, _now: Instant, _id: CallId, _to: PeerId, _media: MediaState) -> Result<(), AlreadyInCall> {
        Ok(())
    }

    /// Takes a message from a peer.
    pub fn receive(&mut self, _now: Instant, _from: PeerId, _envelope: Envelope) {}

    /// Takes an input of one call. For a call that is over: ignored.
    pub fn handle(&mut self, _now: Instant, _id: &CallId, _input: Input) {}

    /// Lets time pass in all calls.
    pub fn tick(&mut self, _now: Instant) {}

    /// The next thing to do, and for which call; none when all is done.
    pub fn poll_output(&mut self) -> Option<(CallId, Output)> {
        None
    }

    /// When a tick is due, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// A call that is not over.
    pub fn call(&self, _id: &CallId) -> Option<&CallState> {
        None
    }
}
