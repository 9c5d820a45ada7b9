//! Planes to VP8, in real time.
//!
//! The settings are those of Chromium's WebRTC for one camera layer (its `libvpx_vp8_encoder.cc`), except
//! where said.

use std::{mem::MaybeUninit, os::raw::c_int, ptr, slice, time::Instant};

use bytes::Bytes;
use vpx_sys::{
    VPX_DL_REALTIME, VPX_EFLAG_FORCE_KF, VPX_ENCODER_ABI_VERSION, VPX_FRAME_IS_KEY, vp8e_enc_control_id as control,
    vpx_codec_control_, vpx_codec_cx_pkt_kind, vpx_codec_enc_cfg_t, vpx_codec_enc_config_default,
    vpx_codec_enc_config_set, vpx_codec_enc_init_ver, vpx_codec_encode, vpx_codec_err_t, vpx_codec_get_cx_data,
    vpx_codec_vp8_cx, vpx_enc_pass, vpx_image_t, vpx_img_fmt, vpx_img_wrap, vpx_kf_mode, vpx_rational_t, vpx_rc_mode,
};

use super::{Vp8Error, check_size, codec::Context};
use crate::{
    units::{Bitrate, VideoFormat},
    video::{EncodedFrame, I420Frame},
};

/// Ticks a second of the encoder's clock: RTP's for video, fine enough for any frame rate.
const CLOCK: u32 = 90_000;
/// Bilinear prediction and the simple loop filter (RFC 6386 section 9.1), where Chromium has 0: less work for
/// both ends at the same quality, see docs/architecture.md.
const PROFILE: u32 = 1;
/// The speed: the larger the negative number, the less is searched. Negative also means fixed: a positive one
/// lets libvpx change the speed by its own measurements, whose first seconds are slow.
const CPU_USED: c_int = -6;
/// Rate control's model of the receiver's buffer, in ms: its size, how full it is at first, how full it is
/// kept.
const BUFFER_MS: u32 = 1000;
const BUFFER_INITIAL_MS: u32 = 500;
const BUFFER_OPTIMAL_MS: u32 = 600;
/// Below this percentage of the optimal level frames are dropped: for content too hard for the rate a lower
/// frame rate now is better than seconds of delay later.
const DROP_FRAME_PERCENT: u32 = 30;
/// How far, in percent of the target, one frame may go under and over what rate control aims at.
const UNDERSHOOT_PERCENT: u32 = 100;
const OVERSHOOT_PERCENT: u32 = 15;
/// Quantizers from nearly lossless to the coarsest that is still a picture.
const QUANTIZER_MIN: u32 = 2;
const QUANTIZER_MAX: u32 = 56;
/// Blocks that differ less than this from the last frame are not coded again; 1 only skips what is really
/// still.
const STATIC_THRESHOLD: c_int = 1;
/// The part of the optimal buffer that one key frame may fill; and the least it may take, in percent of an
/// average frame, so that a low frame rate does not turn key frames into blur.
const KEY_FRAME_BUFFER_SHARE: f64 = 0.5;
const KEY_FRAME_MIN_PERCENT: u32 = 300;
/// An interval between two captures counts as at least half and at most 8 times the nominal one. Past that it
/// is no frame rate but a burst or a pause, whose unused bits must not all go into one frame.
const INTERVAL_MAX_FACTOR: f64 = 8.0;
const INTERVAL_MIN_FACTOR: f64 = 0.5;
/// Weight of the newest interval in the running frame rate: follows a camera that slows down in the dark
/// within half a second, and evens out the jitter of capture times.
const INTERVAL_WEIGHT: f64 = 0.1;

/// A VP8 encoder for live video: constant bit rate, one thread, one frame in and at most one out, key frames
/// only at first, on request and after a change of size.
pub struct Encoder {
    context: Context,
    format: VideoFormat,
    bitrate: Bitrate,
    clock: Clock,
}

impl Encoder {
    /// An encoder whose first frame is a key frame. The frame rate is a first guess: later it is measured.
    pub fn new(format: VideoFormat, bitrate: Bitrate) -> Result<Self, Vp8Error> {
        check_size(format.width, format.height)?;
        Ok(Self { context: open(format, bitrate)?, format, bitrate, clock: Clock::new(format.fps) })
    }

