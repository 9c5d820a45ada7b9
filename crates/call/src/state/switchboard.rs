//! All calls of this endpoint.

use std::{collections::VecDeque, time::Instant};

use super::{CallState, CallStatus, Input, Output, Role, remembered::Remembered};
use crate::{
    event::{CallEvent, Problem, ProblemCode},
    id::{CallId, PeerId},
    message::{Envelope, HangupReason, MediaState, Payload},
};

/// All calls of this endpoint: routes messages to their call, answers busy, and makes one call of two that
/// cross.
///
/// Calls cross when both sides send a request before either has the other's. Both know both ids then, and the
/// call of the smaller id goes on, accepted without ringing. A peer that does not know this rule answers
/// busy, or lets our request ring: in the first case we take its call instead, in the second its own request
/// is hung up as soon as ours is answered.
#[derive(Debug, Default)]
pub struct Switchboard {
    current: Option<Current>,
    /// Calls that are over, with those with whom they were.
    over: Remembered,
    /// Calls that never were, and that were told as a problem.
    told: Remembered,
    outputs: VecDeque<(CallId, Output)>,
}

#[derive(Debug)]
struct Current {
    call: CallState,
    /// Whom we called, or who called.
    peer: PeerId,
    /// The request of the peer we are calling that crossed with ours, and has the larger id.
    crossed: Option<CallId>,
}

/// One call at a time: hang up first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is a call already ({0}): hang up first")]
pub struct AlreadyInCall(pub CallId);

impl Switchboard {
    /// Calls a peer; `media` is what we are going to send. The id is new ([`CallId::random`]). Where that
    /// very peer is ringing here, its call is accepted instead. Gives the id of the call that goes on.
    ///
    /// # Errors
    /// There is a call already.
    pub fn place(&mut self, now: Instant, id: CallId, to: PeerId, media: MediaState) -> Result<CallId, AlreadyInCall> {
        match &mut self.current {
            None => {
                self.start(to.clone(), CallState::outgoing(now, id.clone(), to, media));
                Ok(id)
            }
            Some(Current { call, .. }) if rings(call, Role::Callee, &to) => {
                let id = call.id().clone();
                self.handle(now, &id, Input::Accept { media });
                Ok(id)
            }
            Some(Current { call, .. }) => Err(AlreadyInCall(call.id().clone())),
        }
    }

    /// Takes a message from a peer.
    pub fn receive(&mut self, now: Instant, from: PeerId, envelope: Envelope) {
        let id = envelope.channel.clone();
        if self.call(&id).is_some() {
            match self.crossed_call_of_busy_peer(&from, &envelope.payload) {
                Some(crossed) => self.switch_over(now, from, crossed),
                None => self.handle(now, &id, Input::Received { from, envelope }),
            }
            return;
        }
        let key = (from, id);
        if self.over.contains(&key) {
            return;
        }
        match envelope.payload {
            Payload::CallRequest { media } => self.on_request(now, key, media.unwrap_or(MediaState::BOTH)),
            Payload::CallHangup { .. } => {
                if let Some(current) = &mut self.current {
                    current.crossed.take_if(|crossed| *crossed == key.1);
                }
                // It may have overtaken its request, which must not ring then.
                self.over.insert(key);
            }
            Payload::CallAck
            | Payload::CallOffer { .. }
            | Payload::CallAnswer { .. }
            | Payload::IceCandidate { .. }
            | Payload::Ringing
            | Payload::MediaState { .. }
            | Payload::CallHold { .. } => self.tell_unknown(key),
            Payload::Unknown => {}
        }
    }

    /// Takes an input of one call. For a call that is over: ignored.
    pub fn handle(&mut self, now: Instant, id: &CallId, input: Input) {
        if let Some(current) = self.current.as_mut().filter(|current| current.call.id() == id) {
            current.call.handle(now, input);
            self.settle();
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant) {
        if let Some(current) = &mut self.current {
            current.call.handle(now, Input::Tick);
            self.settle();
        }
    }

    /// The next thing to do, and for which call; none when all is done.
    pub fn poll_output(&mut self) -> Option<(CallId, Output)> {
        self.outputs.pop_front()
    }

    /// When a tick is due, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.current.as_ref().and_then(|current| current.call.next_deadline())
    }

    /// A call that is not over.
    pub fn call(&self, id: &CallId) -> Option<&CallState> {
        self.current().filter(|call| call.id() == id)
    }

