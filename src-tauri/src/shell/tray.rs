//! The tray: how an Ahoy without a window is seen.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod status_notifier;

use tauri::{AppHandle, Manager};

#[cfg(not(target_os = "linux"))]
pub use elsewhere::add;
#[cfg(target_os = "linux")]
pub use status_notifier::add;

use super::{Shell, window};
use crate::{
    api::Notice,
    words::{Words, words},
};

/// The menu's texts, in the language that is set now.
fn menu_words(tauri: &AppHandle) -> &'static Words {
    words(tauri.state::<Shell>().app().map(|app| app.settings().language).unwrap_or_default())
}

/// Closing the window quits then. Told at the first start, and not again: some desktops never have a tray. A
/// window that was not to be shown is: there is no other way to it.
fn tell_missing(tauri: &AppHandle) {
    tracing::info!("there is no tray");
    window::show_quietly(tauri);
    let shell = tauri.state::<Shell>();
    let Ok(app) = shell.app() else { return };
    if !app.settings().first_run_done {
        app.notice(Notice::new(
            "no-tray",
            "This desktop has no tray, so closing the window quits Ahoy.",
            "Minimise the window to go on being reachable.",
        ));
    }
}
