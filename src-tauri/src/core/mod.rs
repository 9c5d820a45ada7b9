//! The app without its window: what is remembered, who can be reached, and the call that runs.
//!
//! ```text
//! command ──▶ App ──▶ Store, Settings, Caller (the engine, or the page's own WebRTC)
//!              │                              │
//!              └──▶ AppEvent ──▶ sink ◀───────┘
//! ```
//!
//! Everything that waits for a disk or a driver does so on a blocking thread. The state is one struct behind
//! one lock, which is never held while something is waited for.

mod browser;
mod call;
mod caller;
mod calls;
mod choice;
mod contacts;
mod database;
mod devices;
mod echo;
mod history;
mod network;
mod opened;
mod preview;
mod qr;
mod rings;
mod stats;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub use tests::ringing_call;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{SystemTime, UNIX_EPOCH},
};

use ahoy_call::engine::{EngineCommand, Events};
use ahoy_media::webm::hub::Hub;
use ahoy_store::{EndpointId, Store, StoreError, UnixMs};
use ahoy_transport::{StartError, Transport};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    api::{AppEvent, CallMode, Me, MediaMode, MediaModeReason, Nearby, Notice, Presence, Settings, Start},
    profile::Profile,
    settings::{Current, Keeper, SettingsFile, Values},
};
use call::Running;
use caller::Caller;
use choice::MediaChoice;
use database::Temporary;
use echo::Echo;
use network::Doorkeeper;
use opened::Opened;
use preview::Tests;
use rings::Rings;

/// Takes what the page is told. Called from any thread; must not block.
pub type Sink = Arc<dyn Fn(AppEvent) + Send + Sync>;

/// What the app is started with.
pub struct Options {
    /// Where its files are.
    pub profile: Profile,
    /// Writes the settings.
    pub settings_file: Arc<dyn SettingsFile>,
    /// Calls stay on this machine: for tests.
    pub loopback_only: bool,
}

/// The app. Its methods are the page's commands.
pub struct App {
    store: Arc<Store>,
    /// Where the store is, if not in its own place. Goes after it.
    temporary: Option<Temporary>,
    /// Locked for as long as the disk takes: for blocking threads.
    keeper: Arc<Mutex<Keeper>>,
    set: Current,
    hub: Hub,
    echo: Echo,
    /// One engine at a time sends and receives by it.
    transport: Transport,
    loopback_only: bool,
    sink: Sink,
    state: Mutex<State>,
    /// One change of the engine at a time.
    changing: tokio::sync::Mutex<()>,
    this: Weak<App>,
}

/// What changes.
struct State {
    caller: Caller,
    /// Passes on the caller's events; none once the app has stopped.
    forwarding: Option<JoinHandle<()>>,
    choice: MediaChoice,
    running: Option<Running>,
    /// Ends with the call.
    ticking: Option<JoinHandle<()>>,
    /// The page shows the stats.
    watching: bool,
    /// What the user wants to be seen as.
    presence: Presence,
    /// What contacts say of themselves.
    present: HashMap<EndpointId, Presence>,
    /// When contacts went, since this start.
    last_seen: HashMap<EndpointId, UnixMs>,
    nearby: Vec<Nearby>,
    /// Whether the webview has WebRTC of its own; none before it was looked at.
    can_browser: Option<bool>,
    notices: Vec<Notice>,
    tests: Tests,
    rings: Rings,
}

