//! VP8 to planes. What goes to the page is never decoded; a window that paints by itself, tests and benchmarks do.

use std::{ptr, slice, time::Instant};

use vpx_sys::{
    VPX_DECODER_ABI_VERSION, vpx_codec_dec_init_ver, vpx_codec_decode, vpx_codec_get_frame, vpx_codec_vp8_dx,
    vpx_image_t, vpx_img_fmt,
};

use super::{Vp8Error, check_size, codec::Context, frame_size, is_key_frame};
use crate::video::I420Frame;

/// A VP8 decoder. Takes any bytes: what is no frame is an error, and the decoder stays usable.
pub struct Decoder {
    context: Context,
}

impl Decoder {
    /// A decoder that waits for its first key frame.
    pub fn new() -> Result<Self, Vp8Error> {
        // SAFETY: the closure does nothing but the initialisation; a null configuration means defaults (one thread).
        let context = unsafe {
            Context::open(|context| {
                vpx_codec_dec_init_ver(context, vpx_codec_vp8_dx(), ptr::null(), 0, VPX_DECODER_ABI_VERSION as i32)
            })
        };
        Ok(Self { context: context.map_err(Vp8Error::Open)? })
    }

    /// Decodes one whole frame. `None`: a frame that is not to be shown (RFC 6386 section 9.1, `show_frame`).
    /// The picture's `captured_at` is the time of the call.
    pub fn decode(&mut self, data: &[u8]) -> Result<Option<I420Frame>, Vp8Error> {
        let mut frame = I420Frame::black(0, 0, Instant::now());
        Ok(self.decode_into(data, &mut frame)?.then_some(frame))
    }

    /// As [`Self::decode`], into a buffer that is used again; whether there is a picture in it now.
    pub fn decode_into(&mut self, data: &[u8], frame: &mut I420Frame) -> Result<bool, Vp8Error> {
        if is_key_frame(data) {
            let (width, height) = frame_size(data).ok_or_else(|| Vp8Error::Decode("no key frame header".into()))?;
            check_size(width, height)?;
        }
        // libvpx takes no data as "a frame was lost, show the last one again".
        let len = u32::try_from(data.len()).ok().filter(|&len| len > 0);
        let len = len.ok_or_else(|| Vp8Error::Decode(format!("{} bytes", data.len())))?;
        // SAFETY: `data` holds `len` readable bytes, and libvpx does not keep the pointer beyond the call.
        let answer = unsafe { vpx_codec_decode(self.context.as_mut_ptr(), data.as_ptr(), len, ptr::null_mut(), 0) };
        self.context.check(answer).map_err(Vp8Error::Decode)?;
        let mut iter = ptr::null();
        // SAFETY: null, or an image of the decoder that stays valid until the next call with this context.
        let image = unsafe { vpx_codec_get_frame(self.context.as_mut_ptr(), &mut iter).as_ref() };
        image.map(|image| copy(image, frame)).transpose().map(|shown| shown.is_some())
    }
}

/// Copies the visible part of libvpx's picture, whose rows have padding, into a frame of ours.
fn copy(image: &vpx_image_t, frame: &mut I420Frame) -> Result<(), Vp8Error> {
    check_size(image.d_w, image.d_h)?;
    if image.fmt != vpx_img_fmt::VPX_IMG_FMT_I420 {
        return Err(Vp8Error::Decode(format!("picture format {:?}", image.fmt)));
    }
    frame.resize(image.d_w, image.d_h);
    frame.captured_at = Instant::now();
    let (width, chroma_width) = (frame.width() as usize, frame.chroma_width());
    let (y, u, v) = frame.planes_mut();
    let planes = [(y, width), (u, chroma_width), (v, chroma_width)];
    for ((plane, width), (&source, &stride)) in planes.into_iter().zip(image.planes.iter().zip(&image.stride)) {
        for (row, to) in plane.chunks_exact_mut(width).enumerate() {
            // SAFETY: libvpx's plane has at least as many rows as the visible picture, `stride` bytes apart, each with
            // at least `width` bytes (`d_w`, or half of it rounded up).
            let from = unsafe { slice::from_raw_parts(source.offset(row as isize * stride as isize), width) };
            to.copy_from_slice(from);
        }
    }
    Ok(())
}
