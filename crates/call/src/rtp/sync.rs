//! Lip sync: when a received picture is to be shown, and how far sound and picture are apart.
//!
//! Sound sets the pace: it cannot be held back or hurried without being heard. A picture is held until its sound is
//! about to be played, and never longer than 400 ms; sound never waits for a picture.

use std::time::{Duration, Instant};

use super::clock::{Ntp, ReportedClock};

/// A picture may be this much before its sound. Sound that lags by less than 45 ms goes unnoticed (ITU-R BT.1359-1
/// figure 2: detectable from 125 ms behind to 45 ms ahead of the picture); this leaves room for a screen's and a
/// speaker's own delay, and every millisecond a picture need not wait makes a talk more natural.
const LEAD: Duration = Duration::from_millis(17);
/// A sound that is this far behind is a fault, not a delay: the picture goes on without it.
const MAX_HOLD: Duration = Duration::from_millis(400);
/// A playout position older than this says nothing: sound is muted, discontinuous or gone.
const POSITION_LIMIT: Duration = Duration::from_millis(200);

/// Sound and picture that seem this far apart are not: the jitter buffer holds half a second, a picture waits for a second
/// at most. A sender's report is wrong then, or belongs to timestamps that have jumped since.
const MAX_SKEW: f64 = 10.0;

/// What the speaker played: this RTP timestamp of the sound left at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Playout {
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// When it was played.
    pub at: Instant,
}

/// The clocks of one peer's two streams, by its newest sender reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct LipSync {
    /// Of its sound.
    pub audio: Option<ReportedClock>,
    /// Of its picture.
    pub video: Option<ReportedClock>,
}

impl LipSync {
    /// How much later than its picture the sound captured with `video_timestamp` is heard, were the picture shown
    /// `now`: seconds, negative where the sound came first. None where a clock or the position is unknown, or the clocks
    /// contradict each other by more than 10 s.
    pub fn skew(&self, video_timestamp: u32, playout: Option<Playout>, now: Instant) -> Option<f64> {
        let (audio, video, playout) = (self.audio?, self.video?, playout?);
        if now.saturating_duration_since(playout.at) > POSITION_LIMIT {
            return None;
        }
        let heard: Ntp = audio.captured(playout.timestamp);
        let since_heard = now.saturating_duration_since(playout.at).as_secs_f64();
        let skew = video.captured(video_timestamp).seconds_since(heard) - since_heard;
        (skew.abs() <= MAX_SKEW).then_some(skew)
    }

    /// How long the picture is to be held from `now` on.
    pub fn hold(&self, video_timestamp: u32, playout: Option<Playout>, now: Instant) -> Duration {
        let Some(skew) = self.skew(video_timestamp, playout, now) else { return Duration::ZERO };
        let hold = skew - LEAD.as_secs_f64();
        if hold <= 0.0 || hold > MAX_HOLD.as_secs_f64() { Duration::ZERO } else { Duration::from_secs_f64(hold) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NTP: Ntp = Ntp(1000 << 32);

    fn synced() -> LipSync {
        LipSync {
            audio: Some(ReportedClock { hz: 48_000, rtp: 0, ntp: NTP }),
            video: Some(ReportedClock { hz: 90_000, rtp: 0, ntp: NTP }),
        }
    }

    #[test]
    fn a_picture_is_held_until_just_before_its_sound() {
        let now = Instant::now() + Duration::from_secs(1);
        // (picture captured at ms, sound of ms 100 played so many ms ago, held ms)
        for (video_ms, ago_ms, held_ms) in
            [(100, 0, 0), (117, 0, 0), (150, 0, 33), (150, 20, 13), (90, 0, 0), (600, 0, 0)]
        {
            let playout = Playout { timestamp: 4800, at: now - Duration::from_millis(ago_ms) };
            let held = synced().hold(video_ms * 90, Some(playout), now);
            assert!((held.as_secs_f64() * 1e3 - f64::from(held_ms)).abs() < 0.01, "{video_ms} {ago_ms}: {held:?}");
        }
    }

    #[test]
    fn without_sound_no_picture_waits() {
        let now = Instant::now() + Duration::from_secs(1);
        let playout = Playout { timestamp: 0, at: now };
        assert_eq!(synced().hold(90_000 / 10, None, now), Duration::ZERO);
        assert_eq!(LipSync { audio: None, ..synced() }.hold(9000, Some(playout), now), Duration::ZERO);
        let stale = Playout { at: now - Duration::from_millis(300), ..playout };
        assert_eq!(synced().hold(90 * 350, Some(stale), now), Duration::ZERO);
    }

    #[test]
    fn skew_has_the_sign_of_late_sound() {
        let now = Instant::now();
        let playout = Some(Playout { timestamp: 4800, at: now });
        assert!((synced().skew(120 * 90, playout, now).unwrap() - 0.020).abs() < 1e-6);
        assert!((synced().skew(70 * 90, playout, now).unwrap() + 0.030).abs() < 1e-6);
    }

    #[test]
    fn absurd_reports_hold_no_picture_and_show_no_skew() {
        let now = Instant::now();
        let playout = Some(Playout { timestamp: 4800, at: now });
        let of = |hz, rtp, ntp| Some(ReportedClock { hz, rtp, ntp: Ntp(ntp) });
        let sane = |hz| of(hz, 0, NTP.0);
        let hour = 3600_u64 << 32;
        for (case, audio, video) in [
            ("video an hour ahead", sane(48_000), of(90_000, 0, NTP.0 + hour)),
            ("video an hour behind", sane(48_000), of(90_000, 0, NTP.0.wrapping_sub(hour))),
            ("video at the end of time", sane(48_000), of(90_000, 0, u64::MAX)),
            ("sound at the end of time", of(48_000, 0, u64::MAX), sane(90_000)),
            ("half of all time apart", sane(48_000), of(90_000, 0, NTP.0 + (1 << 63))),
            ("timestamps of another stream", sane(48_000), of(90_000, 1 << 31, NTP.0)),
            ("both senseless", of(48_000, 1 << 31, 1), of(90_000, u32::MAX, u64::MAX - 1)),
            ("11 s ahead", sane(48_000), of(90_000, 0, NTP.0 + (11 << 32))),
        ] {
            let sync = LipSync { audio, video };
            assert_eq!(sync.skew(9000, playout, now), None, "{case}");
            assert_eq!(sync.hold(9000, playout, now), Duration::ZERO, "{case}");
        }
        // The next sane reports put all right.
        assert!(synced().skew(9000, playout, now).is_some());
    }

    #[test]
    fn no_report_and_no_timestamp_holds_a_picture_longer_than_the_limit() {
        let now = Instant::now();
        let mut random = 7_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random.rotate_left(31)
        };
        for _ in 0..100_000 {
            // Numbers of every size, so that small differences come up as well.
            let mut any = || next() >> (next() % 64);
            let audio = Some(ReportedClock { hz: 48_000, rtp: any() as u32, ntp: Ntp(any()) });
            let video = Some(ReportedClock { hz: 90_000, rtp: any() as u32, ntp: Ntp(any()) });
            let (video_timestamp, timestamp) = (any() as u32, any() as u32);
            let sync = LipSync { audio, video };
            assert!(sync.hold(video_timestamp, Some(Playout { timestamp, at: now }), now) <= MAX_HOLD);
        }
    }
}
