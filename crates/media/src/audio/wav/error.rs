//! Why a WAV file cannot be read or written, and what to do about it.

use std::fmt;

use super::{MAX_DURATION, PIPE_LIMIT};
use crate::advice::Advice;

/// A WAV file that cannot be read or written; each text names the file and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file system says no: missing, a directory, not permitted, disk full.
    Io {
        /// The file.
        name: String,
        /// What the system said.
        reason: String,
    },
    /// No byte, or no sample in it.
    Empty {
        /// The file.
        name: String,
    },
    /// Not a WAV file, or a kind of WAV that cannot be read here.
    Format {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A FIFO that nothing is written into, or too slowly.
    Unfinished {
        /// The FIFO.
        name: String,
    },
    /// Over ten minutes.
    TooLong {
        /// The file.
        name: String,
    },
}

impl WavError {
    /// The error in two parts.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Io { name, reason } => Advice::new(format!("{name}: {reason}"), "check the path and its permissions"),
            Self::Empty { name } => {
                Advice::new(format!("{name} holds no sound (it is empty)"), "choose a WAV file with samples")
            }
            Self::Format { name, reason } => Advice::new(
                format!("{name} is not a WAV file that can be played ({reason})"),
                "convert it to 16-bit PCM WAV (ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav)",
            ),
            Self::Unfinished { name } => Advice::new(
                format!("{name} is a pipe that did not end within {} s", PIPE_LIMIT.as_secs()),
                "start the program that writes into it, or let it write a file first",
            ),
            Self::TooLong { name } => {
                Advice::new(format!("{name} is longer than {} minutes", MAX_DURATION.as_secs() / 60), "cut it shorter")
            }
        }
    }
}

impl fmt::Display for WavError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice().fmt(f)
    }
}
