//! The way of a call, input by input.

use ahoy_call::{
    message::{HangupReason, MediaState, Paused, Payload},
    state::{CallStatus, Input, LinkEvent},
};
use ahoy_media::audio::opus::DRED_VERSION;

use crate::script::{BOB, Script, answer, candidate, offer, request, trickle};

fn says(media: MediaState) -> Payload {
    Payload::MediaState { media, hears: true, dred: None, paused: None }
}

#[test]
fn a_call_we_make() {
    let mut call = Script::calling();
    assert_eq!(call.status(), Some(CallStatus::Initiating));
    // The offer is prepared while it rings; nothing of it leaves before the call is accepted.
    call.link(LinkEvent::LocalOffer("o1".into())).link(LinkEvent::LocalCandidate(candidate("c1"))).expect(&[]);
    call.gets(Payload::Ringing).expect(&["event ringing"]);
    assert_eq!(call.status(), Some(CallStatus::Ringing));
    call.gets(Payload::CallAck).expect(&[
        "send call-offer o1",
        "send ice-candidate c1",
        "send media-state av",
        "event connecting",
    ]);
    assert_eq!(call.status(), Some(CallStatus::Connecting));
    call.link(LinkEvent::LocalCandidate(candidate("c2"))).expect(&["send ice-candidate c2"]);
    call.link(LinkEvent::LocalCandidatesDone).expect(&["send ice-candidate "]);
    call.gets(answer("a1")).expect(&["accept-answer a1"]);
    call.gets(trickle("b1")).expect(&["add b1"]);
    call.gets(Payload::IceCandidate { candidate: None }).expect(&["end-of-candidates"]);
    call.link(LinkEvent::Connected).expect(&["event connected"]);
    assert_eq!(call.status(), Some(CallStatus::Active));
    call.user(Input::HangUp).expect(&["send call-hangup hangup", "close", "event ended hangup Local"]);
    assert_eq!(call.status(), None);
}

#[test]
fn an_acceptance_before_the_offer_is_ready_waits_for_it() {
    let mut call = Script::calling();
    call.gets(Payload::CallAck).expect(&["send media-state av", "event connecting"]);
    call.link(LinkEvent::LocalOffer("o1".into())).expect(&["send call-offer o1"]);
}

#[test]
fn a_call_we_get() {
    let mut call = Script::called();
    assert_eq!(call.status(), Some(CallStatus::Ringing));
    call.user(Input::Accept { media: MediaState { audio: true, video: false } }).expect(&[
        "send call-ack",
        "open Callee",
        "sending a",
        "send media-state a",
        "event connecting",
    ]);
    call.gets(offer("o1")).expect(&["accept-offer o1"]);
    call.link(LinkEvent::LocalCandidate(candidate("c1"))).expect(&[]);
    call.link(LinkEvent::LocalAnswer("a1".into())).expect(&["send call-answer a1", "send ice-candidate c1"]);
    call.link(LinkEvent::Connected).expect(&["event connected"]);
    call.gets(Payload::CallHangup { reason: None }).expect(&["close", "event ended hangup Remote"]);
    assert_eq!(call.status(), None);
}

#[test]
fn early_candidates_are_applied_in_order_after_the_description() {
    let mut call = Script::called();
    call.gets(trickle("b1")).gets(trickle("b2")).expect(&[]);
    call.user(Input::Accept { media: MediaState::BOTH }).drop_outputs();
    call.gets(trickle("b3")).expect(&[]);
    call.gets(offer("o1")).expect(&["accept-offer o1", "add b1", "add b2", "add b3"]);
}

#[test]
fn an_offer_before_we_accept_is_answered_once_we_do() {
    let mut call = Script::called();
    call.gets(offer("o1")).expect(&[]);
    call.user(Input::Accept { media: MediaState::BOTH }).expect(&[
        "send call-ack",
        "open Callee",
        "sending av",
        "accept-offer o1",
        "send media-state av",
        "event connecting",
    ]);
}

#[test]
fn a_declined_call_ends_on_both_sides() {
    Script::called().user(Input::Decline).expect(&["send call-hangup declined", "event ended declined Local"]);
    let declined = Payload::CallHangup { reason: Some(HangupReason::Declined) };
    Script::calling().gets(declined).expect(&["close", "event ended declined Remote"]);
}

