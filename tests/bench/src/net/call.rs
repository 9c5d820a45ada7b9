//! One call over a path: who sends, who receives, and what was seen of it.

use std::{fmt, time::Duration};

use ahoy_test_support::{
    browser::{self, Browser, Options, Role},
    native::{self, Native},
    net::path::{Counts, Pair, Path},
    peer::{self, Peer},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{
    Line,
    measure::{self, AhoyWatch, Outcome, Seen},
};

/// A call that has no video by then is not connected.
const CONNECT_LIMIT: Duration = Duration::from_secs(25);
/// How long a browser may take to be there.
const START_LIMIT: Duration = Duration::from_secs(20);

/// What carries one end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `ahoy-peer`.
    Ahoy,
    /// A page in Chromium.
    Chromium,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ahoy => "Ahoy",
            Self::Chromium => "Chromium",
        })
    }
}

/// Who sends to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Sends the test signal.
    pub sender: Program,
    /// Receives it.
    pub receiver: Program,
}

/// What the sender of a call sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    /// Width, height and rate of the video.
    pub format: (u32, u32, u32),
    /// Ceiling of the video's bitrate, in kbit/s.
    pub ceiling_kbps: u32,
}

/// One end of a call.
enum End {
    Ahoy(Native, Option<AhoyWatch>),
    Chromium(Browser),
}

impl End {
    fn peer(&self) -> &Peer {
        match self {
            Self::Ahoy(native, _) => &native.peer,
            Self::Chromium(browser) => &browser.peer,
        }
    }
}

/// A call that runs.
pub struct Running {
    sender: End,
    receiver: End,
    /// From the acceptance until the first video, and until the first sound.
    connected: (Option<Duration>, Option<Duration>),
    _files: TempDir,
}

/// Starts a call between the machines of `pair`, and waits until video has come or too long has passed.
pub async fn start(pair: &Pair, ends: Ends, media: Media) -> Running {
    let files = TempDir::new().expect("a folder for what is received");
    let receiver = match ends.receiver {
        Program::Ahoy => {
            let watch = AhoyWatch::start(files.path());
            let arguments = ["answer", "--camera", "none", "--mic", "none"].map(str::to_owned);
            let native = native::start_in(&pair.far, arguments.into_iter().chain(watch.arguments()));
            End::Ahoy(native, Some(watch))
        }
        Program::Chromium => {
            let options = Options { sends: false, ..chromium(Role::Answer, media) };
            End::Chromium(browser::open_in(&pair.far, &options).await)
        }
    };
    let sender = match ends.sender {
        Program::Ahoy => {
            let (width, height, fps) = media.format;
            let video = format!("{width}x{height}@{fps}");
            let bitrate = format!("{}k", media.ceiling_kbps);
            let stats = files.path().join("sender.jsonl");
            let stats = stats.to_str().expect("a path in ASCII").to_owned();
            let arguments = ["call", "--video", &video, "--bitrate", &bitrate, "--stats", &stats].map(str::to_owned);
            End::Ahoy(native::start_in(&pair.near, arguments), None)
        }
        Program::Chromium => End::Chromium(browser::open_in(&pair.near, &chromium(Role::Call, media)).await),
    };
    peer::connect(sender.peer(), receiver.peer());
    let accepted = if ends.receiver == Program::Ahoy { "connecting" } else { "ringing" };
    let _ = receiver.peer().event_within(START_LIMIT, accepted).await;
    let began = Instant::now();
    let first = async |event| receiver.peer().event_within(CONNECT_LIMIT, event).await.map(|_| began.elapsed());
    let (video, audio) = tokio::join!(first("first-video"), first("first-audio"));
    Running { sender, receiver, connected: (video, audio), _files: files }
}

impl Running {
    /// Whether video came at all.
    pub fn is_connected(&self) -> bool {
        self.connected.0.is_some()
    }

    /// What was received from `since` (unix ms) until now.
    pub fn seen(&self, since: f64) -> Seen {
        match &self.receiver {
            End::Ahoy(_, Some(watch)) => watch.seen(since),
            End::Ahoy(_, None) => Seen::default(),
            End::Chromium(browser) => measure::browser_seen(browser, since),
        }
    }

    /// What the sender says of itself, for a look at a row that is bad.
    pub fn sender_stats(&self) -> Option<String> {
        match &self.sender {
            End::Ahoy(..) => std::fs::read_to_string(self._files.path().join("sender.jsonl")).ok(),
            End::Chromium(_) => None,
        }
    }

    /// The statistics of the sender and of the receiver, one a second; none of a page.
    pub fn statistics(&self) -> (Vec<Value>, Vec<Value>) {
        let received = match &self.receiver {
            End::Ahoy(_, Some(watch)) => watch.statistics(),
            End::Ahoy(_, None) | End::Chromium(_) => Vec::new(),
        };
        (measure::statistics(&self._files.path().join("sender.jsonl")), received)
    }

    /// From the acceptance until the first video, and until the first sound.
    pub fn connected_after(&self) -> (Option<Duration>, Option<Duration>) {
        self.connected
    }
}

fn chromium(role: Role, media: Media) -> Options {
    Options { format: media.format, ceiling_kbps: Some(media.ceiling_kbps), ..Options::new(role) }
}

/// A time as a number.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Holds one call over a path of its own.
pub async fn hold(ends: Ends, line: &Line) -> Outcome {
    let path = Path::start(1, line.forward.clone(), line.back.clone(), line.seed);
    let running = start(&path.pairs[0], ends, line.media).await;
    if !running.is_connected() {
        return Outcome { forward: path.forward(), ..Outcome::default() };
    }
    let connected = path.elapsed();
    sleep(line.settle).await;
    let (from, since) = (path.elapsed(), measure::unix_ms());
    sleep(line.watch).await;
    let (to, seen) = (path.elapsed(), running.seen(since));
    let forward: Counts = path.forward();
    if let Some(stats) = running.sender_stats().filter(|_| std::env::var_os("AHOY_BENCH_VERBOSE").is_some()) {
        eprintln!("{stats}");
    }
    let capacity = line.forward.capacity(from, to);
    let (video_after, audio_after) = running.connected_after();
    Outcome {
        connected_ms: video_after.map(milliseconds),
        sound_ms: audio_after.map(milliseconds),
        began_ms: measure::unix_ms() - milliseconds(path.elapsed()),
        used: capacity.map(|bits| forward.carried_between(from, to) as f64 * 8.0 / bits),
        found_s: line.forward.at(connected).rate.and_then(|rate| measure::found_after(&forward, connected, rate)),
        queue_ms: forward.queue_between(from, to),
        kbps: forward.carried_between(from, to) as f64 * 8.0 / 1000.0 / (to - from).as_secs_f64(),
        seen,
        forward,
    }
}
