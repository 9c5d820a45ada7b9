//! The profile's database, or what stands in for it.

use std::path::Path;

use ahoy_store::{Store, StoreError};

use super::now;
use crate::api::Notice;

/// Opens the database at `path`. A damaged one is set aside with what can be rescued of it; where one cannot be used at
/// all, a temporary one lets the app go on. Blocks.
///
/// # Errors
/// Another process has it open, or there is no place for a temporary one either.
pub fn open(path: &Path) -> Result<(Store, Vec<Notice>), Notice> {
    match Store::open(path) {
        Ok(store) => Ok((store, Vec::new())),
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
                Ok((recovered.store, vec![notice]))
            }
            Err(error) => temporary(&error),
        },
        Err(error @ StoreError::InUse { .. }) => Err(notice(&error)),
        Err(error) => temporary(&error),
    }
}

/// The reason is told, and the app runs; what it remembers goes with it.
fn temporary(error: &StoreError) -> Result<(Store, Vec<Notice>), Notice> {
    let folder = std::env::temp_dir().join(format!("ahoy-{:016x}", rand::random::<u64>()));
    let store = Store::open(&folder.join("ahoy.db")).map_err(|_| notice(error))?;
    let mut why = notice(error);
    why.todo.push_str(" Until then contacts and calls are not kept when Ahoy ends.");
    Ok((store, vec![why]))
}

/// An error of the store, for a person.
pub fn notice(error: &StoreError) -> Notice {
    Notice::explain(format!("database-{}", error.code()), &error.to_string())
}
