//! What can be wrong with a microphone or speaker, said so that its user knows what to do.

use std::{fmt, time::Duration};

use cpal::ErrorKind;

use super::DeviceChoice;
use crate::{
    advice::Advice,
    audio::{opus::OpusError, wav::WavError},
};

/// The two ends of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioDirection {
    /// A microphone, or another source of sound.
    Input,
    /// A speaker, or another sink.
    Output,
}

impl fmt::Display for AudioDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "microphone",
            Self::Output => "speaker",
        })
    }
}

/// A microphone or speaker that cannot be used, or not any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioDeviceError {
    /// Nothing is connected, or no sound server runs to offer it.
    None {
        /// Which end.
        direction: AudioDirection,
    },
    /// No device has the wanted name.
    Unknown {
        /// Which end.
        direction: AudioDirection,
        /// The wanted name.
        device: String,
        /// The names that would be found.
        known: Vec<String>,
    },
    /// Another program holds it.
    Busy {
        /// Which end.
        direction: AudioDirection,
        /// Its name.
        device: String,
    },
    /// It is listed, but not there: unplugged, or one that ALSA names whether it exists or not.
    Absent {
        /// Which end.
        direction: AudioDirection,
        /// Its name.
        device: String,
    },
    /// It went away while it was open.
    Disconnected {
        /// Which end.
        direction: AudioDirection,
        /// Its name.
        device: String,
    },
    /// The sound server or the system ended the stream.
    Invalidated {
        /// Which end.
        direction: AudioDirection,
        /// Its name.
        device: String,
        /// What the system said.
        reason: String,
    },
    /// The user may not use it.
    Denied {
        /// Which end.
        direction: AudioDirection,
        /// Its name.
        device: String,
    },
    /// It has no format that can be used.
    Unsupported {
        /// Which end.
        direction: AudioDirection,
        /// Its name.
        device: String,
        /// What the system said.
        reason: String,
    },
    /// It was found, but opening it takes for ever.
    TimedOut {
        /// Which end.
        direction: AudioDirection,
        /// Its name.
        device: String,
        /// How long was waited.
        limit: Duration,
    },
    /// Anything else that the system says.
    Failed {
        /// Which end.
        direction: AudioDirection,
        /// Its name.
        device: String,
        /// What the system said.
        reason: String,
    },
    /// A sound file instead of a device.
    File(#[from] WavError),
    /// The encoder behind the microphone refuses its settings.
    Encoder(#[from] OpusError),
    /// The system gives no thread for it.
    Thread {
        /// Which end.
        direction: AudioDirection,
        /// What the system said.
        reason: String,
    },
}

impl fmt::Display for AudioDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice().fmt(f)
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none (no device was found)".to_owned() } else { names.join(", ") }
}

impl AudioDeviceError {
    /// The error in two parts.
    pub fn advice(&self) -> Advice {
        match self {
            Self::None { direction } => Advice::new(
                format!("there is no {direction}"),
                "connect one, and check that the sound server (PipeWire or PulseAudio) runs",
            ),
            Self::Unknown { direction, device, known } => Advice::new(
                format!("there is no {direction} named {device:?}"),
                format!("connect it, or choose one of {}", list(known)),
            ),
            Self::Busy { direction, device } => Advice::new(
                format!("the {direction} {device:?} is in use"),
                format!("close the program that uses it, or choose another {direction}"),
            ),
            Self::Absent { direction, device } => Advice::new(
                format!("the {direction} {device:?} is not there"),
                format!("connect it, or choose another {direction}"),
            ),
            Self::Disconnected { direction, device } => Advice::new(
                format!("the {direction} {device:?} was disconnected"),
                format!("connect it again, or choose another {direction}"),
            ),
            Self::Invalidated { direction, device, reason } => Advice::new(
                format!("the sound server closed the {direction} {device:?} ({reason})"),
                "it is opened again as soon as it answers",
            ),
            Self::Denied { direction, device } => Advice::new(
                format!("the {direction} {device:?} may not be used"),
                "allow this program to use it in the system's privacy settings",
            ),
            Self::Unsupported { direction, device, reason } => Advice::new(
                format!("the {direction} {device:?} has no usable sound format ({reason})"),
                format!("choose another {direction}"),
            ),
            Self::TimedOut { direction, device, limit } => Advice::new(
                format!("the {direction} {device:?} did not open within {} s", limit.as_secs()),
                "connect it again, or choose another",
            ),
            Self::Failed { direction, device, reason } => Advice::new(
                format!("the {direction} {device:?} failed ({reason})"),
                format!("choose another {direction}"),
            ),
            Self::File(error) => error.advice(),
            Self::Encoder(error) => error.advice(),
            Self::Thread { direction, reason } => Advice::new(
                format!("no thread could be started for the {direction} ({reason})"),
                "close other programs",
            ),
        }
    }

