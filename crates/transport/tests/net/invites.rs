//! Becoming contacts by links and by requests.

use ahoy_transport::{Event, Introduction, Invite, InviteError, InviteToken, LinkError, Presence, RequestError};

use super::side::{Side, count, seq, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_makes_contacts_of_two_who_then_talk() {
    let (mut anna, mut ben) = (Side::start("Anna").await, Side::start("Ben").await);
    let link = anna.invite();
    let newcomer = within("the answer", ben.transport.open_invite(&link)).await.unwrap();
    assert_eq!((newcomer.peer, newcomer.name.as_deref()), (anna.id(), Some("Anna")));
    assert!(!newcomer.whereabouts.addresses.is_empty());
    let introduced = |event: &Event| match event {
        Event::Introduced { newcomer, by: Introduction::Invite } => Some(newcomer.clone()),
        _ => None,
    };
    let newcomer = anna.until("the newcomer", introduced).await;
    assert_eq!((newcomer.peer, newcomer.name.as_deref()), (ben.id(), Some("Ben")));
    assert_eq!(anna.until_presence(ben.id(), Presence::Online).await.as_deref(), Some("Ben"));
    assert_eq!(ben.until_presence(anna.id(), Presence::Online).await.as_deref(), Some("Anna"));
    anna.send(&ben, 1).await.unwrap();
    ben.send(&anna, 2).await.unwrap();
    assert_eq!((seq(&ben.receive().await), seq(&anna.receive().await)), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_is_good_once_and_for_the_same_one_again() {
    let [anna, ben, cleo] = [Side::start("Anna").await, Side::start("Ben").await, Side::start("Cleo").await];
    let link = anna.invite();
    for _ in 0..2 {
        assert!(within("the answer", ben.transport.open_invite(&link)).await.is_ok());
    }
    let used = within("the answer", cleo.transport.open_invite(&link)).await;
    assert_eq!(used, Err(InviteError::Used));
    let never_issued = anna.transport.invite(InviteToken::random(), u64::MAX).to_link();
    assert_eq!(within("the answer", cleo.transport.open_invite(&never_issued)).await, Err(InviteError::Unknown));
    assert!(cleo.send(&anna, 1).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_are_of_no_use_are_told_apart_without_the_network() {
    let anna = Side::start("Anna").await;
    let ben = Side::start("Ben").await;
    let link = anna.invite();
    let expired = Invite { expires_at_ms: 1, ..Invite::parse(&link).unwrap() }.to_link();
    let altered = link.replace(&link[20..22], if &link[20..22] == "aa" { "bb" } else { "aa" });
    let table = [
        (&link[..100], LinkError::Cut),
        (&altered[..], LinkError::Altered),
        (&expired[..], LinkError::Expired),
        ("hello", LinkError::NotALink),
    ];
    for (link, error) in table {
        assert_eq!(ben.transport.open_invite(link).await, Err(InviteError::Link(error)), "{link}");
    }
    assert_eq!(anna.transport.open_invite(&link).await, Err(InviteError::Link(LinkError::Own)));
    anna.transport.close().await;
    assert_eq!(within("the end", ben.transport.open_invite(&link)).await, Err(InviteError::Unreachable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_request_waits_and_when_accepted_makes_contacts() {
    let (anna, mut ben) = (Side::start("Anna").await, Side::start("Ben").await);
    let text = format!("we met\nin Ghent\u{7} {}", "x".repeat(10_000));
    let asked = within("the answer", ben.transport.request_contact(&anna.contact(), Some(&text))).await;
    assert_eq!(asked, Ok(None));
    let (newcomer, text) = anna.memory.requests.lock().unwrap().pop().unwrap();
    assert_eq!((newcomer.peer, newcomer.name.as_deref()), (ben.id(), Some("Ben")));
    let text = text.unwrap();
    assert!(text.starts_with("we met in Ghent x") && text.chars().count() == 300, "{text}");
    assert!(ben.send(&anna, 1).await.is_err(), "a request is no friendship");

    let whereabouts = newcomer.whereabouts;
    anna.transport.add_contact(ahoy_transport::Contact { peer: ben.id(), whereabouts });
    let introduced = |event: &Event| match event {
        Event::Introduced { newcomer, by: Introduction::AcceptedRequest } => Some(newcomer.peer),
        _ => None,
    };
    assert_eq!(ben.until("the acceptance", introduced).await, anna.id());
    ben.until_presence(anna.id(), Presence::Online).await;
    ben.send(&anna, 7).await.unwrap();
    assert_eq!(seq(&anna.receive().await), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_ask_each_other_need_no_answer() {
    let (mut anna, ben) = (Side::start("Anna").await, Side::start("Ben").await);
    assert_eq!(within("kept", anna.transport.request_contact(&ben.contact(), None)).await, Ok(None));
    let answer = within("accepted", ben.transport.request_contact(&anna.contact(), None)).await.unwrap();
    assert_eq!(answer.map(|newcomer| newcomer.peer), Some(anna.id()));
    anna.until_presence(ben.id(), Presence::Online).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_key_are_few_and_ones_own_is_refused() {
    let (mut anna, ben) = (Side::start("Anna").await, Side::start("Ben").await);
    assert_eq!(anna.transport.request_contact(&anna.contact(), None).await, Err(RequestError::Own));
    for expected in [Ok(None), Ok(None), Err(RequestError::Refused)] {
        let answer = within("the answer", ben.transport.request_contact(&anna.contact(), None)).await;
        assert_eq!(answer, expected);
    }
    anna.catch_up();
    assert_eq!(anna.memory.requests.lock().unwrap().len(), 2);
    assert_eq!(count(&anna.seen, |event| matches!(event, Event::Introduced { .. })), 0);
}
