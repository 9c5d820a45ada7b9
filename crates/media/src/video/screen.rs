//! Planes to the pixels of a screen: fitted into a box, and as blue, green, red.
//!
//! For windows whose pictures the CPU paints: there a picture that has to be scaled anew, or converted twice, costs as much
//! as its decoding.

use std::time::Instant;

use multiversion::multiversion;

use super::{
    I420Frame, I420View,
    small::{FACTOR_MAX, shrink},
};

/// Bytes of a pixel: blue, green, red and one that means nothing. A 32 bit word of a little-endian machine is 0x00RRGGBB.
pub const PIXEL: usize = 4;
/// Between two samples there are so many steps.
const STEPS: u16 = 256;
/// The most samples of a row: more than VP8 has (14 bits, RFC 6386 section 9.1). Of a wider picture the rest is not shown.
const LINE: usize = 1 << 14;

/// How a picture goes into a box of another shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// The whole picture, with room beside it.
    #[default]
    Contain,
    /// The whole box, with the picture's edges cut off.
    Cover,
}

/// Pixels of a picture that is to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// The part of a picture that is shown, in its own pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
}

impl Fit {
    /// The size that a `width` x `height` picture has in the box `size`, at least one pixel; and which part of it is seen.
    fn place(self, width: u32, height: u32, size: Size) -> (Size, Part) {
        let (wide, high) = (width as f32, height as f32);
        let (across, down) = (size.width as f32 / wide.max(1.0), size.height as f32 / high.max(1.0));
        match self {
            Self::Contain => {
                let scale = across.min(down);
                let side = |length: f32| (length * scale).round().max(1.0) as u32;
                let part = Part { left: 0.0, top: 0.0, width: wide, height: high };
                (Size { width: side(wide), height: side(high) }, part)
            }
            Self::Cover => {
                let scale = across.max(down).max(f32::MIN_POSITIVE);
                let (width, height) = (size.width as f32 / scale, size.height as f32 / scale);
                let part = Part { left: (wide - width) / 2.0, top: (high - height) / 2.0, width, height };
                (Size { width: size.width.max(1), height: size.height.max(1) }, part)
            }
        }
    }
}

/// Scales and converts pictures; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct ScreenConverter {
    /// The picture shrunk by a whole number, where much of it is left out.
    shrunk: Option<I420Frame>,
    sums: Vec<u16>,
    luma: Axis,
    chroma: Axis,
    line: Line,
    rows: [Vec<u8>; 3],
    colours: Colours,
}

impl ScreenConverter {
    /// Writes `frame` (BT.601, limited range) into `pixels` as it is seen in the box `size`: row by row without padding, [`PIXEL`]
    /// bytes each. Gives the size that it has there. An empty picture or box leaves nothing.
    pub fn convert(&mut self, frame: I420View<'_>, size: Size, fit: Fit, mirrored: bool, pixels: &mut Vec<u8>) -> Size {
        if frame.width == 0 || frame.height == 0 || size.width == 0 || size.height == 0 {
            pixels.clear();
            return Size::default();
        }
        let (shown, part) = fit.place(frame.width, frame.height, size);
        let factor = (part.width / shown.width as f32).min(part.height / shown.height as f32) as u32;
        let factor = factor.min(FACTOR_MAX);
        if factor < 2 {
            self.resample(frame, part, shown, mirrored, pixels);
            return shown;
        }
        // Between two samples is not enough where several are left out.
        let mut shrunk = self.shrunk.take().unwrap_or_else(|| I420Frame::black(0, 0, Instant::now()));
        shrink(frame, &mut shrunk, factor, &mut self.sums);
        let scale = factor as f32;
        let part = Part {
            left: part.left / scale,
            top: part.top / scale,
            width: part.width / scale,
            height: part.height / scale,
        };
        self.resample(shrunk.view(), part, shown, mirrored, pixels);
        self.shrunk = Some(shrunk);
        shown
    }

