use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use super::*;
use crate::{
    Direction, EndReason, MAX_MESSAGE_BYTES, Media, NewCall, Store, Whereabouts,
    testing::{T0, TestStore, contact, later, peer, request},
};

/// Names, sizes and hashes of the files of a folder that hold data: not the lock, not the index of a log, no
/// empty log.
fn files(path: &Path) -> Vec<(OsString, usize, u64)> {
    let folder = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let data = folder.filter(|path| ["lock", "db-shm"].iter().all(|other| path.extension() != Some(other.as_ref())));
    let mut files: Vec<_> = data
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (
                path.file_name().unwrap().to_owned(),
                bytes.len(),
                BuildHasherDefault::<DefaultHasher>::default().hash_one(&bytes),
            )
        })
        .collect();
    files.retain(|(_, bytes, _)| *bytes > 0);
    files.sort();
    files
}

/// Changes a closed store's file by SQL, in its log alone if `log`.
fn alter(path: &Path, sql: &str, log: bool) {
    let connection = Connection::open(path).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, log).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_newer_database_is_refused_and_not_touched() {
    for log in [false, true] {
        let mut store = TestStore::new();
        store.add_contact(&contact(1), T0).unwrap();
        store.close();
        alter(&store.path(), "PRAGMA user_version = 77; CREATE TABLE future (x INTEGER)", log);
        let before = files(&store.path());
        assert_eq!(before.len(), if log { 2 } else { 1 }, "{before:?}");
        for _ in 0..2 {
            let known = i32::try_from(STEPS.len()).unwrap();
            let path = place(&store.path()).unwrap();
            let newer = StoreError::Newer { path, found: 77, known };
            let text = newer.to_string();
            let up_to = format!("up to {known}");
            assert!(["77", &up_to, "update Ahoy", "ahoy.db"].iter().all(|part| text.contains(part)), "{text}");
            assert_eq!(Store::open(&store.path()).unwrap_err(), newer);
            assert_eq!(Store::recover(&store.path(), T0).unwrap_err(), newer);
            assert_eq!(files(&store.path()), before);
        }
    }
}

