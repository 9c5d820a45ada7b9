//! What Ahoy remembers: contacts, contact requests, invites, blocked keys, call history and the outbox, in
//! one SQLite file a profile.
//!
//! One way through the crate: text and keys from outside become types ([`DisplayName`], [`EndpointId`], …), a
//! method of [`Store`] takes them into one transaction, and returns when the disk has it. So what was
//! answered with `Ok` is still there after a kill or a power cut; what was not is there wholly or not at all.
//!
//! Every method blocks for as long as the disk takes: call it from a blocking thread, never from an async
//! task. Times are given by the caller. The crate knows no calls, no transport and no window; it opens no
//! socket and reads no clock.
#![deny(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod blocked;
mod contacts;
mod error;
mod history;
mod id;
mod invites;
mod lock;
mod open;
mod outbox;
mod recover;
mod requests;
mod schema;
mod store;
#[cfg(test)]
mod testing;
mod text;
mod time;
mod whereabouts;

pub use blocked::Blocked;
pub use contacts::{Contact, NewContact};
pub use error::StoreError;
pub use history::{CallRecord, CallRecordId, Direction, EndReason, MAX_CALLS_PER_PAGE, Media, NewCall};
pub use id::{EndpointId, EndpointIdError};
pub use invites::{Invite, InviteToken, InviteTokenError, MAX_INVITES, Redemption};
pub use outbox::{Expired, MAX_MESSAGE_BYTES, MAX_WAITING_PER_PEER, Message, MessageId};
pub use recover::{Recovered, Rescued};
pub use requests::{MAX_ASKED, MAX_REQUESTS, NewRequest, Request, RequestOutcome};
pub use store::Store;
pub use text::{DisplayName, RequestText};
pub use time::UnixMs;
pub use whereabouts::{Addresses, RelayUrl, RelayUrlError, Whereabouts};
