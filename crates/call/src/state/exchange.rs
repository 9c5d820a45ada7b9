//! Descriptions and candidates going to and fro between one peer and the link to it.

use std::{collections::VecDeque, time::Instant};

use super::{
    LinkCommand, Role,
    allowance::Allowance,
    candidates::{Generation, RemoteCandidates, Taken},
    limits::{MAX_CANDIDATES, OFFER_EVERY, OFFERS_AT_ONCE, REPEATED_CANDIDATES},
    negotiation::{Negotiation, OnAnswer, OnOffer},
    outbox::Outbox,
};
use crate::{
    event::ProblemCode,
    id::PeerId,
    message::{IceCandidate, Payload},
};

/// Descriptions and candidates exchanged with one peer.
#[derive(Debug)]
pub(super) struct Exchange {
    peer: PeerId,
    negotiation: Negotiation,
    candidates: RemoteCandidates,
    /// Ours, gathered before our first description was sent; afterwards none, as they are sent at once.
    unsent: Option<Vec<IceCandidate>>,
    /// Ours, the newest last, to be sent again with their description.
    gathered: VecDeque<IceCandidate>,
    /// ICE generation of our description that was agreed last.
    agreed: Option<Generation>,
    /// How often the peer may offer.
    offers: Allowance,
    /// The peer's newest offer over that.
    postponed: Option<(u64, String)>,
}

impl Exchange {
    pub(super) fn new(peer: PeerId, role: Role) -> Self {
        Self {
            peer,
            negotiation: Negotiation::new(role),
            candidates: RemoteCandidates::default(),
            unsent: Some(Vec::new()),
            gathered: VecDeque::new(),
            agreed: None,
            offers: Allowance::new(OFFERS_AT_ONCE, OFFER_EVERY),
            postponed: None,
        }
    }

    /// Begins an offer; false where one exchange is still open.
    pub(super) fn make_offer(&mut self, ice_restart: bool, out: &mut Outbox) -> bool {
        let begun = self.negotiation.make_offer();
        if begun {
            out.link(&self.peer, LinkCommand::CreateOffer { ice_restart });
        }
        begun
    }

    /// Both sides have agreed to talk: what was prepared is sent, what came early is answered.
    pub(super) fn accept(&mut self, out: &mut Outbox) {
        if let Some(sdp) = self.negotiation.accept() {
            self.send_description(Payload::CallOffer { sdp }, out);
        }
        self.answer_due_offer(out);
    }

    /// The link made an offer.
    pub(super) fn on_local_offer(&mut self, sdp: String, out: &mut Outbox) {
        if let Some(sdp) = self.negotiation.local_offer(sdp) {
            self.send_description(Payload::CallOffer { sdp }, out);
        }
    }

    /// The link made an answer.
    pub(super) fn on_local_answer(&mut self, sdp: String, out: &mut Outbox) {
        if self.negotiation.local_answer(&sdp) {
            self.agreed = Some(Generation::of(&sdp));
            self.send_description(Payload::CallAnswer { sdp }, out);
            self.answer_due_offer(out);
        }
    }

    /// The link gathered a candidate. Sent after our first description only: before the call is accepted,
    /// nobody learns our addresses.
    pub(super) fn on_local_candidate(&mut self, candidate: IceCandidate, out: &mut Outbox) {
        if self.gathered.len() == MAX_CANDIDATES {
            self.gathered.pop_front();
        }
        self.gathered.push_back(candidate.clone());
        match &mut self.unsent {
            Some(unsent) if unsent.len() < MAX_CANDIDATES => unsent.push(candidate),
            Some(_) => {}
            None => out.send(&self.peer, Payload::IceCandidate { candidate: Some(candidate) }),
        }
    }

    /// The link cannot use the peer's last description: what was agreed before goes on.
    pub(super) fn on_refused(&mut self, out: &mut Outbox) {
        self.negotiation.give_up();
        out.link(&self.peer, LinkCommand::Rollback);
        self.answer_due_offer(out);
    }

    /// Whether an offer of ours was sent and is not answered.
    pub(super) fn has_open_offer(&self) -> bool {
        self.negotiation.open_offer().is_some()
    }

