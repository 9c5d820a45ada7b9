//! One mono stream from one sample rate to another, without allocating after its start.

use rubato::{
    Async, FixedAsync, Resampler as _, ResamplerConstructionError, SincInterpolationParameters, WindowFunction,
    audioadapter_buffers::direct::InterleavedSlice,
};

/// Chunks a second that the filter works in: 2.5 ms each, so that waiting for a chunk adds next to no delay.
const CHUNKS_A_SECOND: u32 = 400;
/// Taps of the filter: 64 keep aliasing under -70 dB for speech and delay by 32 samples only (0.7 ms).
const FILTER_TAPS: usize = 64;

/// Converts a mono stream from one sample rate to another. Equal rates pass through untouched and undelayed.
pub struct Resampler {
    filter: Option<Filter>,
}

struct Filter {
    inner: Async<f32>,
    /// Input that does not fill a chunk yet.
    pending: Vec<f32>,
    chunk: usize,
    output: Vec<f32>,
}

/// The pair of rates cannot be converted.
#[derive(Debug, thiserror::Error)]
#[error("sound of {from} Hz cannot be converted to {to} Hz: {reason}")]
pub struct ResampleError {
    from: u32,
    to: u32,
    reason: String,
}

impl Resampler {
    /// Prepares the filter for `from` Hz in, `to` Hz out.
    ///
    /// # Errors
    /// A rate of zero, or a ratio beyond what the filter can do.
    pub fn new(from: u32, to: u32) -> Result<Self, ResampleError> {
        if from == to {
            return Ok(Self { filter: None });
        }
        let error = |reason: String| ResampleError { from, to, reason };
        if from == 0 || to == 0 {
            return Err(error("a rate of zero".into()));
        }
        let chunk = (from / CHUNKS_A_SECOND).max(1) as usize;
        let parameters = SincInterpolationParameters::new(FILTER_TAPS, WindowFunction::BlackmanHarris2);
        let ratio = f64::from(to) / f64::from(from);
        let inner = Async::new_sinc(ratio, 1.0, &parameters, chunk, 1, FixedAsync::Input)
            .map_err(|e: ResamplerConstructionError| error(e.to_string()))?;
        let output = vec![0.0; inner.output_frames_max()];
        Ok(Self { filter: Some(Filter { inner, pending: Vec::with_capacity(chunk), chunk, output }) })
    }

    /// Samples of the output rate by which the filter delays the stream.
    pub fn delay(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.inner.output_delay())
    }

    /// Takes `input` and hands every finished stretch of output to `sink`, in order.
    pub fn process(&mut self, mut input: &[f32], mut sink: impl FnMut(&[f32])) {
        let Some(filter) = &mut self.filter else { return sink(input) };
        while !input.is_empty() {
            let missing = filter.chunk - filter.pending.len();
            let (now, later) = input.split_at(missing.min(input.len()));
            filter.pending.extend_from_slice(now);
            input = later;
            if filter.pending.len() == filter.chunk {
                sink(filter.convert());
                filter.pending.clear();
            }
        }
    }
}

impl Filter {
    fn convert(&mut self) -> &[f32] {
        let frames = self.output.len();
        let written = InterleavedSlice::new(&self.pending, 1, self.chunk).ok().and_then(|input| {
            let mut output = InterleavedSlice::new_mut(&mut self.output, 1, frames).ok()?;
            let (_, written) = self.inner.process_into_buffer(&input, &mut output, None).ok()?;
            Some(written)
        });
        // The sizes are the filter's own, so it cannot refuse them; were it to, nothing comes out.
        self.output.get(..written.unwrap_or(0)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, hz: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (std::f32::consts::TAU * hz * n as f32 / rate as f32).sin()).collect()
    }

    fn convert(from: u32, to: u32, input: &[f32], piece: usize) -> (Vec<f32>, usize) {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut output = Vec::new();
        for piece in input.chunks(piece) {
            resampler.process(piece, |samples| output.extend_from_slice(samples));
        }
        (output, resampler.delay())
    }

    #[test]
    fn a_sine_keeps_its_pitch_and_level_at_every_common_rate() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 88_200, 96_000, 192_000] {
            let (output, delay) = convert(rate, 48_000, &sine(rate, 440.0, rate as usize), 441);
            let wanted = sine(48_000, 440.0, 48_000);
            let error = output.iter().skip(delay + 480).zip(&wanted[480..]).map(|(a, b)| (a - b).abs());
            let worst = error.fold(0.0, f32::max);
            // The delay is told in whole samples: one of them is 0.058 of this sine's steepest slope.
            assert!(worst < 0.08, "{rate} Hz: off by {worst}");
            assert!((47_000..=48_100).contains(&output.len()), "{rate} Hz: {} samples", output.len());
        }
    }

    #[test]
    fn equal_rates_pass_untouched() {
        let input = sine(48_000, 440.0, 1000);
        assert_eq!(convert(48_000, 48_000, &input, 7), (input, 0));
    }

    #[test]
    fn the_size_of_the_pieces_does_not_matter() {
        let input = sine(44_100, 1000.0, 44_100);
        assert_eq!(convert(44_100, 48_000, &input, 1).0, convert(44_100, 48_000, &input, 44_100).0);
    }

    #[test]
    fn rates_of_zero_are_refused() {
        assert!(Resampler::new(0, 48_000).is_err());
        assert!(Resampler::new(48_000, 0).is_err());
    }
}
