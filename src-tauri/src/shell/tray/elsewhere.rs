//! The icon on other systems, by Tauri.

use std::sync::atomic::Ordering;

use tauri::{
    AppHandle, Manager,
    menu::{Menu, MenuItem},
    tray::TrayIconBuilder,
};

use super::{menu_words, tell_missing};
use crate::shell::{Shell, window};

const SHOW: &str = "show";
const QUIT: &str = "quit";

/// Adds the icon.
pub async fn add(tauri: AppHandle) {
    let on_main = tauri.clone();
    let added = tauri.run_on_main_thread(move || match build(&on_main) {
        Ok(()) => on_main.state::<Shell>().has_tray.store(true, Ordering::Release),
        Err(error) => {
            tracing::warn!(%error, "no tray");
            tell_missing(&on_main);
        }
    });
    if let Err(error) = added {
        tracing::warn!(%error, "no tray");
    }
}

fn build(tauri: &AppHandle) -> tauri::Result<()> {
    let words = menu_words(tauri);
    let show = MenuItem::with_id(tauri, SHOW, words.show, true, None::<&str>)?;
    let quit = MenuItem::with_id(tauri, QUIT, words.quit, true, None::<&str>)?;
    let menu = Menu::with_items(tauri, &[&show, &quit])?;
    let mut tray = TrayIconBuilder::with_id("ahoy").menu(&menu).tooltip("Ahoy");
    if let Some(icon) = tauri.default_window_icon() {
        tray = tray.icon(icon.clone());
    }
    tray.on_menu_event(|tauri, event| match event.id().as_ref() {
        SHOW => window::raise(tauri),
        QUIT => tauri.exit(0),
        _ => {}
    })
    .build(tauri)?;
    Ok(())
}
