//! What is read from the disk before anything runs.

use std::sync::Arc;

use ahoy_store::Store;
use ahoy_transport::{Roster, SecretKey};

use super::{
    choice::MediaChoice,
    database::{self, Temporary},
    network,
};
use crate::{
    api::Notice,
    profile::Profile,
    settings::{Keeper, SettingsFile},
};

/// All of it.
pub struct Opened {
    pub store: Store,
    pub temporary: Option<Temporary>,
    pub keeper: Keeper,
    pub choice: MediaChoice,
    pub notices: Vec<Notice>,
    pub keys: Keys,
    pub roster: Roster,
}

/// Who this side and its echo contact are.
pub struct Keys {
    pub own: SecretKey,
    pub echo: SecretKey,
}

impl Opened {
    /// Reads a profile; blocks.
    ///
    /// # Errors
    /// Another Ahoy has it open, its key cannot be had, or not even a temporary place can be written.
    pub fn of(profile: &Profile, settings_file: Arc<dyn SettingsFile>, loopback_only: bool) -> Result<Self, Notice> {
        let database::Opened { store, temporary, mut notices } = database::open(&profile.database())?;
        let keys = Keys { own: network::key(&profile.key())?, echo: network::key(&profile.echo_key())? };
        let (keeper, more) = Keeper::open(profile.settings(), settings_file);
        notices.extend(more);
        let choice = MediaChoice::of(&keeper.current().get(), loopback_only);
        let roster = network::roster(&store)?;
        Ok(Self { store, temporary, keeper, choice, notices, keys, roster })
    }
}
