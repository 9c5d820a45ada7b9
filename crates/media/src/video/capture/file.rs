//! A Y4M file as a camera: played at its own rate, over and over, so that a call can go on for as long as it
//! likes. A FIFO is played once, to its end.

use std::{
    io::{Read, Seek},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    CameraError, Session,
    pace::Pace,
    y4m::{Reader, Y4mError},
};
use crate::{
    pipe::{PatientFile, Waiting},
    video::{I420Frame, slot::FrameWriter},
};

/// How long a FIFO may have no writer. Under the time in which a camera has to open, so that the error can
/// say what is the matter.
const WRITER_LIMIT: Duration = Duration::from_secs(8);

pub(super) fn run(session: &mut Session, path: &Path, writer: FrameWriter) -> Result<(), CameraError> {
    play(session, path, writer).map_err(|error| CameraError::File { path: path.to_owned(), error })
}

fn play(session: &mut Session, path: &Path, mut writer: FrameWriter) -> Result<(), Y4mError> {
    let (stop, deadline) = (Arc::clone(&session.stop), Instant::now() + WRITER_LIMIT);
    let file = PatientFile::open(path, move |waiting| {
        stop.is_set() || (waiting == Waiting::ForStart && Instant::now() >= deadline)
    })?;
    let mut reader = Reader::new(file)?;
    // The first picture is read before the file counts as open: one without pictures is an error, not a
    // still.
    let mut frame = writer.buffer();
    next_frame(&mut reader, &mut frame)?;
    session.opened(reader.header().format());
    let mut pace = Pace::new(reader.header().rate, Instant::now());
    while !session.stop.wait_until(pace.next(Instant::now())) && !writer.is_closed() {
        frame.captured_at = Instant::now();
        writer.publish(frame);
        // Read ahead, so that a slow disk costs time before the deadline, not after it.
        frame = writer.buffer();
        next_frame(&mut reader, &mut frame)?;
    }
    Ok(())
}

