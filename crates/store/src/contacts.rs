//! People that the user knows.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::{DisplayName, EndpointId, Store, StoreError, UnixMs, Whereabouts, error::Fault, text::hint};

/// Somebody who may ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Whose key it is.
    pub peer: EndpointId,
    /// What the user calls the contact.
    pub name: Option<DisplayName>,
    /// What the contact calls itself. Anybody can call themselves anything.
    pub own_name: Option<DisplayName>,
    /// Where the contact was last reached.
    pub whereabouts: Whereabouts,
    /// Since when it is a contact.
    pub added_at: UnixMs,
    /// Whether its key is blocked.
    pub blocked: bool,
}

/// Somebody to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewContact {
    /// Whose key it is.
    pub peer: EndpointId,
    /// What the user calls the contact.
    pub name: Option<DisplayName>,
    /// What the contact calls itself.
    pub own_name: Option<DisplayName>,
    /// Where to look for it.
    pub whereabouts: Whereabouts,
}

const CONTACTS: &str = "
    SELECT peer, name, own_name, relay, addresses, added_at,
           EXISTS (SELECT 1 FROM blocked WHERE blocked.peer = contact.peer)
    FROM contact";

impl Contact {
    /// The user's name for the contact, else the contact's own, else the beginning of its key.
    pub fn shown_name(&self) -> String {
        shown_name(self.peer, self.name.as_ref().or(self.own_name.as_ref()))
    }

    fn from_row(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            peer: row.get(0)?,
            name: hint(row, 1)?,
            own_name: hint(row, 2)?,
            whereabouts: Whereabouts::from_columns(row, 3, 4)?,
            added_at: row.get(5)?,
            blocked: row.get(6)?,
        })
    }
}

fn shown_name(peer: EndpointId, name: Option<&DisplayName>) -> String {
    name.map_or_else(|| peer.short(), DisplayName::to_string)
}

impl Store {
    /// All contacts, by the name that they are shown by, upper and lower case alike.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let mut contacts = self.read(|connection| {
            let mut query = connection.prepare(CONTACTS)?;
            Ok(query.query_map([], Contact::from_row)?.collect::<Result<Vec<_>, _>>()?)
        })?;
        contacts.sort_by_cached_key(|contact| (contact.shown_name().to_lowercase(), contact.peer));
        Ok(contacts)
    }

    /// The contact with this key.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn contact(&self, peer: EndpointId) -> Result<Option<Contact>, StoreError> {
        self.read(|connection| {
            Ok(connection.query_row(&format!("{CONTACTS} WHERE peer = ?1"), [peer], Contact::from_row).optional()?)
        })
    }

    /// Adds a contact. A request of the same peer, or to it, is thereby answered. A blocked key stays
    /// blocked.
    ///
    /// # Errors
    /// [`StoreError::AlreadyContact`]; disk full, or not accessible.
    pub fn add_contact(&self, contact: &NewContact, now: UnixMs) -> Result<(), StoreError> {
        self.write(|transaction| add(transaction, contact, now))
    }

    /// Calls a contact `name`, or by its own name again.
    ///
    /// # Errors
    /// [`StoreError::NoContact`]; disk full, or not accessible.
    pub fn rename_contact(&self, peer: EndpointId, name: Option<&DisplayName>) -> Result<(), StoreError> {
        self.write(|transaction| {
            changed_contact(
                peer,
                transaction.execute("UPDATE contact SET name = ?2 WHERE peer = ?1", params![peer, name])?,
            )
        })
    }

    /// Notes what a contact calls itself.
    ///
    /// # Errors
    /// [`StoreError::NoContact`]; disk full, or not accessible.
    pub fn set_own_name(&self, peer: EndpointId, own_name: Option<&DisplayName>) -> Result<(), StoreError> {
        self.write(|transaction| {
            let change = "UPDATE contact SET own_name = ?2 WHERE peer = ?1";
            changed_contact(peer, transaction.execute(change, params![peer, own_name])?)
        })
    }

    /// Notes where a contact was reached.
    ///
    /// # Errors
    /// [`StoreError::NoContact`]; disk full, or not accessible.
    pub fn set_whereabouts(&self, peer: EndpointId, whereabouts: &Whereabouts) -> Result<(), StoreError> {
        self.write(|transaction| {
            let change = "UPDATE contact SET relay = ?2, addresses = ?3 WHERE peer = ?1";
            let changed = transaction.execute(change, params![peer, whereabouts.relay, whereabouts.addresses])?;
            changed_contact(peer, changed)
        })
    }

    /// Removes a contact, and what waits for it in the outbox; its calls stay in the history under the name
    /// they had. False when there was no such contact.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn remove_contact(&self, peer: EndpointId) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let name = "UPDATE call SET peer_name = coalesce(c.name, c.own_name) FROM contact c
                        WHERE c.peer = ?1 AND call.peer = ?1 AND coalesce(c.name, c.own_name) IS NOT NULL";
            transaction.execute(name, [peer])?;
            Ok(transaction.execute("DELETE FROM contact WHERE peer = ?1", [peer])? > 0)
        })
    }
}

