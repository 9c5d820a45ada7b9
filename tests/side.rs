//! One person with the app: a backend without a window, and in a browser, where there is one, its page.

use std::{fmt, time::Duration};

use ahoy_test_support::{
    bridge::{self, App, Watching},
    browser::{self, Browser},
    content::{Content, Shown},
    peer::LIMIT,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    devices::FakeDevices,
    ear::Ear,
    end::{arrives, unix_ms},
    recording::Screen,
};

/// The page shows the end of a call within this time.
const SHOWS_END: Duration = Duration::from_millis(500);
/// Interval of polling a page.
const GLANCE: Duration = Duration::from_millis(50);
/// The test tone is heard from this amplitude on, full scale 1.
const TONE: f64 = 0.005;

/// Stats come once a second.
const STATS_LIMIT: Duration = Duration::from_secs(3);

/// Where the media of a side's calls run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the engine.
    Native,
    /// In the page's own WebRTC.
    Browser,
}

/// As docs/interop.md has it, without spaces.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "app",
            Self::Browser => "browser-mode",
        })
    }
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Browser => "browser",
        }
    }
}

/// A person with the app, and all that reaches that person.
pub struct Side {
    /// The backend.
    pub app: App,
    /// What others call this side by.
    pub id: String,
    /// Where its media run now.
    pub mode: Mode,
    page: Option<Page>,
    /// At its speaker.
    ear: Ear,
    screen: Option<RemotePicture>,
    frames: Vec<Shown>,
    began: f64,
    /// Of the folder that the backend serves.
    _served: TempDir,
}

struct Page {
    browser: Browser,
    _devices: FakeDevices,
}

/// What the app shows, read in the background.
struct RemotePicture {
    webm: mpsc::UnboundedReceiver<Vec<u8>>,
    screen: Screen,
    /// Ends with this.
    _reading: JoinSet<()>,
}

impl Side {
    /// An app that is driven by its bridge.
    pub async fn native(name: &str) -> Self {
        Self::start(name, Mode::Native, TempDir::new().expect("a folder without a page")).await
    }

    /// An app whose page is open in Chromium, which presses what this side does. Its calls run in Chromium.
    pub async fn browser(name: &str) -> Self {
        let mut side = Self::start(name, Mode::Browser, bridge::page_with_probes()).await;
        let devices = FakeDevices::write();
        let arguments = bridge::fake_devices(&devices.camera(), &devices.microphone());
        let browser = browser::open_app(&format!("the page of {name}"), &side.app.url, arguments).await;
        side.page = Some(Page { browser, _devices: devices });
        // What its webview can is known from here on.
        side.sees("[data-test=contact]").await;
        side
    }

    async fn start(name: &str, mode: Mode, served: TempDir) -> Self {
        let app = bridge::start(name, served.path()).await;
        let native = mode == Mode::Native;
        let patch = json!({
            "name": name, "firstRunDone": true, "language": "en", "experimentalCalls": native,
            "camera": "pattern", "microphone": "tone",
            // The steady tone is a noise to whoever suppresses noise.
            "echoCancellation": false, "noiseSuppression": false, "automaticGain": false,
        });
        app.tell("settings_set", json!({ "patch": patch })).await;
        let start = app.tell("start", json!({})).await;
        let id = start["me"]["id"].as_str().expect("an id").to_owned();
        let ear = Ear::of(app.sound());
        Self { app, id, mode, page: None, ear, screen: None, frames: Vec::new(), began: unix_ms(), _served: served }
    }

    /// Makes contacts of the two, by an invite, and waits until each sees the other online.
    pub async fn befriend(&self, other: &Self) {
        let invite = self.app.tell("invite_create", json!({})).await;
        other.app.tell("contacts_add", json!({"link": invite["link"]})).await;
        self.sees_presence(0, other, "online").await;
        other.sees_presence(0, self, "online").await;
    }

    /// Waits until a contact is seen as `presence`, by the events from `position` on.
    pub async fn sees_presence(&self, position: usize, other: &Self, presence: &str) {
        let is_seen = |contact: &Value| contact["id"] == *other.id && contact["presence"] == presence;
        let seen = |event: &Value| {
            let contacts = event["contacts"].as_array().filter(|_| event["type"] == "contacts")?;
            contacts.iter().any(is_seen).then_some(())
        };
        self.app.event(position, &format!("contact that is {presence}"), seen).await;
    }

