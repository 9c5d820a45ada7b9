//! The tray: how an Ahoy without a window is seen.

use std::{panic, sync::atomic::Ordering};

use tauri::{
    AppHandle, Manager,
    menu::{Menu, MenuItem},
    tray::TrayIconBuilder,
};

use super::{Shell, window};
use crate::{api::Notice, words::words};

const SHOW: &str = "show";
const QUIT: &str = "quit";

/// Adds the icon, if there is a tray to add it to.
pub async fn add(tauri: AppHandle) {
    if !is_there().await {
        tell_missing(&tauri);
        return;
    }
    let on_main = tauri.clone();
    let added = tauri.run_on_main_thread(move || {
        // The indicator's library is looked for when it is first used, and its absence is a panic.
        let built = panic::catch_unwind(panic::AssertUnwindSafe(|| build(&on_main)));
        match built {
            Ok(Ok(())) => on_main.state::<Shell>().has_tray.store(true, Ordering::Release),
            Ok(Err(error)) => {
                tracing::warn!(%error, "no tray");
                tell_missing(&on_main);
            }
            Err(_) => tell_missing(&on_main),
        }
    });
    if let Err(error) = added {
        tracing::warn!(%error, "no tray");
    }
}

fn build(tauri: &AppHandle) -> tauri::Result<()> {
    let language = tauri.state::<Shell>().app().map(|app| app.settings().language).unwrap_or_default();
    let words = words(language);
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

/// Closing the window quits then. Told at the first start, and not again: some desktops never have a tray. A window that
/// was not to be shown is: there is no other way to it.
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

/// Whether anybody shows status icons (KDE's StatusNotifierItem, which other desktops have taken over).
#[cfg(target_os = "linux")]
async fn is_there() -> bool {
    let ask = async {
        let bus = zbus::Connection::session().await?;
        zbus::fdo::DBusProxy::new(&bus)
            .await?
            .name_has_owner("org.kde.StatusNotifierWatcher".try_into()?)
            .await
            .map_err(zbus::Error::from)
    };
    ask.await.unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
async fn is_there() -> bool {
    true
}
