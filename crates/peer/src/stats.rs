//! One line of statistics a second: what happened since the line before.

use std::time::Instant;

use ahoy_call::{
    engine::{
        PeerStats,
        interval::{Received, Sent, between, rounded},
    },
    link::Route,
};
use serde::Serialize;

use crate::{
    clock::unix_ms,
    process::{CpuMeter, resident_mb},
};

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
    /// Share of our packets that were lost lately, 0 to 1.
    pub loss_out: Option<f64>,
    /// How long our packets wait in the path's queue; none before the other side's feedback came.
    pub queue_ms: Option<f64>,
    /// What we send.
    pub out: Sent,
    /// What we receive.
    #[serde(rename = "in")]
    pub incoming: Received,
    /// Percent of one core, all threads of this process.
    pub cpu_percent: Option<f64>,
    /// Resident memory of this process.
    pub rss_mb: Option<f64>,
}

/// Turns totals into the stats of the time between two lines.
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
            (Some(peer), Some((at, before))) => between(before, peer, now - *at),
            (Some(_), None) | (None, _) => Default::default(),
        };
        let route = peer.as_ref().and_then(|peer| peer.link.route);
        let rtt_ms = peer.as_ref().and_then(PeerStats::round_trip_ms);
        let loss_out = peer.as_ref().map(PeerStats::loss_out);
        let queue_ms = peer.as_ref().and_then(PeerStats::queue_ms);
        self.before = peer.map(|peer| (now, peer));
        StatsLine {
            t: unix_ms(),
            state,
            route,
            rtt_ms,
            loss_out,
            queue_ms,
            out,
            incoming,
            cpu_percent: self.cpu.percent().map(rounded),
            rss_mb: resident_mb().map(rounded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_names_that_others_read() {
        let line = serde_json::to_value(Statistics::start().line("ringing", None)).unwrap();
        let names = |of: &serde_json::Value| {
            let mut names: Vec<_> = of.as_object().unwrap().keys().cloned().collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(names(&line), "cpu_percent in loss_out out queue_ms route rss_mb rtt_ms state t");
        assert_eq!(
            names(&line["out"]),
            "audio_packets dropped encode_ms fps height kbps key_frames limit nack pli target_kbps video width"
        );
        assert_eq!(
            names(&line["in"]),
            "audio_packets av_skew_ms concealed_ms fps freeze_ms freezes height jitter_buffer_ms jitter_target_ms kbps \
             key_frames longest_gap_ms_total lost nack played_ms pli recovered width"
        );
    }
}
