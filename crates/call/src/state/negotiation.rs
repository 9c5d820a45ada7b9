//! Offer and answer with one peer: perfect negotiation (W3C webrtc-pc section 10.7) over a transport that may
//! reorder.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Role;

/// How far offer and answer are.
///
/// ```text
///            make_offer               local_offer                 remote_answer
///  Stable -------------> MakingOffer ------------> HaveLocalOffer -------------> Stable
///    |                       |     \ not accepted yet   ^    |
///    |                       |      `-> OfferReady -----'    | remote_offer,
///    | remote_offer          | remote_offer, polite  accepted| polite
///    +-----------------------+---------------> Answering <---+
///                                                  | local_answer
///                                                  v
///                                               Stable
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Stable,
    MakingOffer,
    /// Made while it still rings: the way in is then prepared when the callee takes the call.
    OfferReady(String),
    HaveLocalOffer(String),
    /// The digest of the offer that is being answered.
    Answering(u64),
}

/// What to do with an offer of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnOffer {
    /// Answer it.
    Accept,
    /// Take ours back and answer it.
    RollBackAndAccept,
    /// Keep it: it may become due, see [`Negotiation::due_offer`].
    Wait,
    /// It is the one that was answered last: send that answer again, see [`Negotiation::last_answer`].
    AnswerAgain,
    /// Ignore it: something newer came before it, or it is being answered.
    Stale,
}

/// What to do with an answer of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnAnswer {
    /// Take it.
    Accept,
    /// Ignore it: something newer came before it.
    Stale,
    /// Ignore it: nobody asked.
    Unexpected,
}

/// Offer and answer with one peer.
#[derive(Debug)]
pub(super) struct Negotiation {
    role: Role,
    step: Step,
    /// Whether both sides have agreed to talk; before, nothing is sent and nothing answered.
    accepted: bool,
    /// Place, in the other side's order, of its last description that counted.
    last_remote: Option<u64>,
    /// The newest offer of the other side that could not be answered when it came.
    waiting: Option<(u64, String)>,
    /// The last exchange, where the other side began it: the digest of its offer, and our answer.
    answered: Option<(u64, String)>,
    /// Answers that may come besides the one that counts, since an offer was sent more than once.
    surplus: u32,
}

impl Negotiation {
    pub(super) fn new(role: Role) -> Self {
        Self { role, step: Step::Stable, accepted: false, last_remote: None, waiting: None, answered: None, surplus: 0 }
    }

    /// Begins an offer; false where one exchange is still open.
    pub(super) fn make_offer(&mut self) -> bool {
        let stable = self.step == Step::Stable;
        if stable {
            self.step = Step::MakingOffer;
        }
        stable
    }

    /// Both sides have agreed to talk; gives the offer that is to be sent now.
    pub(super) fn accept(&mut self) -> Option<String> {
        self.accepted = true;
        let Step::OfferReady(sdp) = &mut self.step else { return None };
        let sdp = std::mem::take(sdp);
        self.step = Step::HaveLocalOffer(sdp.clone());
        Some(sdp)
    }

    /// The link made the offer; gives it back if it is to be sent now.
    pub(super) fn local_offer(&mut self, sdp: String) -> Option<String> {
        match (&self.step, self.accepted) {
            (Step::MakingOffer, true) => {
                self.step = Step::HaveLocalOffer(sdp.clone());
                Some(sdp)
            }
            (Step::MakingOffer, false) => {
                self.step = Step::OfferReady(sdp);
                None
            }
            // Taken back while the link was making it.
            (Step::Stable | Step::OfferReady(_) | Step::HaveLocalOffer(_) | Step::Answering(_), _) => None,
        }
    }

    /// The link made the answer; true if it is to be sent.
    pub(super) fn local_answer(&mut self, sdp: &str) -> bool {
        let Step::Answering(offer) = self.step else { return false };
        self.step = Step::Stable;
        self.answered = Some((offer, sdp.to_owned()));
        true
    }

    /// The offer that was sent and not answered yet.
    pub(super) fn open_offer(&self) -> Option<&str> {
        match &self.step {
            Step::HaveLocalOffer(sdp) => Some(sdp),
            Step::Stable | Step::MakingOffer | Step::OfferReady(_) | Step::Answering(_) => None,
        }
    }

    /// The open offer is sent once more, and may be answered twice.
    pub(super) fn repeats_offer(&mut self) {
        self.surplus += 1;
    }

    /// Whether an answer may be one to an earlier offer.
    pub(super) fn has_surplus(&self) -> bool {
        self.surplus > 0
    }

    /// Our answer to the last offer, until another exchange follows.
    pub(super) fn last_answer(&self) -> Option<&str> {
        self.answered.as_ref().map(|(_, sdp)| sdp.as_str())
    }

