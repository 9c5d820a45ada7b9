//! An open camera by nokhwa: which formats it offers, and its pictures as I420.

use std::{
    io,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nokhwa::{
    Buffer, Camera, NokhwaError,
    utils::{CameraFormat as DriverFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution},
};

use super::{
    CameraError, CameraFormat, MjpegDecoder, PixelFormat,
    nearest::{nearest, preference},
};
use crate::{
    device::camera::Node,
    units::VideoFormat,
    video::{I420Frame, convert},
};

/// The packings that are understood.
const UNDERSTOOD: [FrameFormat; 3] = [FrameFormat::YUYV, FrameFormat::NV12, FrameFormat::MJPEG];

/// A capture time further back than this is a wrong clock, not a slow camera: four buffers at 5 pictures a
/// second.
const MAX_AGE: Duration = Duration::from_secs(1);

/// "No such device": the camera was unplugged while it was open (errno(3) of Linux).
const ENODEV: i32 = 19;
/// "No such device or address": the node is there, the camera behind it is not.
const ENXIO: i32 = 6;

/// What a camera offers, best first.
pub(crate) fn offered(node: &Node) -> Result<Vec<CameraFormat>, CameraError> {
    let mut formats = offered_by(&mut open(node)?, node)?;
    formats.sort_by_key(preference);
    Ok(formats)
}

/// An open camera. Dropping it closes the device.
pub(super) struct Stream {
    camera: Camera,
    name: String,
    format: CameraFormat,
    mjpeg: MjpegDecoder,
    last_capture: Option<Instant>,
}

impl Stream {
    /// Opens the camera in the format nearest to `wanted`.
    pub(super) fn open(node: &Node, wanted: VideoFormat) -> Result<Self, CameraError> {
        let mut camera = open(node)?;
        let format = set_nearest(&mut camera, node, wanted)?;
        camera.open_stream().map_err(|error| classify(&error, &node.name))?;
        let mjpeg = MjpegDecoder::new().map_err(|error| driver_error(&node.name, error.to_string()))?;
        Ok(Self { camera, name: node.name.clone(), format, mjpeg, last_capture: None })
    }

    pub(super) fn format(&self) -> VideoFormat {
        self.format.video
    }

    /// Waits for the next picture, for ever where the driver does, and converts it into `frame`. False for a
    /// damaged picture: cameras send one now and then.
    pub(super) fn next(&mut self, frame: &mut I420Frame) -> Result<bool, CameraError> {
        let buffer = self.camera.frame().map_err(|error| classify(&error, &self.name))?;
        let VideoFormat { width, height, .. } = self.format.video;
        let converted = match self.format.pixels {
            PixelFormat::Yuyv => {
                convert::yuyv(buffer.buffer(), width, height, frame).map_err(|error| error.to_string())
            }
            PixelFormat::Nv12 | PixelFormat::I420 => {
                convert::nv12(buffer.buffer(), width, height, frame).map_err(|error| error.to_string())
            }
            PixelFormat::Mjpeg => {
                self.mjpeg.decode(buffer.buffer(), width, height, frame).map_err(|error| error.to_string())
            }
        };
        if let Err(error) = converted {
            tracing::debug!(camera = self.name, error, "a damaged picture is dropped");
            return Ok(false);
        }
        // Never before the picture before, whatever the wall clock does in between.
        let taken = captured_at(&buffer);
        frame.captured_at = self.last_capture.map_or(taken, |last| taken.max(last));
        self.last_capture = Some(frame.captured_at);
        Ok(true)
    }
}

/// When the driver says the picture was taken, on this program's clock.
fn captured_at(buffer: &Buffer) -> Instant {
    let (now, wall) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH));
    // nokhwa has turned the driver's monotonic time into wall time a moment ago; this turns it back.
    let age = buffer.capture_timestamp().and_then(|taken| wall.ok()?.checked_sub(taken));
    age.filter(|age| *age <= MAX_AGE).and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

fn open(node: &Node) -> Result<Camera, CameraError> {
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &UNDERSTOOD);
    Camera::new(CameraIndex::Index(node.index), any).map_err(|error| classify(&error, &node.name))
}

fn offered_by(camera: &mut Camera, node: &Node) -> Result<Vec<CameraFormat>, CameraError> {
    let formats = camera.compatible_camera_formats().map_err(|error| classify(&error, &node.name))?;
    let formats: Vec<_> = formats.into_iter().filter_map(from_driver).collect();
    if formats.is_empty() { Err(CameraError::NoUsableFormat { device: node.name.clone() }) } else { Ok(formats) }
}

