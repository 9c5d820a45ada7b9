//! Our own descriptions as the other side gets them: every section of the session in its place, those that
//! are not carried refused, and the carried ones as the offer asks (RFC 3264 section 6, RFC 8843 section
//! 7.3).

use std::io::Cursor;

use rtc::{
    rtp_transceiver::rtp_sender::RtpCodecKind,
    sdp::{
        MediaDescription, SessionDescription,
        description::{
            common::{Address, Attribute, ConnectionInformation},
            media::{MediaName, RangedPort},
        },
    },
};

use super::{
    Kind,
    normalise::{PROFILE, flag, value},
    read::{Direction, Section, repeated},
    transport::Setup,
};
use crate::rtp::VIDEO_CLOCK_HZ;

/// One `m=` line of the session. The number and order of them never changes, they only grow (RFC 3264 section
/// 8).
#[derive(Clone, Debug)]
pub(super) struct Slot {
    media: String,
    proto: String,
    formats: Vec<String>,
    pub(super) mid: Option<String>,
    /// The medium of ours that goes through it. None: it is refused.
    pub(super) carried: Option<Kind>,
    /// The medium that we offered in it, though the other side refused it.
    pub(super) ours: Option<Kind>,
    /// Of an offer, as its author sees it.
    direction: Direction,
    reduced_size: bool,
}

impl Slot {
    /// For a section of an offer.
    pub(super) fn of(section: &Section, carried: Option<Kind>) -> Self {
        Self {
            media: section.media.clone(),
            proto: section.proto.clone(),
            formats: repeated(&section.formats),
            mid: section.mid.clone(),
            carried,
            ours: None,
            direction: section.direction,
            reduced_size: section.has("rtcp-rsize"),
        }
    }

    /// For a medium that we offer.
    fn new(kind: Kind, mid: String) -> Self {
        Self {
            media: kind.name().to_owned(),
            proto: PROFILE.join("/"),
            formats: repeated(&[]),
            mid: Some(mid),
            carried: Some(kind),
            ours: Some(kind),
            direction: Direction::SendRecv,
            reduced_size: true,
        }
    }

    /// `transport` are the attributes that a carried section has for its connection.
    fn refused(&self, transport: &[Attribute]) -> MediaDescription {
        let anywhere = Address { address: "0.0.0.0".to_owned(), ttl: None, range: None };
        let mut attributes: Vec<Attribute> = self.mid.iter().map(|mid| value("mid", mid.clone())).collect();
        attributes.push(flag("inactive"));
        // RFC 9429 section 5.3.1 asks for none of them, but GStreamer 1.22 refuses a whole answer without
        // them.
        attributes.extend(transport.iter().cloned());
        MediaDescription {
            media_name: MediaName {
                media: self.media.clone(),
                port: RangedPort { value: 0, range: None },
                protos: self.proto.split('/').map(str::to_owned).collect(),
                formats: self.formats.clone(),
            },
            // Firefox wants one even here.
            connection_information: Some(ConnectionInformation {
                network_type: "IN".to_owned(),
                address_type: "IP4".to_owned(),
                address: Some(anywhere),
            }),
            attributes,
            ..Default::default()
        }
    }
}

/// The slots of an offer of ours: those there are, and one more for each medium that has none.
pub(super) fn slots_of_offer(stable: &[Slot], absent: impl Fn(Kind) -> bool) -> Vec<Slot> {
    let mut slots = stable.to_vec();
    for kind in Kind::ALL {
        if slots.iter().any(|slot| slot.carried == Some(kind)) {
            continue;
        }
        if let Some(slot) = slots.iter_mut().find(|slot| slot.ours == Some(kind)) {
            slot.carried = Some(kind);
        } else if absent(kind) {
            let taken = |mid: &str| slots.iter().any(|slot| slot.mid.as_deref() == Some(mid));
            let mid = (0..).map(|number: usize| number.to_string()).find(|mid| !taken(mid));
            slots.push(Slot::new(kind, mid.unwrap_or_default()));
        }
    }
    slots
}

/// Which of the two kinds of description of ours it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    Offer {
        /// Our DTLS role, once it is agreed. A later offer names it, because the role cannot change. If the
        /// offer said `actpass` again, some programs would take the other role and lose the connection:
        /// GStreamer 1.22, and Pion before September 2026.
        setup: Option<Setup>,
    },
    Answer {
        setup: Option<Setup>,
        /// The offer has a BUNDLE group.
        bundled: bool,
    },
}

/// Which payload types retransmissions have, and what they repeat (RFC 4588).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) struct Retransmission {
    /// Of the packets as they come.
    pub(in crate::link) rtx: u8,
    /// Of what they repeat: VP8.
    pub(in crate::link) main: u8,
}

