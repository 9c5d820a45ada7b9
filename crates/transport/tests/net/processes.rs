//! Two processes on one machine, with nothing between them but loopback. The other one is this test's own
//! executable.

use std::{env, path::Path, process::Stdio, time::Duration};

use ahoy_call::signaler::Signaler;
use ahoy_transport::{Config, Contact, EndpointId, Event, Presence, Roster, Whereabouts, load_or_create_key};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::side::{Side, config, seq, within};

/// Tells the other process that it is one: its folder, an invite link to open or nothing, a contact or
/// nothing.
const FOLDER: &str = "AHOY_TRANSPORT_FOLDER";
const LINK: &str = "AHOY_TRANSPORT_LINK";
const CONTACT: &str = "AHOY_TRANSPORT_CONTACT";

struct Other(Child);

impl Other {
    async fn start(folder: &Path, link: &str, contact: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "processes::the_other_process", "--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .env(LINK, link)
            .env(CONTACT, contact)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("ready") {
                    return;
                }
            }
            panic!("the other process ended");
        };
        within("the other process", ready).await;
        Self(child)
    }
}

/// Not a test, but the process that the test starts: sends back every envelope.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs without end; the other test starts and kills it"]
async fn the_other_process() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let (link, contact) = (env::var(LINK).unwrap(), env::var(CONTACT).unwrap());
    let key = load_or_create_key(&Path::new(&folder).join("identity")).unwrap();
    let contacts = contact.split_once('@').map(|(peer, address)| Contact {
        peer: peer.parse().unwrap(),
        whereabouts: Whereabouts { relay: None, addresses: vec![address.parse().unwrap()] },
    });
    let roster = Roster { contacts: contacts.into_iter().collect(), ..Roster::default() };
    let side = Side::with(Config { secret_key: key, ..config("Other") }, roster).await;
    if !link.is_empty() {
        within("the invite", side.transport.open_invite(&link)).await.unwrap();
    }
    println!("ready");
    while let Some(incoming) = side.transport.receive().await {
        let _ = side.transport.send(&incoming.from, &incoming.message.unwrap()).await;
    }
}

/// Sends an envelope until it comes back: after a kill the first may go to a connection that is dead.
async fn echoes(anna: &Side, peer: EndpointId, number: u64) {
    let to = peer.to_string().into();
    let echo = async {
        while anna.transport.send(&to, &super::side::envelope(number)).await.is_err() {}
        while seq(&anna.receive().await) != number {}
    };
    within("the echo", echo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_meet_talk_and_find_each_other_again_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut anna = Side::start("Anna").await;
    let mut other = Other::start(folder.path(), &anna.invite(), "").await;
    let introduced = |event: &Event| match event {
        Event::Introduced { newcomer, .. } => Some(newcomer.peer),
        _ => None,
    };
    let peer = anna.until("the newcomer", introduced).await;
    anna.until_presence(peer, Presence::Online).await;
    echoes(&anna, peer, 1).await;

    other.0.kill().await.unwrap();
    let address = anna.transport.whereabouts().addresses[0];
    let before = tokio::time::Instant::now();
    let mut other = Other::start(folder.path(), "", &format!("{}@{address}", anna.id())).await;
    echoes(&anna, peer, 2).await;
    assert!(before.elapsed() < Duration::from_secs(30), "it took {:?}", before.elapsed());
    anna.catch_up();

    other.0.kill().await.unwrap();
    anna.until_presence(peer, Presence::Offline).await;
}

/// Stops a process, or lets it go on: to the other side it looks as if its address was gone, and came back.
/// What was sent to it meanwhile waits in its socket, so this shows less than a network that was gone.
fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// Longer than QUIC takes to find a connection dead, so that the contact has to be dialled anew.
const OUTAGE: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_call_signaling_is_back_as_soon_as_the_other_sides_address_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut anna = Side::start("Anna").await;
    let other = Other::start(folder.path(), &anna.invite(), "").await;
    let introduced = |event: &Event| match event {
        Event::Introduced { newcomer, .. } => Some(newcomer.peer),
        _ => None,
    };
    let peer = anna.until("the newcomer", introduced).await;
    echoes(&anna, peer, 1).await;
    anna.transport.set_in_call(&peer.to_string().into(), true);

    signal(&other.0, "-STOP");
    tokio::time::sleep(OUTAGE).await;
    let sending = tokio::spawn({
        let transport = anna.transport.clone();
        async move { while transport.send(&peer.to_string().into(), &super::side::envelope(2)).await.is_err() {} }
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!sending.is_finished());
    let back = tokio::time::Instant::now();
    signal(&other.0, "-CONT");
    within("the acknowledgement", sending).await.unwrap();
    println!("after an outage of {OUTAGE:?} an envelope was acknowledged after {:?}", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(2), "it took {:?}", back.elapsed());
}
