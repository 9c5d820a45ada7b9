//! The app in a window, as a person has it: what is clicked, what is typed, what is seen.
//!
//! Elements are found by the `data-test` attributes of the page (ui/README.md), which do not change with
//! language or looks.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};

use crate::{
    bridge::binary,
    desktop::Desktop,
    process::ProcessGroup,
    sound::SoundDaemon,
    webdriver::{Key, Refusal, WebDriver},
};

/// How long anything may take that a test waits for: two windows paint and encode on a machine that may
/// compile beside them.
pub const LIMIT: Duration = Duration::from_secs(60);
/// WebDriver tells of nothing by itself.
const POLL: Duration = Duration::from_millis(100);
/// Of the log, what a failure shows.
const SHOWN_LOG: usize = 4000;

/// A CSS selector for what the page calls `name` to tests.
pub fn test(name: &str) -> String {
    format!("[data-test=\"{name}\"]")
}

/// What an app can be started with besides.
#[derive(Default)]
pub struct More {
    /// Added to its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Added to its command line.
    pub arguments: Vec<&'static str>,
}

/// A running app with files and a sound daemon of its own. It ends when this is dropped.
pub struct App {
    profile: String,
    environment: Vec<(&'static str, OsString)>,
    driver: WebDriver,
    sound: SoundDaemon,
    folder: TempDir,
}

impl App {
    /// Starts the app on `desktop` with an empty profile; `settings` are there from the start.
    ///
    /// # Panics
    /// The app, the driver or the sound daemon is missing or does not start.
    pub async fn start(desktop: &Desktop, profile: &str, settings: Option<Value>) -> Self {
        Self::start_with(desktop, profile, settings, More::default()).await
    }

    /// As [`App::start`], with more.
    ///
    /// # Panics
    /// As [`App::start`].
    pub async fn start_with(desktop: &Desktop, profile: &str, settings: Option<Value>, more: More) -> Self {
        let folder = TempDir::new().expect("a folder for the app's files");
        let sound = SoundDaemon::start();
        let mut environment = environment(desktop, &sound, folder.path());
        environment.extend(more.environment);
        if let Some(settings) = settings {
            let file = folder.path().join("config/ahoy").join(profile).join("settings.json");
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for the settings");
            fs::write(&file, settings.to_string()).expect("the settings are written");
        }
        let driver = WebDriver::start(binary(), &arguments(profile, more.arguments), environment.clone()).await;
        let app = Self { profile: profile.to_owned(), environment, driver, sound, folder };
        app.sees("main:not(.waiting)").await;
        desktop.place(&app.title());
        app
    }

    /// Its window's title.
    pub fn title(&self) -> String {
        format!("Ahoy ({})", self.profile)
    }

    /// Its sound daemon.
    pub fn sound(&self) -> &SoundDaemon {
        &self.sound
    }

    /// Its WebDriver.
    pub fn driver(&self) -> &WebDriver {
        &self.driver
    }

    /// Starts it a second time beside the first, with more arguments, and waits for that to end.
    ///
    /// # Panics
    /// It does not end within [`LIMIT`].
    pub async fn second_start(&self, more: &[&str]) -> ExitStatus {
        let mut command = Command::new(binary());
        command.args(arguments(&self.profile, more.iter().copied())).envs(self.environment.iter().cloned());
        let mut processes = ProcessGroup::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
        match timeout(LIMIT, processes.leader().wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!("the second start still runs after {LIMIT:?}\n{}", processes.log().text()),
        }
    }

    /// Clicks what the page calls `name` to tests, once it can be clicked.
    ///
    /// # Panics
    /// It cannot within [`LIMIT`].
    pub async fn click(&self, name: &str) {
        self.click_at(&test(name)).await;
    }

    /// As [`App::click`], by a CSS selector. A notice that lies over it is dismissed first, as people do.
    ///
    /// # Panics
    /// It cannot be clicked within [`LIMIT`].
    pub async fn click_at(&self, css: &str) {
        self.until_done(&format!("click {css}"), async || {
            let clicked = self.driver.click(css).await;
            if clicked.as_ref().is_err_and(|refusal| refusal.error == "element click intercepted") {
                // There may be none: something that moves lies over it for a moment.
                let _ = self.driver.click("[data-test=notice] button").await;
            }
            clicked
        })
        .await;
    }

    /// Types into a field, after what it holds.
    ///
    /// # Panics
    /// It cannot be typed into within [`LIMIT`].
    pub async fn fill(&self, name: &str, text: &str) {
        let css = test(name);
        self.until_done(&format!("type into {css}"), async || self.driver.type_into(&css, text).await).await;
    }

    /// Chooses an entry of a list by its value.
    ///
    /// # Panics
    /// There is none within [`LIMIT`].
    pub async fn choose(&self, name: &str, value: &str) {
        let css = test(name);
        self.until_done(&format!("choose {value} of {css}"), async || {
            self.driver.click(&format!("{css} option[value=\"{value}\"]")).await
        })
        .await;
        let chosen = "return document.querySelector(arguments[0])?.value === arguments[1]";
        self.waits(&format!("{value} is chosen of {css}"), chosen, json!([css, value])).await;
    }

    /// Presses a key and lets it go.
    ///
    /// # Panics
    /// The window is gone.
    pub async fn press(&self, key: char) {
        self.pressed([Key::Down(key), Key::Up(key)]).await;
    }

