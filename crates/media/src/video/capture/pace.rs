//! When the next picture of a synthetic source is due.

use std::time::{Duration, Instant};

/// Deadlines at an exact rate: each is computed from the first, so that lateness never adds up to drift.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    /// Frames a second as a fraction, for rates like 30000/1001.
    rate: (u32, u32),
    next: u64,
}

impl Pace {
    /// `rate.0 / rate.1` pictures a second, the first at `start`. Zeros count as ones.
    pub(super) fn new(rate: (u32, u32), start: Instant) -> Self {
        Self { start, rate: (rate.0.max(1), rate.1.max(1)), next: 0 }
    }

    /// The deadline of the next picture. Deadlines that lie more than an interval in the past (the machine
    /// slept) are skipped: a burst of old pictures would help nobody.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let due = (now.saturating_duration_since(self.start).as_nanos() * u128::from(self.rate.0))
            / (u128::from(self.rate.1) * NANOS_PER_SECOND);
        self.next = self.next.max(u64::try_from(due).unwrap_or(u64::MAX));
        let deadline = self.start + self.offset(self.next);
        self.next += 1;
        deadline
    }

    fn offset(&self, frame: u64) -> Duration {
        let nanos = u128::from(frame) * u128::from(self.rate.1) * NANOS_PER_SECOND / u128::from(self.rate.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The last deadline of `frames`, each asked for `late` after the one before, from the start in
    /// nanoseconds.
    fn last_deadline(rate: (u32, u32), frames: u64, late: Duration) -> u128 {
        let start = Instant::now();
        let mut pace = Pace::new(rate, start);
        let mut deadline = pace.next(start);
        for _ in 1..frames {
            deadline = pace.next(deadline + late);
        }
        (deadline - start).as_nanos()
    }

    #[test]
    fn lateness_does_not_drift() {
        for late in [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(33)] {
            assert_eq!(last_deadline((30, 1), 30 * 600 + 1, late), 600 * NANOS_PER_SECOND, "{late:?} late each time");
        }
        assert_eq!(last_deadline((30000, 1001), 30001, Duration::ZERO), 1001 * NANOS_PER_SECOND);
    }

    #[test]
    fn missed_deadlines_are_skipped_in_phase() {
        let start = Instant::now();
        let mut pace = Pace::new((10, 1), start);
        pace.next(start);
        let asleep = start + Duration::from_millis(5042);
        assert_eq!(pace.next(asleep), start + Duration::from_millis(5000));
        assert_eq!(pace.next(asleep), start + Duration::from_millis(5100));
    }

    #[test]
    fn absurd_rates_do_not_panic() {
        for rate in [(0, 0), (0, u32::MAX), (u32::MAX, 1), (1, u32::MAX)] {
            let start = Instant::now();
            let mut pace = Pace::new(rate, start);
            pace.next(start);
            pace.next(start + Duration::from_secs(1));
        }
    }
}
