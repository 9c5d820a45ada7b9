//! What a contact's task decides, without doing any of it: inputs and the time go in, outputs come out.
//!
//! Presence, by links:
//!
//! ```text
//!             link up                       no link for OFFLINE_AFTER,
//! offline ──────────────▶ what it says ─────── or it said goodbye ──────▶ offline
//! ```
//!
//! Two who dial each other at once get two links. The peer with the lower key decides: it keeps the one that
//! it dialled itself, and closes the other. Once a link is older than [`GLARE_WINDOW`] a further one means
//! that the other side has lost it, and the newer is kept. The peer with the higher key only uses the newest.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    time::{Duration, Instant},
};

use iroh::EndpointId;

use super::{
    Code, Down,
    dialing::{Dialing, Need},
    io::{Input, LinkId, Output, Parcel, Ticket},
    telling::{News, Telling},
};
use crate::{
    DeliverError, MAX_MESSAGE_BYTES, Whereabouts,
    event::MessageKey,
    frame::{Frame, Hello, Status},
    seen::Seen,
    text,
};

/// A contact without a link is shown as offline from then on; shorter gaps (a program that restarts, a
/// network that changes) are not worth a flicker.
pub(crate) const OFFLINE_AFTER: Duration = Duration::from_secs(10);

/// By then a message was acknowledged or it counts as not delivered. A dial over a relay takes up to three
/// seconds; a caller does not wait much longer for the first sign.
pub(crate) const SEND_LIMIT: Duration = Duration::from_secs(10);

/// Two links within this time were dialled at once.
pub(crate) const GLARE_WINDOW: Duration = Duration::from_secs(10);

/// A link that lasted so long shows that dialling works.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Links of one peer at a time: two, and only while it is not decided which one stays.
const MAX_LINKS: usize = 2;

/// Messages written and not acknowledged.
const WINDOW: usize = 32;

/// Messages that wait for a link or the window: at most 16 MiB.
const MAX_PENDING: usize = 256;

/// Messages received and not confirmed yet: at most 16 MiB. More are passed over; they come again.
const MAX_UNCONFIRMED: usize = 256;

struct Link {
    id: LinkId,
    dialled: bool,
    since: Instant,
}

struct Pending {
    ticket: Ticket,
    parcel: Parcel,
    deadline: Instant,
    /// When it was written on a link that is still up.
    sent: Option<Instant>,
}

pub(crate) struct PeerState {
    decides: bool,
    /// The newest last.
    links: Vec<Link>,
    instance: Option<u64>,
    dialing: Dialing,
    /// There is a call with this contact.
    in_call: bool,
    whereabouts: Whereabouts,
    ours: Status,
    telling: Telling,
    offline_at: Option<Instant>,
    pending: VecDeque<Pending>,
    envelopes: Seen<Ticket>,
    messages: Seen<MessageKey>,
    unconfirmed: HashMap<MessageKey, Ticket>,
    outputs: VecDeque<Output>,
}

