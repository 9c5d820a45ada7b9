//! Which values can be.

use ahoy_store::{DisplayName, RelayUrl};
use serde_json::Value;

use super::{VERSION_KEY, Values};
use crate::api::{IceServer, Notice, Settings};

/// A device's id: udev's links and PulseAudio's names have under 200 bytes.
const MAX_ID_BYTES: usize = 1024;
/// Nobody has use for more helpers, and each is asked at every call.
const MAX_ICE_SERVERS: usize = 8;
/// A host name has at most 253 bytes.
const MAX_URL_BYTES: usize = 512;
/// Short-lived credentials (a time, a name and a hash) have under 200 bytes.
const MAX_CREDENTIAL_BYTES: usize = 512;
/// RFC 7064 section 3.1, RFC 7065 section 3.1.
const ICE_SCHEMES: [&str; 4] = ["stun:", "stuns:", "turn:", "turns:"];

/// The settings of a file: each value that can be, and the default for each that cannot, with the keys of
/// these.
pub fn accept(values: &Values) -> (Settings, Vec<String>) {
    let (mut settings, mut bad) = (Settings::default(), Vec::new());
    for (key, value) in values.iter().filter(|(key, _)| is_known(key)) {
        let single = Values::from_iter([(key.clone(), value.clone())]);
        match patched(&settings, &single) {
            Ok(with_it) => settings = with_it,
            Err(_) => bad.push(key.clone()),
        }
    }
    (settings, bad)
}

/// The settings with some changed, if all of the changes can be.
pub fn patched(settings: &Settings, patch: &Values) -> Result<Settings, Notice> {
    let mut values = as_values(settings);
    for (key, value) in patch {
        if !values.contains_key(key) {
            return Err(refused(key, "there is no such setting"));
        }
        values.insert(key.clone(), value.clone());
    }
    let what = || patch.keys().cloned().collect::<Vec<_>>().join(", ");
    let mut new: Settings =
        serde_json::from_value(Value::Object(values)).map_err(|error| refused(&what(), &error.to_string()))?;
    check(&new)?;
    new.name = DisplayName::new(&new.name).map(|name| name.to_string()).unwrap_or_default();
    Ok(new)
}

fn is_known(key: &str) -> bool {
    key != VERSION_KEY && as_values(&Settings::default()).contains_key(key)
}

pub fn as_values(settings: &Settings) -> Values {
    match serde_json::to_value(settings) {
        Ok(Value::Object(values)) => values,
        // A struct with named fields serialises to an object.
        Ok(_) | Err(_) => Values::new(),
    }
}

fn check(settings: &Settings) -> Result<(), Notice> {
    let Settings { camera, microphone, speaker, ringer, relay_url, ice_servers, .. } = settings;
    for (key, id) in [("camera", camera), ("microphone", microphone), ("speaker", speaker), ("ringer", ringer)] {
        if id.as_ref().is_some_and(|id| !is_text(id, MAX_ID_BYTES) || id.is_empty()) {
            return Err(refused(key, "that is no device's id"));
        }
    }
    if let Some(url) = relay_url {
        url.parse::<RelayUrl>().map_err(|error| refused("relayUrl", &error.to_string()))?;
    }
    if ice_servers.len() > MAX_ICE_SERVERS {
        return Err(refused("iceServers", &format!("at most {MAX_ICE_SERVERS} servers can be used")));
    }
    ice_servers.iter().try_for_each(check_server)
}

fn check_server(server: &IceServer) -> Result<(), Notice> {
    let known = ICE_SCHEMES.iter().any(|scheme| server.url.strip_prefix(scheme).is_some_and(|host| !host.is_empty()));
    if !known || !is_text(&server.url, MAX_URL_BYTES) || server.url.contains(char::is_whitespace) {
        return Err(refused("iceServers", "a server's address begins with stun: or turn: and has no spaces"));
    }
    let is_credential = |text: &str| is_text(text, MAX_CREDENTIAL_BYTES);
    if !is_credential(&server.user) || !is_credential(&server.credential) {
        return Err(refused("iceServers", "a server's user or password is too long, or has control characters"));
    }
    Ok(())
}

fn is_text(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes && !text.chars().any(char::is_control)
}

fn refused(key: &str, why: &str) -> Notice {
    Notice::new("setting-refused", format!("{key} cannot be set to that: {why}."), "Correct it and try again.")
}
