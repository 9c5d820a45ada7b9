//! A private sound daemon: PulseAudio with null sinks, whose monitors are the microphones.
//!
//! The sound libraries find their server by the environment, which a running process cannot change safely. So
//! [`with_daemon`] runs the test once more in a process of its own, with the environment set from the start.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::again::run_again;

/// Starting takes a tenth of a second; a busy machine gets a hundred times that.
const START_LIMIT: Duration = Duration::from_secs(10);
/// A daemon whose test was killed ends by itself after this long without a client.
const IDLE_SECONDS: u32 = 30;
/// Says to the process started by [`with_daemon`] that it is the one.
const INSIDE: &str = "AHOY_TEST_INSIDE_SOUND";

/// The description (what people call it) of the sink that every daemon starts with, `test_speaker`.
pub const SPEAKER: &str = "Test_Speaker";
/// The description of the microphone that hears what [`SPEAKER`] plays, `test_speaker.monitor`.
pub const MICROPHONE: &str = "Monitor of Test_Speaker";

/// A running daemon of this test's own. Dropping it ends it.
pub struct SoundDaemon {
    process: Child,
    directory: Directory,
}

enum Directory {
    Own(TempDir),
    Borrowed(PathBuf),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Own(directory) => directory.path(),
            Self::Borrowed(path) => path,
        }
    }
}

impl SoundDaemon {
    /// Starts a daemon with one null sink, [`SPEAKER`], of 48 kHz.
    ///
    /// # Panics
    /// PulseAudio is not installed or does not start.
    pub fn start() -> Self {
        Self::start_in(Directory::Own(tempfile::tempdir().expect("a temporary directory")))
    }

    /// Starts the daemon of [`with_daemon`] again, at the same address, after its body has ended it.
    ///
    /// # Panics
    /// As [`SoundDaemon::start`], and outside of [`with_daemon`].
    pub fn restart_inside() -> Self {
        let directory = env::var_os("XDG_RUNTIME_DIR").filter(|_| env::var_os(INSIDE).is_some());
        Self::start_in(Directory::Borrowed(directory.expect("a body of with_daemon").into()))
    }

