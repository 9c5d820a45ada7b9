//! Converts a sender's RTP timestamps to the media time of the stream that readers get.
//!
//! A sender may choose its timestamps freely: they wrap, start again with another SSRC, stand still or jump
//! by hours (a suspended machine, a gateway that switches sources, an attack). Readers seek, buffer and
//! record by media time, so media time follows the timestamps only where the arrival of frames agrees with
//! them.

use std::time::{Duration, Instant};

/// Media time may run ahead of the arrival of frames by this, 3 s: a burst after a stall of the network
/// brings frames faster than they were captured, and receivers give up on older ones. A larger jump is not
/// followed.
const MAX_LEAD: i128 = 3 * NANOS;
/// The lead shrinks by one part in this many of the time that passes, so that a sender's fast clock never
/// uses up [`MAX_LEAD`]: clocks are within 0.1 %, this forgives 1.5 %.
const FORGIVEN_DRIFT: i128 = 64;

const NANOS: i128 = 1_000_000_000;

/// Converts RTP timestamps to the time since the stream's first frame. Media time never goes backwards, and
/// never runs ahead of the wall clock by more than 3 s.
///
/// Internally, times are nanoseconds times `hz`: both a tick and a nanosecond are then whole numbers, and no
/// rounding error adds up however many frames there are.
#[derive(Debug)]
pub struct MediaTime {
    hz: i128,
    last: Option<(u32, Instant)>,
    time: i128,
    /// How far media time has run ahead of arrival; down to minus [`MAX_LEAD`].
    lead: i128,
}

impl MediaTime {
    /// For a stream with `hz` ticks a second.
    pub fn new(hz: u32) -> Self {
        Self { hz: i128::from(hz.max(1)), last: None, time: 0, lead: 0 }
    }

