//! What the two sides describe to each other (SDP, RFC 8866; offers and answers, RFC 3264 and RFC 8829).
//!
//! Descriptions in the wild are not as the stack wants them, and the stack does not answer all that it takes.
//! So it sees no description of the other side and sends none of its own: all of them go through [`Session`].
//!
//! ```text
//! remote offer or answer ─▶ read ─▶ sections: which are carried? ─▶ normalise ─▶ stack
//! own offer or answer    ◀─ ours: every section in its place, directions, roles ◀──── stack
//! ```
//!
//! The stack has one audio and one video section, whose names never change; [`Session`] knows what they are
//! called on the wire and where they stand.

mod codecs;
mod normalise;
mod ours;
mod read;
mod refusal;
mod sections;
mod session;
mod streams;
#[cfg(test)]
mod tests;
mod transport;

use std::io::Cursor;

use rtc::{
    rtp_transceiver::rtp_sender::RtpCodecKind,
    sdp::{SessionDescription, extmap},
};

use self::read::read;
pub(super) use self::{
    ours::Retransmission,
    session::{Remote, Session},
    transport::Addresses,
};

/// How we want Opus (RFC 7587 section 6.1).
pub(super) const OPUS_PARAMETERS: &str = "minptime=10;useinbandfec=1;usedtx=1";
/// The header extensions that we use.
pub(super) const EXTENSIONS: [&str; 2] = [extmap::SDES_MID_URI, extmap::TRANSPORT_CC_URI];

/// The two kinds of media of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Audio,
    Video,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Audio, Self::Video];

    fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    fn codec_name(self) -> &'static str {
        match self {
            Self::Audio => "Opus",
            Self::Video => "VP8",
        }
    }
}

/// What the two sections are called in the stack. It gives them these names itself, or takes them from the
/// first description that has them.
#[derive(Clone, Debug)]
struct StackMids {
    audio: String,
    video: String,
}

impl StackMids {
    fn new() -> Self {
        Self { audio: "0".to_owned(), video: "1".to_owned() }
    }

    fn get(&self, kind: Kind) -> &str {
        match kind {
            Kind::Audio => &self.audio,
            Kind::Video => &self.video,
        }
    }

    /// Takes them from an offer of the stack.
    fn learn(&mut self, stack: &str) {
        let Ok(offer) = read(stack) else { return };
        for section in offer.sections {
            match (section.kind, section.mid) {
                (Some(Kind::Audio), Some(mid)) => self.audio = mid,
                (Some(Kind::Video), Some(mid)) => self.video = mid,
                (None, _) | (_, None) => {}
            }
        }
    }
}

/// Reads an offer of another program as a link does before it gives it to the WebRTC stack, and gives it as
/// the stack gets it: one audio and one video section at most, in one form.
///
/// # Errors
/// In words for a person: why the offer cannot be used. It goes after "because".
pub fn read_offer(sdp: &str) -> Result<String, String> {
    Session::new(Addresses::Network).remote_offer(sdp).map(|remote| remote.sdp)
}

/// The number that `codec`, as `red`, has in the section of `kind` of a description of the stack; none where
/// it is not there.
pub(super) fn payload_type(stack: &str, kind: RtpCodecKind, codec: &str) -> Option<u8> {
    let description = SessionDescription::unmarshal(&mut Cursor::new(stack)).ok()?;
    let name = match kind {
        RtpCodecKind::Audio => Kind::Audio.name(),
        RtpCodecKind::Video => Kind::Video.name(),
        _ => return None,
    };
    let section = description.media_descriptions.iter().find(|section| section.media_name.media == name)?;
    let codecs = section.codecs();
    let named = codecs.values().filter(|known| known.name.eq_ignore_ascii_case(codec));
    named.map(|known| known.payload_type).min()
}
