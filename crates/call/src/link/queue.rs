//! How long packets wait in the path's queues, by how much longer they take than the fastest ones (RFC 6817, LEDBAT).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The fastest packet of so long is the path without a queue. Two of these are looked at, so that the drift of two
/// clocks (100 ppm: 3 ms in 30 s) and a new route are followed.
const BASE_SPAN: Duration = Duration::from_secs(15);
/// The fastest packet of so long is the queue that stands now: jitter, which a few packets of any frame escape, is not
/// one. (The "current filter" of RFC 6817 section 3.4.2.)
const CURRENT_SPAN: Duration = Duration::from_millis(300);

/// Measures the standing queue of a path from when packets departed (our clock) and arrived (the other side's clock).
#[derive(Debug, Default)]
pub(super) struct StandingQueue {
    origin: Option<Instant>,
    /// Fastest one-way time in this span and in the one before, seconds, with an unknown constant in it.
    base: (f64, f64),
    base_since: Option<Instant>,
    recent: VecDeque<(Instant, f64)>,
}

impl StandingQueue {
    /// A packet departed then, and arrived at that time of the other side's clock. Told about `now`.
    pub(super) fn arrived(&mut self, now: Instant, departure: Instant, arrival: Duration) {
        let origin = *self.origin.get_or_insert(departure);
        let sent = match departure.checked_duration_since(origin) {
            Some(after) => after.as_secs_f64(),
            None => -(origin - departure).as_secs_f64(),
        };
        let one_way = arrival.as_secs_f64() - sent;
        match self.base_since {
            Some(since) if now.saturating_duration_since(since) < BASE_SPAN => self.base.0 = self.base.0.min(one_way),
            Some(_) => {
                self.base = (one_way, self.base.0);
                self.base_since = Some(now);
            }
            None => {
                self.base = (one_way, one_way);
                self.base_since = Some(now);
            }
        }
        self.recent.push_back((now, one_way));
        while self.recent.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > CURRENT_SPAN) {
            self.recent.pop_front();
        }
    }

    /// The queue now; none before the first packet.
    pub(super) fn delay(&self) -> Option<Duration> {
        let current = self.recent.iter().map(|(_, one_way)| *one_way).reduce(f64::min)?;
        Some(Duration::from_secs_f64((current - self.base.0.min(self.base.1)).max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn jitter_is_no_queue_and_a_standing_queue_is_one() {
        let (start, mut queue) = (Instant::now(), StandingQueue::default());
        for step in 0..100 {
            let departure = start + ms(step * 10);
            // 50 ms one way; every third packet without jitter, the others with up to 40 ms
            queue.arrived(departure + ms(100), departure, ms(1_000_000 + step * 10 + 50 + step % 3 * 20));
        }
        assert!(queue.delay().unwrap() < ms(1));
        for step in 100..200 {
            let departure = start + ms(step * 10);
            queue.arrived(departure + ms(100), departure, ms(1_000_000 + step * 10 + 90));
        }
        let delay = queue.delay().unwrap();
        assert!((ms(39)..ms(41)).contains(&delay), "{delay:?}");
    }

    #[test]
    fn a_longer_route_becomes_the_base_in_time() {
        let (start, mut queue) = (Instant::now(), StandingQueue::default());
        for step in 0..6000 {
            let departure = start + ms(step * 10);
            let one_way = if step < 1000 { 50 } else { 80 };
            queue.arrived(departure, departure, ms(step * 10 + one_way));
        }
        assert!(queue.delay().unwrap() < ms(1));
    }
}
