//! Sources of pictures: a camera, a Y4M file, the test pattern. Each runs on an OS thread of its own and
//! writes into a latest-frame [slot](super::slot); [`CameraEvent`]s tell when it fails or comes back.

mod device;
mod driver;
mod error;
mod file;
mod mjpeg;
mod nearest;
mod pace;
mod spec;
mod stop;
mod stream;
mod synthetic;
pub mod y4m;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

pub use error::CameraError;
pub use mjpeg::{MjpegDecoder, MjpegError};
pub use nearest::{CameraFormat, PixelFormat};
pub use spec::{CameraSpec, ParseCameraSpecError};
pub(crate) use stream::offered;

use self::stop::Stop;
use super::slot::FrameWriter;
use crate::units::VideoFormat;

/// Opening a USB camera takes 0.1 to 2 s; one that takes longer than this does not answer.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// A camera that runs ends within one frame interval (200 ms in the dark); one that takes longer than this
/// hangs.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What befell a running camera. A call goes on with what it has, whichever comes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CameraEvent {
    /// The camera is there but has sent no picture for a while. [`CameraEvent::Resumed`] or
    /// [`CameraEvent::Lost`] will follow, or nothing.
    Stalled {
        /// The camera's name.
        device: String,
        /// How long no picture has come.
        silent_for: Duration,
    },
    /// Pictures come again after [`CameraEvent::Stalled`].
    Resumed {
        /// The camera's name.
        device: String,
    },
    /// The camera or file is gone. A camera is looked for until it comes back; a file is given up.
    Lost(CameraError),
    /// The camera is back after [`CameraEvent::Lost`], and runs.
    Restored {
        /// The camera's name.
        device: String,
        /// Its format now, which may be another than before.
        format: VideoFormat,
    },
}

/// A running source of pictures.
///
/// Dropping it stops the source and closes the device, so that its light goes out, before the drop returns. A
/// driver that hangs in a system call cannot be interrupted: after a second its thread is left behind,
/// detached, publishes nothing any more, and closes the device as soon as the driver lets go of it.
pub struct Camera {
    format: SharedFormat,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has let go of everything.
    ended: Receiver<()>,
}

impl Camera {
    /// Opens what `spec` names, and lets it write into `writer` from now on. `wanted` is met as nearly as the
    /// source can; a file keeps its own format. `events` is called on the camera's threads, and must not
    /// block.
    ///
    /// Waits until the source is open (a camera: until it has taken a format), 10 s at most.
    pub fn open(
        spec: &CameraSpec,
        wanted: VideoFormat,
        writer: FrameWriter,
        events: impl Fn(CameraEvent) + Send + Sync + 'static,
    ) -> Result<Self, CameraError> {
        let stop = Arc::new(Stop::default());
        let format = SharedFormat::new(wanted);
        let (opened, opening) = mpsc::sync_channel(1);
        let (alive, ended) = mpsc::sync_channel(0);
        let session = Session {
            format: format.clone(),
            stop: stop.clone(),
            events: Arc::new(events),
            opened: Some(opened),
            _alive: alive,
        };
        let source = spec.clone();
        let thread = thread::Builder::new()
            .name("camera".into())
            .spawn(move || session.run(&source, wanted, writer))
            .map_err(|error| CameraError::Thread { message: error.to_string() })?;
        let camera = Self { format, stop, thread: Some(thread), ended };
        match opening.recv_timeout(OPEN_LIMIT) {
            Ok(result) => result.map(|()| camera),
            Err(RecvTimeoutError::Timeout) => Err(CameraError::NotAnswering { device: spec.to_string() }),
            Err(RecvTimeoutError::Disconnected) => Err(CameraError::panicked(&spec.to_string())),
        }
    }

    /// The size and nominal rate of the pictures that come now.
    pub fn format(&self) -> VideoFormat {
        self.format.get()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop.set();
        let hangs = matches!(self.ended.recv_timeout(STOP_LIMIT), Err(RecvTimeoutError::Timeout));
        match self.thread.take() {
            Some(_) if hangs => tracing::warn!("the camera's driver hangs; its thread is left to end by itself"),
            Some(thread) => drop(thread.join()),
            None => {}
        }
    }
}

/// The current format, written by the source and read by whoever holds the [`Camera`].
#[derive(Clone)]
struct SharedFormat(Arc<Mutex<VideoFormat>>);

impl SharedFormat {
    fn new(format: VideoFormat) -> Self {
        Self(Arc::new(Mutex::new(format)))
    }

    fn get(&self) -> VideoFormat {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, format: VideoFormat) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = format;
    }
}

/// What a source has to do with its owner: it says once that it is open, tells events, and looks at `stop`.
struct Session {
    format: SharedFormat,
    stop: Arc<Stop>,
    events: Arc<dyn Fn(CameraEvent) + Send + Sync>,
    /// Until the source is open, where its owner waits for the result.
    opened: Option<SyncSender<Result<(), CameraError>>>,
    _alive: SyncSender<()>,
}

impl Session {
    fn run(mut self, spec: &CameraSpec, wanted: VideoFormat, writer: FrameWriter) {
        let ended = match spec {
            CameraSpec::Pattern => synthetic::run(&mut self, wanted, writer),
            CameraSpec::File(path) => file::run(&mut self, path, writer),
            CameraSpec::Device(device) => device::run(&mut self, device, wanted, writer),
        };
        if let Err(error) = ended {
            self.fail(error);
        }
    }

    /// The source runs, in this format.
    fn opened(&mut self, format: VideoFormat) {
        self.format.set(format);
        if let Some(opened) = self.opened.take() {
            // Nobody waits any more where opening took too long; `stop` is set then.
            let _ = opened.try_send(Ok(()));
        }
    }

    /// The source failed: to open, or later.
    fn fail(&mut self, error: CameraError) {
        match self.opened.take() {
            Some(opened) => drop(opened.try_send(Err(error))),
            None => self.emit(CameraEvent::Lost(error)),
        }
    }

    /// Tells the owner, unless it has gone.
    fn emit(&self, event: CameraEvent) {
        if !self.stop.is_set() {
            (self.events)(event);
        }
    }
}
