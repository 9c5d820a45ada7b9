//! A store for tests.

use std::{ops::Deref, path::PathBuf};

use tempfile::TempDir;

use crate::{DisplayName, EndpointId, NewContact, NewRequest, Store, UnixMs, Whereabouts};

pub(crate) const T0: UnixMs = UnixMs(1_790_000_000_000);

pub(crate) fn later(ms: i64) -> UnixMs {
    UnixMs(T0.0 + ms)
}

pub(crate) const fn peer(number: u8) -> EndpointId {
    EndpointId::new([number; EndpointId::BYTES])
}

pub(crate) fn name(text: &str) -> DisplayName {
    DisplayName::new(text).unwrap()
}

pub(crate) fn contact(number: u8) -> NewContact {
    NewContact { peer: peer(number), name: None, own_name: None, whereabouts: Whereabouts::default() }
}

pub(crate) fn request(number: u8) -> NewRequest {
    NewRequest { peer: peer(number), own_name: None, text: None, whereabouts: Whereabouts::default() }
}

/// A store in a folder of its own, which goes with it.
pub(crate) struct TestStore {
    store: Option<Store>,
    folder: TempDir,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Some(Store::open(&folder.path().join("ahoy.db")).unwrap());
        Self { store, folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ahoy.db")
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(Store::open(&self.path()).unwrap());
    }

    /// Closes the store; the folder stays.
    pub(crate) fn close(&mut self) {
        self.store = None;
    }
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store.as_ref().unwrap()
    }
}
