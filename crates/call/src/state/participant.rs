//! One other side of a call: its status, its limits, what was agreed with it.

use std::time::Instant;

use super::{
    CallError, CallStatus, LinkCommand, LinkEvent, ParticipantStatus, Role,
    candidates::{RemoteCandidates, Taken},
    inbox::Inbox,
    limits::{CONNECT_LIMIT, MAX_CANDIDATES, RECONNECT_LIMIT, RESTART_GRACE, RESTART_INTERVAL, RING_LIMIT},
    negotiation::{Negotiation, OnAnswer, OnOffer},
    outbox::Outbox,
};
use crate::{
    event::{CallEvent, ProblemCode, Side},
    id::PeerId,
    message::{Envelope, HangupReason, IceCandidate, MediaState, Payload},
};

/// What is the same for all participants of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) role: Role,
    /// What the user wants to send.
    pub(super) media: MediaState,
    /// The user holds the call.
    pub(super) held: bool,
}

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
    negotiation: Negotiation,
    candidates: RemoteCandidates,
    /// Ours, gathered before our first description was sent; afterwards none, as they are sent at once.
    unsent: Option<Vec<IceCandidate>>,
    inbox: Inbox,
    last_seq: u64,
    /// It holds the call.
    holds: bool,
    /// What the link was told to send; none without a link.
    sending: Option<MediaState>,
}

impl Participant {
    fn new(now: Instant, peer: PeerId, role: Role, status: ParticipantStatus) -> Self {
        Self {
            peer,
            status,
            limit: Some(now + RING_LIMIT),
            restart_at: None,
            negotiation: Negotiation::new(role),
            candidates: RemoteCandidates::default(),
            unsent: Some(Vec::new()),
            inbox: Inbox::default(),
            last_seq: 0,
            holds: false,
            sending: None,
        }
    }

    /// Somebody we call. The offer is made while it rings, and sent on acceptance.
    pub(super) fn invite(now: Instant, peer: PeerId, local: Local, out: &mut Outbox) -> Self {
        let mut this = Self::new(now, peer, local.role, ParticipantStatus::Invited);
        this.send(Payload::CallRequest { media: Some(local.media) }, out);
        this.open_link(local, out);
        this.make_offer(false, out);
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
        self.limit.into_iter().chain(self.restart_at).min()
    }

    pub(super) fn send(&mut self, payload: Payload, out: &mut Outbox) {
        self.last_seq += 1;
        out.send(&self.peer, self.last_seq, payload);
    }

    /// We take its call.
    pub(super) fn accept(&mut self, now: Instant, local: Local, out: &mut Outbox) {
        self.send(Payload::CallAck, out);
        self.open_link(local, out);
        self.connect(now, local, out);
    }

    /// Tells the link, and it, what is sent from now on.
    pub(super) fn update_media(&mut self, local: Local, out: &mut Outbox) {
        if self.is_accepted() {
            self.send(Payload::MediaState(local.media), out);
        }
        self.update_sending(local, out);
    }

    /// Tells the link, and it, whether we hold the call.
    pub(super) fn update_hold(&mut self, local: Local, out: &mut Outbox) {
        if !self.is_accepted() {
            return;
        }
        self.send(Payload::CallHold { held: local.held }, out);
        self.update_sending(local, out);
        out.link(&self.peer, LinkCommand::SetPlaying(!local.held));
        self.tell_hold(local, out);
    }

