//! The signaling messages: what two peers say to each other until media flows, and to end it.
//!
//! The six base messages are what a browser peer speaks, field for field; the others are ours, and a peer that does
//! not know them ignores them, as we ignore types and fields that we do not know.

use serde::{Deserialize, Deserializer, Serialize};

use crate::id::CallId;

/// The one version of the schema so far.
pub const VERSION: u64 = 1;

/// Longest envelope as JSON. A whole offer of Chromium has 8 KiB; a hostile peer must not make us parse megabytes.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024;

/// Longest session description. Six times Chromium's, or 200 candidates written into one; the rest of the envelope is
/// room for the escapes that JSON adds to its line ends.
pub const MAX_SDP_BYTES: usize = 48 * 1024;

/// Longest candidate line: an address, a related address and a few extensions have under 300 bytes.
pub const MAX_CANDIDATE_BYTES: usize = 1024;

/// Longest `sdpMid` and `usernameFragment`. RFC 8839 section 5.4 allows fragments of up to 256 characters.
pub const MAX_TOKEN_BYTES: usize = 256;

/// Longest hang-up reason of somebody else's making that is kept; the rest is cut off.
pub const MAX_REASON_BYTES: usize = 64;

/// One message on its way: which call it belongs to, where it stands in its sender's order, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Envelope {
    v: u64,
    /// The call.
    pub channel: CallId,
    /// Rises with each message of one sender in one call. A peer that leaves it out, or always sends the same, must
    /// have an ordered transport.
    pub seq: u64,
    /// What it says.
    pub payload: Payload,
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
    /// Ours. What the sender of this message sends from now on.
    MediaState(MediaState),
    /// Ours. The sender of this message has put the call on hold, or taken it back.
    CallHold {
        /// Whether it is held from now on.
        held: bool,
    },
    /// A type that we do not know: ignored.
    #[serde(other)]
    Unknown,
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

/// Why bytes are no envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Over [`MAX_ENVELOPE_BYTES`].
    #[error("the message has {bytes} bytes, and {MAX_ENVELOPE_BYTES} are allowed: the sender has to shorten it")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not JSON at all.
    #[error("the message is not JSON ({0}): the sender has to write one JSON object a message")]
    NotJson(String),
    /// A version that is not [`VERSION`].
    #[error(
        "the message is of version {found}, and this program speaks version {VERSION}: bring both sides up to date"
    )]
    OtherVersion {
        /// Its version.
        found: u64,
    },
    /// JSON, but a field is missing or of the wrong kind.
    #[error("the message does not follow the schema ({0}): the sender has to correct it")]
    Schema(String),
    /// A field over its limit.
    #[error("{field} has {bytes} bytes, and {limit} are allowed: the sender has to shorten it")]
    FieldTooLong {
        /// Its name.
        field: &'static str,
        /// Its size.
        bytes: usize,
        /// Its limit.
        limit: usize,
    },
}

/// An envelope that must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message would have {bytes} bytes, and {MAX_ENVELOPE_BYTES} are allowed: use fewer codecs or candidates")]
pub struct EncodeError {
    /// Its size.
    pub bytes: usize,
}

impl Envelope {
    /// An envelope of this version.
    pub fn new(channel: CallId, seq: u64, payload: Payload) -> Self {
        Self { v: VERSION, channel, seq, payload }
    }

    /// Reads one envelope; never panics, whatever the bytes.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong, in words for whoever writes the other side.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        #[derive(Deserialize)]
        struct Version {
            v: u64,
        }
        #[derive(Deserialize)]
        struct Content {
            channel: CallId,
            #[serde(default)]
            seq: u64,
            payload: Payload,
        }

        if json.len() > MAX_ENVELOPE_BYTES {
            return Err(ParseError::TooLarge { bytes: json.len() });
        }
        // The version first: what another version looks like is not ours to judge.
        let Version { v } = serde_json::from_slice(json).map_err(describe)?;
        if v != VERSION {
            return Err(ParseError::OtherVersion { found: v });
        }
        let Content { channel, seq, payload } = serde_json::from_slice(json).map_err(describe)?;
        payload.check_lengths()?;
        Ok(Self { v, channel, seq, payload })
    }

    /// The envelope as one line of JSON.
    ///
    /// # Errors
    /// The line would be longer than any peer takes.
    pub fn to_json(&self) -> Result<String, EncodeError> {
        // Serialising strings, numbers and flags into memory cannot fail; an empty line would be caught by the peer.
        let json = serde_json::to_string(self).unwrap_or_default();
        if json.len() > MAX_ENVELOPE_BYTES { Err(EncodeError { bytes: json.len() }) } else { Ok(json) }
    }
}

impl Payload {
    fn check_lengths(&self) -> Result<(), ParseError> {
        match self {
            Self::CallOffer { sdp } | Self::CallAnswer { sdp } => check_length("sdp", sdp, MAX_SDP_BYTES),
            Self::IceCandidate { candidate: Some(candidate) } => {
                check_length("candidate", &candidate.candidate, MAX_CANDIDATE_BYTES)?;
                let tokens = [("sdpMid", &candidate.sdp_mid), ("usernameFragment", &candidate.username_fragment)];
                tokens
                    .into_iter()
                    .filter_map(|(field, token)| token.as_ref().map(|token| (field, token)))
                    .try_for_each(|(field, token)| check_length(field, token, MAX_TOKEN_BYTES))
            }
            Self::CallRequest { .. }
            | Self::CallAck
            | Self::IceCandidate { candidate: None }
            | Self::CallHangup { .. }
            | Self::Ringing
            | Self::MediaState(_)
            | Self::CallHold { .. }
            | Self::Unknown => Ok(()),
        }
    }
}

fn check_length(field: &'static str, text: &str, limit: usize) -> Result<(), ParseError> {
    if text.len() > limit { Err(ParseError::FieldTooLong { field, bytes: text.len(), limit }) } else { Ok(()) }
}

fn describe(error: serde_json::Error) -> ParseError {
    if error.is_data() { ParseError::Schema(error.to_string()) } else { ParseError::NotJson(error.to_string()) }
}

/// An optional value whose field must be there: serde would read an absent one as none.
fn required<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}
