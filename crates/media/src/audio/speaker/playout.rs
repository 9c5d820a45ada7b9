//! The mixer, pulled by whoever's turn it is: a device's callback or the clock.

use std::{
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::audio::{Frame, mixer::Mixer, process::EchoReferenceWriter};

/// Who may pull. Every opening of a device is another one, so that a stream that lives on after its device
/// was given up gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Puller(u64);

impl Puller {
    /// The supervisor's own clock.
    pub const CLOCK: Self = Self(0);
}

pub(super) struct Playout {
    /// Only ever tried, never waited for: trying is one compare-and-swap, and a lock that nobody waits for is
    /// left without a system call. It is free but for the moment in which the turn changes.
    inner: Mutex<Inner>,
    turn: AtomicU64,
    pullers: AtomicU64,
    /// Frames that devices have asked for.
    asked: AtomicU64,
    /// Frames that the device asked for later than [`LATE`].
    late: AtomicU64,
}

/// A device that asks for its next 10 ms later than this has played all that it had: it keeps 10 ms at its
/// shortest period, and the mixer's frame is another 10.
const LATE: Duration = Duration::from_millis(20);

struct Inner {
    mixer: Mixer,
    reference: EchoReferenceWriter,
    /// Who was last served, and when.
    served: (Puller, Instant),
}

impl Playout {
    pub fn new(mixer: Mixer, reference: EchoReferenceWriter) -> Self {
        Self {
            inner: Mutex::new(Inner { mixer, reference, served: (Puller::CLOCK, Instant::now()) }),
            turn: AtomicU64::new(Puller::CLOCK.0),
            pullers: AtomicU64::new(Puller::CLOCK.0),
            asked: AtomicU64::new(0),
            late: AtomicU64::new(0),
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

    /// Counts up when a device asks too late for sound without a gap.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Fills `frame` with the next 10 ms, or with silence when it is not this puller's turn. For audio
    /// callbacks: no lock is waited for.
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
        let now = Instant::now();
        let (before, at) = std::mem::replace(&mut inner.served, (puller, now));
        inner.mixer.render(frame, now);
        if is_device {
            if before == puller && now.saturating_duration_since(at) > LATE {
                self.late.fetch_add(1, Ordering::Relaxed);
            }
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

    #[test]
    fn a_device_is_late_when_it_asks_after_a_gap_and_not_when_its_turn_begins() {
        let playout = Playout::new(mixer().1, echo_reference().0);
        let device = playout.device();
        let mut frame = [0.0; FRAME_SAMPLES];
        playout.pull(Puller::CLOCK, &mut frame);
        playout.give_turn(device);
        // What happened at these times is the test's subject.
        std::thread::sleep(2 * LATE);
        playout.pull(device, &mut frame);
        assert_eq!(playout.late(), 0);
        std::thread::sleep(2 * LATE);
        playout.pull(device, &mut frame);
        assert_eq!(playout.late(), 1);
    }
}
