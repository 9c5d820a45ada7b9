//! One other side of a call: its status, its limits, what was agreed with it.

mod media;

use std::time::Instant;

use ahoy_media::audio::opus::DRED_VERSION;

use super::{
    CallError, CallStatus, LinkCommand, LinkEvent, ParticipantStatus, Role,
    exchange::Exchange,
    inbox::Inbox,
    limits::{
        CONNECT_LIMIT, MAX_OFFER_REPEATS, OFFER_REPEAT_INTERVAL, RECONNECT_LIMIT, RESTART_GRACE, RESTART_INTERVAL,
        RESTART_RETRY, RING_LIMIT,
    },
    local::Local,
    outbox::Outbox,
};
use crate::{
    event::{CallEvent, Problem, ProblemCode, Side, Silence},
    id::PeerId,
    message::{Envelope, HangupReason, IceCandidate, MediaState, Paused, Payload},
    network::Path,
};

/// A participant leaves the call.
#[derive(Debug)]
pub(super) struct Leave {
    /// What to tell it; nothing where it left by itself.
    pub(super) farewell: Option<HangupReason>,
    /// How the call ends if nobody else is in it.
    pub(super) end: CallStatus,
}

impl Leave {
    pub(super) fn hung_up(reason: HangupReason) -> Self {
        Self { farewell: Some(reason.clone()), end: CallStatus::Ended { reason, by: Side::Local } }
    }

    fn failed(error: CallError) -> Self {
        Self { farewell: Some(HangupReason::Failed), end: CallStatus::Failed(error) }
    }
}

/// Whether the participant stays in the call.
pub(super) type Stays = Result<(), Leave>;

/// One other side of a call.
#[derive(Debug)]
pub(super) struct Participant {
    pub(super) peer: PeerId,
    pub(super) status: ParticipantStatus,
    /// When the patience with this status is over.
    limit: Option<Instant>,
    /// When to try the next ICE restart.
    restart_at: Option<Instant>,
    /// When to send an offer again that is not answered.
    repeat_at: Option<Instant>,
    /// How often the offer that is open was sent again.
    repeats: u32,
    /// It says what only Ahoys say. A plain browser may take long for an answer, as it asks for the camera
    /// first, and may not know what to do with the same offer twice: it gets each once.
    is_ours: bool,
    /// When a postponed offer of the peer is due.
    answer_at: Option<Instant>,
    /// The networks of this machine have changed since the last restart began.
    roamed: bool,
    exchange: Exchange,
    inbox: Inbox,
    /// It holds the call.
    holds: bool,
    /// What the link was told to send; none without a link.
    sending: Option<MediaState>,
    /// What it said last that it sends.
    says: Option<(MediaState, Option<Paused>)>,
    /// Its sound is heard here.
    hears: bool,
    /// Our sound is heard there.
    heard: bool,
    /// It reads the deep redundancy that we write.
    takes_dred: bool,
    /// Media that no description has had a section for, see [`LinkEvent::Absent`].
    absent: MediaState,
}

impl Participant {
    fn new(now: Instant, peer: PeerId, role: Role, status: ParticipantStatus) -> Self {
        Self {
            exchange: Exchange::new(peer.clone(), role),
            peer,
            status,
            limit: Some(now + RING_LIMIT),
            restart_at: None,
            repeat_at: None,
            repeats: 0,
            is_ours: false,
            answer_at: None,
            roamed: false,
            inbox: Inbox::default(),
            holds: false,
            sending: None,
            says: None,
            hears: true,
            heard: true,
            takes_dred: false,
            absent: MediaState::NONE,
        }
    }

    /// Somebody we call. The offer is made while it rings, and sent on acceptance.
    pub(super) fn invite(now: Instant, peer: PeerId, local: Local, out: &mut Outbox) -> Self {
        let mut this = Self::new(now, peer, local.role, ParticipantStatus::Invited);
        out.send(&this.peer, Payload::CallRequest { media: Some(local.given()) });
        this.open_link(local, out);
        this.exchange.make_offer(false, out);
        this
    }

    /// Somebody who calls us.
    pub(super) fn inviting(now: Instant, peer: PeerId, role: Role) -> Self {
        Self::new(now, peer, role, ParticipantStatus::Ringing)
    }

