//! What the page begins with.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{Call, Contact, ContactRequest, HistoryEntry, MediaMode, Nearby, Notice, Settings};

/// Who the user is to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Me {
    /// The key, in hexadecimal.
    pub id: String,
    /// The name; empty before the user gave one.
    pub name: String,
}

/// Everything that the page shows first, in one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The user.
    pub me: Me,
    /// What is set.
    pub settings: Settings,
    /// All contacts, the echo contact first.
    pub contacts: Vec<Contact>,
    /// Who asks to be one.
    pub requests: Vec<ContactRequest>,
    /// Who is near.
    pub nearby: Vec<Nearby>,
    /// The call that runs.
    pub call: Option<Call>,
    /// The newest calls, the latest first.
    pub history: Vec<HistoryEntry>,
    /// Where media run.
    pub media_mode: MediaMode,
    /// Whether the shell paints the pictures of a call, where the page leaves holes for them.
    pub paints: bool,
    /// What is wrong.
    pub notices: Vec<Notice>,
}
