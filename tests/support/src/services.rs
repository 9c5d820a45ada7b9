//! What most desktops have on their session bus, and the desktop of a test only where it adds it: a tray, and
//! somebody who shows notifications.

use std::{
    collections::HashMap,
    fs,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use zbus::{
    Connection, Message,
    connection::Builder,
    fdo::DBusProxy,
    zvariant::{DynamicType, OwnedValue, Structure, Value},
};

use crate::{
    app::{App, LIMIT},
    desktop::Desktop,
};

/// The kernel tells only parents of a process's end.
const POLL: Duration = Duration::from_millis(50);
const TRAY: &str = "org.kde.StatusNotifierWatcher";
const ITEM: &str = "org.kde.StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";
const NOTIFICATIONS: &str = "org.freedesktop.Notifications";
const NOTIFICATIONS_PATH: &str = "/org/freedesktop/Notifications";

/// A tray that shows its icons to nobody (StatusNotifierItem). It goes when this is dropped.
pub struct Tray {
    icons: mpsc::UnboundedReceiver<String>,
    bus: Connection,
}

/// A program's icon in a tray.
pub struct Icon {
    bus: Connection,
    /// Its program, by its name on the bus.
    owner: String,
}

impl Tray {
    /// Adds one to a desktop.
    ///
    /// # Panics
    /// The bus has one.
    pub async fn start(desktop: &Desktop) -> Self {
        let (icons, added) = mpsc::unbounded_channel();
        let serve = async {
            let service = TrayService { icons, items: Vec::new() };
            let bus = Builder::address(desktop.bus())?.serve_at("/StatusNotifierWatcher", service)?;
            bus.name(TRAY)?.build().await
        };
        Self { icons: added, bus: serve.await.unwrap_or_else(|error| panic!("no tray: {error}")) }
    }

    /// Waits until one more program has its icon there. Where none comes, `app` tells what it did.
    ///
    /// # Panics
    /// None comes within [`LIMIT`].
    pub async fn icon(&mut self, app: &App) -> Icon {
        match timeout(LIMIT, self.icons.recv()).await {
            Ok(Some(owner)) => Icon { bus: self.bus.clone(), owner },
            _ => app.fail(&format!("no icon in the tray within {LIMIT:?}")).await,
        }
    }

    /// The panel ends, and its name on the bus is free again.
    ///
    /// # Panics
    /// The bus has ended.
    pub async fn end(self) {
        self.bus.release_name(TRAY).await.unwrap_or_else(|error| panic!("the tray cannot end: {error}"));
    }
}

impl Icon {
    /// Clicks it.
    ///
    /// # Panics
    /// Its program does not take that.
    pub async fn click(&self) {
        let clicked = self.bus.call_method(Some(&*self.owner), "/StatusNotifierItem", Some(ITEM), "Activate", &(0, 0));
        clicked.await.unwrap_or_else(|error| panic!("the icon cannot be clicked: {error}"));
    }

    /// What its menu says now, from above.
    ///
    /// # Panics
    /// Its program has none.
    pub async fn menu(&self) -> Vec<String> {
        self.entries().await.into_iter().map(|(_, label)| label).collect()
    }

    /// Chooses from its menu.
    ///
    /// # Panics
    /// There is nothing by that name.
    pub async fn choose(&self, label: &str) {
        let entries = self.entries().await;
        let entry = entries.iter().find(|(_, other)| other == label);
        let (id, _) = entry.unwrap_or_else(|| panic!("no {label:?} among {entries:?}"));
        let chosen = self.call("Event", &(id, "clicked", Value::from(0), 0_u32)).await;
        chosen.unwrap_or_else(|error| panic!("{label:?} cannot be chosen: {error}"));
    }

    async fn entries(&self) -> Vec<(i32, String)> {
        let read = async {
            self.call("AboutToShow", &(0,)).await?;
            let layout = self.call("GetLayout", &(0, -1, ["label"].as_slice())).await?;
            let (_, (_, _, entries)): (u32, Entry) = layout.body().deserialize()?;
            entries.into_iter().map(entry).collect::<zbus::Result<_>>()
        };
        read.await.unwrap_or_else(|error| panic!("no menu at the icon: {error}"))
    }

    async fn call<B: Serialize + DynamicType>(&self, method: &str, body: &B) -> zbus::Result<Message> {
        self.bus.call_method(Some(&*self.owner), "/MenuBar", Some(MENU), method, body).await
    }
}

/// Of a menu: its number, what there is to know of it, and the entries below it.
type Entry = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

fn entry(entry: OwnedValue) -> zbus::Result<(i32, String)> {
    let (id, mut properties, _): Entry = Structure::try_from(entry)?.try_into()?;
    let label = properties.remove("label").map(String::try_from).transpose()?;
    Ok((id, label.unwrap_or_default()))
}

struct TrayService {
    icons: mpsc::UnboundedSender<String>,
    /// Each by its program's name on the bus.
    items: Vec<String>,
}

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl TrayService {
    /// By its program's name on the bus; a program may say it again.
    fn register_status_notifier_item(&mut self, item: String) {
        if !self.items.contains(&item) {
            self.items.push(item.clone());
            let _ = self.icons.send(item);
        }
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.items.clone()
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}

/// Somebody who takes notifications and shows them to the test alone (Desktop Notifications Specification
/// 1.2).
pub struct Notifications {
    shown: mpsc::UnboundedReceiver<Notification>,
    closed: mpsc::UnboundedReceiver<u32>,
    bus: Connection,
}

/// What there is to see of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    id: u32,
    /// Its title.
    pub summary: String,
    /// What can be done with it, as the program calls it, each followed by its words.
    pub actions: Vec<String>,
}

impl Notifications {
    /// Adds them to a desktop.
    ///
    /// # Panics
    /// The bus has somebody for them.
    pub async fn start(desktop: &Desktop) -> Self {
        let (to_shown, shown) = mpsc::unbounded_channel();
        let (to_closed, closed) = mpsc::unbounded_channel();
        let service = NotificationService { shown: to_shown, closed: to_closed, last: AtomicU32::new(0) };
        let serve = async {
            let bus = Builder::address(desktop.bus())?.serve_at(NOTIFICATIONS_PATH, service)?;
            bus.name(NOTIFICATIONS)?.build().await
        };
        let bus = serve.await.unwrap_or_else(|error| panic!("no notifications: {error}"));
        Self { shown, closed, bus }
    }

    /// The next one.
    ///
    /// # Panics
    /// None comes within [`LIMIT`].
    pub async fn next(&mut self) -> Notification {
        let shown = timeout(LIMIT, self.shown.recv()).await.ok().flatten();
        shown.unwrap_or_else(|| panic!("no notification within {LIMIT:?}"))
    }

    /// Clicks one of its actions.
    ///
    /// # Panics
    /// It has no such action.
    pub async fn click(&self, notification: &Notification, action: &str) {
        let Notification { id, actions, .. } = notification;
        assert!(actions.iter().step_by(2).any(|other| other == action), "no {action} in {notification:?}");
        let body = (id, action);
        let told = self.bus.emit_signal(None::<&str>, NOTIFICATIONS_PATH, NOTIFICATIONS, "ActionInvoked", &body).await;
        told.expect("the bus takes a signal");
    }

    /// Waits until its program closes it.
    ///
    /// # Panics
    /// It does not within [`LIMIT`], or closes another.
    pub async fn until_closed(&mut self, notification: &Notification) {
        let closed = timeout(LIMIT, self.closed.recv()).await;
        assert_eq!(closed, Ok(Some(notification.id)), "what is closed");
    }
}

struct NotificationService {
    shown: mpsc::UnboundedSender<Notification>,
    closed: mpsc::UnboundedSender<u32>,
    last: AtomicU32,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl NotificationService {
    #[allow(clippy::too_many_arguments)]
    fn notify(
        &self,
        _app_name: String,
        _replaces: u32,
        _icon: String,
        summary: String,
        _body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _expires: i32,
    ) -> u32 {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let _ = self.shown.send(Notification { id, summary, actions });
        id
    }

    fn close_notification(&self, id: u32) {
        let _ = self.closed.send(id);
    }
}

/// A program, known by its name on the bus.
#[derive(Clone, Copy, Debug)]
pub struct Running(u32);

impl Desktop {
    /// The program that has a name on the bus.
    ///
    /// # Panics
    /// None has.
    pub async fn running(&self, name: &str) -> Running {
        let id = async {
            let bus = Builder::address(self.bus())?.build().await?;
            Ok::<_, zbus::Error>(DBusProxy::new(&bus).await?.get_connection_unix_process_id(name.try_into()?).await?)
        };
        Running(id.await.unwrap_or_else(|error| panic!("nobody is {name}: {error}")))
    }
}

impl Running {
    /// Waits until it has ended.
    ///
    /// # Panics
    /// It still runs after [`LIMIT`].
    pub async fn until_ended(self) {
        let limit = Instant::now() + LIMIT;
        // What has ended and was not yet waited for has no file any more.
        while fs::read_link(format!("/proc/{}/exe", self.0)).is_ok() {
            assert!(Instant::now() < limit, "it still runs after {LIMIT:?}");
            sleep(POLL).await;
        }
    }
}
