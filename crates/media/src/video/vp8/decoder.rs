//! VP8 to planes. What goes to the page is never decoded; a window that paints by itself, tests and
//! benchmarks do.

use std::{ptr, slice, time::Instant};

use vpx_sys::{
    VPX_DECODER_ABI_VERSION, vpx_codec_dec_init_ver, vpx_codec_decode, vpx_codec_get_frame, vpx_codec_vp8_dx,
    vpx_image_t, vpx_img_fmt,
};

use super::{Vp8Error, check_size, codec::Context, frame_size, is_key_frame};
use crate::video::{I420Frame, I420View};

/// A VP8 decoder. Takes any bytes: what is no frame is an error, and the decoder stays usable.
pub struct Decoder {
    newest: Option<Image>,
    context: Context,
}

/// The description of a picture that the decoder keeps.
struct Image(vpx_image_t);

// SAFETY: its pointers go to memory of the decoder beside it, which may be used from any thread, one at a
// time.
unsafe impl Send for Image {}

impl Decoder {
    /// A decoder that waits for its first key frame.
    pub fn new() -> Result<Self, Vp8Error> {
        // SAFETY: the closure does nothing but the initialisation; a null configuration means defaults (one
        // thread).
        let context = unsafe {
            Context::open(|context| {
                vpx_codec_dec_init_ver(context, vpx_codec_vp8_dx(), ptr::null(), 0, VPX_DECODER_ABI_VERSION as i32)
            })
        };
        Ok(Self { newest: None, context: context.map_err(Vp8Error::Open)? })
    }

    /// Decodes one whole frame. `None`: a frame that is not to be shown (RFC 6386 section 9.1, `show_frame`).
    /// The picture's `captured_at` is the time of the call.
    pub fn decode(&mut self, data: &[u8]) -> Result<Option<I420Frame>, Vp8Error> {
        if !self.decode_in_place(data)? {
            return Ok(None);
        }
        Ok(self.picture().map(copy))
    }

    /// As [`Self::decode`], without a copy: whether there is a [`Self::picture`] now. After a frame that is
    /// not shown, and after an error, there is none.
    pub fn decode_in_place(&mut self, data: &[u8]) -> Result<bool, Vp8Error> {
        // Whatever comes of it, libvpx may use the memory of the last picture.
        self.newest = None;
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
        let Some(image) = image else { return Ok(false) };
        check_size(image.d_w, image.d_h)?;
        if image.fmt != vpx_img_fmt::VPX_IMG_FMT_I420 {
            return Err(Vp8Error::Decode(format!("picture format {:?}", image.fmt)));
        }
        self.newest = Some(Image(*image));
        Ok(true)
    }

    /// The picture of the last frame, where it has one; in the decoder's own memory, until the next frame.
    pub fn picture(&self) -> Option<I420View<'_>> {
        let image = &self.newest.as_ref()?.0;
        let (width, height) = (image.d_w, image.d_h);
        let (wide, high) = (width as usize, height as usize);
        let (chroma_wide, chroma_high) = (wide.div_ceil(2), high.div_ceil(2));
        let stride = |plane: usize, wide: usize| {
            usize::try_from(*image.stride.get(plane)?).ok().filter(|&stride| stride >= wide)
        };
        let strides = [stride(0, wide)?, stride(1, chroma_wide)?];
        if stride(2, chroma_wide) != Some(strides[1]) {
            return None;
        }
        let plane = |plane: usize, stride: usize, wide: usize, high: usize| {
            let first = *image.planes.get(plane)?;
            // SAFETY: libvpx's plane has at least as many rows as the visible picture, `stride` bytes apart,
            // each with at least `wide` bytes (`d_w`, or half of it rounded up); what lies between them is
            // its border, which is written with every picture. They stay until the next call with the
            // context, for which `self` would have to be borrowed as mutable.
            Some(unsafe { slice::from_raw_parts(first.cast_const(), (high.checked_sub(1)?) * stride + wide) })
        };
        let [luma, chroma] = strides;
        let planes = [
            plane(0, luma, wide, high)?,
            plane(1, chroma, chroma_wide, chroma_high)?,
            plane(2, chroma, chroma_wide, chroma_high)?,
        ];
        Some(I420View { width, height, planes, strides })
    }
}

/// Copies the visible part of a picture whose rows may have padding.
fn copy(picture: I420View<'_>) -> I420Frame {
    let mut frame = I420Frame::black(picture.width, picture.height, Instant::now());
    let widths = [picture.width as usize, picture.chroma_width(), picture.chroma_width()];
    let [luma, chroma] = picture.strides;
    let (y, u, v) = frame.planes_mut();
    let sources = picture.planes.into_iter().zip([luma, chroma, chroma]).zip(widths);
    for (plane, ((source, stride), width)) in [y, u, v].into_iter().zip(sources) {
        for (to, from) in plane.chunks_exact_mut(width).zip(source.chunks(stride)) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
    }
    frame
}
