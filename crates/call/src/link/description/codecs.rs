//! Finds our codecs among a section's formats, and writes them in the form that the stack reads.
//!
//! The stack refuses a description for one format that it cannot read, and compares parameters as text. So it
//! is shown our codecs only, under the other side's numbers and with our own parameters: those of a
//! description say what its author wants to receive, and what we want stands in the answer.

use rtc::sdp::description::common::Attribute;

use super::{Kind, OPUS_PARAMETERS, read::Section};
use crate::rtp::{AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ};

/// Kinds of feedback that the stack or we know (RFC 4585 section 4.2, RFC 5104 section 7.1).
const FEEDBACK: [&str; 5] = ["nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"];
/// The identifiers of a one-byte header extension (RFC 8285 section 4.2).
const EXTENSION_IDS: std::ops::RangeInclusive<u16> = 1..=14;

/// The formats of a section that are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codecs {
    /// Opus or VP8.
    pub(super) main: u8,
    /// Redundant audio (RFC 2198).
    pub(super) red: Option<u8>,
    /// Retransmissions of VP8 (RFC 4588). They are not shown to the stack, which sees them as what they
    /// repeat.
    pub(super) rtx: Option<u8>,
    /// The author prefers redundant audio to plain.
    red_first: bool,
}

/// Finds our codecs in a section; none where it has no main one.
pub(super) fn find(section: &Section, kind: Kind) -> Option<Codecs> {
    // By the order of the `m=` line, which is that of preference (RFC 8866 section 5.14).
    let numbered = |codec: Codec| {
        let formats = section.formats.iter().filter_map(|format| format.parse::<u8>().ok());
        let maps: Vec<u8> =
            section.values("rtpmap").filter_map(rtpmap).filter(|(_, it)| *it == codec).map(|it| it.0).collect();
        formats.enumerate().find(|(_, number)| is_usable(*number) && maps.contains(number))
    };
    let (at, main) = match kind {
        Kind::Audio => numbered(Codec::Opus)?,
        Kind::Video => numbered(Codec::Vp8)?,
    };
    let red = match kind {
        Kind::Audio => numbered(Codec::Red),
        Kind::Video => None,
    };
    let rtx = section.values("rtpmap").filter_map(rtpmap).filter(|(_, codec)| *codec == Codec::Rtx).map(|(rtx, _)| rtx);
    let mut rtx = rtx.filter(|rtx| is_usable(*rtx) && *rtx != main && section.formats.contains(&rtx.to_string()));
    let rtx =
        rtx.find(|rtx| kind == Kind::Video && section.values("fmtp").any(|value| repeats(value) == Some((*rtx, main))));
    Some(Codecs { main, red: red.map(|(_, number)| number), rtx, red_first: red.is_some_and(|(red, _)| red < at) })
}

/// `<payload type> apt=<of what>[;...]` (RFC 4588 section 8.6).
fn repeats(fmtp: &str) -> Option<(u8, u8)> {
    let (rtx, parameters) = fmtp.split_once(char::is_whitespace)?;
    let split = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let (_, of) = split.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("apt"))?;
    Some((rtx.parse().ok()?, of.trim().parse().ok()?))
}

/// 64 to 95 collide with RTCP on the same port (RFC 5761 section 4); 0 is PCMU and never ours.
fn is_usable(payload_type: u8) -> bool {
    matches!(payload_type, 1..=63 | 96..=127)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Opus,
    Red,
    Vp8,
    Rtx,
}

/// `<payload type> <encoding name>/<clock rate>[/<channels>]` (RFC 8866 section 6.6); names are
/// case-insensitive.
fn rtpmap(value: &str) -> Option<(u8, Codec)> {
    let (number, encoding) = value.split_once(char::is_whitespace)?;
    let mut parts = encoding.trim().split('/');
    let (name, clock) = (parts.next()?, parts.next()?.parse::<u32>().ok()?);
    let channels = parts.next();
    let codec = match name.to_ascii_lowercase().as_str() {
        // Two channels whatever is sent (RFC 7587 section 7); some programs leave them out.
        "opus" if clock == AUDIO_CLOCK_HZ => Codec::Opus,
        "red" if clock == AUDIO_CLOCK_HZ && channels.is_none_or(|channels| channels == "2") => Codec::Red,
        "vp8" if clock == VIDEO_CLOCK_HZ => Codec::Vp8,
        "rtx" if clock == VIDEO_CLOCK_HZ => Codec::Rtx,
        _ => return None,
    };
    Some((number.parse().ok()?, codec))
}

impl Codecs {
    /// Payload types.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u8> {
        [self.main].into_iter().chain(self.red)
    }

    /// What stands on the `m=` line for the stack.
    pub(super) fn formats(&self) -> Vec<String> {
        let mut numbers: Vec<u8> = self.numbers().collect();
        if self.red_first {
            numbers.reverse();
        }
        numbers.iter().map(u8::to_string).collect()
    }

    /// The attributes of the formats for the stack.
    pub(super) fn attributes(&self, section: &Section, kind: Kind) -> Vec<Attribute> {
        let attribute = |name: &str, value: String| Attribute::new(name.to_owned(), Some(value));
        let main = self.main;
        let mut all = match kind {
            Kind::Audio => vec![
                attribute("rtpmap", format!("{main} opus/{AUDIO_CLOCK_HZ}/2")),
                attribute("fmtp", format!("{main} {OPUS_PARAMETERS}")),
            ],
            Kind::Video => vec![attribute("rtpmap", format!("{main} VP8/{VIDEO_CLOCK_HZ}"))],
        };
        for kind in feedback(section, main) {
            all.push(attribute("rtcp-fb", format!("{main} {kind}")));
        }
        if let Some(red) = self.red {
            all.push(attribute("rtpmap", format!("{red} red/{AUDIO_CLOCK_HZ}/2")));
            all.push(attribute("fmtp", format!("{red} {main}/{main}")));
            for kind in feedback(section, red) {
                all.push(attribute("rtcp-fb", format!("{red} {kind}")));
            }
        }
        all
    }
}

/// Feedback of a format: its own, and that of all formats, which is written as `*` (RFC 4585 section 4.2).
fn feedback(section: &Section, payload_type: u8) -> impl Iterator<Item = &'static str> {
    let number = payload_type.to_string();
    let given: Vec<String> = section
        .values("rtcp-fb")
        .filter_map(|value| value.split_once(char::is_whitespace))
        .filter(|(of, _)| *of == number || *of == "*")
        .map(|(_, kind)| kind.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase())
        .collect();
    FEEDBACK.into_iter().filter(move |known| given.iter().any(|kind| kind == known))
}

/// The header extensions of a section that are ours: `<id>[/<direction>] <uri>` (RFC 8285 section 8).
pub(super) fn extensions(section: &Section) -> Vec<(u16, &'static str)> {
    let mut all: Vec<(u16, &'static str)> = vec![];
    for value in section.values("extmap") {
        let mut words = value.split_whitespace();
        let (Some(id), Some(uri)) = (words.next(), words.next()) else { continue };
        let Some(ours) = super::EXTENSIONS.into_iter().find(|ours| *ours == uri) else { continue };
        let (id, direction) = id.split_once('/').unwrap_or((id, "sendrecv"));
        let id = id.parse::<u16>().ok().filter(|id| EXTENSION_IDS.contains(id));
        // In one direction only it is of no use to us: each of ours is for both.
        let Some(id) = id.filter(|_| direction.eq_ignore_ascii_case("sendrecv")) else { continue };
        if !all.iter().any(|(taken, known)| *taken == id || *known == ours) {
            all.push((id, ours));
        }
    }
    all
}