#[test]
fn files_that_are_no_sound_database_of_ours_are_told_apart_and_not_touched() {
    type Make = fn(&Path);
    let table: [(&str, Make, &str); 7] = [
        ("another program's", |path| alter(path, "CREATE TABLE bookmark (x)", false), "foreign"),
        (
            "another program's, with its id",
            |path| alter(path, "PRAGMA application_id = 7; CREATE TABLE a (x)", false),
            "foreign",
        ),
        ("text", |path| fs::write(path, "hello\n".repeat(500)).unwrap(), "damaged"),
        ("two bytes", |path| fs::write(path, "xy").unwrap(), "damaged"),
        (
            "cut off",
            |path| {
                drop(Store::open(path).unwrap());
                let bytes = fs::read(path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            "damaged",
        ),
        (
            "a row that no Ahoy writes",
            |path| {
                drop(Store::open(path).unwrap());
                alter(path, "PRAGMA ignore_check_constraints = 1; INSERT INTO blocked VALUES (x'00', 1)", false);
            },
            "damaged",
        ),
        (
            "no version",
            |path| {
                drop(Store::open(path).unwrap());
                alter(path, "PRAGMA user_version = 0", false);
            },
            "damaged",
        ),
    ];
    for (what, make, code) in table {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahoy.db");
        make(&path);
        let before = files(&path);
        let error = Store::open(&path).expect_err(what);
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(error.to_string().contains("nothing was changed"), "{error}");
        assert_eq!(files(&path), before, "{what}");
    }
}

#[test]
fn a_garbled_name_or_address_costs_no_contact_and_no_call() {
    let store = TestStore::new();
    let call = NewCall { peer: peer(1), direction: Direction::Incoming, media: Media::Audio };
    store.add_contact(&contact(1), T0).unwrap();
    store.add_request(&request(2), T0).unwrap();
    let id = store.begin_call(call, T0).unwrap();
    store.end_call(id, T0, &EndReason::new("timeout")).unwrap();
    for garbled in ["'nowhere'", "CAST(x'ff41' AS TEXT)", "'\u{202e}'"] {
        let words = "name = {0}, own_name = {0}, relay = {0}, addresses = {0}".replace("{0}", garbled);
        store.connection().execute(&format!("UPDATE contact SET {words}"), []).unwrap();
        let words = "own_name = {0}, text = {0}, relay = {0}, addresses = {0}".replace("{0}", garbled);
        store.connection().execute(&format!("UPDATE request SET {words}"), []).unwrap();
        store
            .connection()
            .execute(&format!("UPDATE call SET peer_name = {garbled}, end_reason = {garbled}"), [])
            .unwrap();
        let contacts = store.contacts().unwrap();
        assert_eq!((contacts[0].peer, &contacts[0].whereabouts), (peer(1), &Whereabouts::default()), "{garbled}");
        assert_eq!(store.requests().unwrap()[0].peer, peer(2), "{garbled}");
        assert!(store.calls(None, 9).unwrap()[0].reason.is_some(), "{garbled}");
        assert_eq!(store.add_contact(&contact(1), T0).unwrap_err().code(), "already-contact");
    }
}

#[test]
fn one_database_is_open_once_whatever_leads_to_it() {
    let mut store = TestStore::new();
    let path = store.path();
    let link = path.with_file_name("link.db");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&path, &link).unwrap();
    #[cfg(not(unix))]
    fs::hard_link(&path, &link).unwrap();
    for way in [
        path.clone(),
        link.clone(),
        path.parent().unwrap().join("../").join(path.strip_prefix(path.parent().unwrap().parent().unwrap()).unwrap()),
    ] {
        let error = Store::open(&way).unwrap_err();
        assert_eq!(error.code(), "in-use", "{error}");
        assert_eq!(Store::recover(&way, T0).unwrap_err().code(), "in-use");
    }
    store.add_contact(&contact(1), T0).unwrap();
    store.close();
    let other = Store::open(&link).unwrap();
    assert_eq!(other.contacts().unwrap().len(), 1);
    assert_eq!(Store::open(&path).unwrap_err().code(), "in-use");
}

#[test]
fn a_program_that_holds_the_file_is_told_and_not_waited_for_long() {
    let mut store = TestStore::new();
    store.close();
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; CREATE TABLE a (x)").unwrap();
    assert_eq!(Store::open(&store.path()).unwrap_err().code(), "in-use");
    drop(other);
    store.reopen();
}

#[test]
fn paths_that_cannot_be_are_refused_and_odd_ones_taken() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("folder")).unwrap();
    for bad in [Path::new(""), Path::new("/"), Path::new(".."), &at("file/ahoy.db"), &at("folder")] {
        let error = Store::open(bad).unwrap_err();
        assert_eq!(error.code(), "io", "{bad:?}: {error}");
    }
    for odd in ["new/deep/ahoy.db", "file:x?mode=memory", ":memory:", "a b's \"ä\".db", "%41?b#c"] {
        Store::open(&at(odd)).unwrap().add_contact(&contact(1), T0).unwrap();
        assert!(has_content(&at(odd)), "{odd:?}");
        assert_eq!(Store::open(&at(odd)).unwrap().contacts().unwrap().len(), 1);
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_what_is_stored() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile/ahoy.db");
    let store = Store::open(&path).unwrap();
    store.add_contact(&contact(1), T0).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", ".lock"] {
        assert_eq!(mode(&with_suffix(&path, suffix)), 0o600, "{suffix:?}");
    }
}

/// Runs `job` as a user whom permissions bind; root, as whom tests run in containers, they do not.
#[cfg(target_os = "linux")]
fn unprivileged<T: Send>(job: impl FnOnce() -> T + Send) -> T {
    use nix::unistd::{Uid, geteuid, setfsuid};
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if geteuid().is_root() {
                setfsuid(Uid::from_raw(65_534));
            }
            job()
        });
        thread.join().unwrap()
    })
}

