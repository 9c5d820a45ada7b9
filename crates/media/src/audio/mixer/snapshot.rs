//! A value of some words that one thread publishes and others read whole, without a lock on the publishing
//! side (a sequence lock: Boehm, "Can seqlocks get along with programming language memory models?", MSPC
//! 2012).

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// `WORDS` words that are always read as they were published together.
#[derive(Debug)]
pub struct Snapshot<const WORDS: usize> {
    /// Odd while a publication is under way.
    version: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Snapshot<WORDS> {
    /// All words 0.
    pub fn new() -> Self {
        Self { version: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; WORDS] }
    }

    /// Publishes `words`; never waits. Only one thread may publish.
    pub fn publish(&self, words: [u64; WORDS]) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (slot, word) in self.words.iter().zip(words) {
            slot.store(word, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// What was published last. Tries again while a publication is under way, which takes some nanoseconds.
    pub fn read(&self) -> [u64; WORDS] {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let mut words = self.words.iter().map(|word| word.load(Ordering::Relaxed));
            let words = std::array::from_fn(|_| words.next().unwrap_or(0));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return words;
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn readers_never_see_half_of_a_publication() {
        let (snapshot, done) = (Snapshot::<64>::new(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| (1..).take_while(|_| !done.load(Ordering::Relaxed)).for_each(|n| snapshot.publish([n; 64])));
            let (mut last, mut changes) = (0, 0);
            while changes < 1000 {
                let words = snapshot.read();
                let torn = words.iter().any(|&word| word != words[0]);
                if torn || words[0] < last {
                    done.store(true, Ordering::Relaxed);
                    panic!("torn or out of order after {last}: {words:?}");
                }
                changes += u32::from(words[0] > last);
                last = words[0];
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
