//! What the estimator does while packets wait in a queue: it drains the queue, or holds its share beside
//! another flow that fills it, or learns that there is no queue but a longer path.

use std::time::{Duration, Instant};

use super::{Estimator, QUEUE_LOW, RATE_PACKETS, State, steady::Steadiness};

/// A queue is drained within about this time: the longer it is, the less is sent.
const DRAIN: Duration = Duration::from_millis(400);
/// While draining at least, and at most, so much less than the capacity is sent.
const DRAIN_SHARE: (f64, f64) = (0.10, 0.5);
/// A queue that has just been noticed is taken for that of a bottleneck of at least this share of the target.
const FIRST_DRAIN: f64 = 0.5;
/// What is sent once the queue is gone, by the capacity.
const AFTER_DRAIN: f64 = 0.97;
/// A queue that stays longer than this, although less is sent, is another flow's.
const CONTESTED_AFTER: Duration = Duration::from_millis(2500);
/// While another flow fills the queue, the rate does not fall below this share of what arrived when that
/// began...
const CONTESTED_FLOOR: f64 = 0.7;
/// ...and rises by so many bits a second each second, as TCP does by a packet each round trip (of 0.3 s, most
/// of it queue), but by no more than this share of it...
const CONTESTED_RISE: f64 = 100_000.0;
const CONTESTED_RISE_SHARE: f64 = 0.15;
/// ...until more than this share is lost, which then lowers it by so much, at most once in an interval.
const CONTESTED_LOSS: f64 = 0.03;
const CONTESTED_CUT: f64 = 0.85;
const CONTESTED_INTERVAL: Duration = Duration::from_millis(1000);
/// After so long it is tried again whether the queue drains where less is sent. Two flows that each take it
/// for the other's would keep it full for good.
const CONTESTED_TRIAL: Duration = Duration::from_secs(6);
/// After each trial that did not help that time doubles, at most so often.
const MOST_DOUBLED: u32 = 2;
/// TCP's queue is gone for a moment each time it has overflowed. So after an overflow of a queue that did not
/// drain, each new queue within this time is taken for the other flow's as well.
const RIVAL_KEPT: Duration = Duration::from_secs(10);
/// The other flow is gone when no queue has stood for so long.
const UNCONTESTED_AFTER: Duration = Duration::from_millis(500);
/// A queue that has just been noticed has stood for about this long, in seconds.
const QUEUED_WINDOW_S: f64 = 0.1;
/// A queue that has grown by so much since the rate was lowered asks for more of that.
const GROWN: f64 = 1.15;
const GROWN_BY: Duration = Duration::from_millis(5);
/// A queue is not ours where less than this share leaves of what arrived when it was noticed.
const LESS_SENT: f64 = 0.96;
/// A delay that has not changed for so long is no queue. Where another flow fills the queue, its rate is
/// steady for a while as well: that of CUBIC near its last maximum.
const LONGER_AFTER: Duration = Duration::from_millis(1200);
const LONGER_WHERE_CONTESTED: Duration = Duration::from_secs(4);
/// Where the rate before is not known, this multiple of the present one is taken for it.
const RATE_BEFORE: f64 = 2.0;
/// On a longer path this share of the rate before is probed.
const LONGER_PATH: f64 = 0.9;

impl Estimator {
    /// A queue stands: less is sent until it is gone.
    pub(super) fn begin_draining(&mut self, now: Instant, queue: Duration) {
        self.starting = false;
        self.near_since = None;
        // The queue is young: only what arrived while it stood was at the bottleneck's rate.
        let lately = self.arrivals.rate_of_last(QUEUED_WINDOW_S, RATE_PACKETS).into_iter();
        let arriving = lately.chain(self.arrivals.rate(RATE_PACKETS)).reduce(f64::max).unwrap_or(self.target);
        // A radio, or a busy machine, holds everything back for a moment: that looks like a slow path until
        // the next look.
        let arriving = arriving.max(self.target * FIRST_DRAIN);
        self.state = State::Draining { since: now, arriving, before: self.target, deepest: queue };
        self.steadiness = Steadiness::default();
        self.saturated(now, arriving, queue);
        self.probe.postpone(now);
    }

    /// The bottleneck carries `arriving` while this queue stands: less is sent until it is gone.
    fn saturated(&mut self, now: Instant, arriving: f64, queue: Duration) {
        self.capacity.saturated(now, arriving);
        let share = (queue.as_secs_f64() / DRAIN.as_secs_f64()).clamp(DRAIN_SHARE.0, DRAIN_SHARE.1);
        let capacity = self.capacity.get(now).unwrap_or(arriving).min(arriving * 1.05);
        // Whatever arrived in this moment, what was sent before was too much.
        self.target = self.target.min(capacity) * (1.0 - share);
    }

