//! The icon as Linux desktops have it: KDE's StatusNotifierItem on the session bus, which the others have
//! taken over, and its menu by com.canonical.dbusmenu.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use ksni::{Category, Icon, MenuItem, OfflineReason, ToolTip, Tray, TrayMethods, menu::StandardItem};
use tauri::{AppHandle, Manager, image::Image, include_image};
use tokio::time::{sleep, timeout};
use zbus::{Connection, fdo::DBusProxy};

use super::{menu_words, tell_missing};
use crate::shell::{Shell, window};

const WATCHER: &str = "org.kde.StatusNotifierWatcher";
/// At the start of a session programs come up in any order, the panel after us perhaps.
const PANEL_LIMIT: Duration = Duration::from_secs(10);
/// A tray that has not taken the icon by then never will.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// What panels show, from small ones to large ones on fine screens: a desktop takes the nearest and scales
/// that.
const ICONS: [Image<'_>; 4] = [
    include_image!("../icons/22x22.png"),
    include_image!("../icons/32x32.png"),
    include_image!("../icons/48x48.png"),
    include_image!("../icons/64x64.png"),
];

/// Adds the icon as soon as there is a tray to add it to, and again to each that comes later.
pub async fn add(tauri: AppHandle) {
    let Ok(bus) = Connection::session().await else { return tell_missing(&tauri) };
    if !matches!(timeout(PANEL_LIMIT, owned(&bus, WATCHER)).await, Ok(Ok(()))) {
        tell_missing(&tauri);
        // A panel that was restarted or came late is as good.
        if owned(&bus, WATCHER).await.is_err() {
            return;
        }
    }
    let gone = Arc::<AtomicBool>::default();
    let item = Item { tauri: tauri.clone(), gone: Arc::clone(&gone) };
    // A name of one's own on the bus is what the standard wants; a Flatpak may not have one, and trays take
    // the connection's.
    let added = item.disable_dbus_name(true).assume_sni_available(true).spawn();
    match timeout(ANSWER_LIMIT, added).await {
        Ok(Ok(handle)) => {
            set_shown(&tauri, !gone.load(Ordering::Acquire));
            // Without it the icon's task ends in a panic when the bus does.
            let _handle = handle;
            future::pending::<()>().await;
        }
        Ok(Err(error)) => tracing::warn!(%error, "no tray"),
        Err(_) => tracing::warn!("the tray does not answer"),
    }
    tell_missing(&tauri);
}

/// While a tray has the icon, closing the window leaves it there.
fn set_shown(tauri: &AppHandle, shown: bool) {
    tauri.state::<Shell>().has_tray.store(shown, Ordering::Release);
}

/// What the bus has of the icon. A tray that takes the place of another in one step is believed to take the
/// icon too.
struct Item {
    tauri: AppHandle,
    /// There is no tray now.
    gone: Arc<AtomicBool>,
}

impl Tray for Item {
    fn id(&self) -> String {
        "ahoy".to_owned()
    }

    fn category(&self) -> Category {
        Category::Communications
    }

    fn title(&self) -> String {
        "Ahoy".to_owned()
    }

    fn tool_tip(&self) -> ToolTip {
        ToolTip { title: self.title(), ..ToolTip::default() }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        ICONS.iter().map(pixmap).collect()
    }

    fn activate(&mut self, _: i32, _: i32) {
        window::raise(&self.tauri);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let words = menu_words(&self.tauri);
        let item = |label: &str, activate: fn(&mut Self)| {
            StandardItem { label: label.to_owned(), activate: Box::new(activate), ..StandardItem::default() }.into()
        };
        vec![item(words.show, |item| window::raise(&item.tauri)), item(words.quit, |item| item.tauri.exit(0))]
    }

    /// That this is here has the menu made anew each time: the language may have changed.
    fn menu_about_to_show(&mut self) {}

    fn watcher_online(&self) {
        tracing::info!("the tray is back");
        self.gone.store(false, Ordering::Release);
        set_shown(&self.tauri, true);
    }

    fn watcher_offline(&self, reason: OfflineReason) -> bool {
        tracing::info!(?reason, "the tray has gone");
        self.gone.store(true, Ordering::Release);
        set_shown(&self.tauri, false);
        let (tauri, gone) = (self.tauri.clone(), Arc::clone(&self.gone));
        tauri::async_runtime::spawn(async move {
            // A panel that is started anew is back by then, and no window in the user's way.
            sleep(PANEL_LIMIT).await;
            if gone.load(Ordering::Acquire) {
                tell_missing(&tauri);
            }
        });
        true
    }
}

/// Pixels as the bus has them: alpha, red, green, blue.
fn pixmap(image: &Image<'_>) -> Icon {
    let (pixels, _) = image.rgba().as_chunks();
    let data = pixels.iter().flat_map(|&[red, green, blue, alpha]| [alpha, red, green, blue]).collect();
    Icon { width: image.width().cast_signed(), height: image.height().cast_signed(), data }
}

/// Returns when the name belongs to somebody.
async fn owned(bus: &Connection, name: &'static str) -> zbus::Result<()> {
    let names = DBusProxy::new(bus).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::testing::Bus;

    #[tokio::test]
    async fn a_panel_that_comes_late_is_found() {
        let bus = Bus::start();
        let ours = bus.connect().await;
        let waiting = tokio::spawn(async move { owned(&ours, WATCHER).await });
        let others = bus.connect().await;
        assert!(timeout(Duration::from_millis(100), async { owned(&others, WATCHER).await }).await.is_err());
        others.request_name(WATCHER).await.unwrap();
        timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap();
        timeout(Duration::from_secs(20), owned(&others, WATCHER)).await.unwrap().unwrap();
    }

    #[test]
    fn icons_are_whole_and_have_their_alpha_first() {
        for image in &ICONS {
            let icon = pixmap(image);
            assert_eq!(icon.data.len(), (icon.width * icon.height * 4) as usize);
            let middle = icon.data.len() / 2 + icon.width as usize * 2;
            assert_eq!(
                icon.data[middle..][..4],
                [255, image.rgba()[middle], image.rgba()[middle + 1], image.rgba()[middle + 2]]
            );
            assert_eq!(icon.data[0], 0, "the corner is clear");
        }
    }
}
