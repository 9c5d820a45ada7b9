//! One process a database.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::{StoreError, open::with_suffix};

/// A lock on a file beside the database, from before it is looked at until the store is dropped. The system releases it
/// however the process ends, so a crash leaves nothing to clean up.
///
/// SQLite's own locks are on the database itself; this one also covers setting the database aside and putting another in
/// its place.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the database at `path`. The lock file stays behind: to remove it would let a third process lock
    /// a new one while a second still holds the old one.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let name = with_suffix(path, ".lock");
        let file = private().create(true).truncate(false).open(&name).map_err(|e| denied(&name, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(denied(&name, &error)),
        }
    }
}

/// Options for a file that nobody but its owner reads: it says whom somebody talks to, and when.
pub(crate) fn private() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Why the system did not let us at `path`.
pub(crate) fn denied(path: &Path, error: &io::Error) -> StoreError {
    let path: PathBuf = path.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull { path },
        _ => StoreError::Io { path, reason: error.to_string() },
    }
}