#[test]
fn hanging_up_while_it_rings_here_is_declining() {
    Script::called().user(Input::HangUp).expect(&["send call-hangup declined", "event ended declined Local"]);
}

#[test]
fn a_second_call_is_answered_busy_and_told_as_missed() {
    let mut call = Script::callee_in_call();
    call.gets_from("carol", "other", 1, request()).expect(&["event missed", "send call-hangup busy"]);
    call.gets_from("carol", "other", 1, request()).expect(&[]);
    call.gets_from(BOB, "third", 1, request()).expect(&["event missed", "send call-hangup busy"]);
    assert_eq!(call.status(), Some(CallStatus::Active));
    let again = call.board.place(call.now, "fourth".parse().unwrap(), "carol".into(), MediaState::BOTH);
    assert_eq!(again.unwrap_err().0, call.channel);
}

#[test]
fn hold_stops_what_is_sent_and_played_until_all_who_held_resume() {
    let mut call = Script::caller_in_call();
    call.user(Input::Hold).expect(&["send call-hold true", "sending -", "playing false", "event hold true false"]);
    assert_eq!(call.status(), Some(CallStatus::OnHold));
    call.user(Input::Hold).expect(&[]);
    call.gets(Payload::CallHold { held: true }).expect(&["event hold true true"]);
    call.user(Input::Resume).expect(&["send call-hold false", "playing true", "event hold false true"]);
    assert_eq!(call.status(), Some(CallStatus::OnHold));
    call.gets(Payload::CallHold { held: false }).expect(&["sending av", "event hold false false"]);
    assert_eq!(call.status(), Some(CallStatus::Active));
}

#[test]
fn muting_during_hold_holds_after_it() {
    let mut call = Script::caller_in_call();
    call.user(Input::Hold).drop_outputs();
    call.user(Input::SetMedia(MediaState { audio: false, video: true })).expect(&["send media-state v"]);
    call.user(Input::Resume).expect(&["send call-hold false", "sending v", "playing true", "event hold false false"]);
}

#[test]
fn what_rings_cannot_be_held() {
    Script::calling().user(Input::Hold).expect(&[]);
    Script::called().user(Input::Hold).expect(&[]);
}

#[test]
fn muting_stops_the_media_and_tells_the_other_side() {
    let mut call = Script::callee_in_call();
    let muted = MediaState { audio: false, video: true };
    call.user(Input::SetMedia(muted)).expect(&["send media-state v", "sending v"]);
    call.user(Input::SetMedia(muted)).expect(&[]);
    call.gets(says(MediaState::NONE)).expect(&["event media-state -"]);
}

#[test]
fn muting_while_it_rings_reaches_the_link_at_once_and_the_other_side_on_acceptance() {
    let mut call = Script::calling();
    call.user(Input::SetMedia(MediaState::NONE)).expect(&["sending -"]);
    call.gets(Payload::CallAck).expect(&["send media-state -", "event connecting"]);
}

const SOUND: MediaState = MediaState { audio: true, video: false };
const PICTURE: MediaState = MediaState { audio: false, video: true };

#[test]
fn a_device_that_is_away_is_told_and_the_link_waits_for_it() {
    let mut call = Script::caller_in_call();
    call.user(Input::SetAvailable(SOUND)).expect(&["send media-state a"]);
    call.user(Input::SetAvailable(SOUND)).expect(&[]);
    call.user(Input::SetAvailable(MediaState::BOTH)).expect(&["send media-state av"]);
    call.user(Input::SetAvailable(PICTURE)).expect(&["send media-state v"]);
}

#[test]
fn what_the_user_switches_and_what_the_devices_give_are_told_as_one() {
    let mut call = Script::caller_in_call();
    call.user(Input::SetAvailable(SOUND)).drop_outputs();
    call.user(Input::SetMedia(SOUND)).expect(&["sending a"]);
    call.user(Input::SetAvailable(MediaState::BOTH)).expect(&[]);
    call.user(Input::SetMedia(MediaState::BOTH)).expect(&["send media-state av", "sending av"]);
    call.user(Input::SetMedia(PICTURE)).expect(&["send media-state v", "sending v"]);
    call.user(Input::SetAvailable(PICTURE)).expect(&[]);
    call.user(Input::SetMedia(MediaState::BOTH)).expect(&["sending av"]);
}

