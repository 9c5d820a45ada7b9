//! What the bottleneck was last seen to carry.

use std::time::{Duration, Instant};

/// Weight of a new measurement.
const WEIGHT: f64 = 0.4;
/// A measurement that is off by more than this share is of another bottleneck, and is taken as it is.
const OTHER: f64 = 0.25;
/// A rate counts as near the capacity from this share of it on.
const NEAR: f64 = 0.85;
/// A path that carries more than this share of the capacity without a queue has a larger capacity.
const EXCEEDED: f64 = 1.08;
/// What was seen longer ago than this says little of the path now.
const FRESH: Duration = Duration::from_secs(60);

/// The link capacity: measured when a queue stands, since what arrives then is all that the bottleneck
/// carries.
#[derive(Debug, Default)]
pub(super) struct LinkCapacity {
    seen: Option<(f64, Instant)>,
}

impl LinkCapacity {
    /// The bottleneck carried `rate` bits a second while packets waited before it.
    pub(super) fn saturated(&mut self, now: Instant, rate: f64) {
        let rate = match self.seen {
            Some((old, _)) if (rate / old - 1.0).abs() <= OTHER => old + WEIGHT * (rate - old),
            Some(_) | None => rate,
        };
        self.seen = Some((rate, now));
    }

    /// The path carries `rate` bits a second without a queue. A little more than the capacity corrects it;
    /// much more says that the bottleneck is another one, of which nothing is known.
    pub(super) fn carried(&mut self, rate: f64) {
        match &mut self.seen {
            Some((capacity, _)) if rate > *capacity * (1.0 + OTHER) => self.seen = None,
            Some((capacity, _)) if rate > *capacity * EXCEEDED => *capacity = rate,
            Some(_) | None => {}
        }
    }

    /// Bits a second; none where it is not known, or no more.
    pub(super) fn get(&self, now: Instant) -> Option<f64> {
        self.seen.filter(|(_, at)| now.saturating_duration_since(*at) < FRESH).map(|(rate, _)| rate)
    }

    /// Whether a sender at `rate` has to expect a queue.
    pub(super) fn is_near(&self, now: Instant, rate: f64) -> bool {
        self.get(now).is_some_and(|capacity| rate >= capacity * NEAR)
    }

    /// Forgets everything: another path.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_of_one_bottleneck_are_averaged_and_another_one_replaces_it() {
        let (now, mut capacity) = (Instant::now(), LinkCapacity::default());
        assert_eq!(capacity.get(now), None);
        capacity.saturated(now, 1000.0);
        capacity.saturated(now, 1100.0);
        assert_eq!(capacity.get(now), Some(1040.0));
        assert!(capacity.is_near(now, 900.0) && !capacity.is_near(now, 800.0));
        capacity.saturated(now, 500.0);
        assert_eq!(capacity.get(now), Some(500.0));
        capacity.carried(520.0);
        assert_eq!(capacity.get(now), Some(500.0));
        capacity.carried(600.0);
        assert_eq!(capacity.get(now), Some(600.0));
        capacity.carried(800.0);
        assert_eq!(capacity.get(now), None);
        capacity.saturated(now, 500.0);
        assert_eq!(capacity.get(now + FRESH), None, "seen too long ago");
    }
}
