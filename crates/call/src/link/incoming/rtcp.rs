//! What a peer's RTCP says: of its clocks, of what it received, and of what it wants.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rtc::rtcp::{
    payload_feedbacks::{full_intra_request::FullIntraRequest, picture_loss_indication::PictureLossIndication},
    receiver_report::ReceiverReport,
    reception_report::ReceptionReport,
    sender_report::SenderReport,
    transport_feedbacks::transport_layer_nack::TransportLayerNack,
};
use tokio::sync::{mpsc, watch};

use super::{
    super::{
        LinkReport,
        estimate::Estimate,
        stack::{Ssrcs, Switch},
        tap::TappedRtcp,
    },
    Shared, lock,
};
use crate::rtp::{
    AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ,
    clock::{Ntp, ReportedClock, WallClock},
    red::RedPolicy,
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
    shared: Shared,
    wall: WallClock,
    estimate: watch::Receiver<Estimate>,
    repeat_sound: Switch,
    policy: RedPolicy,
    /// Share of packets that the other side missed, of sound and of pictures, by its newest reports.
    lost: (f64, f64),
    /// The newest FIR: who sent it, and its number.
    fir: Option<(u32, u8)>,
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
                    let _ = context.shared.reports.send(LinkReport::KeyFrameWanted { new_peer: false }).await;
                }
            }
            Ok(()) = context.estimate.changed() => {
                let estimate = *context.estimate.borrow_and_update();
                context.shared.stats.lock().estimate = Some(estimate.target);
                let _ = context.shared.reports.send(LinkReport::Estimate(estimate)).await;
            }
        }
    }
}

impl RtcpContext {
    pub(in crate::link) fn new(
        shared: &Shared,
        wall: WallClock,
        estimate: watch::Receiver<Estimate>,
        repeat_sound: Switch,
    ) -> Self {
        let shared = shared.clone();
        Self { shared, wall, estimate, repeat_sound, policy: RedPolicy::default(), lost: (0.0, 0.0), fir: None }
    }

    /// Takes one packet; true if it wants a key frame.
    fn read(&mut self, arrival: Instant, packet: &dyn std::any::Any) -> bool {
        let video = self.shared.ssrcs.video;
        if let Some(report) = packet.downcast_ref::<SenderReport>() {
            lock(&self.shared.clocks).reported(report);
            self.read_reception(arrival, &report.reports);
        } else if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
            self.read_reception(arrival, &report.reports);
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
            self.shared.stats.lock().video_out.nacks += u64::from(nack.media_ssrc == video);
        } else if packet.downcast_ref::<PictureLossIndication>().is_some_and(|pli| pli.media_ssrc == video)
            || packet.downcast_ref::<FullIntraRequest>().is_some_and(|fir| self.is_new(fir))
        {
            self.shared.stats.lock().video_out.key_requests += 1;
            return true;
        }
        false
    }

    /// A FIR for our pictures that is no repetition of the one before (RFC 5104 section 4.3.1.2: the stream is named in the
    /// entries, not in the header, and a repeated command keeps its number).
    fn is_new(&mut self, fir: &FullIntraRequest) -> bool {
        let Some(entry) = fir.fir.iter().find(|entry| entry.ssrc == self.shared.ssrcs.video) else { return false };
        let command = Some((fir.sender_ssrc, entry.sequence_number));
        std::mem::replace(&mut self.fir, command) != command
    }

    fn read_reception(&mut self, arrival: Instant, reports: &[ReceptionReport]) {
        let Ssrcs { audio, video } = self.shared.ssrcs;
        for report in reports.iter().filter(|report| [video, audio].contains(&report.ssrc)) {
            let lost = f64::from(report.fraction_lost) / 256.0;
            if report.ssrc == audio {
                self.lost.0 = lost;
                self.repeat_sound.set(self.policy.reported(lost));
            } else {
                self.lost.1 = lost;
            }
            let mut stats = self.shared.stats.lock();
            stats.loss_out = self.lost.0.max(self.lost.1);
            stats.sound_repeated = self.repeat_sound.get();
            if let Some(round_trip) = round_trip(report, self.wall.ntp(arrival)) {
                stats.round_trip = Some(round_trip);
                drop(stats);
                lock(&self.shared.clocks).round_trip = Some(round_trip);
            }
        }
    }
}
