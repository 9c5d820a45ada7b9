//! For how long a queue has stayed exactly as it is.
//!
//! A queue that packets wait in moves with what is sent. What stays is the path's length.

use std::time::{Duration, Instant};

/// The lengths of a steady queue differ by no more than this.
const SPREAD: Duration = Duration::from_millis(10);

/// Watches the lengths of a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steadiness(Option<Span>);

/// A stretch of time in which the queue stayed within these lengths.
#[derive(Clone, Copy, Debug)]
struct Span {
    since: Instant,
    shortest: Duration,
    longest: Duration,
}

impl Steadiness {
    /// Takes the queue's length now, and returns for how long it has been steady.
    pub(super) fn lasted(&mut self, now: Instant, queue: Duration) -> Duration {
        let fresh = Span { since: now, shortest: queue, longest: queue };
        let span = self.0.unwrap_or(fresh);
        let span = Span { shortest: span.shortest.min(queue), longest: span.longest.max(queue), ..span };
        let span = *self.0.insert(if span.longest - span.shortest <= SPREAD { span } else { fresh });
        now.saturating_duration_since(span.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For how long a queue of these lengths (ms), one every 50 ms, is steady at the most, in ms.
    fn longest(lengths: impl IntoIterator<Item = u64>) -> u128 {
        let (start, mut steadiness) = (Instant::now(), Steadiness::default());
        let lasted = lengths.into_iter().zip((0..).step_by(50)).map(|(length, at)| {
            steadiness.lasted(start + Duration::from_millis(at), Duration::from_millis(length)).as_millis()
        });
        lasted.max().unwrap_or(0)
    }

    #[test]
    fn a_queue_that_drains_or_grows_is_not_steady_and_a_longer_path_is() {
        assert!(longest((0..100).map(|step| 300 - step * 3)) < 200, "drains by 60 ms a second");
        assert!(longest((0..100).map(|step| 30 + step)) < 600, "grows by 20 ms a second");
        assert_eq!(longest((0..25).map(|step| 70 + step % 2 * 5)), 1200);
        assert_eq!(longest((0..10).map(|step| 300 - step * 20).chain([70; 25])), 1200, "steady from then on");
    }
}
