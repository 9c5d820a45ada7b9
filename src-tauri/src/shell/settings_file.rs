//! The settings' file, written by tauri-plugin-store.

use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use tauri::AppHandle;
use tauri_plugin_store::StoreBuilder;

use crate::settings::{SettingsFile, Values, replace};

/// Writes by the plugin. It writes in place, and a kill in the middle would leave half a file: so it writes
/// beside, and what it wrote is renamed. Reading is not left to it: it takes a damaged file for an empty one.
pub struct PluginFile {
    tauri: AppHandle,
    /// One write at a time.
    writing: Mutex<()>,
}

impl PluginFile {
    pub fn new(tauri: AppHandle) -> Self {
        Self { tauri, writing: Mutex::new(()) }
    }
}

impl SettingsFile for PluginFile {
    fn write(&self, path: &Path, values: &Values) -> Result<(), String> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let write = |beside: &Path| {
            let store = StoreBuilder::new(&self.tauri, beside).disable_auto_save().create_new().build();
            let store = store.map_err(io::Error::other)?;
            for (key, value) in values {
                store.set(key.clone(), value.clone());
            }
            let saved = store.save().map_err(io::Error::other);
            store.close_resource();
            saved
        };
        replace(path, write).map_err(|error| error.to_string())
    }
}
