//! `demo`: two peers on this machine, each a process of its own, call each other through the real stack; what
//! each sends and receives is measured from outside, and printed as a report.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use ahoy_media::units::{Bitrate, VideoFormat};
use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use crate::{
    clock::unix_ms,
    latency::{self, Pictures, percentile},
    options::Exit,
};

/// Both peers hang up by themselves; this long after, something hangs.
const OVERTIME: Duration = Duration::from_secs(40);
/// A call settles in this time: encoder, jitter buffer and estimate start from guesses. Left out of the
/// medians.
const SETTLING_SECONDS: usize = 3;
/// No medium flows that loses more than half of its packets, or moves at less than half its rate.
const FLOWING: f64 = 0.5;

/// How the demonstration is made.
#[derive(Clone, Debug, Args)]
pub struct DemoOptions {
    /// Length of the call.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Size and rate of the picture.
    #[arg(long, default_value_t = VideoFormat::HD)]
    video: VideoFormat,
    /// Ceiling of the picture's bit rate.
    #[arg(long, default_value = "1500k")]
    bitrate: Bitrate,
    /// A bad network at one of the two: loss=0.1,delay=50,jitter=10,rate=1000k,seed=1
    #[arg(long)]
    net: Option<String>,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the demonstration. Normal only if sound and picture flowed both ways.
pub fn run(options: &DemoOptions) -> Exit {
    match demonstrate(options) {
        Ok(report) => {
            let flowed = report.sides.iter().all(|side| side.flowed(options));
            if options.json {
                println!("{}", report.to_json(options));
            } else {
                report.print(options);
            }
            match (report.connected, flowed) {
                (true, true) => Exit::Normal,
                (true, false) => Exit::MediaStopped,
                (false, _) => Exit::NoConnection,
            }
        }
        Err(error) => {
            eprintln!("The demonstration could not be held: {error:#}.");
            Exit::NoConnection
        }
    }
}

const NAMES: [&str; 2] = ["caller", "callee"];

/// What a peer's process prints.
enum Printed {
    Line(usize, String),
    End(usize),
}

/// One of the two processes, killed when the demonstration ends before it does.
struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    stats: PathBuf,
    pictures: JoinHandle<Pictures>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(role: &str, index: usize, options: &DemoOptions, folder: &Path, to: Sender<Printed>) -> anyhow::Result<Peer> {
    let (webm, stats) = (folder.join(format!("{role}.webm")), folder.join(format!("{role}.jsonl")));
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &webm, rustix::fs::FileType::Fifo, mode, 0)
        .with_context(|| format!("no FIFO in {}", folder.display()))?;
    let pictures = latency::watch(&webm)?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args([role, "--signal", "stdio", "--loopback-only"])
        .args(["--seconds", &options.seconds.to_string()])
        .args(["--video", &options.video.to_string(), "--bitrate", &options.bitrate.bps().to_string()])
        .arg("--remote-webm")
        .arg(&webm)
        .arg("--stats")
        .arg(&stats)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if let Some(net) = options.net.as_ref().filter(|_| index == 1) {
        command.args(["--net", net]);
    }
    let mut child = command.spawn().context("the peer does not start")?;
    let stdout = child.stdout.take().context("the peer has no stdout")?;
    let stdin = child.stdin.take();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if to.send(Printed::Line(index, line)).is_err() {
                return;
            }
        }
        let _ = to.send(Printed::End(index));
    });
    Ok(Peer { child, stdin, stats, pictures })
}

fn demonstrate(options: &DemoOptions) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let (to, printed) = mpsc::channel();
    let callee = start("answer", 1, options, folder.path(), to.clone())?;
    let caller = start("call", 0, options, folder.path(), to)?;
    let mut peers = [caller, callee];
    let limit = Instant::now() + Duration::from_secs(options.seconds.into()) + OVERTIME;
    let events = carry(&mut peers, &printed, limit)?;
    let mut sides = Vec::new();
    let [caller, callee] = &peers;
    let stats = [read_stats(&caller.stats), read_stats(&callee.stats)];
    for (peer, (stats, name)) in peers.into_iter().zip(stats.into_iter().zip(NAMES)) {
        sides.push(Side { name, stats, pictures: finish(peer) });
    }
    Ok(Report { connected: events.contains_key("connected"), ack_to_picture_ms: ack_to_picture(&events), sides })
}

