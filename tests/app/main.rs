//! Apps that call each other: the whole backend without its window, its media in the engine or, in browser
//! mode, in the page that is open in Chromium. Contacts are made, calls placed, answered and ended as people
//! do it; what arrives is judged by its content. These tests write the second half of docs/interop.md.

use ahoy_test_support::content::Content;
use ahoy_tests::{
    end::unix_ms,
    matrix,
    side::{self, Mode, Side},
};
use serde_json::json;
use tokio::sync::Mutex;

/// Two apps with 1280x720 at both ends, and browsers, take what a small machine has: one test at a time.
static MACHINE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn app_calls_app() {
    let _alone = MACHINE.lock().await;
    let (mut ada, mut bob) = (Side::native("ada").await, Side::native("bob").await);
    two_calls(&mut ada, &mut bob).await;
}

#[tokio::test]
async fn app_calls_browser_mode() {
    let _alone = MACHINE.lock().await;
    let (mut ada, mut bob) = (Side::native("ada").await, Side::browser("bob").await);
    two_calls(&mut ada, &mut bob).await;
}

#[tokio::test]
async fn browser_mode_calls_app() {
    let _alone = MACHINE.lock().await;
    let (mut ada, mut bob) = (Side::browser("ada").await, Side::native("bob").await);
    two_calls(&mut ada, &mut bob).await;
}

#[tokio::test]
async fn browser_mode_calls_browser_mode() {
    let _alone = MACHINE.lock().await;
    let (mut ada, mut bob) = (Side::browser("ada").await, Side::browser("bob").await);
    two_calls(&mut ada, &mut bob).await;
}

#[tokio::test]
async fn media_move_between_engine_and_browser_at_the_next_call() {
    let _alone = MACHINE.lock().await;
    let (mut ada, mut bob) = (Side::browser("ada").await, Side::native("bob").await);
    ada.befriend(&bob).await;

    let call = connect(&mut ada, &mut bob, true).await;
    call.shows_both(&mut ada, &mut bob).await;
    // The call that runs stays where it is.
    ada.leaves_call().await;
    ada.chooses_engine(Mode::Native).await;
    let chosen = Placed { at: unix_ms(), ..call };
    assert_eq!(ada.app.tell("calls_list", json!({})).await[0]["mode"], "browser");
    chosen.shows_both(&mut ada, &mut bob).await;
    matrix::note("toggle", "running-call-stays");
    ada.returns_to_call().await;
    ada.hangs_up().await;
    call.ended(&mut ada, &mut bob).await;

    ada.mode = Mode::Native;
    let call = connect(&mut bob, &mut ada, true).await;
    call.shows_both(&mut bob, &mut ada).await;
    ada.page_shows(call.at, "test pattern", Content::shows_pattern).await;
    matrix::note("toggle", "browser-to-native");
    bob.hangs_up().await;
    call.ended(&mut bob, &mut ada).await;

    ada.chooses_engine(Mode::Browser).await;
    ada.mode = Mode::Browser;
    let call = connect(&mut bob, &mut ada, true).await;
    call.shows_both(&mut bob, &mut ada).await;
    matrix::note("toggle", "native-to-browser");
    ada.hangs_up().await;
    call.ended(&mut bob, &mut ada).await;
}

#[tokio::test]
async fn who_takes_no_calls_is_shown_with_a_sign_and_cannot_be_called() {
    let _alone = MACHINE.lock().await;
    let (mut ada, mut bob) = (Side::browser("ada").await, Side::native("bob").await);
    ada.befriend(&bob).await;
    let row = side::contact(&bob);
    let (sign, buttons) = (format!("{row} [data-test=no-calls]"), format!("{row} [data-test^=call-]"));
    ada.sees(&buttons).await;

    let from = ada.app.peer.position();
    bob.app.tell("settings_set", json!({"patch": {"videoDisabled": true}})).await;
    ada.sees_presence(from, &bob, "no-calls").await;
    assert_eq!(ada.sees(&sign).await, "Cannot take calls");
    assert_eq!(ada.count(&buttons).await, 0);
    matrix::note("no-calls", "sign");

    let call = json!({"contact": bob.id, "video": true});
    let refused = ada.app.ask("call_start", call).await.expect_err("a call to somebody who takes none");
    assert_eq!(refused["code"], "contact-no-calls");
    assert!(refused["what"].as_str().is_some_and(|what| what.contains("bob")), "{refused}");
    let call = json!({"contact": ada.id, "video": true});
    let refused = bob.app.ask("call_start", call).await.expect_err("a call of somebody who makes none");
    assert_eq!(refused["code"], "calls-disabled");
    matrix::note("no-calls", "refused");

    let from = ada.app.peer.position();
    bob.app.tell("settings_set", json!({"patch": {"videoDisabled": false}})).await;
    ada.sees_presence(from, &bob, "online").await;
    ada.sees(&buttons).await;
    assert_eq!(ada.count(&sign).await, 0);
    let call = connect(&mut ada, &mut bob, true).await;
    call.shows_both(&mut ada, &mut bob).await;
    matrix::note("no-calls", "back");
    ada.hangs_up().await;
    call.ended(&mut ada, &mut bob).await;
}

