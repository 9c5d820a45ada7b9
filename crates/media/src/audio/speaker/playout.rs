//! The mixer, pulled by whoever's turn it is: a device's callback or the clock.

use std::{
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use crate::audio::{Frame, mixer::Mixer, process::EchoReferenceWriter};

/// Who may pull. Every opening of a device is another one, so that a stream that lives on after its device was given up
/// gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Puller(u64);

impl Puller {
    /// The supervisor's own clock.
    pub const CLOCK: Self = Self(0);
}

pub(super) struct Playout {
    /// Only ever tried, never waited for: trying is one compare-and-swap, and a lock that nobody waits for is left
    /// without a system call. It is free but for the moment in which the turn changes.
    inner: Mutex<Inner>,
    turn: AtomicU64,
    pullers: AtomicU64,
    /// Frames that devices have asked for.
    asked: AtomicU64,
}

struct Inner {
    mixer: Mixer,
    reference: EchoReferenceWriter,
}

impl Playout {
    pub fn new(mixer: Mixer, reference: EchoReferenceWriter) -> Self {
        Self {
            inner: Mutex::new(Inner { mixer, reference }),
            turn: AtomicU64::new(Puller::CLOCK.0),
            pullers: AtomicU64::new(Puller::CLOCK.0),
            asked: AtomicU64::new(0),
        }
    }

    /// Another device that may get its turn.
    pub fn device(&self) -> Puller {
        Puller(self.pullers.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub fn give_turn(&self, puller: Puller) {
        self.turn.store(puller.0, Ordering::Release);
    }

    /// Counts up while devices ask for sound.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Fills `frame` with the next 10 ms, or with silence when it is not this puller's turn. For audio callbacks: no
    /// lock is waited for.
    pub fn pull(&self, puller: Puller, frame: &mut Frame) {
        let is_device = puller != Puller::CLOCK;
        if is_device {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        let inner = match self.inner.try_lock() {
            Ok(inner) => Some(inner),
            Err(TryLockError::Poisoned(inner)) => Some(inner.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(mut inner) = inner.filter(|_| self.turn.load(Ordering::Acquire) == puller.0) else {
            return frame.fill(0.0);
        };
        inner.mixer.render(frame, Instant::now());
        if is_device {
            inner.reference.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{FRAME_SAMPLES, mixer::mixer, process::echo_reference};

    #[test]
    fn only_the_device_whose_turn_it_is_plays_and_is_the_reference() {
        let (_, mixer) = mixer();
        let (writer, mut reference) = echo_reference();
        let playout = Playout::new(mixer, writer);
        let (first, second) = (playout.device(), playout.device());
        let mut frame = [1.0; FRAME_SAMPLES];
        let mut heard = |playout: &Playout, puller| {
            playout.pull(puller, &mut frame);
            reference.pop().is_some()
        };
        assert!(!heard(&playout, Puller::CLOCK), "nobody hears the clock");
        assert!(!heard(&playout, first));
        playout.give_turn(second);
        assert!(!heard(&playout, first));
        assert!(heard(&playout, second));
        assert_eq!(playout.asked(), 3);
    }
}
