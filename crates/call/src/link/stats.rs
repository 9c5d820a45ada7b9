//! What a link counts. Kept by ourselves: the stack has none of recovery, freezes and skew.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ahoy_media::units::Bitrate;

use super::Route;
use crate::rtp::{receive::ReceiveStats, voice::VoicePlan};

/// One direction of one outgoing stream, totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOut {
    /// Packets, retransmissions left out.
    pub packets: u64,
    /// Bytes of payload.
    pub bytes: u64,
    /// Frames; for sound, packets that were not silence.
    pub frames: u64,
    /// Key frames.
    pub key_frames: u64,
    /// NACK messages that came for it.
    pub nacks: u64,
    /// PLI and FIR messages that came for it.
    pub key_requests: u64,
    /// Frames that were thrown away because the link could not keep up.
    pub dropped: u64,
}

/// One incoming video stream, totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamIn {
    /// Loss recovery.
    pub receive: ReceiveStats,
    /// Newest size: width, height.
    pub size: (u32, u32),
    /// Times that the picture stood still: no frame for longer than 3 times the usual interval, or 150 ms
    /// more than it (W3C webrtc-stats `freezeCount`).
    pub freezes: u64,
    /// Time it stood still.
    pub frozen: Duration,
    /// The longest time between two frames.
    pub longest_gap: Duration,
    /// Newest distance of sound behind picture, seconds.
    pub skew: Option<f64>,
}

/// Everything a link measures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkStats {
    /// Which way media take; none until it is known.
    pub route: Option<Route>,
    /// Round trip, by receiver reports; by the checks of the path before there is one.
    pub round_trip: Option<Duration>,
    /// What the path is thought to carry.
    pub estimate: Option<Bitrate>,
    /// Share of our packets that the other side missed lately, 0 to 1, by receiver reports: of sound or of
    /// pictures, whichever is worse.
    pub loss_out: f64,
    /// Sound is sent more than once (RFC 2198), because it gets lost.
    pub sound_repeated: bool,
    /// How a voice is to be sent over this path; none before anything is known of it.
    pub voice: Option<VoicePlan>,
    /// Outgoing video.
    pub video_out: StreamOut,
    /// Outgoing sound.
    pub audio_out: StreamOut,
    /// Incoming video.
    pub video_in: StreamIn,
    /// Packets of incoming sound.
    pub audio_in_packets: u64,
    /// Bytes of incoming sound.
    pub audio_in_bytes: u64,
}

/// Written by the link's tasks, read by whoever asks.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedStats(Arc<Mutex<LinkStats>>);

impl SharedStats {
    pub(super) fn lock(&self) -> MutexGuard<'_, LinkStats> {
        // Numbers have no invariant that a panic could break.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshot(&self) -> LinkStats {
        *self.lock()
    }
}

/// Finds freezes by the definition of W3C webrtc-stats.
#[derive(Debug, Default)]
pub(super) struct FreezeDetector {
    last: Option<Instant>,
    /// Usual interval, seconds: a moving average over some 30 frames.
    usual: Option<f64>,
}

impl FreezeDetector {
    /// A frame is shown at `now`; counts into `stats`.
    pub(super) fn shown(&mut self, now: Instant, stats: &mut StreamIn) {
        let Some(last) = self.last.replace(now) else { return };
        let gap = now.saturating_duration_since(last);
        let seconds = gap.as_secs_f64();
        let Some(usual) = self.usual else {
            self.usual = Some(seconds);
            return;
        };
        stats.longest_gap = stats.longest_gap.max(gap);
        if seconds > (usual * 3.0).max(usual + 0.150) {
            stats.freezes += 1;
            stats.frozen += gap;
        } else {
            self.usual = Some(usual + (seconds - usual) / 30.0);
        }
    }

    /// The call is held: the next gap is no freeze.
    pub(super) fn pause(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_gap_is_one_freeze_and_a_pause_is_none() {
        let (mut detector, mut stats, mut now) = (FreezeDetector::default(), StreamIn::default(), Instant::now());
        let mut show = |detector: &mut FreezeDetector, stats: &mut StreamIn, ms| {
            now += Duration::from_millis(ms);
            detector.shown(now, stats);
        };
        for _ in 0..60 {
            show(&mut detector, &mut stats, 33);
        }
        assert_eq!(stats.freezes, 0);
        show(&mut detector, &mut stats, 170);
        assert_eq!(stats.freezes, 0, "under 33 + 150 ms");
        show(&mut detector, &mut stats, 250);
        assert_eq!((stats.freezes, stats.frozen), (1, Duration::from_millis(250)));
        detector.pause();
        show(&mut detector, &mut stats, 5000);
        assert_eq!(stats.freezes, 1);
    }
}