#[test]
fn a_medium_without_a_section_is_offered_once_it_is_to_be_sent() {
    // A browser calls with sound alone.
    let mut call = Script::called();
    call.user(Input::Accept { media: SOUND }).gets(offer("o1"));
    call.link(LinkEvent::LocalAnswer("a1".into())).link(LinkEvent::Absent(PICTURE)).drop_outputs();
    call.link(LinkEvent::Connected).expect(&["event connected"]);
    call.user(Input::SetMedia(MediaState::BOTH)).expect(&["send media-state av", "sending av", "create-offer"]);
    call.user(Input::SetMedia(SOUND)).expect(&["send media-state a", "sending a"]);
    call.link(LinkEvent::LocalOffer("o2".into())).expect(&["send call-offer o2"]);
    call.gets(answer("a2")).expect(&["accept-answer a2"]);
    // Now it has its section.
    call.user(Input::SetMedia(MediaState::BOTH)).expect(&["send media-state av", "sending av"]);
}

#[test]
fn a_medium_without_a_section_is_offered_after_the_exchange_that_is_open() {
    let mut call = Script::called();
    call.user(Input::Accept { media: MediaState::BOTH }).gets(offer("o1"));
    // Not before there is a connection.
    call.link(LinkEvent::LocalAnswer("a1".into())).link(LinkEvent::Absent(PICTURE)).drop_outputs();
    call.gets(offer("o2")).expect(&["accept-offer o2"]);
    call.link(LinkEvent::Connected).expect(&["event connected"]);
    call.link(LinkEvent::LocalAnswer("a2".into())).expect(&["send call-answer a2"]);
    call.link(LinkEvent::Absent(PICTURE)).expect(&["create-offer"]);
}

#[test]
fn a_held_call_offers_what_it_lacks_when_it_is_resumed() {
    let mut call = Script::called();
    call.user(Input::Accept { media: SOUND }).gets(offer("o1"));
    call.link(LinkEvent::LocalAnswer("a1".into())).link(LinkEvent::Absent(PICTURE)).link(LinkEvent::Connected);
    call.user(Input::Hold).drop_outputs();
    call.user(Input::SetMedia(MediaState::BOTH)).expect(&["send media-state av"]);
    call.user(Input::Resume).expect(&[
        "send call-hold false",
        "sending av",
        "create-offer",
        "playing true",
        "event hold false false",
    ]);
}

#[test]
fn a_device_missing_while_it_rings_is_told_on_acceptance() {
    let mut call = Script::calling();
    call.user(Input::SetAvailable(SOUND)).expect(&[]);
    call.gets(Payload::CallAck).expect(&["send media-state a", "event connecting"]);
}

#[test]
fn a_device_lost_during_hold_is_told_and_nothing_is_sent() {
    let mut call = Script::caller_in_call();
    call.user(Input::Hold).drop_outputs();
    call.user(Input::SetAvailable(SOUND)).expect(&["send media-state a"]);
    call.user(Input::Resume).expect(&["send call-hold false", "sending av", "playing true", "event hold false false"]);
}

#[test]
fn only_the_newest_media_state_and_hold_count() {
    let mut call = Script::caller_in_call();
    call.gets_from(BOB, "call", 20, says(MediaState::BOTH)).expect(&["event media-state av"]);
    call.gets_from(BOB, "call", 19, says(MediaState::NONE)).expect(&[]);
    call.gets_from(BOB, "call", 22, Payload::CallHold { held: false }).expect(&[]);
    call.gets_from(BOB, "call", 21, Payload::CallHold { held: true }).expect(&[]);
}

#[test]
fn calling_whoever_rings_here_accepts() {
    let mut call = Script::called();
    let id = call.board.place(call.now, "mine".parse().unwrap(), BOB.into(), MediaState::BOTH).unwrap();
    assert_eq!(id, call.channel);
    assert_eq!(call.outputs()[0], "send call-ack");
    assert_eq!(call.status(), Some(CallStatus::Connecting));
}

