//! Smaller frames for slow paths: any size at or below the camera's.
//!
//! First each side is divided by a whole number, as the mean of the pixels in between; what remains, less
//! than a half, is done by blending two neighbours in each direction. Measured (1280x720, one core): 960x540
//! in 1.1 ms, 640x360 in 0.2 ms.

use multiversion::multiversion;

use super::{
    I420Frame,
    small::{FACTOR_MAX, shrink},
};

/// Weights are in parts of this.
const ONE: u32 = 128;

/// Scales the frames of one camera. Keeps its buffers.
#[derive(Debug)]
pub struct Scaler {
    /// Divided by a whole number.
    shrunk: I420Frame,
    scaled: I420Frame,
    sums: Vec<u16>,
    line: Vec<u8>,
    columns: Vec<(u32, u32)>,
}

impl Default for Scaler {
    fn default() -> Self {
        let empty = || I420Frame::black(0, 0, std::time::Instant::now());
        Self { shrunk: empty(), scaled: empty(), sums: Vec::new(), line: Vec::new(), columns: Vec::new() }
    }
}

impl Scaler {
    /// `frame` at this size, captured when it was. A size that is larger, or nothing, gives the frame as it
    /// is.
    pub fn scale<'a>(&'a mut self, frame: &'a I420Frame, width: u32, height: u32) -> &'a I420Frame {
        if width == 0 || height == 0 || width > frame.width() || height > frame.height() {
            return frame;
        }
        if (width, height) == (frame.width(), frame.height()) {
            return frame;
        }
        let factor = (frame.width() / width).min(frame.height() / height).clamp(1, FACTOR_MAX);
        let from = if factor > 1 {
            shrink(frame.view(), &mut self.shrunk, factor, &mut self.sums);
            self.shrunk.captured_at = frame.captured_at;
            &self.shrunk
        } else {
            frame
        };
        if (width, height) == (from.width(), from.height()) {
            return from;
        }
        self.scaled.resize(width, height);
        self.scaled.captured_at = frame.captured_at;
        let wide = [from.width() as usize, from.chroma_width(), from.chroma_width()];
        let (small_luma, small_chroma) = (width as usize, self.scaled.chroma_width());
        let (y, u, v) = from.planes();
        let (to_y, to_u, to_v) = self.scaled.planes_mut();
        let planes = [(y, to_y, small_luma), (u, to_u, small_chroma), (v, to_v, small_chroma)];
        for ((from, to, to_width), from_width) in planes.into_iter().zip(wide) {
            blend_plane(from, from_width, to, to_width, &mut self.line, &mut self.columns);
        }
        &self.scaled
    }
}

/// Positions of `to` samples among `from` samples: the left one of two, and the weight of the right one.
fn positions(from: usize, to: usize) -> impl Iterator<Item = (u32, u32)> {
    let (from, to) = (from as u64, to.max(1) as u64);
    let one = u64::from(ONE);
    (0..to).map(move |index| {
        // The middle of each sample lies where it lay in the larger picture.
        let twice = (2 * index + 1) * from * one / to;
        let at = twice.saturating_sub(one) / 2;
        let left = (at / one).min(from.saturating_sub(1));
        (left as u32, if left + 1 < from { (at % one) as u32 } else { 0 })
    })
}

/// Scales one plane by blending two neighbours in each direction.
fn blend_plane(
    from: &[u8],
    from_width: usize,
    to: &mut [u8],
    to_width: usize,
    line: &mut Vec<u8>,
    columns: &mut Vec<(u32, u32)>,
) {
    if from_width == 0 || to_width == 0 {
        return;
    }
    let (from_height, to_height) = (from.len() / from_width, to.len() / to_width);
    columns.clear();
    columns.extend(positions(from_width, to_width));
    // One more sample than there is, so that the right neighbour of the last one can be read.
    line.resize(from_width + 1, 0);
    let row = |index: usize| from.get(index * from_width..(index + 1) * from_width).unwrap_or_default();
    for (to, (top, weight)) in to.chunks_exact_mut(to_width).zip(positions(from_height, to_height)) {
        let top = top as usize;
        let below = if weight == 0 { row(top) } else { row(top + 1) };
        blend_rows(row(top), below, weight, line);
        blend_columns(line, columns, to);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn blend_rows(top: &[u8], below: &[u8], weight: u32, line: &mut [u8]) {
    let (above, beneath) = ((ONE - weight) as u16, weight as u16);
    for ((to, &one), &other) in line.iter_mut().zip(top).zip(below) {
        *to = ((u16::from(one) * above + u16::from(other) * beneath + (ONE / 2) as u16) / ONE as u16) as u8;
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn blend_columns(line: &[u8], columns: &[(u32, u32)], to: &mut [u8]) {
    for (to, &(left, weight)) in to.iter_mut().zip(columns) {
        let left = left as usize;
        let (one, other) = match line.get(left..left + 2) {
            Some(&[one, other]) => (u32::from(one), u32::from(other)),
            _ => continue,
        };
        *to = ((one * (ONE - weight) + other * weight + ONE / 2) / ONE) as u8;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::video::pattern;

    fn drawn(width: u32, height: u32) -> I420Frame {
        let mut frame = I420Frame::black(width, height, Instant::now());
        pattern::draw(&mut frame, 12_345, 77);
        frame
    }

    #[test]
    fn the_test_pattern_is_readable_at_every_size_of_the_ladder() {
        let (frame, mut scaler) = (drawn(1280, 720), Scaler::default());
        for (width, height) in [(1280, 720), (960, 540), (640, 360), (480, 270), (320, 180), (160, 90)] {
            let scaled = scaler.scale(&frame, width, height);
            assert_eq!((scaled.width(), scaled.height(), scaled.captured_at), (width, height, frame.captured_at));
            let cells = pattern::read_cells(scaled).unwrap_or_else(|| panic!("{width}x{height} cannot be read"));
            assert_eq!(cells.counter, 77, "{width}x{height}");
        }
    }

    #[test]
    fn one_colour_stays_that_colour_to_the_edges() {
        let mut frame = I420Frame::black(641, 363, Instant::now());
        let (y, u, v) = frame.planes_mut();
        y.fill(200);
        u.fill(90);
        v.fill(160);
        for (width, height) in [(480, 272), (333, 111), (2, 2), (1, 1), (641, 100)] {
            let mut scaler = Scaler::default();
            let scaled = scaler.scale(&frame, width, height);
            let (y, u, v) = scaled.planes();
            assert!(y.iter().all(|&one| one == 200), "{width}x{height}");
            assert!(u.iter().all(|&one| one == 90) && v.iter().all(|&one| one == 160), "{width}x{height}");
        }
    }

    #[test]
    fn a_larger_size_or_none_gives_the_frame_as_it_is() {
        let (frame, mut scaler) = (drawn(320, 180), Scaler::default());
        for (width, height) in [(640, 360), (0, 90), (160, 0), (320, 181)] {
            let scaled = scaler.scale(&frame, width, height);
            assert_eq!((scaled.width(), scaled.height()), (320, 180));
        }
    }
}
