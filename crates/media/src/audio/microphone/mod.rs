//! The sending half of sound: a source -> 10 ms frames -> echo, noise and gain -> mute -> Opus -> a sink.
//!
//! All of it runs on one OS thread per microphone; a device's callback only fills a ring. Frames never stop
//! coming: while a device is away or stalls, silence is sent in its place.

mod capture;
mod encoding;
mod pipeline;
mod silence;
mod source;

use std::{
    fmt,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use encoding::SharedEncoding;

use super::{
    opus::{OpusSettings, Percent, VoiceEncoding},
    process::{EchoReference, ProcessingSettings},
};
use crate::device::audio::{AudioDeviceError, AudioDirection, ParseDeviceError, parse_spec};

/// Where sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicrophoneSpec {
    /// The test tone ([`super::tone`]). It is sent as it is: noise suppression would take its steady 440 Hz
    /// for noise.
    Tone,
    /// A WAV file, played in a loop.
    File(PathBuf),
    /// The device with this id or name.
    Device(String),
    /// What the system takes by default.
    Default,
}

impl FromStr for MicrophoneSpec {
    type Err = ParseDeviceError;

    /// Reads `tone`, `file:F.wav`, `device:NAME` or `default`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "a microphone: tone, file:F.wav, device:NAME or default";
        parse_spec(text, ("tone", Self::Tone), Self::File, Self::Device, Self::Default, wanted)
    }
}

