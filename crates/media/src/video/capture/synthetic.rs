//! The test pattern as a camera.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{CameraError, Session, pace::Pace};
use crate::{
    units::VideoFormat,
    video::{pattern, slot::FrameWriter},
};

pub(super) fn run(session: &mut Session, format: VideoFormat, mut writer: FrameWriter) -> Result<(), CameraError> {
    session.opened(format);
    let mut pace = Pace::new((format.fps, 1), Instant::now());
    let mut counter = 0;
    while !session.stop.wait_until(pace.next(Instant::now())) && !writer.is_closed() {
        let mut frame = writer.buffer();
        frame.resize(format.width, format.height);
        frame.captured_at = Instant::now();
        pattern::draw(&mut frame, unix_ms(), counter);
        writer.publish(frame);
        counter = counter.wrapping_add(1);
    }
    Ok(())
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::{
        capture::{Camera, CameraSpec},
        slot::{FrameReader, Next, slot},
    };
    use std::time::Duration;

    const LIMIT: Duration = Duration::from_secs(10);

    fn next(reader: &mut FrameReader) -> crate::video::I420Frame {
        match reader.wait(LIMIT) {
            Next::Frame(frame) => frame,
            other => panic!("no picture: {other:?}"),
        }
    }

    #[test]
    fn the_pattern_comes_in_the_wanted_format_with_its_time() {
        let (writer, mut reader) = slot();
        let wanted = VideoFormat { width: 320, height: 180, fps: 120 };
        let camera = Camera::open(&CameraSpec::Pattern, wanted, writer, |_| ()).expect("the pattern");
        assert_eq!(camera.format(), wanted);
        let mut last = None;
        for _ in 0..20 {
            let frame = next(&mut reader);
            let cells = pattern::read_cells(&frame).expect("cells");
            assert_eq!((frame.width(), frame.height()), (320, 180));
            let by_clock = frame.captured_at.elapsed().as_millis() as i64;
            assert!((i64::from(cells.age_ms(unix_ms())) - by_clock).abs() <= 2, "cells and captured_at differ");
            if let Some((counter, captured_at)) = last {
                assert!(cells.counter > counter && frame.captured_at > captured_at);
            }
            last = Some((cells.counter, frame.captured_at));
            reader.recycle(frame);
        }
        drop(camera);
        while let Next::Frame(_) = reader.wait(Duration::ZERO) {}
        assert!(matches!(reader.wait(LIMIT), Next::Closed), "the source still runs");
    }

    #[test]
    fn the_source_ends_when_nobody_reads() {
        let (writer, reader) = slot();
        let wanted = VideoFormat { width: 64, height: 64, fps: 100 };
        let camera = Camera::open(&CameraSpec::Pattern, wanted, writer, |_| ()).expect("the pattern");
        drop(reader);
        let ended = camera.ended.recv_timeout(LIMIT);
        assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_slow_source_stops_at_once() {
        let (writer, mut reader) = slot();
        let wanted = VideoFormat { width: 64, height: 64, fps: 1 };
        let camera = Camera::open(&CameraSpec::Pattern, wanted, writer, |_| ()).expect("the pattern");
        next(&mut reader);
        let from = Instant::now();
        drop(camera);
        assert!(from.elapsed() < Duration::from_millis(500), "the drop waited for the next picture");
    }
}
