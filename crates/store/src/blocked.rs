//! Keys that are dropped in silence.

use rusqlite::params;

use crate::{EndpointId, Store, StoreError, UnixMs};

/// A blocked key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Whose key it is.
    pub peer: EndpointId,
    /// Since when.
    pub blocked_at: UnixMs,
}

impl Store {
    /// Blocks a key, of a contact or of anybody, and forgets its request, and one to it. What waits for it in
    /// the outbox stays. Blocked keys keep their first date.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn block(&self, peer: EndpointId, now: UnixMs) -> Result<(), StoreError> {
        self.write(|transaction| {
            let block = "INSERT INTO blocked (peer, blocked_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            transaction.execute(block, params![peer, now])?;
            transaction.execute("DELETE FROM request WHERE peer = ?1", [peer])?;
            transaction.execute("DELETE FROM asked WHERE peer = ?1", [peer])?;
            Ok(())
        })
    }

    /// Unblocks a key. False when it was not blocked.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn unblock(&self, peer: EndpointId) -> Result<bool, StoreError> {
        self.write(|transaction| Ok(transaction.execute("DELETE FROM blocked WHERE peer = ?1", [peer])? > 0))
    }

    /// Whether a key is blocked.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn is_blocked(&self, peer: EndpointId) -> Result<bool, StoreError> {
        self.read(|connection| Ok(is_blocked(connection, peer)?))
    }

    /// All blocked keys, the latest first.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn blocked(&self) -> Result<Vec<Blocked>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare("SELECT peer, blocked_at FROM blocked ORDER BY rowid DESC")?;
            let rows = query.query_map([], |row| Ok(Blocked { peer: row.get(0)?, blocked_at: row.get(1)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

pub(crate) fn is_blocked(connection: &rusqlite::Connection, peer: EndpointId) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM blocked WHERE peer = ?1)", [peer], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{T0, TestStore, contact, later, peer};

    #[test]
    fn contacts_and_strangers_can_be_blocked_and_unblocked() {
        let mut store = TestStore::new();
        store.add_contact(&contact(1), T0).unwrap();
        store.block(peer(1), T0).unwrap();
        store.block(peer(2), later(1)).unwrap();
        store.block(peer(1), later(2)).unwrap();
        store.reopen();
        assert!(store.contact(peer(1)).unwrap().unwrap().blocked);
        let list = [(peer(2), later(1)), (peer(1), T0)].map(|(peer, blocked_at)| Blocked { peer, blocked_at });
        assert_eq!(store.blocked(), Ok(list.to_vec()));
        assert_eq!((store.unblock(peer(1)), store.unblock(peer(1))), (Ok(true), Ok(false)));
        assert!(!store.contact(peer(1)).unwrap().unwrap().blocked);
        assert_eq!([1, 2].map(|n| store.is_blocked(peer(n))), [Ok(false), Ok(true)]);
    }

    #[test]
    fn a_contact_that_is_removed_stays_blocked() {
        let store = TestStore::new();
        store.add_contact(&contact(1), T0).unwrap();
        store.block(peer(1), T0).unwrap();
        store.remove_contact(peer(1)).unwrap();
        assert_eq!(store.is_blocked(peer(1)), Ok(true));
    }
}