/// The pictures of a peer that has ended.
fn finish(mut peer: Peer) -> Pictures {
    let _ = peer.child.wait();
    // A reader that still waits for the FIFO's first writer never had one.
    let watcher = std::mem::replace(&mut peer.pictures, std::thread::spawn(Pictures::default));
    if watcher.is_finished() || peer_wrote(&watcher) { watcher.join().unwrap_or_default() } else { Pictures::default() }
}

/// Waits shortly for the reader to see the end of its FIFO.
fn peer_wrote(watcher: &JoinHandle<Pictures>) -> bool {
    let limit = Instant::now() + Duration::from_secs(5);
    while !watcher.is_finished() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
    watcher.is_finished()
}

/// Carries each peer's messages to the other until both have ended; gives the first time (unix ms) of each
/// event and message of the caller's side.
fn carry(peers: &mut [Peer; 2], printed: &Receiver<Printed>, limit: Instant) -> anyhow::Result<HashMap<String, u64>> {
    let (mut times, mut running) = (HashMap::new(), 2);
    while running > 0 {
        let line = match printed.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            Ok(Printed::Line(from, line)) => (from, line),
            Ok(Printed::End(index)) => {
                running -= 1;
                // The other one has nobody to talk to any more.
                if let Some(other) = peers.get_mut(1 - index) {
                    other.stdin = None;
                }
                continue;
            }
            Err(RecvTimeoutError::Timeout) => bail!("a peer did not end in time"),
            Err(RecvTimeoutError::Disconnected) => bail!("the peers are gone"),
        };
        let (from, line) = line;
        let Ok(object) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(event) = object.get("event").and_then(Value::as_str) {
            let time = object.get("t").and_then(Value::as_u64).unwrap_or_default();
            let latest = matches!(event, "first-video");
            let known = times.entry(event.to_owned()).or_insert(time);
            if latest {
                *known = time.max(*known);
            }
        } else if let Some(other) = peers.get_mut(1 - from) {
            let kind = object.pointer("/payload/type").and_then(Value::as_str).unwrap_or_default();
            times.entry(kind.to_owned()).or_insert_with(unix_ms);
            if let Some(stdin) = &mut other.stdin {
                // A peer that has ended reads no more.
                let _ = writeln!(stdin, "{line}");
            }
        }
    }
    Ok(times)
}

/// From the moment the caller is told of the acceptance until both have a picture.
fn ack_to_picture(times: &HashMap<String, u64>) -> Option<f64> {
    let (ack, picture) = (times.get("call-ack")?, times.get("first-video")?);
    Some(picture.saturating_sub(*ack) as f64)
}

