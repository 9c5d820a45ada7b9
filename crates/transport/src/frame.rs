//! What two peers write on a connection: `u32 length | u8 kind | body`, numbers in network order.
//!
//! The first frame of who dialled says what the connection is for: [`Frame::Hello`] among contacts,
//! [`Frame::Redeem`] or [`Frame::Request`] from others. Kinds and JSON fields that a version does not know
//! are passed over.

use ahoy_call::message::MAX_ENVELOPE_BYTES;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{InviteToken, Presence, Whereabouts};

/// What is spoken. Another number: another protocol.
pub(crate) const ALPN: &[u8] = b"ahoy/1";

/// Largest frame without its length: an envelope or message, and its numbers.
pub(crate) const MAX_FRAME_BYTES: usize = MAX_ENVELOPE_BYTES + 1 + 8 + 8;

/// Largest frame of those that carry JSON of ours. A hello with sixteen addresses, a relay and a name at
/// their limits has under 3 KiB; from strangers we read no more than this.
pub(crate) const MAX_CONTROL_BYTES: usize = 4 * 1024;

/// Bytes of a frame's length.
pub(crate) const LENGTH_BYTES: usize = 4;

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Who is there: the first frame each way among contacts.
    Hello(Hello),
    /// Has an invite: the first frame of somebody who is no contact yet.
    Redeem(Redeem),
    /// Asks to become a contact: the first and only frame of a stranger.
    Request(Request),
    /// What became of an invite or a request.
    Answer(Answer),
    /// Something of oneself has changed.
    Status(Status),
    /// A signaling message; to be acknowledged.
    Envelope { seq: u64, json: Vec<u8> },
    /// A message of the outbox; to be acknowledged when it is kept.
    Message { seq: u64, id: u64, body: Vec<u8> },
    /// The envelope or message of that number has come.
    Ack { seq: u64 },
    /// Of a newer version.
    Unknown,
}

/// What one says of oneself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) presence: Presence,
    #[serde(default)]
    pub(crate) whereabouts: Whereabouts,
}

/// The first thing said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Random number of this run of the program: another one says that it has restarted.
    pub(crate) instance: u64,
    #[serde(flatten)]
    pub(crate) status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Redeem {
    #[serde(with = "token")]
    pub(crate) token: InviteToken,
    #[serde(flatten)]
    pub(crate) status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(flatten)]
    pub(crate) status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    /// Of who answers; nothing where the verdict is not [`Verdict::Accepted`].
    #[serde(flatten)]
    pub(crate) status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Contacts from now on.
    Accepted,
    /// The request waits for the user.
    Kept,
    Used,
    Expired,
    Unknown,
    /// No more requests for now.
    Refused,
}

/// A frame that no version of this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbage;

const HELLO: u8 = 1;
const REDEEM: u8 = 2;
const REQUEST: u8 = 3;
const ANSWER: u8 = 4;
const STATUS: u8 = 5;
const ENVELOPE: u8 = 6;
const MESSAGE: u8 = 7;
const ACK: u8 = 8;

impl Frame {
    /// The frame with its length.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH_BYTES];
        match self {
            Self::Hello(hello) => put_json(&mut bytes, HELLO, hello),
            Self::Redeem(redeem) => put_json(&mut bytes, REDEEM, redeem),
            Self::Request(request) => put_json(&mut bytes, REQUEST, request),
            Self::Answer(answer) => put_json(&mut bytes, ANSWER, answer),
            Self::Status(status) => put_json(&mut bytes, STATUS, status),
            Self::Envelope { seq, json } => put(&mut bytes, ENVELOPE, &[&seq.to_be_bytes(), json]),
            Self::Message { seq, id, body } => {
                put(&mut bytes, MESSAGE, &[&seq.to_be_bytes(), &id.to_be_bytes(), body]);
            }
            Self::Ack { seq } => put(&mut bytes, ACK, &[&seq.to_be_bytes()]),
            Self::Unknown => put(&mut bytes, u8::MAX, &[]),
        }
        let length = u32::try_from(bytes.len() - LENGTH_BYTES).unwrap_or(u32::MAX);
        bytes.splice(..LENGTH_BYTES, length.to_be_bytes());
        bytes
    }

    /// Reads a frame, without its length.
    pub(crate) fn decode(frame: &[u8]) -> Result<Self, Garbage> {
        let (&kind, body) = frame.split_first().ok_or(Garbage)?;
        match kind {
            HELLO => json(body).map(Self::Hello),
            REDEEM => json(body).map(Self::Redeem),
            REQUEST => json(body).map(Self::Request),
            ANSWER => json(body).map(Self::Answer),
            STATUS => json(body).map(Self::Status),
            ENVELOPE => {
                let (seq, json) = number(body)?;
                Ok(Self::Envelope { seq, json: limited(json)? })
            }
            MESSAGE => {
                let (seq, rest) = number(body)?;
                let (id, body) = number(rest)?;
                Ok(Self::Message { seq, id, body: limited(body)? })
            }
            ACK => Ok(Self::Ack { seq: number(body)?.0 }),
            _ => Ok(Self::Unknown),
        }
    }
}

fn put(bytes: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    bytes.push(kind);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
}

