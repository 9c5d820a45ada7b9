//! From a microphone's sample to a loudspeaker's, through null sinks: chirps are played into what the caller
//! has for a microphone, that and what the callee plays are recorded, and each chirp is looked for in both.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use ahoy_test_support::{
    browser::{self, Options, Role, Source},
    native,
    peer::{self, Peer},
    process::ProcessGroup,
    sound::SoundDaemon,
};
use tokio::{io::AsyncReadExt, process::Command, task::JoinHandle, time::sleep};

use crate::{SETTLING, sample::median};

/// Samples a second of every recording.
pub const RATE: usize = 48_000;
/// A chirp is long enough to be speech for a noise suppressor, and sharp under correlation.
const CHIRP: usize = RATE * 60 / 1000;
const CHIRP_HZ: (f64, f64) = (400.0, 3000.0);
/// Between two chirps: of no common measure with the frames and buffers on the way, so that chirps meet all
/// their phases.
const PERIOD: usize = RATE * 937 / 1000;
const CHIRPS: usize = 24;
/// The first ones are left to automatic gain and jitter buffer to settle on.
const UNCOUNTED: usize = 4;
/// No call that anybody bears delays a sound for longer.
const LONGEST_DELAY: usize = RATE / 2;
/// Correlation, 0 to 1, from which a chirp counts as found: codec and noise suppression change it, noise has
/// 0.1.
const ALIKE: f64 = 0.5;
/// Loud enough to be the beginning of a chirp in the undisturbed recording.
const ONSET: f32 = 0.05;
/// Quantum of both recordings, and so of the null sinks that they record.
const QUANTUM_MS: &str = "--latency-msec=5";
/// What a recorder or a call may still have in its buffers when the last chirp has been played.
const DRAIN: Duration = Duration::from_secs(1);

/// Delays of Ahoy's call in ms, one for each chirp that was found.
pub async fn ahoy() -> Vec<f64> {
    let (near, far) = (daemon(Side::Talking), daemon(Side::Listening));
    let start = |role, daemon: &SoundDaemon| {
        let devices = ["--mic", "default", "--speaker", "default", "--camera", "none"];
        native::start_with([role, "--loopback-only"].into_iter().chain(devices), daemon.environment())
    };
    let callee = start("answer", &far);
    let caller = start("call", &near);
    measure(&caller.peer, &callee.peer, &near, &far).await
}