    /// The other side offers.
    pub(super) fn remote_offer(&mut self, seq: u64, sdp: &str) -> OnOffer {
        if self.is_stale(seq) {
            return OnOffer::Stale;
        }
        let offer = digest(sdp);
        let was_answered = self.answered.as_ref().is_some_and(|(answered, _)| *answered == offer);
        let verdict = match (&self.step, self.role, self.accepted) {
            (Step::Stable, _, true) if was_answered => OnOffer::AnswerAgain,
            (Step::Answering(answering), _, true) if *answering == offer => OnOffer::Stale,
            (_, _, false) | (Step::Answering(_) | Step::OfferReady(_), _, true) => OnOffer::Wait,
            (Step::Stable, _, true) => OnOffer::Accept,
            (Step::MakingOffer | Step::HaveLocalOffer(_), Role::Callee, true) => OnOffer::RollBackAndAccept,
            // Impolite: ours wins. It waits all the same, for if the answer to ours turns out to be older,
            // the other side made this offer after it, and the transport let it overtake.
            (Step::MakingOffer | Step::HaveLocalOffer(_), Role::Caller, true) => OnOffer::Wait,
        };
        match verdict {
            OnOffer::Accept | OnOffer::RollBackAndAccept => self.answer(seq, offer),
            OnOffer::AnswerAgain => self.last_remote = Some(seq),
            OnOffer::Wait => {
                if self.waiting.as_ref().is_none_or(|(kept, _)| *kept <= seq) {
                    self.waiting = Some((seq, sdp.to_owned()));
                }
            }
            OnOffer::Stale => {}
        }
        verdict
    }

    /// The other side answers.
    pub(super) fn remote_answer(&mut self, seq: u64) -> OnAnswer {
        if self.is_stale(seq) {
            return OnAnswer::Stale;
        }
        match self.step {
            Step::HaveLocalOffer(_) => {
                self.last_remote = Some(seq);
                self.step = Step::Stable;
                self.answered = None;
                OnAnswer::Accept
            }
            Step::Stable | Step::MakingOffer | Step::OfferReady(_) | Step::Answering(_) if self.surplus > 0 => {
                self.surplus -= 1;
                OnAnswer::Stale
            }
            Step::Stable | Step::MakingOffer | Step::OfferReady(_) | Step::Answering(_) => OnAnswer::Unexpected,
        }
    }

    /// An answer to an offer that was sent twice, and that the other side has answered before.
    pub(super) fn pass_over_answer(&mut self) {
        self.surplus = self.surplus.saturating_sub(1);
    }

    /// The offer that was kept, if its time has come; it is being answered from then on.
    pub(super) fn due_offer(&mut self) -> Option<String> {
        if self.step != Step::Stable || !self.accepted {
            return None;
        }
        let (seq, sdp) = self.waiting.take()?;
        // An offer from before the last description was taken back for it.
        if self.last_remote.is_some_and(|last| seq <= last) {
            return None;
        }
        self.answer(seq, digest(&sdp));
        Some(sdp)
    }

    /// The link could not use the last description: the exchange is over, and the old agreement holds.
    pub(super) fn give_up(&mut self) {
        self.step = Step::Stable;
        self.answered = None;
    }

    fn answer(&mut self, seq: u64, offer: u64) {
        self.last_remote = Some(seq);
        self.step = Step::Answering(offer);
        self.answered = None;
    }

    fn is_stale(&self, seq: u64) -> bool {
        self.last_remote.is_some_and(|last| seq < last)
    }
}

