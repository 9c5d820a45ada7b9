//! From a path to a connection that can be relied on.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{
    StoreError,
    error::Fault,
    history,
    lock::{Lock, denied, private},
    recover,
    schema::{APPLICATION_ID, STEPS, migrate, version},
};

/// How long another program (a backup, somebody's database browser) may hold the file before it counts as in
/// use.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// The absolute path of the database; its folder is made, for its owner alone, where it is missing. One file
/// has one path, whatever links lead to it, so that it has one lock.
pub(crate) fn place(path: &Path) -> Result<PathBuf, StoreError> {
    let reason = "it names no file".to_owned();
    let name = path.file_name().ok_or_else(|| StoreError::Io { path: path.to_owned(), reason })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let folder = builder.create(folder).and_then(|()| folder.canonicalize()).map_err(|e| denied(folder, &e))?;
    let path = folder.join(name);
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(_) => Ok(path),
    }
}

/// Opens the database at `path`, or begins one where there is none. A database that is refused is left as it
/// was.
pub(crate) fn open(path: &Path, lock: &Lock) -> Result<Connection, StoreError> {
    recover::finish(path, lock)?;
    if !has_content(path) {
        if has_content(&with_suffix(path, "-wal")) {
            // SQLite would delete the log, as a log of nothing, with all that it holds.
            let detail = "the file is empty, and its log is not".to_owned();
            return Err(StoreError::Damaged { path: path.to_owned(), detail });
        }
        private().create(true).truncate(false).open(path).map_err(|e| denied(path, &e))?;
    }
    (|| {
        let mut connection = connect(path)?;
        examine(&connection, path)?;
        configure(&connection, path)?;
        migrate(&mut connection, STEPS)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        match history::end_interrupted(&mut connection).map_err(|fault| fault.at(path)) {
            // The rest can be read, and space be freed; it is made up for at a later start.
            Ok(()) | Err(StoreError::DiskFull { .. }) => Ok(connection),
            Err(error) => Err(error.into()),
        }
    })()
    .map_err(|fault: Fault| fault.at(path))
}

/// A connection that has changed nothing yet, nor will by being closed.
pub(crate) fn connect(path: &Path) -> Result<Connection, Fault> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly { path: path.to_owned() }.into());
    }
    connection.busy_timeout(BUSY_LIMIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Exclusive before the first access: then the index of the log is in memory, not in a file shared with
    // others. The file may come from anywhere: its schema calls no function with side effects, and its pages
    // are not believed.
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;",
    )?;
    Ok(connection)
}

/// Whether this is a sound database of ours, of a version that we know, or a new one.
fn examine(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let path = path.to_owned();
    let found = version(connection)?;
    let owner: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let entries: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (owner, found, entries) == (0, 0, 0) {
        return Ok(());
    }
    if owner != APPLICATION_ID {
        return Err(StoreError::Foreign { path }.into());
    }
    let known = i32::try_from(STEPS.len()).unwrap_or(i32::MAX);
    if found > known {
        return Err(StoreError::Newer { path, found, known }.into());
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Damaged { path, detail: verdict }.into());
    }
    if found < 1 {
        return Err(StoreError::Damaged { path, detail: format!("version {found} of its data does not exist") }.into());
    }
    Ok(())
}

/// Write-ahead log with a sync at every commit (`FULL`): what was acknowledged survives a power cut; `NORMAL`
/// would only survive a kill. What is deleted is overwritten when the log is taken over: who deletes a call
/// means it.
fn configure(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let reason = "its file system cannot keep a write-ahead log".to_owned();
        return Err(StoreError::Io { path: path.to_owned(), reason }.into());
    }
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Whether there is a file with something in it. To SQLite a file of one byte is empty too.
pub(crate) fn has_content(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() > 1)
}

/// The path with `suffix` after its last character.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
