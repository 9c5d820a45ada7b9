//! From totals to the figures of a second.

use std::time::Instant;

use ahoy_call::{engine::PeerStats, link};
use ahoy_media::audio::SAMPLE_RATE;
use ahoy_store::UnixMs;

use super::quality::{Marker, Second};
use crate::api::{Quality, Route, Stats, StatsIn, StatsOut};

/// Under so many pictures in a second, nothing is said of how many of them were sent.
const MANY_PICTURES: u64 = 5;

/// Keeps the totals of the last look.
#[derive(Default)]
pub struct Figures {
    before: Option<(Instant, PeerStats)>,
    marker: Marker,
}

/// What a second of a call was like.
pub struct Measured {
    pub stats: Stats,
    /// None before it has been measured for some seconds.
    pub quality: Option<Quality>,
    /// None before it is known.
    pub route: Option<Route>,
}

impl Figures {
    /// The figures since the last look; none at the first.
    pub fn next(&mut self, totals: PeerStats, at: UnixMs) -> Option<Measured> {
        let now = Instant::now();
        let (before_at, before) = self.before.replace((now, totals.clone()))?;
        let stats = difference(&before, &totals, (now - before_at).as_secs_f64().max(1e-3), at);
        let route = totals.link.route.map(|route| match route {
            link::Route::Direct => Route::Direct,
            link::Route::Relayed => Route::Relayed,
        });
        Some(Measured { stats, quality: self.marker.next(second(&stats, &before, &totals)), route })
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

/// What of the second makes its mark.
fn second(stats: &Stats, before: &PeerStats, now: &PeerStats) -> Second {
    let given = |stats: &PeerStats| stats.video.map_or(0, |video| video.encoder.frames + video.encoder.dropped);
    let given = since(given(now), given(before));
    let sent = since(now.link.video_out.frames, before.link.video_out.frames);
    // Of a camera that has just been opened there is nothing to tell.
    let unsent = if given < MANY_PICTURES { 0.0 } else { since(given, sent) as f64 * 100.0 / given as f64 };
    Second {
        loss: stats.loss_percent,
        freezes: stats.incoming.freezes as f64,
        round_trip: stats.rtt_ms.unwrap_or_default(),
        concealed: stats.incoming.concealed_ms,
        unsent,
    }
}

#[cfg(test)]
mod tests {
    use ahoy_call::{
        engine::{AudioIn, VideoEncoding},
        link::LinkStats,
    };
    use ahoy_media::{units::Bitrate, video::encode::EncoderStats};

    use super::*;

    fn totals(given: u64, sent: u64) -> PeerStats {
        let encoder = EncoderStats { frames: given, ..EncoderStats::default() };
        let mut stats = PeerStats {
            peer: "p".into(),
            link: LinkStats::default(),
            audio: AudioIn::default(),
            video: Some(VideoEncoding { target: Bitrate::from_kbps(1000), encoder }),
        };
        stats.link.video_out.frames = sent;
        stats
    }

    #[test]
    fn pictures_that_were_not_sent_count_against_the_call() {
        for (given, sent, unsent) in [(30, 30, 0.0), (30, 15, 50.0), (30, 31, 0.0), (3, 0, 0.0), (0, 0, 0.0)] {
            let (before, now) = (totals(100, 100), totals(100 + given, 100 + sent));
            assert_eq!(second(&Stats::default(), &before, &now).unsent, unsent, "{sent} of {given}");
        }
    }

    #[test]
    fn the_route_is_the_links() {
        let mut figures = Figures::default();
        assert!(figures.next(totals(0, 0), UnixMs(0)).is_none());
        assert_eq!(figures.next(totals(1, 1), UnixMs(1)).unwrap().route, None);
        let mut relayed = totals(2, 2);
        relayed.link.route = Some(link::Route::Relayed);
        assert_eq!(figures.next(relayed, UnixMs(2)).unwrap().route, Some(Route::Relayed));
    }
}
