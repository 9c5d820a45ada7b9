//! One sound stream is opened or closed at a time.
//!
//! cpal 0.18.2 deletes a PulseAudio stream twice, and all streams of the process share one connection: the second deletion
//! hits whatever was opened in between, which then fails with "Invalid argument". A ringtone that ends where a call begins
//! is such a case.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Opening and closing take milliseconds. Who takes longer hangs with its device, and is not waited for.
const LIMIT: Duration = Duration::from_secs(1);

static TURNS: Turns = Turns { since: Mutex::new(None), ended: Condvar::new() };

struct Turns {
    /// When the turn that runs began.
    since: Mutex<Option<Instant>>,
    ended: Condvar,
}

/// The right to open or close a stream; ends when dropped, or when it has taken [`LIMIT`].
pub(crate) struct Turn {
    turns: &'static Turns,
    began: Instant,
}

/// Waits for the others, at most as long as [`LIMIT`] each.
pub(crate) fn turn() -> Turn {
    TURNS.take()
}

impl Turns {
    fn take(&'static self) -> Turn {
        let mut since = self.lock();
        while let Some(left) = since.and_then(|began| LIMIT.checked_sub(began.elapsed())) {
            since = self.ended.wait_timeout(since, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let began = Instant::now();
        *since = Some(began);
        Turn { turns: self, began }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut since = self.turns.lock();
        // Another one may have taken over.
        if *since == Some(self.began) {
            *since = None;
            self.turns.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    fn turns() -> &'static Turns {
        Box::leak(Box::new(Turns { since: Mutex::new(None), ended: Condvar::new() }))
    }

    #[test]
    fn the_next_turn_begins_when_one_ends() {
        let turns = turns();
        let first = turns.take();
        let (taken, second) = mpsc::channel();
        let waiting = thread::spawn(move || {
            let turn = turns.take();
            taken.send(Instant::now()).unwrap();
            drop(turn);
        });
        assert!(second.recv_timeout(Duration::from_millis(50)).is_err(), "two at once");
        let ended = Instant::now();
        drop(first);
        assert!(second.recv().unwrap() >= ended);
        waiting.join().unwrap();
        drop(turns.take());
    }

    #[test]
    fn who_hangs_is_not_waited_for_and_ends_no_turn_but_its_own() {
        let turns = turns();
        let hanging = turns.take();
        let began = hanging.began;
        let next = turns.take();
        assert!(next.began - began >= LIMIT);
        drop(hanging);
        assert_eq!(*turns.lock(), Some(next.began));
    }
}
