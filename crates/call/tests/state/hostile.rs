//! Messages that no honest peer sends, or not now.

use ahoy_call::{
    message::{HangupReason, MediaState, Payload},
    state::{CallStatus, Input, LinkEvent, limits::MAX_CANDIDATES},
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
        Payload::MediaState { media: MediaState::NONE, hears: false },
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