    /// Begins a call.
    pub async fn calls(&self, other: &Self, video: bool) {
        match &self.page {
            Some(_) => {
                self.press("[data-test=nav-contacts]").await;
                self.press(&format!("{} [data-test=call-{}]", contact(other), kind(video))).await;
            }
            None => drop(self.app.tell("call_start", json!({"contact": other.id, "video": video})).await),
        }
    }

    /// Chooses in the page's settings where the media of the next call run.
    pub async fn chooses_engine(&self, mode: Mode) {
        let from = self.app.peer.position();
        self.press("[data-test=nav-settings]").await;
        self.press(&format!("[data-test=engine-{}]", mode.word())).await;
        let chosen = |event: &Value| (event["mediaMode"]["mode"] == mode.word()).then_some(());
        self.app.event(from, "choice of an engine", chosen).await;
        // Its answer comes after whatever the choice has set off.
        self.app.tell("media_mode", json!({"rtcPeerConnection": true})).await;
    }

    /// Does something else while the call goes on.
    pub async fn leaves_call(&self) {
        self.press("[data-test=call-leave]").await;
    }

    /// Goes back to the call that runs.
    pub async fn returns_to_call(&self) {
        self.press("[data-test=overlay-open]").await;
    }

    /// Takes the call that rings.
    pub async fn answers(&self, video: bool) {
        match &self.page {
            Some(_) => self.press(&format!("[data-test=answer-{}]", kind(video))).await,
            None => {
                let calls = self.app.tell("calls_list", json!({})).await;
                self.app.tell("call_accept", json!({"call": calls[0]["id"], "video": video})).await;
            }
        }
    }

    /// Switches the microphone; gives when.
    pub async fn switches_sound(&self, on: bool) -> f64 {
        match &self.page {
            Some(_) => self.press("[data-test=mute]").await,
            None => drop(self.app.tell("call_audio", json!({ "on": on })).await),
        }
        unix_ms()
    }

    /// Switches the camera; gives when.
    pub async fn switches_camera(&self, on: bool) -> f64 {
        match &self.page {
            Some(_) => self.press("[data-test=camera]").await,
            None => drop(self.app.tell("call_video", json!({ "on": on })).await),
        }
        unix_ms()
    }

    /// Ends the call.
    pub async fn hangs_up(&self) {
        match &self.page {
            Some(_) => self.press("[data-test=hang-up]").await,
            None => drop(self.app.tell("call_hang_up", json!({})).await),
        }
    }

    /// Declines the call that rings.
    pub async fn declines(&self) {
        match &self.page {
            Some(_) => self.press("[data-test=decline]").await,
            None => self.hangs_up_unseen().await,
        }
    }

    /// Ends or declines the call by the app's command instead of the page's button. It may have ended already.
    pub async fn hangs_up_unseen(&self) {
        let calls = self.app.tell("calls_list", json!({})).await;
        let refused = match calls[0]["phase"] == "incoming" {
            true => self.app.ask("call_decline", json!({"call": calls[0]["id"]})).await,
            false => self.app.ask("call_hang_up", json!({})).await,
        };
        drop(refused);
    }

    /// Whether no call is under way here.
    pub async fn is_idle(&self) -> bool {
        let calls = self.app.tell("calls_list", json!({})).await;
        calls.as_array().is_some_and(|calls| calls.iter().all(|call| call["phase"] == "ended"))
    }

    /// Closes the page's view of an ended call, if there is one, and forgets what arrived.
    pub async fn clears(&mut self) {
        self.screen = None;
        self.frames.clear();
        if self.page.is_none() {
            return;
        }
        let until = unix_ms() + SHOWS_END.as_secs_f64() * 1000.0;
        while unix_ms() < until {
            if self.count("[data-test=call-close]").await > 0 {
                self.press("[data-test=call-close]").await;
                return;
            }
            sleep(GLANCE).await;
        }
    }

    /// When the other side's first sound and first frame came after `moment`; all in unix ms.
    pub fn first(&mut self, moment: f64) -> (Option<f64>, Option<f64>) {
        let content = self.content().since(moment);
        let sound = content.levels.iter().find(|level| level.tone > TONE).map(|level| level.at);
        (sound, content.frames.first().map(|frame| frame.at))
    }

    /// Waits until the call is connected, and looks at what it shows from then on.
    pub async fn connected(&mut self, position: usize) {
        let call = self.app.phase(position, "active").await;
        assert_eq!(call["mode"], self.mode.word(), "{call}");
        self.screen = match call["remoteStream"].as_str() {
            Some(stream) => Some(RemotePicture::of(self.app.watch(stream).await)),
            None => None,
        };
    }

