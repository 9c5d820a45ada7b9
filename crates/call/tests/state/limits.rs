//! Every wait has an end, and a reason; time here is virtual.

use std::time::Duration;

use ahoy_call::{
    message::{MediaState, Payload},
    state::{
        CallStatus, Input, LinkEvent, Path,
        limits::{CONNECT_LIMIT, RECONNECT_LIMIT, RESTART_GRACE, RESTART_INTERVAL, RESTART_RETRY, RING_LIMIT},
    },
};

use crate::script::{BOB, Script, answer};

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn it_rings_only_so_long_at_both_sides() {
    for mut call in [Script::calling(), Script::called()] {
        assert_eq!(call.board.next_deadline(), Some(call.now + RING_LIMIT));
        call.after(RING_LIMIT - MOMENT).expect(&[]);
        let outputs = call.after(MOMENT).outputs();
        assert_eq!(outputs.first().unwrap(), "send call-hangup timeout");
        assert_eq!(outputs.last().unwrap(), "event ended timeout Local");
        assert_eq!((call.status(), call.board.next_deadline()), (None, None));
    }
}

#[test]
fn ringing_does_not_begin_anew_with_the_ringing_message() {
    let mut call = Script::calling();
    let deadline = call.board.next_deadline();
    call.after(MOMENT).gets(Payload::Ringing);
    assert_eq!(call.board.next_deadline(), deadline);
}

#[test]
fn connecting_takes_only_so_long() {
    let mut callee = Script::called();
    callee.user(Input::Accept { media: MediaState::BOTH });
    let mut caller = Script::calling();
    caller.gets(Payload::CallAck);
    for mut call in [callee, caller] {
        call.drop_outputs().after(CONNECT_LIMIT - MOMENT).expect(&[]);
        call.after(MOMENT).expect(&["send call-hangup failed", "close", "event ended failed Local"]);
    }
}

#[test]
fn a_connected_call_waits_for_nothing() {
    for call in [Script::caller_in_call(), Script::callee_in_call()] {
        assert_eq!(call.board.next_deadline(), None);
    }
}

#[test]
fn a_lost_connection_is_looked_for_and_then_given_up() {
    let mut call = Script::caller_in_call();
    call.link(LinkEvent::Disconnected).expect(&["event reconnecting", "create-offer restart"]);
    call.link(LinkEvent::LocalOffer("o2".into())).expect(&["send call-offer o2"]);
    // One offer at a time: without an answer there is no second.
    call.after(RESTART_INTERVAL).expect(&[]);
    call.gets(answer("a2")).expect(&["accept-answer a2"]);
    call.after(RESTART_INTERVAL).expect(&["create-offer restart"]);
    call.after(RECONNECT_LIMIT - 2 * RESTART_INTERVAL);
    call.expect(&["send call-hangup failed", "close", "event ended failed Local"]);
}

fn network_changed(path: Path) -> Input {
    Input::NetworkChanged { peer: BOB.into(), path }
}

#[test]
fn an_address_that_is_gone_restarts_ice_at_once_at_either_side() {
    for mut call in [Script::caller_in_call(), Script::callee_in_call()] {
        call.user(network_changed(Path::Gone)).expect(&["event reconnecting", "create-offer restart"]);
        call.link(LinkEvent::LocalOffer("o2".into())).expect(&["send call-offer o2"]);
        // The next network comes before the answer: its restart waits for it, and not for longer.
        call.user(network_changed(Path::Joined)).expect(&[]);
        call.after(10 * RESTART_RETRY).expect(&[]);
        call.gets(answer("a2")).expect(&["accept-answer a2"]);
        call.after(RESTART_RETRY).expect(&["create-offer restart"]);
        call.link(LinkEvent::LocalOffer("o3".into())).expect(&["send call-offer o3"]);
        call.gets(answer("a3")).expect(&["accept-answer a3"]);
        call.link(LinkEvent::Connected).expect(&["event reconnected"]);
        call.after(RECONNECT_LIMIT).expect(&[]);
        assert_eq!(call.board.next_deadline(), None);
    }
}

#[test]
fn a_path_that_moved_is_looked_for_without_giving_the_call_up() {
    let mut call = Script::caller_in_call();
    call.user(network_changed(Path::Moved)).expect(&["create-offer restart"]);
    call.link(LinkEvent::LocalOffer("o2".into())).expect(&["send call-offer o2"]);
    // Nobody answers, and the old path goes on.
    call.after(RECONNECT_LIMIT).expect(&[]);
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn a_network_that_joins_matters_only_to_a_call_that_has_none() {
    let mut call = Script::caller_in_call();
    call.user(network_changed(Path::Joined)).expect(&[]);
    assert_eq!(call.board.next_deadline(), None);
    call.link(LinkEvent::Disconnected).expect(&["event reconnecting", "create-offer restart"]);
    call.link(LinkEvent::LocalOffer("o2".into())).gets(answer("a2")).drop_outputs();
    call.user(network_changed(Path::Joined)).expect(&["create-offer restart"]);
}

#[test]
fn a_network_that_changes_while_it_rings_is_gathered_after_the_first_answer() {
    let mut caller = Script::calling();
    caller.link(LinkEvent::LocalOffer("o1".into()));
    caller.user(network_changed(Path::Gone)).expect(&[]);
    caller.after(10 * RESTART_RETRY).expect(&[]);
    caller.gets(Payload::CallAck).gets(answer("a1")).drop_outputs();
    caller.after(RESTART_RETRY).expect(&["create-offer restart"]);
    // There is no link yet that could be restarted.
    let mut callee = Script::called();
    callee.user(network_changed(Path::Gone)).after(10 * RESTART_RETRY).expect(&[]);
}

#[test]
fn a_machine_that_roams_all_the_time_makes_one_offer_at_a_time() {
    let mut call = Script::caller_in_call();
    call.user(network_changed(Path::Gone)).expect(&["event reconnecting", "create-offer restart"]);
    for _ in 0..10_000 {
        call.user(network_changed(Path::Gone)).user(network_changed(Path::Joined)).expect(&[]);
    }
}

#[test]
fn the_callee_leaves_the_first_restart_to_the_caller() {
    let mut call = Script::callee_in_call();
    call.link(LinkEvent::Disconnected).expect(&["event reconnecting"]);
    call.after(RESTART_GRACE - MOMENT).expect(&[]);
    call.link(LinkEvent::Connected).expect(&["event reconnected"]);
    call.after(RECONNECT_LIMIT).expect(&[]);
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn a_request_that_cannot_be_sent_ends_the_call_at_once() {
    let mut call = Script::calling();
    call.user(Input::SendFailed { to: BOB.into(), error: "no route".into() });
    call.expect(&["send call-hangup failed", "close", "event ended failed Local"]);
}

#[test]
fn a_running_call_survives_the_loss_of_signaling() {
    let mut call = Script::caller_in_call();
    for _ in 0..2 {
        call.user(Input::SendFailed { to: BOB.into(), error: "no route".into() });
    }
    call.expect(&["problem SignalingFailed"]);
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn a_link_that_breaks_for_good_ends_the_call() {
    let mut call = Script::caller_in_call();
    call.link(LinkEvent::Failed("DTLS alert".into()));
    call.expect(&["send call-hangup failed", "close", "event ended failed Local"]);
}
