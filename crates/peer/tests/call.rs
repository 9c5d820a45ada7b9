//! Whole calls of two processes whose messages this test carries: what becomes of them when it carries them
//! badly.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take that a test waits for.
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// What a pipe holds on Linux where nobody changed it (pipe(7)).
const PIPE_BYTES: usize = 64 << 10;

fn command(role: &str, folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ahoy-peer"));
    command
        .args([role, "--loopback-only", "--video", "320x180@15", "--bitrate", "300k", "--stats"])
        .arg(folder.path().join(role))
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Whether stdout of a peer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    On,
    Paused,
    Closed,
}

/// What a peer wrote so far, and whether more is to be read.
struct Lines {
    read: Vec<Value>,
    reading: Reading,
    ended: bool,
}

/// A peer, killed when the test ends before it does.
struct Peer {
    child: Child,
    stdin: Arc<Mutex<ChildStdin>>,
    lines: Arc<(Mutex<Lines>, Condvar)>,
    stats: std::path::PathBuf,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    fn start(role: &str, folder: &TempDir) -> Self {
        let mut child = command(role, folder).spawn().unwrap();
        let stdin = Arc::new(Mutex::new(child.stdin.take().unwrap()));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let state = Lines { read: Vec::new(), reading: Reading::On, ended: false };
        let lines = Arc::new((Mutex::new(state), Condvar::new()));
        let reader = Arc::clone(&lines);
        thread::spawn(move || {
            let mut line = String::new();
            let (state, changed) = &*reader;
            loop {
                let paused = |lines: &mut Lines| lines.reading == Reading::Paused;
                if changed.wait_while(state.lock().unwrap(), paused).unwrap().reading == Reading::Closed {
                    return;
                }
                line.clear();
                let len = stdout.read_line(&mut line).unwrap();
                let mut lines = state.lock().unwrap();
                if len == 0 {
                    lines.ended = true;
                } else {
                    lines.read.push(serde_json::from_str(&line).unwrap());
                }
                changed.notify_all();
                if len == 0 {
                    return;
                }
            }
        });
        Self { child, stdin, lines, stats: folder.path().join(role) }
    }

    /// From the next line on.
    fn set_reading(&self, reading: Reading) {
        let (state, changed) = &*self.lines;
        state.lock().unwrap().reading = reading;
        changed.notify_all();
    }

    fn send(&self, line: &Value) {
        // A peer that has ended reads no more.
        let _ = writeln!(self.stdin.lock().unwrap(), "{line}");
    }

    fn command(&self, name: &str) {
        self.send(&json!({ "cmd": name }));
    }

    fn until<T>(&self, what: &str, find: impl Fn(&[Value]) -> Option<T>) -> T {
        let (state, changed) = &*self.lines;
        let (lines, _) = changed
            .wait_timeout_while(state.lock().unwrap(), LIMIT, |lines| find(&lines.read).is_none() && !lines.ended)
            .unwrap();
        find(&lines.read).unwrap_or_else(|| panic!("no {what}: {:?}", lines.read))
    }

    fn event(&self, name: &str) -> Value {
        self.until(name, |lines| lines.iter().find(|line| line["event"] == name).cloned())
    }

    /// Everything it wrote, once it has closed its stdout.
    fn all_lines(&self) -> Vec<Value> {
        let (state, changed) = &*self.lines;
        let (lines, waited) = changed.wait_timeout_while(state.lock().unwrap(), LIMIT, |lines| !lines.ended).unwrap();
        assert!(!waited.timed_out(), "it goes on: {:?}", lines.read);
        lines.read.clone()
    }

    fn stats(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.stats).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until `count` further lines of its statistics are as `judge` wants them, one after the other.
    fn until_stats(&self, what: &str, count: usize, judge: impl Fn(&Value) -> bool) {
        let (start, limit) = (self.stats().len(), Instant::now() + LIMIT);
        loop {
            let stats = self.stats();
            let fresh = stats.get(start..).unwrap_or_default();
            if fresh.windows(count).any(|lines| lines.iter().all(&judge)) {
                return;
            }
            assert!(Instant::now() < limit, "no {what}: {fresh:?}");
            thread::sleep(POLL);
        }
    }

    fn exit(&mut self) -> ExitStatus {
        exit(&mut self.child)
    }
}

fn exit(child: &mut Child) -> ExitStatus {
    let limit = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < limit, "it does not end");
        thread::sleep(POLL);
    }
}

