//! The echo contact: what others would get of oneself, with nobody else.

use std::time::{Duration, Instant};

use ahoy_test_support::{
    app::{App, LIMIT, More, test},
    content::{Content, Shown},
    desktop::Desktop,
    eye::{Eye, Frame},
};
use ahoy_tests::end::unix_ms;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    alone,
    end::{End, REMOTE},
    steps::{self, IN_CALL, call, first_start, settled},
};

/// How often an eye is asked what it has seen.
const LOOK: Duration = Duration::from_millis(20);

/// As with a graphics card.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_paints_with_what_its_webview_has() {
    let _alone = alone().await;
    for without in ["", "delete window.VideoDecoder"] {
        let desktop = Desktop::start().await;
        let more = More { arguments: vec!["--pictures", "page"], ..More::default() };
        let mut ada = End::start_with(&desktop, "ada", Some(settled("Ada")), more).await;
        ada.app.driver().execute(without, json!([])).await.unwrap_or_else(|refusal| panic!("{without}: {refusal}"));
        call(&ada.app, steps::ECHO).await;
        ada.app.sees(IN_CALL).await;
        let player = if without.is_empty() { "canvas" } else { "video" };
        ada.app.sees(&format!("[data-test=remote].shown {player}")).await;
        ada.receives(unix_ms(), "own test pattern", Content::shows_pattern).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_echo_contact_shows_and_plays_what_others_would_get() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let mut ada = End::start(&desktop, "ada", None).await;
    first_start(&ada.app, "Ada", async || ()).await;

    call(&ada.app, steps::ECHO).await;
    ada.app.sees(IN_CALL).await;
    let answered = unix_ms();
    ada.receives(answered, "own test pattern", Content::shows_pattern).await;
    ada.receives(answered, "own test tone", Content::sounds_tone).await;

    ada.without_notices().await;
    ada.app.click("mute").await;
    let muted = unix_ms();
    ada.receives(muted, "silence", Content::ends_silent).await;
    ada.receives(muted, "own test pattern while muted", Content::shows_pattern).await;
    ada.app.click("mute").await;
    ada.receives(unix_ms(), "own test tone after unmuting", Content::sounds_tone).await;

    ada.app.click("call-leave").await;
    ada.app.click("nav-settings").await;
    ada.app.sees(&test("settings")).await;
    ada.receives(unix_ms(), "own test pattern beside the settings", Content::shows_pattern).await;
    ada.app.click("overlay-hang-up").await;
    ada.app.sees_no(&test("overlay")).await;
    ada.app.click("nav-history").await;
    ada.app.sees("[data-test=history-entry][data-outcome=answered]").await;
}

/// The page's process, as when it crashes: the call is the program's.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_ends_is_there_again_in_its_call() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let ada = App::start(&desktop, "ada", Some(settled("Ada"))).await;
    call(&ada, steps::ECHO).await;
    ada.sees(IN_CALL).await;
    let place = ada.waits("the picture's place", REMOTE, json!([])).await;
    let eye = Eye::on(&desktop, &ada.title());
    eye.turn(Frame::of(&place));
    seen(&ada, &eye, "a picture", |shown| shown.cells.is_some()).await;

    // The driver has no page from here on.
    ada.driver().kill_page();
    seen(&ada, &eye, "the window without its page", |shown| shown.cells.is_none()).await;
    let killed = unix_ms();
    // Of now: not what the old page had painted last.
    let fresh = |shown: &Shown| shown.cells.is_some_and(|cells| shown.at - cells.age_ms > killed);
    seen(&ada, &eye, "the call's picture once more", fresh).await;
}

async fn seen(app: &App, eye: &Eye, what: &str, is_it: impl Fn(&Shown) -> bool) {
    let limit = Instant::now() + LIMIT;
    while !eye.seen().iter().any(&is_it) {
        if Instant::now() > limit {
            app.fail(&format!("no {what} within {LIMIT:?}")).await;
        }
        sleep(LOOK).await;
    }
}
