//! How often the encoder may be made to write a key frame, pure.
//!
//! A key frame is ten times the size of another. A peer that asks without end, or ten peers that ask for the
//! same loss, must not turn the stream into nothing else.

use std::time::{Duration, Instant};

/// Between two key frames on demand: about what one takes to get through a path of the same rate.
const MIN_INTERVAL: Duration = Duration::from_millis(300);

/// Decides when a wanted key frame is made.
#[derive(Debug, Default)]
pub(super) struct KeyFrameLimiter {
    last: Option<Instant>,
    due: Option<Instant>,
}

impl KeyFrameLimiter {
    /// Somebody wants a key frame.
    pub(super) fn want(&mut self, now: Instant) {
        let allowed = self.last.map_or(now, |last| last + MIN_INTERVAL).max(now);
        self.due = Some(self.due.map_or(allowed, |due| due.min(allowed)));
    }

    /// Somebody who has never had one wants a key frame: the limit does not hold a new peer up.
    pub(super) fn want_at_once(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// Whether to make one now.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let due = self.due.take_if(|due| *due <= now).is_some();
        if due {
            self.last = Some(now);
        }
        due
    }

    /// When to ask again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_is_met_at_once_and_a_flood_at_the_limit() {
        let (start, mut limiter, mut made) = (Instant::now(), KeyFrameLimiter::default(), vec![]);
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            limiter.want(now);
            if limiter.take(now) {
                made.push(ms);
            }
        }
        assert_eq!(made, [0, 300, 600, 900]);
    }

    #[test]
    fn a_request_within_the_limit_is_kept_not_forgotten() {
        let (start, mut limiter) = (Instant::now(), KeyFrameLimiter::default());
        limiter.want(start);
        assert!(limiter.take(start));
        limiter.want(start + Duration::from_millis(10));
        assert!(!limiter.take(start + Duration::from_millis(299)));
        assert_eq!(limiter.next_deadline(), Some(start + MIN_INTERVAL));
        assert!(limiter.take(start + MIN_INTERVAL));
        assert_eq!(limiter.next_deadline(), None);
    }

    #[test]
    fn a_new_peer_does_not_wait() {
        let (start, mut limiter) = (Instant::now(), KeyFrameLimiter::default());
        limiter.want(start);
        assert!(limiter.take(start));
        limiter.want_at_once(start + Duration::from_millis(10));
        assert!(limiter.take(start + Duration::from_millis(10)));
    }
}