    /// Presses a key while another is kept.
    ///
    /// # Panics
    /// The window is gone.
    pub async fn press_with(&self, kept: char, key: char) {
        self.pressed([Key::Down(kept), Key::Down(key), Key::Up(key), Key::Up(kept)]).await;
    }

    /// Presses a key while two others are kept.
    ///
    /// # Panics
    /// The window is gone.
    pub async fn press_with_both(&self, kept: [char; 2], key: char) {
        let [one, other] = kept;
        self.pressed([Key::Down(one), Key::Down(other), Key::Down(key), Key::Up(key), Key::Up(other), Key::Up(one)])
            .await;
    }

    /// Types whatever has the focus into.
    ///
    /// # Panics
    /// The window is gone.
    pub async fn types(&self, text: &str) {
        self.pressed(text.chars().flat_map(|key| [Key::Down(key), Key::Up(key)])).await;
    }

    async fn pressed(&self, keys: impl IntoIterator<Item = Key>) {
        if let Err(refusal) = self.driver.keys(keys).await {
            self.fail(&format!("keys could not be pressed: {refusal}")).await;
        }
    }

    /// Waits until an element of that CSS selector is seen.
    ///
    /// # Panics
    /// It is not within [`LIMIT`].
    pub async fn sees(&self, css: &str) {
        self.waits(&format!("{css} is seen"), SEEN, json!([css])).await;
    }

    /// Waits until no element of that CSS selector is seen.
    ///
    /// # Panics
    /// One still is after [`LIMIT`].
    pub async fn sees_no(&self, css: &str) {
        self.waits(&format!("{css} is not seen"), UNSEEN, json!([css])).await;
    }

    /// The text of the first element of that CSS selector, once there is one.
    ///
    /// # Panics
    /// There is none within [`LIMIT`].
    pub async fn text(&self, css: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent.trim()";
        self.waits(&format!("{css} has text"), script, json!([css])).await.as_str().unwrap_or_default().to_owned()
    }

    /// The value of a field, once it has one.
    ///
    /// # Panics
    /// It has none within [`LIMIT`].
    pub async fn value(&self, name: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.value";
        let value = self.waits(&format!("{name} has a value"), script, json!([test(name)])).await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a script in the page returns something that counts as true there, and gives it.
    ///
    /// # Panics
    /// It does not within [`LIMIT`], or throws.
    pub async fn waits(&self, what: &str, script: &str, arguments: Value) -> Value {
        let limit = Instant::now() + LIMIT;
        loop {
            match self.driver.execute(script, arguments.clone()).await {
                Ok(value) if is_true(&value) => return value,
                Ok(_) => {}
                Err(refusal) => self.fail(&format!("{what}: {refusal}")).await,
            }
            if Instant::now() > limit {
                self.fail(&format!("not within {LIMIT:?}: {what}")).await;
            }
            sleep(POLL).await;
        }
    }

    async fn until_done(&self, what: &str, action: impl AsyncFn() -> Result<(), Refusal>) {
        let limit = Instant::now() + LIMIT;
        while let Err(refusal) = action().await {
            if Instant::now() > limit {
                self.fail(&format!("could not {what} within {LIMIT:?}: {refusal}")).await;
            }
            sleep(POLL).await;
        }
    }

    /// Ends the test, with what the window shows and the app logged.
    ///
    /// # Panics
    /// Always.
    pub async fn fail(&self, what: &str) -> ! {
        let page = self.driver.execute("return document.body.innerText", json!([])).await;
        let page = page.map_or_else(|refusal| refusal.to_string(), |text| text.as_str().unwrap_or_default().to_owned());
        let file = self.folder.path().join("data/ahoy").join(&self.profile).join("logs/ahoy.log");
        let log = fs::read_to_string(file).unwrap_or_default();
        let log = log.get(log.len().saturating_sub(SHOWN_LOG)..).unwrap_or(&log);
        let stderr = self.driver.log().text();
        panic!("{}: {what}\n--- the page\n{page}\n--- the log\n{log}\n--- stderr\n{stderr}", self.profile);
    }
}

/// In the page: whether an element of a CSS selector has a place in the window.
const SEEN: &str = "const seen = (e) => e.checkVisibility({ visibilityProperty: true }); return [...document.querySelectorAll(arguments[0])].some(seen)";
/// Whether none has.
const UNSEEN: &str = "const seen = (e) => e.checkVisibility({ visibilityProperty: true }); return ![...document.querySelectorAll(arguments[0])].some(seen)";

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(value) => value.as_f64() != Some(0.0),
        Value::String(value) => !value.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn environment(desktop: &Desktop, sound: &SoundDaemon, folder: &Path) -> Vec<(&'static str, OsString)> {
    let folders = [("XDG_DATA_HOME", "data"), ("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache")];
    let folders = folders.into_iter().map(|(variable, name)| (variable, folder.join(name).into_os_string()));
    // As tauri-driver has it: the window lets itself be driven.
    let driven = ["TAURI_AUTOMATION", "TAURI_WEBVIEW_AUTOMATION"].map(|variable| (variable, OsString::from("true")));
    desktop.environment().chain(sound.environment()).chain(folders).chain(driven).collect()
}

fn arguments<'a>(profile: &'a str, more: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    ["--profile", profile, "--loopback-only"].into_iter().chain(more).map(str::to_owned).collect()
}
