//! A peer that floods NACKs: retransmissions stay within their budget, and other calls are not delayed.
//!
//! The peer is aiortc (`tests/programs`), over real sockets. Skipped where that is not installed.

use std::{sync::Arc, time::Duration};

use ahoy_call::{
    engine::{EngineCommand, EngineConfig},
    id::{CallId, PeerId},
    message::{Envelope, HangupReason, Payload},
    signaler::Signaler,
};
use ahoy_media::units::{Bitrate, VideoFormat};
use ahoy_test_support::{
    browser::Role,
    peer::{Peer, is_event},
    program::{Program, Running, Sends},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    exchange::{Exchange, Stranger},
    memory,
    phone::{LIMIT, Phone, both, no_camera},
    run_alone,
};

/// Length of the flood.
const FLOOD: Duration = Duration::from_secs(10);
/// The rate is measured over this long before the flood. It has settled when two measurements differ by less than
/// this share.
const LOOK: Duration = Duration::from_secs(3);
const ALIKE: f64 = 0.05;
/// Limit for the beginning of another call.
const BEGINS: Duration = Duration::from_secs(1);
/// Limit of the growth of the bitrate, as a factor: retransmissions take at most half of it.
const MOST: f64 = 1.6;
/// Limit of the growth of resident memory, in KiB: buffers and statistics grow a little in any call.
const MOST_MEMORY: u64 = 8 << 10;

/// Carries the envelopes between `program`, which is called `name`, and `other`.
fn connect(exchange: &Exchange, name: &PeerId, program: Running, other: &PeerId) -> Arc<Running> {
    let program = Arc::new(program);
    let line = exchange.line(name);
    let to = Arc::clone(&program);
    tokio::spawn(async move {
        while let Some(incoming) = line.receive().await {
            let json = incoming.message.unwrap().to_json().unwrap();
            to.0.peer.send(serde_json::from_str(&json).unwrap());
        }
    });
    let (from, exchange, name, other) = (Arc::clone(&program), exchange.clone(), name.clone(), other.clone());
    tokio::spawn(async move {
        let mut position = 0;
        loop {
            let envelopes = |lines: &[Value]| {
                let found = lines.iter().position(|line| line.get("payload").is_some())?;
                Some((found + 1, lines[found].to_string()))
            };
            let Ok((taken, envelope)) = from.0.peer.find(position, Duration::MAX, envelopes).await else { return };
            position += taken;
            exchange.deliver(&name, &other, Envelope::parse(envelope.as_bytes()));
        }
    });
    program
}

/// Measures what the program receives from now on, for `span`: bits a second, and packets a second.
async fn rate(peer: &Peer, span: Duration) -> (f64, f64) {
    let position = peer.position();
    let spans = span.as_secs_f64();
    peer.wait_after(position, "count of what it received", |lines| {
        let counts = lines.iter().filter(|line| is_event(line, "received"));
        let read = |line: &Value, name: &str| line[name].as_f64().unwrap();
        let counts: Vec<_> = counts.map(|line| ["t", "bytes", "packets"].map(|name| read(line, name))).collect();
        let ([t0, bytes0, packets0], [t1, bytes1, packets1]) = (*counts.first()?, *counts.last()?);
        let seconds = (t1 - t0) / 1e3;
        (seconds >= spans).then(|| ((bytes1 - bytes0) * 8.0 / seconds, (packets1 - packets0) / seconds))
    })
    .await
}

/// Waits until the rate has settled, and returns it.
async fn settled_rate(peer: &Peer) -> (f64, f64) {
    let start = Instant::now();
    let mut last = rate(peer, LOOK).await;
    loop {
        let now = rate(peer, LOOK).await;
        if (now.0 / last.0 - 1.0).abs() < ALIKE {
            return now;
        }
        assert!(start.elapsed() < LIMIT, "the bitrate does not settle: {last:?}, {now:?}");
        last = now;
    }
}

#[test]
fn a_peer_that_asks_for_everything_again_gets_its_share_and_disturbs_nobody() {
    if Program::Aiortc.available() {
        run_alone("nacks::in_a_process_of_its_own");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by a_peer_that_asks_for_everything_again_gets_its_share_and_disturbs_nobody"]
async fn in_a_process_of_its_own() {
    // As all programs of this project do.
    ahoy_media::memory::give_back();
    let exchange = Exchange::default();
    let video = VideoFormat { width: 320, height: 180, fps: 30 };
    let config = EngineConfig { video, bitrate: Bitrate::from_kbps(600), ..both() };
    let (mut anna, mut ben) = (Phone::on(&exchange, "anna", config), Phone::on(&exchange, "ben", no_camera()));
    let (mallory, mut carol) = (PeerId::from("mallory"), Stranger::on(&exchange, "carol"));
    let program = Program::Aiortc.start(Role::Call, Sends { audio: true, video: true });
    let program = connect(&exchange, &mallory, program, &anna.name);
    anna.until_incoming().await;
    anna.does(EngineCommand::Accept);
    anna.until_connected().await;
    let peer = &program.0.peer;
    peer.event("first-video").await;
    let (before, packets_before) = settled_rate(peer).await;
    let memory_before = memory();
    peer.command("flood-nacks");
    let (during, packets) = rate(peer, FLOOD).await;
    let grown = memory().saturating_sub(memory_before);
    let asked = anna.stats().await.link.video_out.nacks;
    println!(
        "{asked} NACKs: {:.0} kbit/s and {packets:.0} packets a second instead of {:.0} and {packets_before:.0}, \
         memory {grown} KiB more",
        during / 1e3,
        before / 1e3,
    );
    assert!(during < before * MOST, "{during} bit/s instead of {before}");
    assert!(grown < MOST_MEMORY, "{grown} KiB");
    assert!(asked > 500, "{asked} NACKs are no flood");

    // Somebody else is told at once that she is busy, and the next call begins at once.
    let start = Instant::now();
    let id = CallId::random();
    carol.say(&anna.name, &id, Payload::CallRequest { media: None }).await;
    carol
        .hears("that she is busy", |payload| {
            matches!(payload, Payload::CallHangup { reason: Some(HangupReason::Busy) }).then_some(())
        })
        .await;
    println!("during the flood: another caller is told that she is busy after {:?}", start.elapsed());
    assert!(start.elapsed() < BEGINS);
    let start = Instant::now();
    anna.does(EngineCommand::HangUp);
    anna.until_ended().await;
    anna.calls(&ben);
    ben.until_incoming().await;
    println!("hung up, and the next call rings after {:?}", start.elapsed());
    assert!(start.elapsed() < BEGINS);
}
