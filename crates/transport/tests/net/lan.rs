//! Two machines on one network, each a network namespace with a cable between them, and nothing else: no
//! server, no addresses known. Needs root, and says so where it is skipped.

use std::{
    env,
    process::{Command, Stdio},
};

use ahoy_transport::{Config, Contact, Event, Lan, Presence, Roster, SecretKey, Whereabouts};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use super::side::{Side, config, within};

/// Tells the process of a machine what it is: visible or listening, the seeds of its key and of its
/// contact's.
const MACHINE: &str = "AHOY_TRANSPORT_MACHINE";

/// A network of two machines; taken down when dropped.
struct Network {
    names: [String; 2],
}

impl Network {
    /// None where this is not permitted. With a default route, as one from a router, or without.
    fn new(tag: u8, default_route: bool) -> Option<Self> {
        let names = ['a', 'b'].map(|end| format!("ahoy-lan-{}-{tag}{end}", std::process::id()));
        let [a, b] = &names;
        if !ip(&["netns", "add", a]) {
            eprintln!("SKIPPED: network namespaces need root and the ip command of iproute2");
            return None;
        }
        let network = Self { names: names.clone() };
        assert!(ip(&["netns", "add", b]));
        assert!(ip(&["-n", a, "link", "add", "lan0", "type", "veth", "peer", "name", "lan0", "netns", b]));
        for (name, host) in names.iter().zip(["10.77.0.1", "10.77.0.2"]) {
            assert!(ip(&["-n", name, "address", "add", &format!("{host}/24"), "dev", "lan0"]));
            assert!(ip(&["-n", name, "link", "set", "lo", "up"]) && ip(&["-n", name, "link", "set", "lan0", "up"]));
            if default_route {
                assert!(ip(&["-n", name, "route", "add", "default", "via", "10.77.0.254"]));
            }
        }
        Some(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| _ = ip(&["netns", "delete", name]));
    }
}

fn ip(arguments: &[&str]) -> bool {
    let run = Command::new("ip").args(arguments).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

/// The process of a machine.
struct Machine {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Machine {
    fn start(namespace: &str, seeds: &str) -> Self {
        let mut child = tokio::process::Command::new("ip")
            .args(["netns", "exec", namespace])
            .arg(env::current_exe().unwrap())
            .args(["--exact", "lan::the_machine", "--ignored", "--nocapture"])
            .env(MACHINE, seeds)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, lines, said: vec![] }
    }

    /// Says goodbye.
    async fn leave(mut self) {
        drop(self.stdin);
        within("the end of a machine", self.child.wait()).await.unwrap();
    }

    async fn until(&mut self, word: &str) {
        let said = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let found = line.contains(word);
                self.said.push(line);
                if found {
                    return;
                }
            }
            panic!("the machine ended before {word}");
        };
        within(word, said).await;
    }
}

/// Not a test, but the process of a machine: says what it sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs until its input ends; the other tests start it in a network of their own"]
async fn the_machine() {
    let Ok(seeds) = env::var(MACHINE) else { return };
    let (mode, seeds) = seeds.split_once(' ').unwrap();
    let lan = if mode == "visible" { Lan::Visible } else { Lan::Listen };
    let [mine, other]: [u8; 2] = seeds.split(' ').map(|n| n.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
    let secret_key = key(mine);
    let contact = Contact { peer: key(other).public(), whereabouts: Whereabouts::default() };
    let roster = Roster { contacts: vec![contact.clone()], ..Roster::default() };
    let config = Config { secret_key, lan, loopback_only: false, ..config(&format!("Machine {mine}")) };
    let mut side = Side::with(config, roster).await;
    let watch = async {
        loop {
            let said = side
                .until("anything", |event| match event {
                    Event::Presence { presence: Presence::Online, .. } => Some("online".to_owned()),
                    Event::Presence { presence: Presence::Offline, .. } => Some("offline".to_owned()),
                    Event::Nearby { name, .. } => Some(format!("nearby {}", name.as_deref().unwrap_or("?"))),
                    _ => None,
                })
                .await;
            println!("{said}");
        }
    };
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    tokio::select! {
        () = watch => {}
        _ = input.next_line() => {}
    }
    let _ = tokio::io::stdout().flush().await;
    side.transport.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_listens_finds_others_and_is_not_shown() {
    let Some(network) = Network::new(3, true) else { return };
    let [a, b] = &network.names;
    let (mut anna, mut ben) = (Machine::start(a, "listening 1 2"), Machine::start(b, "visible 2 1"));
    anna.until("nearby Machine 2").await;
    ben.until("online").await;
    // Three times what it takes to be found.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(6), ben.until("nearby")).await;
    assert!(!ben.said.iter().any(|line| line.contains("nearby")), "who only listens was shown");
}

async fn find_each_other(tag: u8, default_route: bool) {
    let Some(network) = Network::new(tag, default_route) else { return };
    let [a, b] = &network.names;
    let (mut anna, mut ben) = (Machine::start(a, "visible 1 2"), Machine::start(b, "visible 2 1"));
    anna.until("online").await;
    ben.until("online").await;
    // On another port, and nobody has told anybody.
    ben.leave().await;
    anna.until("offline").await;
    let mut ben = Machine::start(b, "visible 2 1");
    anna.until("online").await;
    ben.until("online").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_on_one_network_find_each_other_and_again_after_a_restart() {
    find_each_other(1, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_with_only_a_cable_between_them_find_each_other() {
    find_each_other(2, false).await;
}
