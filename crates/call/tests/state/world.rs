//! Two endpoints with links that mind the rules of a peer connection, wired by a seeded network in virtual
//! time.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use ahoy_call::{
    event::CallEvent,
    id::{CallId, PeerId},
    message::{Envelope, IceCandidate, MediaState, Payload},
    state::{Input, LinkCommand, LinkEvent, Output, ParticipantStatus, Switchboard},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What the network does to messages.
#[derive(Clone, Copy)]
pub struct Network {
    pub seed: u64,
    pub max_delay: Duration,
    pub repeated: f64,
    /// Share of descriptions and candidates that never come, 0 to 1.
    pub lost: f64,
}

impl Network {
    /// Every message at once and in order.
    pub fn good() -> Self {
        Self { seed: 0, max_delay: Duration::ZERO, repeated: 0.0, lost: 0.0 }
    }

    /// Messages are late, overtake each other and come twice.
    pub fn bad(seed: u64) -> Self {
        Self { seed, max_delay: Duration::from_millis(500), repeated: 0.3, lost: 0.0 }
    }
}

/// How long the user lets it ring.
const ANSWER_AFTER: Duration = Duration::from_millis(700);
/// How long a link takes for each command; more than nothing, so that messages come in between.
const LINK_WORK: Duration = Duration::from_millis(5);
/// More than any call here needs; reached only by one that never comes to rest.
const MAX_STEPS: usize = 10_000;

enum Item {
    Message { to: usize, json: String },
    Link { at: usize, call: CallId, event: LinkEvent },
    Accept { at: usize, call: CallId },
}

pub struct World {
    pub ends: [End; 2],
    pub now: Instant,
    /// What the user at an end does with an incoming call.
    pub accepts: bool,
    /// By due time, then by order.
    queue: BTreeMap<(Instant, u64), Item>,
    order: u64,
    network: Network,
    chances: StdRng,
}

pub struct End {
    pub board: Switchboard,
    pub events: Vec<(CallId, CallEvent)>,
    links: HashMap<CallId, FakeLink>,
    /// When the link's last report was due: reports come in order.
    busy_until: Instant,
    work: u32,
}

impl End {
    fn name(index: usize) -> PeerId {
        ["alice", "bob"][index].into()
    }

    pub fn connected(&self) -> bool {
        self.board.current().is_some_and(|call| *call.status() == ahoy_call::state::CallStatus::Active)
    }
}

impl World {
    pub fn new(network: Network) -> Self {
        let now = Instant::now();
        let end = || End {
            board: Switchboard::default(),
            events: Vec::new(),
            links: HashMap::new(),
            busy_until: now,
            work: 0,
        };
        let chances = StdRng::seed_from_u64(network.seed);
        Self { ends: [end(), end()], now, accepts: true, queue: BTreeMap::new(), order: 0, network, chances }
    }

    pub fn place(&mut self, at: usize, call: &str) {
        let (id, to) = (call.parse().unwrap(), End::name(1 - at));
        self.ends[at].board.place(self.now, id, to, MediaState::BOTH).unwrap();
        self.carry_out(at);
    }

    pub fn user(&mut self, at: usize, input: Input) {
        if let Some(id) = self.ends[at].board.current().map(|call| call.id().clone()) {
            self.ends[at].board.handle(self.now, &id, input);
            self.carry_out(at);
        }
    }

    pub fn hang_up(&mut self, at: usize) {
        self.user(at, Input::HangUp);
    }

    /// The path between the ends breaks: both links notice, not at once.
    pub fn break_path(&mut self) {
        for at in 0..2 {
            let id = self.ends[at].board.current().unwrap().id().clone();
            let link = self.ends[at].links.get_mut(&id).unwrap();
            (link.connected, link.candidates) = (false, 0);
            let late = self.network.max_delay.mul_f64(self.chances.random_range(0.0..=5.0));
            let due = self.now.max(self.ends[at].busy_until) + late;
            self.push(due, Item::Link { at, call: id, event: LinkEvent::Disconnected });
        }
    }

    pub fn run_until_connected(&mut self) {
        for _ in 0..MAX_STEPS {
            if self.ends.iter().all(End::connected) {
                return;
            }
            assert!(self.step(), "nothing moves any more: {:?}", self.ends.each_ref().map(|end| &end.events));
        }
        panic!("never connected");
    }

