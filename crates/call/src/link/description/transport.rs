//! The connection that a description asks for: ICE, DTLS, candidates.

use std::net::IpAddr;

use super::{
    read::{Description, Section},
    refusal::Refusal,
};

/// Candidates taken from one description. An honest peer with many interfaces and relays has 30.
const MAX_CANDIDATES: usize = 64;
/// Fingerprints looked at in one section: a certificate has one for each hash, and there are seven hashes.
const MAX_FINGERPRINTS: usize = 16;
/// The hash that the stack can check (RFC 8122 section 5: every end has it).
const HASH: &str = "sha-256";
/// Bytes of a sha-256.
const HASH_BYTES: usize = 32;
/// Words of a candidate that are looked at: all that RFC 8839 and browsers write.
const MAX_CANDIDATE_WORDS: usize = 32;
/// Bytes of a name that is repeated in a message to a person.
const MAX_NAME_BYTES: usize = 24;

/// Which end of the DTLS handshake a description wants to be (RFC 4145 section 4, RFC 5763 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Active,
    Passive,
    ActPass,
}

impl Setup {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        }
    }

    /// The other end; of an end that leaves the choice, the stack's.
    pub(super) fn opposite(self) -> Option<Self> {
        match self {
            Self::Active => Some(Self::Passive),
            Self::Passive => Some(Self::Active),
            Self::ActPass => None,
        }
    }
}

/// What both directions of the one connection need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transport {
    pub(super) ufrag: String,
    pub(super) password: String,
    pub(super) fingerprint: String,
    pub(super) setup: Setup,
    pub(super) trickle: bool,
    pub(super) candidates: Vec<String>,
}

/// Which of the two descriptions of an exchange it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Offer,
    Answer,
}

/// Reads the transport of a BUNDLE group from its sections. It stands in the first one (RFC 8843 section
/// 7.1.3); sections behind it may repeat it.
pub(super) fn find(
    description: &Description,
    sections: &[&Section],
    side: Side,
    addresses: Addresses,
) -> Result<Transport, Refusal> {
    let with = |name: &'static str| sections.iter().copied().find(move |section| section.value(name).is_some());
    let (ufrag, password) = sections.iter().find_map(|section| ice(section)).ok_or(Refusal::NoIce)?;
    let fingerprint = fingerprint(with("fingerprint").ok_or(Refusal::NoFingerprint)?)?;
    let setup = setup(with("setup").and_then(|section| section.value("setup")), side)?;
    let options = description.sections.iter().flat_map(|section| section.values("ice-options"));
    let trickle = options.flat_map(str::split_whitespace).any(|option| option.eq_ignore_ascii_case("trickle"));
    let mut candidates: Vec<String> = vec![];
    for section in sections.iter().filter(|section| ice(section).is_none_or(|own| own.0 == ufrag)) {
        for candidate in section.values("candidate").filter_map(|value| usable(value, addresses)) {
            if candidates.len() < MAX_CANDIDATES && !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
    }
    Ok(Transport { ufrag: ufrag.to_owned(), password: password.to_owned(), fingerprint, setup, trickle, candidates })
}

fn ice(section: &Section) -> Option<(&str, &str)> {
    let ufrag = section.value("ice-ufrag").filter(|value| !value.is_empty())?;
    let password = section.value("ice-pwd").filter(|value| !value.is_empty())?;
    Some((ufrag, password))
}

/// The one that can be checked. (Of several certificates the stack knows one: the first.)
fn fingerprint(section: &Section) -> Result<String, Refusal> {
    let mut others = vec![];
    let mut damaged = false;
    for value in section.values("fingerprint").take(MAX_FINGERPRINTS) {
        let mut words = value.split_whitespace();
        let (Some(hash), Some(digest), None) = (words.next(), words.next(), words.next()) else {
            damaged = true;
            continue;
        };
        if !hash.eq_ignore_ascii_case(HASH) {
            let name = hash.chars().filter(char::is_ascii_graphic).take(MAX_NAME_BYTES).collect::<String>();
            others.push(name.to_ascii_lowercase());
        } else if is_digest(digest) {
            return Ok(digest.to_ascii_uppercase());
        } else {
            damaged = true;
        }
    }
    Err(if damaged || others.is_empty() { Refusal::BadFingerprint } else { Refusal::OtherHash(others.join(", ")) })
}

fn is_digest(text: &str) -> bool {
    let is_byte = |byte: &str| byte.len() == 2 && byte.chars().all(|digit| digit.is_ascii_hexdigit());
    text.split(':').all(is_byte) && text.split(':').count() == HASH_BYTES
}

fn setup(value: Option<&str>, side: Side) -> Result<Setup, Refusal> {
    let value = value.map(str::to_ascii_lowercase);
    match (value.as_deref(), side) {
        (Some("active"), _) => Ok(Setup::Active),
        (Some("passive"), _) => Ok(Setup::Passive),
        (Some("holdconn"), _) => Err(Refusal::HoldConn),
        (_, Side::Offer) => Ok(Setup::ActPass),
        // An answer has to choose (RFC 5763 section 5). One that does not is of an end that begins by itself,
        // as it is recommended there.
        (_, Side::Answer) => Ok(Setup::Active),
    }
}

/// Which addresses this end can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum Addresses {
    /// Those of a network.
    Network,
    /// Those of this machine, too.
    Loopback,
}

/// A candidate as the stack reads it. None: nothing can be sent to it, or the stack cannot read it.
///
/// `<foundation> <component> <transport> <priority> <address> <port> typ <type> ...` (RFC 8839 section 5.1)
pub(super) fn usable(value: &str, addresses: Addresses) -> Option<String> {
    let words: Vec<&str> = value.split_whitespace().take(MAX_CANDIDATE_WORDS).collect();
    let [foundation, component, transport, priority, address, port, typ, kind, rest @ ..] = words.as_slice() else {
        return None;
    };
    // Everything of a call goes through one component: RTCP comes on the same port.
    let is_ours = *component == "1" && transport.eq_ignore_ascii_case("udp") && typ.eq_ignore_ascii_case("typ");
    let kind = kind.to_ascii_lowercase();
    let is_known = ["host", "srflx", "prflx", "relay"].contains(&kind.as_str());
    let priority: u32 = priority.parse().ok()?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    // A host name is not resolved: that would tell a third party of the call.
    let ip: IpAddr = address.parse().ok()?;
    let reachable =
        !ip.is_unspecified() && !ip.is_multicast() && (!ip.is_loopback() || addresses == Addresses::Loopback);
    if !is_ours || !is_known || !reachable {
        return None;
    }
    // Of what follows the stack reads the related address alone, and only in this place.
    let related = match rest {
        [name, address, port_name, port, ..]
            if name.eq_ignore_ascii_case("raddr") && port_name.eq_ignore_ascii_case("rport") =>
        {
            port.parse::<u16>().ok().map(|port| format!(" raddr {address} rport {port}"))
        }
        _ => None,
    };
    let related = related.unwrap_or_default();
    Some(format!("{foundation} 1 udp {priority} {ip} {port} typ {kind}{related}"))
}

/// Whether a line is a candidate at all, usable or not.
pub(super) fn is_candidate(value: &str) -> bool {
    value.split_whitespace().nth(6).is_some_and(|word| word.eq_ignore_ascii_case("typ"))
}
