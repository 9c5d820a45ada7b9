//! A process that writes is killed, again and again: what it was told is kept is there, and nothing is there
//! by half.
//!
//! The writer is this test's own executable. It does one operation after the other, each decided by its
//! number alone, and says on its standard output when one has returned. After the kill the database must be
//! the one that the same operations make in a process that nobody kills: all that returned, and perhaps the
//! one that was under way.
#![cfg(unix)]

use std::{
    env, fs,
    io::{BufRead, BufReader, Lines, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use ahoy_store::{
    CallRecordId, Direction, DisplayName, EndReason, EndpointId, InviteToken, Media, NewCall, NewContact, NewRequest,
    RequestText, Store, StoreError, UnixMs, Whereabouts,
};
use rusqlite::{Connection, types::Value};

const KILLS: u64 = 50;
const SIGKILL: i32 = 9;
/// Tells the child that it is one: the database, and the number of the first operation or [`RECOVER`].
const DATABASE: &str = "AHOY_STORE_KILL_DATABASE";
const FIRST: &str = "AHOY_STORE_KILL_FIRST";
const RECOVER: &str = "recover";
/// Of the operations and of the moments.
const SEED: u64 = 20_260_921;

/// One operation, the same for the same number.
fn operate(store: &Store, number: u64) -> Result<(), StoreError> {
    let mut chances = fastrand::Rng::with_seed(SEED ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let now = UnixMs(1_790_000_000_000 + i64::try_from(number).unwrap() * 1_000);
    let later = UnixMs(now.0 + 1_000 * chances.i64(1..100));
    let peer = EndpointId::from([chances.u8(0..30); 32]);
    let name = DisplayName::new(&format!("name {number} {}", "x".repeat(chances.usize(0..80))));
    let new = NewContact { peer, name: name.clone(), own_name: None, whereabouts: Whereabouts::default() };
    let token = |number: u64| InviteToken::from(std::array::from_fn(|i| number.to_le_bytes()[i % 8] ^ i as u8));
    match chances.u8(0..14) {
        0 | 1 => store.add_contact(&new, now),
        2 => store.rename_contact(peer, name.as_ref()),
        3 if chances.u8(0..4) == 0 => store.remove_contact(peer).map(drop),
        4 => {
            let peer = EndpointId::from([chances.u8(30..90); 32]);
            let text = RequestText::new("hello");
            let whereabouts = Whereabouts::default();
            store.add_request(&NewRequest { peer, own_name: name, text, whereabouts }, now).map(drop)
        }
        5 => store.issue_invite(token(number), now, later),
        6 => {
            let Some(open) = store.invites()?.into_iter().find(|invite| invite.used.is_none()) else { return Ok(()) };
            store.redeem_invite(open.token, &new, now).map(drop)
        }
        7 if chances.bool() => store.block(peer, now),
        7 => store.unblock(peer).map(drop),
        8 => {
            let call = NewCall { peer, direction: Direction::Incoming, media: Media::Video };
            store.begin_call(call, now).map(drop)
        }
        9 => match store.calls(None, 1)?.first() {
            Some(call) if chances.bool() => store.answer_call(call.id, now).map(drop),
            Some(call) => store.end_call(call.id, now, &EndReason::new("hangup")).map(drop),
            None => Ok(()),
        },
        10 if chances.u8(0..10) == 0 => store.delete_all_calls(),
        10 => store.mark_calls_seen(CallRecordId::from(chances.i64(0..100))),
        11 => {
            let Some(message) = store.next_message(peer, now)? else { return Ok(()) };
            store.acknowledge_message(message.id).map(drop)
        }
        12 if chances.u8(0..5) == 0 => store.expire_messages(now).map(drop),
        _ => {
            let body = vec![chances.u8(..); chances.usize(0..=ahoy_store::MAX_MESSAGE_BYTES)];
            store.enqueue_message(peer, &body, now, later).map(drop)
        }
    }
}

/// Does the operation; that it is refused (no such contact, …) is a part of the game.
fn step(store: &Store, number: u64) {
    if let Err(error) = operate(store, number) {
        let refused = ["no-contact", "already-contact", "no-request", "too-many-invites", "outbox-full"];
        assert!(refused.contains(&error.code()), "operation {number}: {error}");
    }
}

/// All rows of all tables.
fn content(path: &Path) -> Vec<(String, Vec<Vec<Value>>)> {
    let connection = Connection::open(path).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let tables = ["contact", "blocked", "request", "invite", "call", "outbox", "sqlite_sequence"];
    let rows = |table: &str| {
        let mut query = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
        let columns = query.column_count();
        let rows = query.query_map([], |row| (0..columns).map(|i| row.get(i)).collect()).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    tables.into_iter().map(|table| (table.to_owned(), rows(table))).collect()
}

/// Where the two differ, in few words.
fn difference(a: &[(String, Vec<Vec<Value>>)], b: &[(String, Vec<Vec<Value>>)]) -> String {
    let tables = a.iter().zip(b).filter(|(a, b)| a != b);
    tables.map(|((name, a), (_, b))| format!("{name}: {} rows and {}; ", a.len(), b.len())).collect()
}

/// A writer, killed when it is dropped.
struct Writer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    fn start(database: &Path, first: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_writer", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DATABASE, database)
            .env(FIRST, first)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The number of the next operation that the writer says has returned; none when it says no more.
    fn returned(&mut self) -> Option<u64> {
        self.lines.by_ref().find_map(|line| line.unwrap().split_once("returned ").map(|(_, n)| n.parse().unwrap()))
    }

    /// Kills the writer, and reads what it had said until then.
    fn kill(mut self) -> Option<u64> {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "the writer ended by itself");
        std::iter::from_fn(|| self.returned()).last()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The writer itself: not a test, but the process that the tests kill.
#[test]
#[ignore = "writes without end; the other tests start and kill it"]
fn the_writer() {
    let (Ok(database), Ok(first)) = (env::var(DATABASE), env::var(FIRST)) else { return };
    let database = Path::new(&database);
    if first == RECOVER {
        let _recovered = Store::recover(database, UnixMs(0)).unwrap();
        loop {
            thread::park();
        }
    }
    let store = Store::open(database).unwrap();
    let mut out = std::io::stdout();
    for number in first.parse().unwrap().. {
        step(&store, number);
        // When the parent is gone this fails, and the writer with it.
        writeln!(out, "returned {number}").and_then(|()| out.flush()).unwrap();
    }
}

/// The files of a database as a crash would leave them; opened and closed, they are what the next start
/// finds.
fn crashed_copy(from: &Path, to: &Path) {
    for log in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{log}", path.display()));
        if name(from).exists() {
            fs::copy(name(from), name(to)).unwrap();
        }
    }
}

#[test]
fn what_was_acknowledged_survives_fifty_kills() {
    let folder = tempfile::tempdir().unwrap();
    let (killed, mut spared) = (folder.path().join("killed.db"), folder.path().join("spared.db"));
    let mut chances = fastrand::Rng::with_seed(SEED);
    let (mut done, mut under_way) = (0, 0);
    for kill in 0..KILLS {
        let mut writer = Writer::start(&killed, &done.to_string());
        let mut last = None;
        for _ in 0..chances.u64(0..60) {
            last = writer.returned();
            assert!(last.is_some(), "the writer ended by itself");
        }
        // The moment of the kill is the point: within any operation, or in opening where none was waited for.
        thread::sleep(Duration::from_micros(chances.u64(0..20_000)));
        let returned = writer.kill().or(last).map_or(done, |number| number + 1);
        drop(Store::open(&killed).unwrap());
        let found = content(&killed);

        let [with, without] = ["with", "without"].map(|name| folder.path().join(format!("{name}-{kill}.db")));
        let reference = Store::open(&spared).unwrap();
        (done..returned).for_each(|number| step(&reference, number));
        crashed_copy(&spared, &without);
        step(&reference, returned);
        crashed_copy(&spared, &with);
        drop(reference);
        for copy in [&with, &without] {
            drop(Store::open(copy).unwrap());
        }
        (spared, done) = if found == content(&without) {
            (without, returned)
        } else {
            under_way += 1;
            assert!(
                found == content(&with),
                "kill {kill}, operation {returned}: {}",
                difference(&found, &content(&without))
            );
            (with, returned + 1)
        };
    }
    eprintln!("{KILLS} kills, {done} operations; {under_way} times the one under way was kept too");
    let rows: Vec<_> = content(&killed).iter().map(|(_, rows)| rows.len()).collect();
    assert!(rows.iter().all(|rows| *rows > 0), "nothing was written to some table: {rows:?}");
}

#[test]
fn a_first_start_that_is_killed_leaves_nothing_in_the_way_of_the_second() {
    let mut chances = fastrand::Rng::with_seed(SEED);
    for _ in 0..KILLS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.db");
        let writer = Writer::start(&path, "0");
        thread::sleep(Duration::from_micros(chances.u64(0..30_000)));
        writer.kill();
        let store = Store::open(&path).unwrap();
        step(&store, 0);
        drop(store);
        content(&path);
    }
}

#[test]
fn a_recovery_that_is_killed_loses_nothing_that_could_be_read() {
    const CONTACTS: u8 = 50;
    let mut chances = fastrand::Rng::with_seed(SEED);
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound.db");
    let store = Store::open(&sound).unwrap();
    for number in 0..CONTACTS {
        let peer = EndpointId::from([number; 32]);
        let new = NewContact { peer, name: None, own_name: None, whereabouts: Whereabouts::default() };
        store.add_contact(&new, UnixMs(0)).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&sound).unwrap();
    let connection = Connection::open(&sound).unwrap();
    let query = "SELECT rootpage FROM sqlite_schema WHERE name = 'call'";
    let page: i64 = connection.query_row(query, [], |row| row.get(0)).unwrap();
    bytes[usize::try_from(page - 1).unwrap() * 4096..][..4096].fill(0xa5);

    let mut states = [0; 2];
    for _ in 0..KILLS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahoy.db");
        fs::write(&path, &bytes).unwrap();
        let writer = Writer::start(&path, RECOVER);
        thread::sleep(Duration::from_micros(chances.u64(0..40_000)));
        writer.kill();
        let store = match Store::open(&path) {
            Err(StoreError::Damaged { .. }) => {
                states[0] += 1;
                Store::recover(&path, UnixMs(0)).unwrap().store
            }
            store => {
                states[1] += 1;
                store.unwrap()
            }
        };
        assert_eq!(store.contacts().unwrap().len(), usize::from(CONTACTS));
        let kept = fs::read_dir(folder.path()).unwrap().any(|file| fs::read(file.unwrap().path()).unwrap() == bytes);
        assert!(kept, "the damaged file is gone");
    }
    eprintln!("{} recoveries were killed before they renamed the damaged file, {} after", states[0], states[1]);
}

#[test]
fn a_second_process_is_refused_until_the_first_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ahoy.db");
    let mut writer = Writer::start(&path, "0");
    assert_eq!(writer.returned(), Some(0));
    let error = Store::open(&path).unwrap_err();
    assert_eq!(error.code(), "in-use", "{error}");
    writer.kill();
    Store::open(&path).unwrap();
}
