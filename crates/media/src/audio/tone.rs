//! The test tone: the synthetic microphone that any two programs can be compared by, and its detector.
//!
//! A 1 kHz beep of 50 ms at every whole second of unix time, over a continuous quiet 440 Hz; mono, 48 kHz.

use std::{f32::consts::TAU, time::Duration};

use super::{Frame, SAMPLE_RATE};

/// The quiet tone beneath, in Hz. A whole number of cycles a second, so the signal is the same in every
/// second.
pub const TONE_HZ: u32 = 440;
/// The beep, in Hz.
pub const BEEP_HZ: u32 = 1000;
/// How long a beep is.
pub const BEEP: Duration = Duration::from_millis(50);
/// Amplitude of the 440 Hz: -26 dBFS, quiet beside the beep, far over any codec's noise.
pub const TONE_AMPLITUDE: f32 = 0.05;
/// Amplitude of the beep: -6 dBFS.
pub const BEEP_AMPLITUDE: f32 = 0.5;

const SECOND: usize = SAMPLE_RATE as usize;
const SAMPLES_A_MS: usize = SECOND / 1000;

/// Makes the test tone for any moment of unix time.
pub struct Generator {
    /// One second, which is the period of the whole signal.
    second: Vec<f32>,
}

impl Default for Generator {
    fn default() -> Self {
        Self::new()
    }
}

impl Generator {
    /// Prepares one second of the signal.
    pub fn new() -> Self {
        let beep_samples = BEEP.as_millis() as usize * SAMPLES_A_MS;
        let second = (0..SECOND)
            .map(|n| {
                let beep = if n < beep_samples { BEEP_AMPLITUDE * sine(BEEP_HZ, n) } else { 0.0 };
                TONE_AMPLITUDE * sine(TONE_HZ, n) + beep
            })
            .collect();
        Self { second }
    }

    /// Fills the 10 ms whose first sample is at unix time `at`.
    pub fn fill(&self, frame: &mut Frame, at: Duration) {
        let start = (u64::from(at.subsec_nanos()) * u64::from(SAMPLE_RATE) / 1_000_000_000) as usize;
        for (sample, value) in frame.iter_mut().zip(self.second.iter().cycle().skip(start)) {
            *sample = *value;
        }
    }
}

/// `sin` at sample `n`, its phase reduced in integers so that it stays exact for any `n`.
fn sine(hz: u32, n: usize) -> f32 {
    (TAU * (n * hz as usize % SECOND) as f32 / SECOND as f32).sin()
}

fn cosine(hz: u32, n: usize) -> f32 {
    (TAU * (n * hz as usize % SECOND) as f32 / SECOND as f32).cos()
}

/// Cosine and sine of one frequency, from a table of the shortest stretch that holds whole cycles of it.
struct Oscillator {
    table: Vec<Quadrature>,
    next: usize,
}

impl Oscillator {
    fn new(hz: u32) -> Self {
        let repeats = (1..=SECOND).find(|n| (n * hz as usize).is_multiple_of(SECOND)).unwrap_or(SECOND);
        Self { table: (0..repeats).map(|n| Quadrature { cosine: cosine(hz, n), sine: sine(hz, n) }).collect(), next: 0 }
    }

    fn next(&mut self) -> Quadrature {
        let value = self.table.get(self.next).copied().unwrap_or_default();
        self.next = (self.next + 1) % self.table.len();
        value
    }
}

/// The level of a root mean square, in dB below full scale; silence is [`f32::NEG_INFINITY`].
pub fn dbfs(rms: f32) -> f32 {
    20.0 * rms.log10()
}

/// A beep of the test tone as it was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beep {
    /// Its first sample, counted from the first sample the detector got; right to about half a millisecond.
    pub onset: u64,
    /// How long it was.
    pub length: Duration,
    /// Amplitude, full scale 1.0.
    pub amplitude: f32,
}

