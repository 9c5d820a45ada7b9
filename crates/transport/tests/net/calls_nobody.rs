//! What must not get through.

use ahoy_call::signaler::SignalError;
use ahoy_transport::{Event, Presence, RequestError};

use super::side::{Side, count, pair, seq};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_cannot_ring() {
    let (anna, mut ben) = (Side::start("Anna").await, Side::start("Ben").await);
    ben.transport.add_contact(anna.contact());
    let refused = |event: &Event| matches!(event, Event::Refused { .. }).then_some(());
    ben.until("the refusal", refused).await;
    let Err(SignalError::Unreachable { why, .. }) = ben.send(&anna, 1).await else { panic!("a stranger got through") };
    assert_eq!(why, "is offline");
    assert!(anna.send(&ben, 1).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_blocked_sees_somebody_who_is_offline() {
    let (mut anna, mut ben) = pair().await;
    anna.transport.block(ben.id());
    ben.until_presence(anna.id(), Presence::Offline).await;
    anna.catch_up();
    anna.seen.clear();
    let (contact, link) = (anna.contact(), anna.invite());
    let (sent, asked, opened) = tokio::join!(
        ben.send(&anna, 1),
        ben.transport.request_contact(&contact, Some("please")),
        ben.transport.open_invite(&link),
    );
    assert!(sent.is_err() && opened.is_err());
    assert_eq!(asked, Err(RequestError::Unreachable));
    ben.catch_up();
    anna.catch_up();
    assert_eq!(count(&ben.seen, |event| matches!(event, Event::Refused { .. })), 0, "told that it is blocked");
    assert_eq!(count(&anna.seen, |_| true), 0, "{:?}", anna.seen);
    assert!(anna.memory.requests.lock().unwrap().is_empty());

    anna.transport.unblock(ben.id());
    anna.until_presence(ben.id(), Presence::Online).await;
    ben.send(&anna, 2).await.unwrap();
    assert_eq!(seq(&anna.receive().await), 2);
}
