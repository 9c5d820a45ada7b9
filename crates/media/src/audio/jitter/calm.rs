//! When the network has calmed down, so that the delay may fall fast.
//!
//! Jitter ends (a download is over, the Wi-Fi is near again) and the delay that it needed is a burden from
//! then on. But disturbances also come back every few seconds. So a calm has to last for some seconds, and
//! longer where the delay fell too early before.

use crate::audio::SAMPLE_RATE;

const SECOND: i64 = SAMPLE_RATE as i64;
/// A calm counts after this long: Wi-Fi roams and scans in bursts of one to three seconds.
const PATIENCE_MIN: i64 = 3 * SECOND;
/// ... and at most after this: longer waiting is what the slow fall is for.
const PATIENCE_MAX: i64 = 24 * SECOND;
/// A packet that is late within this time of a fall, and would not have been without it, shows that the fall
/// was early.
const REGRET: i64 = 30 * SECOND;

/// Tells how long no packet has needed the delay.
#[derive(Debug)]
pub struct Calm {
    /// When a packet needed the delay last.
    needed: i64,
    patience: i64,
    /// The last fall: when, and the delay that it began from.
    fall: Option<(i64, i64)>,
}

impl Default for Calm {
    fn default() -> Self {
        Self { needed: i64::MIN / 2, patience: PATIENCE_MIN, fall: None }
    }
}

impl Calm {
    /// Takes in that a packet came at `now` that needed `need` of the delay `margin`.
    pub fn packet_arrived(&mut self, now: i64, need: i64, margin: i64) {
        if let Some((at, from)) = self.fall {
            if now - at > REGRET {
                (self.fall, self.patience) = (None, PATIENCE_MIN);
            } else if need > margin && need <= from {
                (self.fall, self.patience) = (None, (2 * self.patience).min(PATIENCE_MAX));
            }
        }
        if need > margin - super::delay::NEAR {
            self.needed = now;
        }
    }

    /// Whether the delay may fall fast.
    pub fn lasts(&self, now: i64) -> bool {
        now - self.needed > self.patience
    }

    /// Takes in that the delay falls at `now` from `margin`.
    pub fn falls(&mut self, now: i64, margin: i64) {
        // Falls in one go count as one, from where it began.
        let from = self.fall.filter(|(at, _)| now - at < SECOND).map_or(margin, |(_, from)| from);
        self.fall = Some((now, from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: i64 = 3000;
    const LOW: i64 = 700;

    /// A packet that needs the whole of `margin` at `seconds`, then nothing.
    fn needed(calm: &mut Calm, seconds: i64, margin: i64) {
        calm.packet_arrived(seconds * SECOND, margin, margin);
    }

    #[test]
    fn a_calm_counts_after_some_seconds_without_need() {
        let mut calm = Calm::default();
        needed(&mut calm, 10, HIGH);
        calm.packet_arrived(12 * SECOND, LOW, HIGH);
        assert!(!calm.lasts(13 * SECOND));
        assert!(calm.lasts(13 * SECOND + 1));
        needed(&mut calm, 14, HIGH);
        assert!(!calm.lasts(16 * SECOND));
    }

    #[test]
    fn a_fall_that_was_too_early_doubles_the_patience_up_to_its_bound() {
        let mut calm = Calm::default();
        let mut now = 0;
        for patience in [3, 6, 12, 24, 24].map(|seconds| seconds * SECOND) {
            needed(&mut calm, now / SECOND, HIGH);
            assert!(!calm.lasts(now + patience) && calm.lasts(now + patience + 1), "{patience}");
            // It falls in steps, and the next disturbance comes after them.
            now += patience + SECOND;
            calm.falls(now, HIGH);
            calm.falls(now + SECOND / 2, LOW + 100);
            now += SECOND;
            calm.packet_arrived(now, HIGH, LOW);
        }
    }

    #[test]
    fn a_packet_that_would_have_been_late_anyway_is_no_regret() {
        let mut calm = Calm::default();
        calm.falls(0, HIGH);
        calm.packet_arrived(SECOND, HIGH + 1, LOW);
        assert!(calm.lasts(5 * SECOND));
    }

    #[test]
    fn patience_is_short_again_after_a_fall_without_regret() {
        let mut calm = Calm::default();
        calm.falls(0, HIGH);
        calm.packet_arrived(SECOND, HIGH, LOW);
        assert!(!calm.lasts(6 * SECOND) && calm.lasts(8 * SECOND));
        calm.falls(8 * SECOND, HIGH);
        calm.packet_arrived(39 * SECOND, LOW, LOW);
        assert!(calm.lasts(43 * SECOND));
    }
}
