//! From the stack to the sinks: the stack's callbacks, and the sound of one peer. Its pictures and its RTCP
//! have files of their own.

mod rtcp;
mod video;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::{Notify, mpsc};
use tracing::{debug, trace};
use webrtc::{
    media_stream::track_remote::{TrackRemote, TrackRemoteEvent},
    peer_connection::{
        PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
    },
};

use super::{
    Incoming, LinkReport, Tasks,
    description::Session,
    outgoing::Gate,
    restart::{PATIENCE, Restarts},
    stack::{Clocks, SoundFormats, Ssrcs, Switch},
    stats::SharedStats,
};
pub(super) use rtcp::{PeerClocks, RtcpContext, Sending, read as read_rtcp};
use video::IncomingVideo;

use crate::{
    message::IceCandidate,
    network,
    rtp::{receive::ReceivedFrame, red, sync::Playout},
    state::LinkEvent,
};

/// One packet of sound as it came.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedAudio<'a> {
    /// It came within a later packet (RFC 2198), and is of use only if it did not come by itself.
    pub redundant: bool,
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
    /// Delays sound by so much more than the network asks for, so that late video keeps up with it.
    pub hold_sound: Box<dyn Fn(Duration) + Send + Sync>,
}

/// The stack's callbacks. They run in its event loop, so they only start things.
pub(super) struct Handler {
    shared: Shared,
    // Apart, so that sound never waits for a picture.
    audio: Arc<Mutex<AudioSink>>,
    video: Arc<Mutex<VideoSink>>,
    playout: PlayoutOf,
    hold_sound: Arc<dyn Fn(Duration) + Send + Sync>,
    key_request: Arc<Notify>,
    gate: Gate,
    pause: Arc<Notify>,
}

/// What all tasks that receive work with.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) ssrcs: Ssrcs,
    pub(super) reports: mpsc::Sender<LinkReport>,
    pub(super) stats: SharedStats,
    /// What comes in is handed on.
    pub(super) playing: Switch,
    pub(super) formats: Arc<SoundFormats>,
    pub(super) session: Session,
    pub(super) clocks: Clocks,
    pub(super) restarts: Restarts,
    pub(super) tasks: Tasks,
}

impl Shared {
    async fn report(&self, report: LinkReport) {
        // Where the engine has let go of the link, nobody wants to know.
        let _ = self.reports.send(report).await;
    }
}

/// What the speaker is playing of the peer now.
type PlayoutOf = Arc<dyn Fn() -> Option<Playout> + Send + Sync>;

impl Handler {
    pub(super) fn new(incoming: Incoming, shared: Shared) -> Self {
        let Incoming { sinks: Sinks { audio, video, playout, hold_sound }, key_request, pause, gate } = incoming;
        let (audio, video) = (Arc::new(Mutex::new(audio)), Arc::new(Mutex::new(video)));
        Self { shared, audio, video, playout: playout.into(), hold_sound: hold_sound.into(), key_request, gate, pause }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    async fn report(&self, event: LinkEvent) {
        self.shared.report(LinkReport::Event(event)).await;
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(init) if !network::is_offerable(&init.candidate) => debug!(?init, "no candidate for a peer"),
            Ok(init) => {
                self.report(LinkEvent::LocalCandidate(IceCandidate {
                    candidate: init.candidate,
                    // The crate leaves both out, and browsers refuse a candidate that names no section.
                    sdp_mid: init.sdp_mid.filter(|mid| !mid.is_empty()),
                    sdp_m_line_index: init.sdp_mline_index.or(Some(self.shared.session.place_of_transport())),
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
        let connected = state == RTCPeerConnectionState::Connected;
        let (number, was_connected) = self.shared.restarts.state_changed(connected);
        match state {
            RTCPeerConnectionState::Connected => {
                self.gate.set_connected(true);
                self.report(LinkEvent::Connected).await;
                self.shared.report(LinkReport::KeyFrameWanted { new_peer: true }).await;
            }
            RTCPeerConnectionState::Disconnected | RTCPeerConnectionState::Failed => {
                self.gate.set_connected(false);
                self.report(LinkEvent::Disconnected).await;
            }
            // An ICE restart took the path away. Where it finds none, the stack says so after a minute only.
            RTCPeerConnectionState::Connecting if was_connected => {
                let (shared, gate) = (self.shared.clone(), self.gate.clone());
                self.shared.tasks.spawn(async move {
                    tokio::time::sleep(PATIENCE).await;
                    if shared.restarts.is_current(number) {
                        gate.set_connected(false);
                        shared.report(LinkReport::Event(LinkEvent::Disconnected)).await;
                    }
                });
            }
            // On the way there, or closed by us. (The crate's enum may grow.)
            _ => {}
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        match track.kind().await {
            RtpCodecKind::Audio => self.shared.tasks.spawn(audio(track, Arc::clone(&self.audio), self.shared.clone())),
            RtpCodecKind::Video => self.shared.tasks.spawn(IncomingVideo::new(self).run(track)),
            _ => debug!("a track that is neither sound nor picture"),
        }
    }
}

async fn audio(track: Arc<dyn TrackRemote>, sink: Arc<Mutex<AudioSink>>, shared: Shared) {
    let mut first = true;
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let arrival = Instant::now();
        lock(&shared.clocks).audio = Some(packet.header.ssrc);
        {
            let mut stats = shared.stats.lock();
            stats.audio_in_packets += 1;
            stats.audio_in_bytes += packet.payload.len() as u64;
        }
        if packet.payload.is_empty() || !shared.playing.get() {
            continue;
        }
        if !hand_on(&packet, arrival, &shared.formats, &mut lock(&sink)) {
            trace!(payload_type = packet.header.payload_type, "a packet that holds no sound of ours");
            continue;
        }
        if std::mem::take(&mut first) {
            shared.report(LinkReport::FirstAudio).await;
        }
    }
}

/// Gives what a packet holds to the sink, its own sound first: what it repeats is older than something known
/// then. False: there was nothing of ours in it.
fn hand_on(packet: &rtc::rtp::Packet, arrival: Instant, formats: &SoundFormats, sink: &mut AudioSink) -> bool {
    let rtc::rtp::header::Header { ssrc, sequence_number, timestamp, payload_type, .. } = packet.header;
    let mut give = |payload, before: u16, offset: u32| {
        sink(ReceivedAudio {
            redundant: before > 0,
            ssrc,
            sequence: sequence_number.wrapping_sub(before),
            timestamp: timestamp.wrapping_sub(offset),
            payload,
            arrival,
        });
    };
    if !formats.is_red(payload_type) {
        give(&packet.payload, 0, 0);
        return true;
    }
    let Some(blocks) = red::blocks(&packet.payload) else { return false };
    let mut any = false;
    for block in blocks.filter(|block| formats.is_opus(block.payload_type) && !block.payload.is_empty()) {
        any = true;
        give(block.payload, block.distance, block.offset);
    }
    any
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
