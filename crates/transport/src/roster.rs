//! Who may do what: contacts, blocked keys, and how often others may come.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

use iroh::EndpointId;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    Whereabouts,
    limit::{Bucket, Buckets},
    peer::{Code, Command},
};

/// Somebody who may ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Whose key it is.
    pub peer: EndpointId,
    /// Where to look for it.
    pub whereabouts: Whereabouts,
}

/// Whom the user knows, from what was remembered.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// Those who may ring. Blocked ones stay contacts, and are not talked with.
    pub contacts: Vec<Contact>,
    /// Keys that get no answer.
    pub blocked: Vec<EndpointId>,
    /// Those whom this side has sent a contact request: when they say hello, they have accepted it.
    pub requested: Vec<EndpointId>,
}

/// What somebody at the door is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Contact,
    Requested,
    Stranger,
    Blocked,
}

/// Connections of one contact: a program that crashes and restarts, not one that knocks all day.
const CONTACT_VISITS: (u32, Duration) = (20, Duration::from_secs(2));
/// Connections of one stranger, who needs one for an invite or a request.
const STRANGER_VISITS: (u32, Duration) = (5, Duration::from_secs(60));
/// Strangers whose visits are counted. With that many at once, further ones are sent away.
const STRANGERS_COUNTED: usize = 4096;
/// Requests of one key: the user sees one anyway.
const REQUESTS_PER_KEY: (u32, Duration) = (2, Duration::from_secs(6 * 60 * 60));
/// Requests in total; keys cost nothing.
const REQUESTS: (u32, Duration) = (20, Duration::from_secs(10 * 60));
/// Others on the network that are remembered.
const MAX_NEARBY: usize = 256;

struct Entry {
    whereabouts: Whereabouts,
    /// None while the key is blocked.
    task: Option<UnboundedSender<Command>>,
}

/// The roster as it is now.
pub(crate) struct Registry {
    contacts: HashMap<EndpointId, Entry>,
    blocked: HashSet<EndpointId>,
    requested: HashSet<EndpointId>,
    contact_visits: Buckets<EndpointId>,
    stranger_visits: Buckets<EndpointId>,
    requests_per_key: Buckets<EndpointId>,
    requests: Bucket,
    nearby: HashMap<EndpointId, Vec<SocketAddr>>,
    closed: bool,
}

