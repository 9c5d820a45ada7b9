//! The thread that drives a camera: opens it, takes its pictures, and looks for it when it is gone.
//!
//! Every call into the driver can block for ever (nokhwa waits for a picture without a limit), so nobody
//! waits for this thread: it sends [`Report`]s, and looks at its stop order between two pictures.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, mpsc::Sender},
    time::{Duration, Instant},
};

use super::{CameraError, stop::Stop, stream::Stream};
use crate::{
    device::camera::{self, Node},
    units::VideoFormat,
    video::slot::FrameWriter,
};

/// How often a lost camera is looked for. A person who plugs it in does not wait, and each look only reads a
/// directory.
const RETURN_POLL: Duration = Duration::from_millis(500);

/// What the driver's thread has to say.
#[derive(Debug)]
pub(super) enum Report {
    /// The camera is open. Comes once.
    Opened { name: String, format: VideoFormat },
    /// The camera cannot be opened; the thread ends.
    Failed(CameraError),
    /// A picture was published.
    Frame,
    /// The camera is gone, and is being looked for.
    Lost(CameraError),
    /// The camera is back, and has sent a picture.
    Restored(VideoFormat),
}

pub(super) struct Driver {
    /// As it was asked for: an id, a name or an index.
    device: String,
    wanted: VideoFormat,
    writer: FrameWriter,
    stop: Arc<Stop>,
    reports: Sender<Report>,
    /// [`Report::Lost`] was sent, and [`Report::Restored`] not yet.
    lost: bool,
}

/// How a stream of pictures broke.
struct Broken {
    error: CameraError,
    /// Whether it had sent any.
    after_pictures: bool,
}

impl Driver {
    pub(super) fn new(
        device: &str,
        wanted: VideoFormat,
        writer: FrameWriter,
        stop: Arc<Stop>,
        reports: Sender<Report>,
    ) -> Self {
        Self { device: device.to_owned(), wanted, writer, stop, reports, lost: false }
    }

    /// Runs until it is told to stop, nobody reads any more, or the camera cannot be opened in the first
    /// place.
    pub(super) fn run(mut self) {
        let (node, mut stream) = match open_any(&self.device, self.wanted) {
            Ok(opened) => opened,
            Err(error) => return self.report(Report::Failed(error)),
        };
        self.report(Report::Opened { name: node.name.clone(), format: stream.format() });
        loop {
            // nokhwa panics where a driver answers what it does not expect, also when it closes the device.
            let pumped = panic::catch_unwind(AssertUnwindSafe(|| self.pump(stream)));
            let broken = match pumped {
                Ok(Ok(())) => return,
                Ok(Err(broken)) => broken,
                Err(_) => Broken { error: CameraError::panicked(&node.name), after_pictures: false },
            };
            match self.recover(&node, broken) {
                Some(recovered) => stream = recovered,
                None => return,
            }
        }
    }

    /// Publishes pictures until told to stop (`Ok`) or the stream breaks. The device is closed in either
    /// case.
    fn pump(&mut self, mut stream: Stream) -> Result<(), Broken> {
        let mut after_pictures = false;
        while !self.ends() {
            let mut frame = self.writer.buffer();
            let is_whole = stream.next(&mut frame).map_err(|error| Broken { error, after_pictures })?;
            // The order may have come while the driver hung: then this picture is for nobody.
            if !is_whole || self.stop.is_set() {
                self.writer.recycle(frame);
                continue;
            }
            self.writer.publish(frame);
            after_pictures = true;
            let restored = std::mem::take(&mut self.lost);
            self.report(if restored { Report::Restored(stream.format()) } else { Report::Frame });
        }
        Ok(())
    }

    /// Opens the camera again, now or when it has come back; `None` when told to stop.
    fn recover(&mut self, node: &Node, broken: Broken) -> Option<Stream> {
        tracing::warn!(camera = node.name, error = %broken.error, "the stream of pictures broke");
        // A hiccup of the bus or the driver, if it opens again at once; nobody needs to hear of that.
        if broken.after_pictures
            && let Ok(stream) = reopen(node, self.wanted)
        {
            return Some(stream);
        }
        if !std::mem::replace(&mut self.lost, true) {
            self.report(Report::Lost(broken.error));
        }
        while !self.stop.wait_until(Instant::now() + RETURN_POLL) && !self.writer.is_closed() {
            match reopen(node, self.wanted) {
                Ok(stream) => return Some(stream),
                Err(error) => tracing::debug!(camera = node.name, %error, "still away"),
            }
        }
        None
    }

    fn ends(&self) -> bool {
        self.stop.is_set() || self.writer.is_closed()
    }

    fn report(&self, report: Report) {
        // The watch ends before this thread only when the owner is gone and the driver hung.
        let _ = self.reports.send(report);
    }
}

/// Opens the first node that `device` can mean and that has pictures.
fn open_any(device: &str, wanted: VideoFormat) -> Result<(Node, Stream), CameraError> {
    let mut result = Err(CameraError::NotFound { device: device.to_owned() });
    for node in camera::matching(device) {
        match Stream::open(&node, wanted) {
            Ok(stream) => return Ok((node, stream)),
            // The metadata node of a USB camera says nothing about the camera; any other error does.
            Err(error) => {
                if matches!(result, Err(CameraError::NotFound { .. } | CameraError::NoUsableFormat { .. })) {
                    result = Err(error);
                }
            }
        }
    }
    result
}

/// Opens the same camera again, whatever its index is now.
fn reopen(node: &Node, wanted: VideoFormat) -> Result<Stream, CameraError> {
    open_any(&node.id, wanted).map(|(_, stream)| stream)
}