    /// Whether it is in the call, or may yet be.
    pub(super) fn is_present(&self) -> bool {
        self.status != ParticipantStatus::Declined
    }

    /// Whether both sides have agreed to talk.
    pub(super) fn is_accepted(&self) -> bool {
        match self.status {
            ParticipantStatus::Connecting | ParticipantStatus::Connected | ParticipantStatus::Disconnected => true,
            ParticipantStatus::Invited | ParticipantStatus::Ringing | ParticipantStatus::Declined => false,
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.limit, self.restart_at, self.repeat_at, self.answer_at].into_iter().flatten().min()
    }

    /// We take its call.
    pub(super) fn accept(&mut self, now: Instant, local: Local, out: &mut Outbox) {
        out.send(&self.peer, Payload::CallAck);
        self.open_link(local, out);
        self.connect(now, local, out);
    }

    /// Takes a message of the participant.
    pub(super) fn receive(&mut self, now: Instant, envelope: Envelope, local: Local, out: &mut Outbox) -> Stays {
        if !self.inbox.is_new(&envelope) {
            return Ok(());
        }
        let seq = envelope.seq;
        self.is_ours |=
            matches!(envelope.payload, Payload::Ringing | Payload::MediaState { .. } | Payload::CallHold { .. });
        match envelope.payload {
            Payload::CallAck => self.on_ack(now, local, out),
            Payload::CallOffer { sdp } => self.exchange.on_offer(now, seq, sdp, out),
            Payload::CallAnswer { sdp } => self.exchange.on_answer(seq, sdp, out),
            Payload::IceCandidate { candidate } => self.exchange.on_candidate(candidate.unwrap_or_default(), out),
            Payload::CallHangup { reason } => {
                let reason = reason.unwrap_or(HangupReason::Hangup);
                return Err(Leave { farewell: None, end: CallStatus::Ended { reason, by: Side::Remote } });
            }
            Payload::Ringing => {
                if self.status == ParticipantStatus::Invited {
                    self.status = ParticipantStatus::Ringing;
                    out.event(CallEvent::Ringing { peer: self.peer.clone() });
                }
            }
            Payload::MediaState { media, hears, dred, paused } => {
                if self.inbox.media.admit(seq) {
                    let takes_dred = dred == Some(DRED_VERSION);
                    if std::mem::replace(&mut self.takes_dred, takes_dred) != takes_dred && self.sending.is_some() {
                        out.link(&self.peer, LinkCommand::SetTakesDred(takes_dred));
                    }
                    let is_other = std::mem::replace(&mut self.heard, hears) != hears;
                    // What is said of hearing alone is no news of its media.
                    let says = (media, paused.filter(|_| !media.video));
                    if self.says.replace(says) != Some(says) || !is_other {
                        out.event(CallEvent::MediaState { peer: self.peer.clone(), media, paused: says.1 });
                    }
                    if is_other {
                        out.event(media::heard(Silence::ToPeer, hears));
                    }
                }
            }
            Payload::CallHold { held } => {
                if self.inbox.hold.admit(seq) && self.holds != held {
                    self.holds = held;
                    self.update_sending(local, out);
                    self.tell_hold(local, out);
                }
            }
            // A request is known by now; what is unknown is ignored.
            Payload::CallRequest { .. } | Payload::Unknown => {}
        }
        Ok(())
    }

    /// Takes a report of the participant's link.
    pub(super) fn on_link(&mut self, now: Instant, event: LinkEvent, local: Local, out: &mut Outbox) -> Stays {
        match event {
            LinkEvent::LocalOffer(sdp) => self.exchange.on_local_offer(sdp, out),
            LinkEvent::LocalAnswer(sdp) => self.exchange.on_local_answer(sdp, out),
            LinkEvent::LocalCandidate(candidate) => self.exchange.on_local_candidate(candidate, out),
            LinkEvent::LocalCandidatesDone => self.exchange.on_local_candidate(IceCandidate::end(), out),
            LinkEvent::Connected => self.on_connected(local, out),
            LinkEvent::Disconnected => self.on_disconnected(now, local, out),
            LinkEvent::Failed(error) => return Err(Leave::failed(CallError::Link(error))),
            LinkEvent::RemoteDescriptionRefused(error) => return self.on_refused(error, out),
            LinkEvent::MediumRefused(what) => out.event(CallEvent::Problem(Problem::new(
                ProblemCode::Media,
                what,
                "the call goes on without it; bring both sides up to date if it should be there",
            ))),
            LinkEvent::Absent(media) => {
                self.absent = media;
                self.offer_absent(local, out);
            }
            LinkEvent::CandidateRefused(error) => out.problem(
                ProblemCode::BadCandidate,
                format!("{} sent a candidate that cannot be used ({error})", self.peer),
                "nothing: the call goes on with the other candidates",
            ),
        }
        Ok(())
    }

