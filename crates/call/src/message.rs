//! The signaling messages: what two peers say to each other until media flows, and to end it.
//!
//! The six base messages are what a browser peer speaks, field for field; the others are ours, and a peer
//! that does not know them ignores them, as we ignore types and fields that we do not know.

mod json;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::json::{
    EncodeError, MAX_CANDIDATE_BYTES, MAX_ENVELOPE_BYTES, MAX_SDP_BYTES, MAX_TOKEN_BYTES, ParseError,
};
use crate::id::CallId;

/// The one version of the schema so far.
pub const VERSION: u64 = 1;

/// Longest hang-up reason of somebody else's making that is kept; the rest is cut off.
pub const MAX_REASON_BYTES: usize = 64;

/// One message on its way: which call it belongs to, where it stands in its sender's order, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Envelope {
    v: u64,
    /// The call.
    pub channel: CallId,
    /// Rises with each message of one sender in one call. A peer that leaves it out, or always sends the
    /// same, must have an ordered transport.
    pub seq: u64,
    /// What it says.
    pub payload: Payload,
}

impl Envelope {
    /// An envelope of this version.
    pub fn new(channel: CallId, seq: u64, payload: Payload) -> Self {
        Self { v: VERSION, channel, seq, payload }
    }
}

/// What a message says. JSON: an object with the kebab-case name as its `type`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Payload {
    /// Caller to callee: will you talk?
    CallRequest {
        /// What the caller is going to send, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media: Option<MediaState>,
    },
    /// Callee to caller: accepted; make your offer.
    CallAck,
    /// A session description to answer (RFC 9429 section 4.1.8); the first one is the caller's.
    CallOffer {
        /// The description.
        sdp: String,
    },
    /// The answer to an offer.
    CallAnswer {
        /// The description.
        sdp: String,
    },
    /// A trickled candidate (RFC 8838). None, or one with an empty line: there are no more.
    IceCandidate {
        /// The candidate.
        #[serde(deserialize_with = "required")]
        candidate: Option<IceCandidate>,
    },
    /// Either side, at any time: the call is over.
    CallHangup {
        /// Why; a plain hang-up where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<HangupReason>,
    },
    /// Ours. Callee to caller: somebody is being told.
    Ringing,
    /// Ours. What the sender of this message sends from now on, and whether it hears what it is sent.
    MediaState {
        /// What it sends.
        #[serde(flatten)]
        media: MediaState,
        /// Left out where it is true. False: no sound comes, though the receiver of this message says that it
        /// sends some.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        hears: bool,
        /// The version of deep redundancy in Opus packets (`ahoy_media::audio::opus::DRED_VERSION`) that its
        /// sender reads. Left out: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dred: Option<u8>,
        /// Why the video of a camera that is on is not sent. Left out where nothing is paused. `video` is
        /// false while it is set, so a peer that does not know this field expects no video.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paused: Option<Paused>,
    },
    /// Ours. The sender of this message has put the call on hold, or taken it back.
    CallHold {
        /// Whether it is held from now on.
        held: bool,
    },
    /// A type that we do not know: ignored.
    #[serde(other)]
    Unknown,
}

/// Why the video of a camera that is on is not sent for now. On the wire a kebab-case word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paused {
    /// The sender's network carries no more than sound.
    Bandwidth,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

/// Which media are sent. An absent field is false, as in the constraints of `getUserMedia`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MediaState {
    /// A microphone, not muted.
    #[serde(default)]
    pub audio: bool,
    /// A camera, switched on.
    #[serde(default)]
    pub video: bool,
}

impl MediaState {
    /// Sound and picture.
    pub const BOTH: Self = Self { audio: true, video: true };
    /// Neither.
    pub const NONE: Self = Self { audio: false, video: false };
}

