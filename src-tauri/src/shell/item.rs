//! Our icon among those that the desktop's tray shows, as the bus has it (KDE's StatusNotifierItem).
//!
//! The indicator's library registers it there, but not always: libayatana-appindicator (0.5.92, and 0.5.94) asks for the bus twice at
//! once, and where the answer for the tray comes before its own it has no connection to register by, and does not try again. Seen
//! once in 400 starts on a busy machine.

use std::time::Duration;

use gtk::{gio, glib::prelude::ToVariant};
use tokio::time::{Instant, sleep, timeout};
use zbus::{Connection, Proxy, proxy::CacheProperties};

const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const WATCHER_PATH: &str = "/StatusNotifierWatcher";
const ITEM: &str = "org.kde.StatusNotifierItem";
/// Where the library has it, by the names that `tray-icon` and we give it.
const ITEM_PATH: &str = "/org/ayatana/NotificationItem/tray_icon_tray_app_ahoy";

/// How often the tray is asked.
const POLL: Duration = Duration::from_millis(100);
/// The library has registered it by then, if it does: under load it took 0.6 s.
const GRACE: Duration = Duration::from_secs(2);
/// After this there is no icon.
const LIMIT: Duration = Duration::from_secs(15);

/// Waits until the tray lists the icon of `owner`, the library's name on the bus; where it does not by itself, `register` is
/// called once. False if there is none in the end.
pub async fn until_shown(bus: &Connection, owner: &str, register: impl AsyncFnOnce() -> bool) -> bool {
    // A tray may also never answer.
    timeout(LIMIT, shown(bus, owner, register)).await.unwrap_or(false)
}

async fn shown(bus: &Connection, owner: &str, register: impl AsyncFnOnce() -> bool) -> bool {
    let start = Instant::now();
    let (mut register, mut registered) = (Some(register), false);
    loop {
        match listed(bus, owner).await {
            Ok(true) => return true,
            // A tray that does not say what it shows is believed.
            Err(_) if registered => return true,
            Ok(false) | Err(_) => {}
        }
        // Whoever is told of it looks at it at once.
        if start.elapsed() >= GRACE
            && register.is_some()
            && is_there(bus, owner).await
            && let Some(register) = register.take()
        {
            tracing::info!("the tray was not told of the icon, and is now");
            registered = register().await;
        }
        sleep(POLL).await;
    }
}

async fn listed(bus: &Connection, owner: &str) -> zbus::Result<bool> {
    let items: Vec<String> =
        proxy(bus, WATCHER, WATCHER_PATH, WATCHER).await?.get_property("RegisteredStatusNotifierItems").await?;
    // Some list "NAME/PATH", some "NAME@PATH" or the name alone.
    Ok(items
        .iter()
        .any(|item| item.strip_prefix(owner).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))))
}

async fn is_there(bus: &Connection, owner: &str) -> bool {
    let id = async { proxy(bus, owner, ITEM_PATH, ITEM).await?.get_property::<String>("Id").await };
    id.await.is_ok()
}

async fn proxy<'a>(bus: &Connection, to: &'a str, path: &'a str, interface: &'a str) -> zbus::Result<Proxy<'a>> {
    let proxy = zbus::proxy::Builder::new(bus).destination(to)?.path(path)?.interface(interface)?;
    proxy.cache_properties(CacheProperties::No).build().await
}

/// Tells the tray of the icon, in the library's name: a tray takes who tells it for who has it. Blocks until it answers, for
/// [`GRACE`] at most.
pub fn register(library: &gio::DBusConnection) -> bool {
    let told = library.call_sync(
        Some(WATCHER),
        WATCHER_PATH,
        WATCHER,
        "RegisterStatusNotifierItem",
        Some(&(ITEM_PATH,).to_variant()),
        None,
        gio::DBusCallFlags::NO_AUTO_START,
        i32::try_from(GRACE.as_millis()).unwrap_or(-1),
        gio::Cancellable::NONE,
    );
    told.map_err(|error| tracing::warn!(%error, "the tray could not be told of the icon")).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    };

    use super::{super::testing::Bus, *};

    struct Watcher(Arc<Mutex<Vec<String>>>);

    #[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
    impl Watcher {
        #[zbus(property)]
        fn registered_status_notifier_items(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    struct Item;

    #[zbus::interface(name = "org.kde.StatusNotifierItem")]
    impl Item {
        #[zbus(property)]
        fn id(&self) -> String {
            "ahoy".to_owned()
        }
    }

    #[tokio::test]
    async fn an_icon_that_the_library_forgot_to_register_is_registered_once_and_one_that_it_did_not_is_left() {
        let bus = Bus::start();
        let items = Arc::new(Mutex::new(vec![":1.99/somebody".to_owned()]));
        let watcher = bus.builder().serve_at(WATCHER_PATH, Watcher(Arc::clone(&items))).unwrap();
        let _watcher = watcher.name(WATCHER).unwrap().build().await.unwrap();
        let library = bus.builder().serve_at(ITEM_PATH, Item).unwrap().build().await.unwrap();
        let owner = library.unique_name().unwrap().to_string();
        let ours = bus.connect().await;

        let registered = AtomicU32::new(0);
        let register = async || {
            registered.fetch_add(1, Ordering::Relaxed);
            items.lock().unwrap().push(format!("{owner}{ITEM_PATH}"));
            true
        };
        for _ in 0..2 {
            assert!(until_shown(&ours, &owner, &register).await);
            assert_eq!(registered.load(Ordering::Relaxed), 1);
        }
        // :1.1 is not :1.12.
        let longer = format!("{owner}0");
        items.lock().unwrap().retain(|item| !item.starts_with(&longer));
        assert!(!listed(&ours, owner.get(..owner.len() - 1).unwrap()).await.unwrap());
    }
}