    fn resample(&mut self, frame: I420View<'_>, part: Part, shown: Size, mirrored: bool, pixels: &mut Vec<u8>) {
        let (width, height) = (shown.width as usize, shown.height as usize);
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        let wide = [frame.width as usize, frame.chroma_width()];
        self.luma.fill(part.left, part.width, wide[0], width);
        self.chroma.fill(part.left / 2.0, part.width / 2.0, wide[1], chroma_width);
        let down = steps(part.top, part.height, frame.height as usize, height);
        let chroma_down = steps(part.top / 2.0, part.height / 2.0, frame.chroma_height(), chroma_height);
        // Not cleared first: each of them is written, and there are megabytes of them.
        pixels.resize(width * height * PIXEL, 0);
        let [luma_row, u_row, v_row] = &mut self.rows;
        luma_row.resize(width, 0);
        u_row.resize(chroma_width, 0);
        v_row.resize(chroma_width, 0);
        for (row, (out, step)) in pixels.chunks_exact_mut(width * PIXEL).zip(&down).enumerate() {
            write_row(self, frame, wide, *step, chroma_down.get(row / 2).copied().filter(|_| row % 2 == 0), out);
            if mirrored {
                out.as_chunks_mut::<PIXEL>().0.reverse();
            }
        }
    }
}

/// Makes a row of pixels between two rows of the picture, and before it, for each second one, its chroma. Compiled twice, since with
/// AVX2 it takes a fifth less.
#[multiversion(targets("x86_64+avx2"))]
fn write_row(
    converter: &mut ScreenConverter,
    frame: I420View<'_>,
    wide: [usize; 2],
    down: Step,
    chroma_down: Option<Step>,
    out: &mut [u8],
) {
    let ([y, u, v], [luma_stride, chroma_stride]) = (frame.planes, frame.strides);
    let ScreenConverter { line, luma, chroma, colours, rows: [luma_row, u_row, v_row], .. } = converter;
    line.mix_rows(y, luma_stride, wide[0], down);
    luma.sample(line, luma_row);
    if let Some(step) = chroma_down {
        for (plane, samples) in [(u, &mut *u_row), (v, &mut *v_row)] {
            line.mix_rows(plane, chroma_stride, wide[1], step);
            chroma.sample(line, samples);
        }
        colours.set(u_row, v_row);
    }
    colours.write(luma_row, out);
}

/// Where a sample is taken: after the source's sample `at`, so many of [`STEPS`] towards the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    at: usize,
    weight: u16,
}

/// `count` samples evenly over the part of `source` samples that begins at `from` and is `length` long.
fn steps(from: f32, length: f32, source: usize, count: usize) -> Vec<Step> {
    let last = source.saturating_sub(1) as f32;
    let step = |index: usize| {
        let place = (from + (index as f32 + 0.5) * length / count as f32 - 0.5).clamp(0.0, last);
        let weight = (place.fract() * f32::from(STEPS)).round() as u16;
        Step { at: place as usize, weight }
    };
    (0..count).map(step).collect()
}

/// One row of the source, between two of its rows: each sample in the lower byte, the one after it in the upper. With pairs of a fixed
/// number that is a power of two, a sample is found without a look at the row's length: in a third of the time (1280 samples to
/// 1080, measured).
#[derive(Debug)]
struct Line {
    pairs: Box<[u16; LINE]>,
    mixed: Vec<u8>,
}

impl Default for Line {
    fn default() -> Self {
        Self { pairs: Box::new([0; LINE]), mixed: Vec::new() }
    }
}

impl Line {
    #[inline(always)]
    fn mix_rows(&mut self, plane: &[u8], stride: usize, width: usize, down: Step) {
        let row = |index: usize| plane.get(index * stride..index * stride + width);
        let Some(above) = row(down.at) else { return };
        let below = row(down.at + 1).unwrap_or(above);
        // Loops, not adaptors with closures: those are not compiled into a function of more CPU features than theirs.
        self.mixed.resize(width + 1, 0);
        for ((mixed, &a), &b) in self.mixed.iter_mut().zip(above).zip(below) {
            *mixed = mix(a, b, down.weight);
        }
        // The last sample is followed by itself.
        if let [.., before, last] = &mut *self.mixed {
            *last = *before;
        }
        let next = self.mixed.get(1..).unwrap_or_default();
        for ((pair, &sample), &next) in self.pairs.iter_mut().zip(&self.mixed).zip(next) {
            *pair = u16::from_le_bytes([sample, next]);
        }
    }
}

/// Where the samples of a row are taken.
#[derive(Debug, Default)]
struct Axis {
    at: Vec<u16>,
    weights: Vec<u16>,
    pairs: Vec<u16>,
}