    /// A message to it could not be sent.
    pub(super) fn on_send_failed(&mut self, error: String, out: &mut Outbox) -> Stays {
        match self.status {
            // The request itself: waiting for an answer would be in vain.
            ParticipantStatus::Invited => Err(Leave::failed(CallError::Signaling(error))),
            ParticipantStatus::Ringing
            | ParticipantStatus::Connecting
            | ParticipantStatus::Connected
            | ParticipantStatus::Disconnected
            | ParticipantStatus::Declined => {
                out.problem(
                    ProblemCode::SignalingFailed,
                    format!("a message to {} could not be sent ({error})", self.peer),
                    "check the network; the call goes on as long as its connection holds",
                );
                Ok(())
            }
        }
    }

    /// Lets time pass.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outbox) -> Stays {
        if self.limit.is_some_and(|limit| limit <= now) {
            self.limit = None;
            match self.status {
                ParticipantStatus::Invited | ParticipantStatus::Ringing => {
                    return Err(Leave::hung_up(HangupReason::Timeout));
                }
                ParticipantStatus::Connecting => return Err(Leave::failed(CallError::ConnectTimeout)),
                ParticipantStatus::Disconnected => return Err(Leave::failed(CallError::ConnectionLost)),
                ParticipantStatus::Connected | ParticipantStatus::Declined => {}
            }
        }
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_ice(now, out);
        }
        self.exchange.expire(now, out);
        self.answer_at = self.exchange.next_deadline(now);
        self.repeat_open_offer(now, out);
        Ok(())
    }

    fn repeat_open_offer(&mut self, now: Instant, out: &mut Outbox) {
        if !self.exchange.has_open_offer() {
            (self.repeat_at, self.repeats) = (None, 0);
            return;
        }
        if self.repeat_at.is_some_and(|at| at <= now) {
            self.repeat_at = None;
            self.repeats += 1;
            self.exchange.repeat_offer(out);
        }
        if self.is_ours && self.repeats < MAX_OFFER_REPEATS {
            self.repeat_at.get_or_insert(now + OFFER_REPEAT_INTERVAL);
        }
    }

    /// The networks of this machine have changed.
    pub(super) fn on_network_changed(&mut self, now: Instant, path: Path, local: Local, out: &mut Outbox) -> Stays {
        let concerned = match (self.status, path) {
            (ParticipantStatus::Connected, Path::Gone) => {
                self.on_disconnected(now, local, out);
                true
            }
            // The path may still work, so the call is not lost.
            (ParticipantStatus::Connected, Path::Moved) => true,
            (ParticipantStatus::Connecting | ParticipantStatus::Disconnected, _) => true,
            // The offer that was prepared while it rings names addresses that are gone.
            (ParticipantStatus::Invited | ParticipantStatus::Ringing, Path::Gone | Path::Moved) => {
                self.sending.is_some()
            }
            (ParticipantStatus::Connected | ParticipantStatus::Invited | ParticipantStatus::Ringing, Path::Joined)
            | (ParticipantStatus::Declined, _) => false,
        };
        if concerned {
            self.roamed = true;
            self.restart_ice(now, out);
        }
        Ok(())
    }

    /// Restarts ICE, unless an exchange is still open: where an offer is not answered, the signaling is what
    /// is slow, and a second offer would not be faster.
    fn restart_ice(&mut self, now: Instant, out: &mut Outbox) {
        let begun = self.exchange.make_offer(true, out);
        self.roamed &= !begun;
        let again = match self.status {
            // The open exchange is about addresses that are not ours any more: the next one follows at once.
            _ if self.roamed => Some(RESTART_RETRY),
            ParticipantStatus::Connecting | ParticipantStatus::Disconnected => Some(RESTART_INTERVAL),
            // The path works, or is not needed yet.
            ParticipantStatus::Connected
            | ParticipantStatus::Invited
            | ParticipantStatus::Ringing
            | ParticipantStatus::Declined => None,
        };
        self.restart_at = again.map(|again| now + again);
    }

    /// Ends everything with the participant.
    pub(super) fn leave(&mut self, farewell: Option<HangupReason>, out: &mut Outbox) {
        if let Some(reason) = farewell {
            out.send(&self.peer, Payload::CallHangup { reason: Some(reason) });
        }
        if self.sending.take().is_some() {
            out.link(&self.peer, LinkCommand::Close);
        }
        (self.limit, self.restart_at, self.repeat_at, self.answer_at) = (None, None, None, None);
    }

    fn open_link(&mut self, local: Local, out: &mut Outbox) {
        out.link(&self.peer, LinkCommand::Open { role: local.role });
        self.sending = Some(local.media);
        out.link(&self.peer, LinkCommand::SetSending(local.media));
        if self.takes_dred {
            out.link(&self.peer, LinkCommand::SetTakesDred(true));
        }
    }

    /// Both sides have agreed to talk.
    fn connect(&mut self, now: Instant, local: Local, out: &mut Outbox) {
        self.status = ParticipantStatus::Connecting;
        self.limit = Some(now + CONNECT_LIMIT);
        // First what everything else waits for.
        self.exchange.accept(out);
        self.say_media(local, out);
        out.event(CallEvent::Connecting { peer: self.peer.clone() });
        if local.held {
            self.update_hold(local, out);
        }
    }

    fn on_ack(&mut self, now: Instant, local: Local, out: &mut Outbox) {
        match (self.status, local.role) {
            (ParticipantStatus::Invited | ParticipantStatus::Ringing, Role::Caller) => self.connect(now, local, out),
            (ParticipantStatus::Invited | ParticipantStatus::Ringing, Role::Callee) => out.problem(
                ProblemCode::UnexpectedMessage,
                format!("{} accepted its own call", self.peer),
                "nothing: it is ignored; the other side's program has to be corrected",
            ),
            // Accepted twice is accepted.
            (
                ParticipantStatus::Connecting
                | ParticipantStatus::Connected
                | ParticipantStatus::Disconnected
                | ParticipantStatus::Declined,
                Role::Caller | Role::Callee,
            ) => {}
        }
    }

    fn on_connected(&mut self, local: Local, out: &mut Outbox) {
        let event = match self.status {
            ParticipantStatus::Connecting => CallEvent::Connected { peer: self.peer.clone() },
            ParticipantStatus::Disconnected => CallEvent::Reconnected { peer: self.peer.clone() },
            ParticipantStatus::Invited
            | ParticipantStatus::Ringing
            | ParticipantStatus::Connected
            | ParticipantStatus::Declined => return,
        };
        self.status = ParticipantStatus::Connected;
        // What is owed to a change of networks stays due: this may be the old path.
        (self.limit, self.restart_at) = (None, self.restart_at.filter(|_| self.roamed));
        out.event(event);
        self.offer_absent(local, out);
    }

    fn on_disconnected(&mut self, now: Instant, local: Local, out: &mut Outbox) {
        // While connecting, ICE may lose a pair and find another: the connect limit stands for all of it.
        if self.status != ParticipantStatus::Connected {
            return;
        }
        self.status = ParticipantStatus::Disconnected;
        self.limit = Some(now + RECONNECT_LIMIT);
        self.restart_at = Some(match local.role {
            Role::Caller => now,
            Role::Callee => now + RESTART_GRACE,
        });
        out.event(CallEvent::Reconnecting { peer: self.peer.clone() });
    }

    fn on_refused(&mut self, error: String, out: &mut Outbox) -> Stays {
        if self.status == ParticipantStatus::Connecting {
            return Err(Leave::failed(CallError::Negotiation(error)));
        }
        self.exchange.on_refused(out);
        out.problem(
            ProblemCode::BadDescription,
            format!("{} sent a session description that cannot be used ({error})", self.peer),
            "nothing: the call goes on as it was agreed before",
        );
        Ok(())
    }
}
