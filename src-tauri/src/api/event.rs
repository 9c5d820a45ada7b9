//! What the shell tells the page by itself.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Call, Contact, ContactRequest, DeviceKind, Devices, HistoryEntry, MediaMode, Nearby, Notice, PictureNews, Settings,
    SignalPayload, Stats,
};

/// What the page is to bring forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// The call that runs or rings.
    Call,
    /// The contacts.
    Contacts,
    /// Adding a contact, by the link that was opened.
    Invite,
}

/// Something that happened. Lists and the call are whole snapshots, which replace what the page had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum AppEvent {
    /// The contacts have changed.
    Contacts { contacts: Vec<Contact> },
    /// Who asks to be a contact has changed.
    Requests { requests: Vec<ContactRequest> },
    /// Who is near has changed.
    Nearby { nearby: Vec<Nearby> },
    /// The call has changed; one that has ended is told once more, with its end.
    Call { call: Call },
    /// The newest calls of the history.
    History { entries: Vec<HistoryEntry> },
    /// Something was set.
    Settings { settings: Settings, media_mode: MediaMode },
    /// Devices came or went.
    Devices { devices: Devices },
    /// How loud a device under test is, 0 to 1.
    Level { kind: DeviceKind, peak: f32 },
    /// The stats of the last second.
    Stats { stats: Stats },
    /// Something that the user should know.
    Notice { notice: Notice },
    /// The other side's offer, answer or candidate, for the page's own WebRTC.
    Signal {
        /// Which call.
        call: String,
        /// What it says.
        payload: SignalPayload,
    },
    /// Of a picture that the shell paints.
    Picture {
        /// Which stream.
        stream: String,
        /// What became of it.
        news: PictureNews,
    },
    /// The user asked for something outside of the page.
    Open { view: View, link: Option<String> },
}