impl Axis {
    fn fill(&mut self, from: f32, length: f32, source: usize, count: usize) {
        let steps = steps(from, length, source.min(LINE), count);
        self.at = steps.iter().map(|step| step.at as u16).collect();
        self.weights = steps.iter().map(|step| step.weight).collect();
        self.pairs = vec![0; count];
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "within a power of two, and without a check for that reason")]
    fn sample(&mut self, line: &Line, out: &mut [u8]) {
        for (pair, &at) in self.pairs.iter_mut().zip(&self.at) {
            *pair = line.pairs[usize::from(at) % LINE];
        }
        for ((out, pair), &weight) in out.iter_mut().zip(&self.pairs).zip(&self.weights) {
            let [a, b] = pair.to_le_bytes();
            *out = mix(a, b, weight);
        }
    }
}

/// `a` and `b`, the latter by `weight` of [`STEPS`]. The largest sum is 255 * 256 + 128, which 16 bits hold.
#[inline(always)]
fn mix(a: u8, b: u8, weight: u16) -> u8 {
    ((u16::from(a) * (STEPS - weight) + u16::from(b) * weight + STEPS / 2) / STEPS) as u8
}

/// What a row's chroma adds to the blue, green and red of its pixels, in 1/64: from limited range BT.601, so that each sum fits 16
/// bits. 255/219, 1.596, 0.392, 0.813, 2.017 (ITU-R BT.601-7, 2.5, with the ranges of 2.5.3).
#[derive(Debug, Default)]
struct Colours {
    blue: Vec<i16>,
    green: Vec<i16>,
    red: Vec<i16>,
}

impl Colours {
    /// Chroma of two pixels each.
    #[inline(always)]
    fn set(&mut self, u: &[u8], v: &[u8]) {
        for colour in [&mut self.blue, &mut self.green, &mut self.red] {
            colour.resize(2 * u.len(), 0);
        }
        let blue = self.blue.as_chunks_mut().0.iter_mut();
        let (green, red) = (self.green.as_chunks_mut().0, self.red.as_chunks_mut().0);
        for ((((blue, green), red), &u), &v) in blue.zip(green).zip(red).zip(u).zip(v) {
            let (u, v) = (i16::from(u) - 128, i16::from(v) - 128);
            *blue = [129 * u; 2];
            *green = [-(25 * u + 52 * v); 2];
            *red = [102 * v; 2];
        }
    }

