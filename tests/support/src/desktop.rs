//! A desktop of a test's own: an X server that shows nothing to anybody, and a session bus.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::process::ProcessGroup;

/// Both start in a tenth of a second; a busy machine gets much more.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Room for three windows side by side: what another one lies over cannot be looked at.
const SCREEN: &str = "3240x900x24";
/// A window as the app opens it first, in the upper left corner where nobody places it.
const WINDOW: &str = "1080x720";
const WINDOW_WIDTH: u32 = 1080;

/// A running desktop, without a window manager. Dropping it ends it.
pub struct Desktop {
    display: String,
    bus: String,
    /// The titles of the windows that have been placed, from the left.
    placed: Mutex<Vec<String>>,
    _processes: [ProcessGroup; 2],
    _folder: TempDir,
}

impl Desktop {
    /// Starts one.
    ///
    /// # Panics
    /// Xvfb or dbus-daemon is not installed or does not start.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a folder for the desktop");
        let mut server = Command::new("Xvfb");
        server.args(["-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp"]);
        let (server, number) = started(&mut server).await;
        let config = folder.path().join("bus.conf");
        fs::write(&config, bus_config(&folder.path().join("bus"))).expect("the bus's configuration is written");
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--nofork", "--nopidfile", "--print-address=1"]);
        bus.arg(format!("--config-file={}", config.display()));
        let (bus, address) = started(&mut bus).await;
        Self {
            display: format!(":{number}"),
            bus: address,
            placed: Mutex::default(),
            _processes: [server, bus],
            _folder: folder,
        }
    }

    /// The X server's name.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The session bus's address.
    pub fn bus(&self) -> &str {
        &self.bus
    }

    /// What a program needs in its environment to be on this desktop and no other.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        [
            ("DISPLAY", OsString::from(&self.display)),
            ("DBUS_SESSION_BUS_ADDRESS", OsString::from(&self.bus)),
            ("GDK_BACKEND", "x11".into()),
            // Neither bus of accessibility nor settings of a user: nobody starts them here, and waiting for
            // them takes seconds.
            ("NO_AT_BRIDGE", "1".into()),
            ("GSETTINGS_BACKEND", "memory".into()),
            ("LC_ALL", "C.UTF-8".into()),
        ]
        .into_iter()
    }
}

impl Desktop {
    /// Puts a window beside those that were placed before.
    pub fn place(&self, title: &str) {
        let column = {
            let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
            placed.push(title.to_owned());
            u32::try_from(placed.len() - 1).expect("a few windows")
        };
        self.move_window(title, column * WINDOW_WIDTH);
    }

    /// Keeps a picture of a window that was placed, as a PNG. WebDriver's own pictures are no use: without
    /// compositing WebKit takes them when something is painted next, which may be never.
    ///
    /// # Panics
    /// FFmpeg is not installed or cannot write there.
    pub async fn screenshot(&self, title: &str, png: &Path) {
        let column = {
            let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
            let column = placed.iter().rposition(|placed| placed == title);
            u32::try_from(column.unwrap_or_else(|| panic!("{title} was not placed"))).expect("a few windows")
        };
        let corner = format!("{}+{},0", self.display, column * WINDOW_WIDTH);
        let mut command = Command::new("ffmpeg");
        command.args(["-y", "-loglevel", "error", "-f", "x11grab", "-draw_mouse", "0", "-video_size", WINDOW]);
        command.args(["-i", &corner, "-frames:v", "1"]).arg(png);
        let mut processes = ProcessGroup::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
        let done = timeout(START_LIMIT, processes.leader().wait()).await;
        assert!(matches!(done, Ok(Ok(status)) if status.success()), "ffmpeg: {}", processes.log().text());
    }
}

/// A bus that starts no services: what happens to be installed here is no part of a test.
fn bus_config(socket: &Path) -> String {
    format!(
        "<busconfig><type>session</type><listen>unix:path={}</listen><policy context=\"default\"><allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>",
        socket.display()
    )
}

/// Starts a program, and waits for the line by which it says where it can be reached.
async fn started(command: &mut Command) -> (ProcessGroup, String) {
    let program = command.as_std().get_program().display().to_string();
    let mut processes = ProcessGroup::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    let stdout = processes.leader().stdout.take().expect("stdout is piped");
    let mut lines = BufReader::new(stdout).lines();
    let line = timeout(START_LIMIT, lines.next_line()).await;
    let Ok(Ok(Some(line))) = line else { panic!("{program} does not start\n{}", processes.log().text()) };
    (processes, line)
}
