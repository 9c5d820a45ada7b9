//! One call.

use std::time::Instant;

use super::{
    CallStatus, Input, Output, ParticipantStatus, Role,
    local::Local,
    outbox::Outbox,
    participant::{Leave, Participant, Stays},
};
use crate::{
    event::{CallEvent, ProblemCode, Side},
    id::{CallId, PeerId},
    message::{HangupReason, MediaState, Payload},
};

/// The state of one call: who takes part, and what was agreed with each.
#[derive(Debug)]
pub struct CallState {
    local: Local,
    status: CallStatus,
    /// In the order they came; those who declined stay, those who left do not.
    participants: Vec<Participant>,
    out: Outbox,
}

impl CallState {
    /// A call to a peer; `media` is what we are going to send.
    pub fn outgoing(now: Instant, id: CallId, to: PeerId, media: MediaState) -> Self {
        let local = Local::new(Role::Caller, media);
        let mut out = Outbox::new(id);
        let participant = Participant::invite(now, to, local, &mut out);
        Self { local, status: CallStatus::Initiating, participants: vec![participant], out }
    }

    /// A call from a peer, which is going to send `media`. It rings until it is accepted.
    pub fn incoming(now: Instant, id: CallId, from: PeerId, media: MediaState) -> Self {
        let mut this = Self::called(now, id, from.clone());
        this.out.send(&from, Payload::Ringing);
        this.out.event(CallEvent::Incoming { peer: from, media });
        this
    }

    /// A call from a peer whom we were calling at the same time: accepted without ringing.
    pub(super) fn crossing(now: Instant, id: CallId, from: PeerId, media: MediaState) -> Self {
        let mut this = Self::called(now, id, from);
        this.handle(now, Input::Accept { media });
        this
    }

    fn called(now: Instant, id: CallId, from: PeerId) -> Self {
        let local = Local::new(Role::Callee, MediaState::NONE);
        let participant = Participant::inviting(now, from, local.role);
        Self { local, status: CallStatus::Ringing, participants: vec![participant], out: Outbox::new(id) }
    }

    /// The call's id.
    pub fn id(&self) -> &CallId {
        self.out.channel()
    }

    /// Which end we are.
    pub fn role(&self) -> Role {
        self.local.role
    }

    /// Where the call stands.
    pub fn status(&self) -> &CallStatus {
        &self.status
    }

    /// What the user wants to send; while the call is held, or a device is away, it is not sent all the same.
    pub fn media(&self) -> MediaState {
        self.local.media
    }

    /// Who takes part, and where each stands.
    pub fn participants(&self) -> impl Iterator<Item = (&PeerId, ParticipantStatus)> {
        self.participants.iter().map(|participant| (&participant.peer, participant.status))
    }