impl App {
    /// Starts the app on the current tokio runtime. What is wrong is told as notices; it always starts.
    ///
    /// # Errors
    /// Another Ahoy has this profile open, or not even a temporary place can be written.
    pub async fn start(options: Options, sink: Sink) -> Result<Arc<Self>, Notice> {
        let Options { profile, settings_file, loopback_only } = options;
        let Opened { store, temporary, keeper, choice, notices, keys, mut roster } =
            blocking(move || Opened::of(&profile, settings_file, loopback_only)).await?;
        let store = Arc::new(store);
        let set = keeper.current().clone();
        let config = network::config(keys.own, &set.get(), loopback_only);
        let echo = Echo::start(keys.echo, config.secret_key.public()).await.map_err(no_network)?;
        roster.contacts.push(echo.contact());
        let (doorkeeper, requests) = Doorkeeper::new(Arc::clone(&store));
        let started = Transport::start(config, roster, Arc::new(doorkeeper)).await;
        let (transport, network_events) = started.map_err(no_network)?;
        let hub = Hub::new();
        let (caller, events) = Caller::native(&choice, echo.id(), Arc::new(transport.clone()), hub.clone());
        let app = Arc::new_cyclic(|this| Self {
            store,
            temporary,
            keeper: Arc::new(Mutex::new(keeper)),
            set,
            hub,
            echo,
            transport,
            loopback_only,
            sink,
            state: Mutex::new(State {
                caller,
                forwarding: Some(tokio::spawn(forward(Weak::clone(this), events))),
                choice,
                running: None,
                ticking: None,
                watching: false,
                presence: Presence::Online,
                present: HashMap::new(),
                last_seen: HashMap::new(),
                nearby: Vec::new(),
                can_browser: None,
                notices,
                tests: Tests::default(),
                rings: Rings::default(),
            }),
            changing: tokio::sync::Mutex::new(()),
            this: Weak::clone(this),
        });
        app.publish_presence();
        tokio::spawn(Arc::clone(&app).follow(network_events, requests));
        Ok(app)
    }

    /// Hangs up and lets go of everything, in bounded time.
    pub async fn stop(&self) {
        let (caller, forwarding) = {
            let mut state = self.state();
            state.tests = Tests::default();
            (state.caller.clone(), state.forwarding.take())
        };
        let farewell = async {
            caller.stop().await;
            // Until the history has the end of the call.
            if let Some(forwarding) = forwarding {
                let _ = forwarding.await;
            }
        };
        let _ = tokio::time::timeout(caller::FAREWELL_LIMIT, farewell).await;
        tokio::join!(self.transport.close(), self.echo.stop());
        if let Some(temporary) = &self.temporary {
            temporary.remove();
        }
    }

    /// The streams that `media://` serves.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Everything that the page shows first.
    pub async fn overview(&self) -> Result<Start, Notice> {
        let mut failed = Vec::new();
        // What can be read is shown, and the rest told.
        let contacts = or_told(self.contacts().await, &mut failed);
        let requests = or_told(self.requests().await, &mut failed);
        let history = or_told(self.history_list(None).await, &mut failed);
        let nearby = or_told(self.nearby().await, &mut failed);
        let settings = self.settings();
        let (call, mut notices) = {
            let state = self.state();
            (state.running.as_ref().map(|running| running.call.clone()), state.notices.clone())
        };
        notices.extend(failed);
        notices.dedup();
        Ok(Start {
            me: Me { id: network::id_of(self.transport.id()).to_string(), name: settings.name.clone() },
            contacts,
            requests,
            nearby,
            call,
            history,
            media_mode: self.current_media_mode(),
            settings,
            // That is the window's to say.
            paints: false,
            notices,
        })
    }

    /// What is set.
    pub fn settings(&self) -> Settings {
        self.set.get()
    }

    /// Changes some settings.
    ///
    /// # Errors
    /// A value that cannot be, or a file that cannot be written.
    pub async fn settings_set(&self, patch: Values) -> Result<Settings, Notice> {
        let keeper = Arc::clone(&self.keeper);
        let before = self.settings();
        let set = blocking(move || lock(&keeper).patch(&patch)).await;
        // Where only the file failed, the change is in force.
        let settings = self.settings();
        if settings.relay_url != before.relay_url {
            let what = "The relay server is changed at the next start of Ahoy.";
            self.tell(AppEvent::Notice {
                notice: Notice::new("relay-next-start", what, "Quit Ahoy and start it again."),
            });
        }
        self.transport.set_name(Some(&*settings.name).filter(|name| !name.is_empty()));
        if !self.loopback_only {
            self.transport.set_lan(network::lan(&settings));
        }
        self.publish_presence();
        self.tell(AppEvent::Settings { settings, media_mode: self.current_media_mode() });
        self.refresh().await;
        set
    }

    /// Takes what the page found its webview to have. The first look decides where media run.
    pub async fn media_mode(&self, rtc_peer_connection: bool) -> Result<MediaMode, Notice> {
        self.state().can_browser = Some(rtc_peer_connection);
        let keeper = Arc::clone(&self.keeper);
        let looked = blocking(move || Ok(lock(&keeper).has_media_mode())).await?;
        if looked {
            self.refresh().await;
        } else {
            let patch = Values::from_iter([("experimentalCalls".to_owned(), Value::Bool(!rtc_peer_connection))]);
            self.settings_set(patch).await?;
        }
        Ok(self.current_media_mode())
    }

