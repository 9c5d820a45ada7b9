//! What is measured of a call over a path.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ahoy_media::webm::demux::Demuxer;
use ahoy_test_support::{browser::Browser, net::path::Counts, peer::is_event};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::Value;

use crate::sample::percentile;

/// A longer time between two frames counts as frozen, with all of it.
const FROZEN_MS: f64 = 150.0;
/// A bottleneck counts as found when so much of it was carried in a second.
const FOUND_SHARE: f64 = 0.9;

/// What one call was like.
#[derive(Default)]
pub struct Outcome {
    /// From the acceptance until the first video; none where none came.
    pub connected_ms: Option<f64>,
    /// From the acceptance until the first sound.
    pub sound_ms: Option<f64>,
    /// Share of the bottleneck that was used.
    pub used: Option<f64>,
    /// From the connection until 90 % of the bottleneck were used, in seconds.
    pub found_s: Option<f64>,
    /// The bottleneck's queue, one value every 10 ms.
    pub queue_ms: Vec<f64>,
    /// What the path carried, IP headers included.
    pub kbps: f64,
    /// What the receiver showed and played.
    pub seen: Seen,
    /// What the path did.
    pub forward: Counts,
    /// When the path began, in unix ms.
    pub began_ms: f64,
}

/// What a receiver showed and played in a stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When each frame came, in unix ms.
    pub frames: Vec<f64>,
    /// The stretch, in unix ms.
    pub between: (f64, f64),
    /// Share of the sound that was made up.
    pub concealed: Option<f64>,
    /// Width and height of the last frame.
    pub size: Option<(u64, u64)>,
    /// Height of the frames over time: unix ms and lines, one entry for each report of the receiver.
    pub heights: Vec<(f64, f64)>,
}

impl Seen {
    /// Share of the time without a new frame for longer than 150 ms.
    pub fn frozen(&self) -> Option<f64> {
        let (from, to) = self.between;
        let edges: Vec<f64> =
            std::iter::once(from).chain(self.frames.iter().copied()).chain(std::iter::once(to)).collect();
        let frozen: f64 = edges.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > FROZEN_MS).sum();
        (to > from).then(|| frozen / (to - from))
    }

    /// Whether anything was shown.
    pub fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Frames a second.
    pub fn fps(&self) -> Option<f64> {
        let (from, to) = self.between;
        (to > from).then(|| self.frames.len() as f64 * 1000.0 / (to - from))
    }

    /// Longest time between two frames, in ms.
    pub fn longest_gap_ms(&self) -> Option<f64> {
        self.frames.windows(2).map(|pair| pair[1] - pair[0]).max_by(f64::total_cmp)
    }
}

impl Outcome {
    /// The value below which this share of the queue's samples lie, in ms.
    pub fn queue(&self, share: f64) -> Option<f64> {
        percentile(&self.queue_ms, share)
    }
}

/// Now, in unix ms.
pub fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

/// How long after `from` a second began in which 90 % of `rate` (bit/s) were carried.
pub fn found_after(counts: &Counts, from: Duration, rate: f64) -> Option<f64> {
    let second = Duration::from_secs(1);
    let enough = rate * FOUND_SHARE / 8.0;
    let begins = counts.samples.iter().map(|sample| Duration::from_secs_f64(sample.at)).filter(|at| *at >= from);
    let found = begins.step_by(10).find(|at| counts.carried_between(*at, *at + second) as f64 >= enough);
    found.map(|at| (at - from).as_secs_f64())
}