    /// Sends the open offer once more, with its candidates: it, or its answer, may be lost.
    pub(super) fn repeat_offer(&mut self, out: &mut Outbox) {
        if let Some(sdp) = self.negotiation.open_offer().map(str::to_owned) {
            self.negotiation.repeats_offer();
            self.repeat(sdp, |sdp| Payload::CallOffer { sdp }, out);
        }
    }

    /// When a postponed offer is due.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.postponed.as_ref().map(|_| self.offers.next(now))
    }

    /// Answers the postponed offer, if its time has come.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outbox) {
        if self.offers.next(now) <= now
            && let Some((seq, sdp)) = self.postponed.take()
        {
            self.on_offer(now, seq, sdp, out);
        }
    }

    /// The peer offers.
    pub(super) fn on_offer(&mut self, now: Instant, seq: u64, sdp: String, out: &mut Outbox) {
        if !self.offers.take(now) {
            if self.postponed.as_ref().is_none_or(|(kept, _)| *kept <= seq) {
                self.postponed = Some((seq, sdp));
            }
            return out.problem(
                ProblemCode::TooManyOffers,
                format!("{} changes the session all the time", self.peer),
                "nothing: the call goes on, and changes are made once a second",
            );
        }
        match self.negotiation.remote_offer(seq, &sdp) {
            OnOffer::Accept => self.answer(sdp, out),
            OnOffer::RollBackAndAccept => {
                out.link(&self.peer, LinkCommand::Rollback);
                self.answer(sdp, out);
            }
            OnOffer::AnswerAgain => {
                if let Some(sdp) = self.negotiation.last_answer().map(str::to_owned) {
                    self.repeat(sdp, |sdp| Payload::CallAnswer { sdp }, out);
                }
            }
            OnOffer::Wait | OnOffer::Stale => {}
        }
    }

    /// The peer answers.
    pub(super) fn on_answer(&mut self, seq: u64, sdp: String, out: &mut Outbox) {
        if self.answers_earlier_offer(&sdp) {
            return self.negotiation.pass_over_answer();
        }
        let offer = self.negotiation.open_offer().map(Generation::of);
        match self.negotiation.remote_answer(seq) {
            OnAnswer::Accept => {
                self.agreed = offer;
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

    /// The peer has a candidate, or no more.
    pub(super) fn on_candidate(&mut self, candidate: IceCandidate, out: &mut Outbox) {
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

    fn apply_candidates(&self, candidates: impl IntoIterator<Item = IceCandidate>, out: &mut Outbox) {
        for candidate in candidates {
            let end = candidate.is_end();
            out.link(&self.peer, if end { LinkCommand::EndOfCandidates } else { LinkCommand::AddCandidate(candidate) });
        }
    }

    /// Whether an answer is a late second one to an offer that was repeated: the answer to an ICE restart has
    /// new credentials (RFC 8445 section 9), and this one has those that are in force.
    fn answers_earlier_offer(&self, answer: &str) -> bool {
        let Some(offer) = self.negotiation.open_offer().map(Generation::of) else { return false };
        let restarts = self.agreed.as_ref().is_some_and(|agreed| agreed.is_known() && *agreed != offer);
        self.negotiation.has_surplus() && restarts && self.candidates.is_current(answer)
    }

    /// A description of ours once more, with the candidates of its generation.
    fn repeat(&self, sdp: String, payload: impl FnOnce(String) -> Payload, out: &mut Outbox) {
        let generation = Generation::of(&sdp);
        out.send(&self.peer, payload(sdp));
        for candidate in self.gathered.iter().filter(|candidate| generation.has(candidate)).take(REPEATED_CANDIDATES) {
            out.send(&self.peer, Payload::IceCandidate { candidate: Some(candidate.clone()) });
        }
    }

    /// A description of ours, and the candidates that waited for the first one.
    fn send_description(&mut self, description: Payload, out: &mut Outbox) {
        out.send(&self.peer, description);
        for candidate in self.unsent.take().unwrap_or_default() {
            out.send(&self.peer, Payload::IceCandidate { candidate: Some(candidate) });
        }
    }
}
