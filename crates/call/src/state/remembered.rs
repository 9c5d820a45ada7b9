//! Calls that are remembered for a while, with the peer of each.

use std::collections::VecDeque;

use super::limits::{REMEMBERED_CALLS, REMEMBERED_CALLS_OF_ONE};
use crate::id::{CallId, PeerId};

/// A bounded list of calls. A peer that makes many displaces its own alone.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// The newest last.
    calls: VecDeque<(PeerId, CallId)>,
}

impl Remembered {
    pub(super) fn contains(&self, call: &(PeerId, CallId)) -> bool {
        self.calls.contains(call)
    }

    /// Whether as many calls of a peer are remembered as may be.
    pub(super) fn is_full_of(&self, peer: &PeerId) -> bool {
        self.calls.iter().filter(|(other, _)| other == peer).count() >= REMEMBERED_CALLS_OF_ONE
    }

    pub(super) fn insert(&mut self, call: (PeerId, CallId)) {
        if self.contains(&call) {
            return;
        }
        if self.is_full_of(&call.0) {
            if let Some(oldest) = self.calls.iter().position(|(peer, _)| *peer == call.0) {
                self.calls.remove(oldest);
            }
        } else if self.calls.len() >= REMEMBERED_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(peer: &str, number: usize) -> (PeerId, CallId) {
        (peer.into(), format!("{peer}-{number}").parse().unwrap())
    }

    #[test]
    fn a_peer_with_many_calls_displaces_its_own_alone() {
        let mut remembered = Remembered::default();
        remembered.insert(call("anna", 1));
        remembered.insert(call("anna", 1));
        for number in 0..1_000 {
            remembered.insert(call("mallory", number));
        }
        assert!(remembered.contains(&call("anna", 1)) && !remembered.is_full_of(&"anna".into()));
        assert!(remembered.contains(&call("mallory", 999)) && !remembered.contains(&call("mallory", 900)));
        assert!(remembered.is_full_of(&"mallory".into()));
        assert_eq!(remembered.calls.len(), 1 + REMEMBERED_CALLS_OF_ONE);
    }

    #[test]
    fn many_peers_displace_the_oldest() {
        let mut remembered = Remembered::default();
        for number in 0..10 * REMEMBERED_CALLS {
            remembered.insert(call(&format!("peer{number}"), 1));
        }
        assert_eq!(remembered.calls.len(), REMEMBERED_CALLS);
    }
}