impl PeerState {
    pub(crate) fn new(
        me: EndpointId,
        them: EndpointId,
        whereabouts: Whereabouts,
        ours: Status,
        chances: fastrand::Rng,
        now: Instant,
    ) -> Self {
        Self {
            decides: me < them,
            links: vec![],
            instance: None,
            dialing: Dialing::new((!whereabouts.is_empty()).then_some(now), chances),
            in_call: false,
            whereabouts,
            ours,
            telling: Telling::new(now),
            offline_at: None,
            pending: VecDeque::new(),
            envelopes: Seen::default(),
            messages: Seen::default(),
            unconfirmed: HashMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub(crate) fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next [`Input::Tick`] is due.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        let dial = self.dialing.next(self.need());
        // Every deadline is the same time after its message came, so the first is the earliest.
        let deadline = self.pending.front().map(|pending| pending.deadline);
        [dial, self.offline_at, deadline, self.telling.next_tick()].into_iter().flatten().min()
    }

    pub(crate) fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::LinkUp { link, dialled, remote, hello } => self.link_up(link, dialled, remote, hello, now),
            Input::LinkDown { link, why } => self.link_down(link, why, now),
            Input::DialFailed(why) => {
                if self.dialing.failed() && self.links.is_empty() {
                    self.lost(why, now);
                }
            }
            Input::Frame { link, frame } => self.frame(link, frame),
            Input::Throttled => self.outputs.push_back(Output::Flooding),
            Input::Send { ticket, parcel } => self.send(ticket, parcel, now),
            Input::Received { key, kept } => self.received(key, kept),
            Input::Seen(addresses) => {
                if self.whereabouts.prefer(addresses) {
                    self.telling.has_moved();
                }
                // Somebody was just seen there.
                self.dial_soon(now);
            }
            Input::Whereabouts(whereabouts) => {
                let whereabouts = whereabouts.checked();
                if !whereabouts.is_empty() {
                    self.whereabouts = whereabouts;
                    self.dial_soon(now);
                }
            }
            Input::NetworkChanged => self.dial_soon(now),
            Input::InCall(in_call) => {
                self.in_call = in_call;
                if in_call {
                    self.hurry(now);
                }
            }
            Input::Status(status) => {
                self.ours = status;
                for link in &self.links {
                    let frame = Frame::Status(self.ours.clone());
                    self.outputs.push_back(Output::Write { link: link.id, frame });
                }
            }
            Input::Tick => {}
        }
        self.tick(now);
    }

    fn tick(&mut self, now: Instant) {
        while self.pending.front().is_some_and(|pending| pending.deadline <= now) {
            let Some(late) = self.pending.pop_front() else { break };
            let error = if late.sent.is_some() { DeliverError::NotAcknowledged } else { DeliverError::Offline };
            self.outputs.push_back(Output::Settle { ticket: late.ticket, result: Err(error) });
        }
        if self.offline_at.is_some_and(|at| at <= now) {
            self.offline_at = None;
            self.telling.is_offline();
        }
        self.tell(now);
        if self.dialing.begin(self.need(), now) {
            self.outputs.push_back(Output::Dial(self.whereabouts.clone()));
        }
        self.pump(now);
    }

    /// What a link is needed for now.
    fn need(&self) -> Need {
        let unacknowledged = || {
            let envelopes = self.pending.iter().filter(|pending| matches!(pending.parcel, Parcel::Envelope(_)));
            envelopes.filter_map(|pending| pending.sent).min()
        };
        match self.links.last() {
            _ if self.whereabouts.is_empty() => Need::None,
            Some(link) => unacknowledged().map_or(Need::None, |since| Need::Another(since.max(link.since))),
            None if self.is_urgent() => Need::Urgent,
            None => Need::Usual,
        }
    }

    fn is_urgent(&self) -> bool {
        self.in_call || !self.pending.is_empty()
    }

    fn hurry(&mut self, now: Instant) {
        if self.links.is_empty() {
            self.dialing.hurry(now);
        }
    }

    fn tell(&mut self, now: Instant) {
        let News { said, moved } = self.telling.news(now);
        if moved {
            self.outputs.push_back(Output::Moved(self.whereabouts.clone()));
        }
        if let Some((presence, name)) = said {
            self.outputs.push_back(Output::Presence { presence, name });
        }
    }

    fn dial_soon(&mut self, now: Instant) {
        if self.links.is_empty() {
            self.dialing.soon(now);
        }
    }

    fn link_up(&mut self, link: LinkId, dialled: bool, remote: Option<SocketAddr>, hello: Hello, now: Instant) {
        if self.instance.replace(hello.instance) != Some(hello.instance) {
            // It has restarted: its old links are dead, and its numbers begin anew.
            self.close_links(|_| true);
            self.envelopes = Seen::default();
        }
        if self.dialing.linked(dialled) {
            self.outputs.push_back(Output::GiveUpDials);
        }
        self.links.push(Link { id: link, dialled, since: now });
        if self.decides {
            let glare = self.links.iter().any(|other| other.id != link && now < other.since + GLARE_WINDOW);
            let kept = self.links.iter().find(|link| glare && link.dialled).map_or(link, |link| link.id);
            self.close_links(|link| link.id != kept);
        } else if self.links.len() > MAX_LINKS {
            let oldest = self.links.first().map(|link| link.id);
            self.close_links(|link| Some(link.id) == oldest);
        }
        self.offline_at = None;
        self.pending.iter_mut().for_each(|pending| pending.sent = None);
        self.heard(hello.status, remote);
    }

    /// Takes in what the peer says of itself.
    fn heard(&mut self, status: Status, remote: Option<SocketAddr>) {
        self.telling.says(status.presence, status.name.as_deref().and_then(text::name));
        let mut whereabouts = status.whereabouts.checked();
        if whereabouts.is_empty() {
            whereabouts = self.whereabouts.clone();
        }
        whereabouts.prefer(remote);
        if whereabouts != self.whereabouts {
            self.whereabouts = whereabouts;
            self.telling.has_moved();
        }
    }

    fn close_links(&mut self, which: impl Fn(&Link) -> bool) {
        for link in self.links.extract_if(.., |link| which(link)) {
            self.outputs.push_back(Output::Close { link: link.id, code: Code::Superseded });
        }
    }

    fn link_down(&mut self, link: LinkId, why: Down, now: Instant) {
        let Some(at) = self.links.iter().position(|other| other.id == link) else { return };
        let down = self.links.remove(at);
        // What it carried may be lost; the other side knows numbers that it has seen.
        self.pending.iter_mut().for_each(|pending| pending.sent = None);
        if !self.links.is_empty() {
            return;
        }
        if now >= down.since + STABLE_AFTER {
            self.dialing.works();
        }
        self.offline_at = Some(if why == Down::Lost { now + OFFLINE_AFTER } else { now });
        self.lost(why, now);
    }

    /// There is no link, and the last attempt told why.
    fn lost(&mut self, why: Down, now: Instant) {
        if self.dialing.lost(why, self.is_urgent(), now) {
            self.outputs.push_back(Output::Refused);
        }
    }

    fn frame(&mut self, link: LinkId, frame: Frame) {
        if !self.links.iter().any(|other| other.id == link) {
            return;
        }
        match frame {
            Frame::Status(status) => self.heard(status, None),
            Frame::Envelope { seq, json } => {
                if self.envelopes.insert(seq) {
                    self.outputs.push_back(Output::Envelope(json));
                }
                self.outputs.push_back(Output::Write { link, frame: Frame::Ack { seq } });
            }
            Frame::Message { seq, id, body } => self.message(link, seq, id, body),
            Frame::Ack { seq } => {
                if let Some(at) = self.pending.iter().position(|pending| pending.ticket == seq) {
                    self.pending.remove(at);
                    self.outputs.push_back(Output::Settle { ticket: seq, result: Ok(()) });
                }
            }
            Frame::Unknown => {}
            // Of another place in the protocol.
            Frame::Hello(_) | Frame::Redeem(_) | Frame::Request(_) | Frame::Answer(_) => {
                self.outputs.push_back(Output::Close { link, code: Code::Protocol });
            }
        }
    }

    fn message(&mut self, link: LinkId, seq: Ticket, id: u64, body: Vec<u8>) {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let key = MessageKey { id, hash: hasher.finish() };
        if self.messages.contains(&key) {
            self.outputs.push_back(Output::Write { link, frame: Frame::Ack { seq } });
        } else if let Some(latest) = self.unconfirmed.get_mut(&key) {
            *latest = seq;
        } else if self.unconfirmed.len() < MAX_UNCONFIRMED {
            self.unconfirmed.insert(key, seq);
            self.outputs.push_back(Output::Message { key, body });
        }
    }

    fn received(&mut self, key: MessageKey, kept: bool) {
        let Some(seq) = self.unconfirmed.remove(&key) else { return };
        if !kept {
            return;
        }
        self.messages.insert(key);
        if let Some(link) = self.links.last() {
            self.outputs.push_back(Output::Write { link: link.id, frame: Frame::Ack { seq } });
        }
    }

    fn send(&mut self, ticket: Ticket, parcel: Parcel, now: Instant) {
        let (Parcel::Envelope(bytes) | Parcel::Message { body: bytes, .. }) = &parcel;
        let refusal = if bytes.len() > MAX_MESSAGE_BYTES {
            Some(DeliverError::TooLarge)
        } else if self.pending.len() >= MAX_PENDING {
            Some(DeliverError::TooMany)
        } else {
            None
        };
        if let Some(error) = refusal {
            self.outputs.push_back(Output::Settle { ticket, result: Err(error) });
            return;
        }
        self.pending.push_back(Pending { ticket, parcel, deadline: now + SEND_LIMIT, sent: None });
        self.hurry(now);
    }

    /// Writes what the window has room for, on the newest link.
    fn pump(&mut self, now: Instant) {
        let Some(link) = self.links.last().map(|link| link.id) else { return };
        let mut room = WINDOW.saturating_sub(self.pending.iter().filter(|pending| pending.sent.is_some()).count());
        for pending in self.pending.iter_mut().filter(|pending| pending.sent.is_none()) {
            if room == 0 {
                break;
            }
            room -= 1;
            pending.sent = Some(now);
            let seq = pending.ticket;
            let frame = match &pending.parcel {
                Parcel::Envelope(json) => Frame::Envelope { seq, json: json.clone() },
                Parcel::Message { id, body } => Frame::Message { seq, id: *id, body: body.clone() },
            };
            self.outputs.push_back(Output::Write { link, frame });
        }
    }
}
