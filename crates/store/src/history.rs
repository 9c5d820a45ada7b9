//! Every call: with whom, which way, how long, and how it ended.

use std::time::Duration;

use rusqlite::{
    Connection, OptionalExtension, Row, Transaction, params,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};

use crate::{DisplayName, EndpointId, Store, StoreError, UnixMs, error::Fault, store::write, text::hint};

/// Most calls that one question is answered with: some screens full, and some 100 KB.
pub const MAX_CALLS_PER_PAGE: usize = 500;

/// Names a call of the history. Later calls have greater ids, and an id is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallRecordId(i64);

impl CallRecordId {
    /// The id as a number, for a page.
    pub fn get(self) -> i64 {
        self.0
    }
}

/// Of a number that [`CallRecordId::get`] gave; any other names no call.
impl From<i64> for CallRecordId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The other side.
    Incoming,
    /// This side.
    Outgoing,
}

/// What the call was begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// Sound alone.
    Audio,
    /// Sound and picture.
    Video,
}

macro_rules! word_column {
    ($type:ident, $($variant:ident = $word:literal),+) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(match self { $(Self::$variant => $word,)+ }.into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? { $($word => Ok(Self::$variant),)+ _ => Err(FromSqlError::InvalidType) }
            }
        }
    };
}

word_column!(Direction, Incoming = "incoming", Outgoing = "outgoing");
word_column!(Media, Audio = "audio", Video = "video");

/// How a call ended: the word of the signaling (`hangup declined busy timeout failed …`, or another peer's
/// own), or [`EndReason::INTERRUPTED`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndReason(String);

impl EndReason {
    /// Longest word that is kept, as in the signaling.
    pub const MAX_BYTES: usize = 64;

    /// Ahoy itself ended before the call did.
    pub const INTERRUPTED: &str = "interrupted";

    /// Words after which a call that rang here unanswered was not missed: somebody here said no, or the two
    /// called each other at once and talked in the other call.
    const NOT_MISSED: [&str; 2] = ["declined", "glare"];

    /// The word without control characters, cut at the limit; `unknown` when nothing is left.
    pub fn new(word: &str) -> Self {
        let mut word: String = word.chars().filter(|c| !c.is_control()).take(Self::MAX_BYTES).collect();
        word.truncate(word.floor_char_boundary(Self::MAX_BYTES));
        Self(if word.is_empty() { "unknown".to_owned() } else { word })
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ToSql for EndReason {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for EndReason {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        // A garbled word is a word of some other peer's.
        value.as_bytes().map(|word| Self::new(&String::from_utf8_lossy(word)))
    }
}

/// A call that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// The other side.
    pub peer: EndpointId,
    /// Who called.
    pub direction: Direction,
    /// What with.
    pub media: Media,
}

/// A call of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Its name.
    pub id: CallRecordId,
    /// The other side.
    pub peer: EndpointId,
    /// What the other side is called, or was when it was a contact still.
    pub peer_name: Option<DisplayName>,
    /// Who called.
    pub direction: Direction,
    /// What with.
    pub media: Media,
    /// When it began to ring.
    pub started_at: UnixMs,
    /// When it was answered.
    pub answered_at: Option<UnixMs>,
    /// When it ended; none while it runs, and when it was interrupted.
    pub ended_at: Option<UnixMs>,
    /// How it ended; none while it runs.
    pub reason: Option<EndReason>,
    /// A missed call that the user has not been shown.
    pub unseen: bool,
}

const CALLS: &str = "
    SELECT id, call.peer, coalesce(contact.name, contact.own_name, call.peer_name), direction, media, started_at,
           answered_at, ended_at, end_reason, unseen
    FROM call LEFT JOIN contact ON contact.peer = call.peer";

impl CallRecord {
    /// How long the two talked; none when they did not, still do, or nobody saw the end.
    pub fn length(&self) -> Option<Duration> {
        self.ended_at.zip(self.answered_at).map(|(ended, answered)| ended.since(answered))
    }

    /// Whether somebody called and nobody here answered, or said no.
    pub fn is_missed(&self) -> bool {
        let unanswered = self.direction == Direction::Incoming && self.answered_at.is_none();
        unanswered && self.reason.as_ref().is_some_and(|r| !EndReason::NOT_MISSED.contains(&r.as_str()))
    }