fn read_stats(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

struct Report {
    connected: bool,
    ack_to_picture_ms: Option<f64>,
    sides: Vec<Side>,
}

/// What one peer measured of itself, and what it received.
struct Side {
    name: &'static str,
    stats: Vec<Value>,
    pictures: Pictures,
}

impl Side {
    /// Returns the values of the stat at `pointer` in the call's settled seconds.
    fn values(&self, pointer: &str) -> Vec<f64> {
        self.active().skip(SETTLING_SECONDS).filter_map(|line| line.pointer(pointer)?.as_f64()).collect()
    }

    fn sum(&self, pointer: &str) -> f64 {
        self.active().filter_map(|line| line.pointer(pointer)?.as_f64()).sum()
    }

    fn active(&self) -> impl Iterator<Item = &Value> {
        self.stats.iter().filter(|line| line.get("state").and_then(Value::as_str) == Some("active"))
    }

    fn median(&self, pointer: &str) -> Option<f64> {
        percentile(&self.values(pointer), 0.5)
    }

    /// Pictures a second, by when they came, first and last second left out.
    fn shown_fps(&self) -> Option<f64> {
        let times = &self.pictures.arrivals;
        let (first, last) = (times.first()? + 1000, times.last()?.saturating_sub(1000));
        let seconds = last.checked_sub(first).filter(|ms| *ms > 0)? as f64 / 1e3;
        Some(times.iter().filter(|time| (first..last).contains(*time)).count() as f64 / seconds)
    }

    /// The longest time between two pictures in ms, the first second left out.
    fn longest_gap(&self) -> Option<f64> {
        let times = &self.pictures.arrivals;
        let first = times.first()? + 1000;
        times
            .iter()
            .zip(times.iter().skip(1))
            .filter(|(earlier, _)| **earlier >= first)
            .map(|(earlier, later)| later.saturating_sub(*earlier) as f64)
            .max_by(f64::total_cmp)
    }

    fn flowed(&self, options: &DemoOptions) -> bool {
        let played = self.sum("/in/played_ms");
        let heard =
            played > 0.0 && self.sum("/in/concealed_ms") / played < FLOWING && self.sum("/in/audio_packets") > 0.0;
        heard && self.pictures.ages_ms.len() as f64 > FLOWING * f64::from(options.video.fps * options.seconds)
    }

    fn rows(&self) -> Vec<(&'static str, &'static str, Option<f64>)> {
        let skew: Vec<f64> = self.values("/in/av_skew_ms").into_iter().map(f64::abs).collect();
        let settled = self.pictures.ages_ms.get(SETTLING_SECONDS * 30..).unwrap_or(&self.pictures.ages_ms);
        let played = self.sum("/in/played_ms");
        vec![
            ("capture_to_webm_p50_ms", "capture -> WebM bytes ready, p50 (ms)", percentile(settled, 0.5)),
            ("capture_to_webm_p95_ms", "capture -> WebM bytes ready, p95 (ms)", percentile(settled, 0.95)),
            ("sent_fps", "pictures sent a second", self.median("/out/fps")),
            ("fps", "pictures a second", self.shown_fps()),
            ("longest_gap_ms", "longest time between pictures (ms)", self.longest_gap()),
            ("freezes", "freezes", Some(self.sum("/in/freezes"))),
            ("frozen_ms", "time frozen (ms)", Some(self.sum("/in/freeze_ms"))),
            ("unreadable", "pictures undecodable", Some(self.pictures.unreadable as f64)),
            ("skipped", "pictures missing", Some(self.pictures.skipped as f64)),
            (
                "concealed_percent",
                "sound made up (%)",
                (played > 0.0).then(|| self.sum("/in/concealed_ms") / played * 100.0),
            ),
            ("skew_p95_ms", "sound from picture, p95 (ms)", percentile(&skew, 0.95)),
            ("jitter_buffer_ms", "jitter buffer (ms)", self.median("/in/jitter_buffer_ms")),
            ("rtt_ms", "round trip (ms)", self.median("/rtt_ms")),
            ("out_kbps", "sent (kbit/s)", self.median("/out/kbps")),
            ("encode_ms", "encoding a picture (ms)", self.median("/out/encode_ms")),
            ("cpu_percent", "CPU (% of a core)", self.median("/cpu_percent")),
            ("rss_mb", "resident memory (MB)", self.values("/rss_mb").last().copied()),
        ]
    }
}

impl Report {
    fn print(&self, options: &DemoOptions) {
        println!("A call between two peers on this machine: {}, {} s", options.video, options.seconds);
        match self.ack_to_picture_ms {
            Some(ms) => println!("From acceptance to both pictures: {ms:.0} ms"),
            None => println!("No picture came."),
        }
        println!("{:<42}{:>10}{:>10}", "", NAMES[0], NAMES[1]);
        let columns: Vec<_> = self.sides.iter().map(Side::rows).collect();
        if let [caller, callee] = columns.as_slice() {
            for ((_, label, left), (_, _, right)) in caller.iter().zip(callee) {
                let cell = |stat: &Option<f64>| stat.map_or("-".to_owned(), |stat| format!("{stat:.1}"));
                println!("{label:<42}{:>10}{:>10}", cell(left), cell(right));
            }
        }
        for side in self.sides.iter().filter(|side| !side.flowed(options)) {
            println!("The {} did not get sound and picture as it should.", side.name);
        }
    }

    fn to_json(&self, options: &DemoOptions) -> Value {
        let sides = self.sides.iter().map(|side| {
            let mut stats: serde_json::Map<String, Value> =
                side.rows().into_iter().map(|(key, _, stat)| (key.to_owned(), stat.into())).collect();
            stats.insert("flowed".to_owned(), side.flowed(options).into());
            (side.name.to_owned(), Value::Object(stats))
        });
        let mut report: serde_json::Map<String, Value> = sides.collect();
        report.insert("ack_to_picture_ms".to_owned(), self.ack_to_picture_ms.into());
        Value::Object(report)
    }
}
