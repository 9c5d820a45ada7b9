//! What an `ahoy-peer` received: its `--remote-webm` and `--speaker` files, read while they grow; and the
//! pictures of any WebM that comes in pieces.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::PathBuf,
};

use ahoy_media::{
    audio::{SAMPLE_RATE, tone::Detector, wav},
    video::{pattern, vp8::Decoder},
    webm::Demuxer,
};
use ahoy_test_support::content::{Cells, Content, Level, Shown};
use tempfile::TempDir;

use crate::end::unix_ms;

/// 50 ms, as the browser's page measures.
const LEVEL_SAMPLES: usize = SAMPLE_RATE as usize / 20;
const SAMPLES_A_MS: f64 = SAMPLE_RATE as f64 / 1000.0;

/// The files of one peer. They go with this.
pub struct Recording {
    folder: TempDir,
    began: f64,
    pictures: Option<Pictures>,
    frames: Vec<Shown>,
}

/// A WebM file that is being written, read up to here.
struct Pictures {
    file: File,
    screen: Screen,
}

/// Shows WebM that comes in pieces, and reads what is shown.
pub struct Screen {
    demuxer: Demuxer,
    decoder: Decoder,
}

impl Screen {
    /// Before the first picture.
    pub fn new() -> Self {
        Self { demuxer: Demuxer::new(), decoder: Decoder::new().expect("a VP8 decoder") }
    }

    /// The pictures in the next bytes. Each counts as shown now.
    ///
    /// # Panics
    /// Where they are not WebM, or a picture cannot be decoded.
    pub fn show(&mut self, bytes: &[u8]) -> Vec<Shown> {
        let frames = self.demuxer.push(bytes).expect("it is WebM");
        frames
            .iter()
            .map(|frame| {
                let picture = self.decoder.decode(&frame.data).expect("every frame of it decodes");
                let at = unix_ms();
                let cells = picture.as_ref().and_then(pattern::read_cells).map(|cells| Cells {
                    age_ms: f64::from(cells.age_ms(at as u64)),
                    counter: cells.counter,
                    flash: cells.flash,
                });
                Shown { at, cells }
            })
            .collect()
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Recording {
    /// A folder for the files.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder for what is recorded");
        Self { folder, began: unix_ms(), pictures: None, frames: Vec::new() }
    }

    /// Where the peer's `--remote-webm` goes.
    pub fn webm(&self) -> PathBuf {
        self.folder.path().join("remote.webm")
    }

    /// Where the peer's `--speaker file:` goes.
    pub fn wav(&self) -> PathBuf {
        self.folder.path().join("speaker.wav")
    }

    /// What has arrived so far. A picture counts as shown when it is read here.
    ///
    /// # Panics
    /// Where a file is not what it should be.
    pub fn content(&mut self) -> Content {
        self.read_pictures();
        let now = unix_ms();
        let (levels, beeps) = self.sound(now);
        Content { frames: self.frames.clone(), levels, beeps, watched: (self.began, now) }
    }

    fn read_pictures(&mut self) {
        let pictures = match &mut self.pictures {
            Some(pictures) => pictures,
            None => match File::open(self.webm()) {
                Ok(file) => self.pictures.insert(Pictures { file, screen: Screen::new() }),
                // No picture has come yet.
                Err(error) if error.kind() == ErrorKind::NotFound => return,
                Err(error) => panic!("{}: {error}", self.webm().display()),
            },
        };
        let mut fresh = Vec::new();
        pictures.file.read_to_end(&mut fresh).expect("the WebM file can be read");
        self.frames.extend(pictures.screen.show(&fresh));
    }

    /// Levels and beeps of the speaker's file, whose last sample was played `now`.
    fn sound(&self, now: f64) -> (Vec<Level>, Vec<f64>) {
        // Not there, or still empty, until something is played.
        let samples = wav::open(&self.wav()).unwrap_or_default();
        let played_at = |sample: usize| now - (samples.len() - sample) as f64 / SAMPLES_A_MS;
        let mut detector = Detector::new();
        let (mut levels, mut beeps) = (Vec::new(), Vec::new());
        for (index, block) in samples.chunks_exact(LEVEL_SAMPLES).enumerate() {
            detector.push(block);
            let report = detector.report();
            let rms = (block.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / block.len() as f64).sqrt();
            let tone = f64::from(report.tone_rms) * f64::sqrt(2.0);
            levels.push(Level { at: played_at((index + 1) * LEVEL_SAMPLES), rms, tone });
            beeps.extend(report.beeps.iter().map(|beep| played_at(beep.onset as usize)));
        }
        (levels, beeps)
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration, time::Instant};

    use ahoy_media::{
        audio::{FRAME_SAMPLES, tone::Generator},
        units::{Bitrate, VideoFormat},
        video::{I420Frame, vp8::Encoder},
        webm::Muxer,
    };

    use super::*;

    #[test]
    fn the_test_signal_is_read_back_from_the_files_of_a_peer() {
        let mut recording = Recording::new();
        assert_eq!(recording.content().frames, [], "a peer that has not begun to write");

        let format = VideoFormat { width: 640, height: 360, fps: 30 };
        let mut encoder = Encoder::new(format, Bitrate::from_kbps(1000)).unwrap();
        let mut muxer = Muxer::new(format.width, format.height);
        let mut webm = muxer.init_segment().to_vec();
        for counter in 0..20 {
            let mut frame = I420Frame::black(format.width, format.height, Instant::now());
            pattern::draw(&mut frame, unix_ms() as u64, counter);
            let encoded = encoder.encode(&frame, false).unwrap().unwrap();
            webm.extend_from_slice(&muxer.cluster(&encoded.data, encoded.key, u64::from(counter) * 33));
        }
        fs::write(recording.webm(), webm).unwrap();

        let mut speaker = wav::Writer::create(&recording.wav()).unwrap();
        let tone = Generator::new();
        for n in 0..300 {
            let mut samples = [0.0; FRAME_SAMPLES];
            tone.fill(&mut samples, Duration::from_millis(n * 10));
            speaker.write(&samples).unwrap();
        }

        let content = recording.content();
        assert!(content.shows_pattern() && content.sounds_tone(), "{content}");
    }
}