    /// Encodes one picture; `None` when rate control drops it. Never drops a key frame.
    /// A picture of another size than the one before becomes a key frame of that size.
    pub fn encode(&mut self, frame: &I420Frame, force_key: bool) -> Result<Option<EncodedFrame>, Vp8Error> {
        self.adapt_size(frame.width(), frame.height())?;
        let image = wrap(frame)?;
        let (pts, duration) = self.clock.tick(frame.captured_at);
        let flags = if force_key { i64::from(VPX_EFLAG_FORCE_KF) } else { 0 };
        // SAFETY: the context is an encoder's; `image` points into `frame`, which outlives the call, and
        // libvpx only reads it, copying it before it returns.
        let answer = unsafe {
            vpx_codec_encode(self.context.as_mut_ptr(), &image, pts, duration as _, flags as _, VPX_DL_REALTIME.into())
        };
        self.context.check(answer).map_err(Vp8Error::Encode)?;
        Ok(self.packet().map(|(data, key)| EncodedFrame {
            data,
            key,
            width: frame.width(),
            height: frame.height(),
            captured_at: frame.captured_at,
        }))
    }

    /// Changes the target from the next frame on, without a key frame.
    pub fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), Vp8Error> {
        let config = config(self.format, bitrate)?;
        // SAFETY: the context is an encoder's; libvpx copies the configuration.
        let answer = unsafe { vpx_codec_enc_config_set(self.context.as_mut_ptr(), &config) };
        self.context.check(answer).map_err(|reason| Vp8Error::Bitrate { kbps: kbps(bitrate), reason })?;
        self.bitrate = bitrate;
        Ok(())
    }

    /// Starts libvpx anew for another size: in place it only shrinks, and rate control has to start over
    /// anyway.
    fn adapt_size(&mut self, width: u32, height: u32) -> Result<(), Vp8Error> {
        if (width, height) == (self.format.width, self.format.height) {
            return Ok(());
        }
        check_size(width, height)?;
        let format = VideoFormat { width, height, ..self.format };
        self.context = open(format, self.bitrate)?;
        self.format = format;
        Ok(())
    }

    /// The frame that the last call made, and whether it is a key frame.
    fn packet(&mut self) -> Option<(Bytes, bool)> {
        let mut iter = ptr::null();
        loop {
            // SAFETY: null, or a packet of the encoder that stays valid until the next call with this
            // context.
            let packet = unsafe { vpx_codec_get_cx_data(self.context.as_mut_ptr(), &mut iter).as_ref() }?;
            if packet.kind == vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                // SAFETY: `kind` says which member of the union is set, and that member has `sz` bytes at
                // `buf`.
                let (data, flags) = unsafe {
                    let frame = packet.data.frame;
                    (slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz), frame.flags)
                };
                return Some((Bytes::copy_from_slice(data), flags & VPX_FRAME_IS_KEY != 0));
            }
        }
    }
}

/// Presentation times for rate control: they advance by the smoothed interval of the captures, so that a
/// camera that gives half of the nominal rate still gets the whole bit rate.
struct Clock {
    nominal: f64,
    interval: f64,
    last_capture: Option<Instant>,
    now: f64,
}

impl Clock {
    fn new(fps: u32) -> Self {
        let nominal = f64::from(CLOCK) / f64::from(fps.clamp(1, VideoFormat::MAX_FPS));
        Self { nominal, interval: nominal, last_capture: None, now: 0.0 }
    }

    /// Start and duration, in ticks, of the picture captured at `at`. Starts rise strictly.
    fn tick(&mut self, at: Instant) -> (i64, i64) {
        if let Some(last) = self.last_capture.replace(at) {
            let elapsed = at.saturating_duration_since(last).as_secs_f64() * f64::from(CLOCK);
            let elapsed = elapsed.clamp(INTERVAL_MIN_FACTOR * self.nominal, INTERVAL_MAX_FACTOR * self.nominal);
            self.interval += INTERVAL_WEIGHT * (elapsed - self.interval);
        }
        let start = self.now as i64;
        self.now += self.interval;
        (start, self.now as i64 - start)
    }
}

/// libvpx counts in kbit/s, and 0 would stop it.
fn kbps(bitrate: Bitrate) -> u32 {
    u32::try_from(bitrate.kbps()).unwrap_or(u32::MAX).max(1)
}

