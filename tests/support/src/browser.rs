//! A page in a browser as one end of a call: `tests/page`, served on loopback, with its line on a WebSocket.
//!
//! No WebDriver: everything that a test wants of the page goes through that line.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    http::header,
    response::Html,
    routing::get,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Command, task::JoinSet};

use crate::{
    content::Content,
    firefox,
    net::namespace::Namespace,
    peer::{self, Carrier, Peer, Unstarted},
    process::ProcessGroup,
    report,
    sound::SoundDaemon,
};

/// Names that Chromium goes by; `CHROMIUM` in the environment goes before them.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

const FLAGS: [&str; 14] = [
    "--headless=new",
    // Containers rarely let it have its own namespaces, and the only page it shows is ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Nobody to ask for the camera and the microphone.
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    // Both ends are on this machine, which may have no other network, and no mDNS to resolve hidden
    // addresses.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--enable-blink-features=MediaStreamInsertableStreams",
];

/// A camera and a microphone that need no hardware.
const FAKE_DEVICES: &str = "--use-fake-device-for-media-stream";

/// Which browser has the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Chromium, or Chrome.
    Chromium,
    /// Firefox.
    Firefox,
}

/// Which side of the call the page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends `call-request` at once.
    Call,
    /// Accepts the first call.
    Answer,
}

/// Where the page takes its pictures and sounds from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The test pattern and the test tone.
    TestSignal,
    /// What `getUserMedia` gives: the browser's fake devices.
    Devices,
    /// What `getUserMedia` gives: the default devices of the system.
    SystemDevices,
}

/// What the page is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The browser.
    pub engine: Engine,
    /// Its side of the call.
    pub role: Role,
    /// Whether it sends and wants sound.
    pub audio: bool,
    /// Whether it sends and wants pictures.
    pub video: bool,
    /// Where both come from.
    pub source: Source,
    /// Whether the browser may change what the microphone gives: echo, noise, gain.
    pub processing: bool,
    /// Whether it sends a second video beside the first.
    pub two_videos: bool,
    /// Width, height and rate of its pictures.
    pub format: (u32, u32, u32),
    /// Whether it sends what it could; else it only receives.
    pub sends: bool,
    /// Where its video bitrate starts and stops, where that is not the browser's to choose.
    pub bitrate_kbps: Option<u32>,
    /// Where its video bitrate stops; where it starts is the browser's to choose.
    pub ceiling_kbps: Option<u32>,
    /// For the browser, besides this process's own.
    pub environment: Vec<(&'static str, OsString)>,
}

impl Options {
    /// Sound and pictures of the test signal, small enough for a busy machine.
    pub fn new(role: Role) -> Self {
        Self {
            engine: Engine::Chromium,
            role,
            audio: true,
            video: true,
            source: Source::TestSignal,
            processing: true,
            two_videos: false,
            format: (640, 360, 30),
            sends: true,
            bitrate_kbps: None,
            ceiling_kbps: None,
            environment: Vec::new(),
        }
    }

    fn query(&self) -> String {
        let role = match self.role {
            Role::Call => "call",
            Role::Answer => "answer",
        };
        let source = match self.source {
            Source::TestSignal => "signal",
            Source::Devices | Source::SystemDevices => "device",
        };
        let (width, height, fps) = self.format;
        let (bitrate, ceiling) = (self.bitrate_kbps.unwrap_or_default(), self.ceiling_kbps.unwrap_or_default());
        let Self { audio, video, sends, processing, .. } = self;
        let videos = if self.two_videos { 2 } else { 1 };
        format!(
            "role={role}&source={source}&processing={processing}&audio={audio}&video={video}&videos={videos}\
             &sends={sends}&width={width}&height={height}&fps={fps}&bitrate={bitrate}&ceiling={ceiling}"
        )
    }
}

/// A page in a browser of its own.
pub struct Browser {
    /// Its processes.
    pub processes: ProcessGroup,
    /// Its end of the call.
    pub peer: Peer,
}

impl Browser {
    /// What the page has seen and heard so far.
    pub fn content(&self) -> Content {
        report::content(&self.peer)
    }
}

/// Starts the browser with the page.
///
/// # Panics
/// Where the browser cannot be found or started.
pub async fn open(options: &Options) -> Browser {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port on loopback");
    match options.engine {
        Engine::Chromium => open_with(Command::new(program()), listener, options),
        Engine::Firefox => open_firefox(listener, options),
    }
}