#[cfg(target_os = "linux")]
#[test]
fn read_only_files_and_folders_are_told_and_not_touched() {
    use std::os::unix::fs::PermissionsExt;
    for (folder_mode, file_mode, lock_mode, code) in [
        (0o755, 0o444, 0o666, "read-only"),
        (0o555, 0o666, 0o666, "read-only"),
        (0o555, 0o444, 0o444, "read-only"),
        (0o555, 0o666, 0o444, "read-only"),
        (0o755, 0o000, 0o666, "io"),
        (0o000, 0o666, 0o666, "read-only"),
    ] {
        let mut store = TestStore::new();
        store.add_contact(&contact(1), T0).unwrap();
        store.close();
        let path = store.path();
        let folder = path.parent().unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let before = files(&path);
        set(&path, file_mode);
        set(&with_suffix(&path, ".lock"), lock_mode);
        set(folder, folder_mode);
        let error = unprivileged(|| Store::open(&path).map(drop)).unwrap_err();
        assert_eq!(error.code(), code, "{folder_mode:o} {file_mode:o}: {error}");
        set(folder, 0o755);
        set(&path, 0o644);
        set(&with_suffix(&path, ".lock"), 0o644);
        assert_eq!(files(&path), before);
        store.reopen();
        assert_eq!(store.contacts().unwrap().len(), 1);
    }
}

#[test]
fn a_full_disk_is_told_and_the_store_goes_on() {
    let store = TestStore::new();
    store.add_contact(&contact(1), T0).unwrap();
    let call = crate::NewCall { peer: peer(1), direction: crate::Direction::Incoming, media: crate::Media::Audio };
    let id = store.begin_call(call, T0).unwrap();
    let pages: i64 = store.connection().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let limit =
        |pages| store.connection().query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();

    limit(pages + 40);
    let body = vec![7; MAX_MESSAGE_BYTES];
    let put = || store.enqueue_message(peer(1), &body, T0, later(1_000));
    let mut kept = vec![];
    let error = loop {
        match put() {
            Ok(id) => kept.push(id),
            Err(error) => break error,
        }
    };
    assert!(kept.len() >= 2, "{} messages fitted", kept.len());
    assert_eq!(error.code(), "disk-full");
    assert!(
        ["disk is full", "ahoy.db", "Free some space"].iter().all(|part| error.to_string().contains(part)),
        "{error}"
    );
    // Small things still go, all that was kept is there, and nothing of what was refused.
    assert_eq!(store.end_call(id, later(1), &EndReason::new("hangup")), Ok(true));
    for id in kept {
        assert_eq!(store.next_message(peer(1), T0).unwrap().map(|message| message.id), Some(id));
        store.acknowledge_message(id).unwrap();
    }
    assert_eq!(store.next_message(peer(1), T0), Ok(None));
    // The space of the acknowledged ones is free again.
    put().unwrap();
    assert_eq!(put().err(), None);
    assert_eq!((put().unwrap_err().code(), limit(1_000_000)), ("disk-full", ()));
    put().unwrap();
}

#[test]
fn errors_have_codes_of_their_own_and_say_which_file() {
    let path = PathBuf::from("/profile/ahoy.db");
    let reason = "reason".to_owned();
    let of_files = [
        StoreError::InUse { path: path.clone() },
        StoreError::Newer { path: path.clone(), found: 2, known: 1 },
        StoreError::Damaged { path: path.clone(), detail: reason.clone() },
        StoreError::Foreign { path: path.clone() },
        StoreError::ReadOnly { path: path.clone() },
        StoreError::DiskFull { path: path.clone() },
        StoreError::Io { path: path.clone(), reason: reason.clone() },
        StoreError::Unexpected { path, reason },
    ];
    assert!(of_files.iter().all(|error| error.to_string().contains("/profile/ahoy.db")));
    let peer = peer(1);
    let others = [
        StoreError::NoContact { peer },
        StoreError::AlreadyContact { name: "Ada".to_owned() },
        StoreError::NoRequest { peer },
        StoreError::InviteExists,
        StoreError::TooManyInvites,
        StoreError::MessageTooLarge { bytes: 65_537 },
        StoreError::OutboxFull { peer },
    ];
    let codes: HashSet<_> = of_files.iter().chain(&others).map(StoreError::code).collect();
    assert_eq!(codes.len(), of_files.len() + others.len());
}

#[test]
fn a_store_serves_many_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let store = TestStore::new();
    shared::<Store>(&store);
    std::thread::scope(|scope| {
        for part in 0..4 {
            let store: &Store = &store;
            scope.spawn(move || {
                for number in 0..10 {
                    store.add_contact(&contact(part * 10 + number), T0).unwrap();
                }
            });
        }
    });
    assert_eq!(store.contacts().unwrap().len(), 40);
}
