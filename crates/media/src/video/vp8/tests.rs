use std::time::{Duration, Instant};

use super::*;
use crate::{
    units::Bitrate,
    video::{EncodedFrame, I420Frame, pattern},
};

const SMALL: VideoFormat = VideoFormat { width: 320, height: 180, fps: 30 };
const KBPS_300: Bitrate = Bitrate::from_kbps(300);

/// A camera that shows the test pattern at exact times.
struct Camera {
    frame: I420Frame,
    interval: Duration,
    counter: u32,
}

impl Camera {
    fn new(format: VideoFormat) -> Self {
        let frame = I420Frame::black(format.width, format.height, Instant::now());
        Self { frame, interval: Duration::from_secs(1) / format.fps, counter: 0 }
    }

    fn next(&mut self) -> &I420Frame {
        self.counter += 1;
        self.frame.captured_at += self.interval;
        pattern::draw(&mut self.frame, u64::from(self.counter) * self.interval.as_millis() as u64, self.counter);
        &self.frame
    }

    /// The whole picture flickers with noise: more than any low rate can carry.
    fn next_noise(&mut self) -> &I420Frame {
        self.counter += 1;
        self.frame.captured_at += self.interval;
        let mut random = self.counter;
        for sample in self.frame.planes_mut().0 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = (random >> 24) as u8;
        }
        &self.frame
    }
}

fn encoder(format: VideoFormat, bitrate: Bitrate) -> Encoder {
    Encoder::new(format, bitrate).expect("encoder")
}

fn encode(encoder: &mut Encoder, frame: &I420Frame) -> Option<EncodedFrame> {
    encoder.encode(frame, false).expect("encodes")
}

/// Mean bit rate of `count` frames, in kbit/s.
fn measure(encoder: &mut Encoder, camera: &mut Camera, count: u32) -> f64 {
    let bytes: usize = (0..count).filter_map(|_| encode(encoder, camera.next())).map(|frame| frame.data.len()).sum();
    bytes as f64 * 8.0 / 1000.0 / (camera.interval * count).as_secs_f64()
}

fn assert_near(kbps: f64, target: f64) {
    assert!((0.8..=1.2).contains(&(kbps / target)), "{kbps:.0} kbit/s instead of {target}");
}

/// Mean absolute difference of the plane that differs most.
fn difference(a: &I420Frame, b: &I420Frame) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let mean =
        |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64;
    let ((y, u, v), (other_y, other_u, other_v)) = (a.planes(), b.planes());
    mean(y, other_y).max(mean(u, other_u)).max(mean(v, other_v))
}

#[test]
fn key_frames_come_first_and_on_request_only() {
    let (mut encoder, mut camera) = (encoder(SMALL, KBPS_300), Camera::new(SMALL));
    let mut keys = Vec::new();
    for index in 0..300 {
        // A cut to another scene is no reason for a key frame either.
        let frame = if index == 60 { camera.next_noise() } else { camera.next() };
        let encoded = encoder.encode(frame, [40, 41, 90].contains(&index)).expect("encodes");
        if let Some(encoded) = encoded {
            assert_eq!(is_key_frame(&encoded.data), encoded.key);
            if encoded.key {
                assert_eq!(frame_size(&encoded.data), Some((320, 180)));
                keys.push(index);
            }
        }
    }
    assert_eq!(keys, [0, 40, 41, 90]);
}

#[test]
fn frames_are_of_the_profile_that_costs_less() {
    let mut encoder = Encoder::new(VideoFormat { width: 64, height: 48, fps: 30 }, Bitrate::from_kbps(100)).unwrap();
    let frame = encoder.encode(&I420Frame::black(64, 48, Instant::now()), false).unwrap().expect("a key frame");
    // Three bits of version after the one that says what kind of frame it is (RFC 6386 section 9.1).
    assert_eq!(frame.data[0] >> 1 & 0b111, 1);
}

#[test]
fn what_is_no_frame_leaves_no_picture() {
    let mut encoder = Encoder::new(VideoFormat { width: 33, height: 17, fps: 30 }, Bitrate::from_kbps(100)).unwrap();
    let frame = encoder.encode(&I420Frame::black(33, 17, Instant::now()), false).unwrap().expect("a key frame");
    let mut decoder = Decoder::new().unwrap();
    assert!(decoder.picture().is_none());
    assert!(decoder.decode_in_place(&frame.data).unwrap());
    let picture = decoder.picture().expect("a picture");
    assert_eq!((picture.width, picture.height, picture.chroma_width(), picture.chroma_height()), (33, 17, 17, 9));
    assert!(decoder.decode_in_place(&[0; 4]).is_err());
    assert!(decoder.picture().is_none());
}

#[test]
fn a_forced_key_frame_is_never_dropped_though_others_are() {
    let (mut encoder, mut camera) = (encoder(SMALL, Bitrate::from_kbps(30)), Camera::new(SMALL));
    let mut dropped = 0;
    for index in 0..90 {
        let force = index % 10 == 9;
        let encoded = encoder.encode(camera.next_noise(), force).expect("encodes");
        dropped += u32::from(encoded.is_none());
        if force {
            assert!(encoded.is_some_and(|encoded| encoded.key), "frame {index} is no key frame");
        }
    }
    assert!(dropped > 0, "the rate should have been too low for every frame");
}