/// What a page showed and played since `since`.
pub fn browser_seen(browser: &Browser, since: f64) -> Seen {
    let content = browser.content();
    let until = content.watched.1;
    let lines = browser.peer.lines_after(0);
    let reports: Vec<&Value> = lines.iter().filter(|line| is_event(line, "media")).collect();
    let inbound = |report: &&Value, kind: &str| {
        let stats = report["stats"].as_array()?;
        stats.iter().find(|stats| stats["type"] == "inbound-rtp" && stats["kind"] == kind).cloned()
    };
    let samples = |report: &&Value| {
        let audio = inbound(report, "audio")?;
        Some((audio["concealedSamples"].as_f64()?, audio["totalSamplesReceived"].as_f64()?))
    };
    let before = reports.iter().rev().find(|report| report["t"].as_f64().is_some_and(|at| at <= since));
    let first = before.or(reports.first()).and_then(samples).unwrap_or_default();
    let last = reports.last().and_then(samples);
    let concealed = last.and_then(|last| (last.1 > first.1).then(|| (last.0 - first.0) / (last.1 - first.1)));
    let size = reports.last().and_then(|report| {
        let video = inbound(report, "video")?;
        Some((video["frameWidth"].as_u64()?, video["frameHeight"].as_u64()?))
    });
    let recent = reports.iter().filter(|report| report["t"].as_f64().is_some_and(|at| at > since));
    let heights =
        recent.filter_map(|report| Some((report["t"].as_f64()?, inbound(report, "video")?["frameHeight"].as_f64()?)));
    let heights = heights.collect();
    let frames = content.frames.iter().map(|frame| frame.at).filter(|at| *at > since).collect();
    Seen { frames, between: (since, until), concealed, size, heights }
}

/// Reads what an `ahoy-peer` receives: its WebM from a FIFO, and its statistics.
pub struct AhoyWatch {
    fifo: PathBuf,
    stats: PathBuf,
    frames: Arc<Mutex<Vec<f64>>>,
}

impl AhoyWatch {
    /// Makes a FIFO in `folder` and begins to read it.
    pub fn start(folder: &Path) -> Self {
        let (fifo, stats) = (folder.join("seen.webm"), folder.join("stats.jsonl"));
        mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO can be made");
        let frames = Arc::<Mutex<Vec<f64>>>::default();
        let (path, to) = (fifo.clone(), Arc::clone(&frames));
        thread::spawn(move || read_frames(&path, &to));
        Self { fifo, stats, frames }
    }

    /// What `ahoy-peer` is to be told.
    pub fn arguments(&self) -> impl Iterator<Item = String> + use<> {
        let text = |path: &Path| path.to_str().expect("a path in ASCII").to_owned();
        ["--remote-webm".to_owned(), text(&self.fifo), "--stats".to_owned(), text(&self.stats)].into_iter()
    }

    /// The statistics so far, one a second.
    pub fn statistics(&self) -> Vec<Value> {
        statistics(&self.stats)
    }

    /// What came since `since`.
    pub fn seen(&self, since: f64) -> Seen {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let frames = frames.iter().copied().filter(|at| *at > since).collect();
        let lines = self.statistics();
        let recent = || lines.iter().filter(|line| line["t"].as_f64().is_some_and(|at| at > since));
        let sum = |key: &str| recent().filter_map(|line| line["in"][key].as_f64()).sum::<f64>();
        let played = sum("played_ms");
        let size = lines.last().and_then(|line| Some((line["in"]["width"].as_u64()?, line["in"]["height"].as_u64()?)));
        let concealed = (played > 0.0).then(|| sum("concealed_ms") / played);
        let heights = recent().filter_map(|line| Some((line["t"].as_f64()?, line["in"]["height"].as_f64()?))).collect();
        Seen { frames, between: (since, unix_ms()), concealed, size, heights }
    }
}

/// The lines of a file that `ahoy-peer --stats` writes; the last one may not be whole yet.
pub fn statistics(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn read_frames(fifo: &Path, to: &Mutex<Vec<f64>>) {
    let Ok(mut file) = File::open(fifo) else { return };
    let (mut demuxer, mut buffer) = (Demuxer::new(), vec![0; 1 << 16]);
    while let Ok(len) = file.read(&mut buffer) {
        let now = unix_ms();
        let Ok(frames) = demuxer.push(&buffer[..len]) else { return };
        if len == 0 {
            return;
        }
        to.lock().unwrap_or_else(PoisonError::into_inner).extend(frames.iter().map(|_| now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_at_either_end_counts_as_frozen() {
        let seen = |frames: &[f64]| Seen { frames: frames.to_vec(), between: (0.0, 1000.0), ..Seen::default() };
        assert_eq!(seen(&[]).frozen(), Some(1.0));
        let steady: Vec<f64> = (0..30).map(|n| f64::from(n) * 33.0).collect();
        assert_eq!(seen(&steady).frozen(), Some(0.0));
        assert_eq!(seen(&[100.0, 200.0, 300.0]).frozen(), Some(0.7));
    }
}
