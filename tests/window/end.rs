//! One of a test's windows, with eyes and ears: what it shows and plays is judged by its content.

use ahoy_test_support::{
    app::{App, LIMIT},
    content::{Cells, Content, Shown},
    desktop::Desktop,
};
use ahoy_tests::{ear::Ear, end::unix_ms};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

/// How often the window is asked what it has shown.
const POLL: Duration = Duration::from_millis(200);

/// The other's picture, wherever it is shown.
const REMOTE: &str = "[data-test=remote] canvas, [data-test=overlay] .remote canvas";

/// A window, and what it has shown of the far end.
pub struct End {
    pub app: App,
    ear: Ear,
    began: f64,
    frames: Vec<Shown>,
}

impl End {
    pub async fn start(desktop: &Desktop, profile: &str, settings: Option<Value>) -> Self {
        let app = App::start(desktop, profile, settings).await;
        let ear = Ear::of(app.sound());
        let probe = app.driver().execute(include_str!("probe.js"), json!(["remote", REMOTE])).await;
        probe.unwrap_or_else(|refusal| panic!("the probe: {refusal}"));
        Self { app, ear, began: unix_ms(), frames: Vec::new() }
    }

    /// Waits until what is shown and heard after `moment` (unix ms) is as `judge` wants it. `what` names that.
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
        let script = "return window.ahoyProbes.get('remote').frames.splice(0)";
        let fresh = self.app.driver().execute(script, json!([])).await;
        let fresh = fresh.unwrap_or_else(|refusal| panic!("what the window showed: {refusal}"));
        self.frames.extend(fresh.as_array().into_iter().flatten().map(shown));
        let heard = self.ear.content();
        Content { frames: self.frames.clone(), watched: (self.began, unix_ms()), ..heard }
    }
}

/// A frame as `probe.js` writes it. It does not look for the flash.
fn shown(row: &Value) -> Shown {
    let cells = row[2].as_u64().and_then(|counter| u32::try_from(counter).ok());
    let cells = cells.map(|counter| Cells { age_ms: row[1].as_f64().unwrap_or_default(), counter, flash: false });
    Shown { at: row[0].as_f64().unwrap_or_default(), cells }
}
