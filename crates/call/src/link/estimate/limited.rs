//! Whether the application sends less than it may: then what arrives says nothing about what the path could
//! carry.

use std::time::Instant;

use super::rate::RateWindow;

/// The rate that counts is that of this long, in seconds: frames of different sizes even out.
const WINDOW_S: f64 = 1.0;
/// A sender under this share of the target is limited by what it has to send.
const LIMITED: f64 = 0.75;
/// The target may stay this much over what is sent, so that a key frame or louder sound finds room.
const ROOM: f64 = 1.5;
/// At least so much room, in bits a second: sound alone is little.
const LEAST_ROOM: f64 = 50_000.0;

/// Follows what leaves.
#[derive(Debug)]
pub(super) struct ApplicationLimit {
    origin: Option<Instant>,
    sent: RateWindow,
}

impl Default for ApplicationLimit {
    fn default() -> Self {
        Self { origin: None, sent: RateWindow::new(WINDOW_S) }
    }
}

impl ApplicationLimit {
    /// A packet of `bytes` left at `departure`.
    pub(super) fn sent(&mut self, departure: Instant, bytes: usize) {
        let origin = *self.origin.get_or_insert(departure);
        self.sent.push(departure.saturating_duration_since(origin).as_secs_f64(), bytes);
    }

    /// Bits a second that leave; none where that is not known yet.
    pub(super) fn rate(&self) -> Option<f64> {
        self.sent.rate(5)
    }

    /// Whether less leaves than `target` allows.
    pub(super) fn is_limited(&self, target: f64) -> bool {
        self.rate().is_none_or(|rate| rate < target * LIMITED)
    }

    /// A target that may be reached however little is sent.
    pub(super) fn least_room(&self) -> f64 {
        self.rate().unwrap_or(0.0) + LEAST_ROOM
    }

    /// The highest target that what is sent gives reason for.
    pub(super) fn most(&self) -> f64 {
        self.rate().map_or(f64::INFINITY, |rate| (rate * ROOM).max(self.least_room()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_sender_below_three_quarters_of_its_target_is_limited() {
        let (start, mut limit) = (Instant::now(), ApplicationLimit::default());
        assert!(limit.is_limited(1.0), "nothing was sent");
        for step in 0..100 {
            limit.sent(start + Duration::from_millis(step * 10), 1000);
        }
        // 800 kbit/s
        assert!(!limit.is_limited(1_000_000.0));
        assert!(limit.is_limited(1_100_000.0));
        assert!((limit.most() - 1_200_000.0).abs() < 1000.0);
    }
}
