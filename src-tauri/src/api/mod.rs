//! What the page and the shell say to each other: every command's arguments and answers, and every event.
//!
//! The TypeScript in `ui/src/ipc/generated` is made of these types; a test fails where it is not what they
//! are (`AHOY_BLESS=1 cargo test -p ahoy` writes it anew).

mod call;
mod contact;
mod device;
mod event;
mod history;
mod picture;
mod settings;
mod signal;
mod start;
mod stats;
#[cfg(test)]
mod typescript;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

pub use call::{Adapted, Call, CallEnd, CallMode, CallPhase, Direction, MediaState, NetworkTrouble, Unheard};
pub use contact::{Contact, ContactRequest, Invite, Nearby, Presence};
pub use device::{DeviceInfo, DeviceKind, Devices};
pub use event::{AppEvent, View};
pub use history::{HistoryEntry, Outcome};
pub use picture::{Hole, PictureNews};
#[cfg(test)]
pub use settings::Theme;
pub use settings::{IceServer, Language, MediaMode, MediaModeReason, Settings, VideoQuality};
pub use signal::{LinkState, SignalPayload};
pub use start::{Me, Start};
pub use stats::{Stats, StatsIn, StatsOut};

/// Something that a person should know: what happened, and what to do. Programs tell notices apart by the
/// code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Notice {
    /// A kebab-case word that does not change with the text.
    pub code: String,
    /// What happened.
    pub what: String,
    /// What to do.
    pub todo: String,
}

impl Notice {
    /// A notice in words.
    pub fn new(code: impl Into<String>, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { code: code.into(), what: what.into(), todo: todo.into() }
    }

    /// Of an error whose text reads "what happened: what to do" or "what happened; what to do".
    pub fn explain(code: impl Into<String>, text: &str) -> Self {
        let parts = text.rsplit_once(": ").into_iter().chain(text.rsplit_once("; "));
        // What happened may have either in it; what to do is what comes last.
        let (what, todo) = parts.min_by_key(|(_, todo)| todo.len()).unwrap_or((text, ""));
        Self::sentences(code, what, todo)
    }

    /// Of parts of errors' texts, which begin small and end without a stop.
    pub fn sentences(code: impl Into<String>, what: &str, todo: &str) -> Self {
        Self::new(code, sentence(what), sentence(todo))
    }
}

/// A part of an error's text as a sentence; a path that it begins with stays as it is.
fn sentence(text: &str) -> String {
    let mut sentence: String = match text.chars().next() {
        Some(first) if first.is_lowercase() => first.to_uppercase().chain(text.chars().skip(1)).collect(),
        _ => text.to_owned(),
    };
    if !sentence.is_empty() && !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}
