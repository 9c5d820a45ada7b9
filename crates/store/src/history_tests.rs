use super::*;
use crate::{
    NewContact,
    testing::{T0, TestStore, contact, later, name, peer},
};

const INCOMING: NewCall = NewCall { peer: peer(1), direction: Direction::Incoming, media: Media::Video };
const OUTGOING: NewCall = NewCall { peer: peer(1), direction: Direction::Outgoing, media: Media::Audio };

fn latest(store: &Store) -> CallRecord {
    store.calls(None, 1).unwrap().remove(0)
}

#[test]
fn a_call_is_listed_with_direction_length_and_end() {
    // Direction, answered and ended so many ms after it began, reason -> length, missed.
    let table = [
        (INCOMING, Some(2), 62, "hangup", Some(60), false),
        (INCOMING, None, 45, "timeout", None, true),
        (INCOMING, None, 3, "hangup", None, true),
        (INCOMING, None, 0, "busy", None, true),
        (INCOMING, None, 3, "failed", None, true),
        (INCOMING, None, 3, "missed", None, true),
        (INCOMING, None, 3, "declined", None, false),
        (INCOMING, None, 3, "glare", None, false),
        (OUTGOING, Some(5), 5, "failed", Some(0), false),
        (OUTGOING, Some(5), 4, "hangup", Some(0), false),
        (OUTGOING, None, 45, "timeout", None, false),
        (OUTGOING, None, 9, "declined", None, false),
    ];
    for (new, answered, ended, reason, length, missed) in table {
        let mut store = TestStore::new();
        let id = store.begin_call(new, T0).unwrap();
        if let Some(after) = answered {
            assert_eq!(store.answer_call(id, later(after)), Ok(true));
        }
        assert_eq!(store.end_call(id, later(ended), &EndReason::new(reason)), Ok(true));
        store.reopen();
        let call = latest(&store);
        let expected = CallRecord {
            id,
            peer: new.peer,
            peer_name: None,
            direction: new.direction,
            media: new.media,
            started_at: T0,
            answered_at: answered.map(later),
            ended_at: Some(later(ended)),
            reason: Some(EndReason::new(reason)),
            unseen: missed,
        };
        assert_eq!(call, expected);
        assert_eq!((call.length(), call.is_missed()), (length.map(Duration::from_millis), missed), "{expected:?}");
        assert_eq!(store.unseen_calls(), Ok(usize::from(missed)));
    }
}

#[test]
fn a_call_that_a_crash_cut_off_is_interrupted() {
    let mut store = TestStore::new();
    let ringing = store.begin_call(INCOMING, T0).unwrap();
    let talking = store.begin_call(OUTGOING, T0).unwrap();
    store.answer_call(talking, later(1)).unwrap();
    assert_eq!(latest(&store).reason, None);
    store.reopen();
    let calls = store.calls(None, 9).unwrap();
    for call in &calls {
        assert_eq!((call.reason.as_ref().map(EndReason::as_str), call.ended_at), (Some(EndReason::INTERRUPTED), None));
        assert_eq!(call.length(), None);
    }
    let missed: Vec<_> = calls.iter().filter(|call| call.is_missed()).map(|call| call.id).collect();
    assert_eq!((missed, store.unseen_calls()), (vec![ringing], Ok(1)));
    assert_eq!(store.end_call(talking, later(9), &EndReason::new("hangup")), Ok(false), "it ended twice");
}

#[test]
fn the_first_answer_and_the_first_end_stand() {
    let store = TestStore::new();
    let id = store.begin_call(INCOMING, T0).unwrap();
    assert_eq!([1, 2].map(|ms| store.answer_call(id, later(ms))), [Ok(true), Ok(false)]);
    assert_eq!([3, 4].map(|ms| store.end_call(id, later(ms), &EndReason::new("hangup"))), [Ok(true), Ok(false)]);
    assert_eq!(store.answer_call(id, later(5)), Ok(false));
    assert_eq!((latest(&store).answered_at, latest(&store).ended_at), (Some(later(1)), Some(later(3))));
}

#[test]
fn missed_calls_are_unseen_until_they_were_shown() {
    let store = TestStore::new();
    let missed = |at| {
        let id = store.begin_call(INCOMING, later(at)).unwrap();
        store.end_call(id, later(at + 1), &EndReason::new("timeout")).unwrap();
        id
    };
    let ids = [missed(0), missed(10), missed(20)];
    assert_eq!(store.unseen_calls(), Ok(3));
    store.mark_calls_seen(ids[1]).unwrap();
    assert_eq!(store.unseen_calls(), Ok(1));
    let calls = store.calls(None, 9).unwrap();
    assert_eq!(
        calls.iter().map(|call| (call.id, call.unseen)).collect::<Vec<_>>(),
        [(ids[2], true), (ids[1], false), (ids[0], false)]
    );
}

#[test]
fn the_history_comes_in_pages_in_the_order_of_the_calls() {
    let store = TestStore::new();
    // The clock runs backwards, and the order stays that of the calls.
    let ids: Vec<_> = (0..7).map(|i| store.begin_call(OUTGOING, later(-i)).unwrap()).collect();
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = store.calls(before, 3).unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|call| call.id));
    }
    assert!(seen.iter().eq(ids.iter().rev()), "{seen:?}");
    assert_eq!(store.calls(None, 0), Ok(vec![]));
    assert_eq!(store.calls(None, usize::MAX).unwrap().len(), 7);
}

#[test]
fn deleted_calls_are_gone_and_running_ones_stay() {
    let mut store = TestStore::new();
    let ids = [(); 4].map(|()| store.begin_call(INCOMING, T0).unwrap());
    for id in &ids[..3] {
        store.end_call(*id, later(1), &EndReason::new("hangup")).unwrap();
    }
    assert_eq!([store.delete_call(ids[1]), store.delete_call(ids[1])], [Ok(true), Ok(false)]);
    assert_eq!(store.calls(None, 9).unwrap().len(), 3);
    store.delete_all_calls().unwrap();
    assert_eq!((latest(&store).id, store.calls(None, 9).unwrap().len(), store.unseen_calls()), (ids[3], 1, Ok(0)));
    store.delete_call(ids[3]).unwrap();
    store.reopen();
    assert!(store.begin_call(INCOMING, T0).unwrap() > ids[3], "an id was given twice");
}

#[test]
fn calls_keep_the_name_of_a_contact_that_was_removed() {
    let store = TestStore::new();
    let id = store.begin_call(INCOMING, T0).unwrap();
    assert_eq!(latest(&store).peer_name, None);
    store.add_contact(&NewContact { own_name: Some(name("Ada")), ..contact(1) }, T0).unwrap();
    assert_eq!(latest(&store).peer_name, Some(name("Ada")));
    store.rename_contact(peer(1), Some(&name("Countess"))).unwrap();
    store.remove_contact(peer(1)).unwrap();
    assert_eq!((latest(&store).id, latest(&store).peer_name), (id, Some(name("Countess"))));
}

#[test]
fn reasons_of_other_peers_are_bounded() {
    let table = [("hangup", "hangup"), ("a\nb\u{9b}", "ab"), ("", "unknown"), ("\0", "unknown")];
    for (word, kept) in table {
        assert_eq!(EndReason::new(word).as_str(), kept);
    }
    assert_eq!(EndReason::new(&"é".repeat(9_999)).as_str(), "é".repeat(EndReason::MAX_BYTES / 2));
}
