//! A WebDriver client for one window: what a person does to a page, and what that page then is.
//!
//! WebKitWebDriver is spoken to directly, by W3C WebDriver over HTTP/1.1 on loopback. It starts the program
//! itself, so what the program is to find in its environment is given to the driver.

use std::{
    ffi::OsString,
    fmt,
    net::TcpListener,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{sleep, timeout},
};

use crate::process::{Log, ProcessGroup};

/// A window's start on a machine that compiles beside it; nothing else takes as long.
const REQUEST_LIMIT: Duration = Duration::from_secs(90);
/// The driver itself starts in a tenth of a second.
const START_LIMIT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(20);
/// Ports that somebody else takes between looking for a free one and listening there.
const START_ATTEMPTS: usize = 5;
/// By this key an element's reference is told from other objects (WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A driver, and the window that it drives. Both end when this is dropped, with everything that they started.
pub struct WebDriver {
    processes: ProcessGroup,
    port: u16,
    session: String,
}

/// A driver's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which, as WebDriver calls it: `no such element`, …
    pub error: String,
    /// In words.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.message)
    }
}

/// One step of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Pressed and kept.
    Down(char),
    /// Let go.
    Up(char),
}

/// Keys that are no letters (WebDriver, section 17.4.2).
pub mod key {
    /// Backspace.
    pub const BACKSPACE: char = '\u{E003}';
    /// Tab.
    pub const TAB: char = '\u{E004}';
    /// Enter.
    pub const ENTER: char = '\u{E007}';
    /// Shift.
    pub const SHIFT: char = '\u{E008}';
    /// Ctrl.
    pub const CONTROL: char = '\u{E009}';
    /// Escape.
    pub const ESCAPE: char = '\u{E00C}';
    /// End.
    pub const END: char = '\u{E010}';
    /// Home.
    pub const HOME: char = '\u{E011}';
    /// Arrow down.
    pub const DOWN: char = '\u{E015}';
    /// F1.
    pub const F1: char = '\u{E031}';
    /// F6.
    pub const F6: char = '\u{E036}';
}

impl WebDriver {
    /// Starts a driver with `environment` besides this process's own, and by it `program`.
    ///
    /// # Panics
    /// WebKitWebDriver is not installed, or no window comes.
    pub async fn start(
        program: &Path,
        arguments: &[String],
        environment: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Self {
        let environment: Vec<_> = environment.into_iter().collect();
        for _ in 0..START_ATTEMPTS {
            if let Some((processes, port)) = listening(&environment).await {
                let mut driver = Self { processes, port, session: String::new() };
                let options = json!({ "binary": program, "args": arguments });
                // No browserName: the driver would look for a browser of that name.
                let capabilities = json!({ "alwaysMatch": { "webkitgtk:browserOptions": options } });
                let session = driver.request("POST", "/session", Some(json!({ "capabilities": capabilities }))).await;
                let session = session.unwrap_or_else(|refusal| panic!("no window: {refusal}\n{}", driver.log().text()));
                let id = session["sessionId"].as_str().expect("a session has an id");
                driver.session = format!("/session/{id}");
                return driver;
            }
        }
        panic!("WebKitWebDriver found no port in {START_ATTEMPTS} attempts");
    }

    /// What driver and program wrote to stderr.
    pub fn log(&self) -> Log {
        self.processes.log()
    }

    /// Kills the process of the window's page. The driver has lost the page then.
    ///
    /// # Panics
    /// There is none.
    pub fn kill_page(&self) {
        // The kernel keeps 15 letters of a name.
        assert_eq!(self.processes.kill("WebKitWebProces"), 1, "one window has one page");
    }

    /// The process group's id.
    pub fn id(&self) -> i32 {
        self.processes.id()
    }

    /// Runs the body of a function in the page, and gives what it returns.
    ///
    /// # Errors
    /// It throws.
    pub async fn execute(&self, script: &str, arguments: Value) -> Result<Value, Refusal> {
        self.post("/execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// As [`WebDriver::execute`]; waits until the body calls its last argument, and gives what it calls it
    /// with.
    ///
    /// # Errors
    /// It throws, or does not call within half a minute.
    pub async fn execute_async(&self, script: &str, arguments: Value) -> Result<Value, Refusal> {
        self.post("/execute/async", json!({ "script": script, "args": arguments })).await
    }

    /// Clicks the first element of that CSS selector, where it is seen.
    ///
    /// # Errors
    /// There is none, it cannot be scrolled to, or something covers it.
    pub async fn click(&self, css: &str) -> Result<(), Refusal> {
        let element = self.find(css).await?;
        self.post(&format!("/element/{element}/click"), json!({})).await.map(drop)
    }

    /// Types into the first element of that CSS selector, after what is there.
    ///
    /// # Errors
    /// There is none, or it cannot be typed into.
    pub async fn type_into(&self, css: &str, text: &str) -> Result<(), Refusal> {
        let element = self.find(css).await?;
        self.post(&format!("/element/{element}/value"), json!({ "text": text })).await.map(drop)
    }

    /// Presses and releases keys, whatever has the focus.
    ///
    /// # Errors
    /// The window is gone.
    pub async fn keys(&self, keys: impl IntoIterator<Item = Key>) -> Result<(), Refusal> {
        let step = |key| match key {
            Key::Down(key) => json!({ "type": "keyDown", "value": key }),
            Key::Up(key) => json!({ "type": "keyUp", "value": key }),
        };
        let actions: Vec<_> = keys.into_iter().map(step).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", json!({ "actions": [keyboard] })).await.map(drop)
    }

    async fn find(&self, css: &str) -> Result<String, Refusal> {
        let element = self.post("/element", json!({ "using": "css selector", "value": css })).await?;
        Ok(element[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Refusal> {
        self.request("POST", &format!("{}{path}", self.session), Some(body)).await
    }

    async fn request(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Refusal> {
        let exchange = timeout(REQUEST_LIMIT, request(self.port, method, path, body)).await;
        let failed = |why: String| Refusal { error: "no answer".to_owned(), message: why };
        let answer = exchange.map_err(|_| failed(format!("{method} {path} takes over {REQUEST_LIMIT:?}")))?;
        let mut answer = answer.map_err(|error| failed(format!("{method} {path}: {error}")))?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => {
                let message = value["message"].as_str().unwrap_or_default().to_owned();
                Err(Refusal { error: error.to_owned(), message })
            }
            None => Ok(value),
        }
    }
}

/// A driver that answers at a port of its own; none where somebody else was faster.
async fn listening(environment: &[(&'static str, OsString)]) -> Option<(ProcessGroup, u16)> {
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let port = free.expect("a port on loopback").port();
    let mut command = Command::new("WebKitWebDriver");
    command.args(["--host=127.0.0.1", &format!("--port={port}")]).envs(environment.iter().cloned());
    let mut processes = ProcessGroup::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
    let start = Instant::now();
    while !request(port, "GET", "/status", None).await.is_ok_and(|status| status["value"]["ready"] == true) {
        if processes.leader().try_wait().is_ok_and(|ended| ended.is_some()) {
            return None;
        }
        assert!(start.elapsed() < START_LIMIT, "WebKitWebDriver does not answer\n{}", processes.log().text());
        sleep(START_POLL).await;
    }
    Some((processes, port))
}

/// One request on a connection of its own: the driver's answers have a length and no other coding.
async fn request(port: u16, method: &str, path: &str, body: Option<Value>) -> std::io::Result<Value> {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |head| head + 4);
    serde_json::from_slice(&answer[end..]).map_err(std::io::Error::other)
}
