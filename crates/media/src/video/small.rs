//! The same pictures once more, small: for who sends them to see.
//!
//! Showing the very pictures that are sent would have a page decode and paint twice what it must. Measured in
//! a window without a graphics card, 1280x720@30: a second decoder takes 0.11 of a core; this encoding and
//! its decoding take 0.03. Where the program itself paints, they need not be encoded at all.

use multiversion::multiversion;

use super::{
    EncodedFrame, I420Frame, I420View,
    vp8::{Encoder, Vp8Error},
};
use crate::units::{Bitrate, VideoFormat};

/// What a small picture is wide at most, in pixels.
const MAX_WIDTH: u32 = 320;
/// Pictures a second that are enough to see oneself by: of a camera that gives more than that and a third,
/// every second one is left out.
const FPS: u32 = 15;
/// More than any talking head of that width needs.
const BITRATE: Bitrate = Bitrate::from_kbps(300);

/// The most by which a side is divided: sums of so many pixels fit 16 bits.
pub(super) const FACTOR_MAX: u32 = 256;

/// Shrinks pictures of one camera by a whole number, to 320 pixels in a row or less, and encodes them where
/// that is asked for.
pub struct SmallPictures {
    /// Pictures a second of the camera.
    fps: u32,
    /// The last picture was left out.
    left_out: bool,
    sums: Vec<u16>,
    encoder: Option<Encoder>,
}

impl SmallPictures {
    /// Of a camera of about `fps` pictures a second.
    pub fn new(fps: u32) -> Self {
        Self { fps, left_out: true, sums: Vec::new(), encoder: None }
    }

    /// A picture, small; none where there are enough without it.
    pub fn shrink(&mut self, frame: &I420Frame) -> Option<I420Frame> {
        self.left_out = self.halved() && !self.left_out;
        if self.left_out {
            return None;
        }
        let factor = frame.width().div_ceil(MAX_WIDTH).max(1);
        let mut picture = I420Frame::black(0, 0, frame.captured_at);
        shrink(frame.view(), &mut picture, factor, &mut self.sums);
        Some(picture)
    }

    /// Encodes what [`Self::shrink`] gave; none where rate control leaves it out. The first is a key frame.
    ///
    /// # Errors
    /// The encoder cannot be made or does not take the picture.
    pub fn encode(&mut self, picture: &I420Frame, key: bool) -> Result<Option<EncodedFrame>, Vp8Error> {
        let fps = if self.halved() { self.fps / 2 } else { self.fps };
        let format = VideoFormat { width: picture.width(), height: picture.height(), fps };
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::new(format, BITRATE)?),
        };
        encoder.encode(picture, key)
    }

    fn halved(&self) -> bool {
        self.fps * 3 > FPS * 4
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

/// Each pixel of `to` is the mean of `factor` x `factor` pixels of `from`, of as many as there are at its
/// edges.
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
        // Rows first: that is what the compiler makes vector code of. Loops, not closures, see
        // `screen::Columns`.
        sums.clear();
        sums.resize(from_width, 0);
        let mut count = 0;
        for row in rows.by_ref().take(factor) {
            for (sum, &pixel) in sums.iter_mut().zip(row) {
                *sum += u16::from(pixel);
            }
            count += 1;
        }
        match (factor, count) {
            (2, 2) => means::<2>(sums, to),
            (3, 3) => means::<3>(sums, to),
            // 1280 x 720.
            (4, 4) => means::<4>(sums, to),
            _ => any_means(sums, factor, count, to),
        }
    }
}

/// Means of so many sums of as many pixels. A number that is known makes this vector code.
#[inline(always)]
fn means<const FACTOR: usize>(sums: &[u16], to: &mut [u8]) {
    let (whole, rest) = sums.as_chunks::<FACTOR>();
    let square = (FACTOR * FACTOR) as u16;
    for (to, sums) in to.iter_mut().zip(whole) {
        let mut sum = square / 2;
        for &part in sums {
            sum += part;
        }
        *to = (sum / square) as u8;
    }
    any_means(rest, FACTOR, FACTOR as u32, to.get_mut(whole.len()..).unwrap_or_default());
}

/// Means of `factor` sums of `count` pixels, or of as many as there are.
#[inline(always)]
fn any_means(sums: &[u16], factor: usize, count: u32, to: &mut [u8]) {
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
            let (mut pictures, mut decoder) = (SmallPictures::new(30), Decoder::new().unwrap());
            let mut frame = I420Frame::black(width, height, Instant::now());
            pattern::draw(&mut frame, 123_456, 77);
            let picture = pictures.shrink(&frame).expect("the first");
            assert_eq!(pattern::read_cells(&picture).expect("cells").counter, 77, "{width}x{height}");
            let encoded = pictures.encode(&picture, false).unwrap().unwrap();
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
        // Whole squares, and what is left of one at the edge.
        for factor in 2..=5 {
            let (wide, to_wide) = (3 * factor + 1, 4);
            let from: Vec<u8> = (0..wide * factor).map(|index| (index * 7 % 256) as u8).collect();
            let mut to = vec![0; to_wide];
            shrink_plane(&from, wide, wide, &mut to, to_wide, factor, &mut sums);
            for (square, &mean) in to.iter().enumerate() {
                let columns = square * factor..((square + 1) * factor).min(wide);
                let pixels = (0..factor).flat_map(|row| columns.clone().map(move |column| row * wide + column));
                let pixels: Vec<f32> = pixels.map(|index| f32::from(from[index])).collect();
                let expected = pixels.iter().sum::<f32>() / pixels.len() as f32;
                assert!((f32::from(mean) - expected).abs() <= 0.5, "{factor}, {square}: {mean}, not {expected}");
            }
        }
    }

    #[test]
    fn fifteen_pictures_a_second_are_enough() {
        let shown = |fps: u32| {
            let mut pictures = SmallPictures::new(fps);
            let frame = I420Frame::black(64, 64, Instant::now());
            (0..fps).filter(|_| pictures.shrink(&frame).is_some()).count()
        };
        assert_eq!([30, 20, 15, 5].map(shown), [15, 20, 15, 5]);
    }

    #[test]
    fn another_camera_may_have_another_size() {
        let mut pictures = SmallPictures::new(15);
        for (width, height) in [(1280, 720), (1, 1), (160, 120), (7, 3)] {
            let frame = I420Frame::black(width, height, Instant::now());
            let picture = pictures.shrink(&frame).unwrap();
            pictures.encode(&picture, false).unwrap();
        }
    }
}