/// The same of Chromium's.
pub async fn chromium() -> Vec<f64> {
    let (near, far) = (daemon(Side::Talking), daemon(Side::Listening));
    let options = |role, daemon: &SoundDaemon| Options {
        video: false,
        source: Source::SystemDevices,
        environment: daemon.environment().collect::<Vec<(&'static str, OsString)>>(),
        ..Options::new(role)
    };
    let callee = browser::open(&options(Role::Answer, &far)).await;
    let caller = browser::open(&options(Role::Call, &near)).await;
    measure(&caller.peer, &callee.peer, &near, &far).await
}

/// Which of a daemon's sinks is measured.
pub enum Side {
    /// The one that stands for the microphone.
    Talking,
    /// The one that stands for the speaker.
    Listening,
}

/// A daemon with two sinks, its default devices the one to play to and the other to hear; `test_speaker` is
/// the one that is measured.
pub fn daemon(side: Side) -> SoundDaemon {
    let daemon = SoundDaemon::start();
    let control = daemon.control();
    control.add_sink("unused", "Unused");
    let (heard, sink) = match side {
        Side::Talking => ("test_speaker", "unused"),
        Side::Listening => ("unused", "test_speaker"),
    };
    // Chromium takes no monitor for a microphone.
    control.load(&["module-remap-source", &format!("master={heard}.monitor"), "source_name=microphone"]);
    control.pactl(&["set-default-source", "microphone"]);
    control.pactl(&["set-default-sink", sink]);
    daemon
}

async fn measure(caller: &Peer, callee: &Peer, near: &SoundDaemon, far: &SoundDaemon) -> Vec<f64> {
    peer::connect(caller, callee);
    for end in [caller, callee] {
        end.event("connected").await;
    }
    sleep(SETTLING).await;
    let epoch = Instant::now();
    let (spoken, heard) = (Recorder::start(near, epoch), Recorder::start(far, epoch));
    play_chirps(near).await;
    sleep(DRAIN).await;
    delays(&spoken.stop().await, &heard.stop().await)
}

/// Plays all chirps.
async fn play_chirps(daemon: &SoundDaemon) {
    let file = tempfile::NamedTempFile::new().expect("a file for the chirps");
    let mut samples = vec![0.0; PERIOD * CHIRPS];
    for period in samples.chunks_exact_mut(PERIOD) {
        for (sample, chirp) in period.iter_mut().zip(chirp()) {
            *sample = chirp;
        }
    }
    let bytes: Vec<u8> = samples.iter().flat_map(|sample: &f32| sample.to_le_bytes()).collect();
    fs::write(file.path(), bytes).expect("the chirps are written");
    play(daemon, file.path()).await;
}

/// Plays a file of samples to `test_speaker`.
pub async fn play(daemon: &SoundDaemon, file: &Path) {
    let mut command = client("pacat", daemon);
    let mut player = ProcessGroup::start(command.args(["--playback", "--device=test_speaker"]).arg(file));
    let status = player.leader().wait().await.expect("pacat is waited for");
    assert!(status.success(), "pacat: {status}: {}", player.log().text());
}

fn chirp() -> impl Iterator<Item = f32> {
    let (low, high) = CHIRP_HZ;
    (0..CHIRP).map(move |n| {
        let (t, position) = (n as f64 / RATE as f64, n as f64 / CHIRP as f64);
        let phase = (low + (high - low) / 2.0 * position) * t;
        let envelope = (std::f64::consts::PI * position).sin();
        (0.5 * envelope * (std::f64::consts::TAU * phase).sin()) as f32
    })
}

fn client(program: &str, daemon: &SoundDaemon) -> Command {
    let mut command = Command::new(program);
    command.args(["--raw", "--format=float32le", "--channels=1", QUANTUM_MS]).arg(format!("--rate={RATE}"));
    command.envs(daemon.environment()).stdin(Stdio::null());
    command
}

/// What a sink played.
pub struct Recording {
    pub samples: Vec<f32>,
    /// When the first sample was, in seconds since the epoch of all recordings.
    pub start: f64,
}

/// Records what the sink `test_speaker` plays.
pub struct Recorder {
    process: ProcessGroup,
    recording: JoinHandle<Recording>,
}

impl Recorder {
    pub fn start(daemon: &SoundDaemon, epoch: Instant) -> Self {
        let mut command = client("parec", daemon);
        let mut process = ProcessGroup::start(command.arg("--device=test_speaker.monitor").stdout(Stdio::piped()));
        let mut stdout = process.leader().stdout.take().expect("stdout is piped");
        let recording = tokio::spawn(async move {
            let (mut bytes, mut buffer, mut starts) = (Vec::new(), vec![0; 1 << 16], Vec::new());
            while let Ok(len @ 1..) = stdout.read(&mut buffer).await {
                bytes.extend_from_slice(&buffer[..len]);
                starts.push(epoch.elapsed().as_secs_f64() - bytes.len() as f64 / (4 * RATE) as f64);
            }
            let samples = bytes.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect();
            // Not the earliest: a sink runs ahead by a longer block until somebody plays.
            Recording { samples, start: median(&starts).expect("a sink that is recorded gives samples") }
        });
        Self { process, recording }
    }

    pub async fn stop(self) -> Recording {
        drop(self.process);
        self.recording.await.expect("the recording ends")
    }
}

/// By how many ms each chirp of `spoken` is later in `heard`; one that is not found there is left out.
fn delays(spoken: &Recording, heard: &Recording) -> Vec<f64> {
    let offset = heard.start - spoken.start;
    let mut delays = Vec::new();
    for onset in onsets(&spoken.samples).into_iter().skip(UNCOUNTED) {
        // Where in `heard` a sound without any delay would be.
        let from = onset as f64 - offset * RATE as f64;
        let Some(part) = heard.samples.get(from.max(0.0) as usize..).filter(|_| from >= 0.0) else { continue };
        let chirp = &spoken.samples[onset..];
        if let Some(lag) = chirp.get(..CHIRP).and_then(|chirp| best_lag(chirp, part)) {
            delays.push((lag as f64 - from.fract()) * 1000.0 / RATE as f64);
        }
    }
    delays
}

fn onsets(samples: &[f32]) -> Vec<usize> {
    let (mut onsets, mut next) = (Vec::new(), 0);
    while let Some(found) = samples.get(next..).and_then(|rest| rest.iter().position(|sample| sample.abs() > ONSET)) {
        onsets.push(next + found);
        next += found + PERIOD / 2;
    }
    onsets
}

/// Where in `part` the chirp is most alike, if it is there.
fn best_lag(chirp: &[f32], part: &[f32]) -> Option<usize> {
    let power = |samples: &[f32]| samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
    let own = power(chirp);
    let likeness = |window: &[f32]| {
        let product: f64 = chirp.iter().zip(window).map(|(&one, &other)| f64::from(one) * f64::from(other)).sum();
        // A filter on the way may have turned it over.
        product.abs() / (own * power(window)).sqrt().max(f64::MIN_POSITIVE)
    };
    let windows = part.windows(chirp.len()).take(LONGEST_DELAY).enumerate();
    let (lag, alike) = windows.map(|(lag, window)| (lag, likeness(window))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    (alike > ALIKE).then_some(lag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_measured_whatever_the_gain_and_the_start_of_the_recordings() {
        let delay = RATE * 83 / 1000;
        let mut samples = vec![0.0_f32; RATE];
        for _ in 0..UNCOUNTED + 2 {
            samples.extend(chirp());
            samples.resize(samples.len() + PERIOD - CHIRP, 0.0);
        }
        let heard = [vec![0.0; delay], samples.iter().map(|sample| sample * -0.3).collect()].concat();
        let spoken = Recording { samples, start: 7.0 };
        let delays = delays(&spoken, &Recording { samples: heard[RATE / 5..].to_vec(), start: 7.2 });
        assert_eq!(delays.len(), 2);
        assert!(delays.iter().all(|delay| (delay - 83.0).abs() < 0.1), "{delays:?}");
    }
}