    fn start_in(directory: Directory) -> Self {
        let script = directory.path().join("daemon.pa");
        let socket = socket(directory.path());
        let lines = format!("load-module module-native-protocol-unix socket={socket} auth-anonymous=1\n");
        std::fs::write(&script, lines).expect("the daemon's script is written");
        let process = Command::new("pulseaudio")
            // -n: nothing of the system's own configuration.
            .args(["-n", "--daemonize=no", "--use-pid-file=no", "--disable-shm=yes", "--log-target=stderr"])
            .args(["--log-level=error", "--realtime=no", "--high-priority=no"])
            .arg(format!("--exit-idle-time={IDLE_SECONDS}"))
            .arg("-F")
            .arg(&script)
            .envs(environment(directory.path()))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(directory.path().join("log")).expect("the daemon's log is created"))
            .spawn()
            .unwrap_or_else(|e| panic!("pulseaudio does not run ({e}): install the package pulseaudio"));
        std::fs::write(pid_file(directory.path()), process.id().to_string()).expect("the daemon's number is written");
        let daemon = Self { process, directory };
        let start = Instant::now();
        while daemon.control().try_pactl(&["info"]).is_err() {
            assert!(start.elapsed() < START_LIMIT, "pulseaudio does not answer; it says: {}", daemon.log());
            thread::sleep(Duration::from_millis(20));
        }
        daemon.control().add_sink("test_speaker", SPEAKER);
        daemon
    }

    /// What a process needs in its environment to use this daemon and no other.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        environment(self.directory.path())
    }

    /// The means to change the daemon's devices.
    pub fn control(&self) -> SoundControl {
        SoundControl { directory: self.directory.path().to_owned() }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for SoundDaemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn socket(directory: &Path) -> String {
    directory.join("native").display().to_string()
}

fn pid_file(directory: &Path) -> PathBuf {
    directory.join("pid")
}

fn environment(directory: &Path) -> impl Iterator<Item = (&'static str, OsString)> {
    let server = OsString::from(format!("unix:{}", socket(directory)));
    [("PULSE_SERVER", server), ("XDG_RUNTIME_DIR", directory.into()), ("HOME", directory.into())].into_iter()
}

/// Adds and removes devices of a daemon, as plugging does.
pub struct SoundControl {
    directory: PathBuf,
}

/// A device that was added; it goes by [`SoundControl::remove`].
#[derive(Clone, Copy, Debug)]
pub struct Module(u32);

impl SoundControl {
    /// A null sink with this name and description, and its monitor.
    pub fn add_sink(&self, name: &str, description: &str) -> Module {
        let properties = format!("sink_properties=device.description={description}");
        // Without `norewinds` an idle null sink is two seconds ahead, and a new stream waits for them to
        // pass.
        self.load(&["module-null-sink", &format!("sink_name={name}"), "rate=48000", "norewinds=1", &properties])
    }

    /// Stops the daemon for so long, as a machine does that is too busy for it.
    pub fn freeze(&self, time: Duration) {
        let pid = std::fs::read_to_string(pid_file(&self.directory)).expect("the daemon's number");
        let pid = Pid::from_raw(pid.parse().expect("a number"));
        kill(pid, Signal::SIGSTOP).expect("the daemon is stopped");
        thread::sleep(time);
        kill(pid, Signal::SIGCONT).expect("the daemon goes on");
    }

    /// Loads a module of PulseAudio.
    pub fn load(&self, module: &[&str]) -> Module {
        let index = self.pactl(&[&["load-module"], module].concat());
        Module(index.trim().parse().unwrap_or_else(|_| panic!("{index:?} is no module index")))
    }

    /// Takes a device away, and with it the streams that use it.
    pub fn remove(&self, module: Module) {
        self.pactl(&["unload-module", &module.0.to_string()]);
    }

    /// The module that makes the sink `name`.
    pub fn module_of_sink(&self, name: &str) -> Module {
        let modules = self.pactl(&["list", "short", "modules"]);
        let wanted = format!("sink_name={name} ");
        let line = modules.lines().find(|line| line.contains(&wanted)).unwrap_or_else(|| panic!("no sink {name}"));
        let index = line.split_whitespace().next().and_then(|index| index.parse().ok());
        Module(index.unwrap_or_else(|| panic!("{line:?} has no index")))
    }

    /// Runs `pactl` and gives what it prints.
    ///
    /// # Panics
    /// It is not installed or fails.
    pub fn pactl(&self, arguments: &[&str]) -> String {
        self.try_pactl(arguments).unwrap_or_else(|error| panic!("pactl {arguments:?}: {error}"))
    }

    fn try_pactl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("pactl")
            .args(arguments)
            .env("PULSE_SERVER", format!("unix:{}", socket(&self.directory)))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|e| panic!("pactl does not run ({e}): install the package pulseaudio-utils"));
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

/// Runs `body` in a process whose sound server is a fresh daemon. `test` is the full name of the calling
/// test, which has nothing else in it.
pub fn with_daemon(test: &str, body: impl FnOnce(&SoundControl)) {
    if env::var_os(INSIDE).is_some() {
        let directory = env::var_os("XDG_RUNTIME_DIR").expect("the daemon's directory").into();
        return body(&SoundControl { directory });
    }
    let daemon = SoundDaemon::start();
    run_again(test, inside(daemon.environment()));
}

/// Runs `body` in a process that finds no sound server. `test` is the full name of the calling test.
pub fn without_daemon(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let empty = tempfile::tempdir().expect("a temporary directory");
    run_again(test, inside(environment(empty.path())));
}

fn inside(
    environment: impl Iterator<Item = (&'static str, OsString)>,
) -> impl Iterator<Item = (&'static str, OsString)> {
    environment.chain([(INSIDE, "1".into())])
}
