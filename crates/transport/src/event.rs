//! What the transport tells.

use iroh::EndpointId;
use tokio::sync::mpsc;

use crate::{Newcomer, Presence, Whereabouts, peer::Command};

/// Events that wait for a reader. When it is behind by more, contacts are read from more slowly; nothing is
/// lost.
pub(crate) const EVENTS_WAITING: usize = 256;

/// The events, in order for each peer. Ends when the transport was closed and its last clone dropped.
pub type Events = mpsc::Receiver<Event>;

/// Something happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// What is known of a contact's presence has changed. Until the first one a contact is offline.
    Presence {
        /// Who.
        peer: EndpointId,
        /// What it says of itself, or offline.
        presence: Presence,
        /// What it calls itself: one line of at most [`crate::MAX_NAME_CHARS`] characters. None before it has
        /// said.
        name: Option<String>,
    },
    /// A contact can be looked for elsewhere from now on: to be remembered for the next start.
    Whereabouts {
        /// Who.
        peer: EndpointId,
        /// Where, all of it.
        whereabouts: Whereabouts,
    },
    /// Somebody has become a contact, without having been added by this side.
    Introduced {
        /// Who.
        newcomer: Newcomer,
        /// By what.
        by: Introduction,
    },
    /// A message that somebody's outbox kept. It comes again until its receipt has been confirmed.
    Message {
        /// From whom.
        peer: EndpointId,
        /// The sender's number for it. The same number with the same bytes is the same message.
        id: u64,
        /// The message, at most [`crate::MAX_MESSAGE_BYTES`].
        body: Vec<u8>,
        /// To confirm that it is in safe keeping here.
        receipt: Receipt,
    },
    /// A contact sends more than anybody needs to, and is read from slowly. Told once for each flood.
    Flooding {
        /// Who.
        peer: EndpointId,
    },
    /// A contact does not have this side as a contact (any more). Told once, until it has.
    Refused {
        /// Who.
        peer: EndpointId,
    },
    /// Somebody on this network shows itself, or has changed its name. It may be a contact; it is never this
    /// side.
    Nearby {
        /// Who.
        peer: EndpointId,
        /// What it calls itself; nobody has checked that the key is its own.
        name: Option<String>,
    },
    /// Somebody on this network is not seen any more.
    NearbyGone {
        /// Who.
        peer: EndpointId,
    },
}

/// How somebody became a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// Used an invite of this side; [`crate::Policy::redeem`] has remembered it.
    Invite,
    /// Has accepted a contact request of this side: to be remembered.
    AcceptedRequest,
}

/// To confirm a message with. Dropped without, the message is not acknowledged, and comes again.
#[derive(Debug)]
pub struct Receipt {
    pub(crate) key: MessageKey,
    /// Taken by the confirmation.
    pub(crate) to: Option<mpsc::UnboundedSender<Command>>,
}

/// A message as it is told from others: the sender's number, and a hash of its content. A sender whose outbox
/// was lost counts from the beginning again, and its new messages must not pass for old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MessageKey {
    pub(crate) id: u64,
    pub(crate) hash: u64,
}

impl Receipt {
    /// Tells the sender that the message is in safe keeping: it will not send it again.
    pub fn confirm(mut self) {
        self.tell(true);
    }

    fn tell(&mut self, kept: bool) {
        if let Some(to) = self.to.take() {
            // A peer that is no contact any more needs no answer.
            let _ = to.send(Command::Received { key: self.key, kept });
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.tell(false);
    }
}
