//! What the whole-system tests are made of: peers as processes and as pages of a browser, and the line between them.
//!
//! Both ends of a call look the same from here: a [`Peer`](peer::Peer) takes JSON lines and gives JSON lines. An `ahoy-peer`
//! has them on its stdin and stdout ([`native`]), a page in Chromium on a WebSocket ([`browser`]); [`peer::connect`] carries
//! the envelopes of one to the other, which makes a test the signaling server of its call.
//!
//! Whatever goes wrong here panics with what the peer last said: this code runs in tests alone.
#![deny(missing_docs)]

pub mod browser;
pub mod content;
pub mod native;
pub mod peer;
pub mod process;
