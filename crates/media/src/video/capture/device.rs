//! A real camera. Two threads: one drives it and may hang in its driver at any time; this one watches that
//! pictures come, tells events in order, and never waits for the other without a limit.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::{
    CameraError, CameraEvent, Session,
    driver::{Driver, Report},
};
use crate::{units::VideoFormat, video::slot::FrameWriter};

/// Without a picture for this long a camera counts as stalled. Cameras need up to 2 s for their first picture
/// and 0.2 s for one in the dark; people ask "do you still see me?" after about 5 s.
const STALL_AFTER: Duration = Duration::from_secs(3);

pub(super) fn run(
    session: &mut Session,
    device: &str,
    wanted: VideoFormat,
    writer: FrameWriter,
) -> Result<(), CameraError> {
    let (reports, inbox) = mpsc::channel();
    let driver = Driver::new(device, wanted, writer, session.stop.clone(), reports);
    let thread = thread::Builder::new()
        .name("camera-driver".into())
        .spawn(move || driver.run())
        .map_err(|error| CameraError::Thread { message: error.to_string() })?;
    match watch(session, &inbox) {
        Ended::Driver => thread.join().map_err(|_| CameraError::panicked(device)),
        // It hangs, and ends by itself once the driver lets go of it.
        Ended::Owner => Ok(()),
    }
}

/// Who ended the watch.
enum Ended {
    Driver,
    Owner,
}

fn watch(session: &mut Session, inbox: &Receiver<Report>) -> Ended {
    let mut watch = Watch::new(Instant::now());
    loop {
        let limit = watch.deadline.saturating_duration_since(Instant::now());
        match inbox.recv_timeout(limit) {
            Ok(Report::Failed(error)) => session.fail(error),
            Ok(report) => {
                if let Report::Opened { format, .. } | Report::Restored(format) = &report {
                    session.opened(*format);
                }
                watch.report(report, Instant::now()).into_iter().for_each(|event| session.emit(event));
            }
            Err(RecvTimeoutError::Timeout) if session.stop.is_set() => return Ended::Owner,
            Err(RecvTimeoutError::Timeout) => {
                watch.silence(Instant::now()).into_iter().for_each(|event| session.emit(event));
            }
            Err(RecvTimeoutError::Disconnected) => return Ended::Driver,
        }
    }
}

/// What is known of the camera from its pictures and their absence.
struct Watch {
    device: String,
    state: State,
    last_frame: Instant,
    /// When silence is to be looked at next.
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not open yet, or lost: no pictures are expected.
    Away,
    Running,
    Stalled,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self { device: String::new(), state: State::Away, last_frame: now, deadline: now + STALL_AFTER }
    }

    /// The driver's thread reports something.
    fn report(&mut self, report: Report, now: Instant) -> Option<CameraEvent> {
        (self.last_frame, self.deadline) = (now, now + STALL_AFTER);
        match report {
            Report::Opened { name, .. } => {
                self.device = name;
                self.state = State::Running;
                None
            }
            Report::Frame => (std::mem::replace(&mut self.state, State::Running) == State::Stalled)
                .then(|| CameraEvent::Resumed { device: self.device.clone() }),
            Report::Lost(error) | Report::Failed(error) => {
                self.state = State::Away;
                Some(CameraEvent::Lost(error))
            }
            Report::Restored(format) => {
                self.state = State::Running;
                Some(CameraEvent::Restored { device: self.device.clone(), format })
            }
        }
    }

    /// The deadline passed without a report.
    fn silence(&mut self, now: Instant) -> Option<CameraEvent> {
        self.deadline = now + STALL_AFTER;
        (self.state == State::Running).then(|| {
            self.state = State::Stalled;
            CameraEvent::Stalled { device: self.device.clone(), silent_for: now - self.last_frame }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    fn opened(now: Instant) -> Watch {
        let mut watch = Watch::new(now);
        let report = Report::Opened { name: "Cam".into(), format: VideoFormat::HD };
        assert_eq!(watch.report(report, now), None);
        watch
    }

    fn unplugged() -> CameraError {
        CameraError::Unplugged { device: "Cam".into() }
    }

    #[test]
    fn a_silent_camera_is_told_once_and_its_return_too() {
        let mut now = Instant::now();
        let mut watch = opened(now);
        now += FRAME;
        assert_eq!(watch.report(Report::Frame, now), None);
        assert_eq!(watch.deadline, now + STALL_AFTER);
        let stalled = CameraEvent::Stalled { device: "Cam".into(), silent_for: STALL_AFTER };
        assert_eq!(watch.silence(watch.deadline), Some(stalled));
        assert_eq!(watch.silence(watch.deadline), None);
        assert_eq!(watch.report(Report::Frame, now), Some(CameraEvent::Resumed { device: "Cam".into() }));
        assert_eq!(watch.report(Report::Frame, now), None);
    }

    #[test]
    fn a_camera_that_never_sends_a_picture_is_silent_too() {
        let now = Instant::now();
        assert!(matches!(opened(now).silence(now + STALL_AFTER), Some(CameraEvent::Stalled { .. })));
    }

    #[test]
    fn a_lost_camera_is_not_silent() {
        let now = Instant::now();
        let mut watch = opened(now);
        assert_eq!(watch.report(Report::Lost(unplugged()), now), Some(CameraEvent::Lost(unplugged())));
        assert_eq!(watch.silence(now + STALL_AFTER), None);
        let restored = CameraEvent::Restored { device: "Cam".into(), format: VideoFormat::HD };
        assert_eq!(watch.report(Report::Restored(VideoFormat::HD), now), Some(restored));
        assert!(watch.silence(now + STALL_AFTER).is_some());
    }

    #[test]
    fn a_stalled_camera_can_be_lost() {
        let now = Instant::now();
        let mut watch = opened(now);
        assert!(watch.silence(now + STALL_AFTER).is_some());
        assert_eq!(watch.report(Report::Lost(unplugged()), now), Some(CameraEvent::Lost(unplugged())));
    }
}
