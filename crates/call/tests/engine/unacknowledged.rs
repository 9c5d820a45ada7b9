//! A contact whose signaling is never acknowledged: it can hold up its own call and nothing else.

use std::time::Duration;

use ahoy_call::{
    engine::EngineCommand,
    event::CallEvent,
    id::{CallId, PeerId},
    message::{Envelope, MediaState, Payload},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    exchange::Exchange,
    memory,
    phone::{LIMIT, Phone, no_camera},
};

/// Another call begins within this, whatever the silent contact does.
const BEGINS: Duration = Duration::from_secs(1);

async fn until_under_way(exchange: &Exchange, count: usize) {
    let wait = async {
        while exchange.unacknowledged() != count {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{} under way", exchange.unacknowledged()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_never_acknowledges_holds_up_no_other_call() {
    let exchange = Exchange::default();
    let (mut anna, mut ben) = (Phone::on(&exchange, "anna", no_camera()), Phone::on(&exchange, "ben", no_camera()));
    let carol = PeerId::from("carol");
    exchange.silence(&carol);

    // A call to her, given up while its request is on its way.
    let id = CallId::random();
    anna.does(EngineCommand::Call { peer: carol.clone(), id });
    until_under_way(&exchange, 1).await;
    anna.does(EngineCommand::HangUp);
    anna.until_ended().await;

    let start = Instant::now();
    anna.calls(&ben);
    ben.until_incoming().await;
    let rings = start.elapsed();
    ben.does(EngineCommand::Accept);
    ben.until_connected().await;
    anna.until_connected().await;
    println!("beside a contact that never acknowledges: rings after {rings:?}, connected after {:?}", start.elapsed());
    assert!(rings < BEGINS, "another call rang after {rings:?}");

    // Now she calls without end; each call is refused, and no refusal is acknowledged.
    let before = memory();
    for number in 0..20_000 {
        let id: CallId = format!("flood-{number}").parse().unwrap();
        let request = Payload::CallRequest { media: Some(MediaState::BOTH) };
        exchange.deliver(&carol, &anna.name, Ok(Envelope::new(id, 1, request)));
    }
    let start = Instant::now();
    anna.does(EngineCommand::SetAudio(false));
    ben.until("the mute", |event| match event {
        CallEvent::MediaState { media, .. } => (!media.audio).then_some(()),
        _ => None,
    })
    .await;
    println!("20,000 calls of hers: {:?} until a message to the other was there", start.elapsed());
    let missed = |event: &CallEvent| matches!(event, CallEvent::Missed { .. });
    let all = async {
        while anna.count(missed) < 20_000 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, all).await.unwrap();
    println!("all of them were refused after {:?}", start.elapsed());
    println!(
        "envelopes to her under way: {}, memory {} KiB more",
        exchange.unacknowledged(),
        memory().saturating_sub(before)
    );
    assert!(exchange.unacknowledged() <= 1);
    assert_eq!(anna.count(|event| matches!(event, CallEvent::Ended { .. })), 1);
    anna.does(EngineCommand::SetAudio(true));
    ben.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;

    // The hang-up reaches Ben without delay, too.
    let start = Instant::now();
    let stopped = tokio::spawn(anna.engine.clone().stop());
    ben.until_ended().await;
    println!("the other was told of the end after {:?}", start.elapsed());
    assert!(start.elapsed() < BEGINS);
    timeout(LIMIT, stopped).await.unwrap().unwrap();
    println!("the engine stopped after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(4), "stopped after {:?}", start.elapsed());
}