/// Tells descriptions apart.
fn digest(sdp: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    sdp.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What can be done to a negotiation, written as in the tables below.
    fn apply(negotiation: &mut Negotiation, action: &str) -> String {
        let (verb, seq) = action.split_once('#').map_or((action, 0), |(verb, seq)| (verb, seq.parse().unwrap()));
        match verb {
            "accepted" => format!("{:?}", negotiation.accept().is_some()),
            "make-offer" => format!("{:?}", negotiation.make_offer()),
            "local-offer" => format!("{:?}", negotiation.local_offer("sdp".into()).is_some()),
            "local-answer" => format!("{:?}", negotiation.local_answer("answer")),
            "remote-offer" => format!("{:?}", negotiation.remote_offer(seq, &format!("sdp {seq}"))),
            "same-offer" => format!("{:?}", negotiation.remote_offer(seq, "same")),
            "repeat" => {
                negotiation.repeats_offer();
                format!("{:?}", negotiation.open_offer().is_some())
            }
            "remote-answer" => format!("{:?}", negotiation.remote_answer(seq)),
            "due-offer" => format!("{:?}", negotiation.due_offer().is_some()),
            "refused" => {
                negotiation.give_up();
                "true".into()
            }
            other => panic!("no action {other}"),
        }
    }

    /// Each row: the name, the role, then `action -> what comes of it` in order.
    #[test]
    fn offers_and_answers_follow_the_table() {
        let table: &[(&str, Role, &str)] = &[
            (
                "an offer made while it rings is sent on acceptance",
                Role::Caller,
                "make-offer -> true, local-offer -> false, remote-answer#1 -> Unexpected, accepted -> true, \
                 remote-answer#2 -> Accept, remote-answer#3 -> Unexpected",
            ),
            (
                "an offer that comes before acceptance waits for it",
                Role::Callee,
                "remote-offer#1 -> Wait, due-offer -> false, accepted -> false, due-offer -> true, \
                 local-answer -> true, due-offer -> false, local-answer -> false",
            ),
            (
                "the polite side takes back an offer that is being made, and the late result is not sent",
                Role::Callee,
                "accepted -> false, make-offer -> true, remote-offer#5 -> RollBackAndAccept, local-offer -> false, \
                 local-answer -> true, make-offer -> true, local-offer -> true",
            ),
            (
                "the polite side takes back a sent offer; the answer it hoped for is nothing then",
                Role::Callee,
                "accepted -> false, make-offer -> true, local-offer -> true, remote-offer#6 -> RollBackAndAccept, \
                 remote-answer#5 -> Stale, remote-answer#7 -> Unexpected, local-answer -> true",
            ),
            (
                "the impolite side's offer wins; the other's was taken back for its answer",
                Role::Caller,
                "accepted -> false, make-offer -> true, local-offer -> true, remote-offer#6 -> Wait, \
                 due-offer -> false, remote-answer#7 -> Accept, due-offer -> false",
            ),
            (
                "an offer that overtook the answer before it is answered after it",
                Role::Caller,
                "accepted -> false, make-offer -> true, local-offer -> true, remote-offer#6 -> Wait, \
                 remote-answer#5 -> Accept, due-offer -> true, local-answer -> true",
            ),
            (
                "a peer that does not count its messages is taken in their order",
                Role::Caller,
                "accepted -> false, make-offer -> true, local-offer -> true, remote-offer -> Wait, \
                 remote-answer -> Accept, due-offer -> false, remote-offer -> Accept, local-answer -> true",
            ),
            (
                "an old offer is not answered again",
                Role::Callee,
                "accepted -> false, remote-offer#4 -> Accept, local-answer -> true, remote-offer#3 -> Stale",
            ),
            (
                "a refused offer leaves the way open for the next",
                Role::Callee,
                "accepted -> false, remote-offer#1 -> Accept, refused -> true, remote-offer#2 -> Accept",
            ),
            (
                "a second offer before our answer is answered after it",
                Role::Callee,
                "accepted -> false, remote-offer#1 -> Accept, remote-offer#2 -> Wait, local-answer -> true, \
                 due-offer -> true, local-answer -> true",
            ),
            (
                "an offer that comes again is answered again from memory, and not while it is being answered",
                Role::Callee,
                "accepted -> false, same-offer#1 -> Accept, same-offer#2 -> Stale, local-answer -> true, \
                 same-offer#3 -> AnswerAgain, same-offer#4 -> AnswerAgain, same-offer#2 -> Stale, \
                 remote-offer#5 -> Accept, local-answer -> true, same-offer#6 -> Accept",
            ),
            (
                "after another exchange the old answer is worth nothing",
                Role::Callee,
                "accepted -> false, same-offer#1 -> Accept, local-answer -> true, make-offer -> true, \
                 local-offer -> true, same-offer#2 -> RollBackAndAccept, local-answer -> true, make-offer -> true, \
                 local-offer -> true, remote-answer#3 -> Accept, same-offer#4 -> Accept",
            ),
            (
                "an offer that was repeated may be answered as often, and no more",
                Role::Caller,
                "accepted -> false, make-offer -> true, local-offer -> true, repeat -> true, repeat -> true, \
                 remote-answer#1 -> Accept, remote-answer#2 -> Stale, remote-answer#3 -> Stale, \
                 remote-answer#4 -> Unexpected",
            ),
            ("one offer at a time", Role::Caller, "make-offer -> true, make-offer -> false"),
        ];
        for (name, role, steps) in table {
            let mut negotiation = Negotiation::new(*role);
            for step in steps.split(',') {
                let (action, outcome) = step.trim().split_once(" -> ").unwrap();
                assert_eq!(apply(&mut negotiation, action), outcome, "{name}: {action}");
            }
        }
    }
}