fn config(format: VideoFormat, bitrate: Bitrate) -> Result<vpx_codec_enc_cfg_t, Vp8Error> {
    // SAFETY: a plain C struct of integers and enums with a zero variant, which libvpx fills with its
    // defaults.
    let (mut config, answer) = unsafe {
        let mut config = MaybeUninit::<vpx_codec_enc_cfg_t>::zeroed().assume_init();
        let answer = vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &mut config, 0);
        (config, answer)
    };
    if answer != vpx_codec_err_t::VPX_CODEC_OK {
        return Err(Vp8Error::Open(format!("{answer:?}")));
    }
    config.g_profile = PROFILE;
    (config.g_w, config.g_h) = (format.width, format.height);
    config.g_timebase = vpx_rational_t { num: 1, den: CLOCK as c_int };
    // A second thread gains a third of the time and costs more CPU in all; the other core is for the other
    // work.
    config.g_threads = 1;
    config.g_lag_in_frames = 0;
    config.g_pass = vpx_enc_pass::VPX_RC_ONE_PASS;
    // Losses are mended by NACK or a key frame, and no frame reaches a decoder without those it builds on. So
    // resilience inside of the stream would only cost bits.
    config.g_error_resilient = 0;
    config.kf_mode = vpx_kf_mode::VPX_KF_DISABLED;
    config.rc_end_usage = vpx_rc_mode::VPX_CBR;
    config.rc_target_bitrate = kbps(bitrate);
    config.rc_resize_allowed = 0;
    config.rc_dropframe_thresh = DROP_FRAME_PERCENT;
    (config.rc_min_quantizer, config.rc_max_quantizer) = (QUANTIZER_MIN, QUANTIZER_MAX);
    (config.rc_undershoot_pct, config.rc_overshoot_pct) = (UNDERSHOOT_PERCENT, OVERSHOOT_PERCENT);
    config.rc_buf_sz = BUFFER_MS;
    config.rc_buf_initial_sz = BUFFER_INITIAL_MS;
    config.rc_buf_optimal_sz = BUFFER_OPTIMAL_MS;
    Ok(config)
}

fn open(format: VideoFormat, bitrate: Bitrate) -> Result<Context, Vp8Error> {
    let config = config(format, bitrate)?;
    // SAFETY: the closure does nothing but the initialisation; libvpx copies the configuration.
    let context = unsafe {
        Context::open(|context| {
            vpx_codec_enc_init_ver(context, vpx_codec_vp8_cx(), &config, 0, VPX_ENCODER_ABI_VERSION as c_int)
        })
    };
    let mut context = context.map_err(Vp8Error::Open)?;
    let key_frame_percent = KEY_FRAME_BUFFER_SHARE * f64::from(BUFFER_OPTIMAL_MS) * f64::from(format.fps) / 10.0;
    let settings = [
        (control::VP8E_SET_CPUUSED, CPU_USED),
        // No denoiser: it costs a third of the encoding time.
        (control::VP8E_SET_NOISE_SENSITIVITY, 0),
        (control::VP8E_SET_STATIC_THRESHOLD, STATIC_THRESHOLD),
        (control::VP8E_SET_TOKEN_PARTITIONS, 0),
        (control::VP8E_SET_MAX_INTRA_BITRATE_PCT, (key_frame_percent as c_int).max(KEY_FRAME_MIN_PERCENT as c_int)),
        (control::VP8E_SET_SCREEN_CONTENT_MODE, 0),
    ];
    for (control, value) in settings {
        // SAFETY: the context is an encoder's, and each of these controls takes one int.
        let answer = unsafe { vpx_codec_control_(context.as_mut_ptr(), control as c_int, value) };
        context.check(answer).map_err(|reason| Vp8Error::Open(format!("{control:?}: {reason}")))?;
    }
    Ok(context)
}

/// Describes the frame's planes to libvpx, without a copy.
fn wrap(frame: &I420Frame) -> Result<vpx_image_t, Vp8Error> {
    let mut image = MaybeUninit::<vpx_image_t>::zeroed();
    // libvpx only reads the picture, though its type says otherwise.
    let data = frame.data().as_ptr().cast_mut();
    // SAFETY: `image` may be written; zeroes are valid for it; it then borrows `frame`'s memory and owns
    // nothing.
    let (wrapped, mut image) = unsafe {
        let wrapped =
            vpx_img_wrap(image.as_mut_ptr(), vpx_img_fmt::VPX_IMG_FMT_I420, frame.width(), frame.height(), 1, data);
        (!wrapped.is_null(), image.assume_init())
    };
    if !wrapped {
        return Err(Vp8Error::Encode(format!("no image of {}x{}", frame.width(), frame.height())));
    }
    // Of an odd width libvpx takes half rounded down as the chroma's; a frame of ours has it rounded up.
    let (y, u, v) = frame.planes();
    image.planes = [y.as_ptr().cast_mut(), u.as_ptr().cast_mut(), v.as_ptr().cast_mut(), ptr::null_mut()];
    let chroma = frame.chroma_width() as c_int;
    image.stride = [frame.width() as c_int, chroma, chroma, 0];
    Ok(image)
}
