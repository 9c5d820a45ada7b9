//! Descriptions and candidates going to and fro between one peer and the link to it.

use super::{
    LinkCommand, Role,
    candidates::{RemoteCandidates, Taken},
    limits::MAX_CANDIDATES,
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
}

impl Exchange {
    pub(super) fn new(peer: PeerId, role: Role) -> Self {
        Self {
            peer,
            negotiation: Negotiation::new(role),
            candidates: RemoteCandidates::default(),
            unsent: Some(Vec::new()),
        }
    }

    /// Begins an offer, unless one exchange is still open.
    pub(super) fn make_offer(&mut self, ice_restart: bool, out: &mut Outbox) {
        if self.negotiation.make_offer() {
            out.link(&self.peer, LinkCommand::CreateOffer { ice_restart });
        }
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
        if self.negotiation.local_answer() {
            self.send_description(Payload::CallAnswer { sdp }, out);
            self.answer_due_offer(out);
        }
    }

    /// The link gathered a candidate. Sent after our first description only: before the call is accepted, nobody
    /// learns our addresses.
    pub(super) fn on_local_candidate(&mut self, candidate: IceCandidate, out: &mut Outbox) {
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

    /// The peer offers.
    pub(super) fn on_offer(&mut self, seq: u64, sdp: String, out: &mut Outbox) {
        match self.negotiation.remote_offer(seq, &sdp) {
            OnOffer::Accept => self.answer(sdp, out),
            OnOffer::RollBackAndAccept => {
                out.link(&self.peer, LinkCommand::Rollback);
                self.answer(sdp, out);
            }
            OnOffer::Wait | OnOffer::Stale => {}
        }
    }

    /// The peer answers.
    pub(super) fn on_answer(&mut self, seq: u64, sdp: String, out: &mut Outbox) {
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

    /// A description of ours, and the candidates that waited for the first one.
    fn send_description(&mut self, description: Payload, out: &mut Outbox) {
        out.send(&self.peer, description);
        for candidate in self.unsent.take().unwrap_or_default() {
            out.send(&self.peer, Payload::IceCandidate { candidate: Some(candidate) });
        }
    }
}
