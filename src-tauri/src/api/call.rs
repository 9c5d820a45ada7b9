//! The call that runs.

use ahoy_call::{
    link::Route,
    quality::{Flow, NetworkReason, Quality},
};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Notice;

/// Which media somebody sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct MediaState {
    /// A microphone, not muted.
    pub audio: bool,
    /// A camera, switched on.
    pub video: bool,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum CallPhase {
    /// The other side is being told.
    Calling,
    /// It rings there.
    Ringing,
    /// It rings here.
    Incoming,
    /// Accepted; the connection is being made.
    Connecting,
    /// Connected.
    Active,
    /// The connection was lost and is being looked for.
    Reconnecting,
    /// Connected; nothing is sent.
    Held,
    /// Over.
    Ended,
}

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// This side.
    Outgoing,
    /// The other side.
    Incoming,
}

/// What was done to our video because the network or the processor cannot take more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Adapted {
    /// It is smaller, or has fewer frames.
    Smaller,
    /// It is not sent.
    Paused,
}

/// Why a call does not go well, and what was adapted to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct NetworkTrouble {
    /// Why.
    pub reason: NetworkReason,
    /// Which direction it is about; none: both.
    pub flow: Option<Flow>,
}

/// Who cannot be heard, and what of it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Unheard {
    /// Our microphone is missing or lost.
    NoMicrophone,
    /// Our microphone gives silence.
    SilentMicrophone,
    /// Our microphone gives sound, and the other side gets none.
    OnTheWay,
    /// We do not hear the other side.
    There,
}

/// Where the media of a call run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum CallMode {
    /// In the engine.
    Native,
    /// In the page's own `RTCPeerConnection`.
    Browser,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct CallEnd {
    /// The word of the signaling.
    pub reason: String,
    /// The reason in plain words.
    pub text: String,
}

/// A call as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Its id, which is the channel of its envelopes.
    pub id: String,
    /// The other side's id.
    pub peer: String,
    /// What the other side is called.
    pub peer_name: String,
    /// Who called.
    pub direction: Direction,
    /// How far it has come.
    pub phase: CallPhase,
    /// What the user wants to send.
    pub wanted: MediaState,
    /// What is sent.
    pub sending: MediaState,
    /// What the other side sends.
    pub receiving: MediaState,
    /// We hold it.
    pub held_here: bool,
    /// The other side holds it.
    pub held_there: bool,
    /// When it was connected, unix ms.
    pub started_at: Option<i64>,
    /// The other side's picture: a stream of `media://`.
    pub remote_stream: Option<String>,
    /// Our own picture: a stream of `media://`.
    pub local_stream: Option<String>,
    /// Which way the media take, where it is known.
    pub route: Option<Route>,
    /// How well it goes, where it is known.
    pub quality: Option<Quality>,
    /// Why it does not go well.
    pub trouble: Option<NetworkTrouble>,
    /// What was done to our video because the network or the processor cannot take more.
    pub adapted: Option<Adapted>,
    /// The other side's camera is on, and its video is paused because its network is slow.
    pub paused_there: bool,
    /// Who cannot be heard.
    pub unheard: Option<Unheard>,
    /// Where its media run.
    pub mode: CallMode,
    /// What is wrong with it, the newest last.
    pub notices: Vec<Notice>,
    /// How it ended.
    pub end: Option<CallEnd>,
}
