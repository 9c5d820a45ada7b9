//! Loss of packets: how much there is, and whether sending less would help.
//!
//! A path may lose packets by itself (radio), or because too much is sent (a policer, a short queue). The
//! share alone does not tell which. So when more is lost than the path is known to lose, the rate is lowered
//! once, and what is lost then decides: much less, and it was congestion; as much, and it is the path's own,
//! and the rate is given back.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use rtc::interceptor::PacketReport;

use super::coverage::{Coverage, Said};

/// A missing packet counts as lost when it has not arrived this long after the report that missed it: 60 ms
/// of jitter, and the feedback after that.
const GRACE: Duration = Duration::from_millis(150);
/// Packets that may wait for that.
const MAX_UNDECIDED: usize = 4096;
/// Packets that are remembered, so that a copy is not taken for another packet: those of a second at 8 Mbit/s.
const MAX_REPORTED: usize = 1024;
/// A path on which packets overtook each other is taken for one where they do for this long.
const REORDERING_KEPT: Duration = Duration::from_secs(5);
/// The share is that of this long, or of so many packets where those take longer.
const WINDOW: Duration = Duration::from_secs(1);
const WINDOW_PACKETS: usize = 100;
const LONGEST_WINDOW: Duration = Duration::from_secs(4);
/// Of fewer packets no share is taken.
const ENOUGH_PACKETS: usize = 20;
/// Loss up to this much over what the path is known to lose asks no question.
const MARGIN: f64 = 0.04;
/// Standard deviations of a share of few packets that are chance.
const CHANCE: f64 = 2.5;
/// How long after the rate was lowered the share is looked at again.
const TRIAL: Duration = Duration::from_millis(1500);
/// Loss that fell by this part of its excess was congestion.
const HELPED: f64 = 0.5;
/// Between half of all packets lost and none: a path that loses more is no path.
const HOPELESS: f64 = 0.5;
/// What the path loses by itself falls by this part a second where less is lost: conditions change.
const FORGET_PER_SECOND: f64 = 0.2;
/// The least that a trial lowers the rate to, so that one look at a bad moment costs little.
const DEEPEST_CUT: f64 = 0.75;

/// What loss asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LossVerdict {
    /// Nothing.
    Fine,
    /// Send this share of the rate.
    Lower(f64),
    /// The loss is the path's own: go back to this rate, bits a second.
    Restore(f64),
}

/// A packet whose fate is not known for certain: a missing one may still arrive.
#[derive(Clone, Copy, Debug)]
struct Undecided {
    number: u16,
    arrived: bool,
    packet: (u32, u16),
    departure: Instant,
    due: Instant,
    /// How long after it the newest packet left that arrived before it; none until its report has been read
    /// to the end.
    overtaken: Option<Duration>,
}

/// A packet that was reported lately.
#[derive(Clone, Copy, Debug)]
struct Reported {
    departure: Instant,
    /// How long after that it left once more, as a copy or a retransmission.
    again: Option<Duration>,
}

/// The rate was lowered to see what that does to the loss.
#[derive(Clone, Copy, Debug)]
struct Trial {
    began: Instant,
    loss: f64,
    rate: f64,
}

/// Follows loss.
#[derive(Debug, Default)]
pub(super) struct LossControl {
    undecided: VecDeque<Undecided>,
    /// When each packet's fate was known, and whether it was lost.
    decided: VecDeque<(Instant, bool)>,
    /// What the path loses by itself, 0 to 1.
    inherent: f64,
    trial: Option<Trial>,
    updated: Option<Instant>,
    /// Packets that were reported lately, by stream and number.
    reported: HashMap<(u32, u16), Reported>,
    /// The same, oldest first.
    order: VecDeque<(u32, u16)>,
    /// When the newest packet left that has arrived.
    newest: Option<Instant>,
    /// How far packets overtake each other on this path, and when they last did.
    reordering: Option<(Duration, Instant)>,
}

