//! The tray: how an Ahoy without a window is seen.

use std::{panic, sync::atomic::Ordering, time::Duration};

use tauri::{
    AppHandle, Manager,
    menu::{Menu, MenuItem},
    tray::TrayIconBuilder,
};
use tokio::time::timeout;

#[cfg(target_os = "linux")]
use super::item;
use super::{Shell, window};
use crate::{api::Notice, words::words};

const SHOW: &str = "show";
const QUIT: &str = "quit";
/// At the start of a session programs come up in any order, the panel after us perhaps.
const PANEL_LIMIT: Duration = Duration::from_secs(10);

/// Adds the icon as soon as there is a tray to add it to.
pub async fn add(tauri: AppHandle) {
    if timeout(PANEL_LIMIT, tray()).await != Ok(true) {
        tell_missing(&tauri);
        // A panel that was restarted or came late is as good.
        if !tray().await {
            return;
        }
    }
    let on_main = tauri.clone();
    let added = tauri.run_on_main_thread(move || {
        // The indicator's library is looked for when it is first used, and its absence is a panic.
        let built = panic::catch_unwind(panic::AssertUnwindSafe(|| build(&on_main)));
        match built {
            Ok(Ok(())) => drop(tauri::async_runtime::spawn(confirm(on_main))),
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

/// From when the tray has the icon, closing the window leaves it there.
async fn confirm(tauri: AppHandle) {
    if shown().await {
        tauri.state::<Shell>().has_tray.store(true, Ordering::Release);
    } else {
        tell_missing(&tauri);
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

/// Waits for somebody who shows status icons (KDE's StatusNotifierItem, which other desktops have taken over). False where
/// there is nobody to ask.
#[cfg(target_os = "linux")]
async fn tray() -> bool {
    let Ok(bus) = zbus::Connection::session().await else { return false };
    owned(&bus, "org.kde.StatusNotifierWatcher").await.is_ok()
}

#[cfg(not(target_os = "linux"))]
async fn tray() -> bool {
    true
}

/// Waits until the tray has our icon.
#[cfg(target_os = "linux")]
async fn shown() -> bool {
    use gtk::gio;

    let Ok(Ok(library)) =
        tokio::task::spawn_blocking(|| gio::bus_get_sync(gio::BusType::Session, gio::Cancellable::NONE)).await
    else {
        return false;
    };
    let (Some(owner), Ok(bus)) = (library.unique_name(), zbus::Connection::session().await) else { return false };
    let register = async move || tokio::task::spawn_blocking(move || item::register(&library)).await.unwrap_or(false);
    item::until_shown(&bus, &owner, register).await
}

#[cfg(not(target_os = "linux"))]
async fn shown() -> bool {
    true
}

/// Returns when the name belongs to somebody.
#[cfg(target_os = "linux")]
async fn owned(bus: &zbus::Connection, name: &'static str) -> zbus::Result<()> {
    use futures_util::StreamExt;

    let names = zbus::fdo::DBusProxy::new(bus).await?;
    // Listening before asking: it may come in between.
    let mut changes = names.receive_name_owner_changed_with_args(&[(0, name)]).await?;
    if names.name_has_owner(name.try_into()?).await? {
        return Ok(());
    }
    while let Some(change) = changes.next().await {
        if change.args()?.new_owner().is_some() {
            return Ok(());
        }
    }
    Err(zbus::Error::Failure("the bus has ended".to_owned()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{super::testing::Bus, *};

    #[tokio::test]
    async fn a_panel_that_comes_late_is_found() {
        const NAME: &str = "org.kde.StatusNotifierWatcher";
        let bus = Bus::start();
        let ours = bus.connect().await;
        let waiting = tokio::spawn(async move { owned(&ours, NAME).await });
        let others = bus.connect().await;
        assert!(timeout(Duration::from_millis(100), async { owned(&others, NAME).await }).await.is_err());
        others.request_name(NAME).await.unwrap();
        timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap();
        timeout(Duration::from_secs(20), owned(&others, NAME)).await.unwrap().unwrap();
    }
}
