//! How often somebody may have something done.

use std::time::{Duration, Instant};

/// A few at once, and then one in a while (a token bucket).
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    every: Duration,
    /// What an allowance that is used up needs to be whole again.
    whole: Duration,
    /// When it is, or was, whole.
    whole_at: Option<Instant>,
}

impl Allowance {
    pub(super) fn new(at_once: u32, every: Duration) -> Self {
        Self { every, whole: every.saturating_mul(at_once), whole_at: None }
    }

    /// When the next one is allowed: in the past or now where one is.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let after = self.whole_at.unwrap_or(now).max(now) + self.every;
        after.checked_sub(self.whole).unwrap_or(now)
    }

    /// Takes one; false where none is allowed now.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let allowed = self.next(now) <= now;
        if allowed {
            self.whole_at = Some(self.whole_at.unwrap_or(now).max(now) + self.every);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_and_then_one_in_a_while() {
        let start = Instant::now();
        let mut allowance = Allowance::new(3, Duration::from_secs(1));
        let taken = |allowance: &mut Allowance, at: u64| {
            let now = start + Duration::from_secs(at);
            (0..10).filter(|_| allowance.take(now)).count()
        };
        for (at, expected) in [(0, 3), (0, 0), (1, 1), (2, 1), (4, 2), (100, 3), (101, 1)] {
            assert_eq!(taken(&mut allowance, at), expected, "after {at} s");
        }
        assert_eq!(allowance.next(start + Duration::from_secs(101)), start + Duration::from_secs(102));
    }
}
