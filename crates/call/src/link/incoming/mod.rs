//! From the stack to the sinks: the stack's callbacks, and the sound of one peer. Its pictures and its RTCP have files of
//! their own.

mod rtcp;
mod video;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::{Notify, mpsc};
use tracing::debug;
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
    stats::SharedStats,
};
pub(super) use rtcp::{PeerClocks, RtcpContext, read as read_rtcp};
use video::IncomingVideo;

use crate::{
    message::IceCandidate,
    rtp::{receive::ReceivedFrame, sync::Playout},
    state::LinkEvent,
};

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
                let incoming = IncomingVideo::new(self);
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
