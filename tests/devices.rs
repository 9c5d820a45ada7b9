//! The test signal as files, for the fake camera and the fake microphone of a browser, which play them over
//! and over.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ahoy_media::{
    audio::{FRAME_SAMPLES, tone::Generator, wav},
    video::{I420Frame, pattern},
};
use tempfile::TempDir;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;
const FPS: u32 = 30;
/// Whole seconds, so that beeps stay a second apart where the end is followed by the beginning.
const SECONDS: u32 = 2;

/// A camera's file and a microphone's. They go with this.
pub struct FakeDevices {
    folder: TempDir,
}

impl FakeDevices {
    /// Writes both.
    ///
    /// # Panics
    /// Where they cannot be written.
    pub fn write() -> Self {
        let devices = Self { folder: TempDir::new().expect("a folder for the fake devices") };
        draw(&devices.camera()).expect("the camera's file is written");
        sound(&devices.microphone());
        devices
    }

    /// Y4M.
    pub fn camera(&self) -> PathBuf {
        self.folder.path().join("camera.y4m")
    }

    /// WAV.
    pub fn microphone(&self) -> PathBuf {
        self.folder.path().join("microphone.wav")
    }
}

fn draw(path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg")?;
    let mut frame = I420Frame::black(WIDTH, HEIGHT, Instant::now());
    for counter in 0..SECONDS * FPS {
        // Nothing is told from the time in the cells: the file is played more than once.
        pattern::draw(&mut frame, u64::from(counter) * 1000 / u64::from(FPS), counter);
        file.write_all(b"FRAME\n")?;
        file.write_all(frame.data())?;
    }
    file.flush()
}

fn sound(path: &Path) {
    let mut file = wav::Writer::create(path).expect("the microphone's file is created");
    let tone = Generator::new();
    for n in 0..u64::from(SECONDS) * 100 {
        let mut samples = [0.0; FRAME_SAMPLES];
        tone.fill(&mut samples, Duration::from_millis(n * 10));
        file.write(&samples).expect("the microphone's file is written");
    }
}
