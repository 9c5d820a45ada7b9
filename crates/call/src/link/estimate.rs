//! The seam for congestion control: what the path is thought to carry, for the encoder and the pacer.
//!
//! Not the crate's own estimate: measured at 5 % random loss and 100 ms round trip, with no bottleneck at all, that
//! falls from 1.5 Mbit/s to under 0.6 and stays there, because its delay filter takes the gaps and retransmissions
//! for a growing queue. This one looks at the queue itself: the rate falls when packets wait, or when more are lost
//! than a path loses by itself, and rises otherwise. A better one is another [`BandwidthEstimator`] in this place.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use ahoy_media::units::Bitrate;
use rtc::interceptor::{BandwidthEstimator, EstimatorStats, PacketReport};
use tokio::sync::watch;

use super::queue::StandingQueue;

/// Under this no picture is worth sending; sound alone needs a third of it.
const MIN_BITRATE: Bitrate = Bitrate::from_kbps(100);
/// Room over what the encoder is allowed, so that an estimate at its ceiling still lets retransmissions and key
/// frames through.
const HEADROOM: f64 = 2.0;
/// A queue shorter than this is one of our own frames passing: a key frame of 40 packets takes 25 ms at 15 Mbit/s.
const QUEUE_TOLERANCE: Duration = Duration::from_millis(25);
/// Loss over this is congestion, whatever the delay says; and the rate then falls by half of it
/// (draft-ietf-rmcat-gcc-02 section 6).
const LOSS_TOLERANCE: f64 = 0.10;
/// What is sent where packets wait, by what arrives (section 5.5: beta).
const BACK_OFF: f64 = 0.85;
/// Between two steps down: the first one has to be felt before a second is judged.
const BACK_OFF_INTERVAL: Duration = Duration::from_millis(300);
/// How fast the rate rises while nothing speaks against it (section 5.5: eta).
const RISE_PER_SECOND: f64 = 1.08;
/// Loss and arriving rate are those of the last second: some hundred packets, so that one lost packet is no rate.
const WINDOW: Duration = Duration::from_secs(1);
/// Of fewer packets no share is taken.
const ENOUGH_PACKETS: usize = 30;
/// More packets missing in a row than this were not lost: the report of them was (it has 8 to 10 at usual rates). At
/// 5 % loss that happens a hundred times as often as the loss of four in a row; a queue that overflows loses whole
/// rows, but shows as a queue first.
const LONGEST_LOSS: usize = 3;

/// A packet that the other side told of.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Instant,
    bytes: usize,
    arrived: bool,
}

/// The estimate, telling each change.
pub(super) struct Estimator {
    queue: StandingQueue,
    told: VecDeque<Told>,
    /// Missing packets whose row has not ended.
    missing: Vec<Told>,
    target: f64,
    max: f64,
    updated: Option<Instant>,
    backed_off: Option<Instant>,
    tell: watch::Sender<Bitrate>,
}

impl Estimator {
    /// Starts at `wanted`: a call on a good line is sharp from its first frame on, and the loss and delay that a bad
    /// line answers with bring it down within a second.
    pub(super) fn new(wanted: Bitrate) -> (Self, watch::Receiver<Bitrate>) {
        let (tell, hear) = watch::channel(wanted);
        let target = wanted.bps() as f64;
        let this = Self {
            queue: StandingQueue::default(),
            told: VecDeque::new(),
            missing: Vec::new(),
            target,
            max: target * HEADROOM,
            updated: None,
            backed_off: None,
            tell,
        };
        (this, hear)
    }

    fn tell_of(&mut self, told: Told) {
        if !told.arrived {
            self.missing.push(told);
            self.missing.truncate(LONGEST_LOSS + 1);
            return;
        }
        if self.missing.len() <= LONGEST_LOSS {
            self.told.extend(self.missing.iter().copied());
        }
        self.missing.clear();
        self.told.push_back(told);
    }

    /// The share of packets lost lately; none of too few.
    fn loss(&self) -> Option<f64> {
        let lost = self.told.iter().filter(|told| !told.arrived).count();
        (self.told.len() >= ENOUGH_PACKETS).then(|| lost as f64 / self.told.len() as f64)
    }

    /// What arrived lately, in bits a second.
    fn arriving(&self) -> f64 {
        let bytes: usize = self.told.iter().filter(|told| told.arrived).map(|told| told.bytes).sum();
        let span = match (self.told.front(), self.told.back()) {
            (Some(first), Some(last)) => (last.at - first.at).as_secs_f64(),
            (None, _) | (_, None) => 0.0,
        };
        // Right after the start there is less than a window.
        bytes as f64 * 8.0 / span.max(WINDOW.as_secs_f64() / 4.0)
    }

