//! Live stats of a call, once a second.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct StatsOut {
    /// Payload of picture and sound.
    pub kbps: f64,
    /// Pictures a second.
    pub fps: f64,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// What we receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct StatsIn {
    /// Payload of picture and sound.
    pub kbps: f64,
    /// Pictures a second.
    pub fps: f64,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Packets of picture that never came, in this second.
    pub lost: u64,
    /// Packets of picture that came on request, in this second.
    pub recovered: u64,
    /// Times that the picture stood still, in this second.
    pub freezes: u64,
    /// Sound waiting to be played.
    pub jitter_buffer_ms: f64,
    /// Sound that was made up, in this second.
    pub concealed_ms: f64,
    /// How much later the sound is heard than its picture can be shown; negative: earlier.
    pub skew_ms: Option<f64>,
}

/// The stats of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// When, unix ms.
    pub at: i64,
    /// Round trip.
    pub rtt_ms: Option<f64>,
    /// Of our packets, lately.
    pub loss_percent: f64,
    /// What we send.
    pub out: StatsOut,
    /// What we receive.
    #[serde(rename = "in")]
    pub incoming: StatsIn,
    /// What our encoder aims at.
    pub target_kbps: Option<f64>,
}
