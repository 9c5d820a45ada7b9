//! Ahoy, the desktop app: a window over the call engine, the store and the transport.
//!
//! [`core`] is the app without a window: commands come in as methods, events go out by one sink. [`shell`]
//! puts a Tauri window around it: commands of a few lines, the `media://` protocol, notifications, the tray.
//! [`api`] is all that window and page say to each other. [`settings`] is what the user has set. Pictures
//! never pass through events: the page reads them from the engine's hub by `media://`, or `painter` does
//! where no graphics card paints the window.
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod api;
#[cfg(feature = "test-bridge")]
mod bridge;
mod cli;
mod core;
mod media;
#[cfg(target_os = "linux")]
mod painter;
mod profile;
mod settings;
mod shell;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    let options = cli::read();
    #[cfg(feature = "test-bridge")]
    if let Some(folder) = &options.bridge {
        return bridge::run(&options.profile, folder, options.loopback_only);
    }
    shell::run(options)
}
