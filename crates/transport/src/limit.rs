//! How much of anything somebody may do.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// A bucket of tokens (RFC 2697 calls it that): holds a burst, and fills again at a steady rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Time from one token to the next.
    every: Duration,
    /// What an empty bucket needs to be full.
    full: Duration,
    /// When the bucket is, or was, full.
    full_at: Instant,
}

impl Bucket {
    pub(crate) fn new(burst: u32, every: Duration, now: Instant) -> Self {
        Self { every, full: every.saturating_mul(burst), full_at: now }
    }

    /// Takes a token, or says how long there will be none.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let after = self.full_at.max(now) + self.every;
        match after.saturating_duration_since(now).checked_sub(self.full) {
            None | Some(Duration::ZERO) => {
                self.full_at = after;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }

    /// Whether nothing was taken that has not grown again.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

/// Buckets of many, each known by a key. Full ones are forgotten, so memory is that of who is busy, and
/// bounded.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    burst: u32,
    every: Duration,
    most: usize,
    buckets: HashMap<K, Bucket>,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(crate) fn new(burst: u32, every: Duration, most: usize) -> Self {
        Self { burst, every, most, buckets: HashMap::new() }
    }

    /// Takes a token of `key`'s bucket. False when it is empty, or when too many others are busy.
    pub(crate) fn take(&mut self, key: K, now: Instant) -> bool {
        if self.buckets.len() >= self.most && !self.buckets.contains_key(&key) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            if self.buckets.len() >= self.most {
                return false;
            }
        }
        let new = || Bucket::new(self.burst, self.every, now);
        self.buckets.entry(key).or_insert_with(new).take(now).is_ok()
    }
}

/// Frames that a contact may send at once. A call of ten people with forty candidates each is under it.
const FRAMES_BURST: u32 = 500;
/// And from then on: a hundred a second, ten times what a busy call sends.
const FRAME_EVERY: Duration = Duration::from_millis(10);

/// How fast a contact is read from. Nothing is lost: who is too fast waits, as QUIC's flow control lets the
/// sender know.
#[derive(Debug)]
pub(crate) struct Throttle {
    bucket: Bucket,
    flooding: bool,
}

/// What to do with a frame that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Take it.
    Now,
    /// Wait for so long, and ask again. `begins`: it is the first time since things were calm.
    Wait { wait: Duration, begins: bool },
}

impl Throttle {
    pub(crate) fn new(now: Instant) -> Self {
        Self { bucket: Bucket::new(FRAMES_BURST, FRAME_EVERY, now), flooding: false }
    }

    pub(crate) fn frame(&mut self, now: Instant) -> Pace {
        if self.bucket.is_full(now) {
            self.flooding = false;
        }
        match self.bucket.take(now) {
            Ok(()) => Pace::Now,
            Err(wait) => Pace::Wait { wait, begins: !std::mem::replace(&mut self.flooding, true) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, SECOND, start);
        assert_eq!([0; 3].map(|_| bucket.take(start)), [Ok(()); 3]);
        assert_eq!(bucket.take(start), Err(SECOND));
        assert_eq!(bucket.take(start + SECOND / 4), Err(SECOND * 3 / 4));
        assert_eq!(bucket.take(start + SECOND), Ok(()));
        assert!(bucket.take(start + SECOND).is_err());
        assert!(!bucket.is_full(start + SECOND * 3) && bucket.is_full(start + SECOND * 4));
        let later = start + SECOND * 1000;
        assert_eq!((0..10).filter(|_| bucket.take(later).is_ok()).count(), 3, "a rest gives one burst, not more");
    }

    #[test]
    fn each_key_has_its_own_bucket_and_there_is_an_end_to_keys() {
        let start = Instant::now();
        let mut buckets = Buckets::new(1, SECOND, 10);
        assert!(buckets.take(0, start) && !buckets.take(0, start) && buckets.take(1, start));
        let taken = (2..1000).filter(|key| buckets.take(*key, start)).count();
        assert_eq!((taken, buckets.buckets.len()), (8, 10));
        assert!(buckets.take(5000, start + SECOND), "those who rest were not forgotten");
        assert_eq!(buckets.buckets.len(), 1);
    }

    #[test]
    fn a_flood_is_slowed_and_told_once() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        let (mut now, mut told, mut taken) = (start, 0, 0);
        while taken < 10_000 {
            match throttle.frame(now) {
                Pace::Now => taken += 1,
                Pace::Wait { wait, begins } => {
                    now += wait;
                    told += u32::from(begins);
                }
            }
        }
        assert_eq!((told, (now - start).as_secs()), (1, 95));
        now += SECOND * 60;
        let again = (0..1000).filter(|_| matches!(throttle.frame(now), Pace::Wait { begins: true, .. })).count();
        assert_eq!(again, 1, "the next flood is told again");
    }
}
