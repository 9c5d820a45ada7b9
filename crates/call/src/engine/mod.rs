//! The engine: carries out what the call state decides, with real devices, links and messages.
//!
//! One task owns everything (`actor`); whoever uses the engine holds an [`Engine`], which only sends it
//! commands, and reads its events from [`Events`].
//!
//! ```text
//! EngineCommand ─┐                     ┌─▶ Signaler (by a queue and a task of each peer)
//! Signaler ──────┼─▶ Switchboard ──▶ ──┼─▶ PeerLink of each peer
//! LinkReport ────┘   (pure state)      └─▶ CallEvent
//!
//! camera ─┬─▶ encoder ─▶ each link            each link ─▶ hub stream of that peer ─▶ page
//!         └─▶ small pictures ─▶ hub stream "local"      └▶ mixer ─▶ speaker
//! microphone ────────▶ each link
//! ```

mod actor;
mod device;
mod hearing;
pub mod interval;
mod judge;
mod keyframes;
mod ladder;
mod local;
mod remote;
mod roaming;
mod routes;
mod running;
mod stats;

use std::sync::Arc;

use ahoy_media::{
    audio::{microphone::MicrophoneSpec, opus::OpusSettings, process::ProcessingSettings, speaker::SpeakerSpec},
    units::{Bitrate, VideoFormat},
    video::capture::CameraSpec,
    webm::hub::{Hub, StreamId},
};
use tokio::sync::{mpsc, oneshot};

pub use ladder::{Adapted, VideoLimit};
pub use stats::{AudioIn, PeerStats, VideoEncoding};

use crate::{
    event::CallEvent,
    id::{CallId, PeerId},
    link::{IceServer, Impairment, ProbeTurn},
    signaler::Signaler,
};

/// More than any camera gives.
const UNLIMITED: VideoFormat =
    VideoFormat { width: VideoFormat::MAX_SIDE, height: VideoFormat::MAX_SIDE, fps: VideoFormat::MAX_FPS };

/// What the engine works with. None for a device: the call is made without it.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Gives pictures.
    pub camera: Option<CameraSpec>,
    /// Gives sound.
    pub microphone: Option<MicrophoneSpec>,
    /// Plays sound.
    pub speaker: SpeakerSpec,
    /// Wanted size and rate of the camera; a limit that allows more makes it more.
    pub video: VideoFormat,
    /// The largest frames that are sent; none: as large as the camera gives them.
    pub largest: Option<VideoFormat>,
    /// Ceiling of the video encoder.
    pub bitrate: Bitrate,
    /// Limit of everything that is sent to a peer, sound and repairs included; none: no limit.
    pub total: Option<Bitrate>,
    /// Echo, noise, gain.
    pub processing: ProcessingSettings,
    /// The sound encoder.
    pub opus: OpusSettings,
    /// STUN and TURN servers.
    pub ice_servers: Vec<IceServer>,
    /// Only by relay.
    pub relay_only: bool,
    /// A peer that runs on this machine: there is nothing to hide from it, so `relay_only` is not for it.
    pub same_machine: Option<PeerId>,
    /// Only this machine.
    pub loopback_only: bool,
    /// A bad network, for tests.
    pub impairment: Option<Impairment>,
    /// Our own picture is shown to us too, as the hub stream [`LOCAL_STREAM`]: some 2 % of a core where its
    /// frames are read, and less where its pictures are.
    pub own_picture: bool,
    /// Shared by all engines of this program: one of their links probes its path at a time.
    pub probe_turn: ProbeTurn,
    /// Instead of what the devices give, each peer gets back what it sends; no device is opened but the
    /// speaker.
    pub echo: bool,
}

impl EngineConfig {
    /// The devices in it.
    pub fn devices(&self) -> Devices {
        let Self { camera, microphone, speaker, processing, .. } = self;
        Devices {
            camera: camera.clone(),
            microphone: microphone.clone(),
            speaker: speaker.clone(),
            processing: *processing,
        }
    }

    /// What is sent of the camera at most.
    pub fn limit(&self) -> VideoLimit {
        VideoLimit { format: self.largest.unwrap_or(UNLIMITED), bitrate: self.bitrate, total: self.total }
    }

    /// What the camera is asked for.
    pub(crate) fn camera_format(&self) -> VideoFormat {
        self.largest.into_iter().chain([self.video]).max_by_key(VideoFormat::area).unwrap_or(self.video)
    }

    /// With another limit of what is sent of the camera.
    #[must_use]
    pub fn with_limit(self, VideoLimit { format, bitrate, total }: VideoLimit) -> Self {
        Self { largest: Some(format), bitrate, total, ..self }
    }

