//! Probing: short stretches of packets at a higher rate than the estimate, and what of them arrives.
//!
//! The first probes come at once, at 3 and 6 times the first estimate, then at twice what was found for as
//! long as that works (libwebrtc's `ProbeController`). Later ones come every few seconds while there is more
//! to be found.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rtc::interceptor::PacketReport;

use super::control::{ProbeOrder, ProbeSpan};

/// The first probes, by the first estimate.
const FIRST: [f64; 2] = [3.0, 6.0];
/// The next probe, by what the last one found.
const FURTHER: f64 = 2.0;
/// A probe that filled nothing and found this much of its own rate is followed by a further one. The rest is
/// what late timers take; at this share each further probe is still higher than the last one.
const FOUND_ENOUGH: f64 = 0.55;
/// A later probe, by the estimate.
const PERIODIC: f64 = 2.0;
/// Between two of these.
const INTERVAL: Duration = Duration::from_secs(3);
/// A probe lasts this long...
const LENGTH_S: f64 = 0.015;
/// ...and has at least this many packets of a useful size: fewer measure the timers and not the path.
const LEAST_BYTES: f64 = 900.0;
const LEAST_PACKETS: usize = 5;
/// Packets that show whether a queue grows.
const PROOF_PACKETS: usize = 8;
/// How long the path has to tell of a probe, besides the round trip.
const RESULT_LIMIT: Duration = Duration::from_secs(1);
/// A probe that was ordered and not sent by then, because nothing was to be sent, is given up.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// A packet of so many counts as the probe's even if it is missing; more make the probe worthless.
const MOST_LOST: f64 = 0.3;
/// What arrives this much slower than it was sent has filled the bottleneck.
const SATURATED: f64 = 0.9;
/// Nothing arrives faster than this, by what was sent: what seems to was held back on its way.
const CREDIBLE: f64 = 2.0;
/// No path tells of more packets in a probe.
const MAX_PACKETS: usize = 512;

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ProbeResult {
    /// Bits a second that the path carries for certain. Never more than was sent.
    pub(super) rate: f64,
    /// The path carries no more: packets arrived slower than they were sent.
    pub(super) saturated: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Idle,
    /// Ordered, and not sent yet.
    Ordered {
        at: Instant,
    },
    /// Sent; its packets are being told of.
    Sent {
        span: ProbeSpan,
    },
}

/// Decides when to probe, and judges probes.
#[derive(Debug)]
pub(super) struct ProbeController {
    stage: Stage,
    /// Rates still to be probed, bits a second, the next one last.
    planned: Vec<f64>,
    /// The probe's reported packets: departure, arrival (none: missing), bytes.
    packets: VecDeque<(Instant, Option<Duration>, usize)>,
    /// When the next periodic probe may be.
    due: Option<Instant>,
}

impl ProbeController {
    /// Plans the first probes of a link whose first estimate is `start` bits a second.
    pub(super) fn new(start: f64) -> Self {
        let planned = FIRST.iter().rev().map(|factor| factor * start).collect();
        Self { stage: Stage::Idle, planned, packets: VecDeque::new(), due: None }
    }

    /// Plans the first probes anew, at `rate` and twice that: the path is another, or was gone.
    pub(super) fn restart(&mut self, rate: f64) {
        *self = Self { planned: vec![2.0 * rate, rate], ..Self::new(rate) };
    }

    /// The probe to send now, if any. `target`: the estimate; `max`: more is of no use.
    pub(super) fn order(&mut self, now: Instant, target: f64, max: f64) -> Option<ProbeOrder> {
        match self.stage {
            Stage::Idle => {}
            Stage::Ordered { at } if now.saturating_duration_since(at) < SEND_LIMIT => return None,
            Stage::Sent { span } if now.saturating_duration_since(span.ended) < RESULT_LIMIT => return None,
            Stage::Ordered { .. } | Stage::Sent { .. } => self.give_up(now),
        }
        while self.planned.last().is_some_and(|rate| *rate <= target) {
            self.planned.pop();
        }
        let due = *self.due.get_or_insert(now + INTERVAL) <= now;
        let rate = match self.planned.pop() {
            Some(rate) => rate.min(max),
            None if due && target < max * 0.95 => (target * PERIODIC).min(max),
            None => return None,
        };
        if rate <= target {
            self.planned.clear();
            return None;
        }
        self.due = Some(now + INTERVAL);
        self.packets.clear();
        self.stage = Stage::Ordered { at: now };
        Some(ProbeOrder { rate, bytes: (rate * LENGTH_S / 8.0).max(LEAST_BYTES) as usize })
    }

