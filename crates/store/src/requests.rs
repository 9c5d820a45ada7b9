//! People who ask to be contacts, and those whom the user has asked.

use rusqlite::{OptionalExtension, Row, params};

use crate::{
    DisplayName, EndpointId, NewContact, RequestText, Store, StoreError, UnixMs, Whereabouts, blocked::is_blocked,
    contacts, text::hint,
};

/// Requests that are kept. Anybody can make one, so there must be an end; a person does not look through
/// more.
pub const MAX_REQUESTS: usize = 50;

/// Those whom the user has asked that are remembered; of more, the first are forgotten.
pub const MAX_ASKED: usize = 200;

/// What a stranger sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRequest {
    /// Who, as the transport knows.
    pub peer: EndpointId,
    /// What the stranger calls itself.
    pub own_name: Option<DisplayName>,
    /// What it has to say.
    pub text: Option<RequestText>,
    /// Where it can be answered.
    pub whereabouts: Whereabouts,
}

/// A request that waits for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub peer: EndpointId,
    /// What it calls itself. Anybody can call themselves anything.
    pub own_name: Option<DisplayName>,
    /// What it has to say.
    pub text: Option<RequestText>,
    /// Where it can be answered.
    pub whereabouts: Whereabouts,
    /// When it came.
    pub received_at: UnixMs,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It waits for the user. It replaces an earlier one of the same peer, or the oldest of [`MAX_REQUESTS`].
    Kept,
    /// The peer is a contact: there is nothing to ask.
    AlreadyContact,
    /// The key is blocked: the request was dropped.
    Blocked,
}

const REQUESTS: &str = "SELECT peer, own_name, text, relay, addresses, received_at FROM request";

impl Request {
    fn from_row(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            peer: row.get(0)?,
            own_name: hint(row, 1)?,
            text: hint(row, 2)?,
            whereabouts: Whereabouts::from_columns(row, 3, 4)?,
            received_at: row.get(5)?,
        })
    }
}

