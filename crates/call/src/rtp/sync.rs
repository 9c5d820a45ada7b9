//! Lip sync: when a received picture is to be shown, and how far sound and picture are apart.
//!
//! Sound sets the pace: it cannot be held back or hurried at once without being heard. A frame is held until
//! its sound is about to be played, and never longer than 400 ms. Where frames keep coming after their sound,
//! because lost packets had to be sent again, sound is slowed down a little until it is no further ahead than
//! goes unnoticed ([`SoundHold`]).

use std::time::{Duration, Instant};

use super::clock::{Ntp, ReportedClock};

/// A picture may be this much before its sound. Sound that lags by less than 45 ms goes unnoticed (ITU-R
/// BT.1359-1 figure 2: detectable from 125 ms behind to 45 ms ahead of the picture); this leaves room for a
/// screen's and a speaker's own delay, and every millisecond a picture need not wait makes a talk more
/// natural.
const LEAD: Duration = Duration::from_millis(17);
/// A sound that is this far behind is a fault, not a delay: the picture goes on without it.
const MAX_HOLD: Duration = Duration::from_millis(400);
/// A playout position older than this says nothing: sound is muted, discontinuous or gone.
const POSITION_LIMIT: Duration = Duration::from_millis(200);

/// Sound and picture that seem this far apart are not: the jitter buffer holds half a second, a picture waits
/// for a second at most. A sender's report is wrong then, or belongs to timestamps that have jumped since.
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
    /// How much later than its picture the sound captured with `video_timestamp` is heard, were the picture
    /// shown `now`: seconds, negative where the sound came first. None where a clock or the position is
    /// unknown, or the clocks contradict each other by more than 10 s.
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

/// Sound may be ahead of its video by this much, in seconds; it is noticed from 45 ms on (ITU-R BT.1359-1
/// figure 2).
const AHEAD: f64 = 0.03;
/// What is over or under that by less is left as it is.
const TOLERANCE: f64 = 0.01;
/// Weight of the newest frame in the running mean of the skew: late frames come one by one.
const SKEW_WEIGHT: f64 = 0.07;
/// Between two changes of the hold: sound is stretched to the last one by then.
const HOLD_INTERVAL: Duration = Duration::from_millis(500);
/// The most that one of them changes, in seconds.
const HOLD_STEP: f64 = 0.04;
/// More delay than this harms a conversation more than lips that are not in sync.
const MOST_HOLD: f64 = 0.25;
/// Without video for so long there is nothing to wait for.
const HOLD_LIMIT: Duration = Duration::from_secs(2);

/// By how much sound is delayed for the sake of its video, sans-IO.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoundHold {
    /// Running mean of the skew, in seconds.
    skew: Option<f64>,
    hold: f64,
    changed: Option<Instant>,
    shown: Option<Instant>,
}

impl SoundHold {
    /// A frame is shown whose sound is heard this much later (seconds, negative where the sound came first).
    /// Gives the delay where it changes.
    pub fn shown(&mut self, now: Instant, skew: Option<f64>) -> Option<Duration> {
        self.shown = Some(now);
        let skew = skew?;
        let mean = *self.skew.insert(self.skew.map_or(skew, |mean| mean + SKEW_WEIGHT * (skew - mean)));
        let changed = *self.changed.get_or_insert(now);
        if now.saturating_duration_since(changed) < HOLD_INTERVAL {
            return None;
        }
        let missing = -mean - AHEAD;
        let step = match missing {
            missing if missing > TOLERANCE => missing.min(HOLD_STEP),
            // Video waits for its sound then, so it could be shown sooner.
            missing if missing < -AHEAD - TOLERANCE => (missing + AHEAD).max(-HOLD_STEP),
            _ => return None,
        };
        let hold = (self.hold + step).clamp(0.0, MOST_HOLD);
        (self.changed, self.skew) = (Some(now), None);
        (std::mem::replace(&mut self.hold, hold) != hold).then(|| Duration::from_secs_f64(hold))
    }

    /// When [`Self::expired`] has to be asked.
    pub fn deadline(&self) -> Option<Instant> {
        self.shown.filter(|_| self.hold > 0.0).map(|shown| shown + HOLD_LIMIT)
    }

    /// Whether sound is not to be held any longer, because no video comes.
    pub fn expired(&mut self, now: Instant) -> bool {
        let over = self.deadline().is_some_and(|deadline| deadline <= now);
        if over {
            *self = Self::default();
        }
        over
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

    /// Shows 30 frames a second that need `needs` seconds more than their sound, which is delayed as it is
    /// told. The skew and the hold at the end.
    fn settle(hold: &mut SoundHold, start: Instant, seconds: u32, needs: f64) -> (f64, f64) {
        let (mut delay, mut skew) = (hold.hold, 0.0);
        for frame in 0..seconds * 30 {
            let now = start + Duration::from_secs(1) / 30 * frame;
            // A frame that could be shown before its sound waits for it.
            skew = (delay - needs).min(LEAD.as_secs_f64());
            // Every tenth frame is late by itself.
            let late = if frame % 10 == 0 { 0.05 } else { 0.0 };
            if let Some(wanted) = hold.shown(now, Some(skew - late)) {
                delay = wanted.as_secs_f64();
            }
        }
        (skew, delay)
    }

    #[test]
    fn sound_waits_for_video_that_keeps_coming_late_and_no_longer() {
        let (start, mut hold) = (Instant::now(), SoundHold::default());
        let (skew, delay) = settle(&mut hold, start, 10, 0.15);
        assert!((-0.045..=0.0).contains(&skew) && delay < 0.15, "{skew} {delay}");
        let (skew, delay) = settle(&mut hold, start + Duration::from_secs(10), 10, 0.0);
        assert!((0.0..0.005).contains(&skew) && delay < 0.005, "on time again: {skew} {delay}");
        let (_, delay) = settle(&mut hold, start + Duration::from_secs(20), 20, 3.0);
        assert!((delay - MOST_HOLD).abs() < 1e-6, "{delay}");
        assert!(!hold.expired(start + Duration::from_secs(41)));
        assert!(hold.expired(start + Duration::from_secs(43)), "video is gone");
        assert_eq!(hold.deadline(), None);
    }

    #[test]
    fn sound_does_not_wait_for_video_that_is_on_time_or_has_no_clock() {
        let (now, mut hold) = (Instant::now(), SoundHold::default());
        assert_eq!(settle(&mut hold, now, 10, -0.05), (LEAD.as_secs_f64(), 0.0));
        for second in 10..20 {
            assert_eq!(hold.shown(now + Duration::from_secs(second), None), None);
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