    /// The send queue says that a probe was sent.
    pub(super) fn sent(&mut self, span: ProbeSpan) {
        // One that was ordered before is of another time.
        if matches!(self.stage, Stage::Ordered { at } if span.began >= at) {
            self.packets.retain(|(departure, ..)| *departure >= span.began && *departure <= span.ended);
            self.stage = Stage::Sent { span };
        }
    }

    /// Takes a report of a packet with `bytes` on the wire. On a short path the first packets are reported
    /// before the last ones have left, so they are kept from the order on.
    pub(super) fn reported(&mut self, report: &PacketReport, bytes: usize) {
        let inside = match self.stage {
            Stage::Idle => false,
            Stage::Ordered { at } => report.departure >= at,
            Stage::Sent { span } => report.departure >= span.began && report.departure <= span.ended,
        };
        if !inside {
            return;
        }
        if self.packets.len() >= MAX_PACKETS {
            self.packets.pop_front();
        }
        self.packets.push_back((report.departure, report.arrival.filter(|_| report.arrived), bytes));
    }

    /// The result of the probe, once a packet behind it was told of (`newest`: the newest departure that
    /// was).
    pub(super) fn result(&mut self, newest: Instant) -> Option<ProbeResult> {
        let Stage::Sent { span } = self.stage else { return None };
        if newest < span.ended {
            return None;
        }
        self.stage = Stage::Idle;
        let result = judge(self.packets.make_contiguous());
        match result {
            // Until the path is full; a probe that timers made slow still leaves those that are planned.
            Some(found) if !found.saturated => {
                let further = self.planned.is_empty() && found.rate >= span.order.rate * FOUND_ENOUGH;
                self.planned.extend(further.then_some(found.rate * FURTHER));
            }
            // The path is known now: no higher one is of use.
            Some(_) => self.planned.clear(),
            None => {}
        }
        result
    }

    /// Whether a probe is under way.
    pub(super) fn is_probing(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }

    /// No probe before an interval has passed: a queue stands.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.planned.clear();
        self.due = Some(now + INTERVAL);
    }

    fn give_up(&mut self, now: Instant) {
        self.stage = Stage::Idle;
        self.due = Some(now + INTERVAL);
    }
}

/// What the packets of a probe tell; none where they tell nothing.
fn judge(packets: &[(Instant, Option<Duration>, usize)]) -> Option<ProbeResult> {
    let arrived: Vec<_> =
        packets.iter().filter_map(|(sent, arrival, bytes)| Some((*sent, (*arrival)?, *bytes))).collect();
    let lost = packets.len() - arrived.len();
    if arrived.len() < LEAST_PACKETS || lost as f64 > packets.len() as f64 * MOST_LOST {
        return None;
    }
    let (first_sent, last_sent) = (arrived.iter().map(|one| one.0).min()?, arrived.iter().map(|one| one.0).max()?);
    let (first, last) = (arrived.iter().map(|one| one.1).min()?, arrived.iter().map(|one| one.1).max()?);
    let bytes: usize = arrived.iter().map(|one| one.2).sum();
    // The last packet was not sent within the time from the first to the last, nor did the first arrive in
    // it.
    let last_bytes = arrived.iter().max_by_key(|one| one.0)?.2;
    let first_bytes = arrived.iter().min_by_key(|one| one.1)?.2;
    let sending = (bytes - last_bytes) as f64 * 8.0 / (last_sent - first_sent).as_secs_f64().max(0.001);
    let arriving = (bytes - first_bytes) as f64 * 8.0 / last.checked_sub(first)?.as_secs_f64().max(0.000_25);
    if arriving > sending * CREDIBLE {
        return None;
    }
    let saturated = arriving < sending * SATURATED;
    // What arrives late without a queue that grows is jitter, which hides what the path carries.
    (!saturated || queue_grows(&arrived)).then_some(ProbeResult { rate: sending.min(arriving), saturated })
}

