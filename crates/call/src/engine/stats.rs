//! What the engine measures of each peer, in one piece.

use ahoy_media::{
    audio::mixer::StreamStats,
    units::{Bitrate, VideoFormat},
    video::encode::EncoderStats,
};

use super::Adapted;
use crate::{
    id::PeerId,
    link::{Estimate, LinkStats},
    quality::SentVideo,
};

/// Our encoder, which all peers share.
#[derive(Clone, Copy, Debug)]
pub struct VideoEncoding {
    /// What it was last told to aim at.
    pub target: Bitrate,
    /// What it sends of the camera's frames; none: video is paused.
    pub format: Option<VideoFormat>,
    /// Why that is less than the camera and the user's choice allow.
    pub adapted: Adapted,
    /// How many times the pixels a second were halved for that reason; 10: video is paused.
    pub halvings: f64,
    /// What it did.
    pub encoder: EncoderStats,
}

impl VideoEncoding {
    /// What is sent, in the terms that people are told.
    pub fn sent(&self) -> SentVideo {
        self.format.map_or(SentVideo::Paused, SentVideo::Sent)
    }
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
    /// What the path to it carries; none until feedback came.
    pub estimate: Option<Estimate>,
    /// Its sound.
    pub audio: AudioIn,
    /// Our encoder; none while the camera is off.
    pub video: Option<VideoEncoding>,
}