/// What a stretch of sound holds of the test tone. Levels leave out the 50 ms blocks that a beep touches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Root mean square of the 440 Hz tone.
    pub tone_rms: f32,
    /// Root mean square of all that is neither tone nor beep.
    pub other_rms: f32,
    /// The beeps that ended within the stretch.
    pub beeps: Vec<Beep>,
}

/// Window of the beep's envelope in ms: five cycles of 1 kHz, in which 440 Hz cancels to under a tenth.
const WINDOW_MS: usize = 5;
/// Samples of a block for levels: 50 ms hold whole cycles of both tones, so they do not leak into each other.
const BLOCK: usize = 50 * SAMPLES_A_MS;
/// A beep starts over this amplitude: 28 dB under the nominal one, which allows for a quiet room and any gain
/// control.
const BEEP_THRESHOLD: f32 = 0.02;
/// A beep also stands out over the 440 Hz by this, whose remains in the short window could be taken for one.
const BEEP_OVER_TONE: f32 = 2.0;
/// A beep has ended under this part of its full amplitude; its edges are where half of it is reached.
const BEEP_END: f32 = 0.3;
/// This part of the power is the beep's while it lasts, else it is noise or speech that touches 1 kHz.
const BEEP_PURITY: f32 = 0.5;
/// Lengths taken for a beep; codecs and echo smear it, speech at 1 kHz lasts longer or shorter.
const BEEP_LENGTHS_MS: std::ops::RangeInclusive<u64> = 30..=90;

/// Finds the test tone in sound that comes in pieces of any size.
pub struct Detector {
    /// Samples taken so far.
    position: u64,
    beep_oscillator: Oscillator,
    tone_oscillator: Oscillator,
    beep: Quadrature,
    /// Sum of squares of the current ms.
    energy: f32,
    /// The last [`WINDOW_MS`] sums of 1 ms.
    window: [Quadrature; WINDOW_MS],
    envelope_before: f32,
    rise: Option<Rise>,
    block: Block,
    tone_amplitude: f32,
    tone_power: f64,
    other_power: f64,
    blocks: u32,
    beeps: Vec<Beep>,
}

/// Sum of a signal against cosine and sine of one frequency (one bin of a Fourier transform).
#[derive(Clone, Copy, Default)]
struct Quadrature {
    cosine: f32,
    sine: f32,
}

impl Quadrature {
    fn add(&mut self, oscillator: Quadrature, sample: f32) {
        self.cosine += sample * oscillator.cosine;
        self.sine += sample * oscillator.sine;
    }

    /// Amplitude of the sine that gives this sum over `samples`.
    fn amplitude(self, samples: usize) -> f32 {
        2.0 * self.cosine.hypot(self.sine) / samples as f32
    }
}

#[derive(Default)]
struct Block {
    samples: usize,
    tone: Quadrature,
    beep: Quadrature,
    energy: f32,
    /// A beep was going on in some part of it.
    beeping: bool,
}

/// Envelope values of one beep, one a millisecond, from the one before it rose over the threshold.
struct Rise {
    /// When the first value of `envelope` was taken, in ms.
    first_ms: u64,
    envelope: Vec<f32>,
    peak: f32,
    /// Sums over the same ms of all power, and of the beep's.
    power: f32,
    beep_power: f32,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// A detector at sample 0.
    pub fn new() -> Self {
        Self {
            position: 0,
            beep_oscillator: Oscillator::new(BEEP_HZ),
            tone_oscillator: Oscillator::new(TONE_HZ),
            beep: Quadrature::default(),
            energy: 0.0,
            window: Default::default(),
            envelope_before: 0.0,
            rise: None,
            block: Block::default(),
            tone_amplitude: 0.0,
            tone_power: 0.0,
            other_power: 0.0,
            blocks: 0,
            beeps: Vec::new(),
        }
    }

