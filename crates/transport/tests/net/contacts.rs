//! Presence, and connections that stay or come back.

use ahoy_transport::{Contact, Event, Presence, Roster, Whereabouts};

use super::side::{Side, befriend, count, pair, seq};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_and_name_are_told_and_goodbye_is_at_once() {
    let (mut anna, ben) = pair().await;
    for presence in [Presence::DoNotDisturb, Presence::NoCalls, Presence::InCall, Presence::Away, Presence::Busy] {
        ben.transport.set_presence(presence);
        assert_eq!(anna.until_presence(ben.id(), presence).await.as_deref(), Some("Ben"));
    }
    ben.transport.set_name(Some(&format!("Benedict\n{}", "b".repeat(10_000))));
    let renamed = |event: &Event| match event {
        Event::Presence { name: Some(name), .. } if name.starts_with("Benedict b") => Some(name.chars().count()),
        _ => None,
    };
    assert_eq!(anna.until("the new name", renamed).await, 100);
    let (before, id) = (tokio::time::Instant::now(), ben.id());
    ben.transport.close().await;
    anna.until_presence(id, Presence::Offline).await;
    assert!(before.elapsed().as_secs() < 8, "a goodbye took {:?}", before.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_side_restarts_on_another_port_and_both_talk_again() {
    let (mut anna, ben) = pair().await;
    let (known, old) = (anna.contact(), ben.transport.whereabouts());
    let contacts = Roster { contacts: vec![known], ..Roster::default() };
    let ben = ben.restart(contacts).await;
    assert_ne!(ben.transport.whereabouts(), old);
    anna.until_presence(ben.id(), Presence::Offline).await;
    anna.until_presence(ben.id(), Presence::Online).await;
    let moved = |event: &Event| match event {
        Event::Whereabouts { whereabouts, .. } => Some(whereabouts.clone()),
        _ => None,
    };
    let told = anna.seen.iter().rev().find_map(moved).expect("the new whereabouts were not told");
    assert_eq!(told, ben.transport.whereabouts());
    anna.send(&ben, 1).await.unwrap();
    ben.send(&anna, 2).await.unwrap();
    assert_eq!((seq(&ben.receive().await), seq(&anna.receive().await)), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_comes_back_is_dialled_by_who_knows_where() {
    let (mut anna, ben) = pair().await;
    // Ben has forgotten where Anna is; Anna is told where Ben is now, as by the network.
    let nowhere = Contact { peer: anna.id(), whereabouts: Whereabouts::default() };
    let ben = ben.restart(Roster { contacts: vec![nowhere], ..Roster::default() }).await;
    anna.until_presence(ben.id(), Presence::Offline).await;
    anna.transport.add_contact(ben.contact());
    anna.until_presence(ben.id(), Presence::Online).await;
    ben.send(&anna, 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialling_each_other_at_once_ends_in_one_connection_that_works() {
    for _ in 0..5 {
        let (mut anna, mut ben) = (Side::start("Anna").await, Side::start("Ben").await);
        befriend(&mut anna, &mut ben).await;
        for number in 0..20 {
            let (a, b) = tokio::join!(anna.send(&ben, number), ben.send(&anna, number));
            a.unwrap();
            b.unwrap();
            assert_eq!((seq(&ben.receive().await), seq(&anna.receive().await)), (number, number));
        }
        for side in [&mut anna, &mut ben] {
            side.catch_up();
            let offline =
                count(&side.seen, |event| matches!(event, Event::Presence { presence: Presence::Offline, .. }));
            assert_eq!(offline, 0, "the two connections were taken for none");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_one_goes_and_two_go_on() {
    let (mut anna, mut ben) = pair().await;
    let mut cleo = Side::start("Cleo").await;
    befriend(&mut anna, &mut cleo).await;
    befriend(&mut ben, &mut cleo).await;
    let gone = cleo.id();
    drop(cleo);
    anna.until_presence(gone, Presence::Offline).await;
    ben.until_presence(gone, Presence::Offline).await;
    anna.send(&ben, 1).await.unwrap();
    assert_eq!(seq(&ben.receive().await), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_contact_is_refused_and_told_so() {
    let (anna, mut ben) = pair().await;
    anna.transport.remove_contact(ben.id());
    // The lost connection may be noticed before the next one is refused, or only with that.
    let (mut refused, mut offline) = (false, false);
    let both = |event: &Event| {
        refused |= matches!(event, Event::Refused { .. });
        offline |= matches!(event, Event::Presence { presence: Presence::Offline, .. });
        (refused && offline).then_some(())
    };
    ben.until("the refusal, and that Anna is gone", both).await;
    assert!(ben.send(&anna, 1).await.is_err());
    assert!(anna.send(&ben, 1).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_unblocked_gets_what_is_sent_from_then_on() {
    let (mut anna, ben) = pair().await;
    for number in 0..3 {
        anna.send(&ben, number).await.unwrap();
        assert_eq!(seq(&ben.receive().await), number);
    }
    anna.transport.block(ben.id());
    anna.transport.unblock(ben.id());
    anna.until_presence(ben.id(), Presence::Online).await;
    anna.send(&ben, 7).await.unwrap();
    assert_eq!(seq(&ben.receive().await), 7);
}
