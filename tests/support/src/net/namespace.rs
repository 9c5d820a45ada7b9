//! A network namespace: a machine of its own, as far as the network goes.

use std::{
    ffi::OsStr,
    fs::File,
    path::PathBuf,
    process::Command as StdCommand,
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};
use tokio::process::Command;

/// The kernel reports a new link's carrier within a second.
const UP_LIMIT: Duration = Duration::from_secs(5);

/// A network namespace. Dropping it removes it, with the devices in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Creates a namespace with nothing but loopback in it. `name` has to be unique on this machine: begin it
    /// with the process id.
    ///
    /// # Panics
    /// Without root, or where the name is taken.
    pub fn new(name: impl Into<String>) -> Self {
        let this = Self { name: name.into() };
        run("ip", ["netns", "add", &this.name]);
        this.ip(["link", "set", "lo", "up"]);
        this
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` in this namespace.
    ///
    /// # Panics
    /// Where `ip` fails.
    pub fn ip<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) {
        run("ip", ["-n", &*self.name].into_iter().chain(arguments));
    }

    /// Waits until the device has a carrier. Until then programs take it for unplugged.
    ///
    /// # Panics
    /// Where it has none within 5 s.
    pub fn until_up(&self, device: &str) {
        let start = Instant::now();
        loop {
            let shown = StdCommand::new("ip").args(["-n", &self.name, "-o", "link", "show", "dev", device]).output();
            let shown = String::from_utf8_lossy(&shown.expect("ip runs").stdout).into_owned();
            if shown.contains("state UP") {
                return;
            }
            assert!(start.elapsed() < UP_LIMIT, "{device} has no carrier: {shown}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs `program` in this namespace until it ends.
    ///
    /// # Panics
    /// Where it fails.
    pub fn run<'a>(&'a self, program: &'a str, arguments: impl IntoIterator<Item = &'a str>) {
        run("ip", ["netns", "exec", &*self.name, program].into_iter().chain(arguments));
    }

    /// A command that starts `program` in this namespace.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &*self.name]).arg(program);
        command
    }

    /// Calls `inside` on a thread that is in this namespace: sockets and devices that it opens belong here,
    /// and stay here whichever thread uses them later.
    ///
    /// # Panics
    /// Where the namespace cannot be entered, or `inside` panics.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let file = PathBuf::from("/run/netns").join(&self.name);
        let inside = || {
            let namespace = File::open(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("a namespace can be entered by root");
            inside()
        };
        thread::scope(|scope| scope.spawn(inside).join()).expect("the thread in the namespace")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let deleted = StdCommand::new("ip").args(["netns", "del", &self.name]).status();
        if !deleted.is_ok_and(|status| status.success()) {
            eprintln!("the namespace {} could not be removed", self.name);
        }
    }
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) {
    let arguments: Vec<&str> = arguments.into_iter().collect();
    let output = StdCommand::new(program).args(&arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {stderr}", arguments.join(" "));
}
