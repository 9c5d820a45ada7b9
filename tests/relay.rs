//! Calls with a STUN and TURN server: through a relay alone, with an address from behind a NAT, and with a
//! relay that says no. The server is coturn, on loopback.

use std::{
    collections::HashMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use ahoy_test_support::{
    content::Content,
    native::{self, Native},
    peer::{self, LIMIT, Peer},
    process::ProcessGroup,
};
use ahoy_tests::recording::Recording;
use tempfile::TempDir;
use tokio::{
    net::UdpSocket,
    process::Command,
    time::{sleep, timeout},
};

/// Who may use the server.
const USER: &str = "ahoy";
const CREDENTIAL: &str = "secret";
/// How often a growing file, or a server that starts, is looked at.
const POLL: Duration = Duration::from_millis(100);
/// A STUN binding request (RFC 8489 section 5) without attributes: type, length, magic cookie, transaction.
const BINDING_REQUEST: [u8; 20] = *b"\x00\x01\x00\x00\x21\x12\xa4\x42ahoy's tests";
/// A peer gives up connecting after 20 s; a busy machine gets some more.
const CONNECT_LIMIT: Duration = Duration::from_secs(27);

#[tokio::test]
async fn a_call_goes_through_a_relay_alone_and_shows_no_other_address() {
    let server = TurnServer::start().await;
    let mut call = Call::start(&["--relay-only", "--ice-server", &server.turn(CREDENTIAL)]);
    call.flows_both_ways().await;
    for end in &call.ends {
        let candidates = end.candidates();
        assert!(!candidates.is_empty(), "{}", end.peer().recent());
        for candidate in candidates {
            assert!(candidate.contains(" typ relay"), "{candidate}");
        }
        for sdp in end.descriptions() {
            let other = sdp.lines().find(|line| line.starts_with("a=candidate:") && !line.contains(" typ relay"));
            assert_eq!(other, None, "a description shows another address");
        }
    }
}

#[tokio::test]
async fn a_peer_behind_a_nat_offers_the_address_that_the_server_sees() {
    let server = TurnServer::start().await;
    let nat = Nat::start(server.address).await;
    let mut call = Call::start(&["--ice-server", &format!("stun:{}", nat.inside)]);
    call.flows_both_ways().await;
    for end in &call.ends {
        let reflexive = end.candidate_of_type("srflx").await;
        let mapped = nat.outside();
        let seen =
            mapped.iter().any(|outside| reflexive.contains(&format!(" {} {} typ srflx", outside.ip(), outside.port())));
        assert!(seen, "{reflexive}, but the NAT has {mapped:?}");
    }
}

#[tokio::test]
async fn a_call_connects_directly_where_the_relay_refuses() {
    let server = TurnServer::start().await;
    let mut call = Call::start(&["--ice-server", &server.turn("wrong")]);
    call.flows_both_ways().await;
    for end in &call.ends {
        assert!(end.candidates().iter().all(|candidate| !candidate.contains(" typ relay")));
    }
}

#[tokio::test]
async fn a_call_that_needs_a_relay_which_refuses_fails_within_its_limit() {
    let server = TurnServer::start().await;
    let mut call = Call::start(&["--relay-only", "--ice-server", &server.turn("wrong")]);
    let began = Instant::now();
    for end in &mut call.ends {
        let ended = end.peer().event("ended").await;
        assert_eq!(ended["reason"], "failed", "{}", end.peer().recent());
        let status = end.native.exit().await;
        assert_eq!(status.code(), Some(3), "{}", end.peer().recent());
    }
    assert!(began.elapsed() < CONNECT_LIMIT, "it took {:?}", began.elapsed());
}

/// Two native peers, each with the same further arguments.
struct Call {
    ends: [End; 2],
}

struct End {
    native: Native,
    recording: Recording,
}

impl Call {
    fn start(arguments: &[&str]) -> Self {
        let ends = ["answer", "call"].map(|role| {
            let recording = Recording::new();
            let (webm, wav) = (recording.webm().display().to_string(), recording.wav().display().to_string());
            let speaker = format!("file:{wav}");
            let own = [role, "--loopback-only", "--video", "640x360@30", "--remote-webm", &webm, "--speaker", &speaker];
            End { native: native::start(own.iter().chain(arguments)), recording }
        });
        let [callee, caller] = &ends;
        peer::connect(caller.peer(), callee.peer());
        Self { ends }
    }

    async fn flows_both_ways(&mut self) {
        for end in &mut self.ends {
            end.peer().event("connected").await;
            end.receives("test pattern", Content::shows_pattern).await;
            end.receives("test tone", Content::sounds_tone).await;
        }
    }
}

impl End {
    fn peer(&self) -> &Peer {
        &self.native.peer
    }

    async fn receives(&mut self, what: &str, judge: impl Fn(&Content) -> bool) {
        let limit = Instant::now() + LIMIT;
        loop {
            let content = self.recording.content();
            if judge(&content) {
                return;
            }
            assert!(Instant::now() < limit, "no {what} within {LIMIT:?}: {content}{}", self.peer().recent());
            sleep(POLL).await;
        }
    }

    /// The candidate lines that it has sent.
    fn candidates(&self) -> Vec<String> {
        let payloads = self.peer().sent_payloads();
        let lines = payloads.iter().filter_map(|payload| payload.pointer("/candidate/candidate")?.as_str());
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// The session descriptions that it has sent.
    fn descriptions(&self) -> Vec<String> {
        let payloads = self.peer().sent_payloads();
        payloads.iter().filter_map(|payload| Some(payload.get("sdp")?.as_str()?.to_owned())).collect()
    }

    async fn candidate_of_type(&self, kind: &str) -> String {
        let of_type = format!(" typ {kind}");
        self.peer()
            .wait_after(0, &format!("{kind} candidate"), |lines| {
                let candidates = lines.iter().filter_map(|line| line.pointer("/payload/candidate/candidate")?.as_str());
                candidates.filter(|candidate| candidate.contains(&of_type)).map(str::to_owned).next()
            })
            .await
    }
}

/// A coturn of this test's own. It ends with this.
struct TurnServer {
    address: SocketAddr,
    _process: ProcessGroup,
    _folder: TempDir,
}

impl TurnServer {
    async fn start() -> Self {
        let folder = TempDir::new().expect("a folder for the server");
        let address = free_address().await;
        let configuration = folder.path().join("turnserver.conf");
        fs::write(&configuration, turn_configuration(address, folder.path())).expect("the configuration is written");
        let mut command = Command::new("turnserver");
        command.arg("-c").arg(configuration).stdin(Stdio::null()).stdout(Stdio::null()).current_dir(folder.path());
        let process = ProcessGroup::start(&mut command);
        let server = Self { address, _process: process, _folder: folder };
        server.answers().await;
        server
    }

    /// Waits until it answers a binding request.
    async fn answers(&self) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        socket.connect(self.address).await.expect("loopback is there");
        let asked = async {
            loop {
                // Refused until the server listens.
                let _ = socket.send(&BINDING_REQUEST).await;
                if let Ok(Ok(_)) = timeout(POLL, socket.recv(&mut [0; 512])).await {
                    return;
                }
                sleep(POLL).await;
            }
        };
        timeout(LIMIT, asked).await.unwrap_or_else(|_| panic!("turnserver is silent: {}", self._process.log().text()));
    }

    /// As `--ice-server` wants it.
    fn turn(&self, credential: &str) -> String {
        format!("turn:{},{USER},{credential}", self.address)
    }
}

fn turn_configuration(address: SocketAddr, folder: &Path) -> String {
    let (ip, port, folder) = (address.ip(), address.port(), folder.display());
    format!(
        "listening-ip={ip}\nrelay-ip={ip}\nlistening-port={port}\nrealm=ahoy.test\nlt-cred-mech\nuser={USER}:{CREDENTIAL}\n\
         no-tls\nno-dtls\nno-tcp\nno-cli\nallow-loopback-peers\nfingerprint\nlog-file=stdout\n\
         userdb={folder}/turndb\npidfile={folder}/turnserver.pid\n"
    )
}

/// An address that nobody has. Somebody may take it before it is used again, but the system gives out others
/// first.
async fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    socket.local_addr().expect("it is bound")
}