fn put_json(bytes: &mut Vec<u8>, kind: u8, value: &impl Serialize) {
    // Strings, numbers and lists into memory: this cannot fail.
    put(bytes, kind, &[&serde_json::to_vec(value).unwrap_or_default()]);
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Garbage> {
    if body.len() > MAX_CONTROL_BYTES {
        return Err(Garbage);
    }
    serde_json::from_slice(body).map_err(|_| Garbage)
}

fn number(body: &[u8]) -> Result<(u64, &[u8]), Garbage> {
    let (number, rest) = body.split_first_chunk().ok_or(Garbage)?;
    Ok((u64::from_be_bytes(*number), rest))
}

fn limited(body: &[u8]) -> Result<Vec<u8>, Garbage> {
    if body.len() > MAX_ENVELOPE_BYTES { Err(Garbage) } else { Ok(body.to_vec()) }
}

mod token {
    use serde::{Deserializer, Serializer, de::Error};

    use super::{Deserialize, HEXLOWER, InviteToken};

    pub(super) fn serialize<S: Serializer>(token: &InviteToken, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(token.as_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<InviteToken, D::Error> {
        let bytes = HEXLOWER.decode(String::deserialize(deserializer)?.as_bytes()).map_err(D::Error::custom)?;
        let bytes: [u8; InviteToken::BYTES] = bytes.try_into().map_err(|_| D::Error::custom("not 32 bytes"))?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame> {
        let status = Status {
            name: Some("é".repeat(crate::MAX_NAME_CHARS)),
            presence: Presence::DoNotDisturb,
            whereabouts: Whereabouts {
                relay: Some(format!("https://relay.example/{}", "x".repeat(480)).parse().unwrap()),
                addresses: (1..=16).map(|p| ([0x2001, 0xdb8, 9, 9, 9, 9, 9, 9], 60_000 + p).into()).collect(),
            },
        };
        let text = Some("é".repeat(crate::MAX_REQUEST_CHARS));
        vec![
            Frame::Hello(Hello { instance: u64::MAX, status: status.clone() }),
            Frame::Redeem(Redeem { token: [7; 32].into(), status: status.clone() }),
            Frame::Request(Request { text, status: status.clone() }),
            Frame::Answer(Answer { verdict: Verdict::Accepted, status: status.clone() }),
            Frame::Status(status),
            Frame::Envelope { seq: 7, json: b"{}".to_vec() },
            Frame::Message { seq: 8, id: u64::MAX, body: vec![0; MAX_ENVELOPE_BYTES] },
            Frame::Ack { seq: 9 },
            Frame::Unknown,
        ]
    }

    #[test]
    fn frames_are_read_as_they_were_written_and_within_their_limits() {
        for frame in frames() {
            let bytes = frame.encode();
            let (length, rest) = bytes.split_first_chunk().unwrap();
            assert_eq!(u32::from_be_bytes(*length) as usize, rest.len());
            assert_eq!(Frame::decode(rest), Ok(frame.clone()));
            let limit = if rest[0] <= STATUS { MAX_CONTROL_BYTES } else { MAX_FRAME_BYTES };
            assert!(rest.len() <= limit, "kind {}: {} bytes", rest[0], rest.len());
        }
    }

    #[test]
    fn garbage_is_told_and_the_unknown_passed_over() {
        let large = [&[ENVELOPE][..], &[0; MAX_ENVELOPE_BYTES + 9]].concat();
        let long = [&[STATUS, b'{'][..], &[b' '; MAX_CONTROL_BYTES], b"}"].concat();
        let garbage: &[&[u8]] = &[
            b"",
            b"\x01",
            b"\x01{}",
            b"\x01[1]",
            b"\x01{\"instance\":-1}",
            b"\x02{\"token\":\"00\"}",
            b"\x04{\"verdict\":\"perhaps\"}",
            b"\x05\xff\xfe",
            b"\x06seven!!",
            b"\x07eight...seven!!",
            b"\x08",
            &large,
            &long,
        ];
        for bytes in garbage {
            assert_eq!(Frame::decode(bytes), Err(Garbage), "{:?}", &bytes[..bytes.len().min(40)]);
        }
        assert_eq!(Frame::decode(b"\x63whatever"), Ok(Frame::Unknown));
        let hello = [&[HELLO], &br#"{"instance":1,"mood":"good","presence":"flying"}"#[..]].concat();
        assert_eq!(Frame::decode(&hello), Ok(Frame::Hello(Hello { instance: 1, status: Status::default() })));
    }

    #[test]
    fn damaged_frames_do_not_panic() {
        let mut chances = fastrand::Rng::with_seed(1);
        for frame in frames() {
            let whole = frame.encode();
            for _ in 0..2_000 {
                let mut bytes = whole[LENGTH_BYTES..].to_vec();
                for _ in 0..chances.usize(1..5) {
                    let at = chances.usize(..bytes.len().min(200));
                    match chances.u8(..3) {
                        0 => bytes[at] = chances.u8(..),
                        1 => bytes.truncate(at.max(1)),
                        _ => drop(bytes.remove(at)),
                    }
                    if bytes.is_empty() {
                        break;
                    }
                }
                let _ = Frame::decode(&bytes);
            }
        }
    }
}
