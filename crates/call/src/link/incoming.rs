//! From the stack to the sinks: events, RTCP, sound and pictures of one peer.

use std::{
    collections::VecDeque,
    future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ahoy_media::{units::Bitrate, video::vp8::frame_size};
use async_trait::async_trait;
use rtc::{
    rtcp::{
        self,
        payload_feedbacks::{full_intra_request::FullIntraRequest, picture_loss_indication::PictureLossIndication},
        receiver_report::ReceiverReport,
        reception_report::ReceptionReport,
        sender_report::SenderReport,
        transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers},
    },
    rtp_transceiver::rtp_sender::RtpCodecKind,
};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, trace};
use webrtc::{
    media_stream::track_remote::{TrackRemote, TrackRemoteEvent},
    peer_connection::{
        PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
    },
};

use super::{
    Incoming, LinkReport,
    outgoing::Gate,
    stack::{Clocks, Playing},
    stats::{FreezeDetector, SharedStats},
    tap::TappedRtcp,
};
use crate::{
    message::IceCandidate,
    rtp::{
        AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ,
        clock::{Ntp, ReportedClock, WallClock},
        receive::{ReceiveOutput, ReceiveStats, ReceivedFrame, VideoPacket, VideoReceiver},
        report::round_trip,
        sync::{LipSync, Playout},
    },
    state::LinkEvent,
};

/// Frames held for lip sync: more than the longest hold has at any rate a camera gives.
const MAX_HELD: usize = 64;
/// Streams whose reports are kept: a peer has two, and two more while it changes them.
const MAX_REPORTED: usize = 4;

/// One packet of sound as it came.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedAudio<'a> {
    /// RTP synchronization source.
    pub ssrc: u32,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// The Opus packet.
    pub payload: &'a [u8],
    /// When it came.
    pub arrival: Instant,
}

