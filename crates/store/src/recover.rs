//! A new database in the place of a damaged one.
//!
//! The new one is built beside the damaged one, with every row that can still be read, and takes its place by
//! renaming. Whenever that is cut off, either the damaged one is still in its place, or the next start
//! finishes the renaming.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, params_from_iter, types::Value};

use crate::{
    Store, StoreError, UnixMs,
    error::Fault,
    lock::{Lock, denied},
    open::{connect, has_content, open, place, with_suffix},
    store::write,
};

/// What [`Store::recover`] did.
#[derive(Debug)]
pub struct Recovered {
    /// The store, open.
    pub store: Store,
    /// Where the damaged file is now; none when it was not damaged after all, and nothing was done.
    pub set_aside: Option<PathBuf>,
    /// What the new database has from the damaged one.
    pub rescued: Rescued,
}

/// How many rows could still be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Contacts.
    pub contacts: usize,
    /// Calls of the history.
    pub calls: usize,
    /// Messages that wait for delivery.
    pub messages: usize,
}

/// Those that others refer to come first.
const TABLES: [&str; 7] = ["contact", "blocked", "request", "asked", "invite", "call", "outbox"];

/// More rows of one table are not looked for: pages that point at each other can make a table look endless.
const MAX_ROWS: usize = 200_000;

/// What SQLite keeps beside a database.
const LOGS: [&str; 2] = ["-wal", "-journal"];

impl Store {
    /// Opens the database at `path` as [`Store::open`] does. Where it is damaged, it is renamed to
    /// `NAME.damaged-YYYY-MM-DD-HHMMSS` (UTC), and a new one begun with what can still be read. For when the
    /// user was asked, or has seen [`StoreError::Damaged`].
    ///
    /// # Errors
    /// As [`Store::open`], but for the damage; the file is then as it was. A newer or foreign database is not
    /// set aside.
    pub fn recover(path: &Path, now: UnixMs) -> Result<Recovered, StoreError> {
        let path = place(path)?;
        let lock = Lock::take(&path)?;
        match open(&path, &lock) {
            Ok(connection) => {
                let store = Store::new(path, connection, lock);
                return Ok(Recovered { store, set_aside: None, rescued: Rescued::default() });
            }
            Err(StoreError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let aside =
            free_name(with_suffix(&path, &format!(".damaged-{}", date(now).map_err(|e| Fault::from(e).at(&path))?)));
        let rescued = build(&path, &lock).inspect_err(|_| {
            // It may be the disk that is full. What remains is in nobody's way, and removed at the next
            // attempt.
            _ = remove(&fresh(&path));
        })?;
        rename(&path, &aside)?;
        finish_as(&path, &aside)?;
        let connection = open(&path, &lock)?;
        let store = Store::new(path, connection, lock);
        Ok(Recovered { store, set_aside: Some(aside), rescued })
    }
}

/// The database that is being built.
fn fresh(path: &Path) -> PathBuf {
    with_suffix(path, ".new")
}

/// Finishes a renaming that was cut off: the damaged file is away, and the new one, which was complete before
/// anything was renamed, not in its place yet.
pub(crate) fn finish(path: &Path, _lock: &Lock) -> Result<(), StoreError> {
    if path.exists() || !has_content(&fresh(path)) {
        return Ok(());
    }
    finish_as(path, &free_name(with_suffix(path, ".damaged-log")))
}

fn finish_as(path: &Path, aside: &Path) -> Result<(), StoreError> {
    for log in LOGS {
        let from = with_suffix(path, log);
        if from.exists() {
            rename(&from, &with_suffix(aside, log))?;
        }
    }
    // SQLite would take a log that is still beside it for the new database's.
    sync_folder(path)?;
    rename(&fresh(path), path)?;
    sync_folder(path)
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(denied(from, &error)),
        _ => Ok(()),
    }
}

/// Makes renamings last through a power cut. Where folders cannot be opened as files the system does it by
/// itself.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent().filter(|_| cfg!(unix)) else { return Ok(()) };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| denied(folder, &e))
}

