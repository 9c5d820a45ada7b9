//! The app without its window (`ahoy --bridge`), driven as its page drives it: commands and events on a
//! WebSocket, pictures over HTTP. What it plays goes to a sound daemon of its own, where it can be heard.

use std::{
    any::Any,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::{
    peer::{self, Carrier, LIMIT, Peer},
    process::{self, ProcessGroup},
    sound::SoundDaemon,
};

/// A running app.
pub struct App {
    /// Its process.
    pub processes: ProcessGroup,
    /// Its line: `{id, ok}` and `{id, error}` for commands, `{event}` for events.
    pub peer: Peer,
    /// Where a browser finds its page.
    pub url: String,
    port: u16,
    token: String,
    sound: SoundDaemon,
    commands: AtomicU64,
}

/// Starts an app that nobody has used before. `page` is the folder of what it shows in a browser.
///
/// # Panics
/// Where it cannot be found or started.
pub async fn start(name: &str, page: &Path) -> App {
    let home = TempDir::new().expect("a folder for the app's files");
    let path = home.path().to_owned();
    start_at(name, page, &path, home).await
}

/// Starts an app whose files are in `home`, which it may have been started in before.
///
/// # Panics
/// Where it cannot be found or started.
pub async fn start_in(name: &str, page: &Path, home: &Path) -> App {
    start_at(name, page, home, ()).await
}

async fn start_at(name: &str, page: &Path, home: &Path, life: impl Any + Send + Sync) -> App {
    let sound = SoundDaemon::start();
    let mut command = Command::new(binary());
    command
        .envs(sound.environment())
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .arg("--bridge")
        .arg(page)
        .args(["--profile", name, "--loopback-only"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut processes = ProcessGroup::start(&mut command);
    let stdout = processes.leader().stdout.take().expect("stdout is piped");
    let mut stdout = BufReader::new(stdout);
    let mut first = String::new();
    let said = timeout(LIMIT, stdout.read_line(&mut first)).await;
    let address: Value = match said {
        Ok(Ok(length)) if length > 0 => serde_json::from_str(&first).expect("the app says where it is in JSON"),
        _ => panic!("{name} did not start within {LIMIT:?}: {}", processes.log().text()),
    };
    let text = |field: &str| address[field].as_str().expect("a text").to_owned();
    let (token, url) = (text("token"), text("url"));
    let port = address["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port");

    let (unstarted, carrier) = peer::line();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the app listens");
    let bridge = format!("ws://127.0.0.1:{port}/bridge?token={token}");
    let (socket, _) = client_async(bridge, stream).await.expect("the app admits who has its token");
    tokio::spawn(carry(socket, carrier));
    let peer = unstarted.started(name, processes.log(), (life, stdout));
    App { processes, peer, url, port, token, sound, commands: AtomicU64::new(0) }
}

async fn carry(mut socket: WebSocketStream<TcpStream>, mut carrier: Carrier) {
    loop {
        tokio::select! {
            line = carrier.to_peer.recv() => match line {
                Some(line) => {
                    if socket.send(Message::text(line.to_string())).await.is_err() {
                        return;
                    }
                }
                None => return,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    carrier.received(serde_json::from_str(&text).expect("the app sends JSON"));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

impl App {
    /// Does a command of the page's; `Err` is the notice that refuses it.
    ///
    /// # Errors
    /// As the app says.
    ///
    /// # Panics
    /// Where there is no answer within [`LIMIT`].
    pub async fn ask(&self, command: &str, args: Value) -> Result<Value, Value> {
        let id = self.commands.fetch_add(1, Ordering::Relaxed);
        let from = self.peer.position();
        self.peer.send(json!({"id": id, "cmd": command, "args": args}));
        let answer =
            |lines: &[Value]| lines.iter().find(|line| line.get("id").and_then(Value::as_u64) == Some(id)).cloned();
        let mut answer = self.peer.wait_after(from, &format!("answer to {command}"), answer).await;
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["ok"].take()),
        }
    }

    /// Does a command that has to succeed.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn tell(&self, command: &str, args: Value) -> Value {
        let answer = self.ask(command, args).await;
        answer.unwrap_or_else(|notice| panic!("{command} was refused: {notice}{}", self.peer.recent()))
    }

    /// Waits for an event among the lines from `position` on of which `judge` makes something. `what` names
    /// it.
    ///
    /// # Panics
    /// Where it does not come within [`LIMIT`].
    pub async fn event<T>(&self, position: usize, what: &str, judge: impl Fn(&Value) -> Option<T>) -> T {
        let events = |lines: &[Value]| lines.iter().filter_map(|line| line.get("event")).find_map(&judge);
        self.peer.wait_after(position, what, events).await
    }

    /// Waits until the call is in this phase, by the events from `position` on.
    ///
    /// # Panics
    /// Where it is not within [`LIMIT`].
    pub async fn phase(&self, position: usize, phase: &str) -> Value {
        let in_phase =
            |event: &Value| (event["type"] == "call" && event["call"]["phase"] == phase).then(|| event["call"].clone());
        self.event(position, &format!("call that is {phase}"), in_phase).await
    }

    /// Where what it plays can be heard.
    pub fn sound(&self) -> &SoundDaemon {
        &self.sound
    }

    /// Reads a stream of pictures as the page does, from its newest key frame on.
    ///
    /// # Panics
    /// Where the app does not listen any more.
    pub async fn watch(&self, stream: &str) -> Watching {
        let connection = TcpStream::connect(("127.0.0.1", self.port)).await.expect("the app listens");
        let stream: String = stream.bytes().map(|byte| format!("%{byte:02x}")).collect();
        Watching {
            connection: BufReader::new(connection),
            path: format!("/media/{stream}?token={}", self.token),
            cursor: None,
        }
    }
}

/// A reader of one stream.
pub struct Watching {
    connection: BufReader<TcpStream>,
    path: String,
    cursor: Option<String>,
}

impl Watching {
    /// The next bytes of WebM, none of them where nothing came for a while; `None` at the end of the stream,
    /// and where there is none.
    ///
    /// # Panics
    /// Where the answer is none of `media://`'s.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        let after = self.cursor.as_ref().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let request = format!("GET {}{after} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.path);
        // The app may have been stopped.
        self.connection.write_all(request.as_bytes()).await.ok()?;
        let status = self.line().await?;
        let (mut length, mut cursor) = (0, None);
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().expect("a length in bytes"),
                Some(("x-ahoy-cursor", value)) => cursor = Some(value.to_owned()),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).await.ok()?;
        self.cursor = cursor;
        match status.split(' ').nth(1) {
            Some("200") => Some(body),
            Some("204" | "404") => None,
            _ => panic!("media:// answered {status:?}"),
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.connection.read_line(&mut line).await.ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    }
}

/// The program under test: what `AHOY` names, or the one that cargo built beside this test, with the feature
/// `test-bridge`.
///
/// # Panics
/// Where it is not there.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| process::program("AHOY", "ahoy"))
}

/// The page as `npm run build:test` builds it.
///
/// # Panics
/// Where it has not been built.
pub fn built_page() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist-test");
    assert!(folder.join("index.html").exists(), "{} has no page: run `npm run build:test` in ui", folder.display());
    folder
}

/// A copy of the built page with `tests/page` inside, whose `app.js` presses what a test says and tells what
/// is seen and heard.
///
/// # Panics
/// Where the page has not been built.
pub fn page_with_probes() -> TempDir {
    let folder = TempDir::new().expect("a folder for the page");
    copy(&built_page(), folder.path());
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../page"), &folder.path().join("probes"));
    let index = folder.path().join("index.html");
    let page = std::fs::read_to_string(&index).expect("the page's index.html");
    // Modules run in their order in the document: this one first.
    let page = page.replacen("<head>", "<head><script type=\"module\" src=\"/probes/app.js\"></script>", 1);
    std::fs::write(&index, page).expect("the page's index.html is written");
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("a file of the page");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).expect("a file of the page is copied");
        }
    }
}

/// Chromium's arguments for a camera and a microphone that are files: I420 in Y4M, and WAV.
pub fn fake_devices(camera: &Path, microphone: &Path) -> [OsString; 2] {
    let argument = |name: &str, path: &Path| {
        let mut argument = OsString::from(name);
        argument.push(path);
        argument
    };
    [argument("--use-file-for-fake-video-capture=", camera), argument("--use-file-for-fake-audio-capture=", microphone)]
}
