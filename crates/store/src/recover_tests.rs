use super::*;
use crate::{
    Direction, Media, NewCall,
    testing::{T0, TestStore, contact, later, peer},
};

const CONTACTS: u8 = 200;
const CALLS: usize = 500;
const MESSAGES: usize = 40;

/// A closed store with rows on many pages.
fn filled() -> TestStore {
    let mut store = TestStore::new();
    write(&mut store.connection(), |transaction| {
        for number in 0..CONTACTS {
            crate::contacts::add(transaction, &contact(number), T0)?;
        }
        for _ in 0..CALLS {
            let insert = "INSERT INTO call (peer, direction, media, started_at, end_reason)
                          VALUES (?1, 'incoming', 'audio', 1, 'hangup')";
            transaction.execute(insert, [peer(1)])?;
        }
        Ok(())
    })
    .unwrap();
    for _ in 0..MESSAGES {
        store.enqueue_message(peer(1), &[7; 3_000], T0, later(10)).unwrap();
    }
    store.close();
    store
}

fn root_page(path: &Path, table: &str) -> u64 {
    let connection = Connection::open(path).unwrap();
    let query = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    u64::try_from(connection.query_row(query, [table], |row| row.get::<_, i64>(0)).unwrap()).unwrap()
}

/// Overwrites pages `from..to` of the tables' tree, counted from its root.
fn damage(path: &Path, table: &str) {
    const PAGE: u64 = 4096;
    let page = root_page(path, table);
    let mut bytes = fs::read(path).unwrap();
    let start = usize::try_from((page - 1) * PAGE).unwrap();
    bytes[start..start + 4096].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

fn detail(result: Result<Store, StoreError>) -> String {
    match result {
        Err(StoreError::Damaged { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_can_be_read_is_kept_and_the_damaged_file_too() {
    for (table, contacts, calls, messages) in [
        ("call", usize::from(CONTACTS), 0, MESSAGES),
        ("outbox", usize::from(CONTACTS), CALLS, 0),
        ("sqlite_autoindex_contact_1", usize::from(CONTACTS), CALLS, MESSAGES),
        ("call_unseen", usize::from(CONTACTS), CALLS, MESSAGES),
        ("blocked", usize::from(CONTACTS), CALLS, MESSAGES),
        // Messages are to contacts only.
        ("contact", 0, CALLS, 0),
    ] {
        let store = filled();
        let path = store.path();
        damage(&path, table);
        let before = fs::read(&path).unwrap();
        let said = detail(Store::open(&path));
        assert_eq!(fs::read(&path).unwrap(), before, "{table}: a refused file was changed ({said})");

        let Recovered { store, set_aside, rescued } = Store::recover(&path, T0).unwrap();
        let aside = set_aside.unwrap();
        assert!(aside.to_string_lossy().ends_with("ahoy.db.damaged-2026-09-21-141320"), "{aside:?}");
        assert_eq!(fs::read(&aside).unwrap(), before, "{table}: the damaged file was changed");
        assert_eq!(rescued, Rescued { contacts, calls, messages }, "{table}");
        assert_eq!(store.contacts().unwrap().len(), contacts, "{table}");
        store.add_contact(&contact(250), T0).unwrap();
        drop(store);
        let again = Store::recover(&path, T0).unwrap();
        assert_eq!((again.set_aside, again.store.contacts().unwrap().len()), (None, contacts + 1), "{table}");
    }
}

#[test]
fn a_file_that_is_no_database_is_set_aside_under_a_free_name() {
    let mut store = TestStore::new();
    store.close();
    let path = store.path();
    let mut names = vec![];
    for _ in 0..3 {
        fs::write(&path, b"Dear diary, ".repeat(1_000)).unwrap();
        detail(Store::open(&path));
        names.push(Store::recover(&path, T0).unwrap().set_aside.unwrap());
    }
    let text = |name: &PathBuf| name.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(
        names.iter().map(text).collect::<Vec<_>>(),
        [
            "ahoy.db.damaged-2026-09-21-141320",
            "ahoy.db.damaged-2026-09-21-141320-2",
            "ahoy.db.damaged-2026-09-21-141320-3"
        ]
    );
}

#[test]
fn a_log_without_its_database_is_damage_and_not_deleted() {
    for emptied in [true, false] {
        let mut store = filled();
        store.reopen();
        store.begin_call(NewCall { peer: peer(1), direction: Direction::Outgoing, media: Media::Audio }, T0).unwrap();
        let (path, log) = (store.path(), with_suffix(&store.path(), "-wal"));
        let kept = fs::read(&log).unwrap();
        store.close();
        if emptied {
            fs::write(&path, b"").unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        fs::write(&log, &kept).unwrap();
        detail(Store::open(&path));
        assert_eq!(fs::read(&log).unwrap(), kept);
        let recovered = Store::recover(&path, T0).unwrap();
        let aside = recovered.set_aside.unwrap();
        assert_eq!((fs::read(with_suffix(&aside, "-wal")).unwrap(), recovered.rescued), (kept, Rescued::default()));
        assert_eq!(recovered.store.contacts(), Ok(vec![]));
    }
}

#[test]
fn a_recovery_that_was_cut_off_is_finished_or_begun_again() {
    for renamed in 0..4 {
        let store = filled();
        let path = store.path();
        damage(&path, "call");
        // A log that is left beside the new database must not become a part of it.
        let log = with_suffix(&path, "-wal");
        fs::write(&log, b"a log").unwrap();
        let lock = Lock::take(&place(&path).unwrap()).unwrap();
        let aside = with_suffix(&path, ".damaged-x");
        build(&path, &lock).unwrap();
        if renamed >= 1 {
            fs::rename(&path, &aside).unwrap();
        }
        if renamed >= 2 {
            fs::rename(&log, with_suffix(&aside, "-wal")).unwrap();
        }
        if renamed >= 3 {
            fs::rename(fresh(&path), &path).unwrap();
        }
        drop(lock);
        let store = match renamed {
            0 => {
                detail(Store::open(&path));
                Store::recover(&path, T0).unwrap().store
            }
            _ => Store::open(&path).unwrap(),
        };
        assert_eq!(store.contacts().unwrap().len(), usize::from(CONTACTS), "cut off after {renamed} renamings");
        assert!(!fresh(&path).exists());
        let folder = fs::read_dir(path.parent().unwrap()).unwrap();
        let logs = folder.filter(|file| fs::read(file.as_ref().unwrap().path()).unwrap() == b"a log").count();
        assert_eq!(logs, 1, "cut off after {renamed} renamings: the old log is lost");
    }
}

#[test]
fn dates_are_utc_and_outlandish_moments_have_a_name_too() {
    let name = |ms| date(UnixMs(ms)).unwrap();
    assert_eq!(name(0), "1970-01-01-000000");
    assert_eq!(name(951_827_696_999), "2000-02-29-123456");
    for ms in [i64::MIN, i64::MAX] {
        assert!(name(ms).chars().all(|c| c == '-' || c.is_ascii_digit()), "{}", name(ms));
    }
}
