//! Microphones and speakers: lists with stable ids, opening by id or name, and opening again what went away.
//!
//! The PulseAudio protocol is spoken where a server (PulseAudio or PipeWire) answers, ALSA otherwise.

mod error;
mod host;
#[cfg(not(target_os = "linux"))]
#[path = "no_pulse.rs"]
pub(crate) mod pulse;
#[cfg(target_os = "linux")]
pub(crate) mod pulse;

use std::fmt;

use serde::Serialize;

pub(crate) use error::ends_stream;
pub use error::{AudioDeviceError, AudioDirection};
pub(crate) use host::{Chosen, Reopening, choose, names_own_rate, open_within, prefer};

/// The synthetic microphone's id, and its spelling in a [`crate::audio::microphone::MicrophoneSpec`].
pub const TEST_TONE_ID: &str = "tone";

/// A microphone or speaker, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AudioDeviceInfo {
    /// Names the same device after a restart and after plugging it in again; `device:ID` opens it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// It is what the system takes when nothing is chosen.
    pub default: bool,
    /// What it delivers or takes without conversion.
    pub formats: Vec<AudioFormat>,
}

/// A device's own form of sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AudioFormat {
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
    /// The type of a sample, like `i16` or `f32`.
    pub sample: String,
}

impl fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz, {} ch, {}", self.sample_rate, self.channels, self.sample)
    }
}

/// All microphones, the test tone last. Without sound hardware or a server, the test tone alone.
pub fn microphones() -> Vec<AudioDeviceInfo> {
    let mut list = host::list(AudioDirection::Input);
    list.push(AudioDeviceInfo {
        id: TEST_TONE_ID.to_owned(),
        name: "Test tone".to_owned(),
        default: false,
        formats: vec![AudioFormat { sample_rate: crate::audio::SAMPLE_RATE, channels: 1, sample: "f32".to_owned() }],
    });
    list
}

/// All speakers; none without sound hardware or a server.
pub fn speakers() -> Vec<AudioDeviceInfo> {
    host::list(AudioDirection::Output)
}

/// Which of the system's devices is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    Default,
    Named(String),
}

/// A text that names no microphone or speaker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct ParseDeviceError {
    text: String,
    wanted: &'static str,
}

/// Reads `KEYWORD` (as the synthetic or absent device), `file:F.wav`, `device:NAME` or `default`.
pub(crate) fn parse_spec<S>(
    text: &str,
    keyword: (&str, S),
    file: impl Fn(std::path::PathBuf) -> S,
    device: impl Fn(String) -> S,
    default: S,
    wanted: &'static str,
) -> Result<S, ParseDeviceError> {
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(file(path.into())),
        Some(("device", name)) if !name.is_empty() => Ok(device(name.to_owned())),
        None if text == keyword.0 => Ok(keyword.1),
        None if text == "default" => Ok(default),
        _ => Err(ParseDeviceError { text: text.to_owned(), wanted }),
    }
}
