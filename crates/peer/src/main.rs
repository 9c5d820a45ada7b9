//! `ahoy-peer`: the engine without a window, for tests, benchmarks, scripts and servers.
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod clock;
mod demo;
mod devices;
mod latency;
mod media_watch;
mod options;
mod output;
mod process;
mod session;
mod stats;
mod stdio;
mod stdout;

use std::process::ExitCode;

use clap::Parser;

/// What is logged unless `RUST_LOG` says otherwise. The WebRTC crates warn of each step of a normal
/// connection.
const QUIET: &str = "warn,rtc=error,rtc_ice=error,rtc_dtls=error,rtc_turn=error,webrtc=error";

fn main() -> ExitCode {
    ahoy_media::memory::give_back();
    let options = options::Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| QUIET.into()))
        .with_writer(std::io::stderr)
        .init();
    options.run().into()
}
