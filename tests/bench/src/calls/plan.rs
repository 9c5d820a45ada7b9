//! The plan of one call. It is drawn from a seed, so the same seed repeats the call.

use std::{fmt, time::Duration};

use ahoy_tests::side::Mode;

use super::{PAIRS, Party};

/// The callee rings for at most this long before it accepts.
const RING_MS: u64 = 300;
/// The callee rings this long where the call is hung up while it rings.
const LONG_RING: Duration = Duration::from_secs(5);
/// The hang-up follows its event by at most this long.
const WAIT_MS: u64 = 400;
/// Of this many calls, one is hung up before ringing, one while ringing and one while connecting. The others
/// are held.
const MOMENTS: u8 = 8;

/// What a call carries, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Sound,
    Video,
    Both,
}

impl Media {
    pub fn sound(self) -> bool {
        self != Self::Video
    }

    pub fn video(self) -> bool {
        self != Self::Sound
    }
}

/// When a call is hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// As soon as the caller has sent its request.
    BeforeRinging,
    /// While the callee rings.
    Ringing,
    /// After the callee has accepted, before or just after media flows.
    Connecting,
    /// After the first sound and the first video at both sides.
    AfterMedia,
}

/// Which side hangs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Caller,
    Callee,
    /// Both at once.
    Both,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub caller: Party,
    pub callee: Party,
    pub media: Media,
    pub moment: Moment,
    pub by: By,
    /// How long the callee rings before it accepts.
    pub ring: Duration,
    /// From the event that the hang-up follows until the hang-up.
    pub wait: Duration,
    /// Where the media of the app with a page run.
    pub mode: Mode,
}

impl Plan {
    /// The call of a pair, an index of [`PAIRS`], that belongs to `seed`.
    pub fn draw(pair: usize, seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed.wrapping_mul(PAIRS.len() as u64).wrapping_add(pair as u64));
        let (mut caller, mut callee) = PAIRS[pair];
        if chance.bool() {
            (caller, callee) = (callee, caller);
        }
        let apps = PAIRS[pair] == (Party::App, Party::AppWithPage);
        // The app has no calls without sound.
        let media = [if apps { Media::Both } else { Media::Video }, Media::Sound, Media::Both][chance.usize(..3)];
        let moment = match chance.u8(..MOMENTS) {
            0 => Moment::BeforeRinging,
            1 => Moment::Ringing,
            2 => Moment::Connecting,
            _ => Moment::AfterMedia,
        };
        let by = match moment {
            // The callee does not know of the call yet.
            Moment::BeforeRinging => By::Caller,
            _ => [By::Caller, By::Callee, By::Both][chance.usize(..3)],
        };
        let ring = Duration::from_millis(chance.u64(..=RING_MS));
        let ring = if moment == Moment::Ringing { LONG_RING } else { ring };
        let wait = Duration::from_millis(chance.u64(..=WAIT_MS));
        let mode = if chance.bool() { Mode::Native } else { Mode::Browser };
        Self { seed, caller, callee, media, moment, by, ring, wait, mode }
    }

    /// Whether both sides are apps.
    pub fn is_of_apps(&self) -> bool {
        [self.caller, self.callee].contains(&Party::App)
    }

    /// Whether both sides are to get what the call carries before it is hung up.
    pub fn connects(&self) -> bool {
        self.moment == Moment::AfterMedia
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, caller, callee, media, moment, by, ring, wait, mode } = self;
        let mode = if self.is_of_apps() { format!(", the page's app {mode:?}") } else { String::new() };
        write!(
            f,
            "seed {seed}: {caller} calls {callee}{mode}, {media:?}, rings {ring:?}, hung up {moment:?} + {wait:?} by \
             {by:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(pair: usize) -> Vec<Plan> {
        (1..=1000).map(|seed| Plan::draw(pair, seed)).collect()
    }

    #[test]
    fn a_seed_is_always_the_same_call_and_another_seed_mostly_another() {
        assert_eq!(plans(1), plans(1));
        let different =
            plans(1).windows(2).filter(|two| Plan { seed: 0, ..two[0] } != Plan { seed: 0, ..two[1] }).count();
        assert!(different > 990, "{different}");
    }

    #[test]
    fn every_role_medium_moment_and_side_comes() {
        let plans = plans(1);
        let share = |of: &dyn Fn(&Plan) -> bool| plans.iter().filter(|plan| of(plan)).count() as f64 / 1000.0;
        let near = |share: f64, wanted: f64| (share - wanted).abs() < 0.05;
        assert!(near(share(&|plan| plan.caller == Party::Peer), 0.5));
        for media in [Media::Sound, Media::Video, Media::Both] {
            assert!(near(share(&|plan| plan.media == media), 1.0 / 3.0), "{media:?}");
        }
        for moment in [Moment::BeforeRinging, Moment::Ringing, Moment::Connecting] {
            assert!(near(share(&|plan| plan.moment == moment), 0.125), "{moment:?}");
        }
        assert!(near(share(&Plan::connects), 0.625));
        for by in [By::Caller, By::Callee, By::Both] {
            assert!(share(&|plan| plan.by == by) > 0.25, "{by:?}");
        }
    }

    #[test]
    fn apps_call_with_sound_and_in_both_modes() {
        let plans = plans(2);
        assert!(plans.iter().all(|plan| plan.is_of_apps() && plan.media.sound()));
        let native = plans.iter().filter(|plan| plan.mode == Mode::Native).count();
        assert!((400..600).contains(&native), "{native}");
    }

    #[test]
    fn a_call_can_only_be_hung_up_by_a_side_that_knows_of_it() {
        for plan in plans(0) {
            assert!(plan.moment != Moment::BeforeRinging || plan.by == By::Caller, "{plan}");
            assert_eq!(plan.moment == Moment::Ringing, plan.ring == LONG_RING, "{plan}");
            assert!(plan.wait < LONG_RING, "it is hung up while it rings");
        }
    }
}
