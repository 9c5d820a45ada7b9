//! JPEG pictures from a camera to I420, without a detour over RGB.

use turbojpeg::{Decompressor, Subsamp, YuvImage};

use crate::video::{
    I420Frame,
    convert::{self, Chroma, Plane},
};

/// Why one JPEG picture gave no picture. Cameras send a damaged one now and then; the next is good again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MjpegError {
    /// It is cut off, or is no JPEG.
    #[error("the JPEG picture is damaged: {0}")]
    Damaged(#[from] turbojpeg::Error),
    /// It has another size than the camera said.
    #[error("the JPEG picture is {width}x{height}, another size than the camera's")]
    WrongSize {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// No camera sends this subsampling.
    #[error("the JPEG picture has chroma subsampling {0:?}, which is not understood")]
    UnsupportedSubsampling(Subsamp),
}

/// Decodes a camera's JPEG pictures; keeps its buffers from one to the next.
pub struct MjpegDecoder {
    decompressor: Decompressor,
    planes: Vec<u8>,
}

impl MjpegDecoder {
    /// A new decoder.
    pub fn new() -> Result<Self, MjpegError> {
        Ok(Self { decompressor: Decompressor::new()?, planes: Vec::new() })
    }

    /// Decodes `jpeg`, which must be `width` x `height`, into `frame`. What follows the end of the picture is
    /// not looked at.
    pub fn decode(&mut self, jpeg: &[u8], width: u32, height: u32, frame: &mut I420Frame) -> Result<(), MjpegError> {
        let header = self.decompressor.read_header(jpeg)?;
        // Before anything is allocated: a damaged header may say 65535x65535.
        if (header.width, header.height) != (width as usize, height as usize) {
            return Err(MjpegError::WrongSize { width: header.width, height: header.height });
        }
        let chroma = match header.subsamp {
            Subsamp::Sub2x2 => Some(Chroma::Same),
            Subsamp::Sub2x1 => Some(Chroma::TwiceTheRows),
            Subsamp::None => Some(Chroma::TwiceTheRowsAndColumns),
            Subsamp::Gray => None,
            other => return Err(MjpegError::UnsupportedSubsampling(other)),
        };
        let len = turbojpeg::yuv_pixels_len(header.width, 1, header.height, header.subsamp)?;
        self.planes.resize(len, 0);
        let mut image = YuvImage {
            pixels: &mut *self.planes,
            width: header.width,
            align: 1,
            height: header.height,
            subsamp: header.subsamp,
        };
        let (luma, half) = (image.y_size(), image.uv_size());
        match self.decompressor.decompress_to_yuv(jpeg, image.as_deref_mut()) {
            Err(error) if !is_harmless(&error) => return Err(error.into()),
            _ => {}
        }
        frame.resize(width, height);
        let (y, rest) = self.planes.split_at((luma.0 * luma.1).min(len));
        convert::full_range_luma(Plane { samples: y, stride: luma.0 }, frame);
        match chroma {
            Some(chroma) => {
                let (u, v) = rest.split_at(rest.len() / 2);
                let plane = |samples| Plane { samples, stride: half.0 };
                convert::full_range_chroma(plane(u), plane(v), chroma, frame);
            }
            None => {
                let (_, u, v) = frame.planes_mut();
                u.fill(128);
                v.fill(128);
            }
        }
        Ok(())
    }
}

/// Whether the picture is whole all the same. Many cameras pad the scan, on which libjpeg warns ("Corrupt
/// JPEG data: N extraneous bytes before marker 0xd9"), and the binding makes an error of every warning.
fn is_harmless(error: &turbojpeg::Error) -> bool {
    matches!(error, turbojpeg::Error::TurboJpegError(message) if message.contains("extraneous bytes before marker"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::pattern;
    use std::time::Instant;

    fn picture() -> I420Frame {
        I420Frame::black(0, 0, Instant::now())
    }

    /// The test pattern as a camera with JPEG of this subsampling sends it.
    fn jpeg(width: u32, height: u32, subsamp: Subsamp) -> Vec<u8> {
        let mut frame = picture();
        frame.resize(width, height);
        pattern::draw(&mut frame, 123, 456);
        let (y, u, v) = frame.planes();
        let (chroma_width, width_) = (frame.chroma_width(), width as usize);
        let sample = |x: usize, y_: usize| {
            let full = |value: u8, scale: f32, from: f32, to: f32| (f32::from(value) - from) * scale + to;
            let chroma = y_ / 2 * chroma_width + x / 2;
            let luma = full(y[y_ * width_ + x], 255.0 / 219.0, 16.0, 0.0);
            let (cb, cr) = (full(u[chroma], 255.0 / 224.0, 128.0, 0.0), full(v[chroma], 255.0 / 224.0, 128.0, 0.0));
            [luma + 1.402 * cr, luma - 0.344 * cb - 0.714 * cr, luma + 1.772 * cb].map(|c| c.round() as u8)
        };
        let pixels: Vec<u8> = (0..height as usize).flat_map(|y| (0..width_).flat_map(move |x| sample(x, y))).collect();
        let image = turbojpeg::Image {
            pixels: &*pixels,
            width: width_,
            pitch: 3 * width_,
            height: height as usize,
            format: turbojpeg::PixelFormat::RGB,
        };
        turbojpeg::compress(image, 90, subsamp).expect("compressor").to_vec()
    }

    /// Mean distance of the luma to that of the pattern.
    fn luma_error(frame: &I420Frame) -> f64 {
        let mut original = picture();
        original.resize(frame.width(), frame.height());
        pattern::draw(&mut original, 123, 456);
        let pairs = frame.planes().0.iter().zip(original.planes().0);
        pairs.map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / frame.planes().0.len() as f64
    }

    #[test]
    fn every_subsampling_of_cameras_gives_the_picture_in_limited_range() {
        let mut decoder = MjpegDecoder::new().expect("decoder");
        for subsamp in [Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::None, Subsamp::Gray] {
            for (width, height) in [(640, 360), (161, 91)] {
                let mut frame = picture();
                decoder.decode(&jpeg(width, height, subsamp), width, height, &mut frame).expect("a picture");
                let cells = pattern::read_cells(&frame).expect("cells");
                assert_eq!((cells.unix_ms_mod, cells.counter), (123, 456));
                assert!(luma_error(&frame) < 4.0, "{subsamp:?} {width}x{height}: {}", luma_error(&frame));
            }
        }
    }

    #[test]
    fn colour_comes_out_as_it_went_in() {
        let red = [200_u8, 40, 60].repeat(64 * 64);
        let image =
            turbojpeg::Image { pixels: &*red, width: 64, pitch: 192, height: 64, format: turbojpeg::PixelFormat::RGB };
        for subsamp in [Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::None] {
            let jpeg = turbojpeg::compress(image, 95, subsamp).expect("compressor");
            let mut frame = picture();
            MjpegDecoder::new().expect("decoder").decode(&jpeg, 64, 64, &mut frame).expect("a picture");
            let (y, u, v) = frame.planes();
            // RGB 200, 40, 60 in limited range BT.601.
            for (plane, expected) in [(y, 93), (u, 111), (v, 195)] {
                assert!(plane.iter().all(|&value| value.abs_diff(expected) <= 2), "{subsamp:?}: {plane:?}");
            }
        }
    }

    #[test]
    fn damaged_pictures_are_errors_and_the_next_is_good() {
        let whole = jpeg(320, 180, Subsamp::Sub2x1);
        let mut decoder = MjpegDecoder::new().expect("decoder");
        let mut frame = picture();
        for bad in [&[][..], &[0; 5000], &[0xff; 5000], &whole[..100], &whole[..whole.len() / 2], &whole[50..]] {
            assert!(decoder.decode(bad, 320, 180, &mut frame).is_err(), "{} bytes were taken", bad.len());
            decoder.decode(&whole, 320, 180, &mut frame).expect("a picture");
        }
    }

    #[test]
    fn another_size_is_refused() {
        let mut decoder = MjpegDecoder::new().expect("decoder");
        let result = decoder.decode(&jpeg(320, 180, Subsamp::Sub2x1), 640, 360, &mut picture());
        assert!(matches!(result, Err(MjpegError::WrongSize { width: 320, height: 180 })), "{result:?}");
    }

    #[test]
    fn padding_and_missing_tables_of_real_cameras_are_taken() {
        let mut decoder = MjpegDecoder::new().expect("decoder");
        let whole = jpeg(320, 180, Subsamp::Sub2x1);
        let end = whole.len() - 2;
        let padded_scan = [&whole[..end], &[0; 8], &whole[end..]].concat();
        let stale_rest = [&whole[..], &[0x5a; 10_000]].concat();
        // Motion JPEG leaves out the Huffman tables where they are the standard's (ITU-T T.81 annex K.3).
        let mut no_tables = whole.clone();
        while let Some(at) = no_tables.windows(2).position(|marker| marker == [0xff, 0xc4]) {
            let len = usize::from(u16::from_be_bytes([no_tables[at + 2], no_tables[at + 3]]));
            no_tables.drain(at..at + 2 + len);
        }
        assert!(no_tables.len() < whole.len());
        for jpeg in [padded_scan, stale_rest, no_tables] {
            let mut frame = picture();
            decoder.decode(&jpeg, 320, 180, &mut frame).expect("a picture");
            assert!(luma_error(&frame) < 4.0);
        }
    }
}
