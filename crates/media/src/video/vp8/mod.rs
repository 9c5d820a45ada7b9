//! VP8 (RFC 6386) by libvpx: a real-time [`Encoder`], a [`Decoder`], and what a frame's header says about
//! itself.
//!
//! All `unsafe` code of the video side is in this module.
#![allow(unsafe_code)]

mod codec;
mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;

use crate::units::VideoFormat;

/// What libvpx, or a frame given to it, did not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Vp8Error {
    /// The codec could not be set up.
    #[error("libvpx cannot open its VP8 codec ({0}); check that the installed libvpx has VP8 compiled in")]
    Open(String),
    /// A picture was refused.
    #[error("libvpx did not encode a picture ({0}); the next one starts over with a key frame")]
    Encode(String),
    /// Settings were refused in flight.
    #[error("libvpx did not take the bit rate {kbps} kbit/s ({reason}); the one before stays")]
    Bitrate {
        /// What was asked for.
        kbps: u32,
        /// libvpx's words.
        reason: String,
    },
    /// Data that are no VP8 frame, or one that lacks the frames it builds on.
    #[error("not a decodable VP8 frame ({0}); decoding goes on at the next key frame")]
    Decode(String),
    /// Sides outside of what is accepted, so that one hostile header cannot ask for gigabytes.
    #[error("a picture of {width}x{height} is not encoded or decoded: a side has 1 to {max} pixels", max = VideoFormat::MAX_SIDE)]
    Size {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The operating system gave no thread to the encoder.
    #[error("no thread for the encoder: {0}")]
    Thread(String),
}

/// Refuses sizes that neither side of a call has a use for.
fn check_size(width: u32, height: u32) -> Result<(), Vp8Error> {
    let sides = 1..=VideoFormat::MAX_SIDE;
    match sides.contains(&width) && sides.contains(&height) {
        true => Ok(()),
        false => Err(Vp8Error::Size { width, height }),
    }
}

/// Whether the frame decodes without any earlier one: bit 0 of the frame tag is clear (RFC 6386 section 9.1).
pub fn is_key_frame(data: &[u8]) -> bool {
    data.first().is_some_and(|tag| tag & 1 == 0)
}

/// Width and height that a key frame's header states; `None` for other frames and for data that are none
/// (RFC 6386 section 9.1: 3 bytes of tag, the start code, then 14 bits each with 2 bits of upscaling above).
pub fn frame_size(key_frame: &[u8]) -> Option<(u32, u32)> {
    const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
    const SIDE_BITS: u16 = 0x3fff;
    let header: &[u8; 10] = key_frame.first_chunk()?;
    let [tag, _, _, code @ .., w0, w1, h0, h1] = *header;
    let side = |bytes| u32::from(u16::from_le_bytes(bytes) & SIDE_BITS);
    let (width, height) = (side([w0, w1]), side([h0, h1]));
    (is_key_frame(&[tag]) && code == START_CODE && width > 0 && height > 0).then_some((width, height))
}

#[cfg(test)]
mod tests;
