//! One line of statistics a second: what happened since the line before.

use std::time::Instant;

use ahoy_call::{engine::PeerStats, link::Route};
use serde::Serialize;

use crate::{
    clock::unix_ms,
    process::{CpuMeter, resident_mb},
};

/// Samples of sound in a millisecond.
const SAMPLES_PER_MS: u64 = 48;

/// A line of `--stats`. Counts are of the last second, but for those named `total`.
#[derive(Clone, Debug, Serialize)]
pub struct StatsLine {
    /// Unix time in ms.
    pub t: u64,
    /// Where the call stands.
    pub state: &'static str,
    /// Which way media take.
    pub route: Option<Route>,
    /// Round trip.
    pub rtt_ms: Option<f64>,
    /// What we send.
    pub out: Out,
    /// What we receive.
    #[serde(rename = "in")]
    pub incoming: In,
    /// Percent of one core, all threads of this process.
    pub cpu_percent: Option<f64>,
    /// Resident memory of this process.
    pub rss_mb: Option<f64>,
}

/// What we send.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Out {
    /// Payload of picture and sound.
    pub kbps: f64,
    /// Frames of picture.
    pub fps: f64,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Key frames.
    pub key_frames: u64,
    /// What the encoder aims at.
    pub target_kbps: u64,
    /// NACK messages that came.
    pub nack: u64,
    /// PLI and FIR messages that came.
    pub pli: u64,
    /// Packets of sound.
    pub audio_packets: u64,
    /// Frames that our own encoder or link threw away.
    pub dropped: u64,
    /// Time of the encoder for one frame, moving average.
    pub encode_ms: f64,
}

/// What we receive.
#[derive(Clone, Debug, Default, Serialize)]
pub struct In {
    /// Payload of picture and sound.
    pub kbps: f64,
    /// Frames of picture, decodable and in order.
    pub fps: f64,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Key frames.
    pub key_frames: u64,
    /// Packets of picture that never came.
    pub lost: u64,
    /// Packets of picture that came on request.
    pub recovered: u64,
    /// NACK messages that we sent.
    pub nack: u64,
    /// Key frames that we asked for.
    pub pli: u64,
    /// Times that the picture stood still (W3C webrtc-stats `freezeCount`).
    pub freezes: u64,
    /// How long it did.
    pub freeze_ms: f64,
    /// Longest time between two pictures since the start.
    pub longest_gap_ms_total: f64,
    /// Sound waiting to be played.
    pub jitter_buffer_ms: f64,
    /// Delay that the jitter buffer aims at.
    pub jitter_target_ms: f64,
    /// Sound that was made up.
    pub concealed_ms: f64,
    /// Sound that was played, made up or not.
    pub played_ms: f64,
    /// How much later the sound is heard than its picture can be shown; negative: earlier.
    pub av_skew_ms: Option<f64>,
    /// Packets of sound.
    pub audio_packets: u64,
}

/// Turns totals into figures of the time between.
#[derive(Debug)]
pub struct Statistics {
    before: Option<(Instant, PeerStats)>,
    cpu: CpuMeter,
}

impl Statistics {
    /// Starts to measure.
    pub fn start() -> Self {
        Self { before: None, cpu: CpuMeter::start() }
    }

    /// The line for now. `peer`: none while there is no link.
    pub fn line(&mut self, state: &'static str, peer: Option<PeerStats>) -> StatsLine {
        let now = Instant::now();
        let (out, incoming) = match (&peer, &self.before) {
            (Some(peer), Some((at, before))) => difference(before, peer, (now - *at).as_secs_f64().max(1e-3)),
            (Some(_), None) | (None, _) => Default::default(),
        };
        let route = peer.as_ref().and_then(|peer| peer.link.route);
        let rtt = peer.as_ref().and_then(|peer| peer.link.round_trip);
        self.before = peer.map(|peer| (now, peer));
        StatsLine {
            t: unix_ms(),
            state,
            route,
            rtt_ms: rtt.map(|rtt| rounded(rtt.as_secs_f64() * 1e3)),
            out,
            incoming,
            cpu_percent: self.cpu.percent().map(rounded),
            rss_mb: resident_mb().map(rounded),
        }
    }
}

/// Totals start anew with a new call or stream; then nothing is known of the second between.
fn since(now: u64, before: u64) -> u64 {
    now.saturating_sub(before)
}

fn difference(before: &PeerStats, now: &PeerStats, seconds: f64) -> (Out, In) {
    let (old, new) = (&before.link, &now.link);
    let kbps = |bytes: u64| rounded(bytes as f64 * 8.0 / 1000.0 / seconds);
    let per_second = |count: u64| rounded(count as f64 / seconds);
    let (old_out, new_out) = (&old.video_out, &new.video_out);
    let (old_in, new_in) = (&old.video_in, &new.video_in);
    let (old_rx, new_rx) = (&old_in.receive, &new_in.receive);
    let (old_jitter, new_jitter) = (&before.audio.jitter, &now.audio.jitter);
    let encoder = now.video.map(|video| video.encoder);
    let out = Out {
        kbps: kbps(since(new_out.bytes, old_out.bytes) + since(new.audio_out.bytes, old.audio_out.bytes)),
        fps: per_second(since(new_out.frames, old_out.frames)),
        width: encoder.map_or(0, |encoder| encoder.width),
        height: encoder.map_or(0, |encoder| encoder.height),
        key_frames: since(new_out.key_frames, old_out.key_frames),
        target_kbps: now.video.map_or(0, |video| video.target.kbps()),
        nack: since(new_out.nacks, old_out.nacks),
        pli: since(new_out.key_requests, old_out.key_requests),
        audio_packets: since(new.audio_out.packets, old.audio_out.packets),
        dropped: since(new_out.dropped, old_out.dropped),
        encode_ms: rounded(encoder.map_or(0.0, |encoder| encoder.encode_us / 1e3)),
    };
    let incoming = In {
        kbps: kbps(since(new_rx.bytes, old_rx.bytes) + since(new.audio_in_bytes, old.audio_in_bytes)),
        fps: per_second(since(new_rx.frames, old_rx.frames)),
        width: new_in.size.0,
        height: new_in.size.1,
        key_frames: since(new_rx.key_frames, old_rx.key_frames),
        lost: since(new_rx.lost, old_rx.lost),
        recovered: since(new_rx.recovered, old_rx.recovered),
        nack: since(new_rx.nacks, old_rx.nacks),
        pli: since(new_rx.key_requests, old_rx.key_requests),
        freezes: since(new_in.freezes, old_in.freezes),
        freeze_ms: rounded(new_in.frozen.saturating_sub(old_in.frozen).as_secs_f64() * 1e3),
        longest_gap_ms_total: rounded(new_in.longest_gap.as_secs_f64() * 1e3),
        jitter_buffer_ms: rounded(f64::from(new_jitter.buffered_ms)),
        jitter_target_ms: rounded(f64::from(new_jitter.target_ms)),
        concealed_ms: ms(since(new_jitter.concealed_samples, old_jitter.concealed_samples)),
        played_ms: ms(since(new_jitter.total_samples, old_jitter.total_samples)),
        av_skew_ms: new_in.skew.map(|skew| rounded(skew * 1e3)),
        audio_packets: since(new.audio_in_packets, old.audio_in_packets),
    };
    (out, incoming)
}

fn ms(samples: u64) -> f64 {
    rounded(samples as f64 / SAMPLES_PER_MS as f64)
}

/// To a hundredth: more digits would claim more than is measured.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}
