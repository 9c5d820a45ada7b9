//! Three clocks meet in RTP: the media clock of a stream, the wall clock that sender reports carry, and this
//! machine's monotonic clock.

use std::time::{Duration, Instant, SystemTime};

/// Seconds from 1900, the epoch of NTP, to 1970, the epoch of unix time (RFC 5905 section 6).
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// A wall-clock time as sender reports carry it: 32 bits of seconds since 1900, 32 bits of fraction
/// (RFC 3550 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ntp(pub u64);

impl Ntp {
    /// `time` in NTP's form. Times before 1970 count as 1970.
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        Self(((since.as_secs() + NTP_TO_UNIX_S) << 32) | fraction)
    }

    /// The middle 32 bits: units of 1/65536 s, what receiver reports echo as LSR (RFC 3550 section 6.4.1).
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// Seconds from `earlier` to this, negative where it lies before.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.wrapping_sub(earlier.0) as i64 as f64 / 2f64.powi(32)
    }
}

/// Ties this machine's monotonic clock to its wall clock once, so that a step of the wall clock in mid-call
/// (NTP, suspend, the user) moves no timestamp.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    instant: Instant,
    ntp: Ntp,
}

impl WallClock {
    /// Reads both clocks.
    pub fn new(instant: Instant, system: SystemTime) -> Self {
        Self { instant, ntp: Ntp::from_system(system) }
    }

    /// The wall-clock time of `instant`.
    pub fn ntp(&self, instant: Instant) -> Ntp {
        let signed = match instant.checked_duration_since(self.instant) {
            Some(after) => ntp_units(after),
            None => ntp_units(self.instant - instant).wrapping_neg(),
        };
        Ntp(self.ntp.0.wrapping_add(signed))
    }
}

fn ntp_units(duration: Duration) -> u64 {
    (duration.as_secs() << 32) | ((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

/// Turns capture times into RTP timestamps of one outgoing stream: a random offset plus media time.
#[derive(Clone, Copy, Debug)]
pub struct MediaClock {
    hz: u32,
    origin: Instant,
    offset: u32,
}

impl MediaClock {
    /// A clock of `hz` ticks a second that shows `offset` at `origin` (RFC 3550 section 5.1 wants it random).
    pub fn new(hz: u32, origin: Instant, offset: u32) -> Self {
        Self { hz, origin, offset }
    }

    /// The RTP timestamp of what was captured at `at`. Times before the origin count back from the offset.
    pub fn timestamp(&self, at: Instant) -> u32 {
        let ticks = |d: Duration| (d.as_nanos() * u128::from(self.hz) / 1_000_000_000) as u32;
        match at.checked_duration_since(self.origin) {
            Some(after) => self.offset.wrapping_add(ticks(after)),
            None => self.offset.wrapping_sub(ticks(self.origin - at)),
        }
    }
}

/// What a stream's newest sender report says: this RTP timestamp was captured at that wall-clock time of the
/// sender.
#[derive(Clone, Copy, Debug)]
pub struct ReportedClock {
    /// Ticks a second.
    pub hz: u32,
    /// RTP timestamp of the report.
    pub rtp: u32,
    /// The sender's wall clock at it.
    pub ntp: Ntp,
}

impl ReportedClock {
    /// The sender's wall clock when `rtp` was captured; right within half a wrap (6.6 h of video, 12 h of
    /// sound).
    pub fn captured(&self, rtp: u32) -> Ntp {
        let ticks = rtp.wrapping_sub(self.rtp) as i32;
        let units = (i128::from(ticks) << 32) / i128::from(self.hz.max(1));
        Ntp(self.ntp.0.wrapping_add(units as u64))
    }
}

/// Extends wrapping 16-bit sequence numbers to 64 bits that only grow with the stream (RFC 3550 appendix
/// A.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct SequenceUnwrapper {
    highest: Option<i64>,
}

impl SequenceUnwrapper {
    /// The extended number of `sequence`: the one nearest to the highest seen so far.
    pub fn unwrap(&mut self, sequence: u16) -> i64 {
        let extended = match self.highest {
            // One wrap in hand, so that a stream that begins reordered never goes below zero.
            None => i64::from(sequence) + 0x1_0000,
            Some(highest) => highest + i64::from(sequence.wrapping_sub(highest as u16) as i16),
        };
        self.highest = Some(self.highest.map_or(extended, |h| h.max(extended)));
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_of_a_known_moment() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(Ntp::from_system(time).0, ((NTP_TO_UNIX_S + 1) << 32) | 0x8000_0000);
    }

    #[test]
    fn the_wall_clock_runs_both_ways_from_where_it_was_tied() {
        let origin = Instant::now() + Duration::from_secs(10);
        let clock = WallClock::new(origin, SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        let at = |d: f64| {
            clock.ntp(if d < 0.0 { origin - Duration::from_secs_f64(-d) } else { origin + Duration::from_secs_f64(d) })
        };
        assert!((at(2.25).seconds_since(at(0.0)) - 2.25).abs() < 1e-6);
        assert!((at(-2.25).seconds_since(at(0.0)) + 2.25).abs() < 1e-6);
    }

    #[test]
    fn media_time_wraps() {
        let origin = Instant::now() + Duration::from_secs(10);
        let clock = MediaClock::new(90_000, origin, u32::MAX - 89_999);
        assert_eq!(clock.timestamp(origin + Duration::from_secs(1)), 0);
        assert_eq!(clock.timestamp(origin - Duration::from_secs(1)), u32::MAX - 179_999);
    }

    #[test]
    fn a_report_dates_timestamps_around_it() {
        let ntp = Ntp(5000 << 32);
        let clock = ReportedClock { hz: 48_000, rtp: 10, ntp };
        assert!((clock.captured(10 + 24_000).seconds_since(ntp) - 0.5).abs() < 1e-9);
        assert!((clock.captured(10u32.wrapping_sub(24_000)).seconds_since(ntp) + 0.5).abs() < 1e-9);
    }

    #[test]
    fn sequence_numbers_unwrap_over_the_edge_and_back() {
        let mut unwrapper = SequenceUnwrapper::default();
        let base = unwrapper.unwrap(65_534);
        for (sequence, offset) in [(65_535, 1), (1, 3), (0, 2), (65_533, -1), (32_000, 32_002)] {
            assert_eq!(unwrapper.unwrap(sequence) - base, offset);
        }
    }
}
