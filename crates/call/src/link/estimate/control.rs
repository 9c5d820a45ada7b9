//! What the estimator tells the send queue, and what the send queue tells it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ahoy_media::units::Bitrate;

/// Shared by the estimator and the send queue of one link, which run on one task, and by the encoder, which
/// looks at the backlog once a frame.
#[derive(Clone, Debug)]
pub(in crate::link) struct SendControl(Arc<Mutex<Control>>);

/// Assumed before the first measurement.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);

/// The shared numbers.
#[derive(Debug)]
pub(in crate::link) struct Control {
    /// Bits a second, headers included, at which packets leave while more than one waits.
    pub(in crate::link) pace: f64,
    /// Bytes that leave at once before the pace applies.
    pub(in crate::link) burst: f64,
    /// What may be sent in all, bits a second.
    pub(in crate::link) target: f64,
    /// Each packet of video is followed by so many copies, as far as the target has room.
    pub(in crate::link) copies: u8,
    /// Bits a second that retransmissions may take.
    pub(in crate::link) repair: f64,
    /// Newest round trip.
    pub(in crate::link) round_trip: Duration,
    /// What was sent since the last feedback; none: nothing.
    pub(in crate::link) unheard: Option<Unheard>,
    /// How long the video that waits takes to leave. The encoder waits while it is too long.
    pub(in crate::link) backlog: Duration,
    /// Another ceiling, until the estimator takes it.
    pub(in crate::link) ceiling: Option<Ceiling>,
    /// A probe that is to be sent as soon as it can be.
    pub(in crate::link) order: Option<ProbeOrder>,
    /// The newest probe that was sent.
    pub(in crate::link) sent: Option<ProbeSpan>,
}

/// Packets that were sent since the last feedback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) struct Unheard {
    /// When the first packet left.
    pub(in crate::link) since: Instant,
    /// Their number.
    pub(in crate::link) packets: u32,
}

impl Control {
    /// Counts a packet that leaves at `now`.
    pub(in crate::link) fn left(&mut self, now: Instant) {
        self.unheard.get_or_insert(Unheard { since: now, packets: 0 }).packets += 1;
    }
}

/// Limits of what is sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Of the video encoder. The estimator probes for as much as this video and its repairs need.
    pub video: Bitrate,
    /// Of everything that is sent, sound and repairs included; none: no limit.
    pub total: Option<Bitrate>,
}

/// A short stretch of packets at a higher rate than the estimate, to see whether the path carries it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::link) struct ProbeOrder {
    /// Bits a second, headers included.
    pub(in crate::link) rate: f64,
    /// Bytes to send at that rate, headers included.
    pub(in crate::link) bytes: usize,
}

/// A probe that was sent: every packet that left in this span belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::link) struct ProbeSpan {
    /// What was ordered.
    pub(in crate::link) order: ProbeOrder,
    /// When its first packet left.
    pub(in crate::link) began: Instant,
    /// When its last packet left.
    pub(in crate::link) ended: Instant,
}

impl Default for SendControl {
    /// Lets little out, until the estimator says how much.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Control {
            pace: 0.0,
            burst: 0.0,
            target: 0.0,
            copies: 0,
            repair: 0.0,
            round_trip: FIRST_ROUND_TRIP,
            unheard: None,
            backlog: Duration::ZERO,
            ceiling: None,
            order: None,
            sent: None,
        })))
    }
}

impl SendControl {
    /// The shared numbers.
    pub(in crate::link) fn lock(&self) -> MutexGuard<'_, Control> {
        // Numbers have no invariant that a panic could break.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn to probe lasts at most this long; then the next link may take it, whatever became of the probe.
const TURN: Duration = Duration::from_millis(500);

/// Lets one link of this program probe at a time: two that probe the same uplink mislead each other.
#[derive(Clone, Debug, Default)]
pub struct ProbeTurn(Arc<Turn>);

#[derive(Debug, Default)]
struct Turn {
    next: AtomicU64,
    holder: Mutex<Option<(u64, Instant)>>,
}

impl ProbeTurn {
    /// A number for a link that will ask for turns.
    pub(in crate::link) fn ticket(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes the turn for the link with `ticket`. False: another link probes.
    pub(in crate::link) fn take(&self, ticket: u64, now: Instant) -> bool {
        let mut holder = self.0.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = holder.is_some_and(|(other, until)| other != ticket && now < until);
        if !taken {
            *holder = Some((ticket, now + TURN));
        }
        !taken
    }

    /// Gives the turn back.
    pub(in crate::link) fn give_back(&self, ticket: u64) {
        let mut holder = self.0.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if holder.is_some_and(|(other, _)| other == ticket) {
            *holder = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_link_probes_at_a_time_and_a_link_that_forgets_its_turn_loses_it() {
        let (turn, now) = (ProbeTurn::default(), Instant::now());
        let (one, other) = (turn.ticket(), turn.ticket());
        assert!(turn.take(one, now));
        assert!(turn.take(one, now), "the holder may go on");
        assert!(!turn.take(other, now));
        turn.give_back(other);
        assert!(!turn.take(other, now), "only the holder gives back");
        assert!(turn.take(other, now + TURN));
        turn.give_back(other);
        assert!(turn.take(one, now + TURN));
    }
}