/// Takes packets of sound.
pub type AudioSink = Box<dyn FnMut(ReceivedAudio<'_>) + Send>;
/// Takes pictures, decodable and in order, when they are to be shown.
pub type VideoSink = Box<dyn FnMut(ReceivedFrame) + Send>;

/// Where a link's received media goes. Called from the link's tasks: must not block.
pub struct Sinks {
    /// For sound.
    pub audio: AudioSink,
    /// For pictures.
    pub video: VideoSink,
    /// What the speaker is playing of this peer now; for lip sync.
    pub playout: Box<dyn Fn() -> Option<Playout> + Send + Sync>,
}

/// What sender reports say of the peer's streams, and which SSRC is which. A report may come before its stream.
#[derive(Debug, Default)]
pub(super) struct PeerClocks {
    audio: Option<u32>,
    video: Option<u32>,
    /// The newest report of each SSRC, newest last.
    reports: VecDeque<SenderReport>,
    round_trip: Option<Duration>,
}

impl PeerClocks {
    fn reported(&mut self, report: &SenderReport) {
        self.reports.retain(|old| old.ssrc != report.ssrc);
        self.reports.push_back(report.clone());
        if self.reports.len() > MAX_REPORTED {
            self.reports.pop_front();
        }
    }

    fn sync(&self) -> LipSync {
        let clock = |ssrc: Option<u32>, hz| {
            let report = self.reports.iter().find(|report| Some(report.ssrc) == ssrc)?;
            Some(ReportedClock { hz, rtp: report.rtp_time, ntp: Ntp(report.ntp_time) })
        };
        LipSync { audio: clock(self.audio, AUDIO_CLOCK_HZ), video: clock(self.video, VIDEO_CLOCK_HZ) }
    }
}

/// The stack's callbacks. They run in its event loop, so they only start things.
pub(super) struct Handler {
    reports: mpsc::Sender<LinkReport>,
    sinks: Arc<Mutex<Sinks>>,
    key_request: Arc<Notify>,
    gate: Gate,
    pause: Arc<Notify>,
    stats: SharedStats,
    playing: Playing,
    clocks: Clocks,
}

impl Handler {
    pub(super) fn new(
        reports: mpsc::Sender<LinkReport>,
        incoming: Incoming,
        stats: SharedStats,
        playing: Playing,
    ) -> Self {
        let Incoming { sinks, key_request, pause, gate } = incoming;
        let sinks = Arc::new(Mutex::new(sinks));
        Self { reports, sinks, key_request, pause, gate, stats, playing, clocks: Clocks::default() }
    }

    pub(super) fn clocks(&self) -> Clocks {
        Arc::clone(&self.clocks)
    }

    async fn report(&self, event: LinkEvent) {
        let _ = self.reports.send(LinkReport::Event(event)).await;
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(init) => {
                self.report(LinkEvent::LocalCandidate(IceCandidate {
                    candidate: init.candidate,
                    // The crate leaves both out. Everything is bundled into the first section (RFC 8843), and
                    // browsers refuse a candidate that names no section.
                    sdp_mid: init.sdp_mid.filter(|mid| !mid.is_empty()),
                    sdp_m_line_index: init.sdp_mline_index.or(Some(0)),
                    username_fragment: init.username_fragment,
                }))
                .await;
            }
            Err(error) => debug!(%error, "a candidate of our own cannot be written"),
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.report(LinkEvent::LocalCandidatesDone).await;
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        debug!(?state, "connection");
        match state {
            RTCPeerConnectionState::Connected => {
                self.gate.set_connected(true);
                self.report(LinkEvent::Connected).await;
                let _ = self.reports.send(LinkReport::KeyFrameWanted { new_peer: true }).await;
            }
            RTCPeerConnectionState::Disconnected | RTCPeerConnectionState::Failed => {
                self.gate.set_connected(false);
                self.report(LinkEvent::Disconnected).await;
            }
            // On the way there, or closed by us. (The crate's enum may grow.)
            _ => {}
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let (reports, sinks) = (self.reports.clone(), Arc::clone(&self.sinks));
        match track.kind().await {
            RtpCodecKind::Audio => {
                tokio::spawn(audio(track, sinks, reports, self.stats.clone(), self.playing.clone(), self.clocks()));
            }
            RtpCodecKind::Video => {
                let incoming = IncomingVideo {
                    sinks,
                    reports,
                    key_request: Arc::clone(&self.key_request),
                    pause: Arc::clone(&self.pause),
                    stats: self.stats.clone(),
                    playing: self.playing.clone(),
                    clocks: self.clocks(),
                    receiver: VideoReceiver::default(),
                    held: VecDeque::new(),
                    freezes: FreezeDetector::default(),
                    ssrc: 0,
                    shown_any: false,
                    skipping: false,
                    before: ReceiveStats::default(),
                };
                tokio::spawn(incoming.run(track));
            }
            _ => debug!("a track that is neither sound nor picture"),
        }
    }
}

async fn audio(
    track: Arc<dyn TrackRemote>,
    sinks: Arc<Mutex<Sinks>>,
    reports: mpsc::Sender<LinkReport>,
    stats: SharedStats,
    playing: Playing,
    clocks: Clocks,
) {
    let mut first = true;
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let arrival = Instant::now();
        lock(&clocks).audio = Some(packet.header.ssrc);
        {
            let mut stats = stats.lock();
            stats.audio_in_packets += 1;
            stats.audio_in_bytes += packet.payload.len() as u64;
        }
        if packet.payload.is_empty() || !playing.get() {
            continue;
        }
        (lock(&sinks).audio)(ReceivedAudio {
            ssrc: packet.header.ssrc,
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            payload: &packet.payload,
            arrival,
        });
        if std::mem::take(&mut first) {
            let _ = reports.send(LinkReport::FirstAudio).await;
        }
    }
}

/// A picture waiting for its sound.
struct Held {
    release: Instant,
    frame: ReceivedFrame,
}

struct IncomingVideo {
    sinks: Arc<Mutex<Sinks>>,
    reports: mpsc::Sender<LinkReport>,
    key_request: Arc<Notify>,
    pause: Arc<Notify>,
    stats: SharedStats,
    playing: Playing,
    clocks: Clocks,
    receiver: VideoReceiver,
    held: VecDeque<Held>,
    freezes: FreezeDetector,
    ssrc: u32,
    shown_any: bool,
    /// A picture was left out: nothing can be shown before the next key frame.
    skipping: bool,
    /// What was counted of streams before this SSRC.
    before: ReceiveStats,
}

impl IncomingVideo {
    async fn run(mut self, track: Arc<dyn TrackRemote>) {
        loop {
            let due = [self.receiver.next_deadline(), self.held.front().map(|held| held.release)];
            let due = due.into_iter().flatten().min();
            let alarm = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                event = track.poll() => match event {
                    Some(TrackRemoteEvent::OnRtpPacket(packet)) => self.take(packet),
                    Some(_) => continue,
                    None => return,
                },
                () = self.key_request.notified() => self.receiver.want_key_frame(Instant::now()),
                () = self.pause.notified() => self.freezes.pause(),
                () = alarm => self.receiver.handle_timeout(Instant::now()),
            }
            self.carry_out(&*track).await;
            self.show_due().await;
        }
    }

    fn take(&mut self, packet: rtc::rtp::Packet) {
        let now = Instant::now();
        if self.ssrc != packet.header.ssrc {
            // The sender began a new stream: nothing of the old one continues in it.
            self.ssrc = packet.header.ssrc;
            self.before = self.before + self.receiver.stats();
            self.receiver = VideoReceiver::default();
        }
        let mut clocks = lock(&self.clocks);
        clocks.video = Some(self.ssrc);
        if let Some(round_trip) = clocks.round_trip {
            self.receiver.set_round_trip(round_trip);
        }
        drop(clocks);
        self.receiver.insert(
            now,
            VideoPacket {
                sequence: packet.header.sequence_number,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                payload: packet.payload,
            },
        );
    }

    async fn carry_out(&mut self, track: &dyn TrackRemote) {
        while let Some(output) = self.receiver.poll_output() {
            let feedback: Box<dyn rtcp::Packet> = match output {
                ReceiveOutput::Frame(frame) => {
                    self.hold(frame);
                    continue;
                }
                ReceiveOutput::Nack(sequences) => Box::new(TransportLayerNack {
                    sender_ssrc: 0,
                    media_ssrc: self.ssrc,
                    nacks: nack_pairs_from_sequence_numbers(&sequences),
                }),
                ReceiveOutput::RequestKeyFrame => {
                    Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc: self.ssrc })
                }
            };
            if let Err(error) = track.write_rtcp(vec![feedback]).await {
                trace!(%error, "feedback not sent");
            }
        }
        self.stats.lock().video_in.receive = self.before + self.receiver.stats();
    }

    fn hold(&mut self, frame: ReceivedFrame) {
        let now = Instant::now();
        let playout = (lock(&self.sinks).playout)();
        let hold = lock(&self.clocks).sync().hold(frame.timestamp, playout, now);
        // In order, whatever the clocks say.
        let release = self.held.back().map_or(now + hold, |last| last.release.max(now + hold));
        if self.held.len() < MAX_HELD {
            self.held.push_back(Held { release, frame });
        } else {
            self.skipping = true;
        }
    }

    async fn show_due(&mut self) {
        let now = Instant::now();
        while self.held.front().is_some_and(|held| held.release <= now) {
            let Some(Held { frame, .. }) = self.held.pop_front() else { return };
            if !self.playing.get() {
                self.freezes.pause();
                self.skipping = true;
                continue;
            }
            if self.skipping && !frame.key {
                self.receiver.want_key_frame(now);
                continue;
            }
            self.skipping = false;
            {
                let playout = (lock(&self.sinks).playout)();
                let mut stats = self.stats.lock();
                stats.video_in.skew = lock(&self.clocks).sync().skew(frame.timestamp, playout, now);
                self.freezes.shown(now, &mut stats.video_in);
                if let Some(size) = frame.key.then(|| frame_size(&frame.data)).flatten() {
                    stats.video_in.size = size;
                }
            }
            (lock(&self.sinks).video)(frame);
            if !std::mem::replace(&mut self.shown_any, true) {
                let _ = self.reports.send(LinkReport::FirstVideo).await;
            }
        }
    }
}

/// What the reader of RTCP needs to know.
pub(super) struct RtcpContext {
    /// Our SSRCs.
    pub(super) video: u32,
    pub(super) audio: u32,
    pub(super) wall: WallClock,
    pub(super) clocks: Clocks,
    pub(super) reports: mpsc::Sender<LinkReport>,
    pub(super) stats: SharedStats,
    pub(super) estimate: watch::Receiver<Bitrate>,
}

/// Reads RTCP and watches the estimate until the link goes down.
pub(super) async fn rtcp(mut tapped: mpsc::Receiver<TappedRtcp>, mut context: RtcpContext) {
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
