//! From totals to what the page shows of a second.

use std::time::{Duration, Instant};

use ahoy_call::{
    engine::{
        PeerStats,
        figures::{between, rounded, since},
    },
    link,
};
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
        let stats = stats(&before, &totals, now - before_at, at);
        let route = totals.link.route.map(|route| match route {
            link::Route::Direct => Route::Direct,
            link::Route::Relayed => Route::Relayed,
        });
        Some(Measured { stats, quality: self.marker.next(second(&stats, &before, &totals)), route })
    }
}

fn stats(before: &PeerStats, now: &PeerStats, elapsed: Duration, at: UnixMs) -> Stats {
    let (sent, received) = between(before, now, elapsed);
    Stats {
        at: at.0,
        rtt_ms: now.round_trip_ms(),
        loss_percent: rounded(now.link.loss_out * 100.0),
        out: StatsOut { kbps: sent.kbps, fps: sent.fps, width: sent.width, height: sent.height },
        incoming: StatsIn {
            kbps: received.kbps,
            fps: received.fps,
            width: received.width,
            height: received.height,
            lost: received.lost,
            recovered: received.recovered,
            freezes: received.freezes,
            jitter_buffer_ms: received.jitter_buffer_ms,
            concealed_ms: received.concealed_ms,
            skew_ms: received.av_skew_ms,
        },
        target_kbps: now.video.map(|video| video.target.kbps() as f64),
    }
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
        engine::{Adapted, AudioIn, VideoEncoding},
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
            video: Some(VideoEncoding {
                target: Bitrate::from_kbps(1000),
                format: None,
                adapted: Adapted::No,
                encoder,
            }),
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
