//! The log: a file that rotates, with nothing in it that is nobody's business.

use tauri::{Wry, plugin::TauriPlugin};
use tauri_plugin_log::{RotationStrategy, Target, TargetKind, log::LevelFilter};

use crate::profile::Profile;

/// Size of a file; a week of ordinary use has a tenth of it.
const MAX_BYTES: u128 = 1 << 20;
/// Older files that are kept.
const KEPT: usize = 3;
/// What is ours says what it does; what others wrote is heard when something is wrong.
const OURS: [&str; 5] = ["ahoy", "ahoy_call", "ahoy_media", "ahoy_store", "ahoy_transport"];
/// From this length on a run of letters and digits is a key, a token or a part of one.
const SECRET_LENGTH: usize = 32;

/// Logs into the profile's folder.
pub fn plugin(profile: &Profile) -> TauriPlugin<Wry> {
    let file = TargetKind::Folder { path: profile.logs(), file_name: Some("ahoy".to_owned()) };
    let stderr = Target::new(TargetKind::Stderr).filter(|metadata| metadata.level() <= LevelFilter::Warn);
    let builder = tauri_plugin_log::Builder::new()
        .clear_targets()
        .targets([Target::new(file), stderr])
        .max_file_size(MAX_BYTES)
        .rotation_strategy(RotationStrategy::KeepSome(KEPT))
        .level(LevelFilter::Warn)
        .format(|out, message, record| {
            let time = humantime();
            let message = redacted(&message.to_string());
            out.finish(format_args!("{time} {} {} {message}", record.level(), record.target()));
        });
    OURS.into_iter().fold(builder, |builder, name| builder.level_for(name, LevelFilter::Info)).build()
}

/// Seconds of unix time: a log is read beside other logs.
fn humantime() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}", since.as_secs(), since.subsec_millis())
}

/// A line without keys and tokens: of each long run of letters and digits only the beginning.
fn redacted(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let run = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(run);
        match word.get(..6) {
            Some(beginning) if word.len() >= SECRET_LENGTH => {
                safe.push_str(beginning);
                safe.push('…');
            }
            _ => safe.push_str(word),
        }
        let gap = after.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (between, next) = after.split_at(gap);
        safe.push_str(between);
        rest = next;
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_do_not_get_into_the_log() {
        let key = "0123456789abcdef".repeat(4);
        let token = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst";
        assert_eq!(redacted(&format!("peer={key}, call")), "peer=012345…, call");
        assert_eq!(redacted(&format!("ahoy:{token}")), "ahoy:abcdef…");
        assert_eq!(redacted("„nothing“ of note: 12 ms"), "„nothing“ of note: 12 ms");
        assert_eq!(redacted(""), "");
    }
}
