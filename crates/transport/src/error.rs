//! What can go wrong, in words for the user. Told apart by variant, never by text.

use std::path::PathBuf;

/// The identity key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{path} cannot be used ({source}): check that you may read and write it")]
    Inaccessible {
        /// The key's file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds something else. It is left as it is: without the key nobody knows this user any more.
    #[error("{path} is no identity key: put a copy of the key back, or move the file away to begin as somebody new")]
    Damaged {
        /// The key's file.
        path: PathBuf,
    },
}

/// The transport cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No socket.
    #[error("the network cannot be used ({0}): check that this program may open UDP sockets")]
    Network(String),
}

/// A text is no invite that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Something else.
    #[error("this is no invite: an invite begins with ahoy:")]
    NotALink,
    /// The end is missing.
    #[error("the invite is not whole: copy it again, to its end")]
    Cut,
    /// Letters were changed or added.
    #[error("the invite was altered on its way: copy it again, or ask for a new one")]
    Altered,
    /// Of a version that this program does not know.
    #[error("the invite is of a newer version of Ahoy: bring Ahoy up to date")]
    Newer,
    /// It was made with this key.
    #[error("this is your own invite: send it to somebody else")]
    Own,
    /// Too late.
    #[error("the invite has expired: ask for a new one")]
    Expired,
}

/// An invite was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// The link itself is of no use.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Who made it is not there. The invite can be tried again.
    #[error("whoever made the invite cannot be reached: try again when they are online")]
    Unreachable,
    /// Somebody used it before.
    #[error("the invite was used already: ask for a new one")]
    Used,
    /// It was withdrawn, or never made.
    #[error("the invite is not valid any more: ask for a new one")]
    Unknown,
}

/// A contact request was not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The peer is not there.
    #[error("they cannot be reached: try again when they are online")]
    Unreachable,
    /// The peer takes no more for now.
    #[error("they do not take requests at the moment: try again tomorrow")]
    Refused,
    /// One's own key.
    #[error("this is yourself")]
    Own,
}

/// Something did not get to a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// Nobody is called that, here.
    #[error("is no contact")]
    NoContact,
    /// There is no way to the contact.
    #[error("is offline")]
    Offline,
    /// It was sent and nobody said that it has come.
    #[error("did not answer in time")]
    NotAcknowledged,
    /// Too much is waiting already.
    #[error("too many messages are under way")]
    TooMany,
    /// Over the limit.
    #[error("the message is too large")]
    TooLarge,
    /// The transport was closed.
    #[error("the connection to the network is closed")]
    Closed,
}
