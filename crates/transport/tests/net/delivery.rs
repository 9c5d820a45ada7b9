//! Messages that wait for their receiver.

use ahoy_transport::{DeliverError, Event, MAX_MESSAGE_BYTES, Presence, Roster};

use super::side::{Side, count, pair, within};

fn confirm(side: &mut Side) {
    for event in std::mem::take(&mut side.seen) {
        if let Event::Message { receipt, .. } = event {
            receipt.confirm();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_delivered_when_it_is_confirmed() {
    let (anna, mut ben) = pair().await;
    for size in [0, 1, MAX_MESSAGE_BYTES] {
        let (to, body) = (ben.id(), vec![7; size]);
        let (transport, sent) = (anna.transport.clone(), body.clone());
        let delivery = tokio::spawn(async move { transport.deliver(to, 1, sent).await });
        assert_eq!(ben.until_message().await, (anna.id(), 1, body));
        assert!(!delivery.is_finished(), "delivered before it was confirmed");
        confirm(&mut ben);
        assert_eq!(within("the end", delivery).await.unwrap(), Ok(()));
    }
    let large = anna.transport.deliver(ben.id(), 2, vec![0; MAX_MESSAGE_BYTES + 1]).await;
    assert_eq!(large, Err(DeliverError::TooLarge));
    let nobody = Side::start("Nobody").await.id();
    assert_eq!(anna.transport.deliver(nobody, 3, vec![]).await, Err(DeliverError::NoContact));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_delivered_twice_is_told_once() {
    let (anna, mut ben) = pair().await;
    let (to, transport) = (ben.id(), anna.transport.clone());
    let delivery = tokio::spawn(async move { transport.deliver(to, 1, b"hello".to_vec()).await });
    ben.until_message().await;
    confirm(&mut ben);
    assert_eq!(within("the end", delivery).await.unwrap(), Ok(()));
    assert_eq!(within("again", anna.transport.deliver(ben.id(), 1, b"hello".to_vec())).await, Ok(()));
    ben.catch_up();
    assert_eq!(count(&ben.seen, |event| matches!(event, Event::Message { .. })), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_kept_is_not_acknowledged() {
    let (anna, mut ben) = pair().await;
    let (to, transport) = (ben.id(), anna.transport.clone());
    let delivery = tokio::spawn(async move { transport.deliver(to, 1, vec![1]).await });
    ben.until_message().await;
    ben.seen.clear();
    assert_eq!(within("the limit", delivery).await.unwrap(), Err(DeliverError::NotAcknowledged));
    let (to, transport) = (ben.id(), anna.transport.clone());
    let delivery = tokio::spawn(async move { transport.deliver(to, 1, vec![1]).await });
    ben.until_message().await;
    confirm(&mut ben);
    assert_eq!(within("the end", delivery).await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_away_gets_it_after_coming_back() {
    let (mut anna, ben) = pair().await;
    let (id, contacts) = (ben.id(), vec![anna.contact()]);
    let config = ben.config.clone();
    ben.transport.close().await;
    drop(ben);
    anna.until_presence(id, Presence::Offline).await;
    assert_eq!(within("the limit", anna.transport.deliver(id, 1, vec![1])).await, Err(DeliverError::Offline));
    let mut ben = Side::with(config, Roster { contacts, ..Roster::default() }).await;
    anna.until_presence(id, Presence::Online).await;
    let transport = anna.transport.clone();
    let delivery = tokio::spawn(async move { transport.deliver(id, 1, vec![1]).await });
    ben.until_message().await;
    confirm(&mut ben);
    assert_eq!(within("the end", delivery).await.unwrap(), Ok(()));
    let transport = anna.transport.clone();
    transport.close().await;
    assert_eq!(anna.transport.deliver(id, 2, vec![1]).await, Err(DeliverError::Closed));
}
