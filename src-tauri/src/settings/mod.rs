//! What the user has set: read with mistrust, checked value by value, written whole.
//!
//! ```text
//! settings.json ──read──▶ each value checked ──▶ Settings ──patch──▶ checked ──▶ settings.json
//!                 │                 └─ bad: its default, and the file's copy is kept aside
//!                 └─ not JSON: everything by default, and the file is kept aside
//! ```
//!
//! What a newer Ahoy wrote is used as far as it is understood, and never written over.

mod check;
mod file;

use std::{path::PathBuf, sync::Arc};

use serde_json::{Map, Value};

use crate::api::{Notice, Settings};

#[cfg(any(test, feature = "test-bridge"))]
pub use file::PlainFile;
pub use file::{SettingsFile, replace};

/// The version of the file that this program writes.
const VERSION: u64 = 1;
/// The key under which the file has its version.
const VERSION_KEY: &str = "version";
/// Two hundred times what a file has; a larger one is something else, and would only cost memory.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A JSON object.
pub type Values = Map<String, Value>;

/// The settings, and the file they are kept in.
pub struct Keeper {
    path: PathBuf,
    file: Arc<dyn SettingsFile>,
    settings: Settings,
    /// What the file has, unknown keys included: another version of Ahoy may know them.
    values: Values,
    /// A file of a newer version is left as it is.
    frozen: bool,
}

impl Keeper {
    /// Reads the file at `path`; whatever is wrong with it is told, and never fatal. Blocks.
    pub fn open(path: PathBuf, file: Arc<dyn SettingsFile>) -> (Self, Vec<Notice>) {
        let mut notices = Vec::new();
        let values = file::read(&path, &mut notices);
        let version = values.get(VERSION_KEY).map_or(Some(VERSION), Value::as_u64);
        let frozen = version.is_some_and(|version| version > VERSION);
        let (settings, bad) = check::accept(&values);
        if frozen {
            notices.push(Notice::new(
                "settings-newer",
                format!("{} was written by a newer Ahoy.", path.display()),
                "Update Ahoy. Until then what you change here is forgotten when Ahoy ends; the file is left as it is.",
            ));
        } else if !bad.is_empty() {
            notices.push(file::keep_copy(&path, &bad));
        }
        let mut keeper = Self { path, file, settings, values, frozen };
        for key in bad {
            keeper.values.remove(&key);
        }
        (keeper, notices)
    }

    /// What is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the file says where media run; where it does not, the first look at the webview decides.
    pub fn has_media_mode(&self) -> bool {
        self.values.contains_key("experimentalCalls")
    }

    /// Changes some settings, and writes them. Blocks. Gives what is set now.
    ///
    /// # Errors
    /// A value that cannot be (nothing is changed then), or a file that cannot be written (what is set is set, until Ahoy
    /// ends).
    pub fn patch(&mut self, patch: &Values) -> Result<Settings, Notice> {
        let settings = check::patched(&self.settings, patch)?;
        self.settings = settings.clone();
        for (key, value) in patch {
            self.values.insert(key.clone(), value.clone());
        }
        if !self.frozen {
            self.write()?;
        }
        Ok(settings)
    }

    fn write(&mut self) -> Result<(), Notice> {
        self.values.insert(VERSION_KEY.to_owned(), VERSION.into());
        self.file.write(&self.path, &self.values).map_err(|reason| {
            Notice::new(
                "settings-not-written",
                format!("The change could not be kept: {} cannot be written ({reason}).", self.path.display()),
                "It is in force until Ahoy ends. Free some space, or give your account the right to write that file and its folder, and change it again.",
            )
        })
    }
}

#[cfg(test)]
mod tests;
