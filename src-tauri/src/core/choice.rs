//! Which devices and servers calls are made with.

use ahoy_call::{engine::EngineConfig, link};
use ahoy_media::{
    audio::{
        microphone::MicrophoneSpec,
        opus::{OpusFrame, OpusSettings},
        process::ProcessingSettings,
        speaker::SpeakerSpec,
    },
    device::{self, audio::TEST_TONE_ID},
    units::{Bitrate, VideoFormat},
    video::capture::CameraSpec,
};

use crate::api::{IceServer, Settings};

/// Ceiling of the picture's bit rate: at 1280x720@30 VP8 gains nothing that anybody sees from more.
const BITRATE: Bitrate = Bitrate::from_kbps(2500);
/// The synthetic camera's id.
const PATTERN_ID: &str = "pattern";

/// What the engine is configured by. Two equal choices need no new engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaChoice {
    pub camera: Option<CameraSpec>,
    pub microphone: MicrophoneSpec,
    pub speaker: SpeakerSpec,
    pub processing: ProcessingSettings,
    ice_servers: Vec<IceServer>,
    relay_only: bool,
    loopback_only: bool,
}

impl MediaChoice {
    /// What the settings and the devices that are there come to. Asks cameras for their formats where none is chosen,
    /// which takes some milliseconds; blocks.
    pub fn of(settings: &Settings, loopback_only: bool) -> Self {
        Self {
            camera: camera(settings.camera.as_deref()),
            microphone: microphone(settings.microphone.as_deref()),
            speaker: speaker(settings.speaker.as_deref()),
            processing: processing(settings),
            ice_servers: settings.ice_servers.clone(),
            relay_only: settings.relay_only,
            loopback_only,
        }
    }

    /// For the echo contact: it has no devices of its own, and nobody calls it from elsewhere.
    pub fn echo() -> EngineConfig {
        let nothing = Self {
            camera: None,
            microphone: MicrophoneSpec::Tone,
            speaker: SpeakerSpec::None,
            processing: ProcessingSettings::OFF,
            ice_servers: Vec::new(),
            relay_only: false,
            loopback_only: false,
        };
        EngineConfig { echo: true, ..nothing.engine() }
    }

    /// The engine's configuration.
    pub fn engine(&self) -> EngineConfig {
        let server = |server: &IceServer| link::IceServer {
            url: server.url.clone(),
            user: server.user.clone(),
            credential: server.credential.clone(),
        };
        EngineConfig {
            camera: self.camera.clone(),
            microphone: Some(self.microphone.clone()),
            speaker: self.speaker.clone(),
            video: VideoFormat::HD,
            bitrate: BITRATE,
            processing: self.processing,
            opus: opus(),
            ice_servers: self.ice_servers.iter().map(server).collect(),
            relay_only: self.relay_only,
            loopback_only: self.loopback_only,
            impairment: None,
            echo: false,
        }
    }
}

pub fn processing(settings: &Settings) -> ProcessingSettings {
    ProcessingSettings {
        echo_cancellation: settings.echo_cancellation,
        noise_suppression: settings.noise_suppression,
        automatic_gain: settings.automatic_gain,
    }
}

/// 10 ms a packet: 10 ms less delay for 50 more packets a second.
pub fn opus() -> OpusSettings {
    OpusSettings { frame: OpusFrame::Ms10, ..OpusSettings::default() }
}

/// The chosen camera, or the first real one; nobody sends the test pattern without having chosen it.
pub fn camera(id: Option<&str>) -> Option<CameraSpec> {
    match id {
        Some(PATTERN_ID) => Some(CameraSpec::Pattern),
        Some(id) => Some(CameraSpec::Device(id.to_owned())),
        None => device::camera::cameras().iter().find(|camera| camera.id != PATTERN_ID).map(|camera| camera.spec()),
    }
}

pub fn microphone(id: Option<&str>) -> MicrophoneSpec {
    match id {
        Some(TEST_TONE_ID) => MicrophoneSpec::Tone,
        Some(id) => MicrophoneSpec::Device(id.to_owned()),
        None => MicrophoneSpec::Default,
    }
}

pub fn speaker(id: Option<&str>) -> SpeakerSpec {
    id.map_or(SpeakerSpec::Default, |id| SpeakerSpec::Device(id.to_owned()))
}
