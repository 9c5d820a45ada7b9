//! From totals to the figures of a second.

use std::time::Instant;

use ahoy_call::engine::PeerStats;
use ahoy_media::audio::SAMPLE_RATE;
use ahoy_store::UnixMs;

use crate::api::{Quality, Stats, StatsIn, StatsOut};

/// Keeps the totals of the last look.
#[derive(Default)]
pub struct Figures {
    before: Option<(Instant, PeerStats)>,
}

impl Figures {
    /// The figures since the last look; none at the first.
    pub fn next(&mut self, stats: PeerStats, at: UnixMs) -> Option<Stats> {
        let now = Instant::now();
        let (before_at, before) = self.before.replace((now, stats.clone()))?;
        Some(difference(&before, &stats, (now - before_at).as_secs_f64().max(1e-3), at))
    }
}

/// Totals start anew with a new stream; then nothing is known of the time between.
fn since(now: u64, before: u64) -> u64 {
    now.saturating_sub(before)
}

fn difference(before: &PeerStats, now: &PeerStats, seconds: f64, at: UnixMs) -> Stats {
    let (old, new) = (&before.link, &now.link);
    let kbps = |bytes: u64| rounded(bytes as f64 * 8.0 / 1000.0 / seconds);
    let per_second = |count: u64| rounded(count as f64 / seconds);
    let (old_out, new_out) = (&old.video_out, &new.video_out);
    let (old_in, new_in) = (&old.video_in, &new.video_in);
    let (old_rx, new_rx) = (&old_in.receive, &new_in.receive);
    let (old_jitter, new_jitter) = (&before.audio.jitter, &now.audio.jitter);
    let encoder = now.video.map(|video| video.encoder);
    let concealed = since(new_jitter.concealed_samples, old_jitter.concealed_samples);
    Stats {
        at: at.0,
        rtt_ms: new.round_trip.map(|rtt| rounded(rtt.as_secs_f64() * 1e3)),
        loss_percent: rounded(new.loss_out * 100.0),
        out: StatsOut {
            kbps: kbps(since(new_out.bytes, old_out.bytes) + since(new.audio_out.bytes, old.audio_out.bytes)),
            fps: per_second(since(new_out.frames, old_out.frames)),
            width: encoder.map_or(0, |encoder| encoder.width),
            height: encoder.map_or(0, |encoder| encoder.height),
        },
        incoming: StatsIn {
            kbps: kbps(since(new_rx.bytes, old_rx.bytes) + since(new.audio_in_bytes, old.audio_in_bytes)),
            fps: per_second(since(new_rx.frames, old_rx.frames)),
            width: new_in.size.0,
            height: new_in.size.1,
            lost: since(new_rx.lost, old_rx.lost),
            recovered: since(new_rx.recovered, old_rx.recovered),
            freezes: since(new_in.freezes, old_in.freezes),
            jitter_buffer_ms: rounded(f64::from(new_jitter.buffered_ms)),
            concealed_ms: rounded(concealed as f64 * 1e3 / f64::from(SAMPLE_RATE)),
            skew_ms: new_in.skew.map(|skew| rounded(skew * 1e3)),
        },
        target_kbps: now.video.map(|video| video.target.kbps() as f64),
    }
}

/// To a hundredth: more digits would claim more than is measured.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// The mark for a second of a call. Talkers begin to interrupt each other from some 400 ms there and back (ITU-T G.114: 150 ms
/// one way are not noticed, 400 ms are too much); concealment is heard from a few percent on.
pub fn quality(stats: &Stats) -> Quality {
    let rtt = stats.rtt_ms.unwrap_or(0.0);
    let StatsIn { concealed_ms, freezes, .. } = stats.incoming;
    if stats.loss_percent > 10.0 || concealed_ms > 100.0 || rtt > 600.0 || freezes > 0 {
        Quality::Poor
    } else if stats.loss_percent > 3.0 || concealed_ms > 30.0 || rtt > 300.0 {
        Quality::Fair
    } else {
        Quality::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_goes_by_what_disturbs_most() {
        let stats = |loss_percent, rtt, concealed_ms, freezes| Stats {
            loss_percent,
            rtt_ms: Some(rtt),
            incoming: StatsIn { concealed_ms, freezes, ..StatsIn::default() },
            ..Stats::default()
        };
        for (row, expected) in [
            (stats(0.0, 20.0, 0.0, 0), Quality::Good),
            (stats(3.0, 300.0, 30.0, 0), Quality::Good),
            (stats(4.0, 20.0, 0.0, 0), Quality::Fair),
            (stats(0.0, 301.0, 0.0, 0), Quality::Fair),
            (stats(0.0, 20.0, 31.0, 0), Quality::Fair),
            (stats(11.0, 20.0, 0.0, 0), Quality::Poor),
            (stats(0.0, 601.0, 0.0, 0), Quality::Poor),
            (stats(0.0, 20.0, 101.0, 0), Quality::Poor),
            (stats(0.0, 20.0, 0.0, 1), Quality::Poor),
            (Stats::default(), Quality::Good),
        ] {
            assert_eq!(quality(&row), expected, "{row:?}");
        }
    }
}