impl Store {
    /// Keeps a stranger's request, if there is reason to.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn add_request(&self, request: &NewRequest, now: UnixMs) -> Result<RequestOutcome, StoreError> {
        let NewRequest { peer, own_name, text, whereabouts } = request;
        self.write(|transaction| {
            if is_blocked(transaction, *peer)? {
                return Ok(RequestOutcome::Blocked);
            }
            if contacts::is_contact(transaction, *peer)? {
                return Ok(RequestOutcome::AlreadyContact);
            }
            transaction.execute(
                "INSERT OR REPLACE INTO request (peer, own_name, text, relay, addresses, received_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![peer, own_name, text, whereabouts.relay, whereabouts.addresses, now],
            )?;
            let kept = i64::try_from(MAX_REQUESTS).unwrap_or(i64::MAX);
            let surplus =
                "DELETE FROM request WHERE id IN (SELECT id FROM request ORDER BY id DESC LIMIT -1 OFFSET ?1)";
            transaction.execute(surplus, [kept])?;
            Ok(RequestOutcome::Kept)
        })
    }

    /// The requests that wait, the latest first.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn requests(&self) -> Result<Vec<Request>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare(&format!("{REQUESTS} ORDER BY id DESC"))?;
            Ok(query.query_map([], Request::from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// Makes a contact of who asked.
    ///
    /// # Errors
    /// [`StoreError::NoRequest`]; disk full, or not accessible.
    pub fn accept_request(&self, peer: EndpointId, now: UnixMs) -> Result<(), StoreError> {
        self.write(|transaction| {
            let query = format!("{REQUESTS} WHERE peer = ?1");
            let request = transaction.query_row(&query, [peer], Request::from_row).optional()?;
            let Request { own_name, whereabouts, .. } = request.ok_or(StoreError::NoRequest { peer })?;
            contacts::add(transaction, &NewContact { peer, name: None, own_name, whereabouts }, now)
        })
    }

    /// Notes that the user has asked somebody to become a contact: an answer that comes after a restart is
    /// one still. Nothing is noted of a contact, or of a blocked key.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn ask(&self, peer: EndpointId, now: UnixMs) -> Result<(), StoreError> {
        self.write(|transaction| {
            if contacts::is_contact(transaction, peer)? || is_blocked(transaction, peer)? {
                return Ok(());
            }
            transaction.execute("INSERT OR REPLACE INTO asked (peer, asked_at) VALUES (?1, ?2)", params![peer, now])?;
            let kept = i64::try_from(MAX_ASKED).unwrap_or(i64::MAX);
            let surplus = "DELETE FROM asked WHERE id IN (SELECT id FROM asked ORDER BY id DESC LIMIT -1 OFFSET ?1)";
            transaction.execute(surplus, [kept])?;
            Ok(())
        })
    }

    /// Those whom the user has asked, who have not answered yet; the latest first.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn asked(&self) -> Result<Vec<EndpointId>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare("SELECT peer FROM asked ORDER BY id DESC")?;
            Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
    }

    /// Forgets a request. False when there was none.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn decline_request(&self, peer: EndpointId) -> Result<bool, StoreError> {
        self.write(|transaction| Ok(transaction.execute("DELETE FROM request WHERE peer = ?1", [peer])? > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{T0, TestStore, contact, later, name, peer, request};

    fn peers(store: &Store) -> Vec<EndpointId> {
        store.requests().unwrap().iter().map(|request| request.peer).collect()
    }

    #[test]
    fn an_accepted_request_becomes_a_contact_with_all_that_it_said() {
        let mut store = TestStore::new();
        let text = RequestText::new("we met in Ghent");
        let relay = Some("https://relay.example".parse().unwrap());
        let whereabouts = Whereabouts { relay, ..Whereabouts::default() };
        let new = NewRequest {
            own_name: Some(name("Ada")),
            text: text.clone(),
            whereabouts: whereabouts.clone(),
            ..request(1)
        };
        assert_eq!(store.add_request(&new, T0), Ok(RequestOutcome::Kept));
        store.reopen();
        let waiting = store.requests().unwrap();
        assert_eq!((&waiting[0].text, waiting[0].received_at), (&text, T0));
        store.accept_request(peer(1), later(1)).unwrap();
        assert_eq!(peers(&store), []);
        let contact = store.contact(peer(1)).unwrap().unwrap();
        assert_eq!(
            (contact.own_name, contact.whereabouts, contact.added_at),
            (Some(name("Ada")), whereabouts, later(1))
        );
        assert_eq!(store.accept_request(peer(1), later(2)), Err(StoreError::NoRequest { peer: peer(1) }));
    }

    #[test]
    fn there_is_a_limit_and_the_oldest_goes() {
        let store = TestStore::new();
        let many = u8::try_from(MAX_REQUESTS).unwrap();
        for number in 0..many {
            store.add_request(&request(number), later(i64::from(number))).unwrap();
        }
        // One peer has one request, however often it asks, and the clock plays no part in the order.
        store.add_request(&request(0), T0).unwrap();
        assert_eq!(peers(&store).len(), MAX_REQUESTS);
        store.add_request(&request(many), T0).unwrap();
        let kept = peers(&store);
        assert_eq!((kept.len(), kept[0], kept[1]), (MAX_REQUESTS, peer(many), peer(0)));
        assert!(!kept.contains(&peer(1)), "the oldest stayed");
    }

    #[test]
    fn contacts_and_blocked_keys_leave_no_request() {
        let store = TestStore::new();
        store.add_request(&request(1), T0).unwrap();
        store.add_request(&request(2), T0).unwrap();
        store.add_request(&request(3), T0).unwrap();
        store.block(peer(1), T0).unwrap();
        store.add_contact(&contact(2), T0).unwrap();
        assert_eq!((store.decline_request(peer(3)), store.decline_request(peer(3))), (Ok(true), Ok(false)));
        assert_eq!(peers(&store), []);
        assert_eq!(store.add_request(&request(1), T0), Ok(RequestOutcome::Blocked));
        assert_eq!(store.add_request(&request(2), T0), Ok(RequestOutcome::AlreadyContact));
        assert_eq!(peers(&store), []);
    }

    #[test]
    fn whom_the_user_has_asked_is_known_until_there_is_an_answer() {
        let mut store = TestStore::new();
        [1, 2, 3, 1].into_iter().for_each(|number| store.ask(peer(number), T0).unwrap());
        store.reopen();
        assert_eq!(store.asked(), Ok(vec![peer(1), peer(3), peer(2)]));
        store.add_contact(&contact(1), T0).unwrap();
        store.block(peer(2), T0).unwrap();
        [1, 2].into_iter().for_each(|number| store.ask(peer(number), T0).unwrap());
        assert_eq!(store.asked(), Ok(vec![peer(3)]));
        (0..=u8::MAX).for_each(|number| store.ask(peer(number), T0).unwrap());
        let asked = store.asked().unwrap();
        assert_eq!((asked.len(), asked[0], asked.contains(&peer(3))), (MAX_ASKED, peer(255), false));
    }
}
