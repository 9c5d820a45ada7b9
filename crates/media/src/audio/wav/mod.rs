//! WAV files: read whole as mono 48 kHz, written so that a file cut off at any moment still plays.
//!
//! Files are taken as recorders, editors and pipes leave them: sizes that were never filled in, chunks of any
//! kind before the samples, an end in the middle of a sample. Nothing is seeked, so a FIFO will do.

mod error;
mod riff;
mod sample;
mod write;

use std::{
    io::{self, Read},
    path::Path,
    time::{Duration, Instant},
};

pub use error::WavError;
use riff::{DataLength, Format, Head, HeadError};
pub use write::Writer;

use super::{SAMPLE_RATE, resample::Resampler};
use crate::pipe::PatientFile;

/// Longer sound is refused: 10 minutes are 115 MB in memory, and no test signal needs them.
const MAX_DURATION: Duration = Duration::from_secs(600);
/// Rates outside this are no sound for people, and their conversion could ask for gigabytes.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Ambisonics of the seventh order; more is a damaged header.
const MAX_CHANNELS: u16 = 64;
/// Sample frames decoded at once.
const BLOCK: usize = 1024;

/// A pipe has to end within this: a call cannot wait longer for its microphone, and ffmpeg converts ten
/// minutes of sound in a few seconds.
const PIPE_LIMIT: Duration = Duration::from_secs(30);

/// Reads the WAV file or FIFO at `path`; see [`read`].
///
/// # Errors
/// As [`read`], when the file cannot be opened, and when a FIFO has not ended after 30 s.
pub fn open(path: &Path) -> Result<Vec<f32>, WavError> {
    open_within(path, PIPE_LIMIT)
}

fn open_within(path: &Path, limit: Duration) -> Result<Vec<f32>, WavError> {
    let name = path.display().to_string();
    let deadline = Instant::now() + limit;
    let file = PatientFile::open(path, move |_| Instant::now() >= deadline)
        .map_err(|e| WavError::Io { name: name.clone(), reason: e.to_string() })?;
    read(io::BufReader::new(file), &name)
}

/// Reads a whole WAV stream (integers of 8 to 32 bits, floats of 32 or 64, 1 to 64 channels, 4 to 384 kHz)
/// into mono 48 kHz samples, full scale 1.0. `name` is what errors call it. Memory is bounded by ten minutes
/// of sound.
///
/// A file that ends before the end its header names is played as far as it goes, with a warning in the log.
///
/// # Errors
/// Empty, too long, not WAV, or not readable.
pub fn read(mut reader: impl Read, name: &str) -> Result<Vec<f32>, WavError> {
    let refuse = |reason: String| WavError::Format { name: name.into(), reason };
    let io_error = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => WavError::Unfinished { name: name.into() },
        _ => WavError::Io { name: name.into(), reason: error.to_string() },
    };
    let Head { format, data, lead } = riff::read_head(&mut reader).map_err(|error| match error {
        HeadError::Io(error) => io_error(error),
        HeadError::Empty => WavError::Empty { name: name.into() },
        HeadError::Format(reason) => refuse(reason),
    })?;
    if !RATES.contains(&format.sample_rate) {
        return Err(refuse(format!("a sample rate of {} Hz", format.sample_rate)));
    }
    if format.channels > MAX_CHANNELS {
        return Err(refuse(format!("{} channels", format.channels)));
    }
    let frame_bytes = format.frame_bytes() as u64;
    let promised = match data {
        DataLength::Bytes(bytes) => Some(bytes / frame_bytes),
        DataLength::Open => None,
    };
    let most = MAX_DURATION.as_secs() * u64::from(format.sample_rate);
    if promised.is_some_and(|frames| frames > most) {
        return Err(WavError::TooLong { name: name.into() });
    }
    let mut sound = Mono48k::new(format.sample_rate).map_err(|e| refuse(e.to_string()))?;
    let mut samples = lead.as_slice().chain(reader).take(promised.map_or(u64::MAX, |frames| frames * frame_bytes));
    let mut block = vec![0; BLOCK * format.frame_bytes()];
    loop {
        let read = riff::fill(&mut samples, &mut block).map_err(io_error)?;
        // A file may end inside a sample: what there is of it is left out.
        let frames = block.get(..read).unwrap_or_default().chunks_exact(format.frame_bytes());
        sound.extend(frames.map(|frame| format.mix(frame)));
        if sound.frames > most {
            return Err(WavError::TooLong { name: name.into() });
        }
        if read < block.len() {
            break;
        }
    }
    if sound.frames == 0 {
        return Err(WavError::Empty { name: name.into() });
    }
    if promised.is_some_and(|frames| frames > sound.frames) {
        let seconds = sound.frames as f64 / f64::from(format.sample_rate);
        tracing::warn!("{name} is truncated: it ends after {seconds:.1} s, before the end its header names");
    }
    Ok(sound.finish())
}

impl Format {
    /// Bytes of one sample of every channel.
    fn frame_bytes(&self) -> usize {
        self.coding.bytes() * usize::from(self.channels)
    }

    /// All channels as one.
    fn mix(&self, frame: &[u8]) -> f32 {
        let sum: f32 = frame.chunks_exact(self.coding.bytes()).map(|bytes| self.coding.decode(bytes)).sum();
        sum / f32::from(self.channels)
    }
}

/// Mono samples of any rate on their way to 48 kHz.
struct Mono48k {
    resampler: Resampler,
    rate: u32,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Samples put in so far.
    frames: u64,
}

impl Mono48k {
    fn new(rate: u32) -> Result<Self, super::resample::ResampleError> {
        let resampler = Resampler::new(rate, SAMPLE_RATE)?;
        Ok(Self { resampler, rate, input: Vec::with_capacity(BLOCK), output: Vec::new(), frames: 0 })
    }

    fn extend(&mut self, samples: impl Iterator<Item = f32>) {
        self.input.clear();
        self.input.extend(samples);
        self.frames += self.input.len() as u64;
        self.resampler.process(&self.input, |finished| self.output.extend_from_slice(finished));
    }

    /// Everything, with what is still inside the filter, and nothing of what it delays by.
    fn finish(mut self) -> Vec<f32> {
        let delay = self.resampler.delay();
        let length = (self.frames * u64::from(SAMPLE_RATE)).div_ceil(u64::from(self.rate)) as usize;
        while delay > 0 && self.output.len() < length + delay {
            self.resampler.process(&[0.0], |finished| self.output.extend_from_slice(finished));
        }
        self.output.drain(..delay.min(self.output.len()));
        self.output.truncate(length);
        self.output
    }
}

#[cfg(test)]
mod tests;