fn stderr(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Carries envelopes from one peer to the other for as long as the first one writes; `passes` says which.
fn carry(from: &Peer, to: &Peer, passes: impl Fn(&Value) -> bool + Send + 'static) {
    let (lines, stdin) = (Arc::clone(&from.lines), Arc::clone(&to.stdin));
    thread::spawn(move || {
        let (state, changed) = &*lines;
        let mut carried = 0;
        loop {
            let unchanged = |lines: &mut Lines| lines.read.len() == carried && !lines.ended;
            let lines = changed.wait_while(state.lock().unwrap(), unchanged).unwrap();
            let fresh: VecDeque<Value> = lines.read.iter().skip(carried).cloned().collect();
            if fresh.is_empty() {
                return;
            }
            drop(lines);
            carried += fresh.len();
            for line in fresh.iter().filter(|line| line.get("payload").is_some() && passes(line)) {
                let _ = writeln!(stdin.lock().unwrap(), "{line}");
            }
        }
    });
}

/// Caller and callee, who see and hear each other.
fn call(folder: &TempDir, callee_says: impl Fn(&Value) -> bool + Send + 'static) -> (Peer, Peer) {
    let (callee, caller) = (Peer::start("answer", folder), Peer::start("call", folder));
    carry(&caller, &callee, |_| true);
    carry(&callee, &caller, callee_says);
    for peer in [&caller, &callee] {
        peer.event("first-video");
        peer.event("first-audio");
    }
    (caller, callee)
}

fn receives_media(line: &Value) -> bool {
    line["in"]["fps"].as_f64() > Some(0.0) && line["in"]["audio_packets"].as_u64() > Some(0)
}

#[test]
fn a_peer_whose_output_is_not_read_for_a_while_goes_on_and_loses_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let (mut caller, mut callee) = call(&folder, |_| true);
    callee.set_reading(Reading::Paused);
    // Each is answered by a problem that quotes it: more than the pipe holds, and no more than may wait
    // behind it.
    let word = "x".repeat(1000);
    let count = PIPE_BYTES / word.len() + 100;
    let (stdin, commands) = (Arc::clone(&callee.stdin), count);
    thread::spawn(move || {
        for n in 0..commands {
            let _ = writeln!(stdin.lock().unwrap(), "{}", json!({"cmd": format!("{n}-{word}")}));
        }
        // Tells the other side: nor may the signaling hold media up.
        let _ = writeln!(stdin.lock().unwrap(), "{}", json!({"cmd": "hold"}));
    });
    callee.until_stats("hold while nobody reads", 1, |line| line["state"] == "on-hold");
    callee.command("resume");
    for peer in [&caller, &callee] {
        peer.until_stats("media while nobody reads", 3, receives_media);
    }
    let read_before = callee.lines.0.lock().unwrap().read.len();

    callee.set_reading(Reading::On);
    callee.command("hangup");
    assert_eq!((callee.exit().code(), caller.exit().code()), (Some(0), Some(0)));
    let lines = callee.all_lines();
    assert!(lines.len() > read_before + count, "the pipe was never full");
    let quoted: Vec<usize> = lines
        .iter()
        .filter(|line| line["code"] == "bad-message")
        .filter_map(|line| line["what"].as_str()?.split_once('`')?.1.split_once('-')?.0.parse().ok())
        .collect();
    assert_eq!(quoted, (0..count).collect::<Vec<_>>());
    let sequence: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert!(sequence.is_sorted() && sequence.len() > 5, "{sequence:?}");
    // The event and the message of the hang-up, of which either may be the last.
    let end = lines.get(lines.len() - 2..).unwrap();
    assert!(end.iter().any(|line| line["event"] == "ended"), "{end:?}");
    assert!(end.iter().any(|line| line["payload"]["type"] == "call-hangup"), "{end:?}");
    assert_eq!(caller.event("ended")["by"], "remote");
}

#[test]
fn a_closed_output_ends_a_call_with_one_message_and_no_hang() {
    let folder = tempfile::tempdir().unwrap();
    let (mut caller, mut callee) = call(&folder, |_| true);
    callee.set_reading(Reading::Closed);
    // The reader may still be in the line before; the first that it reads is its last.
    let limit = Instant::now() + LIMIT;
    while callee.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < limit, "it goes on without a stdout");
        callee.command("dance");
        thread::sleep(POLL);
    }
    assert_eq!(callee.exit().code(), Some(4));
    let told = stderr(&mut callee.child);
    assert_eq!(told.matches("stdout").count(), 1, "{told}");
    caller.command("hangup");
    caller.exit();
}

#[test]
fn an_output_that_takes_nothing_is_no_connection_and_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut child = command("call", &folder).stdout(full).spawn().unwrap();
    let _stdin = child.stdin.take();
    assert_eq!(exit(&mut child).code(), Some(3));
    let told = stderr(&mut child);
    assert_eq!(told.matches("stdout").count(), 1, "{told}");
}

/// A call in which the caller is not told that the callee's camera goes off: for the caller, the picture
/// stops.
fn call_whose_picture_stops(folder: &TempDir) -> (Peer, Peer) {
    let says_of_camera = |line: &Value| line["payload"]["type"] == "media-state" && line["payload"]["video"] == false;
    let (caller, callee) = call(folder, move |line| !says_of_camera(line));
    callee.command("camera-off");
    let problem = caller.until("problem", |lines| lines.iter().find(|line| line["code"] == "media").cloned());
    assert!(problem["what"].as_str().unwrap().starts_with("no picture "), "{problem}");
    (caller, callee)
}

#[test]
fn a_picture_that_stopped_and_did_not_come_back_is_media_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut caller, mut callee) = call_whose_picture_stops(&folder);
    caller.command("hangup");
    assert_eq!((caller.exit().code(), callee.exit().code()), (Some(4), Some(0)));
}

#[test]
fn a_picture_that_came_back_is_a_normal_end() {
    let folder = tempfile::tempdir().unwrap();
    let (mut caller, mut callee) = call_whose_picture_stops(&folder);
    callee.command("camera-on");
    caller.until_stats("picture", 2, receives_media);
    callee.command("hangup");
    assert_eq!((caller.exit().code(), callee.exit().code()), (Some(0), Some(0)));
}

#[test]
fn a_camera_and_a_microphone_that_are_off_are_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut caller, mut callee) = call(&folder, |_| true);
    callee.command("camera-off");
    callee.command("mute");
    // Longer than after which something is missed.
    caller.until_stats("call without media", 13, |line| line["state"] == "active" && line["in"]["fps"] == 0.0);
    caller.command("hangup");
    assert_eq!((caller.exit().code(), callee.exit().code()), (Some(0), Some(0)));
    assert!(caller.all_lines().iter().all(|line| line["code"] != "media"));
}