    /// Says in terms of a device that is being opened what cpal says: nothing was disconnected that never was
    /// open. Without a sound server ALSA offers its default device also where there is no sound at all.
    pub(crate) fn of_opening(
        direction: AudioDirection,
        choice: &DeviceChoice,
        device: &str,
        error: &cpal::Error,
    ) -> Self {
        match (error.kind(), choice) {
            (ErrorKind::DeviceNotAvailable, DeviceChoice::Default) => Self::None { direction },
            (ErrorKind::DeviceNotAvailable, DeviceChoice::Named(_)) => {
                Self::Absent { direction, device: device.to_owned() }
            }
            _ => Self::of(direction, device, error),
        }
    }

    /// Says in terms of this device, while it is open, what cpal says.
    pub(crate) fn of(direction: AudioDirection, device: &str, error: &cpal::Error) -> Self {
        let device = device.to_owned();
        let reason = error.to_string();
        match error.kind() {
            ErrorKind::DeviceBusy => Self::Busy { direction, device },
            ErrorKind::DeviceNotAvailable => Self::Disconnected { direction, device },
            ErrorKind::StreamInvalidated => Self::Invalidated { direction, device, reason },
            ErrorKind::HostUnavailable => Self::None { direction },
            ErrorKind::PermissionDenied => Self::Denied { direction, device },
            ErrorKind::UnsupportedConfig | ErrorKind::UnsupportedOperation => {
                Self::Unsupported { direction, device, reason }
            }
            // cpal's list is not exhaustive, and the others have nothing of their own to do about them.
            _ => Self::Failed { direction, device, reason },
        }
    }
}

/// Whether cpal's word ends the stream: the others are told while it goes on.
pub(crate) fn ends_stream(error: &cpal::Error) -> bool {
    !matches!(error.kind(), ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied | ErrorKind::Xrun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_becomes_what_to_do() {
        for (kind, wanted) in [
            (ErrorKind::DeviceBusy, "the microphone \"Desk\" is in use: close the program that uses it"),
            (ErrorKind::DeviceNotAvailable, "the microphone \"Desk\" was disconnected: connect it again"),
            (ErrorKind::StreamInvalidated, "the sound server closed the microphone \"Desk\" (why)"),
            (ErrorKind::PermissionDenied, "the microphone \"Desk\" may not be used: allow"),
            (ErrorKind::UnsupportedConfig, "the microphone \"Desk\" has no usable sound format (why)"),
            (ErrorKind::HostUnavailable, "there is no microphone: connect one"),
            (ErrorKind::BackendError, "the microphone \"Desk\" failed (why): choose another microphone"),
        ] {
            let error = cpal::Error::with_message(kind, "why");
            assert!(ends_stream(&error));
            let text = AudioDeviceError::of(AudioDirection::Input, "Desk", &error).to_string();
            assert!(text.starts_with(wanted), "{text}");
        }
    }

    #[test]
    fn what_never_was_there_was_not_disconnected() {
        for (choice, kind, wanted) in [
            (
                DeviceChoice::Default,
                ErrorKind::DeviceNotAvailable,
                "there is no microphone: connect one, and check that the",
            ),
            (
                DeviceChoice::Named("d".into()),
                ErrorKind::DeviceNotAvailable,
                "the microphone \"Desk\" is not there: connect",
            ),
            (DeviceChoice::Default, ErrorKind::DeviceBusy, "the microphone \"Desk\" is in use: close"),
        ] {
            let error = cpal::Error::with_message(kind, "why");
            let text = AudioDeviceError::of_opening(AudioDirection::Input, &choice, "Desk", &error).to_string();
            assert!(text.starts_with(wanted), "{text}");
        }
    }

    #[test]
    fn a_hiccup_is_not_the_end() {
        assert!(!ends_stream(&ErrorKind::Xrun.into()));
        assert!(!ends_stream(&ErrorKind::DeviceChanged.into()));
    }
}
