//! What a peer's RTCP says: of its clocks, of what it received, and of what it wants.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use ahoy_media::units::Bitrate;
use rtc::rtcp::{
    payload_feedbacks::{full_intra_request::FullIntraRequest, picture_loss_indication::PictureLossIndication},
    receiver_report::ReceiverReport,
    reception_report::ReceptionReport,
    sender_report::SenderReport,
    transport_feedbacks::transport_layer_nack::TransportLayerNack,
};
use tokio::sync::{mpsc, watch};

use super::{
    super::{LinkReport, stack::Clocks, stats::SharedStats, tap::TappedRtcp},
    lock,
};
use crate::rtp::{
    AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ,
    clock::{Ntp, ReportedClock, WallClock},
    report::round_trip,
    sync::LipSync,
};

/// Streams whose reports are kept: a peer has two, and two more while it changes them.
const MAX_REPORTED: usize = 4;

/// What sender reports say of the peer's streams, and which SSRC is which. A report may come before its stream.
#[derive(Debug, Default)]
pub(in crate::link) struct PeerClocks {
    pub(super) audio: Option<u32>,
    pub(super) video: Option<u32>,
    /// The newest report of each SSRC, newest last.
    reports: VecDeque<SenderReport>,
    pub(super) round_trip: Option<Duration>,
}

impl PeerClocks {
    fn reported(&mut self, report: &SenderReport) {
        self.reports.retain(|old| old.ssrc != report.ssrc);
        self.reports.push_back(report.clone());
        if self.reports.len() > MAX_REPORTED {
            self.reports.pop_front();
        }
    }

    pub(super) fn sync(&self) -> LipSync {
        let clock = |ssrc: Option<u32>, hz| {
            let report = self.reports.iter().find(|report| Some(report.ssrc) == ssrc)?;
            Some(ReportedClock { hz, rtp: report.rtp_time, ntp: Ntp(report.ntp_time) })
        };
        LipSync { audio: clock(self.audio, AUDIO_CLOCK_HZ), video: clock(self.video, VIDEO_CLOCK_HZ) }
    }
}

/// What the reader of RTCP needs to know.
pub(in crate::link) struct RtcpContext {
    /// Our SSRCs.
    pub(in crate::link) video: u32,
    pub(in crate::link) audio: u32,
    pub(in crate::link) wall: WallClock,
    pub(in crate::link) clocks: Clocks,
    pub(in crate::link) reports: mpsc::Sender<LinkReport>,
    pub(in crate::link) stats: SharedStats,
    pub(in crate::link) estimate: watch::Receiver<Bitrate>,
}

/// Reads RTCP and watches the estimate until the link goes down.
pub(in crate::link) async fn read(mut tapped: mpsc::Receiver<TappedRtcp>, mut context: RtcpContext) {
    loop {
        tokio::select! {
            rtcp = tapped.recv() => {
                let Some((arrival, packets)) = rtcp else { return };
                let mut key_wanted = false;
                for packet in &packets {
                    key_wanted |= context.read(arrival, packet.as_any());
                }
                if key_wanted {
                    let _ = context.reports.send(LinkReport::KeyFrameWanted { new_peer: false }).await;
                }
            }
            Ok(()) = context.estimate.changed() => {
                let estimate = *context.estimate.borrow_and_update();
                context.stats.lock().estimate = Some(estimate);
                let _ = context.reports.send(LinkReport::Estimate(estimate)).await;
            }
        }
    }
}

impl RtcpContext {
    /// Takes one packet; true if it wants a key frame.
    fn read(&self, arrival: Instant, packet: &dyn std::any::Any) -> bool {
        if let Some(report) = packet.downcast_ref::<SenderReport>() {
            lock(&self.clocks).reported(report);
            self.read_reception(arrival, &report.reports);
        } else if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
            self.read_reception(arrival, &report.reports);
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
            self.stats.lock().video_out.nacks += u64::from(nack.media_ssrc == self.video);
        } else if packet.downcast_ref::<PictureLossIndication>().is_some_and(|pli| pli.media_ssrc == self.video)
            || packet
                .downcast_ref::<FullIntraRequest>()
                // RFC 5104 section 4.3.1.2: the stream is named in the entries, not in the header
                .is_some_and(|fir| fir.fir.iter().any(|entry| entry.ssrc == self.video))
        {
            self.stats.lock().video_out.key_requests += 1;
            return true;
        }
        false
    }

    fn read_reception(&self, arrival: Instant, reports: &[ReceptionReport]) {
        for report in reports.iter().filter(|report| [self.video, self.audio].contains(&report.ssrc)) {
            if let Some(round_trip) = round_trip(report, self.wall.ntp(arrival)) {
                lock(&self.clocks).round_trip = Some(round_trip);
                self.stats.lock().round_trip = Some(round_trip);
            }
            if report.ssrc == self.video {
                self.stats.lock().loss_out = f64::from(report.fraction_lost) / 256.0;
            }
        }
    }
}