/// Adds a contact, and answers its request or ours.
pub(crate) fn add(transaction: &Transaction, contact: &NewContact, now: UnixMs) -> Result<(), Fault> {
    let NewContact { peer, name, own_name, whereabouts } = contact;
    let names = "SELECT coalesce(name, own_name) FROM contact WHERE peer = ?1";
    let present: Option<Option<DisplayName>> = transaction.query_row(names, [peer], |row| hint(row, 0)).optional()?;
    if let Some(name) = present {
        return Err(StoreError::AlreadyContact { name: shown_name(*peer, name.as_ref()) }.into());
    }
    transaction.execute(
        "INSERT INTO contact (peer, name, own_name, relay, addresses, added_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![peer, name, own_name, whereabouts.relay, whereabouts.addresses, now],
    )?;
    transaction.execute("DELETE FROM request WHERE peer = ?1", [peer])?;
    transaction.execute("DELETE FROM asked WHERE peer = ?1", [peer])?;
    Ok(())
}

pub(crate) fn is_contact(transaction: &Transaction, peer: EndpointId) -> rusqlite::Result<bool> {
    transaction.query_row("SELECT EXISTS (SELECT 1 FROM contact WHERE peer = ?1)", [peer], |row| row.get(0))
}

fn changed_contact(peer: EndpointId, rows: usize) -> Result<(), Fault> {
    if rows == 0 { Err(StoreError::NoContact { peer }.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{T0, TestStore, contact, name, peer};

    #[test]
    fn contacts_are_kept_and_listed_by_shown_name() {
        let mut store = TestStore::new();
        let rows = [(1, Some("bob"), None), (2, None, Some("Ada")), (3, Some("Çelik"), Some("aaa")), (4, None, None)];
        for (number, given, own) in rows {
            let names = NewContact { name: given.map(name), own_name: own.map(name), ..contact(number) };
            store.add_contact(&names, T0).unwrap();
        }
        store.reopen();
        let shown: Vec<_> = store.contacts().unwrap().iter().map(Contact::shown_name).collect();
        assert_eq!(shown, [&peer(4).short(), "Ada", "bob", "Çelik"]);
    }

    #[test]
    fn a_contact_comes_back_as_it_was_given() {
        let mut store = TestStore::new();
        let whereabouts = Whereabouts {
            relay: Some("https://relay.example".parse().unwrap()),
            addresses: ["192.0.2.1:5", "[2001:db8::1]:6"].map(|a| a.parse().unwrap()).into_iter().collect(),
        };
        let new = NewContact { own_name: Some(name("A")), whereabouts: whereabouts.clone(), ..contact(1) };
        store.add_contact(&new, T0).unwrap();
        store.rename_contact(peer(1), Some(&name("Anna"))).unwrap();
        store.set_own_name(peer(1), Some(&name("B"))).unwrap();
        store.reopen();
        let expected = Contact {
            peer: peer(1),
            name: Some(name("Anna")),
            own_name: Some(name("B")),
            whereabouts,
            added_at: T0,
            blocked: false,
        };
        assert_eq!(store.contact(peer(1)), Ok(Some(expected)));
        store.rename_contact(peer(1), None).unwrap();
        store.set_whereabouts(peer(1), &Whereabouts::default()).unwrap();
        let now = store.contact(peer(1)).unwrap().unwrap();
        assert_eq!((now.shown_name(), now.whereabouts), ("B".to_owned(), Whereabouts::default()));
    }

    #[test]
    fn a_key_is_one_contact() {
        let store = TestStore::new();
        store.add_contact(&NewContact { name: Some(name("Ada")), ..contact(1) }, T0).unwrap();
        let again = store.add_contact(&NewContact { name: Some(name("Eve")), ..contact(1) }, T0);
        assert_eq!(again, Err(StoreError::AlreadyContact { name: "Ada".to_owned() }));
        assert_eq!(store.contacts().unwrap().len(), 1);
    }

    #[test]
    fn who_is_no_contact_cannot_be_changed() {
        let store = TestStore::new();
        store.add_contact(&contact(1), T0).unwrap();
        assert_eq!((store.remove_contact(peer(1)), store.remove_contact(peer(1))), (Ok(true), Ok(false)));
        let nobody = Err(StoreError::NoContact { peer: peer(1) });
        assert_eq!(store.rename_contact(peer(1), None), nobody);
        assert_eq!(store.set_own_name(peer(1), None), nobody);
        assert_eq!(store.set_whereabouts(peer(1), &Whereabouts::default()), nobody);
        assert_eq!(store.contact(peer(1)), Ok(None));
    }
}