/// A NAT in front of a server: what comes to `inside` goes to the server from an address of the sender's own
/// outside, and back.
struct Nat {
    inside: SocketAddr,
    outside: Arc<std::sync::Mutex<Vec<SocketAddr>>>,
}

impl Nat {
    async fn start(server: SocketAddr) -> Self {
        let inside = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket"));
        let nat = Self { inside: inside.local_addr().expect("it is bound"), outside: Arc::default() };
        tokio::spawn(translate(inside, server, nat.outside.clone()));
        nat
    }

    /// The addresses that the server has seen.
    fn outside(&self) -> Vec<SocketAddr> {
        self.outside.lock().expect("nobody panics with it").clone()
    }
}

/// Ends with the test, whose runtime it runs in.
async fn translate(
    inside: Arc<UdpSocket>,
    server: SocketAddr,
    outside: Arc<std::sync::Mutex<Vec<SocketAddr>>>,
) -> io::Result<()> {
    let mut bindings: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut packet = [0; 2048];
    loop {
        let (len, client) = inside.recv_from(&mut packet).await?;
        let socket = match bindings.get(&client) {
            Some(socket) => socket.clone(),
            None => {
                let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
                socket.connect(server).await?;
                outside.lock().expect("nobody panics with it").push(socket.local_addr()?);
                tokio::spawn(carry_back(socket.clone(), inside.clone(), client));
                bindings.insert(client, socket.clone());
                socket
            }
        };
        socket.send(&packet[..len]).await?;
    }
}

async fn carry_back(from: Arc<UdpSocket>, to: Arc<UdpSocket>, client: SocketAddr) -> io::Result<()> {
    let mut packet = [0; 2048];
    loop {
        let len = from.recv(&mut packet).await?;
        to.send_to(&packet[..len], client).await?;
    }
}
