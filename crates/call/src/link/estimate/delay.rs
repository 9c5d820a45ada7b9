//! How long packets wait in the path's queues: by how much longer they take than the fastest ones (RFC 6817,
//! LEDBAT).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The fastest packet of so long is the path without a queue. Two of these are looked at, so that the drift
/// of two clocks (100 ppm: 3 ms in 30 s) and a new route are followed.
const BASE_SPAN: Duration = Duration::from_secs(15);
/// The fastest packet of the newest so many is the queue that stands now: jitter, which a few packets of any
/// row escape, is not a queue. With 60 ms of jitter the fastest of 16 is over 25 ms once in 5,000 times. (The
/// "current filter" of RFC 6817 section 3.4.2.)
const ENOUGH_PACKETS: usize = 16;
/// A frame's packets come in a row, so a shorter look than this sees the row and not the queue.
const SHORTEST_LOOK: Duration = Duration::from_millis(80);
/// A longer look would see a queue that is gone.
const LONGEST_LOOK: Duration = Duration::from_millis(300);
/// More than one packet in this time is a flood of reports; what is older is left out.
const MAX_RECENT: usize = 2048;
/// One-way times that differ by more than this are of another clock: the other side has started anew.
const CLOCK_JUMP_S: f64 = 10.0;

/// Measures the standing queue of a path from when packets departed (our clock) and arrived (the other side's
/// clock).
#[derive(Debug, Default)]
pub(super) struct StandingQueue {
    origin: Option<Instant>,
    /// Fastest one-way time in this span and in the one before, seconds, with an unknown constant in it.
    base: (f64, f64),
    base_since: Option<Instant>,
    recent: VecDeque<(Instant, f64)>,
}

impl StandingQueue {
    /// Takes a packet that departed and, by the other side's clock, arrived at these times. The report came
    /// at `now`.
    pub(super) fn arrived(&mut self, now: Instant, departure: Instant, arrival: Duration) {
        let origin = *self.origin.get_or_insert(departure);
        let sent = match departure.checked_duration_since(origin) {
            Some(after) => after.as_secs_f64(),
            None => -(origin - departure).as_secs_f64(),
        };
        let one_way = arrival.as_secs_f64() - sent;
        if self.recent.back().is_some_and(|(_, last)| (last - one_way).abs() > CLOCK_JUMP_S) {
            self.forget();
        }
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
        while self.recent.len() > MAX_RECENT
            || self.recent.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > LONGEST_LOOK)
        {
            self.recent.pop_front();
        }
    }

    /// Takes today's path for an empty one: it is another path, or the queue is another flow's.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
        self.base_since = None;
    }

    /// The queue now; none before the first packet.
    pub(super) fn delay(&self) -> Option<Duration> {
        let newest = self.recent.back()?.0;
        let look = self.recent.iter().rev().enumerate().take_while(|(index, (at, _))| {
            *index < ENOUGH_PACKETS || newest.saturating_duration_since(*at) < SHORTEST_LOOK
        });
        let current = look.map(|(_, (_, one_way))| *one_way).reduce(f64::min)?;
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

    #[test]
    fn a_queue_that_grows_fast_is_seen_within_a_tenth_of_a_second() {
        let (start, mut queue) = (Instant::now(), StandingQueue::default());
        let mut seen = None;
        for step in 0..400u64 {
            let departure = start + ms(step * 4);
            // From the 200th packet on each waits 3 ms longer than the one before.
            let waits = step.saturating_sub(200) * 3;
            queue.arrived(departure, departure, ms(step * 4 + 50 + waits));
            if queue.delay().unwrap() > ms(25) && seen.is_none() {
                seen = Some((step - 200) * 4);
            }
        }
        assert!(seen.unwrap() <= 140, "{seen:?} ms");
    }

    #[test]
    fn another_clock_is_no_queue() {
        let (start, mut queue) = (Instant::now(), StandingQueue::default());
        for step in 0..100u64 {
            let departure = start + ms(step * 10);
            let clock = if step < 50 { 1_000_000 } else { 9_000_000 };
            queue.arrived(departure, departure, ms(clock + step * 10));
        }
        assert_eq!(queue.delay(), Some(Duration::ZERO));
    }
}
