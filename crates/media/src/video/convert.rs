//! What cameras send, to I420. The loops are written so that the compiler turns them into vector code:
//! fixed-size chunks, no index, no branch. Measured by `cargo bench -p ahoy-media --bench convert`.

use super::I420Frame;

/// A picture with fewer bytes than its size needs: a camera sends one when it drops data on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the picture has {got} bytes instead of {needed}")]
pub struct ShortPicture {
    /// Bytes there.
    pub got: usize,
    /// Bytes that the size needs.
    pub needed: usize,
}

fn check(src: &[u8], needed: usize) -> Result<(), ShortPicture> {
    if src.len() < needed { Err(ShortPicture { got: src.len(), needed }) } else { Ok(()) }
}

/// YUYV (packed 4:2:2, also called YUY2) to I420. Chroma is averaged over two rows. `src` may be longer than
/// needed.
pub fn yuyv(src: &[u8], width: u32, height: u32, frame: &mut I420Frame) -> Result<(), ShortPicture> {
    let stride = width.div_ceil(2) as usize * 4;
    check(src, stride * height as usize)?;
    frame.resize(width, height);
    let (width, chroma_width) = (width as usize, frame.chroma_width());
    let (y, u, v) = frame.planes_mut();
    for (luma, row) in rows(y, width).zip(src.chunks_exact(stride.max(1))) {
        yuyv_luma(row, luma);
    }
    // An odd last row has no partner, and is averaged with itself.
    let pairs = src.chunks_exact(stride.max(1)).take(height as usize).collect_pairs();
    for ((u, v), (above, below)) in rows(u, chroma_width).zip(rows(v, chroma_width)).zip(pairs) {
        yuyv_chroma(above, below, u, v);
    }
    Ok(())
}

fn yuyv_luma(row: &[u8], luma: &mut [u8]) {
    for (out, pair) in luma.iter_mut().zip(row.as_chunks().0) {
        *out = first(*pair);
    }
}

/// Chroma of two rows of YUYV to one of U and one of V.
fn yuyv_chroma(above: &[u8], below: &[u8], u: &mut [u8], v: &mut [u8]) {
    // In blocks of 32 pixels through a buffer of interleaved means: both steps are then plain vector code,
    // while one loop over every fourth byte is not.
    let (above, above_rest) = above.as_chunks::<64>();
    let (below, below_rest) = below.as_chunks::<64>();
    let (u, u_rest) = u.as_chunks_mut::<16>();
    let (v, v_rest) = v.as_chunks_mut::<16>();
    for ((u, v), (above, below)) in u.iter_mut().zip(v).zip(above.iter().zip(below)) {
        yuyv_chroma_block(above, below, u, v);
    }
    yuyv_chroma_block(above_rest, below_rest, u_rest, v_rest);
}

#[inline(always)]
fn yuyv_chroma_block(above: &[u8], below: &[u8], u: &mut [u8], v: &mut [u8]) {
    let mut means = [0; 32];
    for (mean_of, (a, b)) in means.iter_mut().zip(above.as_chunks().0.iter().zip(below.as_chunks().0)) {
        *mean_of = mean(second(*a), second(*b));
    }
    split_pairs(&means, u, v);
}

/// Interleaved samples, apart.
#[inline(always)]
fn split_pairs(pairs: &[u8], firsts: &mut [u8], seconds: &mut [u8]) {
    for ((a, b), pair) in firsts.iter_mut().zip(seconds).zip(pairs.as_chunks().0) {
        (*a, *b) = (first(*pair), second(*pair));
    }
}

/// The first of two bytes; read as one word, which vector code can narrow.
fn first(pair: [u8; 2]) -> u8 {
    u16::from_le_bytes(pair) as u8
}

/// The second of two bytes.
fn second(pair: [u8; 2]) -> u8 {
    (u16::from_le_bytes(pair) >> 8) as u8
}

/// NV12 (a plane of Y, then one of U and V in turn) to I420. `src` may be longer than needed.
pub fn nv12(src: &[u8], width: u32, height: u32, frame: &mut I420Frame) -> Result<(), ShortPicture> {
    frame.resize(width, height);
    check(src, frame.data().len())?;
    let (y, u, v) = frame.planes_mut();
    let (luma, chroma) = src.split_at(y.len());
    y.copy_from_slice(luma);
    split_pairs(chroma, u, v);
    Ok(())
}

/// Mean, rounded up as the vector instruction for it does.
fn mean(a: u8, b: u8) -> u8 {
    ((u16::from(a) + u16::from(b) + 1) >> 1) as u8
}