/// Sets the nearest format that the driver really takes: some list what they then refuse.
fn set_nearest(camera: &mut Camera, node: &Node, wanted: VideoFormat) -> Result<CameraFormat, CameraError> {
    let mut formats = offered_by(camera, node)?;
    while let Some(format) = nearest(&formats, wanted) {
        let exact = RequestedFormatType::Exact(to_driver(format));
        let refused = match camera.set_camera_requset(RequestedFormat::with_formats(exact, &UNDERSTOOD)) {
            Ok(_) => return Ok(format),
            Err(error) => classify(&error, &node.name),
        };
        if !matches!(refused, CameraError::Driver { .. }) {
            return Err(refused);
        }
        // It may have taken a format of its own choice instead, which is as near as it gets.
        if let Some(taken) = camera.refresh_camera_format().ok().and_then(from_driver) {
            return Ok(taken);
        }
        formats.retain(|other| *other != format);
    }
    Err(CameraError::NoUsableFormat { device: node.name.clone() })
}

/// `None` for a format that is not understood, or beyond what a call carries.
fn from_driver(format: DriverFormat) -> Option<CameraFormat> {
    let pixels = match format.format() {
        FrameFormat::YUYV => PixelFormat::Yuyv,
        FrameFormat::NV12 => PixelFormat::Nv12,
        FrameFormat::MJPEG => PixelFormat::Mjpeg,
        FrameFormat::GRAY | FrameFormat::RAWRGB | FrameFormat::RAWBGR => return None,
    };
    let video = VideoFormat { width: format.width(), height: format.height(), fps: format.frame_rate() };
    let sides = VideoFormat::MIN_SIDE..=VideoFormat::MAX_SIDE;
    let sound = sides.contains(&video.width)
        && sides.contains(&video.height)
        && (1..=VideoFormat::MAX_FPS).contains(&video.fps);
    sound.then_some(CameraFormat { video, pixels })
}

fn to_driver(CameraFormat { video, pixels }: CameraFormat) -> DriverFormat {
    let packing = match pixels {
        PixelFormat::Yuyv => FrameFormat::YUYV,
        PixelFormat::Nv12 | PixelFormat::I420 => FrameFormat::NV12,
        PixelFormat::Mjpeg => FrameFormat::MJPEG,
    };
    DriverFormat::new(Resolution::new(video.width, video.height), packing, video.fps)
}

/// What a driver's error means to the user. nokhwa gives texts only; the system's error number is in them.
fn classify(error: &NokhwaError, name: &str) -> CameraError {
    let (text, device) = (error.to_string(), name.to_owned());
    let number = text.rsplit_once("(os error ").and_then(|(_, rest)| rest.split_once(')')?.0.parse().ok());
    match number.map(|number: i32| (number, io::Error::from_raw_os_error(number).kind())) {
        Some((ENODEV | ENXIO, _) | (_, io::ErrorKind::NotFound)) => CameraError::Unplugged { device },
        Some((_, io::ErrorKind::ResourceBusy)) => CameraError::Busy { device },
        Some((_, io::ErrorKind::PermissionDenied)) => CameraError::PermissionDenied { device },
        _ if is_without_format(error) => CameraError::NoUsableFormat { device },
        _ => driver_error(name, text),
    }
}

/// nokhwa found nothing among the camera's formats that was asked for.
fn is_without_format(error: &NokhwaError) -> bool {
    matches!(error, NokhwaError::GetPropertyError { property, .. } if property == "CameraFormat")
}

fn driver_error(name: &str, message: String) -> CameraError {
    CameraError::Driver { device: name.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_are_told_apart_by_their_number() {
        let device = String::from("Cam");
        for (number, expected) in [
            (16, CameraError::Busy { device: device.clone() }),
            (13, CameraError::PermissionDenied { device: device.clone() }),
            (2, CameraError::Unplugged { device: device.clone() }),
            (6, CameraError::Unplugged { device: device.clone() }),
            (19, CameraError::Unplugged { device }),
        ] {
            let text = io::Error::from_raw_os_error(number).to_string();
            assert_eq!(classify(&NokhwaError::ReadFrameError(text.clone()), "Cam"), expected);
            let wrapped = format!("V4L2 Error: {text}");
            assert_eq!(classify(&NokhwaError::OpenDeviceError("0".into(), wrapped), "Cam"), expected);
        }
        let io = NokhwaError::ReadFrameError(io::Error::from_raw_os_error(5).to_string());
        assert!(matches!(classify(&io, "Cam"), CameraError::Driver { message, .. } if message.contains("os error 5")));
    }
}
