//! The profile's database, or what stands in for it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ahoy_store::{Store, StoreError};

use super::now;
use crate::api::Notice;

/// The database, and what to tell of it.
pub struct Opened {
    pub store: Store,
    pub temporary: Option<Temporary>,
    pub notices: Vec<Notice>,
}

/// A folder that goes when the app does.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// For its owner alone: it says whom somebody talks to.
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("ahoy-{:016x}", rand::random::<u64>()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self(folder))
    }

    fn database(&self) -> PathBuf {
        self.0.join("ahoy.db")
    }

    /// Removes it with all that is in it.
    pub fn remove(&self) {
        // What cannot be removed is left to the system, which clears this place.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Opens the database at `path`. A damaged one is set aside with what can be rescued of it; where one cannot
/// be used at all, a temporary one lets the app go on. Blocks.
///
/// # Errors
/// Another process has it open, or there is no place for a temporary one either.
pub fn open(path: &Path) -> Result<Opened, Notice> {
    match Store::open(path) {
        Ok(store) => Ok(Opened { store, temporary: None, notices: Vec::new() }),
        Err(StoreError::Damaged { .. }) => match Store::recover(path, now()) {
            Ok(recovered) => {
                let aside = recovered.set_aside.map_or_else(|| "aside".to_owned(), |path| path.display().to_string());
                let (contacts, calls) = (recovered.rescued.contacts, recovered.rescued.calls);
                let notice = Notice::new(
                    "database-damaged",
                    format!(
                        "Ahoy's database was damaged; it is now {aside}. {contacts} contacts and {calls} calls were saved from it."
                    ),
                    "Look through your contacts, and add again who is missing.",
                );
                Ok(Opened { store: recovered.store, temporary: None, notices: vec![notice] })
            }
            Err(error) => temporary(&error, path),
        },
        Err(error @ StoreError::InUse { .. }) => Err(notice(&error)),
        Err(error) => temporary(&error, path),
    }
}

/// The reason is told, and the app runs, with a copy of what is there if that can be read; what it remembers
/// goes with it.
fn temporary(error: &StoreError, path: &Path) -> Result<Opened, Notice> {
    let folder = Temporary::new().map_err(|_| notice(error))?;
    let store = copied(path, &folder).or_else(|| Store::open(&folder.database()).ok());
    let store = store.ok_or_else(|| notice(error))?;
    let mut why = notice(error);
    why.todo.push_str(" Until then what changes in contacts and calls is not kept when Ahoy ends.");
    Ok(Opened { store, temporary: Some(folder), notices: vec![why] })
}

/// A copy of the database, log included. Nobody writes it meanwhile who has not its lock.
fn copied(path: &Path, to: &Temporary) -> Option<Store> {
    let log = |database: &Path| {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        PathBuf::from(name)
    };
    let copy = to.database();
    let logged = !log(path).exists() || fs::copy(log(path), log(&copy)).is_ok();
    let store = (logged && fs::copy(path, &copy).is_ok()).then(|| {
        // A copy of what may not be written may not be written either.
        for file in [log(&copy), copy.clone()] {
            #[cfg(unix)]
            let _ = fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600));
        }
        Store::open(&copy).ok()
    });
    store.flatten().or_else(|| {
        let _ = fs::remove_file(log(&copy));
        let _ = fs::remove_file(&copy);
        None
    })
}

/// An error of the store, for a person.
pub fn notice(error: &StoreError) -> Notice {
    Notice::explain(format!("database-{}", error.code()), &error.to_string())
}

#[cfg(test)]
mod tests {
    use ahoy_store::{EndpointId, NewContact, Whereabouts};

    use super::*;

    #[test]
    fn a_database_that_cannot_be_written_shows_its_contacts_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahoy.db");
        let peer = EndpointId::new([1; 32]);
        let contact = NewContact { peer, name: None, own_name: None, whereabouts: Whereabouts::default() };
        let kept = Store::open(&path).unwrap();
        kept.add_contact(&contact, now()).unwrap();
        let error = StoreError::ReadOnly { path: path.clone() };
        let opened = temporary(&error, &path).unwrap();
        assert_eq!(opened.notices[0].code, "database-read-only");
        assert_eq!(opened.store.contacts().unwrap()[0].peer, peer);
        opened.store.remove_contact(peer).unwrap();
        assert_eq!(kept.contacts().unwrap().len(), 1);
        let place = opened.store.path().to_owned();
        drop(opened);
        assert!(!place.parent().unwrap().exists(), "whom somebody talks to was left in a public place");
    }

    #[test]
    fn what_cannot_be_read_at_all_is_an_empty_database() {
        for content in [None, Some("no database")] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ahoy.db");
            if let Some(content) = content {
                fs::write(&path, content.repeat(500)).unwrap();
            }
            let opened = temporary(&StoreError::DiskFull { path: path.clone() }, &path).unwrap();
            assert!(opened.store.contacts().unwrap().is_empty());
            opened.store.block(EndpointId::new([1; 32]), now()).unwrap();
        }
    }
}
