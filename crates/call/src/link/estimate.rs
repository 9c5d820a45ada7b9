//! The seam for congestion control: an estimator of the crate, watched.
//!
//! A better one replaces [`Estimator::new`]'s inner value; everything else stays.

use std::time::Instant;

use ahoy_media::units::Bitrate;
use rtc::interceptor::{BandwidthEstimator, EstimatorStats, Gcc, PacketReport};
use tokio::sync::watch;

/// Under this no picture is worth sending; sound alone needs a third of it.
pub(crate) const MIN_BITRATE: Bitrate = Bitrate::from_kbps(100);
/// Room over what the encoder is allowed, so that an estimate at its ceiling still lets retransmissions and key
/// frames through.
const HEADROOM: f64 = 2.0;

/// Google congestion control by the crate, telling each change.
pub(super) struct Estimator {
    inner: Gcc,
    tell: watch::Sender<Bitrate>,
}

impl Estimator {
    /// Starts at `wanted`: a call on a good line is sharp from its first frame on, and the loss and delay that a bad
    /// line answers with bring it down within a second.
    pub(super) fn new(wanted: Bitrate) -> (Self, watch::Receiver<Bitrate>) {
        let (tell, hear) = watch::channel(wanted);
        let bps = wanted.bps() as f64;
        (Self { inner: Gcc::new(bps, MIN_BITRATE.bps() as f64, bps * HEADROOM), tell }, hear)
    }

    fn publish(&self) {
        let bitrate = Bitrate::from_bps(self.inner.target_bitrate().max(1.0) as u64);
        self.tell.send_if_modified(|old| {
            let changed = *old != bitrate;
            *old = bitrate;
            changed
        });
    }
}

impl BandwidthEstimator for Estimator {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        self.inner.on_reports(now, reports);
        self.publish();
    }

    fn target_bitrate(&self) -> f64 {
        self.inner.target_bitrate()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
        self.publish();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    fn stats(&self) -> EstimatorStats {
        self.inner.stats()
    }
}
