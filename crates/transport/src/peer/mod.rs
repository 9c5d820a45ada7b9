//! One contact: its connections, its presence, and what is under way to it.
//!
//! ```text
//! Command ─────────────┐                       ┌─▶ frames on a link
//! frames of its links ─┼─▶ PeerState ──▶ ──────┼─▶ a new dial
//! end of a dial ───────┘   (pure: no clock)    └─▶ Event, envelope for the engine
//! ```

mod actor;
mod dialing;
mod io;
mod link;
mod state;
#[cfg(test)]
mod state_tests;
mod telling;

use std::net::SocketAddr;

use tokio::sync::oneshot;

pub(crate) use actor::Actor;
pub(crate) use io::Parcel;
pub(crate) use link::{Code, Connected, Down, greet, remote_address};

use crate::{DeliverError, Whereabouts, event::MessageKey};

/// What the task of a peer is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// The peer has dialled us.
    Connected(Box<Connected>),
    /// Something to send.
    Send { parcel: Parcel, done: oneshot::Sender<Result<(), DeliverError>> },
    /// The user of this crate has a message in safe keeping, or has let it fall.
    Received { key: MessageKey, kept: bool },
    /// The peer was seen at these addresses.
    Seen(Vec<SocketAddr>),
    /// The peer is to be looked for there.
    Whereabouts(Whereabouts),
    /// Our own network has changed: what failed may work now.
    NetworkChanged,
    /// A call with the peer begins, or is over.
    InCall(bool),
    /// It is over; the links are closed with this code.
    Stop(Code),
}
