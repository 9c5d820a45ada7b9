//! Where a peer was last reached.

use std::{fmt, net::SocketAddr, str::FromStr};

use rusqlite::{
    Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};

use crate::text::hint;

/// Where a peer can be looked for. All of it is a hint: the peer is known by its key alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Whereabouts {
    /// The relay that it is at home at.
    pub relay: Option<RelayUrl>,
    /// Addresses that it had.
    pub addresses: Addresses,
}

impl Whereabouts {
    /// Of two columns.
    pub(crate) fn from_columns(row: &Row, relay: usize, addresses: usize) -> rusqlite::Result<Self> {
        Ok(Self { relay: hint(row, relay)?, addresses: hint(row, addresses)?.unwrap_or_default() })
    }
}

/// The address of a relay: `http` or `https`, one word, at most [`RelayUrl::MAX_BYTES`]. What is behind it is
/// for the transport to find out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelayUrl(String);

/// A text that cannot be a relay's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a relay's address begins with https:// or http://, has no spaces and at most {} bytes: copy it again, whole",
    RelayUrl::MAX_BYTES
)]
pub struct RelayUrlError;

impl RelayUrl {
    /// A host name has at most 253 bytes; the rest is a scheme, a port and a short path.
    pub const MAX_BYTES: usize = 512;

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RelayUrl {
    type Err = RelayUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(RelayUrlError)?;
        let one_word = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic());
        (one_word && text.len() <= Self::MAX_BYTES).then(|| Self(text.to_owned())).ok_or(RelayUrlError)
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ToSql for RelayUrl {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for RelayUrl {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

/// Up to [`Addresses::MAX`] addresses with ports, in the order that they were given in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Addresses(Vec<SocketAddr>);

impl Addresses {
    /// A machine has a few interfaces, each with an address or two of IPv4 and IPv6.
    pub const MAX: usize = 16;

    /// The addresses.
    pub fn as_slice(&self) -> &[SocketAddr] {
        &self.0
    }
}

/// Takes the first [`Addresses::MAX`], each once.
impl FromIterator<SocketAddr> for Addresses {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        let mut kept = Vec::new();
        for address in addresses {
            if kept.len() == Self::MAX {
                break;
            }
            if !kept.contains(&address) {
                kept.push(address);
            }
        }
        Self(kept)
    }
}

impl ToSql for Addresses {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let words: Vec<_> = self.0.iter().map(SocketAddr::to_string).collect();
        Ok(words.join(" ").into())
    }
}

impl FromSql for Addresses {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let words = value.as_str()?.split(' ').filter(|word| !word.is_empty());
        words.map(|word| word.parse().map_err(FromSqlError::other)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_web_addresses_of_one_word() {
        for good in ["https://relay.example", "http://[::1]:3340/", "https://r.example:443/path"] {
            assert_eq!(good.parse::<RelayUrl>().map(|u| u.to_string()), Ok(good.to_owned()));
        }
        let long = format!("https://{}", "a".repeat(RelayUrl::MAX_BYTES));
        for bad in
            ["", "https://", "relay.example", "file:///etc", "https://a b", "https://a\n", "https://\u{202e}a", &long]
        {
            assert_eq!(bad.parse::<RelayUrl>(), Err(RelayUrlError), "{bad:?} was taken");
        }
    }

    #[test]
    fn addresses_are_few_and_each_is_there_once() {
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let kept: Addresses = (0..100).map(|i| address(i / 2)).collect();
        let expected: Vec<_> = (0..16).map(address).collect();
        assert_eq!(kept.as_slice(), expected);
    }
}