    /// Samples taken so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Takes the next samples, full scale 1.0.
    pub fn push(&mut self, samples: &[f32]) {
        for &sample in samples {
            let beep = self.beep_oscillator.next();
            self.beep.add(beep, sample);
            self.block.beep.add(beep, sample);
            self.block.tone.add(self.tone_oscillator.next(), sample);
            self.block.energy += sample * sample;
            self.energy += sample * sample;
            self.block.samples += 1;
            self.position += 1;
            if self.position.is_multiple_of(SAMPLES_A_MS as u64) {
                self.end_millisecond();
            }
            if self.block.samples == BLOCK {
                self.end_block();
            }
        }
    }

    /// What was found since the last report; counting of samples goes on.
    pub fn report(&mut self) -> Report {
        let blocks = f64::from(self.blocks.max(1));
        let report = Report {
            tone_rms: (self.tone_power / blocks).sqrt() as f32,
            other_rms: (self.other_power / blocks).sqrt() as f32,
            beeps: std::mem::take(&mut self.beeps),
        };
        (self.tone_power, self.other_power, self.blocks) = (0.0, 0.0, 0);
        report
    }

    fn end_millisecond(&mut self) {
        self.window.rotate_left(1);
        if let Some(newest) = self.window.last_mut() {
            *newest = std::mem::take(&mut self.beep);
        }
        let sum = self.window.iter().fold(Quadrature::default(), |sum, ms| Quadrature {
            cosine: sum.cosine + ms.cosine,
            sine: sum.sine + ms.sine,
        });
        let envelope = sum.amplitude(WINDOW_MS * SAMPLES_A_MS);
        let ms = self.position / SAMPLES_A_MS as u64;
        let power = std::mem::take(&mut self.energy) / SAMPLES_A_MS as f32;
        if let Some(rise) = &mut self.rise {
            rise.envelope.push(envelope);
            rise.peak = rise.peak.max(envelope);
            rise.power += power;
            rise.beep_power += envelope * envelope / 2.0;
            self.block.beeping = true;
            let too_long = rise.envelope.len() as u64 > 2 * BEEP_LENGTHS_MS.end();
            if envelope < BEEP_END * rise.peak || too_long {
                self.beeps.extend(rise.beep());
                self.rise = None;
            }
        } else if envelope > BEEP_THRESHOLD.max(BEEP_OVER_TONE * self.tone_amplitude) {
            self.block.beeping = true;
            let envelope = vec![self.envelope_before, envelope];
            self.rise = Some(Rise { first_ms: ms - 1, envelope, peak: 0.0, power: 0.0, beep_power: 0.0 });
        }
        self.envelope_before = envelope;
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        let tone = block.tone.amplitude(BLOCK);
        let beep = block.beep.amplitude(BLOCK);
        if block.beeping || beep > BEEP_THRESHOLD / 2.0 {
            return;
        }
        self.tone_amplitude = tone;
        let tone_power = f64::from(tone * tone / 2.0);
        self.tone_power += tone_power;
        self.other_power += (f64::from(block.energy) / BLOCK as f64 - tone_power).max(0.0);
        self.blocks += 1;
    }
}

