//! Names of calls and of peers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Name of a call: the `channel` of its envelopes. Made up by the caller, so to everybody else it is outside
/// input.
///
/// Ordered by its bytes; when two peers call each other at once, the call of the smaller id goes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId(String);

impl CallId {
    /// A UUID has 36 bytes; this leaves room for anybody's scheme and keeps logs and maps small.
    pub const MAX_BYTES: usize = 128;

    /// A new id of 128 random bits: nobody guesses it, no two calls share it.
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    /// The id as it stands in an envelope.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot name a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a call id has 1 to {} bytes and no control characters", CallId::MAX_BYTES)]
pub struct CallIdError;

impl TryFrom<String> for CallId {
    type Error = CallIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then_some(Self(text)).ok_or(CallIdError)
    }
}

impl FromStr for CallId {
    type Err = CallIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<CallId> for String {
    fn from(id: CallId) -> Self {
        id.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of a peer, as the transport that authenticated it calls it. Never taken from a message's content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(String);

impl PeerId {
    /// The name as the transport gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for PeerId {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl From<&str> for PeerId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_are_bounded_printable_and_unlike_each_other() {
        for bad in ["", "a\nb", "\0", &"x".repeat(CallId::MAX_BYTES + 1)] {
            assert_eq!(bad.parse::<CallId>(), Err(CallIdError), "{bad:?} was taken");
        }
        assert_eq!("x".repeat(CallId::MAX_BYTES).parse::<CallId>().map(|id| id.as_str().len()), Ok(CallId::MAX_BYTES));
        assert_ne!(CallId::random(), CallId::random());
    }
}