    fn from_row(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            id: CallRecordId(row.get(0)?),
            peer: row.get(1)?,
            peer_name: hint(row, 2)?,
            direction: row.get(3)?,
            media: row.get(4)?,
            started_at: row.get(5)?,
            answered_at: row.get(6)?,
            ended_at: row.get(7)?,
            reason: row.get(8)?,
            unseen: row.get(9)?,
        })
    }
}

impl Store {
    /// Notes that a call begins to ring, here or there.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn begin_call(&self, call: NewCall, now: UnixMs) -> Result<CallRecordId, StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO call (peer, direction, media, started_at) VALUES (?1, ?2, ?3, ?4)",
                params![call.peer, call.direction, call.media, now],
            )?;
            Ok(CallRecordId(transaction.last_insert_rowid()))
        })
    }

    /// Notes that a running call was answered. False when it is over, was answered before, or is not in the
    /// history.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn answer_call(&self, id: CallRecordId, now: UnixMs) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let answer =
                "UPDATE call SET answered_at = ?2 WHERE id = ?1 AND end_reason IS NULL AND answered_at IS NULL";
            Ok(transaction.execute(answer, params![id.0, now])? > 0)
        })
    }

    /// Notes how a running call ended; a missed one is unseen from now on. False when it was over before, or
    /// is not in the history (any more): the first end stands.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn end_call(&self, id: CallRecordId, now: UnixMs, reason: &EndReason) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let query = format!("{CALLS} WHERE id = ?1 AND end_reason IS NULL");
            let running = transaction.query_row(&query, [id.0], CallRecord::from_row).optional()?;
            let Some(call) = running else { return Ok(false) };
            end(transaction, call, Some(now), reason.clone())?;
            Ok(true)
        })
    }

    /// A page of the history, the latest call first: those before the call `before`, or the very latest; at
    /// most `limit`, and at most [`MAX_CALLS_PER_PAGE`].
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn calls(&self, before: Option<CallRecordId>, limit: usize) -> Result<Vec<CallRecord>, StoreError> {
        let before = before.map_or(i64::MAX, |id| id.0);
        let limit = i64::try_from(limit.min(MAX_CALLS_PER_PAGE)).unwrap_or(0);
        self.read(|connection| {
            // By id and not by time: the order in which they came, whatever the clock did meanwhile.
            let mut query = connection.prepare(&format!("{CALLS} WHERE id < ?1 ORDER BY id DESC LIMIT ?2"))?;
            Ok(query.query_map([before, limit], CallRecord::from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// How many missed calls are unseen.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn unseen_calls(&self) -> Result<usize, StoreError> {
        self.read(|connection| {
            let count: i64 =
                connection.query_row("SELECT count(*) FROM call WHERE unseen = 1", [], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or(0))
        })
    }

    /// Notes that the user was shown the missed calls up to the call `last`: later ones, which came while the
    /// page was being drawn, stay unseen.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn mark_calls_seen(&self, last: CallRecordId) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("UPDATE call SET unseen = 0 WHERE unseen = 1 AND id <= ?1", [last.0])?;
            Ok(())
        })
    }

    /// Removes a call from the history. False when it was not there.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn delete_call(&self, id: CallRecordId) -> Result<bool, StoreError> {
        self.write(|transaction| Ok(transaction.execute("DELETE FROM call WHERE id = ?1", [id.0])? > 0))
    }

    /// Removes all calls from the history but those that run.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn delete_all_calls(&self) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM call WHERE end_reason IS NOT NULL", [])?;
            Ok(())
        })
    }
}

fn end(transaction: &Transaction, call: CallRecord, at: Option<UnixMs>, reason: EndReason) -> rusqlite::Result<()> {
    let ended = CallRecord { ended_at: at, reason: Some(reason), ..call };
    transaction.execute(
        "UPDATE call SET ended_at = ?2, end_reason = ?3, unseen = ?4 WHERE id = ?1",
        params![ended.id.0, ended.ended_at, ended.reason, ended.is_missed()],
    )?;
    Ok(())
}

/// Ends the calls that nobody saw the end of. Only this process can have calls running, and it has just
/// begun.
pub(crate) fn end_interrupted(connection: &mut Connection) -> Result<(), Fault> {
    let running: Vec<CallRecord> = {
        let mut query = connection.prepare(&format!("{CALLS} WHERE end_reason IS NULL"))?;
        query.query_map([], CallRecord::from_row)?.collect::<Result<_, _>>()?
    };
    if running.is_empty() {
        return Ok(());
    }
    write(connection, |transaction| {
        for call in running {
            end(transaction, call, None, EndReason::new(EndReason::INTERRUPTED))?;
        }
        Ok(())
    })
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