impl LossControl {
    /// Takes a report that came at `now`. Reports come in the order of sending.
    pub(super) fn reported(&mut self, now: Instant, report: &PacketReport) {
        let (packet, departure) = ((report.ssrc, report.rtp_sequence_number), report.departure);
        self.newest = self.newest.max(report.arrived.then_some(departure));
        // A receiver drops the copy of a packet that it has, before it counts it: that is no loss.
        if let Some(first) = self.reported.get_mut(&packet) {
            first.again.get_or_insert(departure.saturating_duration_since(first.departure));
            return;
        }
        self.reported.insert(packet, Reported { departure, again: None });
        self.order.push_back(packet);
        if self.order.len() > MAX_REPORTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.reported.remove(&oldest);
        }
        if (report.arrived || report.is_twcc) && self.undecided.len() < MAX_UNDECIDED {
            let (number, arrived, due) = (report.twcc_sequence_number, report.arrived, now + GRACE);
            self.undecided.push_back(Undecided { number, arrived, packet, departure, due, overtaken: None });
        }
    }

    /// Decides about what has been missing for long enough. Called when a feedback packet has been read to
    /// its end.
    pub(super) fn settle(&mut self, now: Instant, coverage: &Coverage) {
        let newest = self.newest;
        for missing in self.undecided.iter_mut().rev().take_while(|missing| missing.overtaken.is_none()) {
            missing.overtaken =
                Some(newest.map_or(Duration::ZERO, |at| at.saturating_duration_since(missing.departure)));
        }
        while let Some(packet) = self.undecided.front().copied().filter(|packet| packet.due <= now) {
            self.undecided.pop_front();
            let said = if packet.arrived { Some(Said::Arrived) } else { coverage.said(now, packet.number) };
            if !packet.arrived && said == Some(Said::Arrived) {
                self.note_reordering(now, packet.overtaken.unwrap_or_default());
            }
            // Left out whatever became of it, or those that arrived would outweigh those that were lost.
            if self.is_ambiguous(now, packet) {
                continue;
            }
            match said {
                Some(Said::Missing) => self.decided.push_back((now, true)),
                Some(Said::Arrived) => self.decided.push_back((now, false)),
                // No feedback was about it: that was lost, and says nothing of the packet.
                None => {}
            }
        }
        while self.decided.front().is_some_and(|(at, _)| self.is_old(now.saturating_duration_since(*at))) {
            self.decided.pop_front();
        }
    }

    fn note_reordering(&mut self, now: Instant, overtaken: Duration) {
        let (most, at) = self.reordering.unwrap_or((Duration::ZERO, now));
        if overtaken >= most || now.saturating_duration_since(at) > REORDERING_KEPT {
            self.reordering = Some((overtaken, now));
        }
    }

    /// Whether a copy of the packet may have overtaken it. The receiver then dropped the packet itself as a
    /// copy, so nothing is known of it. If packets do not overtake each other by that much, it was lost.
    fn is_ambiguous(&self, now: Instant, packet: Undecided) -> bool {
        let reordering = self.reordering.filter(|(_, at)| now.saturating_duration_since(*at) <= REORDERING_KEPT);
        let again = self.reported.get(&packet.packet).and_then(|one| one.again);
        again.zip(reordering).is_some_and(|(again, (reordering, _))| again <= reordering)
    }

    fn is_old(&self, age: Duration) -> bool {
        age > LONGEST_WINDOW || (age > WINDOW && self.decided.len() > WINDOW_PACKETS)
    }

    /// The share of packets lost lately, 0 to 1; none of too few.
    pub(super) fn loss(&self) -> Option<f64> {
        let lost = self.decided.iter().filter(|(_, lost)| *lost).count();
        (self.decided.len() >= ENOUGH_PACKETS).then(|| lost as f64 / self.decided.len() as f64)
    }

    /// What the path loses by itself, as far as is known, 0 to 1.
    pub(super) fn inherent(&self) -> f64 {
        self.inherent
    }

    /// What loss asks for now. `queued`: packets wait, so what is lost is an overflow, which the delay
    /// answers. `rate`: what is sent, bits a second.
    pub(super) fn verdict(&mut self, now: Instant, queued: bool, rate: f64) -> LossVerdict {
        let elapsed = self.updated.replace(now).map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let Some(loss) = self.loss() else { return LossVerdict::Fine };
        if queued {
            // Neither the one nor the other can be seen while a queue overflows.
            self.trial = None;
            return LossVerdict::Fine;
        }
        if loss < self.inherent {
            let forget = 1.0 - (1.0 - FORGET_PER_SECOND).powf(elapsed.as_secs_f64().min(1.0));
            self.inherent -= (self.inherent - loss) * forget;
        }
        if loss > HOPELESS {
            self.trial = None;
            self.forget_window();
            return LossVerdict::Lower(1.0 - loss / 2.0);
        }
        match self.trial {
            None => {
                let chance = CHANCE * (loss * (1.0 - loss) / self.decided.len() as f64).sqrt();
                if loss - self.inherent <= MARGIN.max(chance) {
                    return LossVerdict::Fine;
                }
                self.trial = Some(Trial { began: now, loss, rate });
                LossVerdict::Lower((1.0 - loss).max(DEEPEST_CUT))
            }
            Some(trial) if now.saturating_duration_since(trial.began) < TRIAL => LossVerdict::Fine,
            Some(trial) => {
                self.trial = None;
                if loss <= self.inherent + (trial.loss - self.inherent) * HELPED {
                    return LossVerdict::Fine;
                }
                self.inherent = loss;
                LossVerdict::Restore(trial.rate)
            }
        }
    }

    /// Whether the rate is lowered to see what becomes of the loss.
    pub(super) fn is_trying(&self) -> bool {
        self.trial.is_some()
    }

    /// What was lost before is not to be answered again.
    pub(super) fn forget_window(&mut self) {
        self.decided.clear();
        self.undecided.clear();
    }

    /// Another path: what the last one lost is of no use.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(number: u16, arrived: bool, now: Instant) -> PacketReport {
        PacketReport {
            ssrc: 1,
            id: u64::from(number),
            rtp_sequence_number: number,
            is_twcc: true,
            twcc_sequence_number: number,
            size: 1000,
            arrived,
            departure: now,
            arrival: arrived.then_some(Duration::from_secs(1)),
            ecn: Default::default(),
        }
    }

    /// Packets 10 ms apart for `seconds`; `lost` says of each whether it is. Calls `look` after each.
    fn run(
        loss: &mut LossControl,
        from: Instant,
        seconds: u64,
        lost: impl Fn(u64) -> bool,
        mut look: impl FnMut(Instant, &mut LossControl),
    ) -> Instant {
        let coverage = Coverage::default();
        let mut now = from;
        for step in 0..seconds * 100 {
            now = from + Duration::from_millis(step * 10);
            let missing = lost(step);
            coverage.note(now, step as u16, if missing { Said::Missing } else { Said::Arrived });
            loss.reported(now, &report(step as u16, !missing, now));
            loss.settle(now, &coverage);
            look(now, loss);
        }
        now
    }

    #[test]
    fn loss_that_stays_when_less_is_sent_is_the_paths_own() {
        let mut loss = LossControl::default();
        let mut verdicts = vec![];
        run(
            &mut loss,
            Instant::now(),
            10,
            |step| step % 10 == 3,
            |now, loss| {
                let verdict = loss.verdict(now, false, 1e6);
                if verdict != LossVerdict::Fine {
                    verdicts.push(verdict);
                }
            },
        );
        assert!(
            matches!(verdicts[..], [LossVerdict::Lower(_), LossVerdict::Restore(rate)] if rate == 1e6),
            "{verdicts:?}"
        );
        assert!((loss.inherent() - 0.1).abs() < 0.02, "{}", loss.inherent());
    }

    #[test]
    fn loss_that_goes_when_less_is_sent_was_congestion() {
        let mut loss = LossControl::default();
        let lowered = std::cell::Cell::new(false);
        let mut verdicts = vec![];
        run(
            &mut loss,
            Instant::now(),
            10,
            |step| step % 10 == 3 && !lowered.get(),
            |now, loss| {
                let verdict = loss.verdict(now, false, 1e6);
                lowered.set(lowered.get() || matches!(verdict, LossVerdict::Lower(_)));
                if verdict != LossVerdict::Fine {
                    verdicts.push(verdict);
                }
            },
        );
        assert!(matches!(verdicts[..], [LossVerdict::Lower(_)]), "{verdicts:?}");
        assert!(loss.inherent() < 0.02);
    }

    #[test]
    fn a_packet_that_no_feedback_was_about_is_not_lost() {
        let (mut loss, coverage, now) = (LossControl::default(), Coverage::default(), Instant::now());
        for number in 0..100 {
            let missing = number % 2 == 0;
            if !missing {
                coverage.note(now, number, Said::Arrived);
            }
            loss.reported(now, &report(number, !missing, now));
        }
        loss.settle(now + GRACE, &coverage);
        assert_eq!(loss.loss(), Some(0.0));
    }

    #[test]
    fn a_packet_that_arrives_out_of_order_is_not_lost_and_a_row_of_lost_packets_is() {
        let (mut loss, coverage, now) = (LossControl::default(), Coverage::default(), Instant::now());
        for number in 0..100 {
            coverage.note(now, number, if number < 80 { Said::Arrived } else { Said::Missing });
            loss.reported(now, &report(number, number < 60, now));
        }
        loss.settle(now, &coverage);
        assert_eq!(loss.loss(), None, "nothing is decided at once");
        loss.settle(now + GRACE, &coverage);
        assert_eq!(loss.loss(), Some(0.2));
    }

    /// A packet whose original is never reported and whose retransmission, 40 ms later, is.
    fn retransmitted(loss: &mut LossControl, coverage: &Coverage, now: Instant) {
        coverage.note(now, 500, Said::Missing);
        loss.reported(now, &report(500, false, now));
        coverage.note(now, 504, Said::Arrived);
        let again = PacketReport { rtp_sequence_number: 500, ..report(504, true, now + Duration::from_millis(40)) };
        loss.reported(now, &again);
    }

    #[test]
    fn a_packet_that_may_have_come_behind_its_own_retransmission_is_not_counted() {
        for (overtakes, lost) in [(60, 0.0), (30, 0.05)] {
            let (mut loss, coverage, now) = (LossControl::default(), Coverage::default(), Instant::now());
            for number in 0..19u16 {
                coverage.note(now, number, Said::Arrived);
                // The first one comes after one that left so much later.
                let departure = now + Duration::from_millis(if number == 18 { overtakes } else { 0 });
                loss.reported(now, &report(number, number > 0, departure));
            }
            loss.settle(now, &coverage);
            loss.settle(now + GRACE, &coverage);
            retransmitted(&mut loss, &coverage, now + GRACE);
            // It needs 20 to have a share.
            loss.reported(now + GRACE, &report(501, true, now));
            loss.settle(now + 2 * GRACE, &coverage);
            assert_eq!(loss.loss().map(|share| (share * 20.0).round() / 20.0), Some(lost), "{overtakes} ms");
        }
    }

    #[test]
    fn a_queue_that_overflows_is_the_delays_business() {
        let mut loss = LossControl::default();
        run(
            &mut loss,
            Instant::now(),
            5,
            |step| step % 4 == 0,
            |now, loss| {
                assert_eq!(loss.verdict(now, true, 1e6), LossVerdict::Fine);
            },
        );
        assert_eq!(loss.inherent(), 0.0);
    }
}