    fn current_media_mode(&self) -> MediaMode {
        media_mode(&self.settings(), self.state().can_browser.unwrap_or(false))
    }

    /// Brings the engine up to what is set. A call that runs goes on with the devices that are chosen now,
    /// and for the rest with what it began with.
    async fn refresh(&self) {
        let _one = self.changing.lock().await;
        self.bring_up_to_date().await;
    }

    /// As [`Self::refresh`], for whoever has `changing` already.
    async fn bring_up_to_date(&self) {
        let (settings, loopback_only) = (self.settings(), self.loopback_only);
        let choice = blocking(move || Ok(MediaChoice::of(&settings, loopback_only))).await;
        let Ok(choice) = choice else { return };
        let mode = self.current_media_mode().mode;
        let old = {
            let mut state = self.state();
            if state.is_busy() {
                if let Some(choice) = state.choice.in_call(&choice) {
                    let (before, now) = (state.choice.engine(), choice.engine());
                    if before.limit() != now.limit() {
                        state.caller.command(EngineCommand::SetVideoLimit(now.limit()));
                    }
                    state.caller.command(EngineCommand::SetDevices(now.devices()));
                    state.choice = choice;
                }
                return;
            }
            let ends = state.forwarding.is_none();
            if ends || (state.choice == choice && state.caller.mode() == mode) {
                return;
            }
            state.caller.clone()
        };
        // The old one first: of two, each would receive a part of the messages.
        let _ = tokio::time::timeout(caller::FAREWELL_LIMIT, old.stop()).await;
        let signaler = Arc::new(self.transport.clone());
        let (caller, events) = match mode {
            CallMode::Native => Caller::native(&choice, self.echo.id(), signaler, self.hub.clone()),
            CallMode::Browser => Caller::browser(signaler, Arc::clone(&self.sink)),
        };
        let forwarding = tokio::spawn(forward(Weak::clone(&self.this), events));
        let mut state = self.state();
        (state.caller, state.forwarding, state.choice) = (caller, Some(forwarding), choice);
    }

    /// Tells something that goes wrong outside of any call, now and to a page that comes later.
    pub fn notice(&self, notice: Notice) {
        let mut state = self.state();
        state.notices.retain(|other| other.code != notice.code);
        state.notices.push(notice.clone());
        drop(state);
        self.tell(AppEvent::Notice { notice });
    }

    fn tell(&self, event: AppEvent) {
        (self.sink)(event);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Asks the database, on a blocking thread.
    async fn database<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Notice> {
        let store = Arc::clone(&self.store);
        blocking(move || job(&store).map_err(|error| database::notice(&error))).await
    }
}

/// What was asked for, or nothing and why.
fn or_told<T: Default>(result: Result<T, Notice>, failed: &mut Vec<Notice>) -> T {
    result.unwrap_or_else(|notice| {
        failed.push(notice);
        T::default()
    })
}

fn no_network(error: StartError) -> Notice {
    Notice::explain("no-network", &error.to_string())
}

impl State {
    fn is_busy(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.call.end.is_none())
    }
}

/// Where the next call's media run, and why.
fn media_mode(settings: &Settings, can_browser: bool) -> MediaMode {
    let (mode, why) = match (settings.video_disabled, settings.experimental_calls, can_browser) {
        (true, native, can) => {
            (if native || !can { CallMode::Native } else { CallMode::Browser }, MediaModeReason::CallsDisabled)
        }
        (false, true, _) => (CallMode::Native, MediaModeReason::Setting),
        (false, false, true) => (CallMode::Browser, MediaModeReason::Setting),
        (false, false, false) => (CallMode::Browser, MediaModeReason::WebviewCannot),
    };
    MediaMode { mode, why, can_browser }
}

/// Passes the engine's events on. Boxed, because an event can lead to another engine, and so to another of
/// these.
fn forward(app: Weak<App>, mut events: Events) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        while let Some(event) = events.recv().await {
            let Some(app) = app.upgrade() else { return };
            app.on_event(event).await;
        }
    })
}

/// Runs what waits for a disk or a driver where that hurts nobody.
async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T, Notice> + Send + 'static) -> Result<T, Notice> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a blocking job failed");
        Err(Notice::new("internal", "Something went wrong inside of Ahoy.", "Try again; please report it if it stays."))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind each of these locks is changed in single steps: whole even after a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Unix time.
fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