/// A call with sound, then one with both, each seen and heard at both ends, switched off and on, and ended by
/// either side.
async fn two_calls(ada: &mut Side, bob: &mut Side) {
    let note = |(caller, callee): (Mode, Mode), column| matrix::passed(caller, callee, column);
    let modes = (ada.mode, bob.mode);
    ada.befriend(bob).await;

    let call = connect(ada, bob, false).await;
    for side in [&mut *ada, &mut *bob] {
        side.receives(call.at, "test tone", Content::sounds_tone).await;
        side.receives(call.at, "darkness", Content::ends_dark).await;
    }
    note(modes, "audio");
    ada.hangs_up().await;
    call.ended(ada, bob).await;
    note(modes, "caller-hangs-up");

    let call = connect(ada, bob, true).await;
    call.shows_both(ada, bob).await;
    note(modes, "video");
    toggles(ada, bob).await;
    note(modes, "caller-toggles");
    toggles(bob, ada).await;
    note(modes, "callee-toggles");
    bob.hangs_up().await;
    call.ended(ada, bob).await;
    note(modes, "callee-hangs-up");
    for (side, from) in [(ada, call.from[0]), (bob, call.from[1])] {
        side.history(from, &["answered", "answered"]).await;
    }
}

/// A call that is connected.
struct Placed {
    /// When (unix ms).
    at: f64,
    /// Where each side's line was when it began.
    from: [usize; 2],
}

/// Calls, rings, answers and connects.
async fn connect(caller: &mut Side, callee: &mut Side, video: bool) -> Placed {
    let from = [&*caller, &*callee].map(|side| side.app.peer.position());
    caller.calls(callee, video).await;
    caller.app.phase(from[0], "ringing").await;
    callee.app.phase(from[1], "incoming").await;
    callee.answers(video).await;
    caller.connected(from[0]).await;
    callee.connected(from[1]).await;
    Placed { at: unix_ms(), from }
}

impl Placed {
    /// Pictures and sound, at both ends.
    async fn shows_both(&self, caller: &mut Side, callee: &mut Side) {
        for side in [caller, callee] {
            side.receives(self.at, "test pattern", Content::shows_pattern).await;
            side.receives(self.at, "test tone", Content::sounds_tone).await;
        }
    }

    /// Somebody hung up: both say so.
    async fn ended(&self, caller: &mut Side, callee: &mut Side) {
        assert_eq!(caller.ended(self.from[0]).await, "hangup");
        assert_eq!(callee.ended(self.from[1]).await, "hangup");
    }
}

/// Mute silences the sound and nothing else, camera-off darkens the picture and nothing else, and both come
/// back.
async fn toggles(near: &Side, far: &mut Side) {
    let muted = near.switches_sound(false).await;
    far.receives(muted, "silence", Content::ends_silent).await;
    far.receives(muted, "test pattern while muted", Content::shows_pattern).await;
    let unmuted = near.switches_sound(true).await;
    far.receives(unmuted, "test tone after unmuting", Content::sounds_tone).await;

    let off = near.switches_camera(false).await;
    far.receives(off, "darkness", Content::ends_dark).await;
    far.receives(off, "test tone with the camera off", Content::sounds_tone).await;
    let on = near.switches_camera(true).await;
    far.receives(on, "test pattern with the camera on again", Content::shows_pattern).await;
}
