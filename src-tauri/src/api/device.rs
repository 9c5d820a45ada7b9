//! Cameras, microphones and speakers.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What a device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// Gives pictures.
    Camera,
    /// Gives sound.
    Microphone,
    /// Plays the call.
    Speaker,
    /// Plays the ringing.
    Ringer,
}

/// A device that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DeviceInfo {
    /// Names the same device after a restart.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether it is taken where nothing is chosen.
    pub is_default: bool,
    /// What it offers, best first, in words.
    pub formats: Vec<String>,
}

/// All devices. Speakers can be ringers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Devices {
    /// Cameras.
    pub cameras: Vec<DeviceInfo>,
    /// Microphones.
    pub microphones: Vec<DeviceInfo>,
    /// Speakers.
    pub speakers: Vec<DeviceInfo>,
}
