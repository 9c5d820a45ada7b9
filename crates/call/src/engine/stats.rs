//! What the engine measures of each peer, in one piece.

use ahoy_media::{
    audio::mixer::StreamStats,
    units::{Bitrate, VideoFormat},
    video::encode::EncoderStats,
};

use super::Adapted;
use crate::{id::PeerId, link::LinkStats};

/// Our encoder, which all peers share.
#[derive(Clone, Copy, Debug)]
pub struct VideoEncoding {
    /// What it was last told to aim at.
    pub target: Bitrate,
    /// What it sends of the camera's frames; none: video is paused.
    pub format: Option<VideoFormat>,
    /// Why that is not all that the camera gives.
    pub adapted: Adapted,
    /// What it did.
    pub encoder: EncoderStats,
}

/// The jitter buffer of one peer's sound.
pub type AudioIn = StreamStats;

/// One peer of the call.
#[derive(Clone, Debug)]
pub struct PeerStats {
    /// Who.
    pub peer: PeerId,
    /// Its link.
    pub link: LinkStats,
    /// Its sound.
    pub audio: AudioIn,
    /// Our encoder; none while the camera is off.
    pub video: Option<VideoEncoding>,
}