impl Retransmission {
    /// Those of a description that the stack made, with `rtx` for their payload type; where that is none or
    /// taken, a free one. None: there is no video.
    pub(super) fn of(stack: &str, rtx: Option<u8>) -> Option<Self> {
        let description = SessionDescription::unmarshal(&mut Cursor::new(stack)).ok()?;
        let is_taken = |number: &u8| {
            let number = number.to_string();
            description.media_descriptions.iter().any(|section| section.media_name.formats.contains(&number))
        };
        let main = super::payload_type(stack, RtpCodecKind::Video, "VP8")?;
        let mut numbers = rtx.into_iter().chain(FIRST_RTX..=LAST_DYNAMIC);
        Some(Self { rtx: numbers.find(|number| !is_taken(number))?, main })
    }

    fn add_to(self, section: &mut MediaDescription) {
        let Self { rtx, main } = self;
        section.media_name.formats.push(rtx.to_string());
        section.attributes.push(value("rtpmap", format!("{rtx} rtx/{VIDEO_CLOCK_HZ}")));
        section.attributes.push(value("fmtp", format!("{rtx} apt={main}")));
    }
}

/// As browsers use it beside 96 for VP8.
const FIRST_RTX: u8 = 97;
/// The last payload type that is assigned by descriptions (RFC 3551 section 3).
const LAST_DYNAMIC: u8 = 127;

/// Rewrites what the stack made. None: it cannot be read.
pub(super) fn write(stack: &str, slots: &[Slot], ours: Ours, retransmission: Option<Retransmission>) -> Option<String> {
    let mut description = SessionDescription::unmarshal(&mut Cursor::new(stack)).ok()?;
    let made = std::mem::take(&mut description.media_descriptions);
    let find = |kind: Kind| {
        // The stack has one of each kind.
        let named = |section: &&MediaDescription| section.media_name.media == kind.name();
        made.iter().find(named).filter(|section| section.media_name.port.value != 0)
    };
    let write = |slot: &Slot| {
        let kind = slot.carried?;
        let mut section = carried(find(kind)?.clone(), slot, ours);
        if let Some(retransmission) = retransmission.filter(|_| kind == Kind::Video) {
            retransmission.add_to(&mut section);
        }
        Some(section)
    };
    let sections: Vec<_> = slots.iter().map(write).collect();
    let transport: Vec<_> = sections.iter().flatten().next().map(transport_of).unwrap_or_default();
    let mut grouped = vec![];
    for (slot, section) in slots.iter().zip(sections) {
        if section.is_some() {
            grouped.extend(slot.mid.clone());
        }
        description.media_descriptions.push(section.unwrap_or_else(|| slot.refused(&transport)));
    }
    description.attributes.retain(|attribute| attribute.key != "group");
    let bundled = match ours {
        Ours::Offer { .. } => true,
        Ours::Answer { bundled, .. } => bundled,
    };
    if bundled && !grouped.is_empty() {
        description.attributes.push(value("group", format!("BUNDLE {}", grouped.join(" "))));
    }
    Some(description.marshal())
}

fn transport_of(section: &MediaDescription) -> Vec<Attribute> {
    let is_transport = |attribute: &&Attribute| ["ice-ufrag", "ice-pwd", "setup"].contains(&attribute.key.as_str());
    section.attributes.iter().filter(is_transport).cloned().collect()
}

fn carried(mut section: MediaDescription, slot: &Slot, ours: Ours) -> MediaDescription {
    let (direction, chosen) = match ours {
        Ours::Offer { setup } => (Direction::SendRecv, setup),
        Ours::Answer { setup, .. } => {
            section.media_name.protos = slot.proto.split('/').map(str::to_owned).collect();
            section.media_name.media.clone_from(&slot.media);
            (slot.direction.answer(), setup)
        }
    };
    section.attributes.retain(|attribute| match attribute.key.as_str() {
        "mid" => slot.mid.is_some(),
        "rtcp-rsize" => slot.reduced_size,
        // One stream is taken, and one is sent.
        "rid" | "simulcast" => false,
        _ => true,
    });
    for attribute in &mut section.attributes {
        match attribute.key.as_str() {
            "mid" => attribute.value.clone_from(&slot.mid),
            "setup" => {
                if let Some(chosen) = chosen {
                    attribute.value = Some(chosen.name().to_owned());
                }
            }
            "sendrecv" | "sendonly" | "recvonly" | "inactive" => *attribute = flag(direction.name()),
            _ => {}
        }
    }
    section
}