    fn update(&mut self, now: Instant) {
        let elapsed = self.updated.replace(now).map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let queued = self.queue.delay().is_some_and(|delay| delay > QUEUE_TOLERANCE);
        let congestion_loss = self.loss().filter(|loss| *loss > LOSS_TOLERANCE);
        let lower = match (queued, congestion_loss) {
            // Who sends far less than he may has not filled the queue; what little arrives is no measure then.
            (true, _) if self.arriving() < self.target / 2.0 => Some(self.target * BACK_OFF),
            (true, _) => Some(self.target.min(self.arriving() * BACK_OFF)),
            (false, Some(loss)) => Some(self.target * (1.0 - 0.5 * loss)),
            (false, None) => None,
        };
        match lower {
            Some(lower) => {
                let felt = self.backed_off.is_none_or(|at| now.saturating_duration_since(at) >= BACK_OFF_INTERVAL);
                if felt {
                    self.target = lower.max(MIN_BITRATE.bps() as f64);
                    self.backed_off = Some(now);
                    // The loss that this answers is not to be answered twice.
                    self.told.clear();
                }
            }
            None => {
                let rise = RISE_PER_SECOND.powf(elapsed.as_secs_f64().min(1.0));
                self.target = (self.target * rise).min(self.max);
            }
        }
        let bitrate = Bitrate::from_bps(self.target as u64);
        self.tell.send_if_modified(|old| std::mem::replace(old, bitrate) != bitrate);
    }
}

impl BandwidthEstimator for Estimator {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        for report in reports {
            self.tell_of(Told { at: now, bytes: report.size, arrived: report.arrived });
            if let Some(arrival) = report.arrival.filter(|_| report.arrived) {
                self.queue.arrived(now, report.departure, arrival);
            }
        }
        while self.told.front().is_some_and(|told| now.saturating_duration_since(told.at) > WINDOW) {
            self.told.pop_front();
        }
        self.update(now);
    }

    fn target_bitrate(&self) -> f64 {
        self.target
    }

    fn stats(&self) -> EstimatorStats {
        EstimatorStats::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feedback every 50 ms over a path of this capacity with a queue of 200 ms, losing every `loss`-th packet
    /// besides, for 20 s. The sender keeps to the estimate. Gives the estimate at the end, in bits a second.
    fn settle(capacity: f64, loss: usize) -> f64 {
        const PACKET: usize = 1200;
        let (mut estimator, _hear) = Estimator::new(Bitrate::from_kbps(1500));
        let start = Instant::now();
        let (mut id, mut free_at, mut departure) = (0, 0.0f64, 0.0f64);
        let mut reports = vec![];
        let mut last = 0.0;
        while departure < 20.0 {
            let send = departure.max(free_at);
            let mut arrived = loss == 0 || id as usize % loss != 0;
            if send - departure > 0.2 {
                arrived = false;
            } else {
                free_at = send + PACKET as f64 * 8.0 / capacity;
            }
            reports.push(PacketReport {
                ssrc: 1,
                id,
                rtp_sequence_number: id as u16,
                is_twcc: true,
                twcc_sequence_number: id as u16,
                size: PACKET,
                arrived,
                departure: start + Duration::from_secs_f64(departure),
                arrival: arrived.then(|| Duration::from_secs_f64(free_at + 0.05)),
                ecn: Default::default(),
            });
            id += 1;
            departure += PACKET as f64 * 8.0 / estimator.target_bitrate();
            if departure - last > 0.05 {
                last = departure;
                estimator.on_reports(start + Duration::from_secs_f64(departure + 0.1), &reports);
                reports.clear();
            }
        }
        estimator.target_bitrate()
    }

    #[test]
    fn random_loss_without_a_queue_costs_no_rate() {
        assert!(settle(100e6, 20) > 1.5e6);
    }

    #[test]
    fn a_lost_report_is_not_taken_for_loss() {
        let (mut estimator, _hear) = Estimator::new(Bitrate::from_kbps(1500));
        let now = Instant::now();
        for index in 0..400u64 {
            let told = Told { at: now, bytes: 1200, arrived: index % 40 >= 10 && index % 20 != 15 };
            estimator.tell_of(told);
        }
        let loss = estimator.loss().unwrap();
        assert!((0.05..0.08).contains(&loss), "{loss}");
    }

    #[test]
    fn a_bottleneck_brings_the_rate_under_its_capacity() {
        let settled = settle(800e3, 0);
        assert!((200e3..900e3).contains(&settled), "{settled}");
    }

    #[test]
    fn a_free_path_ends_at_the_ceiling() {
        assert!((settle(100e6, 0) - 3e6).abs() < 1.0);
    }
}