#[test]
fn bitrate_follows_a_change_within_a_second_without_a_key_frame() {
    let format = VideoFormat { width: 640, height: 360, fps: 30 };
    let (mut encoder, mut camera) = (encoder(format, Bitrate::from_kbps(800)), Camera::new(format));
    measure(&mut encoder, &mut camera, 30);
    assert_near(measure(&mut encoder, &mut camera, 60), 800.0);
    for kbps in [400, 1500] {
        encoder.set_bitrate(Bitrate::from_kbps(kbps)).expect("takes the rate");
        let keys = (0..30).filter_map(|_| encode(&mut encoder, camera.next())).filter(|frame| frame.key).count();
        assert_eq!(keys, 0, "key frames at {kbps} kbit/s");
        assert_near(measure(&mut encoder, &mut camera, 60), kbps as f64);
    }
}

#[test]
fn a_camera_slower_than_its_nominal_rate_still_gets_the_whole_bitrate() {
    let (mut encoder, mut camera) = (encoder(SMALL, KBPS_300), Camera::new(VideoFormat { fps: 15, ..SMALL }));
    measure(&mut encoder, &mut camera, 30);
    assert_near(measure(&mut encoder, &mut camera, 60), 300.0);
}

#[test]
fn bitrate_stays_what_it_was_changed_to_when_the_size_changes() {
    let (mut encoder, mut camera) = (encoder(SMALL, KBPS_300), Camera::new(SMALL));
    encode(&mut encoder, camera.next());
    encoder.set_bitrate(Bitrate::from_kbps(900)).expect("takes the rate");
    let mut camera = Camera::new(VideoFormat { width: 640, height: 360, fps: 30 });
    measure(&mut encoder, &mut camera, 30);
    assert_near(measure(&mut encoder, &mut camera, 60), 900.0);
}

#[test]
fn frames_of_any_size_come_out_of_the_decoder_as_they_went_in() {
    let sizes = [(320, 180), (33, 17), (17, 33), (16, 16), (1, 1), (2, 3), (641, 359), (320, 180), (640, 360)];
    let mut encoder = encoder(SMALL, Bitrate::from_kbps(2000));
    let mut decoder = Decoder::new().expect("decoder");
    for (width, height) in sizes {
        let mut camera = Camera::new(VideoFormat { width, height, fps: 30 });
        for index in 0..5 {
            let frame = camera.next();
            let encoded =
                encode(&mut encoder, frame).unwrap_or_else(|| panic!("{width}x{height} frame {index} dropped"));
            assert_eq!(encoded.key, index == 0, "{width}x{height} frame {index}");
            assert_eq!((encoded.width, encoded.height), (width, height));
            let decoded = decoder.decode(&encoded.data).expect("decodes").expect("a picture");
            let difference = difference(frame, &decoded);
            assert!(difference < 12.0, "{width}x{height} frame {index} differs by {difference}");
        }
    }
}

#[test]
fn sizes_without_use_are_refused() {
    for (width, height) in [(0, 16), (16, 0), (VideoFormat::MAX_SIDE + 1, 16)] {
        let format = VideoFormat { width, height, fps: 30 };
        assert_eq!(Encoder::new(format, KBPS_300).err(), Some(Vp8Error::Size { width, height }));
    }
    let (mut encoder, mut camera) = (encoder(SMALL, KBPS_300), Camera::new(SMALL));
    let empty = I420Frame::black(0, 0, Instant::now());
    assert_eq!(encoder.encode(&empty, false).err(), Some(Vp8Error::Size { width: 0, height: 0 }));
    assert!(encode(&mut encoder, camera.next()).is_some(), "the encoder should stay usable");
}

#[test]
fn frame_headers_are_read_as_rfc_6386_lays_them_out() {
    let key = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x00, 0x45, 0xd0, 0x82];
    assert_eq!(frame_size(&key), Some((0x500, 0x2d0)), "the upscaling bits belong to no side");
    assert!(is_key_frame(&key));
    assert_eq!(frame_size(&key[..9]), None);
    for (at, value) in [(0, 0x11), (3, 0x9c), (4, 0), (5, 0)] {
        let mut other = key;
        other[at] = value;
        assert_eq!(frame_size(&other), None, "byte {at} changed");
    }
    assert_eq!(frame_size(&[0x10, 2, 0, 0x9d, 1, 0x2a, 0, 0, 0x10, 0]), None, "no width");
    assert!(!is_key_frame(&[0x11]) && !is_key_frame(&[]));
}

#[test]
fn decoder_refuses_what_is_no_frame_and_goes_on() {
    let (mut encoder, mut camera) = (encoder(SMALL, KBPS_300), Camera::new(SMALL));
    let key = encode(&mut encoder, camera.next()).expect("key frame").data;
    let delta = encode(&mut encoder, camera.next()).expect("frame").data;
    let mut decoder = Decoder::new().expect("decoder");
    assert!(decoder.decode(&delta).is_err(), "a frame before the first key frame");

    let mut huge = key.to_vec();
    huge[6..10].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    assert_eq!(decoder.decode(&huge).err(), Some(Vp8Error::Size { width: 16_383, height: 16_383 }));
    for garbage in [&[][..], &[0], &[0; 100], &[0xff; 100], &key[..9], &key[..12]] {
        assert!(decoder.decode(garbage).is_err(), "{} bytes of garbage were a frame", garbage.len());
    }
    for cut in (0..key.len()).step_by(97) {
        // Whether a cut frame still gives some picture is libvpx's to say; it must only stay in its bounds.
        let _ = decoder.decode(&key[..cut]);
        let _ = decoder.decode(&delta[..cut.min(delta.len())]);
    }
    assert!(decoder.decode(&key).expect("a good key frame decodes").is_some());
    assert!(decoder.decode(&delta).expect("and the frame after it").is_some());
}
