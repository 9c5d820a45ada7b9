//! How long received video is held so that it plays evenly: a jitter buffer for frames, sans-IO.
//!
//! A frame may be late because its packets took different times, or because one of them had to be asked for
//! again. Shown as they come, such frames make video stop and run. So frames are held for as long as late
//! ones have lately been late. On a path where none is late by much nothing is held.

use std::time::{Duration, Instant};

/// Lateness below this is not seen, and costs no delay.
const UNSEEN: Duration = Duration::from_millis(25);
/// Later frames than this are an outage, which no buffer evens out.
const MOST: Duration = Duration::from_millis(250);
/// The delay falls by this share a second once no frame is late any more.
const FALLS_PER_SECOND: f64 = 0.04;
/// The fastest frame of so long is on time; two of these are looked at, so that clocks may drift.
const BASE_SPAN: Duration = Duration::from_secs(10);
/// A frame that is earlier or later than this is of another clock, or of a sender that began anew.
const JUMP_S: f64 = 2.0;

/// Follows how late frames are.
#[derive(Debug, Default)]
pub struct VideoPlayout {
    /// Arrival and RTP time of the first frame.
    origin: Option<(Instant, u32)>,
    /// Smallest time of arrival less RTP time in this span and in the one before, seconds.
    base: (f64, f64),
    base_since: Option<Instant>,
    delay: f64,
    updated: Option<Instant>,
}

impl VideoPlayout {
    /// A frame with this RTP time (in ticks of 1 / `hz` s) is whole at `now`. How long to hold it.
    pub fn hold(&mut self, now: Instant, timestamp: u32, hz: u32) -> Duration {
        let (began, first) = *self.origin.get_or_insert((now, timestamp));
        let media = f64::from(timestamp.wrapping_sub(first) as i32) / f64::from(hz.max(1));
        let offset = now.saturating_duration_since(began).as_secs_f64() - media;
        let late = offset - self.base.0.min(self.base.1);
        match self.base_since {
            None => self.begin(now, offset),
            Some(_) if late.abs() > JUMP_S => {
                *self = Self::default();
                return Duration::ZERO;
            }
            Some(since) if now.saturating_duration_since(since) >= BASE_SPAN => {
                self.base = (offset, self.base.0);
                self.base_since = Some(now);
            }
            Some(_) => self.base.0 = self.base.0.min(offset),
        }
        let late = (offset - self.base.0.min(self.base.1)).max(0.0);
        let elapsed = self.updated.replace(now).map_or(0.0, |last| now.saturating_duration_since(last).as_secs_f64());
        self.delay *= (1.0 - FALLS_PER_SECOND).powf(elapsed);
        if late > UNSEEN.as_secs_f64() {
            self.delay = self.delay.max(late.min(MOST.as_secs_f64()));
        } else if self.delay < UNSEEN.as_secs_f64() {
            self.delay = 0.0;
        }
        Duration::from_secs_f64((self.delay - late).max(0.0))
    }

    /// How long a frame that is on time is held now.
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay)
    }

    fn begin(&mut self, now: Instant, offset: f64) {
        self.base = (offset, offset);
        self.base_since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u32 = 90_000;

    /// Frames 33 ms apart, each late by what `late` says, in ms; the longest time between two that are shown
    /// from the second second on, and the delay at the end.
    fn play(seconds: u64, late: impl Fn(u64) -> u64) -> (u64, Duration) {
        let (mut playout, start) = (VideoPlayout::default(), Instant::now());
        let (mut last, mut longest) = (0u64, 0u64);
        for frame in 0..seconds * 30 {
            let at = frame * 33 + late(frame);
            let hold = playout.hold(start + Duration::from_millis(at), 7_000 + (frame * 33 * 90) as u32, HZ);
            // In order, as the receiver gives them out.
            let shown = (at + hold.as_millis() as u64).max(last);
            if frame > 60 {
                longest = longest.max(shown - last);
            }
            last = shown;
        }
        (longest, playout.delay())
    }

    #[test]
    fn even_frames_are_not_held() {
        assert_eq!(play(30, |frame| frame % 3 * 8), (41, Duration::ZERO));
    }

    #[test]
    fn late_frames_make_later_ones_wait_so_that_none_is_late() {
        let (longest, delay) = play(30, |frame| if frame % 10 == 0 { 130 } else { 5 });
        assert!(longest < 60, "{longest}");
        assert!((110..=125).contains(&delay.as_millis()), "{delay:?}");
    }

    #[test]
    fn the_delay_is_gone_some_time_after_the_last_late_frame() {
        let (_, delay) = play(60, |frame| if frame < 300 && frame % 10 == 0 { 130 } else { 5 });
        assert_eq!(delay, Duration::ZERO);
    }

    #[test]
    fn a_sender_that_begins_anew_is_not_late() {
        let (mut playout, start) = (VideoPlayout::default(), Instant::now());
        for frame in 0..100u32 {
            let timestamp = if frame < 50 { frame * 3000 } else { 3_000_000_000u32.wrapping_add(frame * 3000) };
            let hold = playout.hold(start + Duration::from_millis(u64::from(frame) * 33), timestamp, HZ);
            assert!(hold < Duration::from_millis(20), "{frame}: {hold:?}");
        }
        assert!(playout.delay() < Duration::from_millis(30));
    }
}
