//! What a call tells whoever shows it: one tagged enum for the page, for `ahoy-peer` and for tests.

use ahoy_media::advice::Advice;
use serde::{Deserialize, Serialize};

use crate::{
    id::{CallId, PeerId},
    message::{HangupReason, MediaState, ParseError, Paused},
    quality::NetworkState,
};

/// Something that happened in a call. JSON: an object with the kebab-case name as its `event`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum CallEvent {
    /// A peer calls us: accept, decline, or let it ring.
    Incoming {
        /// Who calls.
        peer: PeerId,
        /// What the caller is going to send.
        media: MediaState,
    },
    /// A peer called while we were in another call; it was told that we are busy.
    Missed {
        /// Who called.
        peer: PeerId,
    },
    /// At the peer that we call it rings.
    Ringing {
        /// Whom we call.
        peer: PeerId,
    },
    /// The call was accepted; the connection is being made.
    Connecting {
        /// The other side.
        peer: PeerId,
    },
    /// Media can flow.
    Connected {
        /// The other side.
        peer: PeerId,
    },
    /// The connection was lost; a new way is being looked for.
    Reconnecting {
        /// The other side.
        peer: PeerId,
    },
    /// The connection is back.
    Reconnected {
        /// The other side.
        peer: PeerId,
    },
    /// What the other side sends from now on.
    MediaState {
        /// The other side.
        peer: PeerId,
        /// What it sends.
        #[serde(flatten)]
        media: MediaState,
        /// Why the video of its camera, which is on, does not come for now; none where that is not so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paused: Option<Paused>,
    },
    /// How well the network carries the call. The first one comes once that is known, some 5 s after the call
    /// was connected; then one whenever something changed that a person would notice, at most one a second.
    Network {
        /// The other side.
        peer: PeerId,
        /// How well, why, and what was adapted.
        #[serde(flatten)]
        network: NetworkState,
    },
    /// Who holds the call; nothing is sent while anybody does.
    Hold {
        /// The other side.
        peer: PeerId,
        /// We hold it.
        local: bool,
        /// The other side holds it.
        remote: bool,
    },
    /// The first picture of the other side can be shown.
    FirstVideo {
        /// The other side.
        peer: PeerId,
    },
    /// The first sound of the other side is being played.
    FirstAudio {
        /// The other side.
        peer: PeerId,
    },
    /// A device that was asked for is not there; the call goes on without it.
    DeviceMissing {
        /// Its kind.
        device: Device,
        /// What happened.
        what: String,
        /// What to do.
        todo: String,
    },
    /// A device went away, or stopped to deliver, in mid-call; the call goes on without it.
    DeviceLost {
        /// Its kind.
        device: Device,
        /// What happened.
        what: String,
        /// What to do.
        todo: String,
    },
    /// A device that was missing or lost gives again.
    DeviceBack {
        /// Its kind.
        device: Device,
    },
    /// Sound that should be heard is not. The call goes on.
    Unheard {
        /// Whose, and where.
        silence: Silence,
        /// What happened.
        what: String,
        /// What to do.
        todo: String,
    },
    /// It is heard again, or is no longer to be heard.
    Heard {
        /// Whose, and where.
        silence: Silence,
    },
    /// Both sides called at once: this call goes on as that one.
    Replaced {
        /// The call that goes on.
        by: CallId,
    },
    /// Something is wrong, and the call goes on with what it has.
    Problem(Problem),
    /// The call is over. The last event of each call, except of one that was [`CallEvent::Replaced`].
    Ended {
        /// The reason as it is on the wire.
        reason: HangupReason,
        /// Who ended it.
        by: Side,
        /// The reason in plain words, for a user.
        text: String,
    },
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// This end.
    Local,
    /// The other end.
    Remote,
}

/// Kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// Gives pictures.
    Camera,
    /// Gives sound.
    Microphone,
    /// Plays sound.
    Speaker,
}

/// Where sound gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// Our microphone, which is not muted, gives nothing but silence.
    Microphone,
    /// The other side says that it hears nothing of us.
    ToPeer,
    /// The other side says that it sends sound, and none comes.
    FromPeer,
}