    /// Takes an input, at its time. Once the call is over, nothing changes any more.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if self.status.is_over() {
            return;
        }
        match input {
            Input::Accept { media } => self.accept(now, media),
            Input::Decline => self.decline(),
            Input::HangUp => self.hang_up(),
            Input::Hold => self.set_held(true),
            Input::Resume => self.set_held(false),
            Input::SetMedia(media) => self.change_media(Local { media, ..self.local }),
            Input::SetAvailable(available) => self.change_media(Local { available, ..self.local }),
            Input::SetPaused(paused) => self.change_media(Local { paused, ..self.local }),
            Input::Hears { peer, hears } => {
                self.with(&peer, |participant, local, out| {
                    participant.update_hearing(hears, local, out);
                    Ok(())
                });
            }
            Input::Received { from, envelope } if self.has(&from) => {
                self.with(&from, |participant, local, out| participant.receive(now, envelope, local, out));
            }
            Input::Received { from, .. } => self.out.problem(
                ProblemCode::WrongPeer,
                format!("{from} sent a message for a call it is not in"),
                "nothing: it is ignored; block that contact if it happens again",
            ),
            Input::SendFailed { to, error } => {
                self.with(&to, |participant, _, out| participant.on_send_failed(error, out));
            }
            Input::Link { peer, event } => {
                self.with(&peer, |participant, local, out| participant.on_link(now, event, local, out));
            }
            Input::NetworkChanged { peer, path } => {
                self.with(&peer, |participant, local, out| participant.on_network_changed(now, path, local, out));
            }
            Input::Tick => {}
        }
        self.each(|participant, _, out| participant.expire(now, out));
        self.settle();
    }

    /// The next thing to do; none when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    /// When a tick is due, if nothing else happens before. After a tick at its time, it lies in the future.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.participants.iter().filter_map(Participant::next_deadline).min()
    }

    /// Ends this call without a word to the user: it goes on as another one.
    pub(super) fn replace(&mut self, by: CallId) {
        self.status = CallStatus::Ended { reason: HangupReason::Glare, by: Side::Local };
        for participant in &mut self.participants {
            participant.leave(Some(HangupReason::Glare), &mut self.out);
        }
        self.participants.clear();
        self.out.event(CallEvent::Replaced { by });
    }

    fn accept(&mut self, now: Instant, media: MediaState) {
        if self.rings_here() {
            self.local.media = media;
            self.each(|participant, local, out| {
                participant.accept(now, local, out);
                Ok(())
            });
        }
    }

    fn decline(&mut self) {
        if self.rings_here() {
            self.each(|_, _, _| Err(Leave::hung_up(HangupReason::Declined)));
        }
    }

    fn hang_up(&mut self) {
        let reason = if self.rings_here() { HangupReason::Declined } else { HangupReason::Hangup };
        self.each(|_, _, _| Err(Leave::hung_up(reason.clone())));
    }

    fn set_held(&mut self, held: bool) {
        // What does not run yet cannot be held.
        if self.local.held != held && self.participants.iter().any(Participant::is_accepted) {
            self.local.held = held;
            self.each(|participant, local, out| {
                participant.update_hold(local, out);
                Ok(())
            });
        }
    }

    fn change_media(&mut self, local: Local) {
        let told = (self.local.given(), self.local.paused()) != (local.given(), local.paused());
        self.local = local;
        self.each(|participant, local, out| {
            participant.update_media(told, local, out);
            Ok(())
        });
    }

    fn rings_here(&self) -> bool {
        self.local.role == Role::Callee && self.status == CallStatus::Ringing
    }

    fn has(&self, peer: &PeerId) -> bool {
        self.participants.iter().any(|participant| participant.peer == *peer)
    }

    /// Does something with one participant, if it is in the call.
    fn with(&mut self, peer: &PeerId, act: impl FnOnce(&mut Participant, Local, &mut Outbox) -> Stays) {
        let mut act = Some(act);
        self.each(|participant, local, out| match act.take_if(|_| participant.peer == *peer) {
            Some(act) => act(participant, local, out),
            None => Ok(()),
        });
    }

    /// Does something with each participant, and ends the call with the last of them.
    fn each(&mut self, mut act: impl FnMut(&mut Participant, Local, &mut Outbox) -> Stays) {
        let Self { local, participants, out, .. } = self;
        let mut end = None;
        participants.retain_mut(|participant| {
            if !participant.is_present() {
                return true;
            }
            let Err(leave) = act(participant, *local, out) else { return true };
            participant.leave(leave.farewell, out);
            end = Some(leave.end);
            let declined = local.role == Role::Caller && !participant.is_accepted();
            participant.status = ParticipantStatus::Declined;
            declined
        });
        if let Some(end) = end.filter(|_| !self.participants.iter().any(Participant::is_present)) {
            self.end(end);
        }
    }

    fn end(&mut self, status: CallStatus) {
        let (reason, by) = match &status {
            CallStatus::Ended { reason, by } => (reason.clone(), *by),
            CallStatus::Failed(_) => (HangupReason::Failed, Side::Local),
            CallStatus::Initiating
            | CallStatus::Ringing
            | CallStatus::Connecting
            | CallStatus::Active
            | CallStatus::OnHold => return,
        };
        self.out.event(CallEvent::Ended { reason, by, text: status.to_string() });
        self.status = status;
    }

    /// Sets the call's status to that of its most advanced participant.
    fn settle(&mut self) {
        if self.status.is_over() {
            return;
        }
        let any = |wanted: ParticipantStatus| self.participants.iter().any(|p| p.status == wanted);
        let connected =
            |p: &&Participant| matches!(p.status, ParticipantStatus::Connected | ParticipantStatus::Disconnected);
        self.status = if self.participants.iter().any(|p| connected(&p)) {
            let all_hold = self.participants.iter().filter(connected).all(Participant::holds);
            if self.local.held || all_hold { CallStatus::OnHold } else { CallStatus::Active }
        } else if any(ParticipantStatus::Connecting) {
            CallStatus::Connecting
        } else if any(ParticipantStatus::Ringing) {
            CallStatus::Ringing
        } else {
            CallStatus::Initiating
        };
    }
}