/// Full range luma (JPEG: 0 to 255) to limited range (BT.601: 16 to 235).
fn limited_luma(full: u8) -> u8 {
    // 219/255 is 219.85/256. The largest sum is 60,324, so that 16 bits suffice.
    ((u16::from(full) * 220 + LUMA_OFFSET) >> 8) as u8
}

/// 16 after the shift, and a half for rounding, less what 220 for 219.85 adds on average.
const LUMA_OFFSET: u16 = 16 * 256 + 108;

/// Full range chroma (0 to 255) to limited range (16 to 240). Neutral stays neutral.
fn limited_chroma(full: u8) -> u8 {
    // 224/255 is 224.88/256. 225 * 128 + 4096 is 128.5 * 256; the largest sum is 61,471.
    ((u16::from(full) * 225 + 4096) >> 8) as u8
}

/// Brings full range luma to limited range in place.
pub fn luma_to_limited_range(plane: &mut [u8]) {
    plane.iter_mut().for_each(|luma| *luma = limited_luma(*luma));
}

/// Brings full range chroma to limited range in place.
pub fn chroma_to_limited_range(plane: &mut [u8]) {
    plane.iter_mut().for_each(|chroma| *chroma = limited_chroma(*chroma));
}

/// A plane of samples with padded rows.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub(super) samples: &'a [u8],
    pub(super) stride: usize,
}

impl<'a> Plane<'a> {
    fn rows(self) -> std::slice::ChunksExact<'a, u8> {
        self.samples.chunks_exact(self.stride.max(1))
    }
}

/// How many rows or columns of chroma a camera's JPEG has for each one of I420.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chroma {
    /// 4:2:0
    Same,
    /// 4:2:2
    TwiceTheRows,
    /// 4:4:4
    TwiceTheRowsAndColumns,
}

/// A full range luma plane into the frame's, in limited range.
pub(super) fn full_range_luma(src: Plane, frame: &mut I420Frame) {
    let width = frame.width() as usize;
    for (out, row) in rows(frame.planes_mut().0, width).zip(src.rows()) {
        for (out, &full) in out.iter_mut().zip(row) {
            *out = limited_luma(full);
        }
    }
}

/// Full range chroma planes into the frame's, in limited range.
pub(super) fn full_range_chroma(u_src: Plane, v_src: Plane, kind: Chroma, frame: &mut I420Frame) {
    let (width, height) = (frame.chroma_width(), frame.chroma_height());
    let (_, u, v) = frame.planes_mut();
    for (src, plane) in [(u_src, u), (v_src, v)] {
        match kind {
            Chroma::Same => {
                for (out, row) in rows(plane, width).zip(src.rows()) {
                    out.iter_mut().zip(row).for_each(|(out, &full)| *out = limited_chroma(full));
                }
            }
            Chroma::TwiceTheRows => {
                for (out, (above, below)) in rows(plane, width).zip(src.rows().take(2 * height).collect_pairs()) {
                    for ((out, &a), &b) in out.iter_mut().zip(above).zip(below) {
                        *out = limited_chroma(mean(a, b));
                    }
                }
            }
            Chroma::TwiceTheRowsAndColumns => {
                for (out, (above, below)) in rows(plane, width).zip(src.rows().collect_pairs()) {
                    halve_row(above, below, out);
                }
            }
        }
    }
}

fn halve_row(above: &[u8], below: &[u8], out: &mut [u8]) {
    // An odd last column stands alone.
    for ((out, a), b) in out.iter_mut().zip(above.chunks(2)).zip(below.chunks(2)) {
        let sum = |pair: &[u8]| pair.iter().map(|&sample| u16::from(sample)).sum::<u16>();
        let count = (a.len() + b.len()) as u16;
        *out = limited_chroma(((sum(a) + sum(b) + count / 2) / count.max(1)) as u8);
    }
}

fn rows(plane: &mut [u8], width: usize) -> std::slice::ChunksExactMut<'_, u8> {
    plane.chunks_exact_mut(width.max(1))
}

/// Rows two by two; an odd last one with itself.
trait Pairs<'a>: Iterator<Item = &'a [u8]> + Sized {
    fn collect_pairs(mut self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        std::iter::from_fn(move || {
            let above = self.next()?;
            Some((above, self.next().unwrap_or(above)))
        })
    }
}

