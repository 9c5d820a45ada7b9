//! People: contacts, strangers who ask, and who is near.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Whether somebody can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Cannot be reached now.
    Offline,
    /// Can be called.
    Online,
    /// Is not at the machine.
    Away,
    /// Is busy.
    Busy,
    /// Is in a call.
    InCall,
    /// Does not want to be disturbed.
    DoNotDisturb,
    /// Has disabled calls.
    NoCalls,
}

/// A contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// The key, in hexadecimal.
    pub id: String,
    /// What it calls itself, or the beginning of its key.
    pub name: String,
    /// What the user calls it; shown instead where there is one.
    pub own_name: Option<String>,
    /// Whether it can be called.
    pub presence: Presence,
    /// Whether its key is blocked.
    pub blocked: bool,
    /// Whether it is the echo contact.
    pub echo: bool,
    /// When it was last online, unix ms, where it is known.
    pub last_seen: Option<i64>,
}

/// A stranger who asks to be a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ContactRequest {
    /// The key, in hexadecimal.
    pub id: String,
    /// What the stranger calls itself, or the beginning of its key.
    pub name: String,
    /// What it has to say.
    pub text: String,
    /// When it came, unix ms.
    pub at: i64,
}

/// Somebody on this network who chose to be visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Nearby {
    /// The key, in hexadecimal.
    pub id: String,
    /// What it calls itself, or the beginning of its key.
    pub name: String,
}

/// An invite to be passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// The link.
    pub link: String,
    /// The link as a QR code: an SVG image.
    pub qr_svg: String,
    /// From when on it is of no use, unix ms.
    pub expires_at: i64,
}
