//! Whether somebody is there.

use serde::{Deserialize, Serialize};

/// What somebody lets others know. On the wire a kebab-case word. One that this version does not know is read
/// as [`Self::Online`]: it was sent, so somebody is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", from = "String")]
pub enum Presence {
    /// Cannot be reached, or does not want to be seen.
    Offline,
    /// Here.
    #[default]
    Online,
    /// Not at the machine.
    Away,
    /// Busy.
    Busy,
    /// In a call.
    InCall,
    /// Does not want to be disturbed.
    DoNotDisturb,
    /// Has switched calls off.
    NoCalls,
}

impl From<String> for Presence {
    fn from(word: String) -> Self {
        match word.as_str() {
            "offline" => Self::Offline,
            "away" => Self::Away,
            "busy" => Self::Busy,
            "in-call" => Self::InCall,
            "do-not-disturb" => Self::DoNotDisturb,
            "no-calls" => Self::NoCalls,
            _ => Self::Online,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        use Presence::*;
        for presence in [Offline, Online, Away, Busy, InCall, DoNotDisturb, NoCalls] {
            let json = serde_json::to_string(&presence).unwrap();
            assert_eq!(serde_json::from_str::<Presence>(&json).unwrap(), presence, "{json}");
        }
        assert_eq!(serde_json::from_str::<Presence>(r#""on-the-moon""#).unwrap(), Online);
    }
}
