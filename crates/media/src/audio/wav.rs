//! WAV files: read whole as mono 48 kHz, written so that a file cut off at any moment still plays.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use super::{SAMPLE_RATE, resample::Resampler};
use crate::advice::Advice;

/// Longer sound is refused: 10 minutes are 115 MB in memory, and no test signal needs them.
const MAX_DURATION: Duration = Duration::from_secs(600);
/// Rates outside this are no sound for people, and their conversion could ask for gigabytes.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// The size field of RIFF has 32 bits; a longer recording stops growing here (12 hours).
const MAX_DATA_BYTES: u32 = u32::MAX - WAV_HEADER_BYTES;
const WAV_HEADER_BYTES: u32 = 44;

/// A WAV file that cannot be read or written; each text names the file and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file system says no: missing, a directory, not permitted, disk full.
    Io {
        /// The file.
        name: String,
        /// What the system said.
        reason: String,
    },
    /// No byte, or no sample in it.
    Empty {
        /// The file.
        name: String,
    },
    /// Not a WAV file, or a kind of WAV that nobody can read here.
    Format {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The header promises more samples than there are.
    Truncated {
        /// The file.
        name: String,
        /// How much of it could be read.
        seconds: f64,
    },
    /// Over ten minutes.
    TooLong {
        /// The file.
        name: String,
    },
}

impl WavError {
    /// The error in two parts.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Io { name, reason } => Advice::new(format!("{name}: {reason}"), "check the path and its permissions"),
            Self::Empty { name } => {
                Advice::new(format!("{name} holds no sound (it is empty)"), "choose a WAV file with samples")
            }
            Self::Format { name, reason } => Advice::new(
                format!("{name} is not a WAV file that can be played ({reason})"),
                "convert it to 16-bit PCM WAV",
            ),
            Self::Truncated { name, seconds } => Advice::new(
                format!("{name} is truncated (it ends after {seconds:.1} s, before the end its header names)"),
                "copy it again",
            ),
            Self::TooLong { name } => {
                Advice::new(format!("{name} is longer than {} minutes", MAX_DURATION.as_secs() / 60), "cut it shorter")
            }
        }
    }
}

impl fmt::Display for WavError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice().fmt(f)
    }
}

/// Reads the WAV file at `path`; see [`read`].
///
/// # Errors
/// As [`read`], and when the file cannot be opened.
pub fn open(path: &Path) -> Result<Vec<f32>, WavError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|e| WavError::Io { name: name.clone(), reason: e.to_string() })?;
    read(io::BufReader::new(file), &name)
}

/// Reads a whole WAV stream (integer PCM of 8 to 32 bits or float, any channels, 4 to 192 kHz) into mono 48 kHz
/// samples, full scale 1.0. `name` is what errors call it. Memory is bounded by ten minutes of sound.
///
/// # Errors
/// Empty, truncated, too long, or not WAV.
pub fn read(mut reader: impl Read, name: &str) -> Result<Vec<f32>, WavError> {
    let mut first = [0];
    match reader.read(&mut first) {
        Ok(0) => return Err(WavError::Empty { name: name.into() }),
        Ok(_) => {}
        Err(e) => return Err(WavError::Io { name: name.into(), reason: e.to_string() }),
    }
    let wav = hound::WavReader::new(first.as_slice().chain(reader))
        .map_err(|e| WavError::Format { name: name.into(), reason: e.to_string() })?;
    let spec = wav.spec();
    let refuse = |reason: String| Err(WavError::Format { name: name.into(), reason });
    if !RATES.contains(&spec.sample_rate) {
        return refuse(format!("a sample rate of {} Hz", spec.sample_rate));
    }
    if spec.channels == 0 || wav.len() % u32::from(spec.channels) != 0 {
        return refuse(format!("{} samples in {} channels", wav.len(), spec.channels));
    }
    if u64::from(wav.duration()) > MAX_DURATION.as_secs() * u64::from(spec.sample_rate) {
        return Err(WavError::TooLong { name: name.into() });
    }
    match (spec.sample_format, spec.bits_per_sample) {
        (hound::SampleFormat::Float, _) => mono_48k(wav.into_samples::<f32>(), spec, name),
        (hound::SampleFormat::Int, bits @ 1..=32) => {
            let full_scale = (1_u64 << (bits - 1)) as f32;
            mono_48k(wav.into_samples::<i32>().map(|s| s.map(|s| s as f32 / full_scale)), spec, name)
        }
        (hound::SampleFormat::Int, bits) => refuse(format!("{bits} bits a sample")),
    }
}

