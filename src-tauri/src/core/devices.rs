//! Devices: lists, choice and trial.

use ahoy_media::device::{
    audio::{AudioDeviceInfo, microphones, speakers},
    camera::{CameraInfo, cameras},
};
use serde_json::Value;

use super::{App, blocking};
use crate::{
    api::{DeviceInfo, DeviceKind, Devices, Notice},
    settings::Values,
};

impl App {
    /// The devices that are there.
    ///
    /// # Errors
    /// None but an internal one.
    pub async fn devices_list(&self) -> Result<Devices, Notice> {
        let devices = blocking(|| Ok(list())).await?;
        self.refresh().await;
        Ok(devices)
    }

    /// Chooses a device; none: what the system takes. A call that runs goes on with it.
    ///
    /// # Errors
    /// No id, or the settings cannot be written.
    pub async fn device_choose(&self, kind: DeviceKind, id: Option<String>) -> Result<(), Notice> {
        let key = match kind {
            DeviceKind::Camera => "camera",
            DeviceKind::Microphone => "microphone",
            DeviceKind::Speaker => "speaker",
            DeviceKind::Ringer => "ringer",
        };
        let id = id.map_or(Value::Null, Value::String);
        self.settings_set(Values::from_iter([(key.to_owned(), id)])).await?;
        self.retry_test(kind).await
    }
}

fn list() -> Devices {
    let cameras = cameras();
    let first_real = cameras.iter().position(|camera| camera.id != "pattern");
    Devices {
        cameras: cameras
            .into_iter()
            .enumerate()
            .map(|(at, camera)| of_camera(camera, Some(at) == first_real))
            .collect(),
        microphones: microphones().into_iter().map(of_audio).collect(),
        speakers: speakers().into_iter().map(of_audio).collect(),
    }
}

fn of_camera(camera: CameraInfo, is_default: bool) -> DeviceInfo {
    let mut formats: Vec<String> = camera.formats.iter().map(|format| format.video.to_string()).collect();
    formats.dedup();
    DeviceInfo { id: camera.id, name: camera.name, is_default, formats }
}

fn of_audio(device: AudioDeviceInfo) -> DeviceInfo {
    let formats = device.formats.iter().map(ToString::to_string).collect();
    DeviceInfo { id: device.id, name: device.name, is_default: device.default, formats }
}
