//! Both call each other at once.

use ahoy_call::{
    event::CallEvent,
    message::{HangupReason, MediaState, Payload},
    state::CallStatus,
};

use crate::{
    script::{BOB, Script, request},
    world::{Network, World},
};

#[test]
fn two_crossing_calls_become_one_over_any_network() {
    for seed in 0..200 {
        for (a, b) in [("call-1", "call-2"), ("call-2", "call-1")] {
            let mut world = World::new(Network::bad(seed));
            world.place(0, a);
            world.place(1, b);
            world.run_until_connected();
            for end in &world.ends {
                let call = end.board.current().unwrap();
                assert_eq!(call.id().as_str(), "call-1", "seed {seed}");
                assert_eq!(call.media(), MediaState::BOTH);
                let ended = end.events.iter().any(|(_, event)| matches!(event, CallEvent::Ended { .. }));
                let missed = end.events.iter().any(|(_, event)| matches!(event, CallEvent::Missed { .. }));
                let incoming = end.events.iter().any(|(_, event)| matches!(event, CallEvent::Incoming { .. }));
                assert!(!ended && !missed && !incoming, "seed {seed}: {:?}", end.events);
            }
            world.hang_up(0);
            world.run_to_rest();
            world.assert_over(&format!("seed {seed}"));
        }
    }
}

#[test]
fn the_smaller_id_goes_on() {
    let mut call = Script::calling();
    call.gets_from(BOB, "a-smaller-id", 1, request()).expect(&[
        "send call-hangup glare",
        "close",
        "event replaced",
        "send call-ack",
        "open Callee",
        "sending av",
        "send media-state av",
        "event connecting",
    ]);
    // Messages of the call that was given up are nothing to wonder about.
    call.gets(Payload::CallAck).gets(Payload::CallHangup { reason: None }).expect(&[]);
    assert_eq!(call.status(), Some(CallStatus::Connecting));
}

#[test]
fn the_larger_id_is_let_go_when_ours_is_answered() {
    let mut call = Script::calling();
    call.gets_from(BOB, "z-larger-id", 1, request()).expect(&[]);
    call.gets(Payload::CallAck).expect(&["send media-state av", "event connecting", "send call-hangup glare"]);
}

#[test]
fn a_crossing_request_that_comes_after_the_acceptance_is_no_missed_call() {
    let mut call = Script::calling();
    call.gets(Payload::CallAck).drop_outputs();
    call.gets_from(BOB, "z-larger-id", 1, request()).expect(&["send call-hangup busy"]);
}

#[test]
fn a_plain_peer_that_says_busy_to_our_crossing_call_gets_its_own() {
    let mut call = Script::calling();
    call.gets_from(BOB, "z-larger-id", 1, request()).expect(&[]);
    call.gets(Payload::CallHangup { reason: Some(HangupReason::Busy) }).expect(&[
        "send call-hangup glare",
        "close",
        "event replaced",
        "send call-ack",
        "open Callee",
        "sending av",
        "send media-state av",
        "event connecting",
    ]);
    assert_eq!(call.board.current().unwrap().id().as_str(), "z-larger-id");
}

#[test]
fn a_crossing_call_that_was_hung_up_is_not_taken() {
    let mut call = Script::calling();
    call.gets_from(BOB, "z-larger-id", 1, request());
    call.gets_from(BOB, "z-larger-id", 2, Payload::CallHangup { reason: None }).expect(&[]);
    call.gets(Payload::CallHangup { reason: Some(HangupReason::Busy) });
    call.expect(&["close", "event ended busy Remote"]);
}

#[test]
fn somebody_elses_call_does_not_cross_ours() {
    let mut call = Script::calling();
    call.gets_from("carol", "a-smaller-id", 1, request()).expect(&["event missed", "send call-hangup busy"]);
    assert_eq!(call.status(), Some(CallStatus::Initiating));
}
