//! The seam for congestion control: what the path is thought to carry, for the encoder and the pacer.
//!
//! The estimate is the crate's Google congestion control, overruled in one case. Measured at 5 % random loss and
//! 100 ms round trip, with no bottleneck at all, it falls from 1.5 Mbit/s to under 0.6 and stays there: its delay
//! filter takes the gaps and retransmissions for a growing queue. So its word against the rate counts only while
//! there is a standing queue, or more loss than a path has by itself; otherwise the rate goes on rising.
//!
//! A better estimator replaces [`Estimator`]'s inner value; everything else stays.

use std::time::{Duration, Instant};

use ahoy_media::units::Bitrate;
use rtc::interceptor::{BandwidthEstimator, EstimatorStats, Gcc, PacketReport};
use tokio::sync::watch;

use super::queue::StandingQueue;

/// Under this no picture is worth sending; sound alone needs a third of it.
const MIN_BITRATE: Bitrate = Bitrate::from_kbps(100);
/// Room over what the encoder is allowed, so that an estimate at its ceiling still lets retransmissions and key
/// frames through.
const HEADROOM: f64 = 2.0;
/// A queue shorter than this is one of our own frames passing: a key frame of 40 packets takes 25 ms at 15 Mbit/s.
const QUEUE_TOLERANCE: Duration = Duration::from_millis(25);
/// Loss over this is congestion, whatever the delay says: the threshold of Google congestion control
/// (draft-ietf-rmcat-gcc-02 section 6).
const LOSS_TOLERANCE: f64 = 0.10;
/// How fast the rate rises while nothing speaks against it: 8 % a second, Google congestion control's own pace
/// (section 5.5).
const RISE_PER_SECOND: f64 = 1.08;

/// The estimate, telling each change.
pub(super) struct Estimator {
    inner: Gcc,
    queue: StandingQueue,
    target: f64,
    max: f64,
    updated: Option<Instant>,
    tell: watch::Sender<Bitrate>,
}

impl Estimator {
    /// Starts at `wanted`: a call on a good line is sharp from its first frame on, and the loss and delay that a bad
    /// line answers with bring it down within a second.
    pub(super) fn new(wanted: Bitrate) -> (Self, watch::Receiver<Bitrate>) {
        let (tell, hear) = watch::channel(wanted);
        let bps = wanted.bps() as f64;
        let max = bps * HEADROOM;
        let inner = Gcc::new(bps, MIN_BITRATE.bps() as f64, max);
        (Self { inner, queue: StandingQueue::default(), target: bps, max, updated: None, tell }, hear)
    }

    fn update(&mut self, now: Instant) {
        let elapsed = self.updated.replace(now).map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let queued = self.queue.delay().is_some_and(|delay| delay > QUEUE_TOLERANCE);
        let lossy = self.inner.stats().packet_loss.is_some_and(|loss| loss > LOSS_TOLERANCE);
        let risen = self.target * RISE_PER_SECOND.powf(elapsed.as_secs_f64().min(1.0));
        self.target = if queued || lossy {
            self.target.min(self.inner.target_bitrate())
        } else {
            risen.max(self.inner.target_bitrate()).min(self.max)
        };
        let bitrate = Bitrate::from_bps(self.target.max(1.0) as u64);
        self.tell.send_if_modified(|old| std::mem::replace(old, bitrate) != bitrate);
    }
}

impl BandwidthEstimator for Estimator {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        for report in reports {
            if let Some(arrival) = report.arrival.filter(|_| report.arrived) {
                self.queue.arrived(now, report.departure, arrival);
            }
        }
        self.inner.on_reports(now, reports);
        self.update(now);
    }

    fn target_bitrate(&self) -> f64 {
        self.target
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    fn stats(&self) -> EstimatorStats {
        self.inner.stats()
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
    fn a_bottleneck_brings_the_rate_under_its_capacity() {
        let settled = settle(800e3, 0);
        assert!((200e3..900e3).contains(&settled), "{settled}");
    }

    #[test]
    fn a_free_path_ends_at_the_ceiling() {
        assert!((settle(100e6, 0) - 3e6).abs() < 1.0);
    }
}
