//! Echo cancellation, noise suppression and automatic gain on the way from the microphone (sonora, the port
//! of WebRTC's audio processing), and the reference that the echo canceller compares with: what is really
//! played.
//!
//! Gain is digital only; the system's volume is the user's.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use rtrb::{Consumer, Producer, RingBuffer};
use serde::{Deserialize, Serialize};
use sonora::{
    AudioProcessing, Config, StreamConfig,
    config::{
        AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate, NoiseSuppression, Pipeline,
    },
};

use super::{FRAME_SAMPLES, Frame, SAMPLE_RATE};

/// Which steps a microphone's sound goes through. Each can be switched in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessingSettings {
    /// Removes what the speaker plays from what the microphone hears.
    pub echo_cancellation: bool,
    /// Lowers steady noise, as of fans.
    pub noise_suppression: bool,
    /// Brings quiet and loud talkers to one level.
    pub automatic_gain: bool,
}

impl ProcessingSettings {
    /// Nothing is touched and nothing delayed.
    pub const OFF: Self = Self { echo_cancellation: false, noise_suppression: false, automatic_gain: false };

    const BITS: [u8; 3] = [1, 2, 4];

    /// As one atomic can hold it.
    pub(crate) fn to_bits(self) -> u8 {
        let switches = [self.echo_cancellation, self.noise_suppression, self.automatic_gain];
        Self::BITS.iter().zip(switches).filter(|(_, on)| *on).map(|(bit, _)| bit).sum()
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        let [echo_cancellation, noise_suppression, automatic_gain] = Self::BITS.map(|bit| bits & bit != 0);
        Self { echo_cancellation, noise_suppression, automatic_gain }
    }

    fn config(self) -> Config {
        Config {
            pipeline: Pipeline {
                // The default of 32 kHz would cut the sound off at 16 kHz and resample on both ways.
                maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
                ..Pipeline::default()
            },
            high_pass_filter: Some(HighPassFilter::default()),
            echo_canceller: self.echo_cancellation.then(EchoCanceller::default),
            noise_suppression: self.noise_suppression.then(NoiseSuppression::default),
            gain_controller2: self.automatic_gain.then(|| GainController2 {
                adaptive_digital: Some(AdaptiveDigital::default()),
                ..GainController2::default()
            }),
            ..Config::default()
        }
    }
}

impl Default for ProcessingSettings {
    /// All on: what a call from a laptop's own microphone and speaker needs.
    fn default() -> Self {
        Self { echo_cancellation: true, noise_suppression: true, automatic_gain: true }
    }
}

/// The steps themselves, for one microphone.
pub struct Processor {
    apm: AudioProcessing,
    settings: ProcessingSettings,
    scratch: Frame,
}

impl Processor {
    /// A processor that has heard nothing yet.
    pub fn new(settings: ProcessingSettings) -> Self {
        let stream = StreamConfig::new(SAMPLE_RATE, 1);
        let apm =
            AudioProcessing::builder().config(settings.config()).capture_config(stream).render_config(stream).build();
        Self { apm, settings, scratch: [0.0; FRAME_SAMPLES] }
    }

    /// Switches steps on and off; those that stay on keep what they have learned.
    pub fn set(&mut self, settings: ProcessingSettings) {
        if settings != self.settings {
            self.apm.apply_config(settings.config());
            self.settings = settings;
        }
    }

    /// The steps that are on.
    pub fn settings(&self) -> ProcessingSettings {
        self.settings
    }

    /// Shows the echo canceller 10 ms that the speaker plays; in the order of playing, before the microphone
    /// hears it.
    pub fn far_end(&mut self, frame: &Frame) {
        if self.settings.echo_cancellation {
            // Refused only for a wrong frame size, which the type excludes.
            let _ = self.apm.process_render_f32(&[frame], &mut [&mut self.scratch]);
        }
    }

    /// Processes 10 ms from the microphone in place. With everything off the samples stay as they are.
    pub fn near_end(&mut self, frame: &mut Frame) {
        if self.settings == ProcessingSettings::OFF {
            return;
        }
        if self.apm.process_capture_f32(&[frame], &mut [&mut self.scratch]).is_ok() {
            *frame = self.scratch;
        }
    }
}

/// Frames between speaker and microphone: 0.5 s. The microphone takes them every 10 ms; a ring that is full
/// means that it has stopped, and then newer frames are dropped.
const REFERENCE_FRAMES: usize = 50;

/// The pair that carries what is played to the echo canceller, without a lock on the speaker's side.
pub fn echo_reference() -> (EchoReferenceWriter, EchoReference) {
    let (frames, read) = RingBuffer::new(REFERENCE_FRAMES);
    let dropped = Arc::new(AtomicU64::new(0));
    (
        EchoReferenceWriter { frames, dropped: Arc::clone(&dropped) },
        EchoReference { frames: Arc::new(Mutex::new(read)), dropped },
    )
}

/// The speaker's end.
pub struct EchoReferenceWriter {
    frames: Producer<Frame>,
    dropped: Arc<AtomicU64>,
}

impl EchoReferenceWriter {
    /// Passes on 10 ms that are being played. For audio callbacks: never waits, never allocates.
    pub fn push(&mut self, frame: &Frame) {
        if self.frames.push(*frame).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The microphone's end. All clones are one: what one takes, the others do not get. So it outlives a
/// microphone that could not be opened, and serves the next; two at once would have half of the echo each.
#[derive(Clone)]
pub struct EchoReference {
    frames: Arc<Mutex<Consumer<Frame>>>,
    dropped: Arc<AtomicU64>,
}

impl EchoReference {
    /// The next frame that was played, if one waits.
    pub fn pop(&mut self) -> Option<Frame> {
        self.lock().pop().ok()
    }

    /// Forgets what waits: it was played while nobody listened.
    pub fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// Frames that found no place because nobody took the older ones.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Consumer<Frame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
