//! Keeps a sum of voices within full scale: gain goes down at once and comes back slowly; the moment in
//! between is bent softly instead of clipped.

use crate::audio::Frame;

/// Up to here, -1 dB of full scale, nothing is touched.
const CEILING: f32 = 0.89;
/// Per frame of 10 ms the gain comes back by this factor, 6 dB in about 0.7 s: faster is heard as pumping.
const RELEASE: f32 = 1.01;
/// The gain goes down over this many samples, 1 ms: faster clicks.
const ATTACK: f32 = 48.0;

/// The limiter of one output.
#[derive(Debug)]
pub struct Limiter {
    gain: f32,
}

impl Limiter {
    /// At rest.
    pub const fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Brings `frame` within -1 to 1. What is within the ceiling, after quiet, is left as it is.
    pub fn limit(&mut self, frame: &mut Frame) {
        let peak = frame.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let wanted = (CEILING / peak.max(CEILING)).min(self.gain * RELEASE);
        if self.gain == 1.0 && wanted == 1.0 {
            return;
        }
        let step = (wanted - self.gain) / if wanted < self.gain { ATTACK } else { frame.len() as f32 };
        let mut gain = self.gain;
        for sample in frame.iter_mut() {
            gain += step;
            gain = if step < 0.0 { gain.max(wanted) } else { gain.min(wanted) };
            *sample = bend(*sample * gain);
        }
        self.gain = wanted;
    }
}

/// The identity up to the ceiling; above it approaches 1 without a kink.
fn bend(sample: f32) -> f32 {
    let over = sample.abs() - CEILING;
    if over <= 0.0 {
        return sample;
    }
    const ROOM: f32 = 1.0 - CEILING;
    sample.signum() * (CEILING + ROOM * over / (over + ROOM))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::FRAME_SAMPLES;

    #[test]
    fn loud_sums_stay_within_full_scale_and_quiet_sound_is_untouched() {
        let mut limiter = Limiter::new();
        let quiet = [0.5; FRAME_SAMPLES];
        let mut frame = quiet;
        limiter.limit(&mut frame);
        assert_eq!(frame, quiet);
        for loud in [3.0, 1.2, -8.0, f32::MAX] {
            let mut frame = [loud; FRAME_SAMPLES];
            limiter.limit(&mut frame);
            assert!(frame.iter().all(|s| s.abs() <= 1.0 && s.signum() == loud.signum()), "{loud}");
        }
    }

    #[test]
    fn gain_comes_back_after_a_loud_moment() {
        let mut limiter = Limiter::new();
        limiter.limit(&mut [2.0; FRAME_SAMPLES]);
        let mut frame = [0.5; FRAME_SAMPLES];
        limiter.limit(&mut frame);
        assert!(frame[FRAME_SAMPLES - 1] < 0.3);
        for _ in 0..200 {
            frame = [0.5; FRAME_SAMPLES];
            limiter.limit(&mut frame);
        }
        assert_eq!(frame, [0.5; FRAME_SAMPLES]);
    }
}