/// The next picture, after the last one the first again.
fn next_frame(reader: &mut Reader<impl Read + Seek>, frame: &mut I420Frame) -> Result<(), Y4mError> {
    if reader.next_frame(frame)? {
        return Ok(());
    }
    if reader.frames() == 0 {
        return Err(Y4mError::NoPictures);
    }
    reader.rewind()?;
    if reader.next_frame(frame)? { Ok(()) } else { Err(Y4mError::NoPictures) }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;
    use crate::{
        units::VideoFormat,
        video::{
            capture::{Camera, CameraSpec},
            slot::{Next, slot},
        },
    };

    /// A file in the temporary directory that is gone when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, bytes: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("ahoy-{}-{name}.y4m", std::process::id()));
            std::fs::write(&path, bytes).expect("temporary file");
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn y4m(rate: &str, values: &[u8]) -> Vec<u8> {
        let mut bytes = format!("YUV4MPEG2 W17 H17 F{rate} C420jpeg\n").into_bytes();
        for &value in values {
            bytes.extend_from_slice(b"FRAME\n");
            bytes.extend(std::iter::repeat_n(value, 17 * 17 + 2 * 9 * 9));
        }
        bytes
    }

    fn opened(path: &Path) -> Result<Camera, CameraError> {
        Camera::open(&CameraSpec::File(path.to_owned()), VideoFormat::HD, slot().0, |_| ())
    }

    #[test]
    fn a_file_is_played_over_and_over_at_its_rate() {
        let file = Scratch::new("loop", &y4m("100:1", &[10, 20, 30]));
        let (writer, mut reader) = slot();
        let camera = Camera::open(&CameraSpec::File(file.0.clone()), VideoFormat::HD, writer, |_| ()).expect("file");
        assert_eq!(camera.format(), VideoFormat { width: 17, height: 17, fps: 100 });
        let mut seen = Vec::new();
        let (mut first, mut last) = (None, None);
        while seen.iter().filter(|&&value| value == 10).count() < 3 {
            match reader.wait(Duration::from_secs(10)) {
                Next::Frame(frame) => {
                    seen.push(frame.data()[0]);
                    first.get_or_insert(frame.captured_at);
                    last = Some(frame.captured_at);
                    reader.recycle(frame);
                }
                other => panic!("{other:?} after {seen:?}"),
            }
        }
        assert!(seen.contains(&20) && seen.contains(&30), "{seen:?}");
        let span = last.expect("pictures") - first.expect("pictures");
        assert!(span >= Duration::from_millis(50), "two rounds of 30 ms took {span:?}");
    }

    #[test]
    fn bad_files_are_refused_with_path_and_reason() {
        for (name, bytes, reason) in [
            ("empty", Vec::new(), Y4mError::Empty),
            ("garbage", vec![0x55; 4096], Y4mError::NotY4m),
            ("header", y4m("25:1", &[]), Y4mError::NoPictures),
            ("half", y4m("25:1", &[1])[..100].to_vec(), Y4mError::NoPictures),
        ] {
            let file = Scratch::new(name, &bytes);
            let expected = CameraError::File { path: file.0.clone(), error: reason };
            assert_eq!(opened(&file.0).err(), Some(expected), "{name}");
        }
        let missing = Path::new("/nowhere/at-all.y4m");
        let error = opened(missing).err().expect("an error").to_string();
        assert!(error.contains("/nowhere/at-all.y4m") && error.contains("No such file"), "{error}");
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn a_fifo_is_played_to_its_end_which_is_told() {
        let path = std::env::temp_dir().join(format!("ahoy-{}-fifo.y4m", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is in coreutils");
        assert!(made.success());
        let fifo = Scratch(path);
        for (bytes, pictures, end) in [
            (y4m("100:1", &[10, 20, 30]), 3, Y4mError::PipeEnded),
            (y4m("100:1", &[10, 20, 30])[..600].to_vec(), 1, Y4mError::PipeEnded),
        ] {
            let target = fifo.0.clone();
            let feeder = std::thread::spawn(move || std::fs::write(target, bytes));
            let (writer, mut reader) = slot();
            let (events, lost) = std::sync::mpsc::channel();
            let _camera = Camera::open(&CameraSpec::File(fifo.0.clone()), VideoFormat::HD, writer, move |event| {
                drop(events.send(event));
            })
            .expect("the FIFO opens");
            let mut seen = Vec::new();
            while let Next::Frame(frame) = reader.wait(Duration::from_secs(1)) {
                seen.push(frame.data()[0]);
                reader.recycle(frame);
            }
            assert!(!seen.is_empty() && seen.len() <= pictures && seen.is_sorted(), "{seen:?}");
            let error = CameraError::File { path: fifo.0.clone(), error: end };
            let event = lost.recv_timeout(Duration::from_secs(10)).expect("an event");
            assert_eq!(event, crate::video::capture::CameraEvent::Lost(error));
            feeder.join().expect("no panic").expect("written");
        }
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn a_fifo_whose_writer_hangs_does_not_hold_up_the_end() {
        let path = std::env::temp_dir().join(format!("ahoy-{}-slow-fifo.y4m", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is in coreutils");
        assert!(made.success());
        let fifo = Scratch(path);
        let mut feeder = std::fs::OpenOptions::new().read(true).write(true).open(&fifo.0).expect("opens");
        std::io::Write::write_all(&mut feeder, &y4m("100:1", &[1, 2])[..700]).expect("written");
        let camera = opened(&fifo.0).expect("a picture came");
        let ends = Instant::now();
        drop(camera);
        assert!(ends.elapsed() < Duration::from_millis(500), "{:?}", ends.elapsed());
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn a_fifo_without_a_whole_picture_is_refused() {
        let path = std::env::temp_dir().join(format!("ahoy-{}-empty-fifo.y4m", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is in coreutils");
        assert!(made.success());
        let fifo = Scratch(path);
        for (bytes, reason) in
            [(y4m("25:1", &[]), Y4mError::NoPictures), (y4m("25:1", &[1])[..200].to_vec(), Y4mError::NoPictures)]
        {
            let target = fifo.0.clone();
            let feeder = std::thread::spawn(move || std::fs::write(target, bytes));
            let expected = CameraError::File { path: fifo.0.clone(), error: reason };
            assert_eq!(opened(&fifo.0).err(), Some(expected));
            feeder.join().expect("no panic").expect("written");
        }
    }

    #[test]
    fn a_file_that_is_cut_while_it_plays_is_lost_with_an_event() {
        let file = Scratch::new("cut", &y4m("100:1", &[1]));
        let (writer, mut reader) = slot();
        let (events, lost) = std::sync::mpsc::channel();
        let spec = CameraSpec::File(file.0.clone());
        let _camera =
            Camera::open(&spec, VideoFormat::HD, writer, move |event| drop(events.send(event))).expect("file");
        assert!(matches!(reader.wait(Duration::from_secs(10)), Next::Frame(_)));
        std::fs::write(&file.0, b"").expect("cut");
        let error = CameraError::File { path: file.0.clone(), error: Y4mError::NoPictures };
        let event = lost.recv_timeout(Duration::from_secs(10)).expect("an event");
        assert_eq!(event, crate::video::capture::CameraEvent::Lost(error));
    }
}
