//! When to dial again somebody who was not there.

use std::time::Duration;

/// After the first failure: long enough for a program that restarts.
const FIRST: Duration = Duration::from_secs(1);
/// Who comes back dials us at once, so looking less often than this gains little and costs a hundred contacts
/// much.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits that double from failure to failure.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait. `chance`, 0 to 1, moves it by up to half to either side, so that two who lost each
    /// other do not dial at the same moments for ever.
    pub(crate) fn next(&mut self, chance: f64) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(0.5 + chance.clamp(0.0, 1.0))
    }

    /// Begins anew: there is reason to believe that the next attempt succeeds.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_limit_and_are_spread() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9).map(|_| backoff.next(0.5).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!((backoff.next(0.0), backoff.next(1.0)), (Duration::from_secs(60), Duration::from_secs(180)));
        for _ in 0..100 {
            backoff.next(0.5);
        }
        backoff.reset();
        assert_eq!(backoff.next(0.5), FIRST);
    }
}