impl<'a, I: Iterator<Item = &'a [u8]>> Pairs<'a> for I {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn picture() -> I420Frame {
        I420Frame::black(0, 0, Instant::now())
    }

    #[test]
    fn yuyv_keeps_luma_and_averages_chroma_of_two_rows() {
        #[rustfmt::skip]
        let src = [
            1, 100, 2, 200,   3, 110, 4, 210,
            5, 102, 6, 204,   7, 110, 8, 210,
        ];
        let mut frame = picture();
        yuyv(&src, 4, 2, &mut frame).expect("a whole picture");
        assert_eq!(frame.planes(), (&[1, 2, 3, 4, 5, 6, 7, 8][..], &[101, 110][..], &[202, 210][..]));
    }

    #[test]
    fn yuyv_of_odd_size() {
        #[rustfmt::skip]
        let src = [
            1, 10, 2, 20,   3, 30, 0, 40,
            4, 10, 5, 20,   6, 30, 0, 40,
            7, 50, 8, 60,   9, 70, 0, 80,
        ];
        let mut frame = picture();
        yuyv(&src, 3, 3, &mut frame).expect("a whole picture");
        assert_eq!(frame.planes().0, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(frame.planes().1, [10, 30, 50, 70]);
        assert_eq!(frame.planes().2, [20, 40, 60, 80]);
    }

    #[test]
    fn yuyv_of_any_width_is_what_its_definition_says() {
        for (width, height) in [(62, 2), (64, 3), (66, 4), (101, 5), (640, 2)] {
            let (pairs, chroma_height) = (usize::div_ceil(width, 2), usize::div_ceil(height, 2));
            let src: Vec<u8> = (0..4 * pairs * height).map(|at| (at * 7 + at / 31) as u8).collect();
            let mut frame = picture();
            yuyv(&src, width as u32, height as u32, &mut frame).expect("a whole picture");
            let at = |row: usize, byte: usize| src[4 * pairs * row + byte];
            let luma: Vec<u8> = (0..height).flat_map(|row| (0..width).map(move |x| at(row, 2 * x))).collect();
            let chroma = |offset: usize| {
                let sample = |row: usize, pair: usize| {
                    mean(at(2 * row, 4 * pair + offset), at((2 * row + 1).min(height - 1), 4 * pair + offset))
                };
                let rows = (0..chroma_height).flat_map(|row| (0..pairs).map(move |pair| sample(row, pair)));
                rows.collect::<Vec<u8>>()
            };
            assert_eq!(frame.planes(), (&*luma, &*chroma(1), &*chroma(3)), "{width}x{height}");
        }
    }

    #[test]
    fn nv12_is_taken_apart() {
        let mut frame = picture();
        nv12(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80], 3, 3, &mut frame).expect("a picture");
        assert_eq!(frame.planes(), (&[1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[10, 30, 50, 70][..], &[20, 40, 60, 80][..]));
    }

    #[test]
    fn short_pictures_are_refused_and_long_ones_taken() {
        let mut frame = picture();
        assert_eq!(yuyv(&[0; 15], 4, 2, &mut frame), Err(ShortPicture { got: 15, needed: 16 }));
        assert_eq!(nv12(&[0; 11], 4, 2, &mut frame), Err(ShortPicture { got: 11, needed: 12 }));
        assert_eq!(yuyv(&[0; 4096], 4, 2, &mut frame), Ok(()));
        assert_eq!(nv12(&[0; 4096], 4, 2, &mut frame), Ok(()));
    }

    #[test]
    fn range_conversion_is_within_one_of_exact() {
        for full in 0..=255_u8 {
            let luma = 16.0 + f64::from(full) * 219.0 / 255.0;
            assert!((f64::from(limited_luma(full)) - luma).abs() < 1.0, "luma {full}");
            let chroma = 128.0 + (f64::from(full) - 128.0) * 224.0 / 255.0;
            assert!((f64::from(limited_chroma(full)) - chroma).abs() < 1.0, "chroma {full}");
        }
        assert_eq!([limited_luma(0), limited_luma(255)], [16, 235]);
        assert_eq!([limited_chroma(0), limited_chroma(128), limited_chroma(255)], [16, 128, 240]);
    }

    #[test]
    fn chroma_of_jpegs_is_halved_where_it_must_be() {
        let neutral_pair = [118, 138, 118, 138, 118, 138];
        for (kind, stride, samples) in [
            (Chroma::Same, 3, vec![128; 9]),
            (Chroma::TwiceTheRows, 3, vec![118, 118, 118, 138, 138, 138, 118, 118, 118, 138, 138, 138, 128, 128, 128]),
            (Chroma::TwiceTheRowsAndColumns, 6, neutral_pair.repeat(5)),
        ] {
            let mut frame = I420Frame::black(6, 5, Instant::now());
            frame.planes_mut().1.fill(0);
            let plane = Plane { samples: &samples, stride };
            full_range_chroma(plane, plane, kind, &mut frame);
            assert_eq!(frame.planes().1, [128; 9], "{kind:?}");
            assert_eq!(frame.planes().2, [128; 9], "{kind:?}");
        }
    }
}
