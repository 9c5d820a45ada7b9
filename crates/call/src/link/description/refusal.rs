//! Why a description, or a section of it, cannot be used. In words for a person, and without a word of the
//! network.

use super::Kind;

/// Why a whole description cannot be used. What it says goes after "because".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it is not a session description")]
    Unreadable,
    #[error("it is longer than any real one")]
    TooLong,
    #[error("it has more sections than any real one")]
    TooManySections,
    #[error("it has neither an audio nor a video section")]
    NoMedia,
    #[error("it refuses audio and video alike")]
    AllRefused,
    #[error("it offers neither Opus nor VP8")]
    NothingInCommon,
    #[error("it has no fingerprint, so nothing would prove whom the call is with")]
    NoFingerprint,
    #[error("its fingerprint is of the kind {0}, and only sha-256 can be checked here")]
    OtherHash(String),
    #[error("its fingerprint is damaged")]
    BadFingerprint,
    #[error("it has no ICE user name or password")]
    NoIce,
    #[error("it asks to hold the connection back (setup:holdconn)")]
    HoldConn,
}

/// Why one section is not part of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is neither audio nor video, or cannot be read.
    NotMedia,
    /// The other side refuses it, or has ended it.
    Refused,
    /// It uses another protocol than RTP.
    Protocol,
    NoCommonCodec,
    /// A medium of this kind is in the call already.
    Second,
    /// It wants a connection of its own, and a call has one.
    NotBundled,
    /// It is carried, and its author does not receive it, but receives another.
    NotReceived,
}

/// A medium that one side described and that is not part of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotCarried {
    pub(super) kind: Kind,
    pub(super) reason: Reason,
}

impl NotCarried {
    /// What happened, in words. None: nobody misses it.
    pub(super) fn text(self) -> Option<String> {
        let name = self.kind.name();
        Some(match self.reason {
            Reason::NotMedia => return None,
            Reason::Refused => format!("there is no {name} in this call: the other side's program refuses it"),
            Reason::Protocol => {
                format!(
                    "there is no {name} in this call: the other side's program sends it in a way that is not known here"
                )
            }
            Reason::NoCommonCodec => format!(
                "there is no {name} in this call: the other side's program does not know the codec {}",
                self.kind.codec_name()
            ),
            Reason::Second => format!("the other side offers a second {name} stream, and only one is taken"),
            Reason::NotBundled => format!(
                "there is no {name} in this call: the other side's program wants a second connection for it (no BUNDLE)"
            ),
            Reason::NotReceived => {
                format!("your {name} does not arrive: the other side's program receives no {name} in this call")
            }
        })
    }
}
