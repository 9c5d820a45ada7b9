//! One of a test's windows, with eyes and ears: what it shows and plays is judged by its content.

use ahoy_test_support::{
    app::{App, LIMIT, More},
    content::{Content, Shown},
    desktop::Desktop,
    eye::{Eye, Frame},
};
use ahoy_tests::{ear::Ear, end::unix_ms};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

/// How often the window is asked what it has shown.
const POLL: Duration = Duration::from_millis(200);

/// Where the other's picture is, if one is shown.
pub const REMOTE: &str = "const box = document.querySelector('[data-test=remote].shown .picture, [data-test=overlay] .remote.shown .picture'); \
    return box && box.getBoundingClientRect()";

/// A window, and what it has shown of the far end.
pub struct End {
    pub app: App,
    ear: Ear,
    eye: Eye,
    began: f64,
    frames: Vec<Shown>,
}

impl End {
    pub async fn start(desktop: &Desktop, profile: &str, settings: Option<Value>) -> Self {
        Self::start_with(desktop, profile, settings, More::default()).await
    }

    pub async fn start_with(desktop: &Desktop, profile: &str, settings: Option<Value>, more: More) -> Self {
        let app = App::start_with(desktop, profile, settings, more).await;
        let ear = Ear::of(app.sound());
        let eye = Eye::on(desktop, &app.title());
        Self { app, ear, eye, began: unix_ms(), frames: Vec::new() }
    }

    /// From now on no notice lies over the picture: "Ada is muted" would over its cells.
    pub async fn without_notices(&self) {
        let rule = "document.styleSheets[0].insertRule('.pictures .notices { visibility: hidden }')";
        self.app.driver().execute(rule, json!([])).await.unwrap_or_else(|refusal| panic!("a rule of style: {refusal}"));
    }

    /// Waits until what is shown and heard after `moment` (unix ms) is as `judge` wants it. `what` names
    /// that.
    pub async fn receives(&mut self, moment: f64, what: &str, judge: impl Fn(&Content) -> bool) {
        let limit = Instant::now() + LIMIT;
        loop {
            let content = self.content().await.since(moment);
            if judge(&content) {
                return;
            }
            if Instant::now() > limit {
                self.app.fail(&format!("no {what} within {LIMIT:?}: {content}")).await;
            }
            sleep(POLL).await;
        }
    }

    async fn content(&mut self) -> Content {
        let place = self.app.driver().execute(REMOTE, json!([])).await;
        let place = place.unwrap_or_else(|refusal| panic!("where the picture is: {refusal}"));
        self.eye.turn(Frame::of(&place));
        self.frames.extend(self.eye.seen());
        let heard = self.ear.content();
        Content { frames: self.frames.clone(), watched: (self.began, unix_ms()), ..heard }
    }
}
