//! Planes to the pixels of a screen: fitted into a box, and as blue, green, red.
//!
//! For windows whose pictures the CPU paints: there a picture that has to be scaled anew, or converted twice,
//! costs as much as its decoding.

use std::time::Instant;

use multiversion::multiversion;

use super::{
    I420Frame, I420View,
    small::{FACTOR_MAX, shrink},
};

/// Bytes of a pixel: blue, green, red and one that means nothing. A 32 bit word of a little-endian machine is
/// 0x00RRGGBB.
pub const PIXEL: usize = 4;
/// Between two samples there are so many steps.
const STEPS: u16 = 256;
/// The most samples of a row: more than VP8 has (14 bits, RFC 6386 section 9.1). Of a wider picture the rest
/// is not shown.
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

/// What is shown of a picture, how large, and how many samples of luma and of chroma it has across and down.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    part: Part,
    shown: Size,
    wide: [usize; 2],
    high: [usize; 2],
}

impl Fit {
    /// The size that a `width` x `height` picture has in the box `size`, at least one pixel; and which part
    /// of it is seen.
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
    /// What the steps are of.
    place: Option<Place>,
    luma: Axis,
    chroma: Axis,
    down: Vec<Step>,
    chroma_down: Vec<Step>,
    columns: Columns,
    rows: [Vec<u8>; ROWS],
    colours: Colours,
}

impl ScreenConverter {
    /// Writes `frame` (BT.601, limited range) into `pixels` as it is seen in the box `size`: row by row
    /// without padding, [`PIXEL`] bytes each. Gives the size that it has there. An empty picture or box
    /// leaves nothing.
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
        let place = Place { part, shown, wide, high: [frame.height as usize, frame.chroma_height()] };
        if self.place != Some(place) {
            self.place = Some(place);
            self.luma.fill(part.left, part.width, wide[0], width);
            self.chroma.fill(part.left / 2.0, part.width / 2.0, wide[1], chroma_width);
            self.down = steps(part.top, part.height, place.high[0], height);
            self.chroma_down = steps(part.top / 2.0, part.height / 2.0, place.high[1], chroma_height);
        }
        // Not cleared first: each of them is written, and there are megabytes of them.
        pixels.resize(width * height * PIXEL, 0);
        for (block, out) in pixels.chunks_mut(ROWS * width * PIXEL).enumerate() {
            write_rows(self, frame, wide, block, out);
            if mirrored {
                out.chunks_exact_mut(width * PIXEL).for_each(|row| row.as_chunks_mut::<PIXEL>().0.reverse());
            }
        }
    }
}

