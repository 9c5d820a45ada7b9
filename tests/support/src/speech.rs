//! What an echo canceller is tried with. The test tone will not do: it repeats itself 440 times a second, so
//! with it the delay between speaker and microphone is found in 2 to over 20 s, by chance; with speech always
//! in 2 s (measured for delays of 5 to 300 ms).

const SAMPLE_RATE: u32 = 48_000;
const SECOND: usize = SAMPLE_RATE as usize;

/// Noise from a fixed seed, -1 to 1.
pub struct Noise(pub u64);

impl Noise {
    /// The next sample.
    pub fn sample(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A resonance of the mouth: a two-pole filter.
#[derive(Default)]
struct Formant([f32; 2]);

impl Formant {
    fn filter(&mut self, input: f32, hz: f32, bandwidth: f32) -> f32 {
        let radius = (-std::f32::consts::PI * bandwidth / SAMPLE_RATE as f32).exp();
        let angle = std::f32::consts::TAU * hz / SAMPLE_RATE as f32;
        let [last, before] = self.0;
        let output = (1.0 - radius) * input + 2.0 * radius * angle.cos() * last - radius * radius * before;
        self.0 = [output, last];
        output
    }
}

/// Something that has what matters of speech: a voice that glides, syllables of changing vowels with hisses
/// between them, and pauses. Mono at 48 kHz; the root mean square over all is 0.1. `pitch` is in Hz.
pub fn speech(seed: u64, pitch: f32, samples: usize) -> Vec<f32> {
    const VOWELS: [[f32; 3]; 5] = [
        [730.0, 1090.0, 2440.0],
        [270.0, 2290.0, 3010.0],
        [300.0, 870.0, 2240.0],
        [530.0, 1840.0, 2480.0],
        [570.0, 840.0, 2410.0],
    ];
    let mut noise = Noise(seed);
    let mut formants: [Formant; 3] = Default::default();
    let (mut phase, mut output) = (0.0_f32, Vec::with_capacity(samples));
    while output.len() < samples {
        let vowel = VOWELS[((noise.sample() + 1.0) * 2.5) as usize % VOWELS.len()];
        let pause = noise.sample() > 0.7;
        let length = SECOND / 8 + ((noise.sample() + 1.0) * SECOND as f32 / 12.0) as usize;
        let hiss = (SECOND as f32 * 0.03 * (noise.sample() + 1.0)) as usize;
        let hz = pitch * (1.0 + 0.2 * noise.sample());
        for n in 0..length {
            let position = n as f32 / length as f32;
            phase = (phase + hz * (1.1 - 0.2 * position) / SAMPLE_RATE as f32).fract();
            let voiced = if n > hiss { (1.0 - phase).powi(4) - 0.2 } else { 0.0 };
            let hissed = if n < hiss { 0.3 * noise.sample() } else { 0.02 * noise.sample() };
            let envelope = if pause { 0.0 } else { (std::f32::consts::PI * position).sin() };
            let source = voiced + hissed;
            let filtered: f32 =
                formants.iter_mut().zip(vowel).map(|(formant, hz)| formant.filter(source, hz, 80.0)).sum();
            output.push(envelope * (filtered + 0.2 * hissed));
        }
    }
    output.truncate(samples);
    let scale = 0.1 / power(&output).sqrt();
    output.iter().map(|sample| (sample * scale).clamp(-1.0, 1.0)).collect()
}

/// Mean square.
pub fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
}
