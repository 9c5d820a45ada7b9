//! The name of a peer: its public key.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE};
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// An ed25519 public key, which is the address of a peer. Whether the 32 bytes are a point of the curve is
/// for the transport to check, which has to compute with them.
///
/// As text it is hexadecimal (64 digits); it is also read from base32 (RFC 4648 section 6, 52 letters without
/// padding). Either case is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId([u8; Self::BYTES]);

/// A text that is no endpoint id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint id has 64 hexadecimal digits or 52 letters of base32: copy it again, whole")]
pub struct EndpointIdError;

impl EndpointId {
    /// Size of a key.
    pub const BYTES: usize = 32;

    /// The id with these bytes.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The first ten digits: enough for a person to tell peers apart, not enough to trust one.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(10);
        text
    }
}

impl From<[u8; EndpointId::BYTES]> for EndpointId {
    fn from(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

impl FromStr for EndpointId {
    type Err = EndpointIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = match text.len() {
            64 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
            52 => BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()),
            _ => return Err(EndpointIdError),
        };
        let bytes = bytes.map_err(|_| EndpointIdError)?;
        bytes.try_into().map(Self).map_err(|_| EndpointIdError)
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointId({})", self.short())
    }
}

impl ToSql for EndpointId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_slice()))
    }
}

impl FromSql for EndpointId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_hex_and_base32_and_nothing_else() {
        let id = EndpointId::from(std::array::from_fn(|i| i as u8 * 7));
        let hex = id.to_string();
        let base32 = BASE32_NOPAD.encode(id.as_bytes());
        for good in [hex.clone(), hex.to_uppercase(), base32.clone(), base32.to_lowercase()] {
            assert_eq!(good.parse(), Ok(id), "{good}");
        }
        let bad = [
            "",
            "00",
            &hex[1..],
            &format!("{hex}0"),
            &hex.replace('0', "g"),
            &base32[1..],
            &"1".repeat(52),
            &"é".repeat(32),
        ];
        for bad in bad {
            assert_eq!(bad.parse::<EndpointId>(), Err(EndpointIdError), "{bad:?} was taken");
        }
        assert_eq!(id.short(), hex[..10]);
    }
}