fn mono_48k(
    mut samples: impl Iterator<Item = hound::Result<f32>>,
    spec: hound::WavSpec,
    name: &str,
) -> Result<Vec<f32>, WavError> {
    let mut resampler = Resampler::new(spec.sample_rate, SAMPLE_RATE)
        .map_err(|e| WavError::Format { name: name.into(), reason: e.to_string() })?;
    let mut output = Vec::new();
    let mut frames = 0_u64;
    'frames: loop {
        let mut sum = 0.0;
        for channel in 0..spec.channels {
            match samples.next() {
                // Float files may hold anything, and one NaN would stay in every filter after it.
                Some(Ok(sample)) => sum += if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 },
                None if channel == 0 => break 'frames,
                Some(Err(_)) | None => {
                    let seconds = frames as f64 / f64::from(spec.sample_rate);
                    return Err(WavError::Truncated { name: name.into(), seconds });
                }
            }
        }
        frames += 1;
        resampler.process(&[sum / f32::from(spec.channels)], |finished| output.extend_from_slice(finished));
    }
    if frames == 0 {
        return Err(WavError::Empty { name: name.into() });
    }
    // What is still inside the filter, and nothing of what it delays by.
    let delay = resampler.delay();
    let length = (frames * u64::from(SAMPLE_RATE)).div_ceil(u64::from(spec.sample_rate)) as usize;
    while output.len() < length + delay {
        resampler.process(&[0.0], |finished| output.extend_from_slice(finished));
        if delay == 0 {
            break;
        }
    }
    output.drain(..delay.min(output.len()));
    output.truncate(length);
    Ok(output)
}

/// A growing 16-bit mono 48 kHz WAV file. Its header is right after every write, so a reader (or a crash) at any
/// moment finds a whole file.
pub struct Writer {
    file: File,
    name: String,
    data_bytes: u32,
    bytes: Vec<u8>,
}

impl Writer {
    /// Creates the file, or empties it, and writes the header.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub fn create(path: &Path) -> Result<Self, WavError> {
        let name = path.display().to_string();
        let error = |e: io::Error| WavError::Io { name: name.clone(), reason: e.to_string() };
        let mut file = File::create(path).map_err(error)?;
        file.write_all(&header(0)).map_err(error)?;
        Ok(Self { file, name, data_bytes: 0, bytes: Vec::new() })
    }

    /// Appends samples; those beyond full scale are clipped.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), WavError> {
        self.bytes.clear();
        for sample in samples {
            let sample = (sample * f32::from(i16::MAX)).round() as i16;
            self.bytes.extend_from_slice(&sample.to_le_bytes());
        }
        let Some(data_bytes) = self.data_bytes.checked_add(self.bytes.len() as u32).filter(|n| *n <= MAX_DATA_BYTES)
        else {
            return Ok(());
        };
        self.append(data_bytes).map_err(|e| WavError::Io { name: self.name.clone(), reason: e.to_string() })
    }

    fn append(&mut self, data_bytes: u32) -> io::Result<()> {
        // Samples first: a header that promises what is not there yet would make the file a truncated one.
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(&self.bytes)?;
        self.file.rewind()?;
        self.file.write_all(&header(data_bytes))?;
        self.data_bytes = data_bytes;
        Ok(())
    }
}

