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

/// Ceiling of the picture's bit rate. 1280x720@30 of people needs no more, and at 2500 kbit/s the encoder takes a third more
/// of a core (measured: 0.39 against 0.30 for a whole peer).
const BITRATE: Bitrate = Bitrate::from_kbps(1500);
/// The synthetic camera's id.
const PATTERN_ID: &str = "pattern";

/// What the engine is configured by. Two equal choices need no new engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaChoice {
    /// The camera's id in the settings; which camera that is may change with what is plugged in.
    chosen_camera: Option<String>,
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
            chosen_camera: settings.camera.clone(),
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
            chosen_camera: None,
            camera: None,
            microphone: MicrophoneSpec::Tone,
            speaker: SpeakerSpec::None,
            processing: ProcessingSettings::OFF,
            ice_servers: Vec::new(),
            relay_only: false,
            loopback_only: false,
        };
        EngineConfig { echo: true, own_picture: false, ..nothing.engine() }
    }

    /// What a call that runs with this goes on with where the newest choice is another; none where its devices stay. A camera
    /// that was plugged in does not take the place of one that nobody changed.
    pub fn in_call(&self, newest: &Self) -> Option<Self> {
        let keeps_camera = self.camera.is_some() && self.chosen_camera == newest.chosen_camera;
        let choice = Self {
            chosen_camera: newest.chosen_camera.clone(),
            camera: if keeps_camera { self.camera.clone() } else { newest.camera.clone() },
            microphone: newest.microphone.clone(),
            speaker: newest.speaker.clone(),
            processing: newest.processing,
            ..self.clone()
        };
        (choice != *self).then_some(choice)
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
            same_machine: None,
            loopback_only: self.loopback_only,
            impairment: None,
            own_picture: true,
            probe_turn: ahoy_call::link::ProbeTurn::default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(chosen: Option<&str>, camera: Option<&str>) -> MediaChoice {
        MediaChoice {
            chosen_camera: chosen.map(str::to_owned),
            camera: camera.map(|id| CameraSpec::Device(id.to_owned())),
            microphone: MicrophoneSpec::Default,
            speaker: SpeakerSpec::Default,
            processing: ProcessingSettings::OFF,
            ice_servers: Vec::new(),
            relay_only: false,
            loopback_only: false,
        }
    }

    #[test]
    fn a_call_goes_on_with_what_is_chosen_and_not_with_what_is_plugged_in() {
        let camera = |id: &str| Some(CameraSpec::Device(id.to_owned()));
        for (before, newest, goes_on_with) in [
            (choice(None, Some("a")), choice(None, Some("a")), None),
            (choice(None, Some("a")), choice(None, Some("b")), None),
            (choice(None, Some("a")), choice(None, None), None),
            (choice(None, None), choice(None, Some("b")), Some(camera("b"))),
            (choice(None, Some("a")), choice(Some("b"), Some("b")), Some(camera("b"))),
            (choice(Some("b"), Some("b")), choice(None, Some("a")), Some(camera("a"))),
        ] {
            assert_eq!(before.in_call(&newest).map(|choice| choice.camera), goes_on_with, "{before:?} {newest:?}");
        }
    }

    #[test]
    fn servers_are_for_the_next_call() {
        let before = choice(None, None);
        let newest = MediaChoice { relay_only: true, speaker: SpeakerSpec::None, ..before.clone() };
        let now = before.in_call(&newest).unwrap();
        assert_eq!((now.speaker, now.relay_only), (SpeakerSpec::None, false));
        assert_eq!(before.in_call(&MediaChoice { relay_only: true, ..before.clone() }), None);
    }
}
