//! Calls that were.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Direction;

/// How a call ended, as the history shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The two talked.
    Answered,
    /// Somebody called, and nobody here answered.
    Missed,
    /// Somebody said no.
    Declined,
    /// The other side was in another call.
    Busy,
    /// Nobody there answered.
    NoAnswer,
    /// It did not come about, or broke.
    Failed,
    /// Ahoy ended before the call did.
    Interrupted,
    /// The caller gave up.
    Cancelled,
}

/// A call of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Its number; later calls have greater ones.
    pub id: i64,
    /// The other side's id.
    pub peer: String,
    /// What the other side is or was called.
    pub peer_name: String,
    /// Who called.
    pub direction: Direction,
    /// Whether it was begun with pictures.
    pub video: bool,
    /// When it began to ring, unix ms.
    pub started_at: i64,
    /// When it was answered, unix ms.
    pub answered_at: Option<i64>,
    /// When it ended, unix ms.
    pub ended_at: Option<i64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The word of the signaling.
    pub reason: Option<String>,
    /// Whether the user was shown it.
    pub seen: bool,
}
