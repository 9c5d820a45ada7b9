//! Offer and answer with one peer: perfect negotiation (W3C webrtc-pc section 10.7) over a transport that may reorder.

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
    HaveLocalOffer,
    Answering,
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
    /// Ignore it: something newer came before it.
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
}

impl Negotiation {
    pub(super) fn new(role: Role) -> Self {
        Self { role, step: Step::Stable, accepted: false, last_remote: None, waiting: None }
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
        self.step = Step::HaveLocalOffer;
        Some(sdp)
    }

    /// The link made the offer; gives it back if it is to be sent now.
    pub(super) fn local_offer(&mut self, sdp: String) -> Option<String> {
        match (&self.step, self.accepted) {
            (Step::MakingOffer, true) => {
                self.step = Step::HaveLocalOffer;
                Some(sdp)
            }
            (Step::MakingOffer, false) => {
                self.step = Step::OfferReady(sdp);
                None
            }
            // Taken back while the link was making it.
            (Step::Stable | Step::OfferReady(_) | Step::HaveLocalOffer | Step::Answering, _) => None,
        }
    }

    /// The link made the answer; true if it is to be sent.
    pub(super) fn local_answer(&mut self) -> bool {
        let answering = self.step == Step::Answering;
        if answering {
            self.step = Step::Stable;
        }
        answering
    }

    /// The other side offers.
    pub(super) fn remote_offer(&mut self, seq: u64, sdp: &str) -> OnOffer {
        if self.is_stale(seq) {
            return OnOffer::Stale;
        }
        let verdict = match (&self.step, self.role, self.accepted) {
            (_, _, false) | (Step::Answering | Step::OfferReady(_), _, true) => OnOffer::Wait,
            (Step::Stable, _, true) => OnOffer::Accept,
            (Step::MakingOffer | Step::HaveLocalOffer, Role::Callee, true) => OnOffer::RollBackAndAccept,
            // Impolite: ours wins. It waits all the same, for if the answer to ours turns out to be older, the other
            // side made this offer after it, and the transport let it overtake.
            (Step::MakingOffer | Step::HaveLocalOffer, Role::Caller, true) => OnOffer::Wait,
        };
        match verdict {
            OnOffer::Accept | OnOffer::RollBackAndAccept => self.answer(seq),
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
            Step::HaveLocalOffer => {
                self.last_remote = Some(seq);
                self.step = Step::Stable;
                OnAnswer::Accept
            }
            Step::Stable | Step::MakingOffer | Step::OfferReady(_) | Step::Answering => OnAnswer::Unexpected,
        }
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
        self.answer(seq);
        Some(sdp)
    }

    /// The link could not use the last description: the exchange is over, and the old agreement holds.
    pub(super) fn give_up(&mut self) {
        self.step = Step::Stable;
    }

    fn answer(&mut self, seq: u64) {
        self.last_remote = Some(seq);
        self.step = Step::Answering;
    }

    fn is_stale(&self, seq: u64) -> bool {
        self.last_remote.is_some_and(|last| seq < last)
    }
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
            "local-answer" => format!("{:?}", negotiation.local_answer()),
            "remote-offer" => format!("{:?}", negotiation.remote_offer(seq, "sdp")),
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
