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

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

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

/// What is set, for whoever must not wait until the disk has it.
#[derive(Clone, Debug)]
pub struct Current(Arc<Mutex<Settings>>);

impl Current {
    fn new(settings: Settings) -> Self {
        Self(Arc::new(Mutex::new(settings)))
    }

    /// All of it.
    pub fn get(&self) -> Settings {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, settings: Settings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}

/// The settings, and the file they are kept in.
pub struct Keeper {
    path: PathBuf,
    file: Arc<dyn SettingsFile>,
    current: Current,
    /// What the file has, unknown keys included: another version of Ahoy may know them.
    values: Values,
    /// A file of a newer version, or one that cannot be read, is left as it is.
    frozen: bool,
}

impl Keeper {
    /// Reads the file at `path`; whatever is wrong with it is told, and never fatal. Blocks.
    pub fn open(path: PathBuf, file: Arc<dyn SettingsFile>) -> (Self, Vec<Notice>) {
        let mut notices = Vec::new();
        let read = file::read(&path, &mut notices);
        let unreadable = read.is_none();
        let values = read.unwrap_or_default();
        let version = values.get(VERSION_KEY).map_or(Some(VERSION), Value::as_u64);
        let newer = version.is_some_and(|version| version > VERSION);
        let (settings, bad) = check::accept(&values);
        let mut copied = false;
        if newer {
            notices.push(Notice::new(
                "settings-newer",
                format!("{} was written by a newer Ahoy.", path.display()),
                "Update Ahoy. Until then what you change here is forgotten when Ahoy ends; the file is left as it is.",
            ));
        } else if !bad.is_empty() {
            let (kept, notice) = file::keep_copy(&path, &bad);
            copied = kept;
            notices.push(notice);
        }
        let mut keeper = Self { path, file, current: Current::new(settings), values, frozen: newer || unreadable };
        for key in bad {
            keeper.values.remove(&key);
        }
        if copied {
            // Or each start would keep another copy. What fails here fails at the next change, and is told
            // then.
            let _ = keeper.write();
        }
        (keeper, notices)
    }

    /// What is set now, and from now on.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// Whether the file says where media run; where it does not, the first look at the webview decides.
    pub fn has_media_mode(&self) -> bool {
        self.values.contains_key("experimentalCalls")
    }

    /// Changes some settings, and writes them. Blocks. Gives what is set now.
    ///
    /// # Errors
    /// A value that cannot be (nothing is changed then), or a file that cannot be written (what is set is
    /// set, until Ahoy ends).
    pub fn patch(&mut self, patch: &Values) -> Result<Settings, Notice> {
        let settings = check::patched(&self.current.get(), patch)?;
        self.current.set(settings.clone());
        // As they were understood, and not as they were given: a name of a megabyte is no settings file's.
        let written = check::as_values(&settings);
        self.values.extend(written.into_iter().filter(|(key, _)| patch.contains_key(key)));
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
