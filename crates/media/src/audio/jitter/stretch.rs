//! Time-stretch by waveform similarity (WSOLA, Verhelst and Roelands 1993): playing jumps ahead or back by a
//! lag at which the sound resembles itself, in speech mostly a pitch period, with a cross-fade over the seam.
//! Pitch and timbre stay; only the length changes.

/// Where sound resembles itself is judged over 10 ms.
pub const WINDOW: usize = 480;
/// Shortest jump, 2.5 ms: the pitch period of a 400 Hz voice. Shorter ones would buzz.
pub const MIN_LAG: usize = 120;
/// Longest jump, 15 ms: a pitch of 67 Hz, under nearly every voice.
pub const MAX_LAG: usize = 720;
/// Seam of 5 ms, shorter for shorter lags.
const FADE: usize = 240;
/// The search runs on every fourth sample first; voices have their pitch far below the 6 kHz that remain.
const DECIMATION: usize = 4;
/// Mean square under which nobody hears a seam: -50 dB of full scale.
const SILENCE: f32 = 1e-5;
/// A longer lag has to be better by this factor: at equal likeness the smaller jump is the better one.
const LONGER_IS_WORSE: f32 = 1.01;

/// Which jump is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Samples to gain; a jump ahead gains at most this, one back may gain more.
    pub samples: usize,
    /// The least likeness of both sides of the seam: 1 is the same waveform, 0 an unrelated one.
    pub likeness: f32,
}

/// Jumps ahead in `line[..end]`: cross-fades from the sound at `cursor` into that one lag later, which is
/// returned as the number of samples to advance. 0 if no jump would sound well.
pub fn ahead(line: &mut [f32], cursor: usize, wish: Wish) -> usize {
    let room = line.len().saturating_sub(cursor + WINDOW);
    let longest = wish.samples.min(MAX_LAG).min(room);
    if longest < MIN_LAG {
        return 0;
    }
    let (Some(template), Some(region)) =
        (line.get(cursor..cursor + WINDOW), line.get(cursor + MIN_LAG..cursor + longest + WINDOW))
    else {
        return 0;
    };
    let lag = if is_silent(template) && is_silent(region) {
        Some(longest)
    } else {
        most_alike(template, region, |offset| MIN_LAG + offset, wish.likeness)
    };
    lag.map_or(0, |lag| {
        seam(line, cursor, cursor + lag, lag);
        lag
    })
}

/// Jumps back in `line`: cross-fades from the sound at `cursor` into that one lag earlier, which is returned
/// as the number of samples to go back. 0 if no jump would sound well.
pub fn back(line: &mut [f32], cursor: usize, wish: Wish) -> usize {
    let longest = MAX_LAG.min(cursor);
    if longest < MIN_LAG {
        return 0;
    }
    let (Some(template), Some(region)) =
        (line.get(cursor..cursor + WINDOW), line.get(cursor - longest..cursor - MIN_LAG + WINDOW))
    else {
        return 0;
    };
    let lag = if is_silent(template) && is_silent(region) {
        Some(wish.samples.clamp(MIN_LAG, longest))
    } else {
        most_alike(template, region, |offset| longest - offset, wish.likeness)
    };
    lag.map_or(0, |lag| {
        seam(line, cursor, cursor - lag, lag);
        lag
    })
}

/// Makes the sound at `to` begin as the one at `from` and turn into itself.
fn seam(line: &mut [f32], from: usize, to: usize, lag: usize) {
    let fade = FADE.min(lag);
    let Some(leaving) = line.get(from..from + fade) else { return };
    let mut old = [0.0; FADE];
    old.iter_mut().zip(leaving).for_each(|(old, sample)| *old = *sample);
    let Some(entering) = line.get_mut(to..to + fade) else { return };
    for ((sample, old), i) in entering.iter_mut().zip(old).zip(1..) {
        let share = i as f32 / (fade + 1) as f32;
        *sample = old + (*sample - old) * share;
    }
}

/// The lag at which `region` is most like `template`, if alike enough. `lag` tells the lag of an offset in
/// `region`.
fn most_alike(template: &[f32], region: &[f32], lag: impl Fn(usize) -> usize, least: f32) -> Option<usize> {
    let (mut coarse_template, mut coarse_region) =
        ([0.0; WINDOW / DECIMATION], [0.0; (WINDOW + MAX_LAG - MIN_LAG) / DECIMATION]);
    let coarse_template = decimate(template, &mut coarse_template);
    let coarse_region = decimate(region, &mut coarse_region);
    let coarse_offsets = 0..=coarse_region.len().checked_sub(coarse_template.len())?;
    let (coarse, _) = best(coarse_template, coarse_region, coarse_offsets, |offset| lag(offset * DECIMATION))?;

    let last = region.len().checked_sub(template.len())?;
    let near = coarse * DECIMATION;
    let offsets = near.saturating_sub(DECIMATION)..=(near + DECIMATION).min(last);
    let (offset, likeness) = best(template, region, offsets, &lag)?;
    (likeness >= least).then(|| lag(offset))
}