    /// While less is sent: the queue is gone, stays, or grows.
    pub(super) fn drain(&mut self, now: Instant, queue: Duration) {
        let State::Draining { since, arriving: began, before, deepest } = self.state else { return };
        let took = now.saturating_duration_since(since);
        if queue <= QUEUE_LOW {
            self.state = State::Rising;
            self.undrained = 0;
            // The queue was ours, unless it has overflowed since.
            self.rival = self.rival.filter(|seen| *seen > since);
            // What overflowed has been answered.
            self.loss.forget_window();
            if let Some(capacity) = self.capacity.get(now) {
                self.target = self.target.max(capacity * AFTER_DRAIN);
            }
        } else if took > CONTESTED_AFTER {
            // A trial that did not help has no price but its time.
            let back = if self.undrained > 0 { before } else { self.target };
            self.undrained += 1;
            self.begin_contest(now, began);
            self.target = self.target.max(back);
        } else if queue > deepest.mul_f64(GROWN) + GROWN_BY
            && let Some(arriving) = self.arrivals.rate(RATE_PACKETS)
        {
            // The bottleneck carries less than it was taken for.
            self.state = State::Draining { since, arriving: began, before, deepest: queue };
            self.saturated(now, arriving, queue);
        }
    }

    /// Another flow holds the queue; `rate` is what passed beside it.
    pub(super) fn begin_contest(&mut self, now: Instant, rate: f64) {
        self.starting = false;
        let floor = rate * CONTESTED_FLOOR;
        self.target = self.target.max(floor);
        // What arrived was a share of the capacity, and what overflowed before was due to more than is sent
        // now.
        self.capacity.forget();
        self.loss.forget_window();
        self.state = State::Contested { since: now, floor, calm: None, cut: now };
    }

    /// More is lost than the path loses by itself: a queue overflows.
    fn overflows(&self) -> bool {
        self.loss.loss().is_some_and(|loss| loss > self.loss.inherent() + CONTESTED_LOSS)
    }

    /// Another flow's queue overflowed a short time ago.
    pub(super) fn has_rival(&self, now: Instant) -> bool {
        self.rival.is_some_and(|seen| now.saturating_duration_since(seen) < RIVAL_KEPT)
    }

    /// Notes a queue that overflows although less is sent.
    pub(super) fn look_for_rival(&mut self, now: Instant, queue: Duration) {
        let less_sent = match self.state {
            State::Rising => false,
            State::Draining { .. } => self.undrained > 0,
            State::Contested { .. } => true,
        };
        if less_sent && self.overflows() && queue > self.high() {
            self.rival = Some(now);
        }
    }

    /// Whether the queue stays exactly as it is while less is sent and nothing overflows: then packets do not
    /// wait, they travel further.
    pub(super) fn is_longer_path(&mut self, now: Instant, queue: Duration) -> bool {
        let lasted = self.steadiness.lasted(now, queue);
        if queue <= QUEUE_LOW {
            return false;
        }
        let less_sent = match self.state {
            State::Rising => false,
            State::Draining { arriving, before, .. } => {
                let enough = arriving.min(before) * LESS_SENT;
                lasted >= LONGER_AFTER && self.limited.rate().is_some_and(|rate| rate < enough)
            }
            State::Contested { .. } => lasted >= LONGER_WHERE_CONTESTED,
        };
        less_sent && !self.overflows()
    }

    /// Takes the path as it is now for one without a queue.
    pub(super) fn follow_path(&mut self, now: Instant) {
        let before = match self.state {
            State::Draining { before, .. } => before,
            State::Rising | State::Contested { .. } => RATE_BEFORE * self.target,
        };
        self.state = State::Rising;
        self.queue.forget();
        self.capacity.forget();
        // Probes say at once whether the path still carries what it did; where jitter hides it, rising says
        // so soon.
        self.starting = true;
        self.probe.restart(before * LONGER_PATH);
        tracing::debug!(target = self.target, at = ?now, "the path has become longer");
    }

    /// While another flow holds the queue: rises until something overflows, and tries now and then whether the
    /// queue drains.
    pub(super) fn contest(&mut self, now: Instant, elapsed: f64, queue: Duration) {
        let State::Contested { since, floor, calm, cut } = self.state else { return };
        let lasts = CONTESTED_TRIAL * (1 << self.undrained.saturating_sub(1).min(MOST_DOUBLED));
        if now.saturating_duration_since(since) >= lasts {
            self.loss.forget_window();
            return self.begin_draining(now, queue);
        }
        let calm = (queue <= self.high()).then(|| calm.unwrap_or(now));
        if calm.is_some_and(|since| now.saturating_duration_since(since) >= UNCONTESTED_AFTER) {
            self.state = State::Rising;
            return;
        }
        let mut cut = cut;
        let lossy = self.overflows();
        if lossy && now.saturating_duration_since(cut) >= CONTESTED_INTERVAL {
            self.target = (self.target * CONTESTED_CUT).max(floor * CONTESTED_FLOOR);
            self.loss.forget_window();
            cut = now;
        } else if !lossy && !self.limited.is_limited(self.target) {
            self.target += CONTESTED_RISE.min(self.target * CONTESTED_RISE_SHARE) * elapsed;
        }
        self.state = State::Contested { since, floor, calm, cut };
    }
}