    /// With other devices in it.
    #[must_use]
    pub fn with_devices(self, devices: Devices) -> Self {
        let Devices { camera, microphone, speaker, processing } = devices;
        Self { camera, microphone, speaker, processing, ..self }
    }
}

/// The devices that are worked with, and what is done to the microphone's sound. None: the call goes on
/// without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// Gives pictures.
    pub camera: Option<CameraSpec>,
    /// Gives sound.
    pub microphone: Option<MicrophoneSpec>,
    /// Plays sound.
    pub speaker: SpeakerSpec,
    /// Echo, noise, gain.
    pub processing: ProcessingSettings,
}

/// What a user can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineCommand {
    /// Call somebody.
    Call {
        /// Whom.
        peer: PeerId,
        /// Name of the call.
        id: CallId,
    },
    /// Take the call that rings.
    Accept,
    /// Do not take it.
    Decline,
    /// End the call.
    HangUp,
    /// Put the call on hold.
    Hold,
    /// Take it back.
    Resume,
    /// Microphone on (true) or muted.
    SetAudio(bool),
    /// Camera on (true) or off, its device closed.
    SetVideo(bool),
    /// Work with these devices from now on, in a call that runs as well. Of those that are others than
    /// before, the old one is closed and the new one opened; one that cannot be opened is told
    /// ([`CallEvent::DeviceMissing`]), and the call goes on without it. An echo has no devices to choose.
    SetDevices(Devices),
    /// Limit the camera's video from now on, also in the active call. A limit above the size that the camera
    /// was opened with opens it anew at a larger size, if it has one.
    SetVideoLimit(VideoLimit),
}

/// Something happened in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineEvent {
    /// Which call.
    pub call: CallId,
    /// What.
    pub event: CallEvent,
}

/// The engine's events, in order; ends when the engine has stopped.
pub type Events = mpsc::UnboundedReceiver<EngineEvent>;

/// Name of the hub stream with our own picture: small, see
/// [`SmallPictures`](ahoy_media::video::small::SmallPictures).
pub const LOCAL_STREAM: &str = "local";

/// Name of the hub stream with a peer's picture. It lasts as long as the peer is in the call.
pub fn remote_stream(call: &CallId, peer: &PeerId) -> StreamId {
    StreamId::new(format!("{call}/{peer}"))
}

/// A running engine. When the last handle is dropped it hangs up and stops.
#[derive(Clone, Debug)]
pub struct Engine {
    requests: mpsc::UnboundedSender<Request>,
}

#[derive(Debug)]
enum Request {
    Command(EngineCommand),
    Stats(oneshot::Sender<Vec<PeerStats>>),
    Timeline(oneshot::Sender<serde_json::Value>),
    Stop(oneshot::Sender<()>),
}

impl Engine {
    /// Starts an engine on the current tokio runtime. Pictures go to streams of `hub`.
    pub fn start(config: EngineConfig, signaler: Arc<dyn Signaler>, hub: Hub) -> (Self, Events) {
        let (requests, inbox) = mpsc::unbounded_channel();
        let (events, outbox) = mpsc::unbounded_channel();
        tokio::spawn(actor::Actor::new(config, signaler, hub, events).run(inbox));
        (Self { requests }, outbox)
    }

    /// Does something. What comes of it is told by events.
    pub fn command(&self, command: EngineCommand) {
        // A stopped engine has nothing left to do.
        let _ = self.requests.send(Request::Command(command));
    }

    /// Hangs up, and waits until the messages have been handed over, links are down and devices closed. A
    /// peer that takes no messages is waited for two seconds at most. A program calls this before it ends:
    /// otherwise the other side rings on.
    pub async fn stop(self) {
        let (answer, stopped) = oneshot::channel();
        let _ = self.requests.send(Request::Stop(answer));
        // Also when the engine has stopped already.
        let _ = stopped.await;
    }

    /// What is measured of each peer of the call now.
    pub async fn stats(&self) -> Vec<PeerStats> {
        let (answer, stats) = oneshot::channel();
        let _ = self.requests.send(Request::Stats(answer));
        stats.await.unwrap_or_default()
    }

    /// Returns what happened in the active call, or in the last one, as JSON; its form is that of
    /// [`Timeline::to_json`](crate::timeline::Timeline::to_json).
    pub async fn timeline(&self) -> serde_json::Value {
        let (answer, timeline) = oneshot::channel();
        let _ = self.requests.send(Request::Timeline(answer));
        timeline.await.unwrap_or_default()
    }
}
