//! Writes WAV files that are whole at any moment.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

use super::{super::SAMPLE_RATE, WavError};

/// The size field of RIFF has 32 bits; a longer recording stops growing here (12 hours).
const MAX_DATA_BYTES: u32 = u32::MAX - WAV_HEADER_BYTES;
const WAV_HEADER_BYTES: u32 = 44;

/// A growing 16-bit mono 48 kHz WAV file. Its header is right after every write, so a reader (or a crash) at
/// any moment finds a whole file.
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
pub(super) fn header(data_bytes: u32) -> [u8; WAV_HEADER_BYTES as usize] {
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
    use super::{super::open, *};

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
