//! Invite links: who, where, and a token that makes whoever has it a contact, once.
//!
//! A link is `ahoy:` and base32 (RFC 4648 section 6; lower case, no padding: every messenger leaves it whole,
//! and a QR code holds it densely) of
//!
//! ```text
//! version u8 | length u16 of all of this | content | checksum: first 8 bytes of BLAKE3 over all before it
//! content of version 1: key [32] | token [32] | expiry u64, unix ms
//!                       | relay: u16 length, UTF-8 | addresses: u8 count, each 4 or 6, IP, u16 port
//!                       | name: u16 length, UTF-8
//! ```
//!
//! with numbers in network order. Version, length and checksum stay where they are in every version, so that
//! any program can tell a link that is cut or altered from one that is newer than itself. The checksum is
//! against accidents: who alters a link on purpose can as well write another one.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use data_encoding::BASE32_NOPAD;
use iroh::EndpointId;

use crate::{LinkError, Whereabouts, text, whereabouts::MAX_RELAY_BYTES};

const SCHEME: &str = "ahoy:";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 8;
/// Letters that hold a header: three bytes are 24 bits, and a letter has five.
const HEADER_LETTERS: usize = 5;

/// Longest link, in bytes. A usual one has some 250; the longest that can be made, with sixteen addresses, a
/// relay and a name at their limits, has 2,100.
pub const MAX_LINK_BYTES: usize = 4096;

/// 32 random bytes: a person who has them may become a contact, once. `Debug` does not show them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InviteToken([u8; Self::BYTES]);

impl InviteToken {
    /// Size of a token.
    pub const BYTES: usize = 32;

    /// A new token: nobody guesses it.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The token's bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl From<[u8; InviteToken::BYTES]> for InviteToken {
    fn from(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteToken(…)")
    }
}

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Who invites.
    pub peer: EndpointId,
    /// What makes the one who opens the link a contact.
    pub token: InviteToken,
    /// From when on it is of no use, in unix ms. A hint for who opens it: the inviter's word counts.
    pub expires_at_ms: u64,
    /// Where the inviter can be looked for.
    pub whereabouts: Whereabouts,
    /// What the inviter calls itself: one line of at most [`crate::MAX_NAME_CHARS`] characters.
    pub name: Option<String>,
}

