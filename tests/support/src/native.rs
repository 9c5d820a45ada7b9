//! An `ahoy-peer` as one end of a call.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::OnceLock,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdin, ChildStdout, Command},
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{
    net::namespace::Namespace,
    peer::{self, LIMIT, Peer},
    process::{self, ProcessGroup},
};

/// A running `ahoy-peer`, or a program with the same line.
pub struct Native {
    /// Its process.
    pub processes: ProcessGroup,
    /// Its end of the call.
    pub peer: Peer,
}

/// Starts `ahoy-peer` with `arguments`, its signaling on stdio.
///
/// # Panics
/// Where it cannot be built or started.
pub fn start(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Native {
    start_with(arguments, [])
}

/// As [`start`], with `environment` besides this process's own.
///
/// # Panics
/// As [`start`].
pub fn start_with(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    environment: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Native {
    let mut command = Command::new(binary());
    command.envs(environment);
    start_command(command, arguments)
}

/// As [`start`], on the machine that `namespace` is.
///
/// # Panics
/// As [`start`].
pub fn start_in(namespace: &Namespace, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Native {
    start_in_with(namespace, arguments, [])
}

/// As [`start_in`], with `environment` besides this process's own.
///
/// # Panics
/// As [`start`].
pub fn start_in_with(
    namespace: &Namespace,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    environment: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Native {
    let mut command = namespace.command(binary());
    command.envs(environment);
    start_command(command, arguments)
}

fn start_command(mut command: Command, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Native {
    command.args(arguments).args(["--signal", "stdio"]);
    start_on_stdio("ahoy-peer", command)
}

/// Starts a program that has its line on stdin and stdout, as `ahoy-peer` does.
///
/// # Panics
/// Where it cannot be started.
pub(crate) fn start_on_stdio(name: &str, mut command: Command) -> Native {
    let (unstarted, carrier) = peer::line();
    let mut processes = ProcessGroup::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let stdin = processes.leader().stdin.take().expect("stdin is piped");
    let stdout = processes.leader().stdout.take().expect("stdout is piped");
    tokio::spawn(give(stdin, carrier.to_peer));
    tokio::spawn(take(stdout, carrier.from_peer));
    let peer = unstarted.started(format!("{name} {}", processes.id()), processes.log(), ());
    Native { processes, peer }
}

impl Native {
    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// Where it has not within [`LIMIT`].
    pub async fn exit(&mut self) -> ExitStatus {
        match timeout(LIMIT, self.processes.leader().wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!("it still runs after {LIMIT:?}{}", self.peer.recent()),
        }
    }
}

async fn give(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<Value>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(format!("{line}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn take(stdout: ChildStdout, log: watch::Sender<Vec<Value>>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"));
        log.send_modify(|lines| lines.push(line));
    }
}

/// The program under test: what `AHOY_PEER` names, or the one that cargo built beside this test.
///
/// # Panics
/// Where it is not there.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| process::program("AHOY_PEER", "ahoy-peer"))
}
