//! What can go wrong, in words for the person before the screen.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::{EndpointId, MAX_INVITES, MAX_MESSAGE_BYTES, MAX_WAITING_PER_PEER};

/// Why the store did not do what was asked. Nothing of what was asked is then in the database, and all that
/// was there before still is; after any of these the store goes on working.
///
/// The text is for people; programs tell errors apart by the variant or by [`StoreError::code`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another store of this one, has the database open.
    #[error("{path} is in use by another Ahoy: close that one, or start this one with another profile")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// Written by a later version of Ahoy. Nothing was changed.
    #[error(
        "{path} was written by a newer Ahoy (its data has version {found}, this Ahoy knows up to {known}): update Ahoy; \
         nothing was changed"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of its schema.
        found: i32,
        /// The newest that this program knows.
        known: i32,
    },
    /// Not readable as a database, or with parts that contradict each other. Nothing was changed;
    /// [`crate::Store::recover`] sets it aside and begins a new one.
    #[error(
        "{path} is damaged ({detail}): nothing was changed. Ahoy can set the file aside, keep what is still readable and \
         go on, or you can put a copy of yours in its place"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// A sound database, of another program.
    #[error(
        "{path} belongs to another program: nothing was changed. Start Ahoy with another profile, or move that file away"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder does not let itself be written.
    #[error(
        "{path} cannot be written: give your account the right to write it and its folder, or start Ahoy with a profile \
         elsewhere"
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// No space left.
    #[error(
        "the disk is full, so {path} could not take the last change; all before it is safe. Free some space and try again"
    )]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let us at the file.
    #[error("{path} cannot be used ({reason}): check that its disk is there and that its folder belongs to you")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// SQLite refused for a reason that has no place here.
    #[error(
        "{path} did not take the last change ({reason}): this is a mistake in Ahoy, please report it; all before it is safe"
    )]
    Unexpected {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// There is no such contact.
    #[error("{} is not among the contacts: it may have been removed; add it again", peer.short())]
    NoContact {
        /// Who.
        peer: EndpointId,
    },
    /// There is such a contact already.
    #[error("this key already belongs to the contact {name}: rename that one, if you like")]
    AlreadyContact {
        /// The name that the contact is shown by.
        name: String,
    },
    /// There is no such contact request (any more).
    #[error("the request of {} is gone: newer ones may have replaced it; ask for another", peer.short())]
    NoRequest {
        /// Whose.
        peer: EndpointId,
    },
    /// The token was issued before. With 32 random bytes that does not happen by itself.
    #[error("this invite exists already: make another one")]
    InviteExists,
    /// [`MAX_INVITES`] are there.
    #[error("there are {MAX_INVITES} invites already: withdraw some that nobody will use")]
    TooManyInvites,
    /// Over [`MAX_MESSAGE_BYTES`].
    #[error("the message has {bytes} bytes, and {MAX_MESSAGE_BYTES} are allowed: shorten it")]
    MessageTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// [`MAX_WAITING_PER_PEER`] messages wait for this contact.
    #[error(
        "{MAX_WAITING_PER_PEER} messages to {} still wait for delivery: wait until this contact was online, or until they \
         expire",
        peer.short()
    )]
    OutboxFull {
        /// Whom the messages are to.
        peer: EndpointId,
    },
}

impl StoreError {
    /// The name of the kind of error, for programs: a kebab-case word that does not change with the text.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "in-use",
            Self::Newer { .. } => "newer",
            Self::Damaged { .. } => "damaged",
            Self::Foreign { .. } => "foreign",
            Self::ReadOnly { .. } => "read-only",
            Self::DiskFull { .. } => "disk-full",
            Self::Io { .. } => "io",
            Self::Unexpected { .. } => "unexpected",
            Self::NoContact { .. } => "no-contact",
            Self::AlreadyContact { .. } => "already-contact",
            Self::NoRequest { .. } => "no-request",
            Self::InviteExists => "invite-exists",
            Self::TooManyInvites => "too-many-invites",
            Self::MessageTooLarge { .. } => "message-too-large",
            Self::OutboxFull { .. } => "outbox-full",
        }
    }
}

/// What a transaction can end with: SQLite does not know the file's name, so it is added by whoever does.
#[derive(Debug)]
pub(crate) enum Fault {
    Sqlite(rusqlite::Error),
    Refused(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl Fault {
    pub(crate) fn at(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        let error = match self {
            Self::Refused(error) => return error,
            Self::Sqlite(error) => error,
        };
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged { path, detail: reason },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly { path },
            Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::FileLockingProtocolFailed) => {
                StoreError::Io { path, reason }
            }
            Some(_) => StoreError::Unexpected { path, reason },
            None => match error {
                // A row that no version of Ahoy writes.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::IntegralValueOutOfRange(..) => StoreError::Damaged { path, detail: reason },
                _ => StoreError::Unexpected { path, reason },
            },
        }
    }
}