/// What is wrong, for programs by its code and for people in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// To tell problems apart.
    pub code: ProblemCode,
    /// What happened.
    pub what: String,
    /// What to do.
    pub todo: String,
}

/// Problems that do not end a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// There is a call already.
    Busy,
    /// A message that cannot be read.
    BadMessage,
    /// A message for a call that does not exist.
    UnknownCall,
    /// A message for a call from somebody who is not in it.
    WrongPeer,
    /// A message at a time when it means nothing, as an answer that nobody asked for.
    UnexpectedMessage,
    /// A session description that cannot be used.
    BadDescription,
    /// A candidate that cannot be used.
    BadCandidate,
    /// More candidates than any honest peer has.
    TooManyCandidates,
    /// More offers than any honest peer makes.
    TooManyOffers,
    /// A message could not be sent.
    SignalingFailed,
    /// The statistics cannot be written.
    StatsOutput,
    /// The received media cannot be written.
    MediaOutput,
    /// Media stopped to arrive, or cannot be sent.
    Media,
}

impl Problem {
    /// A problem in words: what happened, what to do.
    pub fn new(code: ProblemCode, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { code, what: what.into(), todo: todo.into() }
    }
}

impl From<&ParseError> for Problem {
    fn from(error: &ParseError) -> Self {
        let Advice { what, todo } = error.advice();
        Self::new(ProblemCode::BadMessage, what, todo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Adapted,
        link::Route,
        quality::{Flow, NetworkReason, Quality, SentVideo},
    };

    #[test]
    fn events_are_tagged_objects_with_kebab_case_names() {
        let table = [
            (CallEvent::Connected { peer: "p".into() }, r#"{"event":"connected","peer":"p"}"#),
            (
                CallEvent::MediaState { peer: "p".into(), media: MediaState::BOTH, paused: None },
                r#"{"event":"media-state","peer":"p","audio":true,"video":true}"#,
            ),
            (
                CallEvent::MediaState {
                    peer: "p".into(),
                    media: MediaState { audio: true, video: false },
                    paused: Some(Paused::Bandwidth),
                },
                r#"{"event":"media-state","peer":"p","audio":true,"video":false,"paused":"bandwidth"}"#,
            ),
            (
                CallEvent::Network {
                    peer: "p".into(),
                    network: NetworkState {
                        quality: Quality::Poor,
                        reason: Some(NetworkReason::Bandwidth),
                        flow: Some(Flow::Sending),
                        video: Some(SentVideo::Paused),
                        adapted: Adapted::Network,
                        route: Some(Route::Direct),
                    },
                },
                r#"{"event":"network","peer":"p","quality":"poor","reason":"bandwidth","flow":"sending","video":"paused","adapted":"network","route":"direct"}"#,
            ),
            (CallEvent::FirstVideo { peer: "p".into() }, r#"{"event":"first-video","peer":"p"}"#),
            (
                CallEvent::Problem(Problem::new(ProblemCode::BadCandidate, "w", "t")),
                r#"{"event":"problem","code":"bad-candidate","what":"w","todo":"t"}"#,
            ),
            (CallEvent::Heard { silence: Silence::FromPeer }, r#"{"event":"heard","silence":"from-peer"}"#),
            (
                CallEvent::Ended { reason: HangupReason::Busy, by: Side::Remote, text: "T.".into() },
                r#"{"event":"ended","reason":"busy","by":"remote","text":"T."}"#,
            ),
        ];
        for (event, json) in table {
            assert_eq!(serde_json::to_string(&event).unwrap(), json);
            assert_eq!(serde_json::from_str::<CallEvent>(json).unwrap(), event);
        }
    }

    #[test]
    fn a_parse_error_becomes_a_problem_in_two_parts() {
        let problem = Problem::from(&ParseError::OtherVersion { found: 3 });
        assert_eq!(problem.what, "the message is of version 3, and this program speaks version 1");
        assert_eq!(problem.todo, "bring both sides up to date");
    }
}
