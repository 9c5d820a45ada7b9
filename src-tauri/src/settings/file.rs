//! The file of the settings.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use super::{MAX_FILE_BYTES, Values};
use crate::api::Notice;

/// Writes settings.
pub trait SettingsFile: Send + Sync {
    /// Writes the values to `path`, wholly or not at all. Blocks.
    fn write(&self, path: &Path, values: &Values) -> Result<(), String>;
}

/// Without a window: the file by itself.
#[cfg(any(test, feature = "test-bridge"))]
pub struct PlainFile;

#[cfg(any(test, feature = "test-bridge"))]
impl SettingsFile for PlainFile {
    fn write(&self, path: &Path, values: &Values) -> Result<(), String> {
        replace(path, |beside| fs::write(beside, serde_json::to_string_pretty(values)?))
            .map_err(|error| error.to_string())
    }
}

/// Has a file written beside `path`, and puts it into its place: a kill in the middle leaves the old one.
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    // Who keeps the file elsewhere and links to it has it replaced there.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = with_suffix(path, ".new");
    write(&beside)?;
    let file = File::options().write(true).open(&beside)?;
    // The file has a relay's password in it.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// What the file at `path` has. One that is no settings file is kept aside; none for one that cannot be read,
/// which may be as sound as ever.
pub fn read(path: &Path, notices: &mut Vec<Notice>) -> Option<Values> {
    let bytes = match load(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Values::new()),
        Err(error) => {
            notices.push(Notice::new(
                "settings-unreadable",
                format!("Your settings could not be read: {} ({error}).", path.display()),
                "Give your account the right to read that file, and start Ahoy again. Until then Ahoy goes on with its own settings; what you change is forgotten when it ends, and the file is left as it is.",
            ));
            return None;
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(values)) => Some(values),
        Ok(_) | Err(_) => {
            notices.push(set_aside(path));
            Some(Values::new())
        }
    }
}

fn load(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Renames a file that is no settings file, so that the next write does not destroy what somebody may mend.
fn set_aside(path: &Path) -> Notice {
    let aside = aside(path);
    match fs::rename(path, &aside) {
        Ok(()) => Notice::new(
            "settings-damaged",
            format!(
                "Your settings were damaged. Ahoy begins with its own; the damaged file is now {}.",
                aside.display()
            ),
            "Set anew what you had changed, or mend that file and put it back as settings.json while Ahoy is not running.",
        ),
        Err(error) => Notice::new(
            "settings-damaged",
            format!("Your settings are damaged, and {} could not be renamed ({error}).", path.display()),
            "Make a copy of that file if you want to mend it: the next change of a setting replaces it.",
        ),
    }
}

/// Keeps a copy of a file of which some values cannot be used. Whether it could, and what to tell.
pub fn keep_copy(path: &Path, bad: &[String]) -> (bool, Notice) {
    let (aside, bad) = (aside(path), bad.join(", "));
    let copied = fs::copy(path, &aside);
    let kept = match &copied {
        Ok(_) => format!("A copy of the file is kept as {}.", aside.display()),
        Err(error) => format!("No copy of the file could be kept ({error})."),
    };
    let notice = Notice::new(
        "settings-value",
        format!("Some settings had values that cannot be, and are as they were at first: {bad}. {kept}"),
        "Set them anew.",
    );
    (copied.is_ok(), notice)
}

/// A name beside `path` that tells when, and that nothing has.
fn aside(path: &Path) -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let name = with_suffix(path, &format!(".damaged-{seconds}"));
    let numbered = (2..).map(|number| with_suffix(&name, &format!("-{number}")));
    std::iter::once(name.clone()).chain(numbered).find(|name| !name.exists()).unwrap_or(name)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
