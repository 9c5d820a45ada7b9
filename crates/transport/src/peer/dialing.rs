//! When to dial a contact: seldom where nobody waits for it, every second where a call or something to send
//! does.
//!
//! A dial to an address where nobody answers takes ten seconds, and sends its first packet again after one
//! second, then two, then four. So where it is urgent another dial begins each second beside those that run:
//! whichever reaches the contact first is kept, and the others are given up.

use std::time::{Duration, Instant};

use super::Down;
use crate::backoff::Backoff;

/// Between two dials where it is urgent.
pub(super) const URGENT_INTERVAL: Duration = Duration::from_secs(1);

/// Dials that run beside each other: one a second, for the ten seconds that iroh takes to give one up.
pub(super) const MAX_RUNNING: usize = 10;

/// An envelope is acknowledged by the other side's program at once. One that was not for so long has a link
/// that may be dead, which QUIC finds out after some fifteen seconds: another link is tried beside it.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(3);

/// Who does not have us as a contact is asked again this seldom; having added us, it dials by itself.
const REFUSED_RETRY: Duration = Duration::from_secs(15 * 60);

/// What a link is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// There is one that works, or nobody knows where to dial.
    None,
    /// For presence, and so that the contact can call.
    Usual,
    /// There is a call, or something to send.
    Urgent,
    /// There is one, and what was written on it is not acknowledged since then.
    Another(Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Not before somebody knows where, or a link has ended.
    Never,
    At(Instant),
    Running,
}

pub(super) struct Dialing {
    step: Step,
    running: usize,
    last: Option<Instant>,
    backoff: Backoff,
    refused: bool,
    chances: fastrand::Rng,
}

impl Dialing {
    pub(super) fn new(first: Option<Instant>, chances: fastrand::Rng) -> Self {
        let step = first.map_or(Step::Never, Step::At);
        Self { step, running: 0, last: None, backoff: Backoff::default(), refused: false, chances }
    }

    /// When the next dial is due.
    pub(super) fn next(&self, need: Need) -> Option<Instant> {
        let after_last = |pause: Duration| self.last.map(|last| last + pause);
        match (need, self.step) {
            (Need::None, _) | (Need::Usual, Step::Never | Step::Running) | (Need::Urgent, Step::Never) => None,
            (Need::Usual | Need::Urgent, Step::At(at)) => Some(at),
            (Need::Urgent, Step::Running) => after_last(URGENT_INTERVAL).filter(|_| self.running < MAX_RUNNING),
            (Need::Another(_), Step::Running) => None,
            (Need::Another(since), Step::Never | Step::At(_)) => {
                Some((since + STALE_AFTER).max(after_last(STALE_AFTER).unwrap_or(since)))
            }
        }
    }

    /// Whether to dial now; the dial runs from then on.
    pub(super) fn begin(&mut self, need: Need, now: Instant) -> bool {
        let due = self.next(need).is_some_and(|at| at <= now);
        if due {
            self.step = Step::Running;
            self.running += 1;
            self.last = Some(now);
        }
        due
    }

    /// There is reason to believe that the next dial succeeds.
    pub(super) fn soon(&mut self, now: Instant) {
        self.backoff.reset();
        if self.step != Step::Running {
            self.step = Step::At(now);
        }
    }

    /// It has become urgent: not the moment to wait for the end of a backoff.
    pub(super) fn hurry(&mut self, now: Instant) {
        if matches!(self.step, Step::At(_)) && !self.refused {
            self.step = Step::At(now);
        }
    }

    /// One dial has failed. True: no other runs.
    pub(super) fn failed(&mut self) -> bool {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 {
            self.step = Step::Never;
        }
        self.running == 0
    }

    /// A link is up. True: there are dials that run to be given up.
    pub(super) fn linked(&mut self, dialled: bool) -> bool {
        self.refused = false;
        if dialled {
            self.step = Step::Never;
        }
        dialled && std::mem::take(&mut self.running) > 1
    }

    /// A link has lasted: dialling works.
    pub(super) fn works(&mut self) {
        self.backoff.reset();
    }

    /// There is no link, and the last attempt told why. True: the other side does not want one, and this is
    /// news.
    pub(super) fn lost(&mut self, why: Down, is_urgent: bool, now: Instant) -> bool {
        if self.step == Step::Running {
            return false;
        }
        let chance = self.chances.f64();
        let (wait, is_news) = match why {
            Down::Lost | Down::Quit if is_urgent => (URGENT_INTERVAL.mul_f64(0.5 + chance / 2.0), false),
            Down::Lost | Down::Quit => (self.backoff.next(chance), false),
            Down::Refused => (REFUSED_RETRY.mul_f64(0.5 + chance), !std::mem::replace(&mut self.refused, true)),
        };
        self.step = Step::At(now + wait);
        is_news
    }
}
