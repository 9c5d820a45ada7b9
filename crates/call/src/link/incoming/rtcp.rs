//! What a peer's RTCP says: of its clocks, of what it received, and of what it wants.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use ahoy_media::audio::opus::VoiceEncoding;
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
        outgoing::{Gate, Voice},
        stack::Ssrcs,
        tap::TappedRtcp,
    },
    Shared, lock,
};
use crate::rtp::{
    AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ,
    clock::{Ntp, ReportedClock, WallClock},
    report::round_trip,
    sync::LipSync,
    voice::{VoicePath, VoicePolicy},
};

/// Streams whose reports are kept: a peer has two, and two more while it changes them.
const MAX_REPORTED: usize = 4;

/// What sender reports say of the peer's streams, and which SSRC is which. A report may come before its
/// stream.
#[derive(Debug, Default)]
pub(in crate::link) struct PeerClocks {
    pub(super) audio: Option<u32>,
    pub(super) video: Option<u32>,
    /// The newest report of each SSRC, newest last.
    reports: VecDeque<SenderReport>,
    /// By the newest reception report.
    pub(in crate::link) reported_round_trip: Option<Duration>,
    /// By the newest check of the path.
    pub(in crate::link) checked_round_trip: Option<Duration>,
}

impl PeerClocks {
    fn reported(&mut self, report: &SenderReport) {
        self.reports.retain(|old| old.ssrc != report.ssrc);
        self.reports.push_back(report.clone());
        if self.reports.len() > MAX_REPORTED {
            // Reports for streams that never come push out no report of a stream that is there.
            let in_use = |old: &SenderReport| [self.audio, self.video].contains(&Some(old.ssrc));
            let oldest = self.reports.iter().position(|old| !in_use(old)).unwrap_or(0);
            self.reports.remove(oldest);
        }
    }

    /// A side that sends nothing gets no reports; the path is checked all the same.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.reported_round_trip.or(self.checked_round_trip)
    }

    pub(super) fn sync(&self) -> LipSync {
        let clock = |ssrc: Option<u32>, hz| {
            // A time of 0 says that the sender knows none (RFC 3550 section 6.4.1).
            let report = self.reports.iter().find(|report| Some(report.ssrc) == ssrc && report.ntp_time != 0)?;
            Some(ReportedClock { hz, rtp: report.rtp_time, ntp: Ntp(report.ntp_time) })
        };
        LipSync { audio: clock(self.audio, AUDIO_CLOCK_HZ), video: clock(self.video, VIDEO_CLOCK_HZ) }
    }
}

/// What the reader of RTCP decides for the senders of the link, and what it needs to know of them.
pub(in crate::link) struct Sending {
    pub(in crate::link) gate: Gate,
    pub(in crate::link) voice: Voice,
}