fn open_firefox(listener: TcpListener, options: &Options) -> Browser {
    let (unstarted, carrier) = peer::line();
    let server = Server::start(listener, carrier);
    let profile = firefox::profile();
    // Without a device nothing that a page plays or listens to runs.
    let sound = SoundDaemon::start();
    let mut command = Command::new(firefox::program().expect("Firefox"));
    command.args(firefox::FLAGS).arg("--profile").arg(profile.path());
    command.arg(format!("http://{}/?{}", server.address, options.query()));
    command.envs(sound.environment()).envs(options.environment.iter().cloned());
    let processes = ProcessGroup::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
    let life = (server, profile, sound);
    let peer = unstarted.started(format!("Firefox ({:?})", options.role), processes.log(), life);
    Browser { processes, peer }
}

/// As [`open`], on the machine that `namespace` is.
///
/// # Panics
/// As [`open`].
pub async fn open_in(namespace: &Namespace, options: &Options) -> Browser {
    let listener = namespace.enter(|| std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback"));
    listener.set_nonblocking(true).expect("a listener can be waited for");
    let listener = TcpListener::from_std(listener).expect("tokio takes a listener");
    open_with(namespace.command(program()), listener, options)
}

fn open_with(mut command: Command, listener: TcpListener, options: &Options) -> Browser {
    let (unstarted, carrier) = peer::line();
    let server = Server::start(listener, carrier);
    if options.source != Source::SystemDevices {
        command.arg(FAKE_DEVICES);
    }
    command.envs(options.environment.iter().cloned());
    let url = format!("http://{}/?{}", server.address, options.query());
    start(command, &url, &format!("Chromium ({:?})", options.role), unstarted, server)
}

/// Starts Chromium with the page of an app, whose URL has a query, and which has `tests/page/app.js` in it:
/// what that sees and hears is this browser's [`Browser::content`]. Camera and microphone are fake ones, of
/// which `arguments` may say more.
///
/// # Panics
/// Where Chromium cannot be found or started.
pub async fn open_app(name: &str, url: &str, arguments: impl IntoIterator<Item = OsString>) -> Browser {
    let (unstarted, carrier) = peer::line();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port on loopback");
    let server = Server::start(listener, carrier);
    let mut command = Command::new(program());
    command.arg(FAKE_DEVICES).args(arguments);
    let url = format!("{url}&line={}", server.address);
    start(command, &url, name, unstarted, server)
}

fn start(mut command: Command, url: &str, name: &str, unstarted: Unstarted, server: Server) -> Browser {
    let profile = TempDir::new().expect("a folder for the browser's profile");
    let mut user_data = OsString::from("--user-data-dir=");
    user_data.push(profile.path());
    command.args(FLAGS).arg(user_data).arg(url);
    let processes = ProcessGroup::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
    let peer = unstarted.started(name, processes.log(), (server, profile));
    Browser { processes, peer }
}

/// Where a program of this name is on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|at| at.is_file())
}

/// Chromium's program.
///
/// # Panics
/// Where there is none.
pub fn program() -> PathBuf {
    env::var_os("CHROMIUM")
        .map(PathBuf::from)
        .or_else(|| PROGRAMS.into_iter().find_map(on_path))
        .unwrap_or_else(|| panic!("no Chromium: none of {PROGRAMS:?} is on the PATH, and CHROMIUM names none"))
}

/// Serves the page, and carries one peer's line.
struct Server {
    /// Host and port.
    address: String,
    /// Ends with this.
    _task: JoinSet<()>,
}

impl Server {
    fn start(listener: TcpListener, carrier: Carrier) -> Self {
        let address = listener.local_addr().expect("its address").to_string();
        let page = page();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = axum::serve(listener, page.merge(line(carrier))).await;
        });
        Self { address, _task: task }
    }
}

fn page() -> Router {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../page");
    let read = |name: &str| {
        std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("tests/page/{name}: {error}"))
    };
    let index = Html(read("index.html"));
    ["call.js", "line.js", "pattern.js", "peer.js", "probes.js", "sound-worklet.js", "sources.js"].into_iter().fold(
        Router::new().route("/", get(index)),
        |router, name| {
            let script = ([(header::CONTENT_TYPE, "text/javascript")], read(name));
            router.route(&format!("/{name}"), get(script))
        },
    )
}

/// The page opens its line once: the first to come gets the carrier.
fn line(carrier: Carrier) -> Router {
    let carrier = Arc::new(Mutex::new(Some(carrier)));
    let upgrade = move |upgrade: WebSocketUpgrade| {
        let carrier = carrier.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            upgrade.on_upgrade(async move |socket| {
                if let Some(carrier) = carrier {
                    carry(socket, carrier).await;
                }
            })
        }
    };
    Router::new().route("/line", get(upgrade))
}

async fn carry(mut socket: WebSocket, mut carrier: Carrier) {
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
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let line: Value = serde_json::from_str(&text).expect("the page sends JSON");
                    carrier.received(line);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}
