//! One process a database.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{StoreError, open::with_suffix};

/// How long the lock is waited for: a process that was just killed, or is closing its store, holds it until
/// its last write is through.
const LIMIT: Duration = Duration::from_secs(1);
/// The system does not tell when it is free.
const POLL: Duration = Duration::from_millis(10);

/// A lock on a file beside the database, from before it is looked at until the store is dropped. The system
/// releases it however the process ends, so a crash leaves nothing to clean up.
///
/// SQLite's own locks are on the database itself; this one also covers setting the database aside and putting
/// another in its place.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the database at `path`. The lock file stays behind: to remove it would let a third
    /// process lock a new one while a second still holds the old one.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let name = with_suffix(path, ".lock");
        let file = private().create(true).truncate(false).open(&name).map_err(|e| denied(&name, &e))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) if start.elapsed() < LIMIT => thread::sleep(POLL),
                Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
                Err(TryLockError::Error(error)) => return Err(denied(&name, &error)),
            }
        }
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: a child that was being started just then has it open too, until it
    /// runs its program.
    fn drop(&mut self) {
        // What fails here is released with the process.
        _ = self.file.unlock();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, testing::T0};

    #[test]
    fn nobody_looks_at_a_database_while_another_holds_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("ahoy.db");
        let lock = Lock::take(&path).unwrap();
        let in_use = StoreError::InUse { path: path.clone() };
        assert_eq!(Store::open(&path).unwrap_err(), in_use);
        assert_eq!(Store::recover(&path, T0).unwrap_err(), in_use);
        assert!(!path.exists());
        drop(lock);
        Store::open(&path).unwrap();
    }

    #[test]
    fn a_lock_that_is_soon_released_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahoy.db");
        let lock = Lock::take(&path).unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| Lock::take(&path).map(drop));
            thread::sleep(5 * POLL);
            drop(lock);
            second.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_copy_of_the_open_file_elsewhere_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahoy.db");
        let lock = Lock::take(&path).unwrap();
        let _as_in_a_child = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::take(&path).unwrap();
    }
}
