//! Envelopes as JSON: reads and writes them within limits, and says what is wrong with one that cannot be
//! read.

use std::fmt;

use ahoy_media::advice::Advice;
use serde::Deserialize;

use super::{Envelope, Payload, VERSION};
use crate::id::CallId;

/// Longest envelope as JSON. A whole offer of Chromium has 8 KiB; a hostile peer must not make us parse
/// megabytes.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024;

/// Longest session description. Six times Chromium's, or 200 candidates written into one; the rest of the
/// envelope is room for the escapes that JSON adds to its line ends.
pub const MAX_SDP_BYTES: usize = 48 * 1024;

/// Longest candidate line: an address, a related address and a few extensions have under 300 bytes.
pub const MAX_CANDIDATE_BYTES: usize = 1024;

/// Longest `sdpMid` and `usernameFragment`. RFC 8839 section 5.4 allows fragments of up to 256 characters.
pub const MAX_TOKEN_BYTES: usize = 256;

/// Longest account of what is wrong with a message: the parser's may quote a field of the message whole.
const MAX_ERROR_BYTES: usize = 200;

/// Why bytes are no envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Over [`MAX_ENVELOPE_BYTES`].
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not JSON at all.
    NotJson(String),
    /// A version that is not [`VERSION`].
    OtherVersion {
        /// Its version.
        found: u64,
    },
    /// JSON, but a field is missing or of the wrong kind.
    Schema(String),
    /// A field over its limit.
    FieldTooLong {
        /// Its name.
        field: &'static str,
        /// Its size.
        bytes: usize,
        /// Its limit.
        limit: usize,
    },
}

impl ParseError {
    /// The error in two parts.
    pub fn advice(&self) -> Advice {
        let shorten = "the sender has to shorten it";
        match self {
            Self::TooLarge { bytes } => {
                Advice::new(format!("the message has {bytes} bytes, and {MAX_ENVELOPE_BYTES} are allowed"), shorten)
            }
            Self::NotJson(reason) => Advice::new(
                format!("the message is not JSON ({reason})"),
                "the sender has to write one JSON object a message",
            ),
            Self::OtherVersion { found } => Advice::new(
                format!("the message is of version {found}, and this program speaks version {VERSION}"),
                "bring both sides up to date",
            ),
            Self::Schema(reason) => Advice::new(
                format!("the message does not follow the schema ({reason})"),
                "the sender has to correct it",
            ),
            Self::FieldTooLong { field, bytes, limit } => {
                Advice::new(format!("{field} has {bytes} bytes, and {limit} are allowed"), shorten)
            }
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice().fmt(f)
    }
}

/// An envelope that must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message would have {bytes} bytes, and {MAX_ENVELOPE_BYTES} are allowed: use fewer codecs or candidates")]
pub struct EncodeError {
    /// Its size.
    pub bytes: usize,
}

impl Envelope {
    /// Reads one envelope; never panics, whatever the bytes.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong, in words for the developer of the other program.
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
        // Serialising strings, numbers and flags into memory cannot fail; an empty line would be caught by
        // the peer.
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
            | Self::MediaState { .. }
            | Self::CallHold { .. }
            | Self::Unknown => Ok(()),
        }
    }
}

fn check_length(field: &'static str, text: &str, limit: usize) -> Result<(), ParseError> {
    if text.len() > limit { Err(ParseError::FieldTooLong { field, bytes: text.len(), limit }) } else { Ok(()) }
}

fn describe(error: serde_json::Error) -> ParseError {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(MAX_ERROR_BYTES));
    if error.is_data() { ParseError::Schema(text) } else { ParseError::NotJson(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::IceCandidate;

    #[test]
    fn each_error_says_what_was_wrong_and_what_to_do() {
        let large = format!(r#"{{"v":1,"x":"{}"}}"#, "x".repeat(MAX_ENVELOPE_BYTES));
        let sdp = format!(
            r#"{{"v":1,"channel":"c","seq":1,"payload":{{"type":"call-offer","sdp":"{}"}}}}"#,
            "x".repeat(MAX_SDP_BYTES + 1)
        );
        let fragment = format!(
            r#"{{"v":1,"channel":"c","seq":1,"payload":{{"type":"ice-candidate","candidate":{{"usernameFragment":"{}"}}}}}}"#,
            "x".repeat(MAX_TOKEN_BYTES + 1)
        );
        let table: &[(&[u8], &str)] = &[
            (b"", "not JSON"),
            (b"hello", "not JSON"),
            (b"{\"v\":1", "not JSON"),
            (b"\xff\xfe", "not JSON"),
            (large.as_bytes(), "65536 are allowed"),
            (br#"{"v":2,"all":"different"}"#, "of version 2"),
            (b"[]", "invalid length 0"),
            (br#"{"channel":"c"}"#, "missing field `v`"),
            (br#"{"v":1,"payload":{"type":"call-ack"}}"#, "missing field `channel`"),
            (br#"{"v":1,"channel":"","payload":{"type":"call-ack"}}"#, "a call id has 1 to 128 bytes"),
            (br#"{"v":1,"channel":"c","seq":1}"#, "missing field `payload`"),
            (br#"{"v":1,"channel":"c","seq":-1,"payload":{"type":"call-ack"}}"#, "invalid value"),
            (br#"{"v":1,"channel":"c","seq":1,"payload":{}}"#, "missing field `type`"),
            (br#"{"v":1,"channel":"c","seq":1,"payload":{"type":"call-offer"}}"#, "missing field `sdp`"),
            (br#"{"v":1,"channel":"c","seq":1,"payload":{"type":"ice-candidate"}}"#, "missing field `candidate`"),
            (sdp.as_bytes(), "sdp has 49153 bytes"),
            (fragment.as_bytes(), "usernameFragment has 257 bytes"),
        ];
        for (json, wanted) in table {
            let error = Envelope::parse(json).unwrap_err().to_string();
            assert!(error.contains(wanted), "{wanted:?} is not in {error:?}");
            assert!(error.contains(": the sender has to ") || error.contains(": bring both sides"), "{error:?}");
        }
    }

    #[test]
    fn an_envelope_that_nobody_would_take_is_not_written() {
        let sdp = "\n".repeat(MAX_SDP_BYTES);
        let envelope = Envelope::new("c".parse().unwrap(), 1, Payload::CallOffer { sdp });
        assert!(envelope.to_json().unwrap_err().bytes > MAX_ENVELOPE_BYTES);
    }

    /// Valid messages, cut, spliced and with bits flipped: the parser may refuse, never panic.
    #[test]
    fn damaged_messages_do_not_panic() {
        use rand::{RngExt, SeedableRng, rngs::StdRng};
        let mut chances = StdRng::seed_from_u64(1);
        let line = "candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host";
        let candidate = IceCandidate { candidate: line.into(), ..IceCandidate::end() };
        let valid = Envelope::new("c".parse().unwrap(), 7, Payload::IceCandidate { candidate: Some(candidate) });
        let valid = valid.to_json().unwrap().into_bytes();
        for _ in 0..20_000 {
            let mut json = valid.clone();
            for _ in 0..chances.random_range(1..5) {
                let at = chances.random_range(0..json.len());
                match chances.random_range(0..4) {
                    0 => json[at] = chances.random(),
                    1 => json.truncate(at + 1),
                    2 => json.extend_from_within(at..),
                    _ => drop(json.remove(at)),
                }
                if json.is_empty() {
                    break;
                }
            }
            let _ = Envelope::parse(&json);
        }
    }
}
