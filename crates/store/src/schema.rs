//! The tables, and how a database of an earlier version becomes one of today's.

use rusqlite::{Connection, TransactionBehavior};

/// "Ahoy" in the header of the file, where `file(1)` and we find whose database it is.
pub(crate) const APPLICATION_ID: i32 = 0x4168_6f79;

/// The steps from an empty file to today's schema; a database's `user_version` is how many of them it has
/// taken. A step that was released is never changed: a new one follows it.
pub(crate) const STEPS: &[&str] = &[FIRST, SECOND];

/// The checks repeat what the types promise. SQLite tests them at every start (`quick_check`), so a damaged
/// value is found there and not where it is used.
const FIRST: &str = "
CREATE TABLE contact (
    peer BLOB NOT NULL PRIMARY KEY CHECK (length(peer) = 32),
    name TEXT,
    own_name TEXT,
    relay TEXT,
    addresses TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT;

CREATE TABLE blocked (
    peer BLOB NOT NULL PRIMARY KEY CHECK (length(peer) = 32),
    blocked_at INTEGER NOT NULL
) STRICT;

CREATE TABLE request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL UNIQUE CHECK (length(peer) = 32),
    own_name TEXT,
    text TEXT,
    relay TEXT,
    addresses TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

CREATE TABLE invite (
    token BLOB NOT NULL PRIMARY KEY CHECK (length(token) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by BLOB CHECK (length(used_by) = 32),
    used_at INTEGER CHECK ((used_at IS NULL) = (used_by IS NULL))
) STRICT;

-- end_reason is null while the call runs. ended_at stays null if nobody was there to see the end.
CREATE TABLE call (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL CHECK (length(peer) = 32),
    peer_name TEXT,
    direction TEXT NOT NULL CHECK (direction IN ('incoming', 'outgoing')),
    media TEXT NOT NULL CHECK (media IN ('audio', 'video')),
    started_at INTEGER NOT NULL,
    answered_at INTEGER,
    ended_at INTEGER CHECK (ended_at IS NULL OR end_reason IS NOT NULL),
    end_reason TEXT,
    unseen INTEGER NOT NULL DEFAULT 0 CHECK (unseen IN (0, 1))
) STRICT;
CREATE INDEX call_running ON call (id) WHERE end_reason IS NULL;
CREATE INDEX call_unseen ON call (id) WHERE unseen = 1;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL REFERENCES contact (peer) ON DELETE CASCADE,
    body BLOB NOT NULL CHECK (length(body) <= 65536),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_peer ON outbox (peer, id);
CREATE INDEX outbox_expiry ON outbox (expires_at);
";

/// Contact requests of the user that wait for an answer.
const SECOND: &str = "
CREATE TABLE asked (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL UNIQUE CHECK (length(peer) = 32),
    asked_at INTEGER NOT NULL
) STRICT;
";

/// How many steps the database has taken.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes the steps that are missing, each in a transaction of its own: after a crash the rest is taken at the
/// next start. Foreign keys must be off, so that a step can replace a table that others refer to.
pub(crate) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let taken = version(connection)?;
    for (number, step) in (1_i32..).zip(steps).filter(|(number, _)| *number > taken) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)";
    const B: &str = "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1";
    const BROKEN: &str = "UPDATE a SET x = 7; CREATE TABLE b (z INTEGER); INSERT INTO nowhere VALUES (1)";

    fn x(connection: &Connection) -> i64 {
        connection.query_row("SELECT x FROM a", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_step_is_taken_once_and_keeps_the_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        for steps in [&[A][..], &[A, B], &[A, B]] {
            migrate(&mut connection, steps).unwrap();
            assert_eq!(version(&connection), Ok(i32::try_from(steps.len()).unwrap()));
        }
        assert_eq!(connection.query_row("SELECT x, y FROM a", [], |r| Ok((r.get(0)?, r.get(1)?))), Ok((1, 2)));
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_and_can_be_taken_later() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut connection, &[A, BROKEN]).is_err());
        assert_eq!((version(&connection).unwrap(), x(&connection)), (1, 1));
        assert!(connection.prepare("SELECT * FROM b").is_err(), "half a step stayed");
        migrate(&mut connection, &[A, B]).unwrap();
        assert_eq!(version(&connection), Ok(2));
    }

    #[test]
    fn the_steps_are_valid_and_the_ids_agree() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, STEPS).unwrap();
        let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
        assert_eq!(id.to_be_bytes(), *b"Ahoy");
    }
}
