//! Every view in the real window, light and dark: audited by axe-core, and kept as a picture in
//! target/screenshots.

use std::{fs, path::Path};

use ahoy_test_support::{
    app::{App, test},
    content::Content,
    desktop::Desktop,
    webdriver::key,
};
use ahoy_tests::end::unix_ms;
use serde_json::{Value, json};

use crate::{
    alone,
    end::End,
    steps::{self, IN_CALL, call, contact, first_start, meet, settled},
};

const SCREENSHOTS: &str = "../target/screenshots";
const AXE: &str = "../ui/node_modules/axe-core/axe.min.js";
/// Bytes of a window's picture of one colour, and half as many again.
const BLANK: u64 = 3500;
/// WCAG up to 2.2 AA, and what its authors advise besides.
const AUDIT: &str = "
const done = arguments[arguments.length - 1];
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
axe.run({ runOnly: tags }).then(
  ({ violations }) => done(violations.map(({ id, impact, help, nodes }) =>
    ({ id, impact, help, where: nodes.map(({ target, failureSummary }) => `${target.join(' ')}: ${failureSummary}`) }))),
  (error) => done([{ id: 'axe', impact: 'critical', help: String(error), where: [] }]),
);";

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_accessible_in_light() {
    every_view("light").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_accessible_in_dark() {
    every_view("dark").await;
}

async fn every_view(theme: &'static str) {
    let _alone = alone().await;
    let desktop = Desktop::start().await;
    let themed = json!({ "version": 1, "theme": theme, "language": "en", "camera": steps::PATTERN });
    let friend = settled("Grace");
    let bea = End::start(&desktop, "grace", Some(friend)).await;
    let mut ada = End::start(&desktop, "ada", Some(themed)).await;
    let mut audit = Audit::of(&desktop, theme);
    let app = &ada.app;

    app.sees("[data-test=notice][data-code=no-tray]").await;
    audit.look(app, "notice").await;
    app.click_at("[data-test=notice] button").await;
    first_start(app, "Ada", async || audit.look(app, "first-run").await).await;

    audit.look(app, "contacts").await;
    app.click_at(&format!("{} .person", contact(app, steps::ECHO).await)).await;
    audit.look(app, "echo").await;
    app.click("nav-history").await;
    audit.look(app, "history-empty").await;
    app.click("nav-add").await;
    audit.look(app, "add").await;
    app.click("invite-create").await;
    app.sees(&test("invite-link")).await;
    audit.look(app, "invite").await;
    app.click("nav-settings").await;
    audit.look(app, "settings").await;
    app.press(key::F1).await;
    app.sees("dialog[open]").await;
    audit.look(app, "help").await;
    app.press(key::ESCAPE).await;

    meet(&bea.app, app).await;
    audit.look(app, "contact").await;
    app.click("remove").await;
    app.sees("dialog[open]").await;
    audit.look(app, "remove").await;
    app.press(key::ESCAPE).await;

    call(&bea.app, "Ada").await;
    app.sees(&test("incoming")).await;
    audit.look(app, "incoming").await;
    app.click("decline").await;
    bea.app.sees("[data-test=call][data-phase=ended]").await;
    bea.app.click("call-close").await;

    call(app, "Grace").await;
    bea.app.sees(&test("incoming")).await;
    audit.look(app, "ringing").await;
    bea.app.click("answer-video").await;
    app.sees(IN_CALL).await;
    ada.receives(unix_ms(), "test pattern", Content::shows_pattern).await;
    let app = &ada.app;
    app.sees(&test("quality")).await;
    // That this desktop shows no notifications.
    app.click_at("[data-test=notice] button").await;
    audit.look(app, "call").await;
    app.click("stats").await;
    app.sees("[data-stat=bitrate] path").await;
    audit.look(app, "call-stats").await;
    app.click("stats").await;
    app.click("devices").await;
    app.sees(&test("device-menu")).await;
    audit.look(app, "call-devices").await;
    app.press(key::ESCAPE).await;
    app.click("hold").await;
    app.sees("[data-test=call][data-phase=held]").await;
    audit.look(app, "held").await;
    app.click("hold").await;
    app.sees(IN_CALL).await;
    app.click("call-leave").await;
    app.sees("[data-test=overlay] .remote.shown").await;
    audit.look(app, "overlay").await;
    app.click("overlay-open").await;
    app.click("hang-up").await;
    app.sees("[data-test=call][data-phase=ended]").await;
    audit.look(app, "ended").await;
    app.click("call-close").await;
    app.click("nav-history").await;
    app.sees(&test("history-entry")).await;
    audit.look(app, "history").await;

    audit.passed();
}

/// What is wrong with the views so far.
struct Audit<'a> {
    desktop: &'a Desktop,
    theme: &'static str,
    axe: String,
    found: Vec<String>,
}

impl<'a> Audit<'a> {
    fn of(desktop: &'a Desktop, theme: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::create_dir_all(folder.join(SCREENSHOTS)).expect("a folder for the screenshots");
        let axe = fs::read_to_string(folder.join(AXE));
        let axe = axe.unwrap_or_else(|error| panic!("axe-core ({error}): run `npm ci` in ui"));
        Self { desktop, theme, axe, found: Vec::new() }
    }

    /// Keeps a picture of the window, and audits what it shows.
    async fn look(&mut self, app: &App, view: &str) {
        // Not in the middle of an animation, whose colours are nobody's choice.
        let settled = "return document.getAnimations().every((one) => one.playState !== 'running' || one.effect.getTiming().iterations === Infinity)";
        app.waits("nothing moves", settled, json!([])).await;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCREENSHOTS).join(format!("{view}-{}.png", self.theme));
        self.desktop.screenshot(&app.title(), &file).await;
        let length = fs::metadata(&file).map_or(0, |file| file.len());
        assert!(length > BLANK, "{view}: the picture is blank");

        let load = format!("if (!window.axe) {{ {} }}", self.axe);
        app.driver().execute(&load, json!([])).await.unwrap_or_else(|refusal| panic!("axe-core: {refusal}"));
        let found = app.driver().execute_async(AUDIT, json!([])).await;
        let found = found.unwrap_or_else(|refusal| panic!("the audit of {view}: {refusal}"));
        for violation in found.as_array().into_iter().flatten() {
            let line = format!("{view}, {}: {}", self.theme, described(violation));
            if matches!(violation["impact"].as_str(), Some("serious" | "critical")) {
                self.found.push(line);
            } else {
                eprintln!("{line}");
            }
        }
    }

    fn passed(&self) {
        assert!(self.found.is_empty(), "{}", self.found.join("\n"));
    }
}

fn described(violation: &Value) -> String {
    let text = |field: &str| violation[field].as_str().unwrap_or_default();
    let places: Vec<_> = violation["where"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    format!("{} {}: {}\n    {}", text("impact"), text("id"), text("help"), places.join("\n    "))
}
