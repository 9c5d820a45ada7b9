//! The same pictures once more, small: for who sends them to see.
//!
//! Showing the very pictures that are sent would have a page decode and paint twice what it must. Measured in a window
//! without a graphics card, 1280x720@30: a second decoder takes 0.11 of a core; this encoding and its decoding take 0.03.

use super::{
    EncodedFrame, I420Frame,
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
        shrink(frame, picture, factor, &mut self.sums);
        let (width, height) = (picture.width(), picture.height());
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::new(VideoFormat { width, height, fps }, BITRATE)?),
        };
        encoder.encode(picture, key)
    }
}

/// Makes `to` the same picture with each side divided by `factor`, 1 or more.
pub(super) fn shrink(frame: &I420Frame, to: &mut I420Frame, factor: u32, sums: &mut Vec<u16>) {
    to.resize(frame.width() / factor, frame.height() / factor);
    to.captured_at = frame.captured_at;
    let (source, wide) = (frame.planes(), [frame.width() as usize, frame.chroma_width()]);
    let small = [to.width() as usize, to.chroma_width()];
    let (y, u, v) = to.planes_mut();
    for (from, from_width, to, to_width) in
        [(source.0, wide[0], y, small[0]), (source.1, wide[1], u, small[1]), (source.2, wide[1], v, small[1])]
    {
        shrink_plane(from, from_width, to, to_width, factor as usize, sums);
    }
}

/// Each pixel of `to` is the mean of `factor` x `factor` pixels of `from`, of as many as there are at its edges.
fn shrink_plane(from: &[u8], from_width: usize, to: &mut [u8], to_width: usize, factor: usize, sums: &mut Vec<u16>) {
    if from_width == 0 || to_width == 0 {
        return;
    }
    let mut rows = from.chunks_exact(from_width);
    for to in to.chunks_exact_mut(to_width) {
        // Rows first: that is what the compiler makes vector code of.
        sums.clear();
        sums.resize(from_width, 0);
        let mut count = 0;
        for row in rows.by_ref().take(factor) {
            sums.iter_mut().zip(row).for_each(|(sum, &pixel)| *sum += u16::from(pixel));
            count += 1;
        }
        for (to, sums) in to.iter_mut().zip(sums.chunks(factor)) {
            let (sum, count) = (sums.iter().map(|&sum| u32::from(sum)).sum::<u32>(), count * sums.len() as u32);
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
        shrink_plane(&[0, 10, 20, 30, 4, 2, 2, 4, 100, 100, 0, 255, 100, 100, 255, 0], 4, &mut to, 2, 2, &mut sums);
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
