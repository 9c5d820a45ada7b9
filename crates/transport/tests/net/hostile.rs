//! Peers that do not play by the rules: a bare QUIC endpoint with a key of its own.

use std::time::Duration;

use ahoy_call::signaler::Signaler;
use ahoy_transport::{Contact, EndpointId, Event, MAX_MESSAGE_BYTES, Presence, SecretKey, Whereabouts};
use iroh::{
    Endpoint, EndpointAddr, TransportAddr,
    endpoint::{Connection, ConnectionError, RecvStream, SendStream, presets},
};
use tokio::{
    io::AsyncReadExt,
    time::{sleep, timeout},
};

use super::side::{LIMIT, Side, count, envelope, pair, seq, within};

const HELLO: u8 = 1;
const ENVELOPE: u8 = 6;
const ACK: u8 = 8;
const SILENCE: u64 = 0;
const NOT_A_CONTACT: u64 = 1;
const PROTOCOL: u64 = 3;
const TOO_MUCH: u64 = 4;

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 1).to_be_bytes(), &[kind][..], body].concat()
}

fn hello() -> Vec<u8> {
    frame(HELLO, br#"{"instance":1,"name":"Eve"}"#)
}

fn envelope_frame(seq: u64, json: &[u8]) -> Vec<u8> {
    frame(ENVELOPE, &[&seq.to_be_bytes(), json].concat())
}

struct Eve {
    endpoint: Endpoint,
}

impl Eve {
    async fn new() -> Self {
        let builder = Endpoint::builder(presets::Minimal).secret_key(SecretKey::generate()).clear_ip_transports();
        Self { endpoint: builder.bind_addr("127.0.0.1:0").unwrap().bind().await.unwrap() }
    }

    fn id(&self) -> EndpointId {
        self.endpoint.id()
    }

    /// One who may ring.
    async fn befriended(side: &Side) -> Self {
        let eve = Self::new().await;
        side.transport.add_contact(Contact { peer: eve.id(), whereabouts: Whereabouts::default() });
        eve
    }

    async fn dial(&self, side: &Side) -> Connection {
        let addresses = side.transport.whereabouts().addresses;
        let address = EndpointAddr::from_parts(side.id(), addresses.into_iter().map(TransportAddr::Ip));
        within("the connection", self.endpoint.connect(address, b"ahoy/1")).await.unwrap()
    }

    /// A connection that was greeted.
    async fn greet(&self, side: &Side) -> (Connection, SendStream, RecvStream) {
        let connection = self.dial(side).await;
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&hello()).await.unwrap();
        assert_eq!(read(&mut recv).await.0, HELLO);
        (connection, send, recv)
    }

    /// What a connection is closed with, whose first bytes are these.
    async fn closed_after(&self, side: &Side, bytes: &[u8]) -> u64 {
        let connection = self.dial(side).await;
        if let Ok((mut send, _recv)) = connection.open_bi().await {
            let _ = send.write_all(bytes).await;
            return code(&connection).await;
        }
        code(&connection).await
    }
}

async fn read(recv: &mut RecvStream) -> (u8, Vec<u8>) {
    let frame = async {
        let length = AsyncReadExt::read_u32(recv).await.unwrap();
        let mut frame = vec![0; length as usize];
        AsyncReadExt::read_exact(recv, &mut frame).await.unwrap();
        (frame[0], frame[1..].to_vec())
    };
    within("a frame", frame).await
}

async fn until_ack(recv: &mut RecvStream, seq: u64) {
    while read(recv).await != (ACK, seq.to_be_bytes().to_vec()) {}
}

