//! The functions of libopus 1.6 that sound needs, made safe: encoder, decoder, deep redundancy (DRED), and
//! what a packet's header says.
//!
//! This is the only file of the sound code with `unsafe`. No function here keeps a pointer that it is given.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_int},
    fmt,
    ptr::{self, NonNull},
};

use opusic_sys as sys;

use crate::audio::SAMPLE_RATE;

const RATE: i32 = SAMPLE_RATE as i32;
const MONO: c_int = 1;

/// An error code of libopus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LibopusError(c_int);

impl LibopusError {
    const BAD_ARGUMENT: Self = Self(sys::OPUS_BAD_ARG);
    const OUT_OF_MEMORY: Self = Self(sys::OPUS_ALLOC_FAIL);

    /// Reads the answer of a function that gives a count, or an error below 0.
    fn count(answer: c_int) -> Result<usize, Self> {
        usize::try_from(answer).map_err(|_| Self(answer))
    }
}

impl fmt::Display for LibopusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: libopus answers a static string for every number.
        let text = unsafe { CStr::from_ptr(sys::opus_strerror(self.0)) };
        f.write_str(&text.to_string_lossy())
    }
}

impl std::error::Error for LibopusError {}

/// A setting of an encoder. Each takes one number, in the range that the `OPUS_SET_` macro of the same name
/// documents.
#[derive(Clone, Copy, Debug)]
pub enum Set {
    /// In bit/s.
    Bitrate(i32),
    /// 0 to 10.
    Complexity(i32),
    Dtx(bool),
    /// Low-bitrate redundancy of SILK (RFC 6716 section 2.1.7).
    InbandFec(bool),
    /// 0 to 100.
    ExpectedLoss(i32),
    /// Nothing over 8 kHz is coded.
    WidebandOnly(bool),
    /// The sound is a voice.
    VoiceSignal,
    /// Deep redundancy in each packet, in units of 10 ms, up to 104.
    DredDuration(i32),
}

/// An encoder of 48 kHz mono for voice.
#[derive(Debug)]
pub struct RawEncoder(NonNull<sys::OpusEncoder>);

// SAFETY: libopus keeps no state outside of the encoder, which may be used from any thread, one at a time.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    pub fn new() -> Result<Self, LibopusError> {
        let mut error = sys::OPUS_OK;
        // SAFETY: takes numbers and a place for the error.
        let state = unsafe { sys::opus_encoder_create(RATE, MONO, sys::OPUS_APPLICATION_VOIP, &raw mut error) };
        NonNull::new(state).map(Self).ok_or(LibopusError(error))
    }

    pub fn set(&mut self, setting: Set) -> Result<(), LibopusError> {
        let (request, value) = match setting {
            Set::Bitrate(bps) => (sys::OPUS_SET_BITRATE_REQUEST, bps),
            Set::Complexity(complexity) => (sys::OPUS_SET_COMPLEXITY_REQUEST, complexity),
            Set::Dtx(on) => (sys::OPUS_SET_DTX_REQUEST, on.into()),
            Set::InbandFec(on) => (sys::OPUS_SET_INBAND_FEC_REQUEST, on.into()),
            Set::ExpectedLoss(percent) => (sys::OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent),
            Set::WidebandOnly(true) => (sys::OPUS_SET_MAX_BANDWIDTH_REQUEST, sys::OPUS_BANDWIDTH_WIDEBAND),
            Set::WidebandOnly(false) => (sys::OPUS_SET_MAX_BANDWIDTH_REQUEST, sys::OPUS_BANDWIDTH_FULLBAND),
            Set::VoiceSignal => (sys::OPUS_SET_SIGNAL_REQUEST, sys::OPUS_SIGNAL_VOICE),
            Set::DredDuration(frames) => (sys::OPUS_SET_DRED_DURATION_REQUEST, frames),
        };
        // SAFETY: the encoder lives as long as `self`; every one of these requests takes one `opus_int32`.
        done(unsafe { sys::opus_encoder_ctl(self.0.as_ptr(), request, value) })
    }

    /// Encodes all of `pcm`, which has to be as long as one of Opus's packets.
    pub fn encode(&mut self, pcm: &[f32], out: &mut [u8]) -> Result<usize, LibopusError> {
        let samples = c_int::try_from(pcm.len()).map_err(|_| LibopusError::BAD_ARGUMENT)?;
        let room = i32::try_from(out.len()).unwrap_or(i32::MAX);
        // SAFETY: `pcm` has `samples` samples of the one channel, `out` has at least `room` bytes.
        let answer = unsafe { sys::opus_encode_float(self.0.as_ptr(), pcm.as_ptr(), samples, out.as_mut_ptr(), room) };
        LibopusError::count(answer)
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, and destroyed only here.
        unsafe { sys::opus_encoder_destroy(self.0.as_ptr()) };
    }
}