/// Makes the pixels of a block of [`ROWS`] rows, or fewer at the lower edge, each between two rows of the
/// picture. Compiled twice: AVX2 works on twice as many samples at once.
#[multiversion(targets("x86_64+avx2"))]
fn write_rows(converter: &mut ScreenConverter, frame: I420View<'_>, wide: [usize; 2], block: usize, out: &mut [u8]) {
    let ([y, u, v], [luma_stride, chroma_stride]) = (frame.planes, frame.strides);
    let ScreenConverter { down, chroma_down, columns, luma, chroma, colours, rows, .. } = converter;
    let down = down.chunks(ROWS).nth(block).unwrap_or_default();
    let chroma_down = chroma_down.chunks(ROWS / 2).nth(block).unwrap_or_default();
    let (luma_rows, [u_rows, v_rows]) = ([0, 1, 2, 3], [[0, 1], [2, 3]]);
    for (plane, two) in [(u, u_rows), (v, v_rows)] {
        for (row, step) in two.into_iter().zip(chroma_down) {
            columns.mix_rows(row, plane, chroma_stride, wide[1], *step);
        }
    }
    chroma.sample(columns, wide[1]);
    for (row, step) in luma_rows.into_iter().zip(down) {
        columns.mix_rows(row, y, luma_stride, wide[0], *step);
    }
    luma.sample(columns, wide[0]);
    split(&luma.samples, rows);
    for (index, (row, out)) in rows.iter().zip(out.chunks_exact_mut(luma.samples.len() * PIXEL)).enumerate() {
        if index % 2 == 0 {
            colours.set(&chroma.samples, index / 2);
        }
        colours.write(row, out);
    }
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

/// So many rows of pixels are made at once, of so many rows of luma, or half as many of either chroma.
const ROWS: usize = 4;
/// Samples of [`ROWS`] rows that lie under each other.
type Column = [u8; ROWS];

/// Rows of the source, each between two of its rows, column by column: a sample is looked for once for all of
/// them, which takes half of the time that a row takes by itself. The number of columns is fixed, so that
/// none is looked for with a check of its length.
#[derive(Debug)]
struct Columns {
    columns: Box<[Column; LINE + 1]>,
    mixed: [Vec<u8>; ROWS],
}

impl Default for Columns {
    fn default() -> Self {
        Self { columns: Box::new([[0; ROWS]; LINE + 1]), mixed: Default::default() }
    }
}

impl Columns {
    #[inline(always)]
    fn mix_rows(&mut self, to: usize, plane: &[u8], stride: usize, width: usize, down: Step) {
        let row = |index: usize| plane.get(index * stride..index * stride + width);
        let (Some(above), Some(mixed)) = (row(down.at), self.mixed.get_mut(to)) else { return };
        let below = row(down.at + 1).unwrap_or(above);
        // Loops, not adaptors with closures: those are not compiled into a function of more CPU features than
        // theirs.
        mixed.resize(width, 0);
        for ((mixed, &a), &b) in mixed.iter_mut().zip(above).zip(below) {
            *mixed = mix(a, b, down.weight);
        }
    }

    /// Puts the rows side by side.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a width is at most LINE")]
    fn set(&mut self, width: usize) {
        let width = width.min(LINE);
        // At the lower edge there are fewer rows than these.
        for row in &mut self.mixed {
            row.resize(width, 0);
        }
        let [first, second, third, fourth] = &self.mixed;
        let rows = first.iter().zip(second).zip(third).zip(fourth);
        for (column, (((&first, &second), &third), &fourth)) in self.columns.iter_mut().zip(rows) {
            *column = [first, second, third, fourth];
        }
        // The last sample is followed by itself.
        self.columns[width] = self.columns[width.saturating_sub(1)];
    }
}

/// Where the samples of a row are taken.
#[derive(Debug, Default)]
struct Axis {
    at: Vec<u16>,
    /// Each as often as there are rows.
    weights: Vec<[u16; ROWS]>,
    near: Vec<Column>,
    far: Vec<Column>,
    samples: Vec<Column>,
}

impl Axis {
    fn fill(&mut self, from: f32, length: f32, source: usize, count: usize) {
        let steps = steps(from, length, source.min(LINE), count);
        self.at = steps.iter().map(|step| step.at as u16).collect();
        self.weights = steps.iter().map(|step| [step.weight; ROWS]).collect();
        for columns in [&mut self.near, &mut self.far, &mut self.samples] {
            columns.resize(count, [0; ROWS]);
        }
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "within a power of two, and without a check for that reason")]
    fn sample(&mut self, columns: &mut Columns, width: usize) {
        columns.set(width);
        for ((near, far), &at) in self.near.iter_mut().zip(&mut self.far).zip(&self.at) {
            let at = usize::from(at) % LINE;
            (*near, *far) = (columns.columns[at], columns.columns[at + 1]);
        }
        let sources = self.near.as_flattened().iter().zip(self.far.as_flattened()).zip(self.weights.as_flattened());
        for (sample, ((&near, &far), &weight)) in self.samples.as_flattened_mut().iter_mut().zip(sources) {
            *sample = mix(near, far, weight);
        }
    }
}

/// Puts rows below each other again.
#[inline(always)]
fn split(samples: &[Column], rows: &mut [Vec<u8>; ROWS]) {
    let [first, second, third, fourth] = rows;
    for row in [&mut *first, &mut *second, &mut *third, &mut *fourth] {
        row.resize(samples.len(), 0);
    }
    let rows = first.iter_mut().zip(second).zip(third).zip(fourth);
    for ((((first, second), third), fourth), column) in rows.zip(samples) {
        [*first, *second, *third, *fourth] = *column;
    }
}

/// `a` and `b`, the latter by `weight` of [`STEPS`]. The largest sum is 255 * 256 + 128, which 16 bits hold.
#[inline(always)]
fn mix(a: u8, b: u8, weight: u16) -> u8 {
    ((u16::from(a) * (STEPS - weight) + u16::from(b) * weight + STEPS / 2) / STEPS) as u8
}

/// What a row's chroma adds to the blue, green and red of its pixels, in 1/64: from limited range BT.601, so
/// that each sum fits 16 bits. 255/219, 1.596, 0.392, 0.813, 2.017 (ITU-R BT.601-7, 2.5, with the ranges of
/// 2.5.3).
#[derive(Debug, Default)]
struct Colours {
    blue: Vec<i16>,
    green: Vec<i16>,
    red: Vec<i16>,
    levels: [Vec<u8>; 3],
}

impl Colours {
    /// Chroma of two pixels each: two rows of the one, and below them two of the other.
    #[inline(always)]
    fn set(&mut self, samples: &[Column], index: usize) {
        for colour in [&mut self.blue, &mut self.green, &mut self.red] {
            colour.resize(2 * samples.len(), 0);
        }
        let blue = self.blue.as_chunks_mut().0.iter_mut();
        let (green, red) = (self.green.as_chunks_mut().0, self.red.as_chunks_mut().0);
        let shift = 8 * index as u32;
        for (((blue, green), red), column) in blue.zip(green).zip(red).zip(samples) {
            let [u, _, v, _] = (u32::from_le_bytes(*column) >> shift).to_le_bytes();
            let (u, v) = (i16::from(u) - 128, i16::from(v) - 128);
            *blue = [129 * u; 2];
            *green = [-(25 * u + 52 * v); 2];
            *red = [102 * v; 2];
        }
    }

