//! The part that encoder and decoder share: a libvpx context that is destroyed exactly once.

use std::{ffi::CStr, mem::MaybeUninit};

use vpx_sys::{
    VPX_CODEC_OK, vpx_codec_ctx_t, vpx_codec_destroy, vpx_codec_err_t, vpx_codec_err_to_string, vpx_codec_error_detail,
};

/// An initialised libvpx codec instance.
pub(super) struct Context(vpx_codec_ctx_t);

// SAFETY: libvpx keeps no thread-local state; an instance may be used from any thread, one at a time, which
// `&mut` access ensures.
unsafe impl Send for Context {}

impl Context {
    /// Lets `init` fill a zeroed context.
    ///
    /// # Safety
    /// When `init` answers `VPX_CODEC_OK`, it must have initialised the context by `vpx_codec_enc_init_ver`
    /// or `vpx_codec_dec_init_ver`.
    pub(super) unsafe fn open(init: impl FnOnce(*mut vpx_codec_ctx_t) -> vpx_codec_err_t) -> Result<Self, String> {
        // SAFETY: a plain C struct of pointers, integers and enums with a zero variant; libvpx zeroes it
        // itself.
        let mut context = unsafe { MaybeUninit::<vpx_codec_ctx_t>::zeroed().assume_init() };
        match init(&mut context) {
            VPX_CODEC_OK => Ok(Self(context)),
            // libvpx has already released what it had taken.
            error => Err(message(error)),
        }
    }

    /// For libvpx's functions, which take the context mutable even to read it.
    pub(super) fn as_mut_ptr(&mut self) -> *mut vpx_codec_ctx_t {
        &mut self.0
    }

    /// Turns libvpx's answer into a result with its own words.
    pub(super) fn check(&mut self, answer: vpx_codec_err_t) -> Result<(), String> {
        if answer == VPX_CODEC_OK {
            return Ok(());
        }
        // SAFETY: the context is initialised; the answer is null or a string that lives until the next call.
        let detail = unsafe {
            let detail = vpx_codec_error_detail(&mut self.0);
            (!detail.is_null()).then(|| CStr::from_ptr(detail).to_string_lossy().into_owned())
        };
        Err(match detail {
            Some(detail) => format!("{}: {detail}", message(answer)),
            None => message(answer),
        })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: initialised, and destroyed only here. The one error it can answer is an uninitialised
        // context.
        unsafe { vpx_codec_destroy(&mut self.0) };
    }
}

fn message(error: vpx_codec_err_t) -> String {
    // SAFETY: answers a static string for every value.
    unsafe { CStr::from_ptr(vpx_codec_err_to_string(error)) }.to_string_lossy().into_owned()
}