/// A decoder to 48 kHz mono. Nothing allocates after [`RawDecoder::new`].
#[derive(Debug)]
pub struct RawDecoder(NonNull<sys::OpusDecoder>);

// SAFETY: as for the encoder.
unsafe impl Send for RawDecoder {}

impl RawDecoder {
    /// `complexity` is 0 to 10: from 5 on lost sound is concealed by a neural network, from 7 on another one
    /// improves speech of low bitrates (libopus `OPUS_SET_COMPLEXITY`).
    pub fn new(complexity: i32) -> Result<Self, LibopusError> {
        let mut error = sys::OPUS_OK;
        // SAFETY: takes numbers and a place for the error.
        let state = unsafe { sys::opus_decoder_create(RATE, MONO, &raw mut error) };
        let this = NonNull::new(state).map(Self).ok_or(LibopusError(error))?;
        // SAFETY: the decoder lives as long as `this`; the request takes one `opus_int32`.
        done(unsafe { sys::opus_decoder_ctl(this.0.as_ptr(), sys::OPUS_SET_COMPLEXITY_REQUEST, complexity) })?;
        Ok(this)
    }

    /// Decodes a whole packet and gives its length in samples.
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, LibopusError> {
        self.run(Some(packet), out, false)
    }

    /// Fills `out` with what `packet` repeats of the sound before it; what it does not repeat is concealed.
    pub fn decode_fec(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, LibopusError> {
        self.run(Some(packet), out, true)
    }

    /// Fills `out` with a guess.
    pub fn conceal(&mut self, out: &mut [f32]) -> Result<usize, LibopusError> {
        self.run(None, out, false)
    }

    fn run(&mut self, packet: Option<&[u8]>, out: &mut [f32], fec: bool) -> Result<usize, LibopusError> {
        let (data, len) = match packet {
            // libopus would take it for a lost packet.
            Some([]) => return Err(LibopusError::BAD_ARGUMENT),
            Some(packet) => (packet.as_ptr(), length(packet)?),
            None => (ptr::null(), 0),
        };
        let room = c_int::try_from(out.len()).map_err(|_| LibopusError::BAD_ARGUMENT)?;
        // SAFETY: `data` is null or has `len` bytes; `out` has room for `room` samples of the one channel.
        let answer = unsafe { sys::opus_decode_float(self.0.as_ptr(), data, len, out.as_mut_ptr(), room, fec.into()) };
        LibopusError::count(answer)
    }

    /// Fills `out` with what `dred` tells of the sound that begins `offset` samples before the packet that
    /// was parsed last; what it does not tell is concealed.
    pub fn decode_dred(&mut self, dred: &RawDred, offset: usize, out: &mut [f32]) -> Result<usize, LibopusError> {
        let (Ok(offset), Ok(room), true) = (i32::try_from(offset), i32::try_from(out.len()), dred.parsed) else {
            return Err(LibopusError::BAD_ARGUMENT);
        };
        // SAFETY: `out` has room for `room` samples of the one channel; the state was filled by
        // `opus_dred_parse`.
        let answer = unsafe {
            sys::opus_decoder_dred_decode_float(self.0.as_ptr(), dred.state.as_ptr(), offset, out.as_mut_ptr(), room)
        };
        LibopusError::count(answer)
    }

    /// Forgets the stream so far; the settings stay.
    pub fn reset(&mut self) -> Result<(), LibopusError> {
        // SAFETY: the decoder lives as long as `self`; the request takes nothing.
        done(unsafe { sys::opus_decoder_ctl(self.0.as_ptr(), sys::OPUS_RESET_STATE) })
    }
}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_decoder_create`, and destroyed only here.
        unsafe { sys::opus_decoder_destroy(self.0.as_ptr()) };
    }
}

/// Sound that a packet describes by deep redundancy, in samples before the packet's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DredSpan {
    /// Where it begins; 0: there is none.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
}

/// Reads the deep redundancy of one packet at a time. Nothing allocates after [`RawDred::new`].
#[derive(Debug)]
pub struct RawDred {
    decoder: NonNull<sys::OpusDREDDecoder>,
    state: NonNull<sys::OpusDRED>,
    /// The state holds what `opus_dred_parse` wrote; before that it is uninitialised memory.
    parsed: bool,
}

// SAFETY: as for the encoder; the state has no pointers.
unsafe impl Send for RawDred {}

impl RawDred {
    pub fn new() -> Result<Self, LibopusError> {
        let mut error = sys::OPUS_OK;
        // SAFETY: takes a place for the error.
        let decoder = NonNull::new(unsafe { sys::opus_dred_decoder_create(&raw mut error) });
        let decoder = decoder.ok_or(LibopusError(error))?;
        // SAFETY: takes a place for the error.
        let Some(state) = NonNull::new(unsafe { sys::opus_dred_alloc(&raw mut error) }) else {
            // SAFETY: made above, and not used again.
            unsafe { sys::opus_dred_decoder_destroy(decoder.as_ptr()) };
            return Err(LibopusError::OUT_OF_MEMORY);
        };
        Ok(Self { decoder, state, parsed: false })
    }

    /// Tells which sound before `packet` it describes, without the work of decoding it.
    pub fn span(&mut self, packet: &[u8]) -> Result<DredSpan, LibopusError> {
        self.parse(packet, SAMPLE_RATE as usize, true)
    }

    /// Decodes what `packet` describes of the `samples` before it, for [`RawDecoder::decode_dred`].
    pub fn read(&mut self, packet: &[u8], samples: usize) -> Result<DredSpan, LibopusError> {
        self.parse(packet, samples, false)
    }

    fn parse(&mut self, packet: &[u8], samples: usize, defer: bool) -> Result<DredSpan, LibopusError> {
        self.parsed = false;
        if packet.is_empty() {
            return Err(LibopusError::BAD_ARGUMENT);
        }
        // A second is all that DRED holds; a bounded number cannot overflow in libopus.
        let samples = samples.min(SAMPLE_RATE as usize) as i32;
        let (len, mut end) = (length(packet)?, 0);
        // SAFETY: `packet` has `len` bytes, at least one; decoder and state live as long as `self`.
        let answer = unsafe {
            sys::opus_dred_parse(
                self.decoder.as_ptr(),
                self.state.as_ptr(),
                packet.as_ptr(),
                len,
                samples,
                RATE,
                &raw mut end,
                defer.into(),
            )
        };
        let from = LibopusError::count(answer)?;
        // It marks the state as empty first, whatever it finds.
        self.parsed = true;
        Ok(DredSpan { from, to: usize::try_from(end).unwrap_or(0).min(from) })
    }
}

impl Drop for RawDred {
    fn drop(&mut self) {
        // SAFETY: made by `opus_dred_alloc` and `opus_dred_decoder_create`, and given back only here.
        unsafe {
            sys::opus_dred_free(self.state.as_ptr());
            sys::opus_dred_decoder_destroy(self.decoder.as_ptr());
        }
    }
}

/// Samples at 48 kHz that `packet` decodes to.
pub fn packet_samples(packet: &[u8]) -> Option<usize> {
    let len = length(packet).ok().filter(|&len| len > 0)?;
    // SAFETY: `packet` has `len` bytes, at least one.
    LibopusError::count(unsafe { sys::opus_packet_get_nb_samples(packet.as_ptr(), len, RATE) }).ok()
}

/// Samples at 48 kHz of one of the frames in `packet`.
pub fn frame_samples(packet: &[u8]) -> Option<usize> {
    // SAFETY: the first byte is there, and no other is read.
    let answer = unsafe { sys::opus_packet_get_samples_per_frame(packet.first()?, RATE) };
    LibopusError::count(answer).ok()
}

/// Whether the first frame of `packet` repeats the frame before it (LBRR, RFC 6716 section 4.2.4).
pub fn has_fec(packet: &[u8]) -> bool {
    let Some(len) = length(packet).ok().filter(|&len| len > 0) else { return false };
    // SAFETY: `packet` has `len` bytes, at least one.
    unsafe { sys::opus_packet_has_lbrr(packet.as_ptr(), len) == 1 }
}

fn length(packet: &[u8]) -> Result<i32, LibopusError> {
    i32::try_from(packet.len()).map_err(|_| LibopusError::BAD_ARGUMENT)
}

fn done(answer: c_int) -> Result<(), LibopusError> {
    if answer == sys::OPUS_OK { Ok(()) } else { Err(LibopusError(answer)) }
}