/// A candidate as `RTCIceCandidate.toJSON()` gives it (W3C webrtc-pc section 4.8.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceCandidate {
    /// The `candidate-attribute` line of RFC 8839 section 5.1; empty: there are no more.
    #[serde(default)]
    pub candidate: String,
    /// The media section it belongs to, by its `mid`.
    #[serde(default)]
    pub sdp_mid: Option<String>,
    /// The media section it belongs to, by its place.
    #[serde(default, rename = "sdpMLineIndex")]
    pub sdp_m_line_index: Option<u16>,
    /// The ICE generation it belongs to.
    #[serde(default)]
    pub username_fragment: Option<String>,
}

impl IceCandidate {
    /// What says that there are no more, in the form that every browser takes.
    pub fn end() -> Self {
        Self { sdp_mid: Some("0".to_owned()), sdp_m_line_index: Some(0), ..Self::default() }
    }

    /// Whether it says that there are no more.
    pub fn is_end(&self) -> bool {
        self.candidate.is_empty()
    }
}

/// Why a call was hung up. On the wire a kebab-case word.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum HangupReason {
    /// Somebody hung up.
    Hangup,
    /// The callee does not want to talk now.
    Declined,
    /// The callee is in another call.
    Busy,
    /// Nobody answered in time.
    Timeout,
    /// It could not be established, or broke.
    Failed,
    /// Both called at once, and the other call goes on.
    Glare,
    /// Another peer's word.
    Other(String),
}

