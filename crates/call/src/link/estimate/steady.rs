//! Whether a queue stays exactly as it is. A queue that packets wait in moves with what is sent; what stays is the path's length.

use std::time::{Duration, Instant};

/// Between the shortest and the longest queue of a steady one; or this share of the longest.
const SPREAD: Duration = Duration::from_millis(8);
const SPREAD_SHARE: f64 = 0.12;
/// How long a queue has to stay.
const LASTS: Duration = Duration::from_millis(1200);

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
    /// Takes the queue's length now; true: it has stayed for long enough.
    pub(super) fn has_lasted(&mut self, now: Instant, queue: Duration) -> bool {
        let fresh = Span { since: now, shortest: queue, longest: queue };
        let span = self.0.unwrap_or(fresh);
        let span = Span { shortest: span.shortest.min(queue), longest: span.longest.max(queue), ..span };
        let steady = span.longest - span.shortest <= SPREAD.max(span.longest.mul_f64(SPREAD_SHARE));
        let span = *self.0.insert(if steady { span } else { fresh });
        now.saturating_duration_since(span.since) >= LASTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a queue of these lengths (ms), one every 50 ms, has lasted, in ms.
    fn lasts(lengths: impl IntoIterator<Item = u64>) -> Option<u64> {
        let (start, mut steadiness) = (Instant::now(), Steadiness::default());
        let mut times = lengths.into_iter().zip((0..).step_by(50));
        let found = times.find(|(length, at)| {
            steadiness.has_lasted(start + Duration::from_millis(*at), Duration::from_millis(*length))
        });
        found.map(|(_, at)| at)
    }

    #[test]
    fn a_queue_that_drains_or_grows_is_not_steady_and_a_longer_path_is() {
        assert_eq!(lasts((0..100).map(|step| 300 - step * 3)), None, "drains by 60 ms a second");
        assert_eq!(lasts((0..100).map(|step| 30 + step)), None, "grows by 20 ms a second");
        assert_eq!(lasts((0..100).map(|step| 70 + step % 2 * 5)), Some(1200));
        assert_eq!(lasts((0..10).map(|step| 300 - step * 20).chain([70; 50])), Some(500 + 1200), "steady from then on");
    }
}
