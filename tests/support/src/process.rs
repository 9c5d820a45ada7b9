//! Processes that end with the test that started them.

use std::{
    env, fs,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpgid},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
};

/// Lines of a program's stderr that are kept for a failure's message: the end is what tells.
const KEPT_LINES: usize = 200;

/// A killed process is gone within milliseconds; one that the kernel holds for a second is left to it.
const KILL_POLL: Duration = Duration::from_millis(2);
const KILL_POLLS: usize = 500;

/// A program with a process group of its own: whatever it starts ends with it.
pub struct ProcessGroup {
    leader: Child,
    group: Pid,
    log: Log,
}

impl ProcessGroup {
    /// Starts `command`. Its stderr is kept; stdin and stdout are as the command says.
    ///
    /// # Panics
    /// Where the program cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let program = command.as_std().get_program().to_owned();
        let mut leader = command
            .process_group(0)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let id = leader.id().expect("a process that was just started has an id");
        let log = Log::default();
        if let Some(stderr) = leader.stderr.take() {
            tokio::spawn(log.clone().keep(stderr));
        }
        Self { leader, group: Pid::from_raw(id.cast_signed()), log }
    }

    /// The program itself, for its streams and its end.
    pub fn leader(&mut self) -> &mut Child {
        &mut self.leader
    }

    /// The group's id, which is that of the program.
    pub fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// What the program wrote to stderr.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Kills those of its processes whose program's name begins so, and says how many there were.
    pub fn kill(&self, name: &str) -> usize {
        let pids = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let ours = pids.map(Pid::from_raw).filter(|&pid| getpgid(Some(pid)) == Ok(self.group));
        let is_named =
            |pid: &Pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(name));
        let named: Vec<_> = ours.filter(is_named).collect();
        for pid in &named {
            // It may have ended by itself.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        named.len()
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // It may have ended by itself; its children may not have.
        let _ = killpg(self.group, Signal::SIGKILL);
        // It may still hold files that are about to be removed.
        for _ in 0..KILL_POLLS {
            if !matches!(self.leader.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(KILL_POLL);
        }
    }
}

/// A program of this workspace: what `variable` in the environment names, or the one that cargo built beside
/// this test. `cargo test --workspace` builds it for the tests of its own package; asking cargo for it here
/// would build all dependencies anew, with other features.
///
/// # Panics
/// Where it is not there.
pub fn program(variable: &str, package: &str) -> PathBuf {
    let beside = || {
        let program = env::current_exe().expect("a program knows its own path");
        // A test is in target/PROFILE/deps, a program in target/PROFILE.
        let folder = program.ancestors().find(|folder| folder.join("deps").is_dir());
        let folder = folder.expect("cargo's folders around this program");
        folder.join(package).with_extension(env::consts::EXE_EXTENSION)
    };
    let binary = env::var_os(variable).map_or_else(beside, PathBuf::from);
    assert!(binary.exists(), "{} is missing: run `cargo build -p {package}`", binary.display());
    binary
}

/// The last lines that a program wrote to stderr.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    async fn keep(self, stderr: impl AsyncRead + Unpin) {
        // Bytes, not text: reading must go on whatever is written, or the program waits for a full pipe.
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == KEPT_LINES {
                kept.remove(0);
            }
            kept.push(String::from_utf8_lossy(&line).into_owned());
        }
    }

    /// The lines, joined.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}