    /// Each colour by itself and then pixels of them: both is code for many samples at once, where it is not
    /// with a step for each pixel.
    #[inline(always)]
    fn write(&mut self, luma: &[u8], out: &mut [u8]) {
        let Self { blue, green, red, levels: [blues, greens, reds] } = self;
        for (levels, colour) in [(&mut *blues, blue), (&mut *greens, green), (&mut *reds, red)] {
            levels.resize(luma.len(), 0);
            for ((level, &y), &colour) in levels.iter_mut().zip(luma).zip(&*colour) {
                let y = i16::from(y) - 16;
                // And a half, to round.
                let y = 74 * y + (y >> 1) + 32;
                *level = (y.saturating_add(colour) >> 6).clamp(0, 255) as u8;
            }
        }
        let out = out.as_chunks_mut::<PIXEL>().0.iter_mut();
        for (((out, &blue), &green), &red) in out.zip(&*blues).zip(&*greens).zip(&*reds) {
            *out = [blue, green, red, 0];
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

    /// Every pixel by itself, in floating point.
    fn plain(frame: &I420Frame, shown: Size) -> Vec<[f32; 3]> {
        let (y, u, v) = frame.planes();
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let chroma = (frame.chroma_width(), frame.chroma_height());
        let place = |index: usize, scale: f32, most: usize| {
            let place = ((index as f32 + 0.5) * scale - 0.5).clamp(0.0, most as f32 - 1.0);
            (place as usize, (place as usize + 1).min(most - 1), place.fract())
        };
        let sample = |plane: &[u8], wide: usize, x: (usize, usize, f32), y: (usize, usize, f32)| {
            let at = |column: usize, row: usize| f32::from(plane[row * wide + column]);
            let row = |row: usize| at(x.0, row) * (1.0 - x.2) + at(x.1, row) * x.2;
            row(y.0) * (1.0 - y.2) + row(y.1) * y.2
        };
        let scale = (width as f32 / shown.width as f32, height as f32 / shown.height as f32);
        // Two pixels have one chroma, also where the last of them is cut off.
        let half = |side: u32| side as f32 / side.div_ceil(2) as f32 / 2.0;
        let chroma_scale = (scale.0 * half(shown.width), scale.1 * half(shown.height));
        let pixel = |index: usize| {
            let (x, row) = (index % shown.width as usize, index / shown.width as usize);
            let luma = sample(y, width, place(x, scale.0, width), place(row, scale.1, height));
            let column = place(x / 2, chroma_scale.0, chroma.0);
            let row = place(row / 2, chroma_scale.1, chroma.1);
            let (u, v) = (sample(u, chroma.0, column, row) - 128.0, sample(v, chroma.0, column, row) - 128.0);
            let luma = (luma - 16.0) * 255.0 / 219.0;
            [luma + 2.017 * u, luma - 0.392 * u - 0.813 * v, luma + 1.596 * v].map(|level| level.clamp(0.0, 255.0))
        };
        (0..(shown.width * shown.height) as usize).map(pixel).collect()
    }

    #[test]
    fn each_pixel_is_where_it_belongs_also_at_the_edges() {
        for ((width, height), (wide, high)) in [
            ((64, 48), (50, 37)),
            ((64, 48), (63, 47)),
            ((33, 19), (64, 38)),
            ((7, 5), (20, 15)),
            ((16, 9), (16, 9)),
            ((1, 1), (5, 5)),
            ((2, 3), (4, 6)),
        ] {
            let mut picture = I420Frame::black(width, height, Instant::now());
            let planes = picture.planes_mut();
            for (plane, wide, step) in
                [(planes.0, width, 3), (planes.1, width.div_ceil(2), 5), (planes.2, width.div_ceil(2), 7)]
            {
                for (index, sample) in plane.iter_mut().enumerate() {
                    let (x, y) = (index as u32 % wide, index as u32 / wide);
                    *sample = (40 + (x * step) % 90 + (y * 4 * step) % 90) as u8;
                }
            }
            let (shown, pixels) = shown(&picture, wide, high, Fit::Contain, false);
            for (index, (pixel, expected)) in pixels.iter().zip(plain(&picture, shown)).enumerate() {
                let far = pixel.iter().zip(&expected).map(|(&got, want)| (f32::from(got) - want).abs());
                let far = far.fold(0.0, f32::max);
                assert!(far < 6.0, "{width}x{height} in {wide}x{high} at {index}: {pixel:?}, not {expected:?}");
            }
        }
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
