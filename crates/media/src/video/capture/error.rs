//! Why there is no picture, and what to do about it.

use std::path::PathBuf;

use super::y4m::Y4mError;

/// Why a source of pictures could not be opened, or was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// No such camera is connected.
    #[error("no camera {device:?} is connected: plug it in, or choose another")]
    NotFound {
        /// The camera as it was asked for.
        device: String,
    },
    /// Another program has the camera.
    #[error("the camera {device:?} is in use by another program: close that program, or choose another camera")]
    Busy {
        /// The camera's name.
        device: String,
    },
    /// The system does not let this program use the camera.
    #[error("no permission to use the camera {device:?}: allow camera access (on Linux, join the group \"video\")")]
    PermissionDenied {
        /// The camera's name.
        device: String,
    },
    /// The camera offers none of the pixel formats that are understood.
    #[error("the camera {device:?} offers no YUYV, NV12 or MJPEG pictures: choose another camera")]
    NoUsableFormat {
        /// The camera's name.
        device: String,
    },
    /// The camera was unplugged.
    #[error("the camera {device:?} was unplugged: plug it in again, or choose another")]
    Unplugged {
        /// The camera's name.
        device: String,
    },
    /// The camera did not answer in time.
    #[error("the camera {device:?} does not answer: unplug it and plug it in again")]
    NotAnswering {
        /// The camera's name.
        device: String,
    },
    /// The camera's driver failed in some other way.
    #[error("the camera {device:?} failed ({message}): unplug it and plug it in again")]
    Driver {
        /// The camera's name.
        device: String,
        /// The driver's own words.
        message: String,
    },
    /// The file could not be read, or is no Y4M file that is understood.
    #[error("the video file {} cannot be played ({error}): check the path, or choose another file", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Y4mError,
    },
    /// The system gave no thread.
    #[error("no thread for the camera ({message}): close other programs and try again")]
    Thread {
        /// The system's own words.
        message: String,
    },
}

impl CameraError {
    /// The capture thread fell over its driver.
    pub(super) fn panicked(device: &str) -> Self {
        Self::Driver { device: device.to_owned(), message: "its driver answered what no driver may".to_owned() }
    }
}
