//! Reads a description as lenient as the standards ask for: sections with their defaults applied, whatever
//! else is in them.
//!
//! The text goes through the parser of `rtc-sdp`. Lines that no rule here uses are left out before that, and
//! `m=` lines are read here, because the parser refuses a whole description for one media type, port or
//! bandwidth it cannot read.

use std::{collections::HashSet, io::Cursor, sync::Arc};

use rtc::sdp::{SessionDescription, description::common::Attribute};

use super::{Kind, refusal::Refusal};
use crate::message::MAX_SDP_BYTES;

/// `m=` lines taken from one description. A meeting of a browser has some 30; an answer must repeat each.
pub(super) const MAX_SECTIONS: usize = 64;
/// Bytes of a media type, a protocol, a format or a mid that are repeated in an answer. The longest
/// registered are 24.
const MAX_WORD_BYTES: usize = 64;
/// Formats of a refused section that are repeated in an answer: one is enough for RFC 3264 section 6.
const MAX_REPEATED_FORMATS: usize = 16;
/// The line that the parser reads in place of each section's own `m=` line.
const STAND_IN: &str = "m=application 9 UDP 0";
/// The lines that a description begins with and that say nothing about media.
const HEAD: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";

/// Which way media flows, as the author of a description sees it (RFC 8866 section 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub(super) const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The answer to it of an end that sends and receives (RFC 3264 section 6.1).
    pub(super) fn answer(self) -> Self {
        match self {
            Self::SendRecv => Self::SendRecv,
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }

    pub(super) fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    fn of(attributes: &[Attribute]) -> Option<Self> {
        let named = |attribute: &Attribute| {
            Self::ALL.into_iter().find(|direction| attribute.key.eq_ignore_ascii_case(direction.name()))
        };
        attributes.iter().find_map(named)
    }
}

/// A description with its defaults applied.
#[derive(Clone, Debug)]
pub(super) struct Description {
    /// The author runs a lite implementation of ICE (RFC 8445 section 2.5).
    pub(super) lite: bool,
    /// One- and two-byte header extensions may be mixed (RFC 8285 section 4.1.2).
    pub(super) mixed_extensions: bool,
    /// The mids of each BUNDLE group (RFC 8843 section 7).
    pub(super) bundles: Vec<Vec<String>>,
    pub(super) sections: Vec<Section>,
}

/// One `m=` section.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// None: neither audio nor video, or not readable.
    pub(super) kind: Option<Kind>,
    pub(super) media: String,
    pub(super) proto: String,
    pub(super) formats: Vec<String>,
    pub(super) mid: Option<String>,
    /// The port is 0, which alone is a refusal.
    pub(super) port_is_zero: bool,
    pub(super) direction: Direction,
    attributes: Vec<Attribute>,
    /// Those of the session that a section may lack (RFC 8866 section 5.13).
    session: Arc<[Attribute]>,
}

impl Section {
    /// The values of an attribute: the section's own, or else the session's.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let own = values(&self.attributes, name);
        let session = values(&self.session, name);
        let has_own = self.attributes.iter().any(|attribute| attribute.key.eq_ignore_ascii_case(name));
        own.chain(session.filter(move |_| !has_own))
    }

    pub(super) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.key.eq_ignore_ascii_case(name))
    }
}

fn values<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = attributes.iter().filter(move |attribute| attribute.key.eq_ignore_ascii_case(name));
    named.filter_map(|attribute| attribute.value.as_deref().map(str::trim))
}

