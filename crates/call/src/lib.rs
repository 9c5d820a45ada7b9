//! The call engine: signaling schema, call state, peer links and statistics.
#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod rtp;