impl fmt::Display for MicrophoneSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tone => f.write_str("tone"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Device(name) => write!(f, "device:{name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// How a microphone's sound is treated on its way.
#[derive(Clone, Copy, Debug)]
pub struct MicrophoneSettings {
    /// Echo, noise and gain.
    pub processing: ProcessingSettings,
    /// The encoder.
    pub opus: OpusSettings,
}

/// One frame as the encoder gave it. Frames follow each other without a gap in `samples`.
#[derive(Clone, Copy, Debug)]
pub struct EncodedAudio<'a> {
    /// The Opus packet; empty where DTX sends nothing.
    pub payload: &'a [u8],
    /// Duration at 48 kHz, by which the RTP timestamp advances whether or not the frame is sent.
    pub samples: u32,
    /// When its first sample was captured.
    pub captured_at: Instant,
    /// Somebody (or something) can be heard in it.
    pub voice: bool,
    /// Silence that needs no bits: `payload` has at most 2 bytes.
    pub dtx: bool,
}

/// What happens to a microphone while it is open.
#[derive(Debug)]
#[non_exhaustive]
pub enum MicrophoneEvent {
    /// The device went away; silence is sent until it is back.
    Lost(AudioDeviceError),
    /// The device (or another default one) is back.
    Restored {
        /// Its name.
        device: String,
    },
    /// Unmuted, it has given nothing but silence for this long: it is muted in the system or by a switch of
    /// its own, or it hangs.
    Silent {
        /// Since when.
        for_: Duration,
    },
    /// It gives sound again after [`MicrophoneEvent::Silent`].
    Audible,
}

/// What the owner and the thread share. Each is a value by itself, so atomics do and nobody waits for
/// anybody.
struct Controls {
    stop: AtomicBool,
    muted: AtomicBool,
    processing: AtomicU8,
    encoding: SharedEncoding,
    /// Bits of an `f32` in dBFS.
    level: AtomicU32,
    /// Samples that the device gave and nobody took in time.
    overruns: AtomicU64,
}

/// An open microphone. Dropping it stops the thread and closes the device.
pub struct Microphone {
    controls: Arc<Controls>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Microphone {
    /// Opens the source and starts sending to `sink`, which is called from the microphone's thread once a
    /// packet. `reference` is what the speaker plays; a clone of it is left for another try where this one
    /// fails. `events` is called from the same thread.
    ///
    /// # Errors
    /// The device or file is missing, busy or unusable; the text says which and what to do.
    pub fn open(
        spec: &MicrophoneSpec,
        settings: MicrophoneSettings,
        reference: EchoReference,
        sink: impl FnMut(EncodedAudio<'_>) + Send + 'static,
        events: impl Fn(MicrophoneEvent) + Send + Sync + 'static,
    ) -> Result<Self, AudioDeviceError> {
        let controls = Arc::new(Controls {
            stop: AtomicBool::new(false),
            muted: AtomicBool::new(false),
            processing: AtomicU8::new(settings.processing.to_bits()),
            encoding: SharedEncoding::new(settings.opus.encoding()),
            level: AtomicU32::new(f32::NEG_INFINITY.to_bits()),
            overruns: AtomicU64::new(0),
        });
        let source = source::Source::open(spec)?;
        let pipeline = pipeline::Pipeline::new(source, settings, reference, Arc::clone(&controls))?;
        let thread = thread::Builder::new()
            .name("microphone".into())
            .spawn(move || pipeline.run(sink, events))
            .map_err(|e| AudioDeviceError::Thread { direction: AudioDirection::Input, reason: e.to_string() })?;
        Ok(Self { controls, thread: Some(thread) })
    }

    /// Muted, the encoder gets true silence, which DTX then doesn't even send; not a sample of the source
    /// leaves the thread, from the frame on that is being cut at this moment.
    pub fn set_muted(&self, muted: bool) {
        self.controls.muted.store(muted, Ordering::Release);
    }

    /// Switches the processing steps.
    pub fn set_processing(&self, settings: ProcessingSettings) {
        self.controls.processing.store(settings.to_bits(), Ordering::Release);
    }

    /// How sound is encoded from the next packet on. The packet that is being filled is still sent as it was
    /// begun.
    pub fn set_encoding(&self, encoding: VoiceEncoding) {
        self.controls.encoding.set(encoding);
    }

    /// The loss that the far end reports, from the next packet on; everything else of the encoding stays.
    pub fn set_expected_loss(&self, expected_loss: Percent) {
        self.controls.encoding.set(VoiceEncoding { expected_loss, ..self.controls.encoding.get() });
    }

    /// How loud the processed sound is now, in dBFS (silence: negative infinity), muted or not: for a level
    /// meter.
    pub fn level(&self) -> f32 {
        f32::from_bits(self.controls.level.load(Ordering::Relaxed))
    }

    /// Samples of the device lost so far because this machine was too busy to take them.
    pub fn overruns(&self) -> u64 {
        self.controls.overruns.load(Ordering::Relaxed)
    }
}

impl Drop for Microphone {
    fn drop(&mut self) {
        self.controls.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the sink has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{FRAME_SAMPLES, process::echo_reference};

    #[test]
    fn a_microphone_that_failed_leaves_the_reference_to_the_next() {
        let settings = MicrophoneSettings { processing: ProcessingSettings::OFF, opus: OpusSettings::default() };
        let (mut played, reference) = echo_reference();
        let open = |spec| Microphone::open(&spec, settings, reference.clone(), |_| {}, |_| {});
        assert!(open(MicrophoneSpec::File("/nowhere/missing.wav".into())).is_err());
        while reference.dropped() == 0 {
            played.push(&[0.0; FRAME_SAMPLES]);
        }
        let _microphone = open(MicrophoneSpec::Tone).unwrap();
        let start = Instant::now();
        loop {
            let dropped = reference.dropped();
            played.push(&[0.0; FRAME_SAMPLES]);
            if reference.dropped() == dropped {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "nobody takes what is played");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn specs_are_read_as_the_command_line_has_them() {
        for (text, spec) in [
            ("tone", MicrophoneSpec::Tone),
            ("default", MicrophoneSpec::Default),
            ("file:a:b.wav", MicrophoneSpec::File("a:b.wav".into())),
            ("device:Monitor of X", MicrophoneSpec::Device("Monitor of X".into())),
        ] {
            assert_eq!(text.parse(), Ok(spec.clone()));
            assert_eq!(spec.to_string(), text);
        }
        for text in ["", "file:", "device:", "none", "tone:", "Default", "file"] {
            let error = text.parse::<MicrophoneSpec>().unwrap_err().to_string();
            assert!(error.contains("tone, file:F.wav, device:NAME or default"), "{error}");
        }
    }
}
