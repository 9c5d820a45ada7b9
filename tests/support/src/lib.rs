//! Fixtures of the tests: peers as processes and as pages of a browser, the line between them, and what a machine without
//! hardware lacks ([`camera`], [`sound`]).
//!
//! Both ends of a call look the same from here: a [`Peer`](peer::Peer) takes JSON lines and gives JSON lines. An `ahoy-peer`
//! has them on its stdin and stdout ([`native`]), a page in Chromium on a WebSocket ([`browser`]); [`peer::connect`] carries
//! the envelopes of one to the other, which makes a test the signaling server of its call. The whole app without its window ([`bridge`]) finds its
//! peers by itself; its line carries what its page would say.
//!
//! Whatever goes wrong here panics with what the program last said: this code runs in tests alone.
#![deny(missing_docs)]

mod again;
pub mod bridge;
pub mod browser;
pub mod camera;
pub mod content;
pub mod native;
pub mod peer;
pub mod process;
pub mod sound;
