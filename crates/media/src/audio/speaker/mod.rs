//! Playout: one device (or file, or nothing) pulls the mixer for ever, 10 ms at a time.
//!
//! The mixer never stands still. Where no device pulls it, because none is wanted, the device went away or it
//! has stalled, a clock does.

mod device;
mod playout;
mod supervisor;

use std::{fmt, path::PathBuf, str::FromStr, sync::mpsc, thread};

use super::{mixer::Mixer, process::EchoReferenceWriter};
use crate::device::audio::{AudioDeviceError, AudioDirection, ParseDeviceError, parse_spec};

/// Where sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerSpec {
    /// Nowhere: the mixer runs in real time and its sound is dropped.
    None,
    /// A WAV file, written in real time.
    File(PathBuf),
    /// The device with this id or name.
    Device(String),
    /// What the system takes by default.
    Default,
}

impl FromStr for SpeakerSpec {
    type Err = ParseDeviceError;

    /// Reads `none`, `file:F.wav`, `device:NAME` or `default`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "a speaker: none, file:F.wav, device:NAME or default";
        parse_spec(text, ("none", Self::None), Self::File, Self::Device, Self::Default, wanted)
    }
}

impl fmt::Display for SpeakerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Device(name) => write!(f, "device:{name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What happens to a speaker while it is open.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpeakerEvent {
    /// The device went away, or the file cannot be written any more. The call goes on unheard.
    Lost(AudioDeviceError),
    /// The machine did not keep up with the device; it plays with more delay now, and without holes.
    Relaxed {
        /// Its name.
        device: String,
    },
    /// The device (or another default one) is back.
    Restored {
        /// Its name.
        device: String,
    },
}

/// An open speaker. Dropping it closes the device or file.
pub struct Speaker {
    signals: mpsc::Sender<supervisor::Signal>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Speaker {
    /// Opens the output and starts pulling `mixer`. What a device really plays also goes to `reference`.
    /// `events` is called from the speaker's thread.
    ///
    /// # Errors
    /// The device is missing, busy or unusable, or the file cannot be created; the text says which and what
    /// to do.
    pub fn open(
        spec: &SpeakerSpec,
        mixer: Mixer,
        reference: EchoReferenceWriter,
        events: impl Fn(SpeakerEvent) + Send + Sync + 'static,
    ) -> Result<Self, AudioDeviceError> {
        let (signals, receiver) = mpsc::channel();
        let supervisor = supervisor::Supervisor::open(spec, mixer, reference, signals.clone(), Box::new(events))?;
        let thread = thread::Builder::new()
            .name("speaker".into())
            .spawn(move || supervisor.run(&receiver))
            .map_err(|e| AudioDeviceError::Thread { direction: AudioDirection::Output, reason: e.to_string() })?;
        Ok(Self { signals, thread: Some(thread) })
    }

    /// Plays on another output from now on, and tells `events` of it instead. The one before is closed first.
    /// Until the new one is open, and where it cannot be opened, the mixer runs on unheard. Waits for both;
    /// one choice at a time.
    ///
    /// # Errors
    /// As of [`Speaker::open`].
    pub fn choose(
        &self,
        spec: &SpeakerSpec,
        events: impl Fn(SpeakerEvent) + Send + Sync + 'static,
    ) -> Result<(), AudioDeviceError> {
        let (answer, opened) = mpsc::channel();
        let _ = self.signals.send(supervisor::Signal::Choose { spec: spec.clone(), events: Box::new(events), answer });
        let ended = |_| AudioDeviceError::Thread {
            direction: AudioDirection::Output,
            reason: "the speaker's thread has ended".into(),
        };
        opened.recv().map_err(ended)?
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.signals.send(supervisor::Signal::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic of `events` has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::{Duration, Instant},
    };

    use super::*;
    use crate::audio::{FRAME_SAMPLES, mixer::mixer, process::echo_reference, wav};

    fn open(spec: &SpeakerSpec) -> Result<Speaker, AudioDeviceError> {
        let (_, mixer) = mixer();
        Speaker::open(spec, mixer, echo_reference().0, |_| {})
    }

    #[test]
    fn specs_are_read_as_the_command_line_has_them() {
        for (text, spec) in [
            ("none", SpeakerSpec::None),
            ("default", SpeakerSpec::Default),
            ("file:out.wav", SpeakerSpec::File("out.wav".into())),
            ("device:Null Output", SpeakerSpec::Device("Null Output".into())),
        ] {
            assert_eq!(text.parse(), Ok(spec.clone()));
            assert_eq!(spec.to_string(), text);
        }
        assert!("tone".parse::<SpeakerSpec>().is_err());
    }

    #[test]
    fn a_file_grows_in_real_time_and_can_be_read_at_any_moment() {
        let dir = std::env::temp_dir().join(format!("ahoy-speaker-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("out.wav");
        let start = Instant::now();
        let speaker = open(&SpeakerSpec::File(path.clone())).unwrap();
        let seconds = |path: &std::path::Path| wav::open(path).map_or(0.0, |samples| samples.len() as f64 / 48_000.0);
        while seconds(&path) < 0.3 {
            assert!(start.elapsed() < Duration::from_secs(10), "the file does not grow");
            std::thread::sleep(Duration::from_millis(10));
        }
        let written = seconds(&path);
        assert!(written <= start.elapsed().as_secs_f64(), "{written} s in {:?}", start.elapsed());
        drop(speaker);
        assert_eq!(wav::open(&path).unwrap().len() % FRAME_SAMPLES, 0);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn another_output_is_played_on_and_one_that_cannot_be_opened_keeps_the_mixer() {
        let dir = std::env::temp_dir().join(format!("ahoy-speaker-choose-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = |name| dir.join(name);
        let samples = |path: &std::path::Path| wav::open(path).map_or(0, |samples| samples.len());
        let until_grown = |path: &std::path::Path| {
            let (start, before) = (Instant::now(), samples(path));
            while samples(path) < before + 10 * FRAME_SAMPLES {
                assert!(start.elapsed() < Duration::from_secs(10), "{path:?} does not grow");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        let speaker = open(&SpeakerSpec::File(path("first.wav"))).unwrap();
        until_grown(&path("first.wav"));
        speaker.choose(&SpeakerSpec::File(path("second.wav")), |_| {}).unwrap();
        let first = samples(&path("first.wav"));
        until_grown(&path("second.wav"));
        let missing = SpeakerSpec::File(path("nowhere/out.wav"));
        assert!(speaker.choose(&missing, |_| {}).unwrap_err().to_string().contains("nowhere/out.wav"));
        speaker.choose(&SpeakerSpec::File(path("third.wav")), |_| {}).unwrap();
        until_grown(&path("third.wav"));
        assert_eq!(samples(&path("first.wav")), first, "the first output is still written");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = open(&SpeakerSpec::File("/nonexistent/out.wav".into())).err().unwrap().to_string();
        assert!(error.starts_with("/nonexistent/out.wav"), "{error}");
    }

    #[test]
    fn without_a_speaker_nothing_is_played_and_the_canceller_gets_no_reference() {
        let (writer, mut reference) = echo_reference();
        let (_, mixer) = mixer();
        let speaker = Speaker::open(&SpeakerSpec::None, mixer, writer, |_| {}).unwrap();
        let (ticks, until) = (Arc::new(AtomicU64::new(0)), Instant::now() + Duration::from_millis(100));
        while Instant::now() < until {
            ticks.fetch_add(u64::from(reference.pop().is_some()), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(speaker);
        assert_eq!(ticks.load(Ordering::Relaxed), 0);
    }
}
