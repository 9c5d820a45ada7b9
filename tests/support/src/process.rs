//! Processes that end with the test that started them.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
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
