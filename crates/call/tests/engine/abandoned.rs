//! The other side is gone without a word.

use std::time::Duration;

use ahoy_call::{
    engine::EngineCommand,
    event::{CallEvent, Side},
    message::HangupReason,
};
use tokio::{runtime::Builder, time::Instant};

use super::{
    exchange::Exchange,
    phone::{Phone, no_camera},
};

/// ICE notices within 5 s, and the connection is looked for for 30 s.
const GIVES_UP: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_vanishes_is_looked_for_and_then_the_call_ends_with_a_reason() {
    let exchange = Exchange::default();
    let mut anna = Phone::on(&exchange, "anna", no_camera());
    // Ben's machine, so to say: everything of his ends at once, and no goodbye leaves.
    let bens = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut ben = {
        let _inside = bens.enter();
        Phone::on(&exchange, "ben", no_camera())
    };
    anna.calls(&ben);
    ben.until_incoming().await;
    ben.does(EngineCommand::Accept);
    anna.until_connected().await;
    anna.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
    exchange.cut_off(&ben.name);
    bens.shutdown_background();

    let gone = Instant::now();
    anna.until("the loss", |event| matches!(event, CallEvent::Reconnecting { .. }).then_some(())).await;
    println!("noticed after {:?}", gone.elapsed());
    assert!(gone.elapsed() < Duration::from_secs(12), "noticed after {:?}", gone.elapsed());
    let ended = tokio::time::timeout(GIVES_UP, async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            anna.catch_up();
            let last = anna.seen.last().map(|seen| seen.event.clone());
            if let Some(end @ CallEvent::Ended { .. }) = last {
                return end;
            }
        }
    });
    let CallEvent::Ended { reason, by, text } = ended.await.expect("the call ends") else { unreachable!() };
    println!("ended after {:?}: {text}", gone.elapsed());
    assert_eq!((reason, by), (HangupReason::Failed, Side::Local));
    assert!(text.contains("connection was lost"), "{text}");
    assert!(anna.engine.stats().await.is_empty());
}
