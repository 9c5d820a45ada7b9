//! The other side's candidates: kept until the description they belong to is there, and counted.

use super::limits::MAX_CANDIDATES;
use crate::message::IceCandidate;

/// What becomes of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It belongs to the description that is set: give it to the link.
    Apply(IceCandidate),
    /// It came before its description.
    Kept,
    /// One of too many.
    Dropped,
}

/// The candidates of one peer.
#[derive(Debug, Default)]
pub(super) struct RemoteCandidates {
    /// Of a description that is not set yet, in the order they came.
    early: Vec<IceCandidate>,
    /// Those that did not belong to the last description either: an offer may be right behind an answer, and
    /// its candidates before both. What does not belong to the next one has missed its own.
    earlier: Vec<IceCandidate>,
    /// In this ICE generation so far.
    count: usize,
    /// ICE generation of the remote description; none before there is one.
    generation: Option<Generation>,
}

impl RemoteCandidates {
    /// Takes a candidate as it comes.
    pub(super) fn take(&mut self, candidate: IceCandidate) -> Taken {
        if self.count >= MAX_CANDIDATES {
            return Taken::Dropped;
        }
        self.count += 1;
        if self.generation.as_ref().is_some_and(|generation| generation.has(&candidate)) {
            Taken::Apply(candidate)
        } else {
            self.early.push(candidate);
            Taken::Kept
        }
    }

    /// Whether a description is of the generation that is set.
    pub(super) fn is_current(&self, sdp: &str) -> bool {
        self.generation.as_ref().is_some_and(|generation| generation.is_known() && *generation == Generation::of(sdp))
    }

    /// A remote description is being set; gives the kept candidates that belong to it, in their order.
    pub(super) fn describe(&mut self, sdp: &str) -> Vec<IceCandidate> {
        let generation = Generation::of(sdp);
        let (mut due, _) = partition(std::mem::take(&mut self.earlier), &generation);
        let (matching, others) = partition(std::mem::take(&mut self.early), &generation);
        due.extend(matching);
        self.earlier = others;
        if self.generation.as_ref() != Some(&generation) {
            self.count = due.len() + self.earlier.len();
        }
        self.generation = Some(generation);
        due
    }
}

/// Those that belong to a generation, and those that do not.
fn partition(candidates: Vec<IceCandidate>, generation: &Generation) -> (Vec<IceCandidate>, Vec<IceCandidate>) {
    candidates.into_iter().partition(|candidate| generation.has(candidate))
}

/// The `ice-ufrag`s of a description (RFC 8839 section 5.4): an ICE restart changes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation(Vec<String>);

impl Generation {
    pub(super) fn of(sdp: &str) -> Self {
        Self(sdp.lines().filter_map(|line| line.strip_prefix("a=ice-ufrag:")).map(|u| u.trim().to_owned()).collect())
    }

    /// Whether the description named any.
    pub(super) fn is_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether a candidate belongs to it, as far as can be told: peers need not say.
    pub(super) fn has(&self, candidate: &IceCandidate) -> bool {
        match candidate.username_fragment.as_deref() {
            None | Some("") => true,
            Some(fragment) => self.0.is_empty() || self.0.iter().any(|own| own == fragment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, fragment: Option<&str>) -> IceCandidate {
        IceCandidate { candidate: name.into(), username_fragment: fragment.map(Into::into), ..Default::default() }
    }

    fn names(candidates: &[IceCandidate]) -> Vec<&str> {
        candidates.iter().map(|c| c.candidate.as_str()).collect()
    }

    #[test]
    fn early_candidates_are_applied_in_order_once_described() {
        let mut remote = RemoteCandidates::default();
        for name in ["a", "b", "c"] {
            assert_eq!(remote.take(candidate(name, None)), Taken::Kept);
        }
        assert_eq!(names(&remote.describe("v=0\r\na=ice-ufrag:one\r\n")), ["a", "b", "c"]);
        assert_eq!(remote.take(candidate("d", None)), Taken::Apply(candidate("d", None)));
        assert!(remote.describe("v=0\r\na=ice-ufrag:one\r\n").is_empty(), "candidates applied twice");
    }

    #[test]
    fn candidates_of_a_restart_wait_for_its_description() {
        let mut remote = RemoteCandidates::default();
        remote.describe("a=ice-ufrag:one\r\n");
        assert_eq!(remote.take(candidate("new", Some("two"))), Taken::Kept);
        assert!(matches!(remote.take(candidate("old", Some("one"))), Taken::Apply(_)));
        assert_eq!(names(&remote.describe("a=ice-ufrag:two\r\n")), ["new"]);
        assert_eq!(remote.take(candidate("late", Some("one"))), Taken::Kept, "an old candidate reached the link");
    }

    #[test]
    fn candidates_of_an_offer_right_behind_an_answer_outlast_the_answer() {
        let mut remote = RemoteCandidates::default();
        remote.take(candidate("offer's", Some("two")));
        remote.take(candidate("answer's", Some("one")));
        assert_eq!(names(&remote.describe("a=ice-ufrag:one")), ["answer's"]);
        assert_eq!(names(&remote.describe("a=ice-ufrag:two")), ["offer's"]);
    }

    #[test]
    fn candidates_that_missed_their_description_are_not_kept_for_ever() {
        let mut remote = RemoteCandidates::default();
        for generation in 0..10 * MAX_CANDIDATES {
            remote.describe(&format!("a=ice-ufrag:{generation}"));
            assert_eq!(remote.take(candidate("late", Some("old"))), Taken::Kept);
        }
    }

    #[test]
    fn only_so_many_candidates_are_taken_in_a_generation() {
        let mut remote = RemoteCandidates::default();
        for _ in 0..MAX_CANDIDATES {
            assert_eq!(remote.take(candidate("x", None)), Taken::Kept);
        }
        assert_eq!(remote.take(candidate("x", None)), Taken::Dropped);
        assert_eq!(remote.describe("a=ice-ufrag:one").len(), MAX_CANDIDATES);
        assert_eq!(remote.take(candidate("x", None)), Taken::Dropped);
        remote.describe("a=ice-ufrag:two");
        assert!(matches!(remote.take(candidate("x", None)), Taken::Apply(_)), "a restart must count anew");
    }
}