/// Whether each packet of the second half took longer than any of the first third. By chance that is so for
/// one in 56 rows of ten packets, and for one in three rows of five: too few prove nothing.
fn queue_grows(arrived: &[(Instant, Duration, usize)]) -> bool {
    let Some((origin, ..)) = arrived.first().filter(|_| arrived.len() >= PROOF_PACKETS) else { return false };
    // By departure: reports come in this order.
    let took = |(sent, arrival, _): &(Instant, Duration, usize)| {
        arrival.as_secs_f64() - sent.saturating_duration_since(*origin).as_secs_f64()
    };
    let slowest = arrived.iter().take(arrived.len() / 3).map(took).reduce(f64::max);
    let fastest = arrived.iter().rev().take(arrived.len() / 2).map(took).reduce(f64::min);
    slowest.zip(fastest).is_some_and(|(first, last)| last > first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Sends the ordered probe over a bottleneck of `capacity` bits a second and gives its result.
    fn probe(controller: &mut ProbeController, now: Instant, order: ProbeOrder, capacity: f64) -> Option<ProbeResult> {
        let packets = 10;
        let bytes = order.bytes / packets;
        let gap = bytes as f64 * 8.0 / order.rate;
        let sent = |index: usize| now + Duration::from_secs_f64(gap * index as f64);
        controller.sent(ProbeSpan { order, began: now, ended: sent(packets - 1) });
        let mut free = 0.0f64;
        for index in 0..packets {
            free = free.max(gap * index as f64) + bytes as f64 * 8.0 / capacity;
            let report = PacketReport {
                ssrc: 1,
                id: index as u64,
                rtp_sequence_number: 0,
                is_twcc: true,
                twcc_sequence_number: index as u16,
                size: bytes,
                arrived: true,
                departure: sent(index),
                arrival: Some(Duration::from_secs_f64(100.0 + free)),
                ecn: Default::default(),
            };
            controller.reported(&report, bytes);
        }
        controller.result(sent(packets))
    }

    #[test]
    fn probes_double_until_the_path_is_full() {
        let (mut controller, mut now) = (ProbeController::new(300e3), Instant::now());
        let (mut rates, mut target) = (vec![], 300e3);
        while let Some(order) = controller.order(now, target, 10e6) {
            rates.push((order.rate / 1e5).round());
            let result = probe(&mut controller, now, order, 3e6).unwrap();
            target = result.rate.max(target);
            now += ms(100);
        }
        assert_eq!(rates, [9.0, 18.0, 36.0]);
        assert!((target - 3e6).abs() < 0.15e6, "{target}");
        assert_eq!(controller.order(now, target, 10e6), None, "not before its time");
        assert!(controller.order(now + INTERVAL, target, 10e6).is_some());
    }

    #[test]
    fn packets_that_are_reported_before_the_probe_has_left_count() {
        let (mut controller, now) = (ProbeController::new(300e3), Instant::now());
        let order = controller.order(now, 300e3, 10e6).unwrap();
        let report = |index: u64| PacketReport {
            ssrc: 1,
            id: index,
            rtp_sequence_number: 0,
            is_twcc: true,
            twcc_sequence_number: index as u16,
            size: 200,
            arrived: true,
            departure: now + ms(index * 2),
            arrival: Some(ms(1000 + index * 2)),
            ecn: Default::default(),
        };
        (0..9).for_each(|index| controller.reported(&report(index), 200));
        controller.sent(ProbeSpan { order, began: now + ms(2), ended: now + ms(18) });
        controller.reported(&report(9), 200);
        let found = controller.result(now + ms(18)).expect("a result");
        assert!((found.rate - 800e3).abs() < 1.0 && !found.saturated, "{found:?}");
    }

    #[test]
    fn a_result_is_never_more_than_was_sent() {
        let mut controller = ProbeController::new(300e3);
        let now = Instant::now();
        let order = controller.order(now, 300e3, 10e6).unwrap();
        let result = probe(&mut controller, now, order, 1e9).unwrap();
        assert!(result.rate <= order.rate * 1.01 && !result.saturated, "{result:?}");
    }

    #[test]
    fn nothing_is_probed_that_is_of_no_use() {
        let mut controller = ProbeController::new(300e3);
        assert_eq!(controller.order(Instant::now(), 400e3, 400e3), None);
    }

    #[test]
    fn a_probe_that_is_never_sent_or_never_told_of_is_given_up() {
        let (mut controller, now) = (ProbeController::new(300e3), Instant::now());
        assert!(controller.order(now, 300e3, 10e6).is_some());
        assert_eq!(controller.order(now + ms(900), 300e3, 10e6), None, "one at a time");
        assert!(controller.order(now + SEND_LIMIT, 300e3, 10e6).is_some(), "the second of the first ones");
        assert_eq!(controller.result(now + ms(5000)), None);
    }

    #[test]
    fn a_probe_that_was_held_back_or_met_jitter_or_loss_tells_nothing() {
        let now = Instant::now();
        let together: Vec<_> = (0..10).map(|n| (now + ms(n * 2), Some(ms(1000)), 300)).collect();
        assert_eq!(judge(&together), None);
        let jittery: Vec<_> = (0..10).map(|n| (now + ms(n * 2), Some(ms(1000 + n * 2 + n * 37 % 60)), 300)).collect();
        assert_eq!(judge(&jittery), None);
        let lost: Vec<_> = (0..10).map(|n| (now + ms(n * 2), (n > 4).then(|| ms(1000 + n * 2)), 300)).collect();
        assert_eq!(judge(&lost), None);
    }
}