/// RIFF header of 16-bit mono PCM at 48 kHz.
fn header(data_bytes: u32) -> [u8; WAV_HEADER_BYTES as usize] {
    const BYTES_A_SAMPLE: u16 = 2;
    let mut header = [0; WAV_HEADER_BYTES as usize];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &(data_bytes + WAV_HEADER_BYTES - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(), // PCM
        &1_u16.to_le_bytes(), // mono
        &SAMPLE_RATE.to_le_bytes(),
        &(SAMPLE_RATE * u32::from(BYTES_A_SAMPLE)).to_le_bytes(),
        &BYTES_A_SAMPLE.to_le_bytes(),
        &(8 * BYTES_A_SAMPLE).to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    for (to, from) in header.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    header
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A second of 440 Hz at half scale in every channel.
    fn file(spec: hound::WavSpec) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        for n in 0..spec.sample_rate {
            let value = 0.5 * (std::f32::consts::TAU * 440.0 * n as f32 / spec.sample_rate as f32).sin();
            for _ in 0..spec.channels {
                match spec.sample_format {
                    hound::SampleFormat::Float => writer.write_sample(value).unwrap(),
                    hound::SampleFormat::Int => {
                        let full_scale = (1_u64 << (spec.bits_per_sample - 1)) as f32;
                        writer.write_sample((value * full_scale) as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn spec(sample_rate: u32, channels: u16, bits_per_sample: u16) -> hound::WavSpec {
        hound::WavSpec { sample_rate, channels, bits_per_sample, sample_format: hound::SampleFormat::Int }
    }

    #[test]
    fn every_sample_format_channel_count_and_rate_becomes_mono_48k() {
        let float = hound::WavSpec { sample_format: hound::SampleFormat::Float, ..spec(48_000, 1, 32) };
        for spec in [
            spec(48_000, 1, 16),
            spec(48_000, 2, 8),
            spec(44_100, 2, 24),
            spec(8_000, 1, 16),
            spec(96_000, 6, 32),
            spec(11_025, 1, 8),
            float,
        ] {
            let samples = read(file(spec).as_slice(), "tone.wav").unwrap();
            assert_eq!(samples.len(), 48_000, "{spec:?}");
            let rms = (samples.iter().map(|s| s * s).sum::<f32>() / 48_000.0).sqrt();
            assert!((rms - 0.5 / 2_f32.sqrt()).abs() < 0.01, "{spec:?}: {rms}");
        }
    }

    #[test]
    fn bad_files_get_an_error_that_names_them() {
        let good = file(spec(48_000, 1, 16));
        let mut truncated = good.clone();
        truncated.truncate(48_044);
        let no_samples = &header(0)[..];
        for (bytes, wanted) in [
            (&[][..], "x.wav holds no sound"),
            (no_samples, "x.wav holds no sound"),
            (&truncated, "x.wav is truncated (it ends after 0.5 s"),
            (&good[..20], "x.wav is not a WAV file"),
            (b"<html>not found</html>", "x.wav is not a WAV file"),
            (&file(spec(1_000, 1, 16)), "x.wav is not a WAV file that can be played (a sample rate of 1000 Hz"),
        ] {
            let error = read(bytes, "x.wav").unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
        let error = open(Path::new("/nonexistent/x.wav")).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/x.wav: No such file"), "{error}");
    }

    #[test]
    fn more_than_ten_minutes_are_refused_before_they_fill_the_memory() {
        let seconds = MAX_DURATION.as_secs() as u32 + 1;
        let mut endless = header(seconds * 4000 * 2).to_vec();
        endless[24..28].copy_from_slice(&4000_u32.to_le_bytes());
        endless[28..32].copy_from_slice(&8000_u32.to_le_bytes());
        let error = read(endless.as_slice().chain(io::repeat(0)), "x.wav").unwrap_err();
        assert!(matches!(error, WavError::TooLong { .. }), "{error}");
    }

    #[test]
    fn not_a_number_becomes_silence() {
        let mut bytes = Cursor::new(Vec::new());
        let spec = hound::WavSpec { sample_format: hound::SampleFormat::Float, ..spec(48_000, 1, 32) };
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        for value in [f32::NAN, f32::INFINITY, 0.5, 7.0] {
            writer.write_sample(value).unwrap();
        }
        writer.finalize().unwrap();
        assert_eq!(read(bytes.into_inner().as_slice(), "x.wav").unwrap(), [0.0, 0.0, 0.5, 1.0]);
    }

    #[test]
    fn a_growing_file_is_whole_after_every_write() {
        let dir = std::env::temp_dir().join(format!("ahoy-wav-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("growing.wav");
        let mut writer = Writer::create(&path).unwrap();
        for n in 1..=3 {
            writer.write(&[0.25; 480]).unwrap();
            let samples = open(&path).unwrap();
            assert_eq!(samples.len(), n * 480);
            assert!(samples.iter().all(|s| (s - 0.25).abs() < 1e-4));
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = Writer::create(Path::new("/nonexistent/out.wav")).err().unwrap().to_string();
        assert!(error.starts_with("/nonexistent/out.wav: "), "{error}");
    }
}