/// Reads a description.
pub(super) fn read(sdp: &str) -> Result<Description, Refusal> {
    if sdp.len() > MAX_SDP_BYTES {
        return Err(Refusal::TooLong);
    }
    let mut lines = sdp.split('\n').map(str::trim).filter(|line| !line.contains('\0'));
    if !lines.next().is_some_and(|line| line.starts_with("v=")) {
        return Err(Refusal::Unreadable);
    }
    let (mut text, mut media) = (HEAD.to_owned(), vec![]);
    for line in lines {
        if let Some(words) = line.strip_prefix("m=") {
            media.push(words);
            text.push_str(STAND_IN);
            text.push_str("\r\n");
        } else if line.starts_with("a=") && line.len() > 2 {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    if media.len() > MAX_SECTIONS {
        return Err(Refusal::TooManySections);
    }
    let parsed = SessionDescription::unmarshal(&mut Cursor::new(text)).map_err(|_| Refusal::Unreadable)?;
    let session = parsed.attributes;
    let any_has = |name: &str| {
        let sections = parsed.media_descriptions.iter().flat_map(|section| &section.attributes);
        session.iter().chain(sections).any(|attribute| attribute.key.trim().eq_ignore_ascii_case(name))
    };
    let (lite, mixed_extensions) = (any_has("ice-lite"), any_has("extmap-allow-mixed"));
    let bundles = values(&session, "group").filter_map(bundle).collect();
    let direction = Direction::of(&session).unwrap_or(Direction::SendRecv);
    let shared = shared(&session);
    let mut mids = HashSet::new();
    let sections = media.into_iter().zip(parsed.media_descriptions).map(|(words, parsed)| {
        let mut section = section(words, parsed.attributes, Arc::clone(&shared), direction);
        // The second section of a name is nobody's: it cannot be told from the first.
        if section.mid.as_ref().is_some_and(|mid| !mids.insert(mid.clone())) {
            section.kind = None;
        }
        section
    });
    Ok(Description { lite, mixed_extensions, bundles, sections: sections.collect() })
}

fn bundle(group: &str) -> Option<Vec<String>> {
    let mut words = group.split_whitespace();
    let is_bundle = words.next()?.eq_ignore_ascii_case("BUNDLE");
    is_bundle.then(|| words.map(word).take(MAX_SECTIONS).collect())
}

/// `m=<media> <port>[/<number>] <proto> <fmt> ...` (RFC 8866 section 5.14)
fn section(words: &str, attributes: Vec<Attribute>, session: Arc<[Attribute]>, default: Direction) -> Section {
    let mut words = words.split_whitespace();
    let media = words.next().map(word).filter(|word| !word.is_empty()).unwrap_or_else(|| "application".to_owned());
    let port = words.next().and_then(|port| port.split('/').next()?.parse::<u16>().ok());
    let proto = words.next().map(word).filter(|word| !word.is_empty());
    let formats: Vec<String> = words.map(word).filter(|word| !word.is_empty()).collect();
    let readable = port.is_some() && proto.is_some() && !formats.is_empty();
    let kind = Kind::ALL.into_iter().find(|kind| readable && media.eq_ignore_ascii_case(kind.name()));
    let mid = values(&attributes, "mid").map(word).find(|mid| !mid.is_empty());
    Section {
        kind,
        media,
        proto: proto.unwrap_or_else(|| "UDP".to_owned()),
        formats,
        mid,
        port_is_zero: port == Some(0),
        direction: Direction::of(&attributes).unwrap_or(default),
        session,
        attributes,
    }
}

/// The session's attributes that stand for sections without their own (RFC 8839 section 5.4, RFC 8122 section
/// 5, RFC 4145 section 4, RFC 8285 section 5).
fn shared(session: &[Attribute]) -> Arc<[Attribute]> {
    let names = ["ice-ufrag", "ice-pwd", "ice-options", "fingerprint", "setup", "extmap"];
    let is_shared = |attribute: &&Attribute| names.iter().any(|name| attribute.key.eq_ignore_ascii_case(name));
    session.iter().filter(is_shared).cloned().collect()
}

/// The part of a word that can be repeated in an answer.
fn word(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(MAX_WORD_BYTES).collect()
}

/// What an answer repeats of the formats of a section that it refuses.
pub(super) fn repeated(formats: &[String]) -> Vec<String> {
    if formats.is_empty() {
        return vec!["0".to_owned()];
    }
    formats.iter().take(MAX_REPEATED_FORMATS).cloned().collect()
}