    /// Takes a message of the participant.
    pub(super) fn receive(&mut self, now: Instant, envelope: Envelope, local: Local, out: &mut Outbox) -> Stays {
        if !self.inbox.is_new(&envelope) {
            return Ok(());
        }
        let seq = envelope.seq;
        match envelope.payload {
            Payload::CallAck => self.on_ack(now, local, out),
            Payload::CallOffer { sdp } => self.on_offer(seq, sdp, out),
            Payload::CallAnswer { sdp } => self.on_answer(seq, sdp, out),
            Payload::IceCandidate { candidate } => self.on_candidate(candidate.unwrap_or_default(), out),
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
            Payload::MediaState(media) => {
                if self.inbox.media.admit(seq) {
                    out.event(CallEvent::MediaState { peer: self.peer.clone(), media });
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
            LinkEvent::LocalOffer(sdp) => {
                if let Some(sdp) = self.negotiation.local_offer(sdp) {
                    self.send_description(Payload::CallOffer { sdp }, out);
                }
            }
            LinkEvent::LocalAnswer(sdp) => {
                if self.negotiation.local_answer() {
                    self.send_description(Payload::CallAnswer { sdp }, out);
                    self.answer_due_offer(out);
                }
            }
            LinkEvent::LocalCandidate(candidate) => self.send_candidate(candidate, out),
            LinkEvent::LocalCandidatesDone => self.send_candidate(IceCandidate::end(), out),
            LinkEvent::Connected => self.on_connected(out),
            LinkEvent::Disconnected => self.on_disconnected(now, local, out),
            LinkEvent::Failed(error) => return Err(Leave::failed(CallError::Link(error))),
            LinkEvent::RemoteDescriptionRefused(error) => return self.on_refused(error, out),
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
            self.restart_at = Some(now + RESTART_INTERVAL);
            // Where an offer is still open, the signaling is what is slow: a second one would not be faster.
            self.make_offer(true, out);
        }
        Ok(())
    }

    /// Ends everything with the participant.
    pub(super) fn leave(&mut self, farewell: Option<HangupReason>, out: &mut Outbox) {
        if let Some(reason) = farewell {
            self.send(Payload::CallHangup { reason: Some(reason) }, out);
        }
        if self.sending.take().is_some() {
            out.link(&self.peer, LinkCommand::Close);
        }
        (self.limit, self.restart_at) = (None, None);
    }

    fn open_link(&mut self, local: Local, out: &mut Outbox) {
        out.link(&self.peer, LinkCommand::Open { role: local.role });
        self.sending = Some(local.media);
        out.link(&self.peer, LinkCommand::SetSending(local.media));
    }

    fn make_offer(&mut self, ice_restart: bool, out: &mut Outbox) {
        if self.negotiation.make_offer() {
            out.link(&self.peer, LinkCommand::CreateOffer { ice_restart });
        }
    }

    /// Both sides have agreed to talk.
    fn connect(&mut self, now: Instant, local: Local, out: &mut Outbox) {
        self.status = ParticipantStatus::Connecting;
        self.limit = Some(now + CONNECT_LIMIT);
        // The offer first: everything waits for it.
        if let Some(sdp) = self.negotiation.accept() {
            self.send_description(Payload::CallOffer { sdp }, out);
        }
        self.answer_due_offer(out);
        self.send(Payload::MediaState(local.media), out);
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

    fn on_offer(&mut self, seq: u64, sdp: String, out: &mut Outbox) {
        match self.negotiation.remote_offer(seq, &sdp) {
            OnOffer::Accept => self.answer(sdp, out),
            OnOffer::RollBackAndAccept => {
                out.link(&self.peer, LinkCommand::Rollback);
                self.answer(sdp, out);
            }
            OnOffer::Wait | OnOffer::Stale => {}
        }
    }

    fn on_answer(&mut self, seq: u64, sdp: String, out: &mut Outbox) {
        match self.negotiation.remote_answer(seq) {
            OnAnswer::Accept => {
                let early = self.candidates.describe(&sdp);
                out.link(&self.peer, LinkCommand::AcceptAnswer { sdp });
                self.apply_candidates(early, out);
                self.answer_due_offer(out);
            }
            OnAnswer::Stale => {}
            OnAnswer::Unexpected => out.problem(
                ProblemCode::UnexpectedMessage,
                format!("{} sent an answer that nobody asked for", self.peer),
                "nothing: it is ignored; the other side's program has to be corrected",
            ),
        }
    }

    fn answer_due_offer(&mut self, out: &mut Outbox) {
        if let Some(sdp) = self.negotiation.due_offer() {
            self.answer(sdp, out);
        }
    }

    fn answer(&mut self, sdp: String, out: &mut Outbox) {
        let early = self.candidates.describe(&sdp);
        out.link(&self.peer, LinkCommand::AcceptOffer { sdp });
        self.apply_candidates(early, out);
    }

    fn on_candidate(&mut self, candidate: IceCandidate, out: &mut Outbox) {
        match self.candidates.take(candidate) {
            Taken::Apply(candidate) => self.apply_candidates([candidate], out),
            Taken::Kept => {}
            Taken::Dropped => out.problem(
                ProblemCode::TooManyCandidates,
                format!("{} sent more than {MAX_CANDIDATES} candidates", self.peer),
                "nothing: the call goes on with the first ones",
            ),
        }
    }

    fn apply_candidates(&self, candidates: impl IntoIterator<Item = IceCandidate>, out: &mut Outbox) {
        for candidate in candidates {
            let end = candidate.is_end();
            out.link(&self.peer, if end { LinkCommand::EndOfCandidates } else { LinkCommand::AddCandidate(candidate) });
        }
    }

    /// A description of ours, and the candidates that waited for the first one.
    fn send_description(&mut self, description: Payload, out: &mut Outbox) {
        self.send(description, out);
        for candidate in self.unsent.take().unwrap_or_default() {
            self.send(Payload::IceCandidate { candidate: Some(candidate) }, out);
        }
    }

    /// Sent after our first description only: before the call is accepted, nobody learns our addresses.
    fn send_candidate(&mut self, candidate: IceCandidate, out: &mut Outbox) {
        match &mut self.unsent {
            Some(unsent) if unsent.len() < MAX_CANDIDATES => unsent.push(candidate),
            Some(_) => {}
            None => self.send(Payload::IceCandidate { candidate: Some(candidate) }, out),
        }
    }

    fn on_connected(&mut self, out: &mut Outbox) {
        let event = match self.status {
            ParticipantStatus::Connecting => CallEvent::Connected { peer: self.peer.clone() },
            ParticipantStatus::Disconnected => CallEvent::Reconnected { peer: self.peer.clone() },
            ParticipantStatus::Invited
            | ParticipantStatus::Ringing
            | ParticipantStatus::Connected
            | ParticipantStatus::Declined => return,
        };
        self.status = ParticipantStatus::Connected;
        (self.limit, self.restart_at) = (None, None);
        out.event(event);
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
        self.negotiation.give_up();
        out.link(&self.peer, LinkCommand::Rollback);
        out.problem(
            ProblemCode::BadDescription,
            format!("{} sent a session description that cannot be used ({error})", self.peer),
            "nothing: the call goes on as it was agreed before",
        );
        self.answer_due_offer(out);
        Ok(())
    }

    fn update_sending(&mut self, local: Local, out: &mut Outbox) {
        let wanted = if local.held || self.holds { MediaState::NONE } else { local.media };
        if let Some(sending) = self.sending.as_mut().filter(|sending| **sending != wanted) {
            *sending = wanted;
            out.link(&self.peer, LinkCommand::SetSending(wanted));
        }
    }

    fn tell_hold(&self, local: Local, out: &mut Outbox) {
        out.event(CallEvent::Hold { peer: self.peer.clone(), local: local.held, remote: self.holds });
    }
}
