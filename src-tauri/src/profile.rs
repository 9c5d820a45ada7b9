//! Where the files of a profile are.

use std::path::{Path, PathBuf};

/// Two people on one account, or two Ahoys beside each other: each profile has its own identity, contacts and
/// settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    name: String,
    data: PathBuf,
    config: PathBuf,
}

/// A name that cannot be a profile's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be a profile's name: use up to {max} letters a to z, digits, - and _", max = Profile::MAX_NAME)]
pub struct ProfileError(String);

impl Profile {
    /// What a profile is called where nothing is said.
    pub const DEFAULT: &str = "default";
    /// The name becomes a part of file and D-Bus names, which have 255 bytes.
    const MAX_NAME: usize = 32;

    /// The profile of that name, in the user's own folders (XDG Base Directory Specification).
    ///
    /// # Errors
    /// A name that would not be one folder's.
    pub fn named(name: &str, data: &Path, config: &Path) -> Result<Self, ProfileError> {
        let fits = (1..=Self::MAX_NAME).contains(&name.len());
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !fits || !plain {
            return Err(ProfileError(name.to_owned()));
        }
        let within = |folder: &Path| folder.join("ahoy").join(name);
        Ok(Self { name: name.to_owned(), data: within(data), config: within(config) })
    }

    /// A profile whose files are all in one folder: for tests.
    #[cfg(test)]
    pub fn within(folder: &Path) -> Self {
        Self { name: "test".to_owned(), data: folder.join("data"), config: folder.join("config") }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the user has set.
    pub fn settings(&self) -> PathBuf {
        self.config.join("settings.json")
    }

    /// Where the window was.
    pub fn window_state(&self) -> PathBuf {
        self.config.join("window.json")
    }

    /// Contacts, history, outbox.
    pub fn database(&self) -> PathBuf {
        self.data.join("ahoy.db")
    }

    /// Who the user is: a secret key.
    pub fn key(&self) -> PathBuf {
        self.data.join("identity.key")
    }

    /// Who the echo contact is.
    pub fn echo_key(&self) -> PathBuf {
        self.data.join("echo.key")
    }

    /// What the webview keeps.
    pub fn webview(&self) -> PathBuf {
        self.data.join("webview")
    }

    /// What libEGL is told.
    pub fn egl(&self) -> PathBuf {
        self.data.join("egl")
    }

    /// The logs' folder.
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_folders_of_their_own() {
        let profile = |name| Profile::named(name, Path::new("/data"), Path::new("/config"));
        assert_eq!(profile("a-1").unwrap().database(), Path::new("/data/ahoy/a-1/ahoy.db"));
        assert_eq!(profile("a-1").unwrap().settings(), Path::new("/config/ahoy/a-1/settings.json"));
        for name in ["", "..", "a/b", "A", "a b", "ä", "a.b", &"a".repeat(33)] {
            assert_eq!(profile(name), Err(ProfileError(name.to_owned())));
        }
    }
}
