//! Files damaged at random: opening one is an answer and never a panic, changes nothing that it refuses, and
//! recovery always leads to a store that works.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ahoy_store::{
    Direction, DisplayName, EndReason, EndpointId, InviteToken, Media, NewCall, NewContact, NewRequest, Store,
    StoreError, UnixMs, Whereabouts,
};

const SEED: u64 = 7;
const FILES: usize = 300;
const NOW: UnixMs = UnixMs(1_790_000_000_000);
const LATER: UnixMs = UnixMs(NOW.0 + 1_000);
const CONTACTS: u8 = 60;

fn peer(number: u8) -> EndpointId {
    EndpointId::from([number; 32])
}

fn contact(number: u8) -> NewContact {
    let name = DisplayName::new(&format!("contact {number} of many"));
    NewContact { peer: peer(number), name, own_name: None, whereabouts: Whereabouts::default() }
}

fn log(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

/// A database and its log, as a crash leaves them: half of the rows in each.
fn sound() -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ahoy.db");
    for half in 0..2 {
        let store = Store::open(&path).unwrap();
        for number in half * CONTACTS / 2..(half + 1) * CONTACTS / 2 {
            store.add_contact(&contact(number), NOW).unwrap();
            store.enqueue_message(peer(number), &vec![number; 1 << (number % 15)], NOW, LATER).unwrap();
            let call = NewCall { peer: peer(number), direction: Direction::Incoming, media: Media::Audio };
            let id = store.begin_call(call, NOW).unwrap();
            store.end_call(id, LATER, &EndReason::new("timeout")).unwrap();
            store.issue_invite(InviteToken::from([number; 32]), NOW, LATER).unwrap();
            store.block(peer(number + 100), NOW).unwrap();
            let whereabouts = Whereabouts::default();
            let request = NewRequest { peer: peer(number + 180), own_name: None, text: None, whereabouts };
            store.add_request(&request, NOW).unwrap();
        }
        if half == 1 {
            return [fs::read(&path).unwrap(), fs::read(log(&path)).unwrap()];
        }
    }
    unreachable!()
}

fn damage(bytes: &mut Vec<u8>, chances: &mut fastrand::Rng) {
    let length = bytes.len();
    match chances.u8(0..6) {
        0 => bytes.truncate(chances.usize(0..length)),
        1 => {
            let page = chances.usize(0..length / 4096);
            bytes[page * 4096..(page + 1) * 4096].fill(chances.u8(..));
        }
        2 => {
            // The header, and the schema behind it.
            let at = chances.usize(0..200);
            bytes[at] ^= chances.u8(1..);
        }
        3 => {
            let from = chances.usize(0..length);
            let until = (from + chances.usize(1..5_000)).min(length);
            bytes[from..until].iter_mut().for_each(|byte| *byte = chances.u8(..));
        }
        4 => {
            // The heads of pages, where the tree is.
            for _ in 0..chances.usize(1..10) {
                let at = chances.usize(0..length / 4096) * 4096 + chances.usize(0..40);
                bytes[at] = chances.u8(..);
            }
        }
        _ => {
            for _ in 0..chances.usize(1..50) {
                bytes[chances.usize(0..length)] ^= 1 << chances.u8(0..8);
            }
        }
    }
}

/// Asks for everything; what cannot be read is told.
fn read_all(store: &Store) {
    let told = |error: Option<StoreError>| assert!(error.as_ref().is_none_or(|e| e.code() == "damaged"), "{error:?}");
    told(store.contacts().err());
    told(store.requests().err());
    told(store.invites().err());
    told(store.blocked().err());
    told(store.calls(None, 500).err());
    told(store.unseen_calls().err());
    told(store.awaited_peers(NOW).err());
    for number in 0..CONTACTS {
        told(store.next_message(peer(number), NOW).err());
    }
}

#[test]
fn whatever_happened_to_the_file_there_is_an_answer_and_a_way_on() {
    let sound = sound();
    let mut chances = fastrand::Rng::with_seed(SEED);
    let (mut taken, mut damaged, mut refused, mut rescued) = (0, 0, 0, 0);
    for number in 0..FILES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahoy.db");
        let mut files = sound.clone();
        match chances.u8(0..4) {
            0 => damage(&mut files[1], &mut chances),
            1 => files.iter_mut().for_each(|file| damage(file, &mut chances)),
            _ => damage(&mut files[0], &mut chances),
        }
        fs::write(&path, &files[0]).unwrap();
        if chances.bool() {
            fs::write(log(&path), &files[1]).unwrap();
        } else {
            files[1].clear();
        }
        let unchanged = |path: &Path| {
            let now = [path.to_owned(), log(path)].map(|file| fs::read(file).unwrap_or_default());
            assert!(now == files, "file {number}: {path:?} was changed");
        };
        match Store::open(&path) {
            Ok(store) => {
                taken += 1;
                read_all(&store);
            }
            Err(StoreError::Damaged { .. }) => {
                damaged += 1;
                unchanged(&path);
                let recovered = Store::recover(&path, NOW).unwrap();
                unchanged(&recovered.set_aside.unwrap());
                assert_eq!(recovered.store.contacts().unwrap().len(), recovered.rescued.contacts);
                rescued += recovered.rescued.contacts;
                read_all(&recovered.store);
                recovered.store.add_contact(&contact(CONTACTS), NOW).unwrap();
            }
            Err(error @ (StoreError::Foreign { .. } | StoreError::Newer { .. })) => {
                refused += 1;
                unchanged(&path);
                assert_eq!(Store::recover(&path, NOW).unwrap_err(), error);
            }
            Err(error) => panic!("file {number}: {error}"),
        }
    }
    eprintln!("{FILES} files: {taken} opened, {damaged} damaged, {refused} refused; {rescued} contacts rescued");
    assert!(taken > 0 && damaged > FILES / 4 && rescued > damaged * 10);
}
