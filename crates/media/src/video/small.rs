//! The same pictures once more, small: for who sends them to see.
//!
//! Showing the very pictures that are sent would have a page decode and paint twice what it must. Measured in a window
//! without a graphics card, 1280x720@30: a second decoder takes 0.11 of a core; this encoding and its decoding take 0.03.

use multiversion::multiversion;

use super::{
    EncodedFrame, I420Frame, I420View,
    vp8::{Encoder, Vp8Error},
};
use crate::units::{Bitrate, VideoFormat};

/// What a small picture is wide at most, in pixels.
const MAX_WIDTH: u32 = 320;
/// Pictures a second that are enough to see oneself by: of a camera that gives more than that and a third, every second one is
/// left out.
const FPS: u32 = 15;
/// More than any talking head of that width needs.
const BITRATE: Bitrate = Bitrate::from_kbps(300);

/// The most by which a side is divided: sums of so many pixels fit 16 bits.
pub(super) const FACTOR_MAX: u32 = 256;

/// Shrinks pictures by a whole number, to 320 pixels in a row or less, and encodes them.
#[derive(Default)]
pub struct SmallEncoder {
    encoder: Option<Encoder>,
    picture: Option<I420Frame>,
    sums: Vec<u16>,
    /// The last picture was encoded.
    shown: bool,
}

impl SmallEncoder {
    /// Encodes a picture of a camera of about `fps` pictures a second; none where rate control leaves it out, or there are enough
    /// without it. The first is a key frame.
    ///
    /// # Errors
    /// The encoder cannot be made or does not take the picture.
    pub fn encode(&mut self, frame: &I420Frame, fps: u32, key: bool) -> Result<Option<EncodedFrame>, Vp8Error> {
        let halved = fps * 3 > FPS * 4;
        self.shown = !(halved && self.shown) || key;
        if !self.shown {
            return Ok(None);
        }
        let fps = if halved { fps / 2 } else { fps };
        let factor = frame.width().div_ceil(MAX_WIDTH).max(1);
        let picture = self.picture.get_or_insert_with(|| I420Frame::black(1, 1, frame.captured_at));
        shrink(frame.view(), picture, factor, &mut self.sums);
        picture.captured_at = frame.captured_at;
        let (width, height) = (picture.width(), picture.height());
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::new(VideoFormat { width, height, fps }, BITRATE)?),
        };
        encoder.encode(picture, key)
    }
}

/// Makes `to` the same picture with each side divided by `factor`, from 1 to [`FACTOR_MAX`].
pub(super) fn shrink(from: I420View<'_>, to: &mut I420Frame, factor: u32, sums: &mut Vec<u16>) {
    to.resize(from.width / factor, from.height / factor);
    let wide = [from.width as usize, from.chroma_width(), from.chroma_width()];
    let [luma_stride, chroma_stride] = from.strides;
    let small = [to.width() as usize, to.chroma_width(), to.chroma_width()];
    let (y, u, v) = to.planes_mut();
    let strides = [luma_stride, chroma_stride, chroma_stride];
    let sources = from.planes.into_iter().zip(strides).zip(wide);
    for (((from, stride), wide), (to, to_width)) in sources.zip([y, u, v].into_iter().zip(small)) {
        shrink_plane(from, stride, wide, to, to_width, factor as usize, sums);
    }
}

/// Each pixel of `to` is the mean of `factor` x `factor` pixels of `from`, of as many as there are at its edges.
#[multiversion(targets("x86_64+avx2"))]
fn shrink_plane(
    from: &[u8],
    stride: usize,
    from_width: usize,
    to: &mut [u8],
    to_width: usize,
    factor: usize,
    sums: &mut Vec<u16>,
) {
    if from_width == 0 || to_width == 0 || stride < from_width {
        return;
    }
    let mut rows = from.chunks(stride).filter_map(|row| row.get(..from_width));
    for to in to.chunks_exact_mut(to_width) {
        // Rows first: that is what the compiler makes vector code of. Loops, not closures, see `screen::Line`.
        sums.clear();
        sums.resize(from_width, 0);
        let mut count = 0;
        for row in rows.by_ref().take(factor) {
            for (sum, &pixel) in sums.iter_mut().zip(row) {
                *sum += u16::from(pixel);
            }
            count += 1;
        }
        for (to, sums) in to.iter_mut().zip(sums.chunks(factor)) {
            let (mut sum, count) = (0, count * sums.len() as u32);
            for &part in sums {
                sum += u32::from(part);
            }
            // None is left of a picture of an odd height: the row above stands for it.
            if let Some(mean) = (sum + count / 2).checked_div(count) {
                *to = mean as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::video::{pattern, vp8::Decoder};

    #[test]
    fn the_small_picture_shows_the_same() {
        for (width, height, small) in
            [(1280, 720, (320, 180)), (640, 360, (320, 180)), (320, 180, (320, 180)), (1366, 767, (273, 153))]
        {
            let (mut encoder, mut decoder) = (SmallEncoder::default(), Decoder::new().unwrap());
            let mut frame = I420Frame::black(width, height, Instant::now());
            pattern::draw(&mut frame, 123_456, 77);
            let encoded = encoder.encode(&frame, 30, false).unwrap().unwrap();
            assert!(encoded.key, "the first");
            assert_eq!((encoded.width, encoded.height), small);
            let shown = decoder.decode(&encoded.data).unwrap().unwrap();
            assert_eq!(pattern::read_cells(&shown).expect("cells").counter, 77, "{width}x{height}");
        }
    }

    #[test]
    fn pixels_are_means() {
        let mut sums = Vec::new();
        let mut to = [0; 4];
        let from = [0, 10, 20, 30, 9, 4, 2, 2, 4, 9, 100, 100, 0, 255, 9, 100, 100, 255, 0];
        shrink_plane(&from, 5, 4, &mut to, 2, 2, &mut sums);
        assert_eq!(to, [4, 14, 100, 128]);
    }

    #[test]
    fn fifteen_pictures_a_second_are_enough() {
        let encoded = |fps: u32| {
            let mut encoder = SmallEncoder::default();
            let frame = I420Frame::black(64, 64, Instant::now());
            (0..fps).filter(|_| encoder.encode(&frame, fps, false).unwrap().is_some()).count()
        };
        assert_eq!([30, 20, 15, 5].map(encoded), [15, 20, 15, 5]);
    }

    #[test]
    fn another_camera_may_have_another_size() {
        let mut encoder = SmallEncoder::default();
        for (width, height) in [(1280, 720), (1, 1), (160, 120), (7, 3)] {
            let frame = I420Frame::black(width, height, Instant::now());
            encoder.encode(&frame, 15, false).unwrap();
        }
    }
}
