//! Ahoy's side: what `ahoy-peer demo` reports of a call.

use ahoy_test_support::native;
use serde_json::Value;
use tokio::process::Command;

use crate::{
    BITRATE_KBPS, FORMAT, Figures,
    sample::{largest, smallest},
};

/// The report of one call.
pub struct Report(Value);

const SIDES: [&str; 2] = ["caller", "callee"];

/// Holds a call of `seconds`, over a network as `net` says where it is given.
///
/// # Panics
/// Where `ahoy-peer` does not run, or no media flowed.
pub async fn call(seconds: u32, net: Option<&str>) -> Report {
    let (width, height, fps) = FORMAT;
    let mut command = Command::new(native::binary());
    command.args(["demo", "--json", "--seconds", &seconds.to_string()]);
    command.args(["--video", &format!("{width}x{height}@{fps}"), "--bitrate", &format!("{BITRATE_KBPS}k")]);
    if let Some(net) = net {
        command.args(["--net", net]);
    }
    let output = command.kill_on_drop(true).output().await.expect("ahoy-peer runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text);
    let told = || format!("{}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "ahoy-peer demo: {}", told());
    Report(report.unwrap_or_else(|error| panic!("ahoy-peer demo: {error}: {}", told())))
}

impl Report {
    /// One figure of both sides.
    pub fn sides(&self, key: &str) -> [Option<f64>; 2] {
        SIDES.map(|side| self.0.get(side)?.get(key)?.as_f64())
    }

    /// The larger of both sides' figures.
    pub fn worst(&self, key: &str) -> Option<f64> {
        largest(self.sides(key))
    }

    /// From the acceptance until both have a picture, in ms.
    pub fn ack_to_picture_ms(&self) -> Option<f64> {
        self.0.get("ack_to_picture_ms")?.as_f64()
    }

    /// What both columns of the table have.
    pub fn figures(&self) -> Figures {
        Figures {
            picture_p50_ms: self.worst("capture_to_webm_p50_ms"),
            picture_p95_ms: self.worst("capture_to_webm_p95_ms"),
            cores: self.worst("cpu_percent").map(|percent| percent / 100.0),
            memory_mb: self.worst("rss_mb"),
            sent_fps: smallest(self.sides("sent_fps")),
            shown_fps: smallest(self.sides("fps")),
            longest_gap_ms: self.worst("longest_gap_ms"),
            skew_p95_ms: self.worst("skew_p95_ms"),
        }
    }
}
