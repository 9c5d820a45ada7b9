//! From totals to what the page shows of a second.

use std::time::{Duration, Instant};

use ahoy_call::{
    engine::{
        PeerStats,
        interval::{between, rounded},
    },
    link::Route,
};
use ahoy_store::UnixMs;

use crate::api::{Stats, StatsIn, StatsOut};

/// Turns totals into stats: keeps the totals of the last look.
#[derive(Default)]
pub struct StatsMeter {
    before: Option<(Instant, PeerStats)>,
}

/// What a second of a call was like.
pub struct Measured {
    pub stats: Stats,
    /// None before it is known.
    pub route: Option<Route>,
}

impl StatsMeter {
    /// The stats since the last look; none at the first.
    pub fn next(&mut self, totals: PeerStats, at: UnixMs) -> Option<Measured> {
        let now = Instant::now();
        let (before_at, before) = self.before.replace((now, totals.clone()))?;
        let stats = stats(&before, &totals, now - before_at, at);
        Some(Measured { stats, route: totals.link.route })
    }
}

fn stats(before: &PeerStats, now: &PeerStats, elapsed: Duration, at: UnixMs) -> Stats {
    let (sent, received) = between(before, now, elapsed);
    Stats {
        at: at.0,
        rtt_ms: now.round_trip_ms(),
        loss_percent: rounded(now.loss_out() * 100.0),
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

#[cfg(test)]
mod tests {
    use ahoy_call::{engine::AudioIn, link::LinkStats};

    use super::*;

    fn totals() -> PeerStats {
        let (link, audio) = (LinkStats::default(), AudioIn::default());
        PeerStats { peer: "p".into(), link, estimate: None, audio, video: None }
    }

    #[test]
    fn the_route_is_the_links() {
        let mut meter = StatsMeter::default();
        assert!(meter.next(totals(), UnixMs(0)).is_none());
        assert_eq!(meter.next(totals(), UnixMs(1)).unwrap().route, None);
        let mut relayed = totals();
        relayed.link.route = Some(Route::Relayed);
        assert_eq!(meter.next(relayed, UnixMs(2)).unwrap().route, Some(Route::Relayed));
    }
}
