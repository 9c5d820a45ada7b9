//! Messages that no honest peer sends, or not now.

use std::time::Duration;

use ahoy_call::{
    message::{HangupReason, MediaState, Payload},
    state::{
        CallStatus, Input, LinkEvent,
        limits::{MAX_CANDIDATES, OFFER_EVERY, OFFERS_AT_ONCE, REMEMBERED_CALLS_OF_ONE},
    },
};

use crate::script::{BOB, Script, answer, offer, request, trickle};

/// Every message that has no business in the call it names.
fn strays() -> Vec<Payload> {
    vec![
        Payload::CallAck,
        offer("o"),
        answer("a"),
        trickle("c"),
        Payload::Ringing,
        Payload::MediaState { media: MediaState::NONE, hears: false, dred: None, paused: None },
        Payload::CallHold { held: true },
    ]
}

#[test]
fn messages_for_no_call_are_told_once_and_ignored() {
    let mut call = Script::new();
    for payload in strays() {
        call.gets(payload);
    }
    call.expect(&["problem UnknownCall"]);
    assert_eq!(call.status(), None);
    // A call of that name can still ring.
    call.gets(request()).expect(&["send ringing", "event incoming"]);
}

#[test]
fn nobody_else_reaches_into_a_call() {
    let mut call = Script::caller_in_call();
    for (seq, payload) in strays().into_iter().chain([Payload::CallHangup { reason: None }, request()]).enumerate() {
        call.gets_from("mallory", "call", seq as u64, payload);
    }
    call.expect(&["problem WrongPeer"]);
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn an_answer_nobody_asked_for_is_told_and_ignored() {
    for mut call in [Script::calling(), Script::called(), Script::caller_in_call(), Script::callee_in_call()] {
        let before = call.status();
        call.gets_from(BOB, "call", 50, answer("a9")).expect(&["problem UnexpectedMessage"]);
        call.gets_from(BOB, "call", 51, answer("a10")).expect(&[]);
        assert_eq!(call.status(), before);
    }
}

#[test]
fn a_caller_cannot_accept_its_own_call() {
    let mut call = Script::called();
    call.gets(Payload::CallAck).expect(&["problem UnexpectedMessage"]);
    assert_eq!(call.status(), Some(CallStatus::Ringing));
}

#[test]
fn repeated_messages_change_nothing() {
    let mut call = Script::calling();
    call.link(LinkEvent::LocalOffer("o1".into()));
    for _ in 0..3 {
        call.gets_from(BOB, "call", 1, Payload::Ringing);
        call.gets_from(BOB, "call", 2, Payload::CallAck);
        call.gets_from(BOB, "call", 3, answer("a1"));
        call.gets_from(BOB, "call", 4, trickle("b1"));
    }
    call.expect(&[
        "event ringing",
        "send call-offer o1",
        "send media-state av",
        "event connecting",
        "accept-answer a1",
        "add b1",
    ]);
}

#[test]
fn a_hang_up_that_overtakes_its_request_keeps_it_from_ringing() {
    let mut call = Script::new();
    call.gets_from(BOB, "call", 2, Payload::CallHangup { reason: None });
    call.gets_from(BOB, "call", 1, request()).expect(&[]);
    assert_eq!(call.status(), None);
}

#[test]
fn candidates_without_end_are_told_once_and_the_call_goes_on() {
    let mut call = Script::called();
    for n in 0..10 * MAX_CANDIDATES {
        call.gets(trickle(&format!("c{n}")));
    }
    call.expect(&["problem TooManyCandidates"]);
    call.user(Input::Accept { media: MediaState::BOTH }).drop_outputs();
    assert_eq!(call.gets(offer("o1")).outputs().len(), 1 + MAX_CANDIDATES);
}

#[test]
fn a_first_description_that_cannot_be_used_fails_the_call() {
    let mut call = Script::called();
    call.user(Input::Accept { media: MediaState::BOTH }).gets(offer("garbage")).drop_outputs();
    call.link(LinkEvent::RemoteDescriptionRefused("no codec in common".into()));
    call.expect(&["send call-hangup failed", "close", "event ended failed Local"]);
}

#[test]
fn a_later_description_that_cannot_be_used_leaves_the_call_as_it_was() {
    let mut call = Script::callee_in_call();
    call.gets(offer("garbage")).expect(&["accept-offer garbage"]);
    call.link(LinkEvent::RemoteDescriptionRefused("no codec in common".into()));
    call.expect(&["rollback", "problem BadDescription"]);
    call.gets(offer("o3")).expect(&["accept-offer o3"]);
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn each_medium_that_a_description_leaves_out_is_told_and_the_call_goes_on() {
    let mut call = Script::caller_in_call();
    for medium in ["audio", "video"] {
        call.link(LinkEvent::MediumRefused(format!("there is no {medium} in this call")));
        call.expect(&["problem Media"]);
    }
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn bad_candidates_are_told_once() {
    let mut call = Script::caller_in_call();
    for _ in 0..100 {
        call.link(LinkEvent::CandidateRefused("no address".into()));
    }
    call.expect(&["problem BadCandidate"]);
}

#[test]
fn unknown_messages_are_nothing() {
    Script::new().gets(Payload::Unknown).expect(&[]);
    Script::called().gets(Payload::Unknown).expect(&[]);
    Script::caller_in_call().gets(Payload::Unknown).expect(&[]);
}

#[test]
fn foreign_reasons_are_passed_on() {
    let reason = HangupReason::Other("battery".into());
    let mut call = Script::caller_in_call();
    call.gets(Payload::CallHangup { reason: Some(reason) }).expect(&["close", "event ended battery Remote"]);
}

/// A minute and a half second of a hundred a second.
const OFFERS: usize = 6_050;

#[test]
fn a_peer_that_renegotiates_a_hundred_times_a_second_is_answered_once_a_second() {
    let mut call = Script::callee_in_call();
    call.after(Duration::from_secs(60));
    let (mut answered, mut problems, mut last) = (0, 0, String::new());
    for number in 0..OFFERS {
        call.gets(offer(&format!("o{number}"))).after(Duration::from_millis(10));
        for output in call.outputs() {
            if let Some(sdp) = output.strip_prefix("accept-offer ") {
                answered += 1;
                last = sdp.to_owned();
                call.link(LinkEvent::LocalAnswer("a".into())).expect(&["send call-answer a"]);
            } else {
                assert_eq!(output, "problem TooManyOffers");
                problems += 1;
            }
        }
    }
    println!("{OFFERS} offers in a minute: {answered} answered, {problems} told");
    let most = OFFERS_AT_ONCE as usize + 61;
    assert!((60..=most).contains(&answered) && problems == 1, "{answered} answered, {problems} told");
    // The newest is the one that counts in the end.
    let newest = format!("o{}", OFFERS - 1);
    assert_ne!(last, newest);
    call.after(OFFER_EVERY).expect(&[format!("accept-offer {newest}").as_str()]);
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn candidates_with_a_new_generation_each_time_are_bounded_by_its_offers() {
    let mut call = Script::callee_in_call();
    let mut added = 0;
    for generation in 0..100 {
        call.gets(offer(&format!("a=ice-ufrag:{generation}")));
        call.link(LinkEvent::LocalAnswer("a".into()));
        for number in 0..1_000 {
            call.gets(trickle(&format!("{generation}-{number}")));
        }
        added += call.outputs().iter().filter(|output| output.starts_with("add ")).count();
    }
    println!("100,000 candidates in 100 generations at once: {added} reach the link");
    assert!(added <= (OFFERS_AT_ONCE as usize + 1) * MAX_CANDIDATES, "{added}");
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn messages_for_ten_thousand_calls_that_never_were_are_told_a_few_times() {
    let mut call = Script::caller_in_call();
    for number in 0..10_000 {
        call.gets_from("mallory", &format!("made-up-{number}"), 1, offer("o"));
    }
    assert_eq!(call.outputs(), vec!["problem UnknownCall"; REMEMBERED_CALLS_OF_ONE]);
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn calls_without_end_of_one_do_not_make_another_ones_ended_call_ring_again() {
    let mut call = Script::called();
    call.user(Input::Decline).drop_outputs();
    for number in 0..10_000 {
        let name = format!("flood-{number}");
        call.gets_from("mallory", &name, 1, request());
        call.gets_from("mallory", &name, 2, Payload::CallHangup { reason: None });
    }
    call.drop_outputs();
    call.gets(request()).gets(answer("a")).gets(trickle("c")).expect(&[]);
    assert_eq!(call.status(), None);
}
