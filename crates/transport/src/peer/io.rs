//! What goes into the state of a peer, and what comes out.

use std::net::SocketAddr;

use super::{Code, Down};
use crate::{
    DeliverError, Presence, Whereabouts,
    event::MessageKey,
    frame::{Frame, Hello, Status},
};

/// Names a link, among those of one peer.
pub(crate) type LinkId = u64;

/// Names something sent; its number on the wire.
pub(crate) type Ticket = u64;

/// Something to send.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    Envelope(Vec<u8>),
    Message { id: u64, body: Vec<u8> },
}

/// What has happened.
#[derive(Debug)]
pub(crate) enum Input {
    LinkUp { link: LinkId, dialled: bool, remote: Option<SocketAddr>, hello: Hello },
    LinkDown { link: LinkId, why: Down },
    DialFailed(Down),
    Frame { link: LinkId, frame: Frame },
    Throttled,
    Send { ticket: Ticket, parcel: Parcel },
    Received { key: MessageKey, kept: bool },
    Seen(Vec<SocketAddr>),
    Whereabouts(Whereabouts),
    NetworkChanged,
    InCall(bool),
    Status(Status),
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Output {
    Dial(Whereabouts),
    GiveUpDials,
    Write { link: LinkId, frame: Frame },
    Close { link: LinkId, code: Code },
    Settle { ticket: Ticket, result: Result<(), DeliverError> },
    Presence { presence: Presence, name: Option<String> },
    Moved(Whereabouts),
    Envelope(Vec<u8>),
    Message { key: MessageKey, body: Vec<u8> },
    Flooding,
    Refused,
}