    /// Until both links are connected, and both ends know.
    pub fn run_until_reconnected(&mut self) {
        for _ in 0..MAX_STEPS {
            let linked = self.ends.iter().all(|end| end.links.values().any(|link| link.connected));
            let known = self.ends.iter().all(|end| {
                let call = end.board.current().unwrap_or_else(|| panic!("the call ended: {:?}", end.events));
                call.participants().all(|(_, status)| status == ParticipantStatus::Connected)
            });
            if linked && known {
                return;
            }
            assert!(self.step(), "nothing moves any more: {:?}", self.ends.each_ref().map(|end| &end.events));
        }
        panic!("never reconnected");
    }

    pub fn run_to_rest(&mut self) {
        for _ in 0..MAX_STEPS {
            if !self.step() {
                return;
            }
        }
        panic!("never comes to rest");
    }

    /// Nobody is in a call, no link is open, and each side was told the end once, and nothing after it.
    pub fn assert_over(&self, context: &str) {
        for end in &self.ends {
            assert!(end.board.current().is_none(), "{context}: still in a call: {:?}", end.events);
            assert!(end.links.values().all(|link| link.closed), "{context}: a link was left open");
            assert_eq!(end.board.next_deadline(), None, "{context}");
            let calls: Vec<_> = end.events.iter().map(|(call, _)| call).collect();
            for call in calls {
                let events: Vec<_> = end.events.iter().filter(|(c, _)| c == call).map(|(_, event)| event).collect();
                let ends = |event: &&CallEvent| matches!(event, CallEvent::Ended { .. } | CallEvent::Replaced { .. });
                assert_eq!(events.iter().filter(|e| ends(e)).count(), 1, "{context}: {events:?}");
                assert!(ends(events.last().unwrap()), "{context}: {events:?}");
            }
        }
    }

    /// Lets the next thing happen; false when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let item = self.queue.keys().next().map(|(due, _)| *due);
        let deadline = self.ends.iter().filter_map(|end| end.board.next_deadline()).min();
        let (Some(due), due_item) = (item.into_iter().chain(deadline).min(), item) else { return false };
        self.now = self.now.max(due);
        if due_item != Some(due) {
            for at in 0..2 {
                self.ends[at].board.tick(self.now);
                assert!(
                    self.ends[at].board.next_deadline().is_none_or(|next| next > self.now),
                    "a deadline in the past would spin"
                );
                self.carry_out(at);
            }
            return true;
        }
        let Some((_, item)) = self.queue.pop_first() else { return false };
        let at = match item {
            Item::Message { to, json } => {
                let envelope = Envelope::parse(json.as_bytes()).unwrap();
                self.ends[to].board.receive(self.now, End::name(1 - to), envelope);
                to
            }
            Item::Link { at, call, event } => {
                // A closed link is silent, and one that found a new way before it noticed the loss of the
                // old.
                let moot = |link: &FakeLink| link.closed || (link.connected && event == LinkEvent::Disconnected);
                if self.ends[at].links.get(&call).is_some_and(|link| !moot(link)) {
                    let peer = End::name(1 - at);
                    self.ends[at].board.handle(self.now, &call, Input::Link { peer, event });
                }
                at
            }
            Item::Accept { at, call } => {
                self.ends[at].board.handle(self.now, &call, Input::Accept { media: MediaState::BOTH });
                at
            }
        };
        self.carry_out(at);
        true
    }

    fn carry_out(&mut self, at: usize) {
        while let Some((call, output)) = self.ends[at].board.poll_output() {
            match output {
                Output::Send { to, envelope } => {
                    assert_eq!(to, End::name(1 - at));
                    let copies = if self.chances.random_bool(self.network.repeated) { 2 } else { 1 };
                    let can_be_lost = matches!(
                        envelope.payload,
                        Payload::CallOffer { .. } | Payload::CallAnswer { .. } | Payload::IceCandidate { .. }
                    );
                    if can_be_lost && self.network.lost > 0.0 && self.chances.random_bool(self.network.lost) {
                        continue;
                    }
                    for _ in 0..copies {
                        let late = self.network.max_delay.mul_f64(self.chances.random_range(0.0..=1.0));
                        let json = envelope.to_json().unwrap();
                        self.push(self.now + late, Item::Message { to: 1 - at, json });
                    }
                }
                Output::Event(event) => {
                    if matches!(event, CallEvent::Incoming { .. }) && self.accepts {
                        self.push(self.now + ANSWER_AFTER, Item::Accept { at, call: call.clone() });
                    }
                    self.ends[at].events.push((call, event));
                }
                Output::Link { command, .. } => self.command(at, call, command),
            }
        }
    }

    fn command(&mut self, at: usize, call: CallId, command: LinkCommand) {
        let end = &mut self.ends[at];
        if let LinkCommand::Open { .. } = command {
            assert!(end.links.insert(call, FakeLink::default()).is_none(), "opened twice");
            return;
        }
        end.work += 1;
        let mark = format!("{}{}", ["a", "b"][at], end.work);
        for event in end.links.get_mut(&call).unwrap().carry_out(command, &mark) {
            self.report(at, &call, event);
        }
        self.connect_links(&call);
    }

    /// Connects the links of a call as soon as each has the other's description and a candidate of it.
    fn connect_links(&mut self, call: &CallId) {
        let [a, b] = &mut self.ends;
        let (Some(link_a), Some(link_b)) = (a.links.get_mut(call), b.links.get_mut(call)) else { return };
        if link_a.reaches(link_b) && link_b.reaches(link_a) && !(link_a.connected && link_b.connected) {
            (link_a.connected, link_b.connected) = (true, true);
            for at in 0..2 {
                self.report(at, call, LinkEvent::Connected);
            }
        }
    }

    /// A report of a link, after those before it.
    fn report(&mut self, at: usize, call: &CallId, event: LinkEvent) {
        let due = self.now.max(self.ends[at].busy_until) + LINK_WORK;
        self.ends[at].busy_until = due;
        self.push(due, Item::Link { at, call: call.clone(), event });
    }

    fn push(&mut self, due: Instant, item: Item) {
        self.order += 1;
        self.queue.insert((due, self.order), item);
    }
}