    /// The call that is not over, if there is one.
    pub fn current(&self) -> Option<&CallState> {
        self.current.as_ref().map(|current| &current.call)
    }

    /// Everybody with whom there is a call, or may soon be one.
    pub fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.current().into_iter().flat_map(CallState::participants).map(|(peer, _)| peer)
    }

    fn start(&mut self, peer: PeerId, call: CallState) {
        self.current = Some(Current { call, peer, crossed: None });
        self.settle();
    }

    fn on_request(&mut self, now: Instant, (from, id): (PeerId, CallId), media: MediaState) {
        match &mut self.current {
            None => self.start(from.clone(), CallState::incoming(now, id, from, media)),
            Some(current) if rings(&current.call, Role::Caller, &from) => {
                if id < *current.call.id() {
                    self.switch_over(now, from, id);
                } else {
                    current.crossed = Some(id);
                }
            }
            Some(current) => {
                // The request of the peer we are connecting to crossed with ours: nobody missed anything.
                let crossed = *current.call.status() == CallStatus::Connecting && is_with(&current.call, &from);
                if !crossed {
                    let missed = CallEvent::Missed { peer: from.clone() };
                    self.outputs.push_back((id.clone(), Output::Event(missed)));
                }
                self.refuse(from, id, HangupReason::Busy);
            }
        }
    }

    /// A peer that does not know how crossing calls are made one says busy to ours: then we take its.
    fn crossed_call_of_busy_peer(&self, from: &PeerId, payload: &Payload) -> Option<CallId> {
        let current = self.current.as_ref()?;
        let busy = *payload == Payload::CallHangup { reason: Some(HangupReason::Busy) };
        current.crossed.clone().filter(|_| busy && rings(&current.call, Role::Caller, from))
    }

    /// Gives up our call to a peer for its call to us.
    fn switch_over(&mut self, now: Instant, from: PeerId, id: CallId) {
        if let Some(mut current) = self.current.take() {
            let media = current.call.media();
            self.over.insert((from.clone(), current.call.id().clone()));
            current.call.replace(id.clone());
            drain(&mut current.call, &mut self.outputs);
            self.start(from.clone(), CallState::crossing(now, id, from, media));
        }
    }

    fn refuse(&mut self, peer: PeerId, id: CallId, reason: HangupReason) {
        let envelope = Envelope::new(id.clone(), 1, Payload::CallHangup { reason: Some(reason) });
        self.outputs.push_back((id.clone(), Output::Send { to: peer.clone(), envelope }));
        self.over.insert((peer, id));
    }

    fn tell_unknown(&mut self, key: (PeerId, CallId)) {
        // A peer that invents one call invents many: only a few are reported.
        if !self.told.contains(&key) && !self.told.is_full_of(&key.0) {
            let problem = Problem::new(
                ProblemCode::UnknownCall,
                format!("{} sent a message for a call that does not exist here", key.0),
                "nothing: it is ignored; if that contact believes to be in a call, it should hang up and call again",
            );
            self.outputs.push_back((key.1.clone(), Output::Event(CallEvent::Problem(problem))));
            self.told.insert(key);
        }
    }

    /// Passes on what the current call wants done, and lets go of it when it is over.
    fn settle(&mut self) {
        let Some(current) = &mut self.current else { return };
        drain(&mut current.call, &mut self.outputs);
        let over = current.call.status().is_over();
        let ringing = matches!(current.call.status(), CallStatus::Initiating | CallStatus::Ringing);
        let peer = current.peer.clone();
        if let Some(crossed) = current.crossed.take_if(|_| !ringing) {
            self.refuse(peer, crossed, HangupReason::Glare);
        }
        if over && let Some(Current { call, peer, .. }) = self.current.take() {
            self.over.insert((peer, call.id().clone()));
        }
    }
}

fn drain(call: &mut CallState, outputs: &mut VecDeque<(CallId, Output)>) {
    let id = call.id().clone();
    outputs.extend(std::iter::from_fn(|| call.poll_output()).map(|output| (id.clone(), output)));
}

fn is_with(call: &CallState, peer: &PeerId) -> bool {
    call.participants().any(|(participant, _)| participant == peer)
}

/// Whether a call with a peer is not answered yet.
fn rings(call: &CallState, role: Role, peer: &PeerId) -> bool {
    let waiting = matches!(call.status(), CallStatus::Initiating | CallStatus::Ringing);
    waiting && call.role() == role && is_with(call, peer)
}
