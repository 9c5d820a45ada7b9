//! The open database.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::{
    StoreError,
    error::Fault,
    lock::Lock,
    open::{open, place},
};

/// One profile's database. Methods block until the disk has answered; they may be called from any thread.
///
/// One connection behind a mutex: SQLite has one writer at a time anyway, and callers are blocking threads
/// already, so a thread that owns the connection would only add a queue. Dropping the store closes the file.
pub struct Store {
    path: PathBuf,
    // Before the lock, so that it is dropped before it.
    connection: Mutex<Connection>,
    _lock: Lock,
}

impl Store {
    /// Opens the database at `path`, brings it up to date, and marks calls that a crash cut off as
    /// interrupted. Makes file and folder, for their owner alone, where they are missing.
    ///
    /// # Errors
    /// In use, newer, damaged, foreign, read-only, or not accessible. The file is then as it was.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = place(path)?;
        let lock = Lock::take(&path)?;
        let connection = open(&path, &lock)?;
        Ok(Self::new(path, connection, lock))
    }

    pub(crate) fn new(path: PathBuf, connection: Connection, lock: Lock) -> Self {
        Self { path, connection: Mutex::new(connection), _lock: lock }
    }

    /// The absolute path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `job` on the database.
    pub(crate) fn read<T>(&self, job: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        job(&self.connection()).map_err(|fault| fault.at(&self.path))
    }

    /// Runs `job` in a transaction. Once this returns `Ok` the disk has it; otherwise nothing of it is there.
    pub(crate) fn write<T>(&self, job: impl FnOnce(&Transaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        write(&mut self.connection(), job).map_err(|fault| fault.at(&self.path))
    }

    // A panic in a job has rolled its transaction back, so the connection behind a poisoned mutex is sound.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn write<T>(
    connection: &mut Connection,
    job: impl FnOnce(&Transaction) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = job(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}