/// A peer connection without a network. It panics where a real one would refuse.
#[derive(Default)]
struct FakeLink {
    /// The ICE generation of the pending local offer.
    offered: Option<String>,
    /// The agreed ICE generation of this side, and of the other.
    local: Option<String>,
    remote: Option<String>,
    /// Candidates of the remote generation.
    candidates: usize,
    connected: bool,
    closed: bool,
}

impl FakeLink {
    fn carry_out(&mut self, command: LinkCommand, mark: &str) -> Vec<LinkEvent> {
        assert!(!self.closed, "{command:?} after close");
        match command {
            LinkCommand::CreateOffer { .. } => {
                assert!(self.offered.is_none(), "an offer in have-local-offer");
                self.offered = Some(mark.into());
                gathering(LinkEvent::LocalOffer(described(mark)), mark)
            }
            LinkCommand::AcceptOffer { sdp: offer } => {
                assert!(self.offered.is_none(), "a remote offer in have-local-offer");
                self.describe(&offer);
                self.local = Some(mark.into());
                gathering(LinkEvent::LocalAnswer(described(mark)), mark)
            }
            LinkCommand::AcceptAnswer { sdp } => {
                self.local = Some(self.offered.take().expect("an answer without an offer"));
                self.describe(&sdp);
                Vec::new()
            }
            LinkCommand::Rollback => {
                self.offered = None;
                Vec::new()
            }
            LinkCommand::AddCandidate(candidate) => {
                assert_eq!(candidate.username_fragment, self.remote, "a candidate of another generation");
                self.candidates += 1;
                Vec::new()
            }
            LinkCommand::Close => {
                self.closed = true;
                Vec::new()
            }
            LinkCommand::Open { .. }
            | LinkCommand::EndOfCandidates
            | LinkCommand::SetSending(_)
            | LinkCommand::SetPlaying(_)
            | LinkCommand::SetTakesDred(_) => Vec::new(),
        }
    }

    fn describe(&mut self, sdp: &str) {
        self.remote = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).map(str::to_owned);
        assert!(self.remote.is_some(), "not one of our descriptions: {sdp}");
        (self.candidates, self.connected) = (0, false);
    }

    fn reaches(&self, other: &Self) -> bool {
        !self.closed && self.remote.is_some() && self.remote == other.local && self.candidates > 0
    }
}

fn described(generation: &str) -> String {
    format!("v=0\r\na=ice-ufrag:{generation}\r\n")
}

/// A description, and the candidates that are gathered after it.
fn gathering(description: LinkEvent, generation: &str) -> Vec<LinkEvent> {
    let candidate = |n| IceCandidate {
        candidate: format!("{generation}-{n}"),
        sdp_mid: Some("0".into()),
        sdp_m_line_index: Some(0),
        username_fragment: Some(generation.into()),
    };
    [description].into_iter().chain((0..3).map(|n| LinkEvent::LocalCandidate(candidate(n)))).collect()
}
