//! How well the network carries a call, in the terms that people and programs are told.

use ahoy_media::units::VideoFormat;
use serde::{Deserialize, Serialize};

use crate::{engine::Adapted, link::Route};

/// How well the network carries a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Nothing can be noticed.
    Good,
    /// It can be noticed.
    Fair,
    /// It disturbs.
    Poor,
    /// Nothing arrives.
    Lost,
}

/// Why the quality is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum NetworkReason {
    /// Packets get lost.
    Loss,
    /// Packets take long, or arrive too late to be of use.
    Delay,
    /// The network carries less than the video needs.
    Bandwidth,
    /// The processor does not encode fast enough.
    Processor,
    /// The connection is gone, or no packets come through it.
    Outage,
}

/// Which of the two directions suffers most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// What we send.
    Sending,
    /// What we receive.
    Receiving,
}

/// Our video. JSON: `"paused"`, or the size and rate that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentVideo {
    /// The camera is on, and the network carries no more than sound.
    Paused,
    /// Sent with this size and at most this rate.
    #[serde(untagged)]
    Sent(VideoFormat),
}

/// How well the network carries a call, why, and what was adapted to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkState {
    /// How well.
    pub quality: Quality,
    /// Why it is not good; none where it is.
    pub reason: Option<NetworkReason>,
    /// Which direction the reason is about; none where it is about both.
    pub flow: Option<Flow>,
    /// Our video; none while the camera is off.
    pub video: Option<SentVideo>,
    /// Why our video is less than the camera and the user's choice allow.
    pub adapted: Adapted,
    /// Which way media take; none until it is known.
    pub route: Option<Route>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_is_a_size_or_the_word_paused() {
        for (video, json) in [
            (Some(SentVideo::Paused), r#""paused""#),
            (Some(SentVideo::Sent(VideoFormat::HD)), r#"{"width":1280,"height":720,"fps":30}"#),
            (None, "null"),
        ] {
            assert_eq!(serde_json::to_string(&video).unwrap(), json);
            assert_eq!(serde_json::from_str::<Option<SentVideo>>(json).unwrap(), video);
        }
    }
}