impl Rise {
    /// Where the envelope passes half of the peak, up and down: a window of five ms answers a sudden beep by
    /// a straight rise of five ms, whose middle is half a window after the edge.
    fn beep(&self) -> Option<Beep> {
        let half = self.peak / 2.0;
        let crossing = |(n, pair): (usize, &[f32])| match pair {
            [a, b] if (*a < half) != (*b < half) => Some(n as f32 + (half - a) / (b - a)),
            _ => None,
        };
        let up = self.envelope.windows(2).enumerate().find_map(crossing)?;
        let down = self.envelope.windows(2).enumerate().rev().find_map(crossing)?;
        let length = Duration::from_secs_f32((down - up).max(0.0) / 1000.0);
        let onset_ms = self.first_ms as f64 + f64::from(up) - WINDOW_MS as f64 / 2.0;
        let pure = self.beep_power > BEEP_PURITY * self.power;
        (pure && BEEP_LENGTHS_MS.contains(&(length.as_millis() as u64))).then(|| Beep {
            onset: (onset_ms * SAMPLES_A_MS as f64).max(0.0).round() as u64,
            length,
            amplitude: self.peak,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::FRAME_SAMPLES;

    /// Seconds of the tone from unix time `at`, as the generator makes it in 10 ms frames.
    fn tone(at: Duration, seconds: u32) -> Vec<f32> {
        let generator = Generator::new();
        let mut frame = [0.0; FRAME_SAMPLES];
        (0..100 * seconds)
            .flat_map(|n| {
                generator.fill(&mut frame, at + n * Duration::from_millis(10));
                frame
            })
            .collect()
    }

    fn detect(samples: &[f32]) -> Report {
        let mut detector = Detector::new();
        detector.push(samples);
        detector.report()
    }

    /// White noise from a fixed seed.
    fn noise(samples: usize, amplitude: f32) -> impl Iterator<Item = f32> {
        let mut state = 1_u64;
        (0..samples).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            amplitude * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        })
    }

    #[test]
    fn every_beep_starts_at_a_whole_second_to_a_millisecond() {
        let at = Duration::new(1_700_000_000, 123_456_789);
        let report = detect(&tone(at, 5));
        assert_eq!(report.beeps.len(), 5, "{:?}", report.beeps);
        for beep in report.beeps {
            let unix = at.as_secs_f64() + beep.onset as f64 / 48_000.0;
            assert!((unix - unix.round()).abs() < 0.0006, "a beep {} s off", unix - unix.round());
            assert!((beep.amplitude - BEEP_AMPLITUDE).abs() < 0.02, "{beep:?}");
            assert!(beep.length.abs_diff(BEEP) < Duration::from_millis(2), "{beep:?}");
        }
    }

    #[test]
    fn the_tone_has_its_level_and_nothing_else_is_there() {
        let report = detect(&tone(Duration::ZERO, 3));
        assert!((report.tone_rms * 2_f32.sqrt() - TONE_AMPLITUDE).abs() < 1e-4, "{report:?}");
        assert!(report.other_rms < 1e-4, "{report:?}");
    }

    #[test]
    fn a_quiet_tone_in_noise_is_found_and_the_noise_measured() {
        let mut samples = tone(Duration::from_millis(300), 4);
        for (sample, noise) in samples.iter_mut().zip(noise(4 * 48_000, 0.02)) {
            *sample = *sample * 0.25 + noise;
        }
        let report = detect(&samples);
        assert_eq!(report.beeps.len(), 4, "{:?}", report.beeps);
        for (n, beep) in report.beeps.iter().enumerate() {
            let off = beep.onset as f64 - (48_000.0 * (0.7 + n as f64));
            assert!(off.abs() < 48.0, "{off} samples off");
        }
        assert!((report.tone_rms * 2_f32.sqrt() - TONE_AMPLITUDE / 4.0).abs() < 0.002, "{report:?}");
        assert!((report.other_rms - 0.02 / 3_f32.sqrt()).abs() < 0.002, "{report:?}");
    }

    #[test]
    fn silence_noise_and_long_whistles_are_no_beeps() {
        let whistle: Vec<f32> = (0..SECOND).map(|n| 0.5 * sine(BEEP_HZ, n)).collect();
        for samples in [vec![0.0; SECOND], noise(SECOND, 0.5).collect(), whistle] {
            assert_eq!(detect(&samples).beeps, []);
        }
        assert_eq!(detect(&vec![0.0; SECOND]), Report::default());
    }

    #[test]
    fn the_size_of_the_pieces_does_not_matter() {
        let samples = tone(Duration::from_millis(950), 1);
        let mut detector = Detector::new();
        for piece in samples.chunks(7) {
            detector.push(piece);
        }
        assert_eq!(detector.report(), detect(&samples));
    }
}