/// What the reader of RTCP needs to know.
pub(in crate::link) struct RtcpContext {
    shared: Shared,
    wall: WallClock,
    estimate: watch::Receiver<Estimate>,
    sending: Sending,
    voice: VoicePolicy,
    /// The engine does not know of the newest plan yet.
    replanned: bool,
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
                if std::mem::take(&mut context.replanned) {
                    let estimate = *context.estimate.borrow();
                    let _ = context.shared.reports.send(LinkReport::Estimate(estimate)).await;
                }
                if key_wanted {
                    let _ = context.shared.reports.send(LinkReport::KeyFrameWanted { new_peer: false }).await;
                }
            }
            Ok(()) = context.estimate.changed() => {
                let estimate = *context.estimate.borrow_and_update();
                context.shared.stats.lock().estimate = Some(estimate.target);
                context.plan_voice(Instant::now());
                context.replanned = false;
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
        sending: Sending,
        best: VoiceEncoding,
    ) -> Self {
        let (shared, voice) = (shared.clone(), VoicePolicy::new(best));
        Self { shared, wall, estimate, sending, voice, replanned: false, lost: (0.0, 0.0), fir: None }
    }

    /// The path is known better now, and how a voice is sent over it may change.
    fn plan_voice(&mut self, now: Instant) {
        let Sending { gate, voice } = &self.sending;
        let round_trip = self.shared.stats.lock().round_trip;
        let plan = self.voice.plan(
            now,
            VoicePath {
                rate: self.estimate.borrow().target,
                round_trip,
                alone: !gate.lets_video_out(),
                takes_red: voice.takes_red.get(),
                takes_dred: voice.takes_dred.get(),
            },
        );
        voice.set_copies(plan.redundancy);
        let mut stats = self.shared.stats.lock();
        self.replanned |= stats.voice.replace(plan) != Some(plan);
        stats.sound_repeated = voice.copies() > 0;
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

    /// A FIR for our pictures that is no repetition of the one before (RFC 5104 section 4.3.1.2: the stream
    /// is named in the entries, not in the header, and a repeated command keeps its number).
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
                self.voice.reported(lost);
                self.plan_voice(arrival);
            } else {
                self.lost.1 = lost;
            }
            let mut stats = self.shared.stats.lock();
            stats.loss_out = self.lost.0.max(self.lost.1);
            if let Some(round_trip) = round_trip(report, self.wall.ntp(arrival)) {
                stats.round_trip = Some(round_trip);
                drop(stats);
                lock(&self.shared.clocks).reported_round_trip = Some(round_trip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use bytes::Bytes;
    use rtc::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;

    use ahoy_media::{audio::opus::OpusSettings, units::Bitrate};

    use super::*;
    use crate::{
        link::{
            Tasks,
            description::{Addresses, Session},
            stack::{Clocks, Switch},
            stats::SharedStats,
        },
        rtp::sync::Playout,
    };

    const OUR_AUDIO: u32 = 1;
    const OUR_VIDEO: u32 = 2;
    const PEER_AUDIO: u32 = 3;
    const PEER_VIDEO: u32 = 4;

    fn context() -> RtcpContext {
        let shared = Shared {
            ssrcs: Ssrcs { audio: OUR_AUDIO, video: OUR_VIDEO },
            reports: mpsc::channel(8).0,
            stats: SharedStats::default(),
            playing: Switch::default(),
            formats: Arc::default(),
            session: Session::new(Addresses::Network),
            clocks: Clocks::default(),
            tasks: Tasks::new().0,
            restarts: Default::default(),
        };
        let wall = WallClock::new(Instant::now(), SystemTime::now());
        let estimate = Estimate {
            target: Bitrate::from_kbps(300),
            loss: 0.0,
            protection: 0.0,
            queue: Duration::ZERO,
            limit: crate::link::Limit::None,
        };
        let sending = Sending { gate: Gate::default(), voice: Voice::default() };
        sending.voice.takes_red.set(true);
        let best = OpusSettings::default().encoding();
        let context = RtcpContext::new(&shared, wall, watch::channel(estimate).1, sending, best);
        let mut clocks = lock(&context.shared.clocks);
        (clocks.audio, clocks.video) = (Some(PEER_AUDIO), Some(PEER_VIDEO));
        drop(clocks);
        context
    }

    fn sent(ssrc: u32, ntp_time: u64, rtp_time: u32) -> SenderReport {
        SenderReport { ssrc, ntp_time, rtp_time, ..SenderReport::default() }
    }

    /// The skew of a picture and a sound that were captured 100 ms after what sane reports tell of.
    fn skew(context: &RtcpContext) -> Option<f64> {
        let now = Instant::now();
        let playout = Playout { timestamp: 4800, at: now };
        lock(&context.shared.clocks).sync().skew(9000, Some(playout), now)
    }

    #[test]
    fn lip_sync_recovers_with_the_first_sane_reports() {
        let mut context = context();
        let now = Instant::now();
        let ntp = 4_000_000_000_u64 << 32;
        let mut tell = |audio, video| {
            context.read(now, &sent(PEER_AUDIO, audio, 0));
            context.read(now, &sent(PEER_VIDEO, video, 0));
            skew(&context)
        };
        let sane = |skew: Option<f64>| skew.is_some_and(|skew| skew.abs() < 0.001);
        assert!(sane(tell(ntp, ntp)));
        for absurd in [u64::MAX, 1, ntp + (1 << 60), ntp - (1 << 60), ntp ^ (1 << 63)] {
            assert_eq!(tell(ntp, absurd), None, "{absurd:#x}");
            assert!(sane(tell(ntp, ntp)), "after {absurd:#x}");
        }
        // A sender without a clock says so, and its media time is no common one.
        assert_eq!(tell(0, 0), None);
        assert!(sane(tell(ntp, ntp)));
    }

    #[test]
    fn reports_of_streams_that_never_come_take_no_place() {
        let mut context = context();
        let (now, ntp) = (Instant::now(), 4_000_000_000_u64 << 32);
        context.read(now, &sent(PEER_AUDIO, ntp, 0));
        context.read(now, &sent(PEER_VIDEO, ntp, 0));
        for ssrc in 100..10_000 {
            context.read(now, &sent(ssrc, u64::MAX, 0));
        }
        assert!(skew(&context).is_some());
        assert!(lock(&context.shared.clocks).reports.len() <= MAX_REPORTED);
        // A stream whose report comes before its first packet.
        context.read(now, &sent(500, ntp, 0));
        lock(&context.shared.clocks).video = Some(500);
        assert!(skew(&context).is_some());
    }

    #[test]
    fn impossible_reception_reports_leave_possible_stats() {
        let mut context = context();
        let now = Instant::now();
        for ssrc in [OUR_AUDIO, OUR_VIDEO, PEER_AUDIO, 0, u32::MAX] {
            for number in [0, 1, 1 << 31, u32::MAX - 1, u32::MAX] {
                let report = ReceptionReport {
                    ssrc,
                    fraction_lost: 255,
                    total_lost: number,
                    last_sequence_number: number,
                    jitter: number,
                    last_sender_report: number,
                    delay: number,
                };
                context.read(
                    now,
                    &ReceiverReport { ssrc: PEER_AUDIO, reports: vec![report.clone(); 31], ..Default::default() },
                );
                context.read(now, &SenderReport { reports: vec![report; 31], ..sent(PEER_AUDIO, u64::MAX, number) });
                let stats = *context.shared.stats.lock();
                assert!((0.0..=1.0).contains(&stats.loss_out), "{stats:?}");
                assert!(stats.round_trip.is_none_or(|rtt| rtt <= Duration::from_secs(20)), "{stats:?}");
            }
        }
        assert!(context.sending.voice.copies() > 0);
        // And all is well again once it is.
        for _ in 0..100 {
            for ssrc in [OUR_AUDIO, OUR_VIDEO] {
                let report = ReceptionReport { ssrc, ..Default::default() };
                context.read(now, &ReceiverReport { ssrc: PEER_AUDIO, reports: vec![report], ..Default::default() });
            }
        }
        assert_eq!(context.shared.stats.lock().loss_out, 0.0);
        assert_eq!(context.sending.voice.copies(), 0);
    }

    /// A REMB of `bits` (6 of exponent, 18 of mantissa) as it comes from the network.
    fn remb(bits: u32) -> Vec<u8> {
        let [_, a, b, c] = bits.to_be_bytes();
        let mut packet = vec![0x8f, 206, 0, 5, 0, 0, 0, 3, 0, 0, 0, 0];
        packet.extend([b'R', b'E', b'M', b'B', 1, a, b, c]);
        packet.extend(OUR_VIDEO.to_be_bytes());
        packet
    }

    #[test]
    fn a_maximum_bitrate_of_nothing_or_of_everything_changes_nothing() {
        let mut context = context();
        let before = *context.shared.stats.lock();
        // 0, 0 with an exponent, 2^64 and the largest number there is.
        for bits in [0, 63 << 18, (47 << 18) | 0x2_0000, 0xff_ffff, 1] {
            let packets = rtc::rtcp::packet::unmarshal(&mut Bytes::from(remb(bits))).expect("a REMB");
            assert!(packets.iter().any(|packet| packet.as_any().is::<ReceiverEstimatedMaximumBitrate>()));
            for packet in packets {
                assert!(!context.read(Instant::now(), packet.as_any()), "{bits:#x} wants a key frame");
            }
            assert_eq!(*context.shared.stats.lock(), before, "{bits:#x}");
        }
    }
}
