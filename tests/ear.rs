//! What a speaker plays: the monitor of a private sound daemon's sink, listened to all the time.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use ahoy_media::audio::{SAMPLE_RATE, tone::Detector};
use ahoy_test_support::{
    content::{Content, Level},
    process::ProcessGroup,
    sound::SoundDaemon,
};
use tokio::{
    io::AsyncReadExt,
    process::{ChildStdout, Command},
};

use crate::end::unix_ms;

/// 50 ms, as the browser's page measures.
const LEVEL_SAMPLES: usize = SAMPLE_RATE as usize / 20;
const LEVEL_MS: f64 = 50.0;
const SAMPLES_A_MS: f64 = SAMPLE_RATE as f64 / 1000.0;
const SAMPLE_BYTES: usize = size_of::<f32>();
/// Later than this against the clock, samples were lost on the way here, not delayed.
const LOST_MS: f64 = 500.0;

/// Listens from its start on. Ends when this is dropped.
pub struct Ear {
    heard: Arc<Mutex<Content>>,
    _recorder: ProcessGroup,
}

impl Ear {
    /// Listens to what the daemon's first speaker plays.
    ///
    /// # Panics
    /// `parec` is not installed.
    pub fn of(daemon: &SoundDaemon) -> Self {
        let mut command = Command::new("parec");
        command
            .args(["--device=test_speaker.monitor", "--format=float32le", "--channels=1", "--latency-msec=20"])
            .arg(format!("--rate={SAMPLE_RATE}"))
            .envs(daemon.environment());
        let mut recorder = ProcessGroup::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let samples = recorder.leader().stdout.take().expect("stdout is piped");
        let heard = Arc::default();
        tokio::spawn(listen(samples, Arc::clone(&heard)));
        Self { heard, _recorder: recorder }
    }

    /// What was heard so far: no pictures.
    pub fn content(&self) -> Content {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn listen(mut stdout: ChildStdout, heard: Arc<Mutex<Content>>) {
    let mut block = vec![0; LEVEL_SAMPLES * SAMPLE_BYTES];
    let mut detector = Detector::new();
    let mut began = None;
    for blocks in 1u32.. {
        // The daemon ends with the test.
        if stdout.read_exact(&mut block).await.is_err() {
            return;
        }
        let samples: Vec<f32> = block
            .chunks_exact(SAMPLE_BYTES)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
            .collect();
        detector.push(&samples);
        let report = detector.report();
        let now = unix_ms();
        let played = f64::from(blocks) * LEVEL_MS;
        let began = began.get_or_insert(now - played);
        if now - *began - played > LOST_MS {
            *began = now - played;
        }
        let at = *began + played;
        let rms = (samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt();
        let tone = f64::from(report.tone_rms) * f64::sqrt(2.0);
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.levels.push(Level { at, rms, tone });
        heard.beeps.extend(report.beeps.iter().map(|beep| *began + beep.onset as f64 / SAMPLES_A_MS));
        heard.watched = (*began, at);
    }
}
