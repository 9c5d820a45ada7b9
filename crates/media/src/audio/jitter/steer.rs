//! When to stretch: compares how far playout trails with how far it should, and wishes for jumps.

use super::{
    delay::WindowMin,
    stretch::{MIN_LAG, Wish},
};
use crate::audio::FRAME_SAMPLES;

/// Steps of the window in which the smallest trail counts: half a second in all, several periods of any sound
/// device, because a device that takes 20 ms at once needs the second half of it early.
const TRAIL_STEP: i64 = 1200;
/// The trail has to be known over this much playing, 100 ms, before sound is left out.
const TRAIL_KNOWN: i64 = 4800;
/// Over the target by this, 3 ms, sound is left out: the shortest jump that stays over the target.
const ACCELERATE_FROM: i64 = MIN_LAG as i64 + 24;
/// Under the target by this, 2.5 ms, sound is put in.
const DECELERATE_FROM: i64 = 120;
/// Sound between two jumps, 30 ms: closer ones are heard as roughness.
const STRETCH_SPACING: i64 = 1440;
/// A seam is good from this likeness on ...
const LIKENESS: f32 = 0.9;
/// ... but the further the delay is off target, the less matters; at 20 ms any seam is better than the delay.
const LIKENESS_IRRELEVANT: f32 = 960.0;

/// What would bring playout nearer to its target.
#[derive(Clone, Copy, Debug)]
pub enum Correction {
    /// Nothing, for now.
    None,
    /// Leaving out this much.
    Accelerate(Wish),
    /// Putting in this much.
    Decelerate(Wish),
}

/// Watches the trail.
#[derive(Debug)]
pub struct Steering {
    trail: WindowMin,
    /// Samples played since the trail is known without a break.
    known: i64,
    since_jump: i64,
}

impl Steering {
    pub const fn new() -> Self {
        Self { trail: WindowMin::new(TRAIL_STEP), known: 0, since_jump: 0 }
    }

    /// Playout went over a gap and trails by something else now.
    pub fn restart(&mut self) {
        self.trail.clear();
        self.known = 0;
    }

    /// A frame is played while nothing can be said of the trail.
    pub fn pass(&mut self) {
        self.since_jump += FRAME_SAMPLES as i64;
    }

    /// A frame is played that trails by `trail` and should trail by `target`.
    pub fn observe(&mut self, now: i64, trail: i64, target: i64) -> Correction {
        self.pass();
        self.known += FRAME_SAMPLES as i64;
        self.trail.insert(now, trail);
        if self.since_jump < STRETCH_SPACING {
            return Correction::None;
        }
        let excess = self.trail.min().unwrap_or(trail) - target;
        let off = excess.abs();
        let wish = Wish {
            samples: usize::try_from(off).unwrap_or(0),
            likeness: LIKENESS * (1.0 - off as f32 / LIKENESS_IRRELEVANT).max(-1.0),
        };
        if excess >= ACCELERATE_FROM && self.known >= TRAIL_KNOWN {
            Correction::Accelerate(wish)
        } else if excess <= -DECELERATE_FROM {
            Correction::Decelerate(wish)
        } else {
            Correction::None
        }
    }

    /// The trail grew by `samples` by a jump.
    pub fn jumped(&mut self, samples: i64) {
        if samples != 0 {
            self.trail.shift(samples);
            self.since_jump = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: i64 = 1440;

    /// The correction after `frames` frames that trail by `trail` of their number.
    fn after(frames: i64, trail: impl Fn(i64) -> i64) -> Correction {
        let mut steering = Steering::new();
        (0..frames).map(|n| steering.observe(n * 480, trail(n), TARGET)).last().unwrap()
    }

    #[test]
    fn on_target_nothing_is_stretched() {
        assert!(matches!(after(100, |_| TARGET), Correction::None));
        assert!(matches!(after(100, |_| TARGET + 140), Correction::None));
        assert!(matches!(after(100, |_| TARGET - 119), Correction::None));
    }

    #[test]
    fn too_long_a_trail_is_shortened_once_it_is_known() {
        assert!(matches!(after(9, |_| TARGET + 480), Correction::None));
        assert!(matches!(after(10, |_| TARGET + 480), Correction::Accelerate(Wish { samples: 480, .. })));
        // A device that takes two frames at once trails by 10 ms more with every first one.
        assert!(matches!(after(100, |n| TARGET + n % 2 * 480), Correction::None));
    }

    #[test]
    fn too_short_a_trail_is_lengthened_as_soon_as_it_is_seen() {
        let sudden = |n| if n == 50 { TARGET - 240 } else { TARGET };
        assert!(matches!(after(51, sudden), Correction::Decelerate(Wish { samples: 240, .. })));
    }

    #[test]
    fn jumps_keep_their_distance() {
        let mut steering = Steering::new();
        let mut corrections = (0..40).map(|n| {
            let correction = steering.observe(n * 480, TARGET + 4800, TARGET);
            if let Correction::Accelerate(_) = correction {
                steering.jumped(-480);
            }
            !matches!(correction, Correction::None)
        });
        let distances: Vec<_> = std::iter::from_fn(|| corrections.position(|jump| jump)).collect();
        assert!(distances.len() > 5 && distances[1..].iter().all(|&frames| frames >= 2), "{distances:?}");
    }
}
