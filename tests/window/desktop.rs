//! What a desktop does with the app: its window closed, the program started again, an invite opened, and
//! calls taken and refused where notifications are shown; and a desktop that has neither tray nor
//! notifications.

use ahoy_test_support::{
    app::{App, test},
    content::Content,
    desktop::Desktop,
    services::{Notifications, Tray},
};
use ahoy_tests::end::unix_ms;
use serde_json::json;

use crate::{
    alone,
    end::End,
    steps::{self, IN_CALL, call, meet, settled},
};

const ADAS: &str = "Ahoy (ada)";
const BEAS: &str = "Ahoy (bea)";
const ENDED: &str = "[data-test=call][data-phase=ended]";

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_keeps_its_call_in_the_tray_and_comes_back_by_a_second_start() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let mut tray = Tray::start(&desktop).await;
    let mut ada = End::start(&desktop, "ada", Some(settled("Ada"))).await;
    tray.icon(&ada.app).await;
    call(&ada.app, steps::ECHO).await;
    ada.app.sees(IN_CALL).await;
    ada.receives(unix_ms(), "own test tone", Content::sounds_tone).await;

    desktop.close_window(ADAS);
    desktop.until_hidden(ADAS).await;
    ada.receives(unix_ms(), "own test tone of a closed window", Content::sounds_tone).await;

    let again = ada.app.second_start(&[]).await;
    assert!(again.success(), "a second start hands over and ends: {again}");
    desktop.until_shown(ADAS).await;
    desktop.until_focused(ADAS).await;
    ada.app.sees(IN_CALL).await;
    let back = unix_ms();
    ada.receives(back, "own test pattern in the window that came back", Content::shows_pattern).await;
    ada.receives(back, "own test tone in the window that came back", Content::sounds_tone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tray_has_the_window_and_the_menu_and_every_new_tray_has_them_again() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let mut tray = Tray::start(&desktop).await;
    let ada = App::start(&desktop, "ada", Some(settled("Ada"))).await;
    let icon = tray.icon(&ada).await;
    assert_eq!(icon.menu().await, ["Show Ahoy", "Quit"]);
    desktop.close_window(ADAS);
    desktop.until_hidden(ADAS).await;
    icon.click().await;
    desktop.until_shown(ADAS).await;
    desktop.until_focused(ADAS).await;

    ada.click("nav-settings").await;
    ada.choose("language", "de").await;
    ada.waits("German", "return document.documentElement.lang === 'de'", json!([])).await;
    assert_eq!(icon.menu().await, ["Ahoy zeigen", "Beenden"]);

    // A panel that crashes leaves no window behind that nobody can reach.
    desktop.close_window(ADAS);
    desktop.until_hidden(ADAS).await;
    tray.end().await;
    desktop.until_shown(ADAS).await;
    let mut tray = Tray::start(&desktop).await;
    let icon = tray.icon(&ada).await;
    desktop.close_window(ADAS);
    desktop.until_hidden(ADAS).await;
    icon.choose("Ahoy zeigen").await;
    desktop.until_shown(ADAS).await;
    let running = desktop.running("io.github.ahoy_call.Ahoy.p_ada.SingleInstance").await;
    icon.choose("Beenden").await;
    running.until_ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opened_invite_brings_the_window_back_and_waits_to_be_accepted() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let mut tray = Tray::start(&desktop).await;
    let start = async |profile: &'static str, name| App::start(&desktop, profile, Some(settled(name))).await;
    // The later window lies above.
    let ada = start("ada", "Ada").await;
    let bea = start("bea", "Bea").await;
    for app in [&ada, &bea] {
        tray.icon(app).await;
    }
    ada.click("nav-add").await;
    ada.click("invite-create").await;
    let link = ada.value("invite-link").await;
    desktop.close_window(BEAS);
    desktop.until_hidden(BEAS).await;

    let again = bea.second_start(&[&link]).await;
    assert!(again.success(), "a second start hands over and ends: {again}");
    desktop.until_shown(BEAS).await;
    desktop.until_focused(BEAS).await;
    assert_eq!(bea.value("invite-link-field").await, link);
    // Whether it is taken is the user's to decide.
    bea.sees_no(&test("contact-page")).await;
    bea.click("invite-add").await;
    bea.sees(&test("contact-page")).await;
    steps::contact(&bea, "Ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_declined_and_answered_where_notifications_are_shown() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let mut tray = Tray::start(&desktop).await;
    let mut notifications = Notifications::start(&desktop).await;
    let start = async |profile: &'static str, name| End::start(&desktop, profile, Some(settled(name))).await;
    // The later window lies above.
    let mut ada = start("ada", "Ada").await;
    let bea = start("bea", "Bea").await;
    for end in [&ada, &bea] {
        tray.icon(&end.app).await;
    }
    meet(&ada.app, &bea.app).await;
    desktop.close_window(BEAS);
    desktop.until_hidden(BEAS).await;

    call(&ada.app, "Bea").await;
    let ringing = notifications.next().await;
    assert_eq!(ringing.summary, "Ada");
    // It is shown, and whoever types elsewhere goes on typing there.
    desktop.until_shown(BEAS).await;
    bea.app.sees(&test("incoming")).await;
    assert!(desktop.declines_focus(BEAS) && !desktop.is_focused(BEAS), "who is called keeps the keyboard");
    notifications.click(&ringing, "decline").await;
    ada.app.sees(ENDED).await;
    assert_eq!(ada.app.text(&test("phase")).await, "The call was declined");
    notifications.until_closed(&ringing).await;
    bea.app.sees_no(&test("incoming")).await;
    ada.app.click("call-close").await;

    desktop.close_window(BEAS);
    desktop.until_hidden(BEAS).await;
    call(&ada.app, "Bea").await;
    let ringing = notifications.next().await;
    desktop.until_shown(BEAS).await;
    notifications.click(&ringing, "answer").await;
    tokio::join!(ada.app.sees(IN_CALL), bea.app.sees(IN_CALL), desktop.until_focused(BEAS));
    notifications.until_closed(&ringing).await;
    let answered = unix_ms();
    ada.receives(answered, "test pattern", Content::shows_pattern).await;
    ada.receives(answered, "test tone", Content::sounds_tone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tray_and_notifications_calls_are_taken_in_the_window_and_end_with_it() {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let start = async |profile: &'static str, name| End::start(&desktop, profile, Some(settled(name))).await;
    // The later window lies above.
    let mut ada = start("ada", "Ada").await;
    let bea = start("bea", "Bea").await;
    meet(&ada.app, &bea.app).await;

    call(&ada.app, "Bea").await;
    bea.app.sees("[data-test=notice][data-code=no-notifications]").await;
    bea.app.click("answer-video").await;
    tokio::join!(ada.app.sees(IN_CALL), bea.app.sees(IN_CALL));
    ada.receives(unix_ms(), "test tone", Content::sounds_tone).await;

    let running = desktop.running("io.github.ahoy_call.Ahoy.p_bea.SingleInstance").await;
    desktop.close_window(BEAS);
    desktop.until_gone(BEAS).await;
    ada.app.sees(ENDED).await;
    // Hung up, not lost.
    assert_eq!(ada.app.text(&test("phase")).await, "The call has ended");
    running.until_ended().await;
    let log = bea.app.driver().log().text();
    assert!(!log.contains("panicked"), "{log}");
}