impl Registry {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            contacts: HashMap::new(),
            blocked: HashSet::new(),
            requested: HashSet::new(),
            // No limit: the number of contacts is one.
            contact_visits: Buckets::new(CONTACT_VISITS.0, CONTACT_VISITS.1, usize::MAX),
            stranger_visits: Buckets::new(STRANGER_VISITS.0, STRANGER_VISITS.1, STRANGERS_COUNTED),
            requests_per_key: Buckets::new(REQUESTS_PER_KEY.0, REQUESTS_PER_KEY.1, STRANGERS_COUNTED),
            requests: Bucket::new(REQUESTS.0, REQUESTS.1, now),
            nearby: HashMap::new(),
            closed: false,
        }
    }

    pub(crate) fn standing(&self, peer: EndpointId) -> Standing {
        if self.blocked.contains(&peer) {
            Standing::Blocked
        } else if self.contacts.contains_key(&peer) {
            Standing::Contact
        } else if self.requested.contains(&peer) {
            Standing::Requested
        } else {
            Standing::Stranger
        }
    }

    /// Somebody has come: who it is, or none when it comes too often.
    pub(crate) fn visit(&mut self, peer: EndpointId, now: Instant) -> Option<Standing> {
        let standing = self.standing(peer);
        let visits = match standing {
            Standing::Contact | Standing::Requested => &mut self.contact_visits,
            Standing::Stranger => &mut self.stranger_visits,
            // Gets no answer in any case.
            Standing::Blocked => return Some(standing),
        };
        visits.take(peer, now).then_some(standing)
    }

    /// Whether a stranger's request may be put before the user.
    pub(crate) fn may_request(&mut self, peer: EndpointId, now: Instant) -> bool {
        self.requests_per_key.take(peer, now) && self.requests.take(now).is_ok()
    }

    /// Notes a contact; `start` makes its task. Who is there already is told its new whereabouts.
    pub(crate) fn add(
        &mut self,
        contact: Contact,
        start: impl FnOnce(EndpointId, Whereabouts) -> UnboundedSender<Command>,
    ) {
        let Contact { peer, whereabouts } = contact;
        let whereabouts = whereabouts.checked();
        self.requested.remove(&peer);
        let blocked = self.blocked.contains(&peer) || self.closed;
        let new = || Entry { whereabouts: whereabouts.clone(), task: None };
        let entry = self.contacts.entry(peer).or_insert_with(new);
        entry.whereabouts.clone_from(&whereabouts);
        match &entry.task {
            Some(task) => _ = task.send(Command::Whereabouts(whereabouts)),
            None if blocked => {}
            None => entry.task = Some(start(peer, whereabouts)),
        }
    }

    pub(crate) fn remove(&mut self, peer: EndpointId) {
        self.requested.remove(&peer);
        if let Some(task) = self.contacts.remove(&peer).and_then(|entry| entry.task) {
            let _ = task.send(Command::Stop(Code::NotAContact));
        }
    }

    pub(crate) fn block(&mut self, peer: EndpointId) {
        self.blocked.insert(peer);
        self.requested.remove(&peer);
        if let Some(task) = self.contacts.get_mut(&peer).and_then(|entry| entry.task.take()) {
            let _ = task.send(Command::Stop(Code::Silence));
        }
    }

    /// Takes a key off the list; a contact's task is started again.
    pub(crate) fn unblock(
        &mut self,
        peer: EndpointId,
        start: impl FnOnce(EndpointId, Whereabouts) -> UnboundedSender<Command>,
    ) {
        if !self.blocked.remove(&peer) || self.closed {
            return;
        }
        if let Some(entry) = self.contacts.get_mut(&peer) {
            entry.task = Some(start(peer, entry.whereabouts.clone()));
        }
    }

    pub(crate) fn request(&mut self, peer: EndpointId) {
        if !self.contacts.contains_key(&peer) {
            self.requested.insert(peer);
        }
    }

    /// The task of a contact that is not blocked.
    pub(crate) fn task(&self, peer: EndpointId) -> Option<UnboundedSender<Command>> {
        self.contacts.get(&peer)?.task.clone()
    }

    /// How somebody who is not talked with is sent away: who is blocked must not learn it, however late it
    /// was blocked.
    pub(crate) fn dismissal(&self, peer: EndpointId) -> Code {
        match self.standing(peer) {
            Standing::Blocked => Code::Silence,
            Standing::Contact | Standing::Requested | Standing::Stranger => Code::NotAContact,
        }
    }

    pub(crate) fn network_changed(&self) {
        for task in self.contacts.values().filter_map(|entry| entry.task.as_ref()) {
            let _ = task.send(Command::NetworkChanged);
        }
    }

    /// Ends all tasks; none is started any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        for task in self.contacts.values_mut().filter_map(|entry| entry.task.take()) {
            let _ = task.send(Command::Stop(Code::Quit));
        }
    }

    /// Somebody was seen on the network.
    pub(crate) fn seen(&mut self, peer: EndpointId, addresses: Vec<SocketAddr>) {
        if self.nearby.len() < MAX_NEARBY || self.nearby.contains_key(&peer) {
            self.nearby.insert(peer, addresses.clone());
        }
        if let Some(task) = self.task(peer) {
            let _ = task.send(Command::Seen(addresses));
        }
    }

    pub(crate) fn gone(&mut self, peer: EndpointId) {
        self.nearby.remove(&peer);
    }

    /// Where somebody was seen on the network.
    pub(crate) fn seen_at(&self, peer: EndpointId) -> Vec<SocketAddr> {
        self.nearby.get(&peer).cloned().unwrap_or_default()
    }

    pub(crate) fn set_blocked_and_requested(&mut self, blocked: Vec<EndpointId>, requested: Vec<EndpointId>) {
        self.blocked.extend(blocked);
        self.requested.extend(requested);
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn peer(number: u16) -> EndpointId {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        SecretKey::from_bytes(&key).public()
    }

    fn contact(number: u16) -> Contact {
        Contact { peer: peer(number), whereabouts: Whereabouts::default() }
    }

    fn add(registry: &mut Registry, number: u16) -> UnboundedReceiver<Command> {
        let (task, commands) = unbounded_channel();
        registry.add(contact(number), |_, _| task);
        commands
    }

    #[test]
    fn blocking_goes_before_all_else_and_can_be_taken_back() {
        let mut registry = Registry::new(Instant::now());
        let mut commands = add(&mut registry, 1);
        registry.request(peer(2));
        registry.request(peer(1));
        use Standing::*;
        assert_eq!([1, 2, 3].map(|n| registry.standing(peer(n))), [Contact, Requested, Stranger]);
        [1, 2, 3].into_iter().for_each(|n| registry.block(peer(n)));
        assert_eq!([1, 2, 3].map(|n| registry.standing(peer(n))), [Blocked; 3]);
        assert_eq!([1, 4].map(|n| registry.dismissal(peer(n))), [Code::Silence, Code::NotAContact]);
        assert!(matches!(commands.try_recv(), Ok(Command::Stop(Code::Silence))));
        assert!(registry.task(peer(1)).is_none());
        registry.add(contact(1), |_, _| panic!("a blocked key got a task"));
        let mut started = 0;
        for number in [1, 2, 3] {
            registry.unblock(peer(number), |_, _| {
                started += 1;
                unbounded_channel().0
            });
        }
        assert_eq!(started, 1);
        assert_eq!([1, 2, 3].map(|n| registry.standing(peer(n))), [Contact, Stranger, Stranger]);
        registry.remove(peer(1));
        assert_eq!(registry.standing(peer(1)), Stranger);
    }

    #[test]
    fn strangers_do_not_use_up_what_contacts_may() {
        let now = Instant::now();
        let mut registry = Registry::new(now);
        let _commands = add(&mut registry, 1);
        assert_eq!((0..100).filter(|_| registry.visit(peer(2), now).is_some()).count(), 5);
        let strangers = (3..6000).filter(|n| registry.visit(peer(*n), now).is_some()).count();
        assert_eq!(strangers, STRANGERS_COUNTED - 1);
        assert_eq!((0..100).filter(|_| registry.visit(peer(1), now).is_some()).count(), 20);
    }

    #[test]
    fn requests_are_few_from_one_and_from_all() {
        let now = Instant::now();
        let mut registry = Registry::new(now);
        assert_eq!((0..10).filter(|_| registry.may_request(peer(1), now)).count(), 2);
        assert_eq!((2..1000).filter(|n| registry.may_request(peer(*n), now)).count(), 18);
        let later = now + REQUESTS.1;
        assert_eq!((1000..2000).filter(|n| registry.may_request(peer(*n), later)).count(), 1);
    }

    #[test]
    fn the_network_is_remembered_within_limits_and_its_addresses_reach_contacts() {
        let mut registry = Registry::new(Instant::now());
        let mut commands = add(&mut registry, 1);
        let address: SocketAddr = "192.0.2.1:5".parse().unwrap();
        (1..1000).for_each(|number| registry.seen(peer(number), vec![address]));
        assert_eq!(registry.nearby.len(), MAX_NEARBY);
        assert!(matches!(commands.try_recv(), Ok(Command::Seen(addresses)) if addresses == [address]));
        registry.gone(peer(1));
        assert_eq!((registry.seen_at(peer(1)), registry.seen_at(peer(2))), (vec![], vec![address]));
    }

    #[test]
    fn nothing_is_started_after_the_end() {
        let mut registry = Registry::new(Instant::now());
        let mut commands = add(&mut registry, 1);
        registry.close();
        assert!(matches!(commands.try_recv(), Ok(Command::Stop(Code::Quit))));
        registry.add(contact(2), |_, _| panic!("started"));
    }
}
