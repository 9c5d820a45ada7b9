//! What a person does, in clicks.

use ahoy_test_support::app::{App, test};
use serde_json::{Value, json};

/// The synthetic camera's id.
pub const PATTERN: &str = "pattern";
/// The synthetic microphone's.
pub const TONE: &str = ahoy_media::device::audio::TEST_TONE_ID;

/// How the echo contact is listed.
pub const ECHO: &str = "Echo";
/// Both are connected.
pub const IN_CALL: &str = "[data-test=call][data-phase=active]";

/// The settings of somebody who has started Ahoy before, and sends the test signal.
pub fn settled(name: &str) -> Value {
    json!({
        "version": 1, "name": name, "firstRunDone": true, "camera": PATTERN, "microphone": TONE,
        // Not what WebKit takes from the environment of the day.
        "language": "en",
    })
}

/// The first start: a name, a camera whose picture is seen, a microphone. `then` is done before all that is
/// over.
pub async fn first_start(app: &App, name: &str, then: impl AsyncFnOnce()) {
    app.sees(&test("first-run")).await;
    app.fill("first-name", name).await;
    app.choose("device-camera", PATTERN).await;
    app.sees("[data-test=preview][data-state=playing]").await;
    app.choose("device-microphone", TONE).await;
    then().await;
    app.click("first-done").await;
    app.sees(&test("contact")).await;
}

/// One makes an invite, the other takes it: both have each other.
pub async fn meet(host: &App, guest: &App) {
    host.click("nav-add").await;
    host.click("invite-create").await;
    let link = host.value("invite-link").await;
    guest.click("nav-add").await;
    guest.fill("invite-link-field", &link).await;
    guest.click("invite-add").await;
    guest.sees(&test("contact-page")).await;
    host.click("nav-contacts").await;
}

/// The CSS selector of the entry in the contact list with that name.
pub async fn contact(app: &App, name: &str) -> String {
    let script = "const found = [...document.querySelectorAll('[data-test=contact]')].find((contact) => contact.querySelector('bdi').textContent === arguments[0]); return found?.dataset.contact";
    let id = app.waits(&format!("{name} is a contact"), script, json!([name])).await;
    format!("[data-test=contact][data-contact=\"{}\"]", id.as_str().unwrap_or_default())
}

/// Opens a contact's page and calls with pictures, once the contact can be called.
pub async fn call(app: &App, name: &str) {
    let contact = contact(app, name).await;
    app.click_at(&format!("{contact} .person")).await;
    let button = format!("{}[aria-disabled=false]", in_page("call-video"));
    app.click_at(&button).await;
}

fn in_page(name: &str) -> String {
    format!("{} {}", test("contact-page"), test(name))
}
