//! The networks of this machine: its addresses, the way its traffic takes, and when that changes.
//!
//! ```text
//! netlink, clock ─▶ Signal ─▶ Monitor ─▶ Observation ─▶ Snapshot::change_to (pure) ─▶ ICE restart or nothing
//! ```
//!
//! The kernel's messages say only that something has changed. [`Snapshot::take`] then asks what there is now,
//! and [`Snapshot::change_to`] decides whether that matters to a connection. So a burst of messages costs one
//! look, and the decision is a table in a test.

mod address;
mod monitor;
mod signal;
mod snapshot;

pub(crate) use address::{is_offerable, is_usable};
pub(crate) use monitor::{Monitor, Observation};
#[cfg(test)]
pub(crate) use snapshot::Address;
pub use snapshot::Path;
pub(crate) use snapshot::{Change, Snapshot};
