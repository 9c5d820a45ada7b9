//! The state of calls, pure: inputs and time go in, outputs come out. No clock, socket, lock, task or
//! randomness.
//!
//! The contract, as in other sans-IO libraries:
//! 1. Give an input to [`Switchboard`] (or to one [`CallState`]) with the time it happened.
//! 2. Drain [`Switchboard::poll_output`] until it has no more, and carry out each output in order.
//! 3. Sleep until the next input or [`Switchboard::next_deadline`], whichever is first; at the deadline give
//!    a tick.
//!
//! A peer link carries out its commands in order and reports in that order: each `CreateOffer` is answered by
//! one `LocalOffer`, each `AcceptOffer` by one `LocalAnswer`, unless it reports a refusal or a failure
//! instead.

mod allowance;
mod call;
mod candidates;
mod exchange;
mod inbox;
mod io;
pub mod limits;
mod local;
mod negotiation;
mod outbox;
mod participant;
mod remembered;
mod status;
mod switchboard;

pub use crate::network::Path;
pub use call::CallState;
pub use io::{Input, LinkCommand, LinkEvent, Output, Role};
pub use status::{CallError, CallStatus, ParticipantStatus};
pub use switchboard::{AlreadyInCall, Switchboard};
