//! Declares the page's commands, so that a window needs a capability for each, and has a page to embed in any
//! case.

use std::{fs, io, path::Path};

use tauri_build::{AppManifest, Attributes};

const COMMANDS: &[&str] = &[
    "start",
    "media_mode",
    "call_start",
    "call_accept",
    "call_decline",
    "call_hang_up",
    "call_hold",
    "call_audio",
    "call_video",
    "calls_list",
    "signal_send",
    "devices_list",
    "device_choose",
    "device_test",
    "settings_get",
    "settings_set",
    "contacts_add",
    "contacts_rename",
    "contacts_remove",
    "contacts_block",
    "request_answer",
    "nearby_add",
    "invite_create",
    "presence_set",
    "history_list",
    "history_seen",
    "history_clear",
    "stats_watch",
    "holes_set",
];

const PAGE: &str = "../ui/dist";
const NO_PAGE: &str = "<!doctype html><meta charset=utf-8><title>Ahoy</title><p>The page has not been built: <code>./dev run</code> builds it.";

fn main() -> io::Result<()> {
    if !Path::new(PAGE).join("index.html").exists() {
        fs::create_dir_all(PAGE)?;
        fs::write(Path::new(PAGE).join("index.html"), NO_PAGE)?;
    }
    println!("cargo:rerun-if-changed={PAGE}");
    let attributes = Attributes::new().app_manifest(AppManifest::new().commands(COMMANDS));
    tauri_build::try_build(attributes).map_err(|error| io::Error::other(format!("{error:#}")))
}
