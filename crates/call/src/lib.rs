//! The call engine: signaling schema, call state, peer links and statistics.
//!
//! One way through the crate for a message: a [`signaler::Signaler`] brings an envelope,
//! [`message::Envelope::parse`] checks it, [`state::Switchboard`] decides what it means, and its outputs are
//! envelopes to send, commands for the peer link, and [`event::CallEvent`]s for the program that shows the call.
//! [`state`] is pure: no clock, socket, lock or task.
//!
//! The crate knows media, but neither a window nor any transport: those are behind `Signaler`.
#![deny(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod engine;
pub mod event;
pub mod id;
pub mod link;
pub mod message;
mod network;
pub mod quality;
pub mod rtp;
pub mod sending;
pub mod signaler;
pub mod state;
pub mod timeline;