    #[inline(always)]
    fn write(&self, luma: &[u8], out: &mut [u8]) {
        let out = out.as_chunks_mut::<PIXEL>().0.iter_mut();
        for ((((out, &y), &blue), &green), &red) in out.zip(luma).zip(&self.blue).zip(&self.green).zip(&self.red) {
            let y = i16::from(y) - 16;
            // And a half, to round.
            let y = 74 * y + (y >> 1) + 32;
            let level = |colour: i16| (y.saturating_add(colour) >> 6).clamp(0, 255) as u32;
            *out = (level(blue) | level(green) << 8 | level(red) << 16).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::pattern;

    fn frame(width: u32, height: u32, y: u8, u: u8, v: u8) -> I420Frame {
        let mut frame = I420Frame::black(width, height, Instant::now());
        let planes = frame.planes_mut();
        planes.0.fill(y);
        planes.1.fill(u);
        planes.2.fill(v);
        frame
    }

    fn shown(frame: &I420Frame, width: u32, height: u32, fit: Fit, mirrored: bool) -> (Size, Vec<[u8; 4]>) {
        let mut pixels = vec![7; 3];
        let size = ScreenConverter::default().convert(frame.view(), Size { width, height }, fit, mirrored, &mut pixels);
        assert_eq!(pixels.len(), size.width as usize * size.height as usize * PIXEL);
        (size, pixels.as_chunks().0.to_vec())
    }

    #[test]
    fn colours_are_those_of_the_standard() {
        // Y, U, V of BT.601's colour bars, and what they are in blue, green, red.
        for ([y, u, v], bgr) in [
            ([16, 128, 128], [0, 0, 0]),
            ([235, 128, 128], [255, 255, 255]),
            ([126, 128, 128], [128, 128, 128]),
            ([81, 90, 240], [0, 0, 255]),
            ([145, 54, 34], [0, 255, 0]),
            ([41, 240, 110], [255, 0, 0]),
            ([0, 0, 0], [0, 135, 0]),
            ([255, 255, 255], [255, 125, 255]),
        ] {
            let (_, pixels) = shown(&frame(3, 3, y, u, v), 3, 3, Fit::Contain, false);
            for pixel in &pixels {
                let far = pixel.iter().zip(&bgr).map(|(&got, &want): (&u8, &u8)| got.abs_diff(want)).max();
                assert!(far <= Some(3), "{y} {u} {v}: {pixel:?}, not {bgr:?}");
            }
        }
    }

    #[test]
    fn a_picture_is_shown_whole_or_cut_to_the_box() {
        for ((width, height), (wide, high), fit, size) in [
            ((1280, 720), (1080, 720), Fit::Contain, (1080, 608)),
            ((1280, 720), (1080, 720), Fit::Cover, (1080, 720)),
            ((720, 1280), (1080, 720), Fit::Contain, (405, 720)),
            ((64, 48), (64, 48), Fit::Contain, (64, 48)),
            ((64, 48), (1, 1), Fit::Contain, (1, 1)),
            ((1, 1), (30, 20), Fit::Contain, (20, 20)),
            ((7, 5), (224, 126), Fit::Cover, (224, 126)),
            ((4000, 2), (100, 100), Fit::Contain, (100, 1)),
        ] {
            let (got, _) = shown(&frame(width, height, 100, 128, 128), wide, high, fit, false);
            assert_eq!((got.width, got.height), size, "{width}x{height} in {wide}x{high}, {fit:?}");
        }
        for (width, height) in [(0, 5), (5, 0)] {
            assert_eq!(shown(&frame(8, 8, 0, 0, 0), width, height, Fit::Cover, false).0, Size::default());
            assert_eq!(shown(&frame(width, height, 0, 0, 0), 8, 8, Fit::Cover, false).0, Size::default());
        }
    }

    #[test]
    fn the_pattern_can_be_read_at_any_size() {
        let mut picture = I420Frame::black(1280, 720, Instant::now());
        pattern::draw(&mut picture, 123_456, 77);
        for (width, height) in [(1280, 720), (1080, 720), (853, 481), (640, 360), (300, 200), (1920, 1080)] {
            let (size, pixels) = shown(&picture, width, height, Fit::Contain, false);
            let mut read = I420Frame::black(size.width, size.height, Instant::now());
            for (y, pixel) in read.planes_mut().0.iter_mut().zip(&pixels) {
                *y = 16 + (u32::from(pixel[1]) * 219 / 255) as u8;
            }
            let cells = pattern::read_cells(&read).unwrap_or_else(|| panic!("no cells at {width}x{height}"));
            assert_eq!(cells.counter, 77, "{width}x{height}");
        }
    }

    #[test]
    fn padding_between_rows_is_not_shown() {
        let mut picture = I420Frame::black(320, 180, Instant::now());
        pattern::draw(&mut picture, 123_456, 77);
        let padded = |plane: &[u8], width: usize| {
            plane.chunks_exact(width).flat_map(|row| row.iter().copied().chain([255; 7])).collect::<Vec<_>>()
        };
        let (y, u, v) = picture.planes();
        let planes = [padded(y, 320), padded(u, 160), padded(v, 160)];
        let view = I420View { planes: planes.each_ref().map(Vec::as_slice), strides: [327, 167], ..picture.view() };
        for (width, height) in [(300, 170), (100, 60)] {
            let (mut of_view, mut of_frame) = (Vec::new(), Vec::new());
            let size = Size { width, height };
            ScreenConverter::default().convert(view, size, Fit::Contain, false, &mut of_view);
            ScreenConverter::default().convert(picture.view(), size, Fit::Contain, false, &mut of_frame);
            assert_eq!(of_view, of_frame, "{width}x{height}");
        }
    }

    #[test]
    fn a_bright_picture_fits_the_smallest_hole() {
        let (size, pixels) = shown(&frame(1280, 720, 235, 128, 128), 2, 1, Fit::Contain, false);
        assert_eq!(size, Size { width: 2, height: 1 });
        assert!(pixels.iter().all(|pixel| pixel[..3] == [255; 3]), "{pixels:?}");
    }

    #[test]
    fn the_middle_is_what_stays_of_a_picture_that_is_cut() {
        let mut picture = frame(12, 4, 235, 128, 128);
        for row in picture.planes_mut().0.chunks_exact_mut(12) {
            row[..4].fill(16);
            row[8..].fill(16);
        }
        let (_, pixels) = shown(&picture, 4, 4, Fit::Cover, false);
        assert!(pixels.iter().all(|&pixel| pixel == [255, 255, 255, 0]), "{pixels:?}");
    }

    #[test]
    fn a_mirror_turns_left_and_right() {
        let mut picture = frame(2, 2, 16, 128, 128);
        picture.planes_mut().0.copy_from_slice(&[16, 235, 16, 235]);
        let dark_first = |mirrored| shown(&picture, 2, 2, Fit::Contain, mirrored).1[0][0] < 50;
        assert!(dark_first(false) && !dark_first(true));
    }
}
