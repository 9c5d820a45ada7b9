//! Which devices and servers calls are made with.

use ahoy_call::{
    engine::{EngineConfig, VideoLimit},
    link,
};
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

use crate::api::{IceServer, Settings, VideoQuality};

/// What video may take: 1280x720@30 of people needs no more, and at 2500 kbit/s the encoder takes a third
/// more of a core (measured: 0.39 against 0.30 for a whole peer).
const STANDARD: VideoLimit = VideoLimit { format: VideoFormat::HD, bitrate: Bitrate::from_kbps(1500), total: None };
/// 500 kbit/s in all. Sound and headers take 75 of it. On a path that loses packets, repairs take their share of
/// the 500 kbit/s too, so video gets less.
const DATA_SAVER: VideoLimit = VideoLimit {
    format: VideoFormat { width: 640, height: 360, fps: 30 },
    bitrate: Bitrate::from_kbps(425),
    total: Some(Bitrate::from_kbps(500)),
};
/// 1920x1080@30 looks better than 1280x720 from some 1500 kbit/s on, and needs no more than this.
const HIGH: VideoLimit = VideoLimit {
    format: VideoFormat { width: 1920, height: 1080, fps: 30 },
    bitrate: Bitrate::from_kbps(4000),
    total: None,
};
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
    video_quality: VideoQuality,
    ice_servers: Vec<IceServer>,
    relay_only: bool,
    loopback_only: bool,
}

impl MediaChoice {
    /// What the settings and the devices that are there come to. Asks cameras for their formats where none is
    /// chosen, which takes some milliseconds; blocks.
    pub fn of(settings: &Settings, loopback_only: bool) -> Self {
        Self {
            chosen_camera: settings.camera.clone(),
            camera: camera(settings.camera.as_deref()),
            microphone: microphone(settings.microphone.as_deref()),
            speaker: speaker(settings.speaker.as_deref()),
            processing: processing(settings),
            video_quality: settings.video_quality,
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
            video_quality: VideoQuality::Standard,
            ice_servers: Vec::new(),
            relay_only: false,
            loopback_only: false,
        };
        EngineConfig { echo: true, own_picture: false, ..nothing.engine() }
    }

    /// Returns what a call that runs with this choice goes on with when the newest choice differs; `None`
    /// where it goes on as it is. A camera that was plugged in does not take the place of one that nobody
    /// changed.
    pub fn in_call(&self, newest: &Self) -> Option<Self> {
        let keeps_camera = self.camera.is_some() && self.chosen_camera == newest.chosen_camera;
        let choice = Self {
            chosen_camera: newest.chosen_camera.clone(),
            camera: if keeps_camera { self.camera.clone() } else { newest.camera.clone() },
            microphone: newest.microphone.clone(),
            speaker: newest.speaker.clone(),
            processing: newest.processing,
            video_quality: newest.video_quality,
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
        let limit = limit(self.video_quality);
        EngineConfig {
            camera: self.camera.clone(),
            microphone: Some(self.microphone.clone()),
            speaker: self.speaker.clone(),
            video: VideoFormat::HD,
            largest: Some(limit.format),
            bitrate: limit.bitrate,
            total: limit.total,
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

fn limit(quality: VideoQuality) -> VideoLimit {
    match quality {
        VideoQuality::DataSaver => DATA_SAVER,
        VideoQuality::Standard => STANDARD,
        VideoQuality::High => HIGH,
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
            video_quality: VideoQuality::Standard,
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
    fn how_much_video_may_take_is_for_the_call_that_runs_too() {
        let before = choice(None, None);
        for (video_quality, total_kbps) in
            [(VideoQuality::DataSaver, 500), (VideoQuality::Standard, 1575), (VideoQuality::High, 4075)]
        {
            let newest = MediaChoice { video_quality, ..before.clone() };
            let goes_on = before.in_call(&newest);
            assert_eq!(goes_on.is_some(), video_quality != VideoQuality::Standard);
            let limit = goes_on.unwrap_or(before.clone()).engine().limit();
            assert_eq!(limit.bitrate.kbps() + 75, total_kbps, "{video_quality:?}");
            let holds = video_quality == VideoQuality::DataSaver;
            assert_eq!(limit.total.map(|total| total.kbps()), holds.then_some(total_kbps), "{video_quality:?}");
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
