//! The same without a mouse: every step by keys alone. That whatever has the focus is seen to have it,
//! `ui/tests/views.test.ts` looks at: on this desktop, which has no window manager, `:focus-visible` matches
//! nothing.

use ahoy_test_support::{
    app::{App, test},
    content::Content,
    desktop::Desktop,
    webdriver::key,
};
use ahoy_tests::end::unix_ms;
use serde_json::json;

use crate::{alone, end::End, steps::IN_CALL};

/// More than any view has to be tabbed through; a focus that goes round and round does not get there.
const TABS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_meet_call_each_other_and_talk_by_keyboard_alone() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let (mut ada, mut bea) = tokio::join!(End::start(&desktop, "ada", None), End::start(&desktop, "bea", None));
    // One after the other: a screen has one keyboard.
    first_start(&ada.app, "Ada").await;
    first_start(&bea.app, "Bea").await;

    ada.app.press_with(key::CONTROL, '3').await;
    ada.app.sees(&test("add")).await;
    tab_to(&ada.app, "invite-create").await;
    ada.app.press(key::ENTER).await;
    tab_to(&ada.app, "invite-link").await;
    ada.app.press_with(key::CONTROL, 'c').await;
    bea.app.press_with(key::CONTROL, '3').await;
    tab_to(&bea.app, "invite-link-field").await;
    bea.app.press_with(key::CONTROL, 'v').await;
    bea.app.value("invite-link-field").await;
    bea.app.press(key::ENTER).await;
    bea.app.sees(&test("contact-page")).await;

    ada.app.press_with(key::CONTROL, 'f').await;
    focused(&ada.app, "search").await;
    ada.app.types("bea").await;
    ada.app.sees("[data-test=call-video][aria-disabled=false]").await;
    tab_to(&ada.app, "call-video").await;
    ada.app.press(key::ENTER).await;
    bea.app.sees(&test("incoming")).await;
    bea.app.press_with(key::CONTROL, key::ENTER).await;
    tokio::join!(ada.app.sees(IN_CALL), bea.app.sees(IN_CALL));
    let answered = unix_ms();
    for end in [&mut ada, &mut bea] {
        end.receives(answered, "test pattern", Content::shows_pattern).await;
        end.receives(answered, "test tone", Content::sounds_tone).await;
    }

    ada.app.press_with(key::CONTROL, 'd').await;
    bea.receives(unix_ms(), "silence", Content::ends_silent).await;
    ada.app.press_with(key::CONTROL, 'd').await;
    bea.receives(unix_ms(), "test tone after unmuting", Content::sounds_tone).await;

    for (key, view) in [('2', "history"), ('4', "settings"), ('1', "search")] {
        bea.app.press_with(key::CONTROL, key).await;
        bea.app.sees(&test(view)).await;
        bea.app.sees(&test("overlay")).await;
    }
    bea.receives(unix_ms(), "test pattern beside the contacts", Content::shows_pattern).await;
    bea.app.press_with(key::CONTROL, '0').await;
    bea.app.sees(IN_CALL).await;

    bea.app.press_with_both([key::CONTROL, key::SHIFT], 'H').await;
    for end in [&ada, &bea] {
        end.app.sees("[data-test=call][data-phase=ended]").await;
        tab_to(&end.app, "call-close").await;
        end.app.press(key::ENTER).await;
        end.app.press_with(key::CONTROL, '2').await;
        end.app.sees("[data-test=history-entry][data-outcome=answered]").await;
    }
}

async fn first_start(app: &App, name: &str) {
    app.sees(&test("first-run")).await;
    tab_to(app, "first-name").await;
    app.types(name).await;
    // A list takes the entry whose beginning is typed.
    for (list, entry, value) in [("camera", "test p", "pattern"), ("microphone", "test t", "tone")] {
        let css = format!("[data-test=device-{list}]");
        // Entries of a list that is not open are not seen.
        let listed = "return document.querySelector(arguments[0]) !== null";
        app.waits(&format!("{value} is listed"), listed, json!([format!("{css} option[value={value}]")])).await;
        tab_to(app, &format!("device-{list}")).await;
        app.types(entry).await;
        let chosen = "return document.querySelector(arguments[0]).value === arguments[1]";
        app.waits(&format!("{value} is chosen"), chosen, json!([css, value])).await;
    }
    app.sees("[data-test=preview][data-state=playing]").await;
    tab_to(app, "first-done").await;
    app.press(key::ENTER).await;
    app.sees(&test("contact")).await;
}

/// Tabs on until what the page calls `name` has the focus.
async fn tab_to(app: &App, name: &str) {
    app.sees(&test(name)).await;
    for _ in 0..TABS {
        app.press(key::TAB).await;
        let script = "return document.activeElement.dataset.test ?? ''";
        let focus = app.driver().execute(script, json!([])).await.expect("a page with a focus");
        if focus == name {
            return focused(app, name).await;
        }
    }
    app.fail(&format!("{name} is not reached by {TABS} tabs")).await;
}

/// Waits until an element has the focus.
async fn focused(app: &App, name: &str) {
    let script = "return document.activeElement.dataset.test === arguments[0]";
    app.waits(&format!("{name} has the focus"), script, json!([name])).await;
}
