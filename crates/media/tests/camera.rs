//! Cameras, by an emulated one.
#![cfg(target_os = "linux")]

use std::{
    fs,
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use ahoy_media::{
    device::camera::{CameraFormat, PixelFormat, cameras},
    units::VideoFormat,
    video::{
        I420Frame,
        capture::{Camera, CameraError, CameraEvent, CameraSpec},
        pattern,
        slot::{FrameReader, Next, slot},
    },
};
use ahoy_test_support::camera::{EmulatedCamera, ID, NAME, with_camera};

/// Long enough that only a broken program lets it pass, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(20);

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;
const WANTED: VideoFormat = VideoFormat { width: WIDTH, height: HEIGHT, fps: 30 };
/// Pictures that the camera sends round and round; each carries its number in its cells.
const PICTURES: u32 = 5;

/// A camera at /dev/video0 that sends the test pattern as YUYV.
fn ready(camera: &EmulatedCamera) {
    camera.offer("YUYV 640 360 30");
    camera.send("YUYV", (0..PICTURES).map(|number| yuyv(&picture(number))));
    camera.plug_in(0);
}

/// The test pattern number `number`, as the camera sees it.
fn picture(number: u32) -> I420Frame {
    let mut frame = I420Frame::black(WIDTH, HEIGHT, Instant::now());
    pattern::draw(&mut frame, 500, number);
    frame
}

fn yuyv(frame: &I420Frame) -> Vec<u8> {
    let (y, u, v) = frame.planes();
    let (width, half) = (WIDTH as usize, WIDTH as usize / 2);
    let sample = |row: usize, pair: usize| {
        let (luma, chroma) = (row * width + 2 * pair, row / 2 * half + pair);
        [y[luma], u[chroma], y[luma + 1], v[chroma]]
    };
    (0..HEIGHT as usize).flat_map(|row| (0..half).flat_map(move |pair| sample(row, pair))).collect()
}

fn nv12(frame: &I420Frame) -> Vec<u8> {
    let (y, u, v) = frame.planes();
    y.iter().copied().chain(u.iter().zip(v).flat_map(|(&u, &v)| [u, v])).collect()
}

/// A JPEG with the frame's samples as they are, so that they count as full range.
fn jpeg(frame: &I420Frame) -> Vec<u8> {
    let image = turbojpeg::YuvImage {
        pixels: frame.data(),
        width: WIDTH as usize,
        align: 1,
        height: HEIGHT as usize,
        subsamp: turbojpeg::Subsamp::Sub2x2,
    };
    turbojpeg::compress_yuv(image, 95).expect("a JPEG").to_vec()
}

/// A running camera with its pictures and events.
struct Running {
    camera: Camera,
    pictures: FrameReader,
    events: Receiver<CameraEvent>,
}

fn open(device: &str, wanted: VideoFormat) -> Result<Running, CameraError> {
    let (writer, pictures) = slot();
    let (sender, events) = mpsc::channel();
    let spec = CameraSpec::Device(device.into());
    let camera = Camera::open(&spec, wanted, writer, move |event| drop(sender.send(event)))?;
    Ok(Running { camera, pictures, events })
}

fn opened() -> Running {
    open(NAME, WANTED).expect("the camera")
}

impl Running {
    fn next(&mut self) -> I420Frame {
        match self.pictures.wait(LIMIT) {
            Next::Frame(frame) => frame,
            other => panic!("no picture: {other:?}"),
        }
    }

    fn event(&self) -> CameraEvent {
        self.events.recv_timeout(LIMIT).expect("an event")
    }

    /// Takes two rounds of pictures, and compares the planes of each with those of the one that was sent
    /// under its number, after `expected` was done to them. `tolerance` is the mean error allowed.
    fn check_pictures(&mut self, expected: impl Fn(&mut I420Frame), tolerance: f64) {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2 * PICTURES {
            let frame = self.next();
            assert_eq!((frame.width(), frame.height()), (WIDTH, HEIGHT));
            let number = pattern::read_cells(&frame).expect("cells").counter;
            assert!(number < PICTURES);
            seen.insert(number);
            let mut sent = picture(number);
            expected(&mut sent);
            let (planes, sent) = (frame.planes(), sent.planes());
            for (plane, sent) in [(planes.0, sent.0), (planes.1, sent.1), (planes.2, sent.2)] {
                let sum: u64 = plane.iter().zip(sent).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                let error = sum as f64 / plane.len() as f64;
                assert!(error <= tolerance, "picture {number}: mean error {error}");
            }
        }
        assert!(seen.len() > 1, "always the same picture");
        assert!(self.events.try_recv().is_err(), "an event without a cause");
    }
}

fn unchanged(_: &mut I420Frame) {}

fn to_limited_range(frame: &mut I420Frame) {
    let (y, u, v) = frame.planes_mut();
    y.iter_mut().for_each(|luma| *luma = (16.0 + f64::from(*luma) * 219.0 / 255.0).round() as u8);
    let chroma = |full: u8| (128.0 + (f64::from(full) - 128.0) * 224.0 / 255.0).round() as u8;
    u.iter_mut().chain(v).for_each(|sample| *sample = chroma(*sample));
}

#[test]
fn yuyv_pictures_arrive_as_they_were_sent() {
    with_camera("yuyv_pictures_arrive_as_they_were_sent", |camera| {
        ready(camera);
        let mut running = opened();
        assert_eq!(running.camera.format(), WANTED);
        running.check_pictures(unchanged, 0.0);
    });
}

#[test]
fn nv12_pictures_arrive_as_they_were_sent() {
    with_camera("nv12_pictures_arrive_as_they_were_sent", |camera| {
        camera.offer("NV12 640 360 30");
        camera.send("NV12", (0..PICTURES).map(|number| nv12(&picture(number))));
        camera.plug_in(0);
        opened().check_pictures(unchanged, 0.0);
    });
}

#[test]
fn mjpeg_pictures_arrive_in_limited_range() {
    with_camera("mjpeg_pictures_arrive_in_limited_range", |camera| {
        camera.offer("MJPG 640 360 30");
        camera.send("MJPG", (0..PICTURES).map(|number| jpeg(&picture(number))));
        camera.plug_in(0);
        opened().check_pictures(to_limited_range, 2.0);
    });
}

#[test]
fn damaged_jpegs_are_dropped_and_the_others_arrive() {
    with_camera("damaged_jpegs_are_dropped_and_the_others_arrive", |camera| {
        camera.offer("MJPG 640 360 30");
        let good = jpeg(&picture(3));
        let cut = [&good[..good.len() / 3], &[0; 1000]].concat();
        camera.send("MJPG", [good.clone(), cut, vec![0xff; 50_000], good]);
        camera.plug_in(0);
        let mut running = opened();
        for _ in 0..6 {
            assert_eq!(pattern::read_cells(&running.next()).expect("cells").counter, 3);
        }
        assert!(running.events.try_recv().is_err(), "an event for a damaged picture");
    });
}

#[test]
fn the_nearest_format_is_taken() {
    with_camera("the_nearest_format_is_taken", |camera| {
        camera.offer("YUYV 640 360 30\nYUYV 640 360 15\nYUYV 1280 720 10\nMJPG 1280 720 30\nMJPG 1920 1080 30");
        camera.send("YUYV", [vec![0]]);
        camera.send("MJPG", [vec![0]]);
        camera.plug_in(0);
        for (wanted, taken) in [
            ("1280x720@30", "1280x720@30"),
            ("640x360@30", "640x360@30"),
            ("640x360@15", "640x360@15"),
            ("700x400@25", "640x360@30"),
            ("4000x3000@60", "1920x1080@30"),
        ] {
            let running = open(NAME, wanted.parse().expect("a format")).expect("the camera");
            assert_eq!(running.camera.format().to_string(), taken, "wanted {wanted}");
        }
    });
}

#[test]
fn capture_time_is_the_drivers() {
    with_camera("capture_time_is_the_drivers", |camera| {
        ready(camera);
        camera.write("age_ms", "200");
        let mut running = opened();
        let mut last = None;
        for _ in 0..5 {
            let captured_at = running.next().captured_at;
            assert!(captured_at.elapsed() >= Duration::from_millis(200), "{:?} old", captured_at.elapsed());
            assert!(last.is_none_or(|last| captured_at > last), "capture times do not rise");
            last = Some(captured_at);
        }
    });
}

#[test]
fn a_camera_in_use_by_another_program_is_busy() {
    with_camera("a_camera_in_use_by_another_program_is_busy", |camera| {
        ready(camera);
        for step in ["open", "stream"] {
            camera.write("busy", step);
            let error = open(NAME, WANTED).err();
            assert_eq!(error, Some(CameraError::Busy { device: NAME.into() }), "busy at {step}");
        }
        camera.remove("busy");
        opened().next();
    });
}

#[test]
fn a_camera_that_is_not_there_is_not_found() {
    with_camera("a_camera_that_is_not_there_is_not_found", |camera| {
        for device in ["0", "/dev/video0", NAME, ID] {
            assert_eq!(open(device, WANTED).err(), Some(CameraError::NotFound { device: device.into() }));
        }
        ready(camera);
        for device in ["0", "/dev/video0", NAME, ID, "emulated"] {
            open(device, WANTED).unwrap_or_else(|error| panic!("{device}: {error}")).next();
        }
    });
}

#[test]
fn a_camera_without_an_understood_format_says_so() {
    with_camera("a_camera_without_an_understood_format_says_so", |camera| {
        camera.offer("GREY 640 360 30");
        camera.plug_in(0);
        assert_eq!(open(NAME, WANTED).err(), Some(CameraError::NoUsableFormat { device: NAME.into() }));
    });
}

#[test]
fn an_unplugged_camera_is_lost_and_restored_when_it_returns_elsewhere() {
    with_camera("an_unplugged_camera_is_lost_and_restored_when_it_returns_elsewhere", |camera| {
        ready(camera);
        let mut running = opened();
        running.next();
        camera.unplug(0);
        assert_eq!(running.event(), CameraEvent::Lost(CameraError::Unplugged { device: NAME.into() }));
        while let Next::Frame(_) = running.pictures.wait(Duration::ZERO) {}

        camera.offer("YUYV 640 360 15");
        camera.plug_in(2);
        let format = VideoFormat { fps: 15, ..WANTED };
        assert_eq!(running.event(), CameraEvent::Restored { device: NAME.into(), format });
        assert_eq!(running.camera.format(), format);
        running.check_pictures(unchanged, 0.0);
    });
}

#[test]
fn a_silent_camera_is_stalled_and_then_resumes() {
    with_camera("a_silent_camera_is_stalled_and_then_resumes", |camera| {
        ready(camera);
        let mut running = opened();
        running.next();
        camera.write("stalled", "");
        match running.event() {
            CameraEvent::Stalled { device, silent_for } => {
                assert_eq!(device, NAME);
                assert!((Duration::from_secs(1)..=Duration::from_secs(5)).contains(&silent_for), "{silent_for:?}");
            }
            other => panic!("{other:?}"),
        }
        camera.remove("stalled");
        assert_eq!(running.event(), CameraEvent::Resumed { device: NAME.into() });
        running.check_pictures(unchanged, 0.0);
    });
}

#[test]
fn dropping_the_camera_closes_the_device() {
    with_camera("dropping_the_camera_closes_the_device", |camera| {
        ready(camera);
        let mut running = opened();
        running.next();
        assert!(camera.log().ends_with("stream-on /dev/video0\n"), "{}", camera.log());
        drop(running.camera);
        assert!(camera.log().ends_with("stream-off /dev/video0\nclose /dev/video0\n"), "{}", camera.log());
        while let Next::Frame(_) = running.pictures.wait(Duration::ZERO) {}
        assert!(matches!(running.pictures.wait(LIMIT), Next::Closed));
    });
}

#[test]
fn dropping_a_camera_that_hangs_returns_and_the_device_closes_later() {
    with_camera("dropping_a_camera_that_hangs_returns_and_the_device_closes_later", |camera| {
        ready(camera);
        let mut running = opened();
        running.next();
        camera.write("stalled", "");
        assert!(matches!(running.event(), CameraEvent::Stalled { .. }));
        let Running { camera: hanging, mut pictures, events } = running;
        while let Next::Frame(_) = pictures.wait(Duration::ZERO) {}
        let from = Instant::now();
        drop(hanging);
        assert!(from.elapsed() < Duration::from_secs(3), "the drop took {:?}", from.elapsed());
        assert!(camera.log().ends_with("stream-on /dev/video0\n"), "it did not hang: {}", camera.log());

        camera.remove("stalled");
        camera.wait_for_log("stream-off /dev/video0\nclose /dev/video0\n");
        assert!(matches!(pictures.wait(LIMIT), Next::Closed), "a picture after the drop");
        assert!(events.recv_timeout(LIMIT).is_err(), "an event after the drop");
    });
}

#[test]
fn cameras_are_listed_with_lasting_ids_and_formats() {
    with_camera("cameras_are_listed_with_lasting_ids_and_formats", |camera| {
        camera.offer("YUYV 640 360 30\nMJPG 1280 720 30\nYUYV 640 360 15");
        camera.plug_in(4);
        let listed = cameras();
        let [real, pattern] = &listed[..] else { panic!("{listed:?}") };
        assert_eq!((&*real.id, &*real.name), (ID, NAME));
        assert_eq!(pattern.name, "Test pattern");
        let formats: Vec<_> = real.formats.iter().map(CameraFormat::to_string).collect();
        assert_eq!(formats, ["1280x720@30 MJPEG", "640x360@30 YUYV", "640x360@15 YUYV"]);
        assert_eq!(real.formats[0].pixels, PixelFormat::Mjpeg);
        assert_eq!(real.spec(), CameraSpec::Device(ID.into()));
        assert!(!camera.log().contains("stream-on"), "listing started the camera");

        camera.write("busy", "open");
        assert_eq!(cameras().first().map(|camera| (&*camera.name == NAME, camera.formats.len())), Some((true, 0)));
    });
}

#[test]
fn opening_and_closing_leaves_no_thread_or_descriptor() {
    with_camera("opening_and_closing_leaves_no_thread_or_descriptor", |camera| {
        ready(camera);
        let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).expect("proc").count();
        opened().next();
        let before = (count("task"), count("fd"));
        for _ in 0..20 {
            opened().next();
        }
        assert_eq!((count("task"), count("fd")), before);
    });
}