#[test]
fn the_callee_takes_its_offer_back_when_offers_cross() {
    let mut call = Script::callee_in_call();
    call.link(LinkEvent::Disconnected).after(ahoy_call::state::limits::RESTART_GRACE);
    call.expect(&["event reconnecting", "create-offer restart"]);
    call.link(LinkEvent::LocalOffer("o2".into())).expect(&["send call-offer o2"]);
    call.gets(offer("o3")).expect(&["rollback", "accept-offer o3"]);
    call.link(LinkEvent::LocalAnswer("a3".into())).expect(&["send call-answer a3"]);
    call.link(LinkEvent::Connected).expect(&["event reconnected"]);
}

#[test]
fn the_callers_offer_wins_when_offers_cross() {
    let mut call = Script::caller_in_call();
    call.link(LinkEvent::Disconnected).expect(&["event reconnecting", "create-offer restart"]);
    call.link(LinkEvent::LocalOffer("o2".into())).expect(&["send call-offer o2"]);
    call.gets(offer("o3")).expect(&[]);
    call.gets(answer("a2")).expect(&["accept-answer a2"]);
}

#[test]
fn who_is_not_heard_is_told_so_and_learns_when_it_is_again() {
    let mut call = Script::caller_in_call();
    let hears = |hears| Input::Hears { peer: BOB.into(), hears };
    call.user(hears(true)).expect(&[]);
    call.user(hears(false)).expect(&["send media-state av deaf", "event unheard FromPeer"]);
    call.user(hears(false)).expect(&[]);
    // Whatever else is said meanwhile does not take it back.
    call.user(Input::SetMedia(PICTURE)).expect(&["send media-state v deaf", "sending v"]);
    call.user(hears(true)).expect(&["send media-state v", "event heard FromPeer"]);

    let deaf = |media| Payload::MediaState { media, hears: false, dred: None, paused: None };
    call.gets(says(MediaState::BOTH)).expect(&["event media-state av"]);
    call.gets(deaf(MediaState::BOTH)).expect(&["event unheard ToPeer"]);
    call.gets(deaf(PICTURE)).expect(&["event media-state v"]);
    call.gets(says(MediaState::BOTH)).expect(&["event media-state av", "event heard ToPeer"]);
}

#[test]
fn deep_redundancy_is_for_peers_that_announce_our_version() {
    let announces = |dred| Payload::MediaState { media: MediaState::BOTH, hears: true, dred, paused: None };
    let mut call = Script::caller_in_call();
    call.gets(announces(None)).expect(&["event media-state av"]);
    call.gets(announces(Some(DRED_VERSION))).expect(&["takes dred true", "event media-state av"]);
    call.gets(announces(Some(DRED_VERSION))).expect(&["event media-state av"]);
    call.gets(announces(Some(DRED_VERSION + 1))).expect(&["takes dred false", "event media-state av"]);
    call.gets(announces(Some(0))).expect(&["event media-state av"]);
}

#[test]
fn video_that_the_network_pauses_is_said_to_be_off_with_the_reason_until_it_is_back() {
    let mut call = Script::caller_in_call();
    let pause = |paused| Input::SetPaused(paused);
    call.user(pause(None)).expect(&[]);
    // The link goes on: nothing has to be agreed anew when video comes back.
    call.user(pause(Some(Paused::Bandwidth))).expect(&["send media-state a paused"]);
    call.user(pause(Some(Paused::Bandwidth))).expect(&[]);
    // A camera that is off is not paused, and one that is on again still is.
    call.user(Input::SetMedia(SOUND)).expect(&["send media-state a", "sending a"]);
    call.user(Input::SetMedia(MediaState::BOTH)).expect(&["send media-state a paused", "sending av"]);
    call.user(Input::SetAvailable(SOUND)).expect(&["send media-state a"]);
    call.user(Input::SetAvailable(MediaState::BOTH)).expect(&["send media-state a paused"]);
    call.user(pause(None)).expect(&["send media-state av"]);

    let paused = |media, paused| Payload::MediaState { media, hears: true, dred: None, paused };
    call.gets(paused(SOUND, Some(Paused::Bandwidth))).expect(&["event media-state a paused"]);
    call.gets(paused(SOUND, Some(Paused::Other))).expect(&["event media-state a paused"]);
    call.gets(paused(MediaState::BOTH, None)).expect(&["event media-state av"]);
    // What is sent is not paused, whatever is said.
    call.gets(paused(MediaState::BOTH, Some(Paused::Bandwidth))).expect(&["event media-state av"]);
}
