//! Who one is, whom one can reach, and what is carried between the two: identity, contacts' connections,
//! presence, delivery, invites and contact requests, over QUIC by iroh. It is a
//! [`Signaler`](ahoy_call::signaler::Signaler).
//!
//! One way through the crate for what comes in: the `door` takes a connection and asks the roster who is
//! there; a contact's goes to the task of that peer, whose pure `PeerState` decides what each frame means;
//! its outputs are frames to write, [`Event`]s for the program that shows contacts, and envelopes for the
//! call engine. What goes out takes the same way back. A peer is known by its key alone; addresses and names
//! are hints.
//!
//! The crate keeps nothing on the disk but the key, and asks nobody's servers: no relay unless one is
//! configured, no name service, no port mapping. What must be remembered it tells by events and asks of a
//! [`Policy`].
#![deny(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod backoff;
mod door;
mod error;
mod event;
mod frame;
mod guest;
mod invite;
mod key;
mod limit;
mod local;
mod nearby;
mod peer;
mod policy;
mod presence;
mod roster;
mod seen;
mod text;
mod transport;
mod whereabouts;
mod wire;

pub use error::{DeliverError, InviteError, KeyError, LinkError, RequestError, StartError};
pub use event::{Event, Events, Introduction, Receipt};
pub use invite::{Invite, InviteToken, MAX_LINK_BYTES};
pub use iroh::{EndpointId, RelayUrl, SecretKey};
pub use key::load_or_create_key;
pub use nearby::Lan;
pub use policy::{Newcomer, Policy, Redemption};
pub use presence::Presence;
pub use roster::{Contact, Roster};
pub use text::{MAX_NAME_CHARS, MAX_REQUEST_CHARS};
pub use transport::{Config, Transport};
pub use whereabouts::{MAX_ADDRESSES, Whereabouts};

/// Size limits of what is delivered, from the signaling's: an envelope and a waiting message are at most that
/// large.
pub use ahoy_call::message::MAX_ENVELOPE_BYTES as MAX_MESSAGE_BYTES;
