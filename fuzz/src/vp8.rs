//! VP8 frames as they come from a peer: what their header states, and decoding.

use std::time::{Duration, Instant};

use ahoy_media::{
    units::{Bitrate, VideoFormat},
    video::{
        I420Frame,
        vp8::{Decoder, Encoder, frame_size, is_key_frame},
    },
};

const FORMAT: VideoFormat = VideoFormat { width: 64, height: 48, fps: 30 };
/// Larger pictures are refused or decoded by the same code, only slower.
const SIDE_MAX: u32 = 256;

pub(crate) fn header(data: &[u8]) {
    if let Some((width, height)) = frame_size(data) {
        assert!(is_key_frame(data), "only key frames state a size");
        assert!((1..1 << 14).contains(&width) && (1..1 << 14).contains(&height), "{width}x{height}");
    }
}

/// Frames one after the other in one decoder, each behind its length in two bytes.
pub(crate) fn decode(mut data: &[u8]) {
    let mut decoder = Decoder::new().expect("decoder");
    while let Some((len, rest)) = data.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes(*len)).min(rest.len());
        let (frame, rest) = rest.split_at(len);
        data = rest;
        if frame_size(frame).is_some_and(|(width, height)| width > SIDE_MAX || height > SIDE_MAX) {
            continue;
        }
        if let Ok(Some(picture)) = decoder.decode(frame) {
            let (y, u, v) = picture.planes();
            assert_eq!(y.len(), (picture.width() * picture.height()) as usize);
            assert_eq!((u.len(), v.len()), (picture.chroma_width() * picture.chroma_height(), u.len()));
        }
    }
}

/// A key frame and some that build on it.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(FORMAT, Bitrate::from_kbps(300)).expect("encoder");
    let mut picture = I420Frame::black(FORMAT.width, FORMAT.height, Instant::now());
    let mut frame = |index: usize| {
        picture.captured_at += Duration::from_millis(33);
        let (y, u, v) = picture.planes_mut();
        for (at, sample) in y.iter_mut().chain(u).chain(v).enumerate() {
            *sample = ((at + index) * (at / 64 + 7)) as u8;
        }
        Some(encoder.encode(&picture, index == 3).expect("encodes")?.data.to_vec())
    };
    (0..5).filter_map(&mut frame).collect()
}

pub(crate) fn streams() -> Vec<Vec<u8>> {
    let prefixed = |frame: &Vec<u8>| [&(frame.len() as u16).to_be_bytes()[..], frame].concat();
    let frames: Vec<_> = frames().iter().map(prefixed).collect();
    vec![frames.concat(), frames[..2].concat(), frames[0].clone()]
}