    /// The stream time of the next frame in order, with RTP time `timestamp`, that is handed on at `now`.
    pub fn at(&mut self, timestamp: u32, now: Instant) -> Duration {
        if let Some((last, then)) = self.last.replace((timestamp, now)) {
            let passed = nanos(now.saturating_duration_since(then)) * self.hz;
            // Right over a wrap, and over a pause of up to 13 h at 90 kHz. A step back is nearly a whole wrap
            // ahead.
            let step = i128::from(timestamp.wrapping_sub(last)) * NANOS;
            let most = MAX_LEAD * self.hz;
            let lead = (self.lead + step - passed).max(-most);
            if step > 0 && lead <= most {
                self.time += step;
                self.lead = lead;
            } else {
                // At rest, backwards, or ahead of all reason.
                self.time += passed;
            }
            self.lead -= self.lead.clamp(0, passed / FORGIVEN_DRIFT);
        }
        Duration::from_nanos(u64::try_from(self.time / self.hz).unwrap_or(u64::MAX))
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::from(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u32 = 90_000;
    const HOUR: u32 = 3600 * HZ;

    /// Times of frames with the given timestamps, each after so many milliseconds, in milliseconds.
    fn times(frames: &[(u32, u64)]) -> Vec<u128> {
        let mut now = Instant::now();
        let mut media_time = MediaTime::new(HZ);
        let time = |&(timestamp, after): &(u32, u64)| {
            now += Duration::from_millis(after);
            media_time.at(timestamp, now).as_millis()
        };
        frames.iter().map(time).collect()
    }

    #[test]
    fn time_follows_the_timestamps_where_arrival_agrees() {
        for (case, frames, expected) in [
            ("steady", &[(0, 0), (3000, 33), (6000, 34), (9000, 33)][..], &[0, 33, 66, 100][..]),
            ("jitter of the network is no jitter of the stream", &[(0, 0), (3000, 90), (6000, 0)], &[0, 33, 66]),
            ("a wrap", &[(u32::MAX - 8999, 0), (0, 100), (90_000, 1000)], &[0, 100, 1100]),
            (
                "a pause while the clock ran on",
                &[(0, 0), (60 * HZ, 60_000), (60 * HZ + 3000, 33)],
                &[0, 60_000, 60_033],
            ),
            ("a pause of hours", &[(0, 0), (5 * HOUR, 18_000_000)], &[0, 18_000_000]),
            ("a pause while the clock stood", &[(0, 0), (3000, 60_000), (6000, 33)], &[0, 33, 66]),
            ("a burst after a stall", &[(0, 0), (3000, 3000), (90_000, 0), (270_000, 0)], &[0, 33, 1000, 3000]),
        ] {
            assert_eq!(times(frames), expected, "{case}");
        }
    }

    #[test]
    fn what_arrival_does_not_explain_is_replaced_by_it() {
        for (case, frames, expected) in [
            ("hours ahead", &[(0, 0), (3000, 33), (2 * HOUR, 33), (2 * HOUR + 3000, 33)][..], &[0, 33, 66, 99][..]),
            ("minutes ahead", &[(0, 0), (60 * HZ, 33), (60 * HZ + 3000, 33)], &[0, 33, 66]),
            ("a second ahead may be", &[(0, 0), (HZ, 33)], &[0, 1000]),
            ("hours back", &[(2 * HOUR, 0), (2 * HOUR + 3000, 33), (0, 33), (3000, 33)], &[0, 33, 66, 99]),
            ("one tick back", &[(9000, 0), (8999, 33), (12_000, 33)], &[0, 33, 66]),
            ("half of all timestamps ahead", &[(0, 0), (1 << 31, 33), ((1 << 31) + 3000, 33)], &[0, 33, 66]),
            ("back over the wrap", &[(5, 0), (u32::MAX - 90_000, 33)], &[0, 33]),
            (
                "a minute ahead after a pause in which the clock stood",
                &[(0, 0), (3000, 60_000), (60 * HZ, 33)],
                &[0, 33, 66],
            ),
            ("at rest", &[(7, 0), (7, 33), (7, 33), (7, 1000), (3007, 33)], &[0, 33, 66, 1066, 1099]),
            ("ahead, and in truth a pause of 10 s", &[(0, 0), (2 * HOUR, 10_000)], &[0, 10_000]),
            ("a pause longer than half of all timestamps", &[(0, 0), (7 * HOUR, 25_200_000)], &[0, 25_200_000]),
        ] {
            assert_eq!(times(frames), expected, "{case}");
        }
    }

    #[test]
    fn many_small_jumps_do_not_add_up() {
        let (mut now, mut media_time) = (Instant::now(), MediaTime::new(HZ));
        let (start, mut timestamp) = (now, 0_u32);
        for _ in 0..10_000 {
            (timestamp, now) = (timestamp.wrapping_add(2 * HZ), now + Duration::from_millis(33));
            let time = media_time.at(timestamp, now);
            // 1/64 a second is forgiven, and then taken again.
            let most = (now - start).mul_f64(1.0 + 1.0 / FORGIVEN_DRIFT as f64) + Duration::from_secs(3);
            assert!(time <= most, "{time:?} after {:?}", now - start);
        }
    }

    #[test]
    fn time_never_goes_backwards_and_never_leaps_whatever_comes() {
        let mut random = 1_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 32) as u32
        };
        let (mut now, mut media_time) = (Instant::now(), MediaTime::new(HZ));
        let mut last = Duration::ZERO;
        for _ in 0..100_000 {
            let after = Duration::from_millis(u64::from(next() % 100));
            now += after;
            let timestamp = next() >> (next() % 32);
            let time = media_time.at(timestamp, now);
            assert!(time >= last && time - last <= after + 2 * Duration::from_secs(3));
            last = time;
        }
    }

    #[test]
    fn a_clock_that_is_off_by_a_little_is_followed_for_a_whole_day() {
        for (ticks, case) in [(3003, "fast by 1000 ppm"), (2997, "slow by 1000 ppm"), (3000, "exact")] {
            let (mut now, mut media_time, mut timestamp) = (Instant::now(), MediaTime::new(HZ), 0_u32);
            media_time.at(timestamp, now);
            let mut last = Duration::ZERO;
            for frame in 0..24 * 3600 * 30 {
                now += Duration::from_nanos(33_333_333);
                timestamp = timestamp.wrapping_add(ticks);
                let time = media_time.at(timestamp, now);
                let step = time - last;
                let expected = Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / u64::from(HZ));
                assert!(step.abs_diff(expected) < Duration::from_micros(1), "{case}, frame {frame}: {step:?}");
                last = time;
            }
        }
    }
}