/// The moment in UTC, such as `2026-09-21-141320`.
fn date(now: UnixMs) -> rusqlite::Result<String> {
    let seconds = now.0.div_euclid(1000);
    let text: Option<String> = Connection::open_in_memory()?.query_row(
        "SELECT strftime('%Y-%m-%d-%H%M%S', ?1, 'unixepoch')",
        [seconds],
        |row| row.get(0),
    )?;
    // Before the year 0 or after 9999.
    Ok(text.unwrap_or_else(|| seconds.to_string()))
}

/// `name`, or with a number behind it where there is such a file.
fn free_name(name: PathBuf) -> PathBuf {
    let taken = |name: &Path| name.exists() || LOGS.iter().any(|log| with_suffix(name, log).exists());
    let mut free = name.clone();
    let mut number = 1;
    while taken(&free) {
        number += 1;
        free = with_suffix(&name, &format!("-{number}"));
    }
    free
}

fn remove(database: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-journal"] {
        let file = with_suffix(database, suffix);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(denied(&file, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// Builds the new database, whole and in one file, with what can be read of the damaged one.
fn build(path: &Path, lock: &Lock) -> Result<Rescued, StoreError> {
    let fresh = fresh(path);
    remove(&fresh)?;
    let mut connection = open(&fresh, lock)?;
    // SQLite deletes the log of an empty file by looking at it.
    let damaged = if has_content(path) { connect(path).ok() } else { None };
    let rescued = (|| {
        let rescued = match &damaged {
            Some(damaged) => write(&mut connection, |transaction| rescue(damaged, transaction))?,
            None => Rescued::default(),
        };
        // Into the one file that is renamed.
        let mode: String = connection.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0))?;
        match mode.as_str() {
            "delete" => Ok(rescued),
            _ => Err(rusqlite::Error::InvalidQuery.into()),
        }
    })()
    .map_err(|fault: Fault| fault.at(&fresh))?;
    drop(connection);
    Ok(rescued)
}

fn rescue(damaged: &Connection, to: &Connection) -> Result<Rescued, Fault> {
    let mut rescued = Rescued::default();
    for table in TABLES {
        let rows = rescue_table(damaged, to, table)?;
        match table {
            "contact" => rescued.contacts = rows,
            "call" => rescued.calls = rows,
            "outbox" => rescued.messages = rows,
            _ => {}
        }
    }
    Ok(rescued)
}

/// Reads a table from its beginning up to the damage, then from its end down to it. Rows that the new tables
/// refuse are left behind.
fn rescue_table(damaged: &Connection, to: &Connection, table: &str) -> Result<usize, Fault> {
    // Those that the damaged one has too: it may be of an earlier version.
    let Ok(present) = columns(damaged, table) else { return Ok(0) };
    let columns: Vec<_> = columns(to, table)?.into_iter().filter(|column| present.contains(column)).collect();
    if columns.is_empty() {
        return Ok(0);
    }
    let marks: Vec<_> = (1..=columns.len()).map(|i| format!("?{i}")).collect();
    let insert = format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({})", columns.join(", "), marks.join(", "));
    let mut insert = to.prepare(&insert)?;
    let mut rescued = 0;
    for order in ["ASC", "DESC"] {
        let select = format!("SELECT {} FROM {table} NOT INDEXED ORDER BY rowid {order}", columns.join(", "));
        let Ok(mut select) = damaged.prepare(&select) else { continue };
        let Ok(mut rows) = select.query([]) else { continue };
        let mut read = 0;
        while let Ok(Some(row)) = rows.next() {
            read += 1;
            if read > MAX_ROWS {
                break;
            }
            let Ok(values) = (0..columns.len()).map(|i| row.get(i)).collect::<Result<Vec<Value>, _>>() else {
                continue;
            };
            match insert.execute(params_from_iter(values)) {
                Ok(inserted) => rescued += inserted,
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(rescued)
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    query.query_map([table], |row| row.get(0))?.collect()
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