async fn code(connection: &Connection) -> u64 {
    match within("the end of the connection", connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => close.error_code.into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_slowed_told_once_and_hurts_nobody_else() {
    let (mut anna, ben) = pair().await;
    let eve = Eve::befriended(&anna).await;
    let (_connection, mut send, _recv) = eve.greet(&anna).await;
    let json = envelope(1).to_json().unwrap() + &" ".repeat(1000);
    let flood = tokio::spawn(async move {
        for seq in 0..10_000 {
            send.write_all(&envelope_frame(seq, json.as_bytes())).await.unwrap();
        }
        send
    });
    let flooding = |event: &Event| match event {
        Event::Flooding { peer } => Some(*peer),
        _ => None,
    };
    // While nobody takes envelopes, they wait with the sender.
    sleep(Duration::from_secs(2)).await;
    assert!(!flood.is_finished(), "ten megabytes are somewhere");

    let mut taken = 0;
    let end = tokio::time::Instant::now() + Duration::from_secs(3);
    let receive = async {
        loop {
            let from = anna.transport.receive().await.unwrap().from;
            if from.as_str() == ben.id().to_string() {
                return;
            }
            taken += 1;
        }
    };
    let (sent, received) = tokio::join!(ben.send(&anna, 7), timeout(LIMIT, receive));
    sent.unwrap();
    received.unwrap();
    while let Ok(Some(_)) = tokio::time::timeout_at(end, anna.transport.receive()).await {
        taken += 1;
    }
    assert!((200..2_000).contains(&taken), "{taken} envelopes in five seconds");
    assert!(!flood.is_finished());
    assert_eq!(anna.until("the flood", flooding).await, eve.id());
    anna.catch_up();
    assert_eq!(count(&anna.seen, |event| matches!(event, Event::Flooding { .. })), 1);
    flood.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envelopes_of_every_wrong_kind_are_told_and_nothing_breaks() {
    let anna = Side::start("Anna").await;
    let eve = Eve::befriended(&anna).await;
    let (_connection, mut send, mut recv) = eve.greet(&anna).await;
    let wrong: &[&[u8]] = &[
        b"",
        b"hello",
        b"\xff\xfe",
        b"[]",
        br#"{"v":2}"#,
        br#"{"v":1,"channel":"","payload":{"type":"call-ack"}}"#,
        br#"{"v":1,"channel":"c","payload":{"type":"call-offer"}}"#,
        &[b'x'; MAX_MESSAGE_BYTES],
    ];
    for (seq, json) in (0..).zip(wrong) {
        send.write_all(&envelope_frame(seq, json)).await.unwrap();
        let incoming = anna.receive().await;
        assert_eq!(incoming.from.as_str(), eve.id().to_string());
        assert!(incoming.message.is_err(), "{incoming:?}");
        until_ack(&mut recv, seq).await;
    }
    send.write_all(&envelope_frame(99, envelope(7).to_json().unwrap().as_bytes())).await.unwrap();
    assert_eq!(seq(&anna.receive().await), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_none_end_the_connection_and_not_the_contact() {
    let mut anna = Side::start("Anna").await;
    let eve = Eve::befriended(&anna).await;
    let oversize = (MAX_MESSAGE_BYTES as u32 + 100).to_be_bytes();
    for garbage in [&oversize[..], &[0; 4], b"GET / HTTP/1.1\r\n\r\n", &frame(ENVELOPE, b"short"), &hello()] {
        let (connection, mut send, _recv) = eve.greet(&anna).await;
        send.write_all(garbage).await.unwrap();
        assert_eq!(code(&connection).await, PROTOCOL, "{garbage:?}");
    }
    // As a first frame: 64 KiB are for contacts that were greeted.
    for garbage in [&frame(HELLO, &[b' '; 5000])[..], &frame(HELLO, b"{}"), &frame(ACK, &[0; 8]), &[0xff; 100]] {
        assert_eq!(eve.closed_after(&anna, garbage).await, PROTOCOL);
    }
    let (_connection, mut send, mut recv) = eve.greet(&anna).await;
    send.write_all(&frame(99, b"of a newer version")).await.unwrap();
    send.write_all(&envelope_frame(1, envelope(7).to_json().unwrap().as_bytes())).await.unwrap();
    assert_eq!(seq(&anna.receive().await), 7);
    until_ack(&mut recv, 1).await;
    anna.until_presence(eve.id(), Presence::Online).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_are_one() {
    let anna = Side::start("Anna").await;
    let eve = Eve::befriended(&anna).await;
    let (connection, mut send, mut recv) = eve.greet(&anna).await;
    let more = (0..1000).map(|_| {
        let connection = connection.clone();
        tokio::spawn(async move { timeout(Duration::from_secs(2), connection.open_bi()).await.is_ok() })
    });
    let mut opened = 0;
    for stream in more.collect::<Vec<_>>() {
        opened += u32::from(stream.await.unwrap());
    }
    let one_way = timeout(Duration::from_secs(1), connection.open_uni()).await;
    assert!(opened == 0 && one_way.is_err(), "{opened} more streams");
    assert!(connection.send_datagram(vec![0; 100].into()).is_err());
    send.write_all(&envelope_frame(1, envelope(7).to_json().unwrap().as_bytes())).await.unwrap();
    until_ack(&mut recv, 1).await;
    assert_eq!(seq(&anna.receive().await), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_slow_on_purpose_is_sent_away_and_keeps_nobody_out() {
    let mut anna = Side::start("Anna").await;
    let (contact, stranger) = (Eve::befriended(&anna).await, Eve::new().await);
    // A frame that begins and does not go on.
    let (half, mut send, _recv) = contact.greet(&anna).await;
    send.write_all(&envelope_frame(1, b"{}")[..9]).await.unwrap();
    // Strangers that say nothing, and one that says it by the byte.
    let mut strangers = vec![stranger];
    for _ in 0..30 {
        strangers.push(Eve::new().await);
    }
    let mut silent = vec![];
    for stranger in &strangers {
        silent.push(stranger.dial(&anna).await);
    }
    let mut ben = Side::start("Ben").await;
    super::side::befriend(&mut anna, &mut ben).await;
    let connection = strangers[0].dial(&anna).await;
    let dripping = tokio::spawn(async move {
        if let Ok((mut send, _recv)) = connection.open_bi().await {
            for byte in hello() {
                if send.write_all(&[byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(500)).await;
            }
        }
        code(&connection).await
    });
    for connection in &silent {
        assert!([PROTOCOL, TOO_MUCH].contains(&code(connection).await));
    }
    assert!([PROTOCOL, TOO_MUCH].contains(&within("the end", dripping).await.unwrap()));
    assert_eq!(code(&half).await, TOO_MUCH);
    ben.send(&anna, 7).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_blocked_keys_get_nothing_for_what_they_say() {
    let mut anna = Side::start("Anna").await;
    let eve = Eve::new().await;
    let json = envelope(1).to_json().unwrap();
    for first in [hello(), envelope_frame(1, json.as_bytes())] {
        assert_eq!(eve.closed_after(&anna, &first).await, NOT_A_CONTACT);
    }
    // Far more often than anybody needs to.
    for _ in 0..10 {
        eve.closed_after(&anna, &hello()).await;
    }
    assert_eq!(eve.closed_after(&anna, &hello()).await, TOO_MUCH);
    anna.transport.block(eve.id());
    assert_eq!(eve.closed_after(&anna, &hello()).await, SILENCE);
    anna.catch_up();
    assert!(anna.seen.is_empty(), "{:?}", anna.seen);
    assert!(timeout(Duration::from_millis(100), anna.transport.receive()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_connects_over_and_over_is_sent_away() {
    let anna = Side::start("Anna").await;
    let eve = Eve::befriended(&anna).await;
    let mut codes = vec![];
    for _ in 0..30 {
        let connection = eve.dial(&anna).await;
        if let Ok((mut send, _recv)) = connection.open_bi().await {
            let _ = send.write_all(&hello()).await;
        }
        if let Ok(ConnectionError::ApplicationClosed(close)) =
            timeout(Duration::from_millis(100), connection.closed()).await
        {
            codes.push(u64::from(close.error_code));
        }
    }
    assert!(codes.contains(&TOO_MUCH), "{codes:?}");
}
