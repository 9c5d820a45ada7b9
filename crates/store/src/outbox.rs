//! Messages that wait until their receiver can be reached.

use rusqlite::{OptionalExtension, params};

use crate::{EndpointId, Store, StoreError, UnixMs, contacts};

/// Largest message, as in the signaling.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Most messages that wait for one contact: 16 MiB at most for somebody who never comes back.
pub const MAX_WAITING_PER_PEER: usize = 256;

/// Names a message of the outbox. Later messages have greater ids, and an id is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(i64);

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name, to acknowledge it by.
    pub id: MessageId,
    /// Whom it is to.
    pub peer: EndpointId,
    /// What is to be delivered.
    pub body: Vec<u8>,
    /// When it was written.
    pub created_at: UnixMs,
    /// From when on it is of no use.
    pub expires_at: UnixMs,
}

/// A message that nobody could be given in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its name.
    pub id: MessageId,
    /// Whom it was to.
    pub peer: EndpointId,
    /// When it was written.
    pub created_at: UnixMs,
}

impl Store {
    /// Lets a message wait for a contact until `expires_at`. Messages that have expired count for the limit
    /// until [`Store::expire_messages`] has taken them out.
    ///
    /// # Errors
    /// [`StoreError::NoContact`], [`StoreError::MessageTooLarge`], [`StoreError::OutboxFull`]; disk full, or
    /// not accessible.
    pub fn enqueue_message(
        &self,
        peer: EndpointId,
        body: &[u8],
        now: UnixMs,
        expires_at: UnixMs,
    ) -> Result<MessageId, StoreError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(StoreError::MessageTooLarge { bytes: body.len() });
        }
        self.write(|transaction| {
            if !contacts::is_contact(transaction, peer)? {
                return Err(StoreError::NoContact { peer }.into());
            }
            let count = "SELECT count(*) FROM outbox WHERE peer = ?1";
            let waiting: i64 = transaction.query_row(count, [peer], |row| row.get(0))?;
            if usize::try_from(waiting).is_ok_and(|waiting| waiting >= MAX_WAITING_PER_PEER) {
                return Err(StoreError::OutboxFull { peer }.into());
            }
            transaction.execute(
                "INSERT INTO outbox (peer, body, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
                params![peer, body, now, expires_at],
            )?;
            Ok(MessageId(transaction.last_insert_rowid()))
        })
    }

    /// The first message to a contact that has not expired, in the order in which they were given. It stays
    /// until it is acknowledged, so a message can be delivered twice, but not be lost.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn next_message(&self, peer: EndpointId, now: UnixMs) -> Result<Option<Message>, StoreError> {
        self.read(|connection| {
            let next = "SELECT id, body, created_at, expires_at FROM outbox
                        WHERE peer = ?1 AND expires_at > ?2 ORDER BY id LIMIT 1";
            let message = connection.query_row(next, params![peer, now], |row| {
                Ok(Message {
                    id: MessageId(row.get(0)?),
                    peer,
                    body: row.get(1)?,
                    created_at: row.get(2)?,
                    expires_at: row.get(3)?,
                })
            });
            Ok(message.optional()?)
        })
    }

    /// Whom something waits for.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn awaited_peers(&self, now: UnixMs) -> Result<Vec<EndpointId>, StoreError> {
        self.read(|connection| {
            let mut query =
                connection.prepare("SELECT DISTINCT peer FROM outbox WHERE expires_at > ?1 ORDER BY peer")?;
            Ok(query.query_map([now], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
    }

    /// Removes a message that was delivered. False when it was not there (any more).
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn acknowledge_message(&self, id: MessageId) -> Result<bool, StoreError> {
        self.write(|transaction| Ok(transaction.execute("DELETE FROM outbox WHERE id = ?1", [id.0])? > 0))
    }

    /// Removes the messages that have expired, and says which, so that the user can be told.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn expire_messages(&self, now: UnixMs) -> Result<Vec<Expired>, StoreError> {
        self.write(|transaction| {
            let expired = {
                let list = "SELECT id, peer, created_at FROM outbox WHERE expires_at <= ?1 ORDER BY id";
                let mut query = transaction.prepare(list)?;
                let rows = query.query_map([now], |row| {
                    Ok(Expired { id: MessageId(row.get(0)?), peer: row.get(1)?, created_at: row.get(2)? })
                })?;
                rows.collect::<Result<Vec<_>, _>>()?
            };
            transaction.execute("DELETE FROM outbox WHERE expires_at <= ?1", [now])?;
            Ok(expired)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{T0, TestStore, contact, later, peer};

    fn with_contacts(numbers: &[u8]) -> TestStore {
        let store = TestStore::new();
        for number in numbers {
            store.add_contact(&contact(*number), T0).unwrap();
        }
        store
    }

    #[test]
    fn messages_wait_in_order_for_each_contact_until_acknowledged() {
        let mut store = with_contacts(&[1, 2]);
        let put = |store: &Store, to, body: &str, at| {
            store.enqueue_message(peer(to), body.as_bytes(), later(at), later(1_000)).unwrap()
        };
        let next = |store: &Store, to| {
            store.next_message(peer(to), later(5)).unwrap().map(|m| (m.id, String::from_utf8(m.body).unwrap()))
        };
        // The clock is set back between the first and the second.
        let a = put(&store, 1, "a", 4);
        let b = put(&store, 2, "b", 2);
        let c = put(&store, 1, "c", 3);
        store.reopen();
        assert_eq!(store.awaited_peers(later(5)), Ok(vec![peer(1), peer(2)]));
        assert_eq!((next(&store, 1), next(&store, 1)), (Some((a, "a".into())), Some((a, "a".into()))));
        assert_eq!([store.acknowledge_message(a), store.acknowledge_message(a)], [Ok(true), Ok(false)]);
        assert_eq!((next(&store, 1), next(&store, 2)), (Some((c, "c".into())), Some((b, "b".into()))));
        store.acknowledge_message(c).unwrap();
        assert_eq!((next(&store, 1), store.awaited_peers(later(5))), (None, Ok(vec![peer(2)])));
    }

    #[test]
    fn expired_messages_are_passed_over_and_taken_out_by_name() {
        let store = with_contacts(&[1]);
        let old = store.enqueue_message(peer(1), b"old", T0, later(10)).unwrap();
        let new = store.enqueue_message(peer(1), b"new", T0, later(20)).unwrap();
        for (now, next) in [(9, Some(old)), (10, Some(new)), (20, None)] {
            assert_eq!(store.next_message(peer(1), later(now)).unwrap().map(|m| m.id), next, "at {now}");
            assert_eq!(store.awaited_peers(later(now)).unwrap().len(), usize::from(next.is_some()));
        }
        let gone = |id| Expired { id, peer: peer(1), created_at: T0 };
        for (now, expired) in [(9, vec![]), (10, vec![gone(old)]), (10, vec![]), (99, vec![gone(new)])] {
            assert_eq!(store.expire_messages(later(now)), Ok(expired), "at {now}");
        }
    }

    #[test]
    fn an_outbox_has_limits_with_clear_errors() {
        let store = with_contacts(&[1, 2]);
        let put = |to, body: &[u8]| store.enqueue_message(peer(to), body, T0, later(10));
        assert_eq!(put(3, b"x"), Err(StoreError::NoContact { peer: peer(3) }));
        let bytes = MAX_MESSAGE_BYTES + 1;
        assert_eq!(put(1, &vec![0; bytes]), Err(StoreError::MessageTooLarge { bytes }));
        let largest = put(1, &vec![7; MAX_MESSAGE_BYTES]).unwrap();
        for _ in 1..MAX_WAITING_PER_PEER {
            put(1, b"").unwrap();
        }
        assert_eq!(put(1, b"x"), Err(StoreError::OutboxFull { peer: peer(1) }));
        put(2, b"x").unwrap();
        store.acknowledge_message(largest).unwrap();
        put(1, b"x").unwrap();
        store.expire_messages(later(10)).unwrap();
        assert_eq!(store.next_message(peer(1), T0), Ok(None));
    }

    #[test]
    fn what_waits_for_a_contact_goes_with_it() {
        let store = with_contacts(&[1, 2]);
        for number in [1, 2] {
            store.enqueue_message(peer(number), b"x", T0, later(10)).unwrap();
        }
        store.remove_contact(peer(1)).unwrap();
        assert_eq!(store.awaited_peers(T0), Ok(vec![peer(2)]));
    }
}
