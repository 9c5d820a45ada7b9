//! The echo contact: what others would get of oneself, with nobody else.

use ahoy_test_support::{
    app::{More, test},
    content::Content,
    desktop::Desktop,
};
use ahoy_tests::end::unix_ms;
use serde_json::json;

use crate::{
    alone,
    end::End,
    steps::{self, IN_CALL, call, first_start, settled},
};

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
