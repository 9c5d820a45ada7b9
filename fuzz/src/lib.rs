//! Fuzz targets: everything of Ahoy that reads what somebody else wrote.
//!
//! One list, two ways to run it. The tests run a fixed number of seeded cases of every target, on any
//! compiler (`cargo test --package ahoy-fuzz`). `fuzz/run [TARGET] [SECONDS]` runs libFuzzer on them, guided
//! by coverage and under the address sanitizer, for as long as wanted; what crashes is kept in
//! `target/fuzz/TARGET`.
//!
//! A new target is a function of bytes, some inputs to start from, and a line in [`TARGETS`].
#![deny(missing_docs)]

mod files;
mod links;
pub mod mutate;
mod rtp;
mod signaling;
mod sound;
mod vp8;
mod webm;

use ahoy_media::audio::jitter;

/// Something that takes bytes from outside, and must not panic, hang or grow whatever they are.
pub struct Target {
    /// As it is called on the command line.
    pub name: &'static str,
    /// Reads the bytes. Errors are its own business; a panic is a finding.
    pub run: fn(&[u8]),
    /// Well-formed inputs, from which mutations start.
    pub corpus: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "webm-demux", run: webm::demux, corpus: webm::corpus },
    Target { name: "vp8-header", run: vp8::header, corpus: vp8::frames },
    Target { name: "vp8-decode", run: vp8::decode, corpus: vp8::streams },
    Target { name: "vp8-descriptor", run: rtp::descriptor, corpus: rtp::payloads },
    Target { name: "audio-red", run: rtp::redundant, corpus: rtp::redundant_packets },
    Target { name: "video-receiver", run: rtp::receive, corpus: rtp::streams },
    Target { name: "jitter-buffer", run: jitter::fuzz, corpus: sound::packets },
    Target { name: "signaling", run: signaling::parse, corpus: signaling::corpus },
    Target { name: "session-description", run: signaling::describe, corpus: signaling::descriptions },
    Target { name: "invite-link", run: links::parse, corpus: links::corpus },
    Target { name: "y4m", run: files::y4m, corpus: files::y4m_corpus },
    Target { name: "wav", run: files::wav, corpus: files::wav_corpus },
    Target { name: "mjpeg", run: files::mjpeg, corpus: files::mjpeg_corpus },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
