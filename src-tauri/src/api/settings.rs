//! What the user can set, and what follows from it for media.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::CallMode;

/// The language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// What the desktop speaks.
    #[default]
    System,
    /// English.
    En,
    /// German.
    De,
    /// French.
    Fr,
}

/// The colours of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// What the desktop has.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// How much of the network and the processor video may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum VideoQuality {
    /// 640x360, 500 kbit/s with the sound.
    DataSaver,
    /// 1280x720, 1.5 Mbit/s.
    #[default]
    Standard,
    /// 1920x1080 where the camera gives it, 4 Mbit/s.
    High,
}

/// A STUN or TURN server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct IceServer {
    /// `stun:host:port` or `turn:host:port` (RFC 7064, RFC 7065).
    pub url: String,
    /// For TURN.
    #[serde(default)]
    pub user: String,
    /// For TURN.
    #[serde(default)]
    pub credential: String,
}

/// Everything that the user can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// What others see.
    pub name: String,
    /// Calls by the engine (true) or by the page's own WebRTC.
    pub experimental_calls: bool,
    /// No calls at all.
    pub video_disabled: bool,
    /// No ringing.
    pub do_not_disturb: bool,
    /// Others on this network see us.
    pub visible_nearby: bool,
    /// Started with the desktop.
    pub autostart: bool,
    /// Closing the window leaves Ahoy in the tray.
    pub close_to_tray: bool,
    /// Language of the page.
    pub language: Language,
    /// Colours of the page.
    pub theme: Theme,
    /// The camera's id; none: the first.
    pub camera: Option<String>,
    /// How much video may take.
    pub video_quality: VideoQuality,
    /// The microphone's id; none: the system's choice.
    pub microphone: Option<String>,
    /// The speaker's id; none: the system's choice.
    pub speaker: Option<String>,
    /// The id of the speaker that rings; none: the system's choice.
    pub ringer: Option<String>,
    /// Removes what the speaker plays from what the microphone hears.
    pub echo_cancellation: bool,
    /// Lowers steady noise.
    pub noise_suppression: bool,
    /// Brings quiet and loud talkers to one level.
    pub automatic_gain: bool,
    /// The relay through which others find us.
    pub relay_url: Option<String>,
    /// Helpers for calls through firewalls.
    pub ice_servers: Vec<IceServer>,
    /// Calls by relay only: hides this machine's addresses.
    pub relay_only: bool,
    /// The first start is over.
    pub first_run_done: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            experimental_calls: true,
            video_disabled: false,
            do_not_disturb: false,
            visible_nearby: false,
            autostart: false,
            close_to_tray: true,
            language: Language::System,
            theme: Theme::System,
            camera: None,
            video_quality: VideoQuality::Standard,
            microphone: None,
            speaker: None,
            ringer: None,
            echo_cancellation: true,
            noise_suppression: true,
            automatic_gain: true,
            relay_url: None,
            ice_servers: Vec::new(),
            relay_only: false,
            first_run_done: false,
        }
    }
}

/// Why media run where they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum MediaModeReason {
    /// The setting says so.
    Setting,
    /// The setting asks for the webview's own WebRTC, and the webview has none.
    WebviewCannot,
    /// Calls are disabled.
    CallsDisabled,
}

/// Where the media of the next call will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MediaMode {
    /// Where.
    pub mode: CallMode,
    /// Why.
    pub why: MediaModeReason,
    /// Whether the webview could.
    pub can_browser: bool,
}
