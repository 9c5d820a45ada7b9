//! What was received already.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

/// The last so many keys. What is sent again is sent again within seconds, and far fewer are under way at
/// once.
const KEPT: usize = 1024;

/// Remembers the latest keys, each once.
#[derive(Debug)]
pub(crate) struct Seen<K> {
    keys: HashSet<K>,
    order: VecDeque<K>,
}

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self { keys: HashSet::new(), order: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash> Seen<K> {
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.keys.contains(key)
    }

    /// Notes a key; false when it was known.
    pub(crate) fn insert(&mut self, key: K) -> bool {
        if !self.keys.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_keys_are_known_and_the_others_forgotten() {
        let mut seen = Seen::default();
        assert!((0..5000).all(|key| seen.insert(key)));
        assert_eq!((seen.keys.len(), seen.order.len()), (KEPT, KEPT));
        assert!(!seen.insert(4999) && seen.contains(&(5000 - KEPT)) && !seen.contains(&0));
    }
}