    /// Waits until the call has ended, gives the reason, and leaves what is shown of it.
    pub async fn ended(&mut self, position: usize) -> String {
        let call = self.app.phase(position, "ended").await;
        self.screen = None;
        if self.page.is_some() {
            self.press("[data-test=call-close]").await;
        }
        call["end"]["reason"].as_str().expect("an end has a reason").to_owned()
    }

    /// Waits until the history has calls that ended so, the latest first, by the events from `position` on.
    pub async fn history(&self, position: usize, outcomes: &[&str]) {
        let has = |event: &Value| {
            let entries = event["entries"].as_array().filter(|_| event["type"] == "history")?;
            entries.iter().map(|entry| &entry["outcome"]).eq(outcomes.iter()).then_some(())
        };
        self.app.event(position, &format!("history of {outcomes:?}"), has).await;
    }

    /// Waits until what arrives after `moment` (unix ms) is as `judge` wants it. `what` names that.
    pub async fn receives(&mut self, moment: f64, what: &str, judge: impl Fn(&Content) -> bool) {
        if let Err(content) = arrives(|| self.content(), moment, judge).await {
            let page = self.page.as_ref().map(|page| page.browser.peer.recent()).unwrap_or_default();
            let stats = self.stats().await;
            panic!("no {what} within {LIMIT:?}: {content}\n{stats}{}{page}", self.app.peer.recent());
        }
    }

    /// What the app measures of the call, for a failure's message; empty where the page has the call.
    async fn stats(&self) -> String {
        let from = self.app.peer.position();
        let watched = self.app.ask("stats_watch", json!({"on": true})).await;
        let stats = self.app.event(from, "stats", |event| (event["type"] == "stats").then(|| event.to_string()));
        match (self.mode, watched) {
            (Mode::Native, Ok(_)) => timeout(STATS_LIMIT, stats).await.unwrap_or_default(),
            (Mode::Native | Mode::Browser, _) => String::new(),
        }
    }

    /// Waits until what the page itself shows after `moment` is as `judge` wants it.
    pub async fn page_shows(&self, moment: f64, what: &str, judge: impl Fn(&Content) -> bool) {
        let browser = &self.page().browser;
        if let Err(content) = arrives(|| browser.content(), moment, judge).await {
            panic!("no {what} on the page within {LIMIT:?}: {content}{}", browser.peer.recent());
        }
    }

    fn content(&mut self) -> Content {
        if self.mode == Mode::Browser {
            return self.page().browser.content();
        }
        if let Some(screen) = &mut self.screen {
            self.frames.extend(screen.look());
        }
        Content { frames: self.frames.clone(), watched: (self.began, unix_ms()), ..self.ear.content() }
    }

    /// Presses what the page has for it, once that is there and can be used.
    pub async fn press(&self, selector: &str) {
        self.page_does("press", "pressed", selector).await;
    }

    /// Waits until the page shows something; gives its text.
    pub async fn sees(&self, selector: &str) -> String {
        let seen = self.page_does("look", "seen", selector).await;
        seen["text"].as_str().unwrap_or_default().to_owned()
    }

    /// How many of something the page shows now.
    pub async fn count(&self, selector: &str) -> u64 {
        self.page_does("count", "counted", selector).await["count"].as_u64().expect("a count")
    }

    async fn page_does(&self, command: &str, done: &str, selector: &str) -> Value {
        let peer = &self.page().browser.peer;
        let from = peer.position();
        peer.send(json!({"cmd": command, "selector": selector}));
        let is_done = |line: &&Value| line["event"] == done && line["selector"] == selector;
        peer.wait_after(from, &format!("{selector} to {command}"), |lines| lines.iter().find(is_done).cloned()).await
    }

    fn page(&self) -> &Page {
        self.page.as_ref().expect("this side has a page")
    }
}

/// The row of a contact.
pub fn contact(side: &Side) -> String {
    format!("[data-test=contact][data-contact=\"{}\"]", side.id)
}

/// What a call is called by the page.
fn kind(video: bool) -> &'static str {
    if video { "video" } else { "audio" }
}

impl RemotePicture {
    fn of(mut watching: Watching) -> Self {
        let (read, webm) = mpsc::unbounded_channel();
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            while let Some(bytes) = watching.read().await {
                let _ = read.send(bytes);
            }
        });
        Self { webm, screen: Screen::new(), _reading: reading }
    }

    /// What was shown since the last look.
    fn look(&mut self) -> Vec<Shown> {
        let mut shown = Vec::new();
        while let Ok(bytes) = self.webm.try_recv() {
            shown.extend(self.screen.show(&bytes));
        }
        shown
    }
}
