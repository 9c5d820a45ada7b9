//! Fixtures of the tests: peers as processes and as pages of a browser, the line between them, and what a
//! machine without hardware lacks ([`camera`], [`sound`], [`speech`]).
//!
//! Both ends of a call look the same from here: a [`Peer`](peer::Peer) takes JSON lines and gives JSON lines.
//! An `ahoy-peer` has them on its stdin and stdout ([`native`]), and so has a program around another WebRTC
//! ([`program`]). A page in a browser has them on a WebSocket ([`browser`]). [`peer::connect`] carries the
//! envelopes of one to the other, which makes a test the signaling server of its call. The whole app without
//! its window ([`bridge`]) finds its peers by itself; its line carries what its page would say.
//!
//! The app in its window has no such line: an [`App`](app::App) on a [`Desktop`](desktop::Desktop) of the
//! test's own is clicked and typed into ([`webdriver`]). Its window is closed and looked at from outside too
//! ([`windows`], [`eye`]), and what else a desktop has, a test adds ([`services`]).
//!
//! Bad networks between namespaces of the test's own are made by [`net`].
//!
//! Whatever goes wrong here panics with what the program last said: this code runs in tests alone.
#![deny(missing_docs)]

mod again;
pub mod app;
pub mod bridge;
pub mod browser;
pub mod camera;
pub mod content;
pub mod desktop;
pub mod eye;
pub mod firefox;
pub mod native;
pub mod net;
pub mod peer;
pub mod process;
pub mod program;
mod report;
pub mod services;
pub mod sound;
pub mod speech;
pub mod webdriver;
pub mod windows;
