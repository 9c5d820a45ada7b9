//! Two people who meet and call each other, in two windows.

use ahoy_test_support::{app::test, content::Content, desktop::Desktop};
use ahoy_tests::end::unix_ms;

use crate::{
    alone,
    end::End,
    steps::{IN_CALL, call, first_start, meet},
};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_meet_call_each_other_and_talk() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let (mut ada, mut bea) = tokio::join!(End::start(&desktop, "ada", None), End::start(&desktop, "bea", None));
    tokio::join!(first_start(&ada.app, "Ada", async || ()), first_start(&bea.app, "Bea", async || ()));
    meet(&ada.app, &bea.app).await;

    let called = unix_ms();
    call(&ada.app, "Bea").await;
    bea.app.sees(&test("incoming")).await;
    assert_eq!(bea.app.text("[data-test=incoming] bdi").await, "Ada");
    bea.receives(called, "ringing", |heard| heard.levels.iter().any(|level| level.rms > AUDIBLE)).await;
    bea.app.click("answer-video").await;
    tokio::join!(ada.app.sees(IN_CALL), bea.app.sees(IN_CALL));
    let answered = unix_ms();
    for end in [&mut ada, &mut bea] {
        end.receives(answered, "test pattern", Content::shows_pattern).await;
        end.receives(answered, "test tone", Content::sounds_tone).await;
        end.app.sees("[data-test=route][data-route=direct]").await;
        end.app.sees(&test("own-picture")).await;
    }

    bea.without_notices().await;
    ada.app.click("mute").await;
    let muted = unix_ms();
    bea.receives(muted, "silence", Content::ends_silent).await;
    bea.receives(muted, "test pattern while muted", Content::shows_pattern).await;
    ada.app.click("mute").await;
    let unmuted = unix_ms();
    bea.receives(unmuted, "test tone after unmuting", Content::sounds_tone).await;

    ada.app.click("call-leave").await;
    for place in ["history", "settings", "add", "contacts"] {
        ada.app.click(&format!("nav-{place}")).await;
        let there = unix_ms();
        ada.app.sees(&test(if place == "contacts" { "search" } else { place })).await;
        ada.app.sees(&test("overlay")).await;
        ada.receives(there, &format!("test pattern beside {place}"), Content::shows_pattern).await;
    }
    let away = unix_ms();
    ada.receives(away, "test tone beside the contacts", Content::sounds_tone).await;
    ada.app.click("overlay-open").await;
    ada.app.sees(IN_CALL).await;
    let back = unix_ms();
    ada.receives(back, "test pattern back in the call", Content::shows_pattern).await;
    bea.receives(back, "test pattern all the while", Content::shows_pattern).await;

    bea.app.click("hang-up").await;
    for end in [&ada, &bea] {
        end.app.sees("[data-test=call][data-phase=ended]").await;
        end.app.click("call-close").await;
        end.app.click("nav-history").await;
        end.app.sees("[data-test=history-entry][data-outcome=answered]").await;
    }
}

/// Ten times what silence has.
const AUDIBLE: f64 = 0.01;