impl Invite {
    /// The link. Whereabouts and name are cut at their limits.
    pub fn to_link(&self) -> String {
        let mut bytes = vec![VERSION, 0, 0];
        bytes.extend(self.peer.as_bytes());
        bytes.extend(self.token.as_bytes());
        bytes.extend(self.expires_at_ms.to_be_bytes());
        let Whereabouts { relay, addresses } = self.whereabouts.clone().checked();
        put_text(&mut bytes, relay.as_ref().map_or("", |relay| relay.as_str()));
        // At most sixteen.
        bytes.push(u8::try_from(addresses.len()).unwrap_or(0));
        for address in addresses {
            match address.ip() {
                IpAddr::V4(ip) => (bytes.push(4), bytes.extend(ip.octets())).1,
                IpAddr::V6(ip) => (bytes.push(6), bytes.extend(ip.octets())).1,
            }
            bytes.extend(address.port().to_be_bytes());
        }
        put_text(&mut bytes, &self.name.as_deref().and_then(text::name).unwrap_or_default());
        let length = u16::try_from(bytes.len() + CHECKSUM_BYTES).unwrap_or(u16::MAX).to_be_bytes();
        bytes.splice(1..HEADER_BYTES, length);
        bytes.extend(checksum(&bytes));
        format!("{SCHEME}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }

    /// Reads a link. Spaces and line breaks within, either case, and the slashes that programs add to
    /// addresses are passed over.
    ///
    /// # Errors
    /// [`LinkError`], but neither `Own` nor `Expired`: see [`Self::check`].
    pub fn parse(link: &str) -> Result<Self, LinkError> {
        if link.len() > MAX_LINK_BYTES {
            let known = link.trim_start().get(..SCHEME.len()).is_some_and(|s| s.eq_ignore_ascii_case(SCHEME));
            return Err(if known { LinkError::Altered } else { LinkError::NotALink });
        }
        let link: String = link.chars().filter(|c| !c.is_whitespace()).collect();
        let link = link.to_ascii_uppercase();
        let scheme = SCHEME.to_ascii_uppercase();
        let Some(letters) = link.strip_prefix(&scheme) else {
            let beginning = link.len() >= 2 && scheme.starts_with(&link);
            return Err(if beginning { LinkError::Cut } else { LinkError::NotALink });
        };
        let letters = letters.trim_start_matches('/').trim_end_matches('/').as_bytes();
        let content = unpack(letters)?;
        read(&content).ok_or(LinkError::Altered)
    }

    /// Whether `me` can use it at `now_ms`, unix ms.
    ///
    /// # Errors
    /// [`LinkError::Own`], [`LinkError::Expired`].
    pub fn check(&self, me: EndpointId, now_ms: u64) -> Result<(), LinkError> {
        if self.peer == me {
            return Err(LinkError::Own);
        }
        if self.expires_at_ms <= now_ms { Err(LinkError::Expired) } else { Ok(()) }
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(u16::try_from(text.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(text.bytes());
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut checksum);
    checksum
}

/// The content of a link of this version, whatever it says.
fn unpack(letters: &[u8]) -> Result<Vec<u8>, LinkError> {
    if !letters.iter().all(|letter| BASE32_NOPAD.specification().symbols.as_bytes().contains(letter)) {
        return Err(LinkError::Altered);
    }
    // Five letters hold the header's three bytes and a bit.
    let header = letters.get(..HEADER_LETTERS).ok_or(LinkError::Cut)?;
    let header: Vec<u8> = BASE32_NOPAD.decode(&[header, b"AAA"].concat()).map_err(|_| LinkError::Altered)?;
    let &[version, high, low, ..] = header.as_slice() else { return Err(LinkError::Altered) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    match letters.len().cmp(&BASE32_NOPAD.encode_len(length)) {
        std::cmp::Ordering::Less => return Err(LinkError::Cut),
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Greater => return Err(LinkError::Altered),
    }
    let mut bytes = BASE32_NOPAD.decode(letters).map_err(|_| LinkError::Altered)?;
    let end = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|end| *end >= HEADER_BYTES).ok_or(LinkError::Altered)?;
    let stated = bytes.split_off(end);
    if stated != checksum(&bytes) {
        return Err(LinkError::Altered);
    }
    if version != VERSION {
        return Err(LinkError::Newer);
    }
    Ok(bytes.split_off(HEADER_BYTES))
}

fn read(content: &[u8]) -> Option<Invite> {
    let mut reader = Reader(content);
    let peer = EndpointId::from_bytes(&reader.array()?).ok()?;
    let token = InviteToken(reader.array()?);
    let expires_at_ms = u64::from_be_bytes(reader.array()?);
    let relay = match reader.text(MAX_RELAY_BYTES)? {
        "" => None,
        url => Some(url.parse().ok()?),
    };
    let [count] = reader.array()?;
    let addresses = (0..count).map(|_| reader.address()).collect::<Option<Vec<_>>>()?;
    let name = text::name(reader.text(usize::MAX)?);
    let whereabouts = Whereabouts { relay, addresses }.checked();
    reader.0.is_empty().then_some(Invite { peer, token, expires_at_ms, whereabouts, name })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self, max: usize) -> Option<&'a str> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        if length > max {
            return None;
        }
        str::from_utf8(self.take(length)?).ok()
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip: IpAddr = match self.array()? {
            [4] => Ipv4Addr::from(self.array::<4>()?).into(),
            [6] => Ipv6Addr::from(self.array::<16>()?).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(self.array()?)))
    }
}

#[cfg(test)]
#[path = "invite_tests.rs"]
mod tests;
