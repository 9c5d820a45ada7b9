//! Why there is no picture, and what to do about it.

use std::{fmt, path::PathBuf};

use super::y4m::Y4mError;
use crate::advice::Advice;

/// Why a source of pictures could not be opened, or was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// No such camera is connected.
    NotFound {
        /// The camera as it was asked for.
        device: String,
    },
    /// Another program has the camera.
    Busy {
        /// The camera's name.
        device: String,
    },
    /// The system does not let this program use the camera.
    PermissionDenied {
        /// The camera's name.
        device: String,
    },
    /// The camera offers none of the pixel formats that are understood.
    NoUsableFormat {
        /// The camera's name.
        device: String,
    },
    /// The camera was unplugged.
    Unplugged {
        /// The camera's name.
        device: String,
    },
    /// The camera did not answer in time.
    NotAnswering {
        /// The camera's name.
        device: String,
    },
    /// The camera's driver failed in some other way.
    Driver {
        /// The camera's name.
        device: String,
        /// The driver's own words.
        message: String,
    },
    /// The file could not be read, or is no Y4M file that is understood.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Y4mError,
    },
    /// The system gave no thread.
    Thread {
        /// The system's own words.
        message: String,
    },
}

impl CameraError {
    /// The error in two parts.
    pub fn advice(&self) -> Advice {
        let replug = "unplug it and plug it in again";
        match self {
            Self::NotFound { device } => {
                Advice::new(format!("no camera {device:?} is connected"), "plug it in, or choose another")
            }
            Self::Busy { device } => Advice::new(
                format!("the camera {device:?} is in use by another program"),
                "close that program, or choose another camera",
            ),
            Self::PermissionDenied { device } => Advice::new(
                format!("no permission to use the camera {device:?}"),
                "allow camera access (on Linux, join the group \"video\")",
            ),
            Self::NoUsableFormat { device } => Advice::new(
                format!("the camera {device:?} offers no YUYV, NV12 or MJPEG pictures"),
                "choose another camera",
            ),
            Self::Unplugged { device } => {
                Advice::new(format!("the camera {device:?} was unplugged"), "plug it in again, or choose another")
            }
            Self::NotAnswering { device } => Advice::new(format!("the camera {device:?} does not answer"), replug),
            Self::Driver { device, message } => {
                Advice::new(format!("the camera {device:?} failed ({message})"), replug)
            }
            Self::File { path, error } => Advice::new(
                format!("the video file {} cannot be played ({error})", path.display()),
                "check the path, or choose another file",
            ),
            Self::Thread { message } => {
                Advice::new(format!("no thread for the camera ({message})"), "close other programs and try again")
            }
        }
    }

    /// The capture thread fell over its driver.
    pub(super) fn panicked(device: &str) -> Self {
        Self::Driver { device: device.to_owned(), message: "its driver answered what no driver may".to_owned() }
    }
}

impl fmt::Display for CameraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice().fmt(f)
    }
}