impl HangupReason {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hangup => "hangup",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Glare => "glare",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for HangupReason {
    fn from(mut word: String) -> Self {
        match word.as_str() {
            "hangup" => Self::Hangup,
            "declined" => Self::Declined,
            "busy" => Self::Busy,
            "timeout" => Self::Timeout,
            "failed" => Self::Failed,
            "glare" => Self::Glare,
            _ => {
                word.truncate(word.floor_char_boundary(MAX_REASON_BYTES));
                Self::Other(word)
            }
        }
    }
}

impl From<HangupReason> for String {
    fn from(reason: HangupReason) -> Self {
        reason.as_str().to_owned()
    }
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// An optional value whose field must be there: serde would read an absent one as none.
fn required<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(payload: &str) -> Result<Payload, ParseError> {
        let json = format!(r#"{{"v":1,"channel":"c","seq":7,"payload":{payload}}}"#);
        Envelope::parse(json.as_bytes()).map(|envelope| envelope.payload)
    }

    fn candidate() -> IceCandidate {
        IceCandidate {
            candidate: "candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host".into(),
            sdp_mid: Some("0".into()),
            sdp_m_line_index: Some(0),
            username_fragment: None,
        }
    }

    /// The wire form of each message, exactly; what is written is read back.
    #[test]
    fn messages_are_written_and_read_field_for_field() {
        let table = [
            (
                Payload::CallRequest { media: Some(MediaState { audio: true, video: false }) },
                r#"{"type":"call-request","media":{"audio":true,"video":false}}"#,
            ),
            (Payload::CallRequest { media: None }, r#"{"type":"call-request"}"#),
            (Payload::CallAck, r#"{"type":"call-ack"}"#),
            (Payload::CallOffer { sdp: "v=0\r\n".into() }, r#"{"type":"call-offer","sdp":"v=0\r\n"}"#),
            (Payload::CallAnswer { sdp: "v=0\r\n".into() }, r#"{"type":"call-answer","sdp":"v=0\r\n"}"#),
            (
                Payload::IceCandidate { candidate: Some(candidate()) },
                r#"{"type":"ice-candidate","candidate":{"candidate":"candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}}"#,
            ),
            (Payload::IceCandidate { candidate: None }, r#"{"type":"ice-candidate","candidate":null}"#),
            (Payload::CallHangup { reason: None }, r#"{"type":"call-hangup"}"#),
            (
                Payload::CallHangup { reason: Some(HangupReason::Declined) },
                r#"{"type":"call-hangup","reason":"declined"}"#,
            ),
            (
                Payload::CallHangup { reason: Some(HangupReason::Other("elsewhere".into())) },
                r#"{"type":"call-hangup","reason":"elsewhere"}"#,
            ),
            (Payload::Ringing, r#"{"type":"ringing"}"#),
            (
                Payload::MediaState { media: MediaState::BOTH, hears: true, dred: None, paused: None },
                r#"{"type":"media-state","audio":true,"video":true}"#,
            ),
            (
                Payload::MediaState { media: MediaState::BOTH, hears: false, dred: None, paused: None },
                r#"{"type":"media-state","audio":true,"video":true,"hears":false}"#,
            ),
            (
                Payload::MediaState { media: MediaState::NONE, hears: true, dred: Some(12), paused: None },
                r#"{"type":"media-state","audio":false,"video":false,"dred":12}"#,
            ),
            (
                Payload::MediaState {
                    media: MediaState { audio: true, video: false },
                    hears: true,
                    dred: None,
                    paused: Some(Paused::Bandwidth),
                },
                r#"{"type":"media-state","audio":true,"video":false,"paused":"bandwidth"}"#,
            ),
            (Payload::CallHold { held: true }, r#"{"type":"call-hold","held":true}"#),
        ];
        for (payload, json) in table {
            let envelope = Envelope::new("c".parse().unwrap(), 7, payload);
            let line = format!(r#"{{"v":1,"channel":"c","seq":7,"payload":{json}}}"#);
            assert_eq!(envelope.to_json().unwrap(), line);
            assert_eq!(Envelope::parse(line.as_bytes()).unwrap(), envelope);
        }
    }

    #[test]
    fn what_is_unknown_is_ignored() {
        assert_eq!(parse(r#"{"type":"screen-share","window":{"id":3}}"#), Ok(Payload::Unknown));
        assert_eq!(parse(r#"{"type":"call-ack","mood":"good"}"#), Ok(Payload::CallAck));
        let paused = parse(r#"{"type":"media-state","audio":true,"paused":"thunderstorm"}"#);
        let media = MediaState { audio: true, video: false };
        let told = Payload::MediaState { media, hears: true, dred: None, paused: Some(Paused::Other) };
        assert_eq!(paused, Ok(told));
        let json = br#"{"from":"x","v":1,"channel":"c","seq":1,"payload":{"type":"call-ack"}}"#;
        assert!(Envelope::parse(json).is_ok());
    }

    /// What browsers leave out or set to null.
    #[test]
    fn absent_and_null_fields_are_read_as_browsers_mean_them() {
        let table = [
            (r#"{"type":"call-request","media":null}"#, Payload::CallRequest { media: None }),
            (
                r#"{"type":"call-request","media":{"audio":true}}"#,
                Payload::CallRequest { media: Some(MediaState { audio: true, video: false }) },
            ),
            (r#"{"type":"call-hangup","reason":null}"#, Payload::CallHangup { reason: None }),
            (
                r#"{"type":"ice-candidate","candidate":{"candidate":"","sdpMid":null,"sdpMLineIndex":null}}"#,
                Payload::IceCandidate { candidate: Some(IceCandidate::default()) },
            ),
        ];
        for (json, payload) in table {
            assert_eq!(parse(json), Ok(payload), "{json}");
        }
        assert!(IceCandidate::default().is_end() && IceCandidate::end().is_end() && !candidate().is_end());
        let without_seq = Envelope::parse(br#"{"v":1,"channel":"c","payload":{"type":"call-ack"}}"#);
        assert_eq!(without_seq.map(|envelope| envelope.seq), Ok(0));
    }

    #[test]
    fn long_foreign_reasons_are_cut_at_a_character() {
        let json = format!(r#"{{"type":"call-hangup","reason":"{}"}}"#, "é".repeat(MAX_REASON_BYTES));
        let Ok(Payload::CallHangup { reason: Some(reason) }) = parse(&json) else { panic!("not taken") };
        assert_eq!(reason.as_str(), "é".repeat(MAX_REASON_BYTES / 2));
    }
}
