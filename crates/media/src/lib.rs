//! Devices, codecs, audio processing, WebM and playout of Ahoy.
//!
//! Video: a camera thread writes into a latest-frame [`video::slot`]; the encoder thread takes frames from
//! it, encodes VP8 once for all peers and hands [`video::EncodedFrame`]s to a sink. Received frames go into a
//! [`webm::hub`] stream, from which the page (or a file) reads WebM.
//!
//! Sound: a microphone callback fills a ring; the send thread cuts 10 ms frames, processes them (echo, noise,
//! gain), encodes Opus and hands packets to a sink. Received packets go through an adaptive jitter buffer
//! into one mixer and one speaker source; the mixer's output is the echo canceller's reference.
//!
//! This crate never opens a socket, and knows neither calls nor peers.
#![deny(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod advice;
pub mod audio;
pub mod device;
pub mod memory;
mod pipe;
pub mod units;
pub mod video;
pub mod webm;