/// The offset of the best likeness, of several about equal ones that with the smallest lag.
fn best(
    template: &[f32],
    region: &[f32],
    offsets: impl Iterator<Item = usize>,
    lag: impl Fn(usize) -> usize,
) -> Option<(usize, f32)> {
    offsets.filter_map(|offset| Some((offset, likeness(template, region.get(offset..)?)))).reduce(|held, next| {
        let (near, far) = if lag(next.0) < lag(held.0) { (next, held) } else { (held, next) };
        if far.1 > near.1 * LONGER_IS_WORSE && far.1 > 0.0 { far } else { near }
    })
}

/// Normalised cross-correlation, -1 to 1, over the length of `template`.
fn likeness(template: &[f32], other: &[f32]) -> f32 {
    let (mut product, mut a, mut b) = (0.0f32, 0.0f32, 0.0f32);
    for (x, y) in template.iter().zip(other) {
        product += x * y;
        a += x * x;
        b += y * y;
    }
    // The addend stands far under the silence threshold and keeps digital silence from dividing by zero.
    product / ((a * b).sqrt() + 1e-9)
}

fn decimate<'a>(samples: &[f32], out: &'a mut [f32]) -> &'a [f32] {
    let mut count = 0;
    for (group, out) in samples.chunks_exact(DECIMATION).zip(out.iter_mut()) {
        *out = group.iter().sum();
        count += 1;
    }
    out.get(..count).unwrap_or_default()
}

fn is_silent(samples: &[f32]) -> bool {
    samples.iter().map(|s| s * s).sum::<f32>() <= SILENCE * samples.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::SAMPLE_RATE;

    /// A voice-like sound: pulses of `period` samples, each ringing at 700 Hz.
    fn voice(period: usize, len: usize) -> Vec<f32> {
        let ring = std::f32::consts::TAU * 700.0 / SAMPLE_RATE as f32;
        (0..len)
            .map(|i| {
                let t = (i % period) as f32;
                0.5 * (-t / 150.0).exp() * (t * ring).cos()
            })
            .collect()
    }

    const WISH: Wish = Wish { samples: MAX_LAG, likeness: 0.9 };

    #[test]
    fn jumps_are_whole_pitch_periods() {
        for period in [200, 377, 480, 640] {
            for (name, jump) in [("ahead", ahead as fn(&mut [f32], usize, Wish) -> usize), ("back", back)] {
                let mut line = voice(period, 4000);
                let lag = jump(&mut line, 1500, WISH);
                assert!(lag > 0 && lag % period == 0, "{name}: {lag} of {period}");
            }
        }
    }

    #[test]
    fn seam_of_a_periodic_sound_is_not_heard() {
        let original = voice(480, 4000);
        let mut line = original.clone();
        let cursor = 1500 - back(&mut line, 1500, WISH);
        for (i, (a, b)) in line[cursor..].iter().zip(&original[cursor..]).enumerate() {
            assert!((a - b).abs() < 1e-3, "sample {i}: {a} instead of {b}");
        }
    }

    #[test]
    fn a_jump_ahead_never_gains_more_than_wished_nor_passes_the_end() {
        let mut line = voice(480, 4000);
        assert_eq!(ahead(&mut line, 1500, Wish { samples: 470, ..WISH }), 0);
        assert_eq!(ahead(&mut line, 1500, Wish { samples: 490, ..WISH }), 480);
        assert_eq!(ahead(&mut line[..1500 + WINDOW + 400], 1500, WISH), 0);
        assert_eq!(ahead(&mut line[..1510], 1500, WISH), 0);
        assert_eq!(back(&mut line, 100, WISH), 0);
    }

    #[test]
    fn sound_that_resembles_nothing_is_left_alone_unless_it_is_urgent() {
        let mut seed = 1u32;
        let mut noise: Vec<f32> = (0..4000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect();
        let before = noise.clone();
        assert_eq!(ahead(&mut noise, 1500, WISH), 0);
        assert_eq!(noise, before);
        assert!(ahead(&mut noise, 1500, Wish { likeness: 0.0, ..WISH }) > 0);
    }

    #[test]
    fn silence_gives_exactly_what_is_wished() {
        let mut line = vec![1e-4; 4000];
        assert_eq!(ahead(&mut line, 1500, Wish { samples: 333, ..WISH }), 333);
        assert_eq!(back(&mut line, 1500, Wish { samples: 333, ..WISH }), 333);
    }
}
