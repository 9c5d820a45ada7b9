//! The log: a file that rotates, with nothing in it that is nobody's business.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use tauri::{Wry, plugin::TauriPlugin};
use tauri_plugin_log::{RotationStrategy, Target, TargetKind, log::LevelFilter};

use crate::profile::Profile;

/// What the files' names begin with.
const NAME: &str = "ahoy";
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
    let folder = profile.logs();
    let stderr = Target::new(TargetKind::Stderr).filter(|metadata| metadata.level() <= LevelFilter::Warn);
    let mut targets = vec![stderr];
    match is_writable(&folder) {
        Ok(()) => targets.push(Target::new(TargetKind::Folder { path: folder, file_name: Some(NAME.to_owned()) })),
        // The plugin would fail, and with it the start.
        Err(error) => eprintln!("ahoy: no log is kept: {} cannot be written ({error})", folder.display()),
    }
    let builder = tauri_plugin_log::Builder::new()
        .clear_targets()
        .targets(targets)
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

/// Whether the log can be kept in a folder: not where the disk is full or only read, or the folder is
/// somebody else's.
fn is_writable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let file = format!("{NAME}.log");
    File::options().create(true).append(true).open(folder.join(file)).map(drop)
}

/// Seconds of unix time: a log is read beside other logs.
fn humantime() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}", since.as_secs(), since.subsec_millis())
}

/// A line without keys and tokens: of each long run of letters and digits only the beginning. It stays one
/// line, whatever a peer has said.
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
        safe.extend(between.chars().map(|c| if c.is_control() { ' ' } else { c }));
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
        assert_eq!(redacted("forged\n1700000000.000 INFO ahoy\u{1b}[2J"), "forged 1700000000.000 INFO ahoy [2J");
        assert_eq!(redacted(""), "");
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_the_log_alone() {
        let folder = tempfile::tempdir().unwrap();
        is_writable(&folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(is_writable(&folder.path().join("file/logs")).is_err());
    }
}
