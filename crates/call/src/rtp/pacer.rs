//! How fast packets may leave: a leaky bucket, sans-IO.
//!
//! An ordinary frame passes at once; what is larger (a key frame, a burst of retransmissions) is spread, so that the
//! queue of a slow link does not overflow by our own doing.

use std::time::{Duration, Instant};

use ahoy_media::units::Bitrate;

/// Media leaves at up to this multiple of the target rate: libwebrtc's pacing factor, fast enough that a key frame
/// is through before the next frames pile up behind it.
const FACTOR: f64 = 2.5;
/// So much time's worth of the target rate passes unspread: three frames at 30 a second, so that the normal variation
/// of frame sizes costs no delay.
const BURST: Duration = Duration::from_millis(100);
/// Under this no single packet would fit.
const MIN_BURST_BYTES: f64 = 3000.0;

/// The leaky bucket.
#[derive(Debug)]
pub struct Pacer {
    target: Bitrate,
    /// Bytes in the bucket at `updated`.
    level: f64,
    updated: Instant,
}

impl Pacer {
    /// An empty bucket.
    pub fn new(now: Instant, target: Bitrate) -> Self {
        Self { target, level: 0.0, updated: now }
    }

    /// From now on paces for `target`.
    pub fn set_target(&mut self, now: Instant, target: Bitrate) {
        self.drain(now);
        self.target = target;
    }

    /// Counts `bytes` as sent at `now` and tells how long the next packet has to wait; zero: not at all.
    pub fn sent(&mut self, now: Instant, bytes: usize) -> Duration {
        self.drain(now);
        self.level += bytes as f64;
        let over = self.level - self.burst();
        if over <= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(over / self.drain_rate()) }
    }

    fn drain(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.level = (self.level - passed * self.drain_rate()).max(0.0);
        self.updated = now;
    }

    /// Bytes a second.
    fn drain_rate(&self) -> f64 {
        (self.target.bps() as f64 / 8.0 * FACTOR).max(1000.0)
    }

    fn burst(&self) -> f64 {
        (self.target.bps() as f64 / 8.0 * BURST.as_secs_f64()).max(MIN_BURST_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_frames_never_wait() {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(now, Bitrate::from_kbps(1500));
        for _ in 0..300 {
            for _ in 0..6 {
                assert_eq!(pacer.sent(now, 1100), Duration::ZERO);
            }
            now += Duration::from_micros(33_333);
        }
    }

    #[test]
    fn a_key_frame_is_spread_at_the_pacing_rate() {
        let start = Instant::now();
        let mut now = start;
        let mut pacer = Pacer::new(now, Bitrate::from_kbps(1500));
        for _ in 0..100 {
            now += pacer.sent(now, 1200);
        }
        // 120 kB less the burst of 18.75 kB at 2.5 times 187.5 kB/s
        let took = (now - start).as_secs_f64();
        assert!((took - 0.216).abs() < 0.005, "{took}");
    }

    #[test]
    fn a_tiny_target_still_moves() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now, Bitrate::from_bps(1));
        pacer.sent(now, 2000);
        assert!(pacer.sent(now, 2000) <= Duration::from_secs(1));
    }
}
