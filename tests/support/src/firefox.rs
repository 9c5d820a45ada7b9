//! Finds Firefox, and makes profiles in which it asks no questions and contacts no servers.

use std::{env, fmt::Write, fs, path::PathBuf};

use tempfile::TempDir;

use crate::browser::on_path;

/// Names that it goes by; `FIREFOX` in the environment goes before them.
const PROGRAMS: [&str; 2] = ["firefox-esr", "firefox"];

pub(crate) const FLAGS: [&str; 2] = ["--headless", "--no-remote"];

/// Preferences that differ from the defaults, each with its value as JavaScript.
const PREFERENCES: [(&str, &str); 23] = [
    // Both ends are on this machine, which may have no other network, and no mDNS to resolve hidden
    // addresses.
    ("media.peerconnection.ice.loopback", "true"),
    ("media.peerconnection.ice.obfuscate_host_addresses", "false"),
    // No question about the camera and the microphone.
    ("media.navigator.permission.disabled", "true"),
    ("media.navigator.streams.fake", "true"),
    ("media.autoplay.default", "0"),
    ("media.autoplay.blocking_policy", "0"),
    ("media.autoplay.block-webaudio", "false"),
    // The page's process opens the sound device itself. By way of Firefox's sound server the sound of a page
    // did not always start on a busy machine.
    ("media.cubeb.sandbox", "false"),
    ("security.sandbox.content.level", "0"),
    // The page of the test is the only one, and nothing goes to any other server.
    ("app.normandy.enabled", "false"),
    ("app.update.auto", "false"),
    ("browser.aboutwelcome.enabled", "false"),
    ("browser.safebrowsing.malware.enabled", "false"),
    ("browser.safebrowsing.phishing.enabled", "false"),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("browser.startup.homepage_override.mstone", r#""ignore""#),
    ("datareporting.policy.firstRunURL", r#""""#),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("extensions.systemAddon.update.enabled", "false"),
    ("media.gmp-manager.updateEnabled", "false"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.connectivity-service.enabled", "false"),
    ("toolkit.telemetry.reportingpolicy.firstRun", "false"),
];

/// Whether it is installed; says so if it is not, for a test that is then skipped.
pub fn available() -> bool {
    let available = program().is_some();
    if !available {
        println!("SKIPPED: no Firefox: none of {PROGRAMS:?} is on the PATH, and FIREFOX names none");
    }
    available
}

pub(crate) fn program() -> Option<PathBuf> {
    env::var_os("FIREFOX").map(PathBuf::from).or_else(|| PROGRAMS.into_iter().find_map(on_path))
}

/// A folder for its profile.
pub(crate) fn profile() -> TempDir {
    let folder = TempDir::new().expect("a folder for the browser's profile");
    let mut lines = String::new();
    for (name, value) in PREFERENCES {
        let _ = writeln!(lines, "user_pref({name:?}, {value});");
    }
    fs::write(folder.path().join("user.js"), lines).expect("the browser's preferences are written");
    folder
}
