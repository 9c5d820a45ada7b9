//! Calls between two whole apps, over the app's own transport: by the buttons of the page, or by the app's commands.

use std::time::Duration;

use ahoy_tests::{end::unix_ms, side::Side};
use tokio::{
    task::{LocalSet, spawn_local},
    time::{Instant, sleep},
};

use super::{
    Party,
    call::{CONNECT_LIMIT, END_LIMIT, Outcome, Times},
    plan::{By, Moment, Plan},
};

/// After so many calls the apps are started anew: the log of a page is read from its beginning at each look.
const CALLS_OF_APPS: usize = 25;
/// Interval of polling.
const GLANCE: Duration = Duration::from_millis(25);

/// The running apps, with the number of their calls.
#[derive(Default)]
pub struct Apps(Option<(Both, usize)>);

struct Both {
    /// Its media run in the engine.
    app: Side,
    /// Has a page in Chromium.
    with_page: Side,
}

/// What came of a call: its times, and whether it ended at both sides.
struct Held {
    times: Result<Times, String>,
    ended: bool,
}

impl Apps {
    /// Holds the call. Where it fails, prints its plan and the reason; the next one begins in new apps.
    pub async fn hold(&mut self, plan: Plan, busy: bool) -> Outcome {
        let (mut both, calls) = match self.0.take_if(|(_, calls)| *calls < CALLS_OF_APPS) {
            Some(running) => running,
            None => {
                // The apps before must end first.
                self.0 = None;
                (Both::start().await, 0)
            }
        };
        // A missing event is a panic of `Side`, whose message names the event.
        let call = async move {
            let held = both.hold(&plan).await;
            (both, held)
        };
        let (both, held) = match LocalSet::new().run_until(async { spawn_local(call).await }).await {
            Ok((both, held)) => (Some(both), held),
            Err(problem) => (None, Held { times: Err(problem.to_string()), ended: false }),
        };
        let ended = held.ended;
        if held.times.is_err() || !ended {
            let load = if busy { "busy" } else { "quiet" };
            let problem = held.times.as_ref().err().map_or("it does not end", String::as_str);
            eprintln!("bench: FAILED, {load} machine, {plan}: {problem}");
        }
        let came = held.times.is_ok();
        let Times { sound_ms, video_ms } = held.times.unwrap_or_default();
        self.0 = both.filter(|_| came && ended).map(|both| (both, calls + 1));
        Outcome { plan, busy, came, sound_ms, video_ms, ended }
    }
}

impl Both {
    /// Two people with the app, who know each other.
    async fn start() -> Self {
        let (app, with_page) = (Side::native("ada").await, Side::browser("bob").await);
        app.befriend(&with_page).await;
        Self { app, with_page }
    }

    async fn hold(&mut self, plan: &Plan) -> Held {
        if self.with_page.mode != plan.mode {
            self.with_page.chooses_engine(plan.mode).await;
            self.with_page.mode = plan.mode;
        }
        let [caller, callee] = match plan.caller {
            Party::App => [&mut self.app, &mut self.with_page],
            _ => [&mut self.with_page, &mut self.app],
        };
        let times = reach(plan, caller, callee).await;
        // A call that has failed is hung up by both.
        match if times.is_ok() { plan.by } else { By::Both } {
            By::Caller => caller.hangs_up().await,
            By::Callee if plan.moment == Moment::Ringing => callee.declines().await,
            By::Callee => callee.hangs_up().await,
            By::Both => drop(tokio::join!(caller.hangs_up_unseen(), callee.hangs_up_unseen())),
        }
        let ended = both_idle(caller, callee).await;
        tokio::join!(caller.clears(), callee.clears());
        Held { times, ended }
    }
}

/// Calls, and waits until the moment at which the call is hung up.
async fn reach(plan: &Plan, caller: &mut Side, callee: &mut Side) -> Result<Times, String> {
    let from = [&*caller, &*callee].map(|side| side.app.peer.position());
    let video = plan.media.video();
    caller.calls(callee, video).await;
    let mut times = Times::default();
    if plan.moment != Moment::BeforeRinging {
        callee.app.phase(from[1], "incoming").await;
    }
    if matches!(plan.moment, Moment::Connecting | Moment::AfterMedia) {
        sleep(plan.ring).await;
        let accepted = (unix_ms(), Instant::now());
        callee.answers(video).await;
        if plan.moment == Moment::AfterMedia {
            caller.connected(from[0]).await;
            callee.connected(from[1]).await;
            times = media(caller, callee, video, accepted).await?;
        }
    }
    sleep(plan.wait).await;
    Ok(times)
}

/// Waits at both sides for the first sound, and where there is video, for the first frame.
async fn media(caller: &mut Side, callee: &mut Side, video: bool, accepted: (f64, Instant)) -> Result<Times, String> {
    let (at, began) = accepted;
    loop {
        let [(sound_one, video_one), (sound_other, video_other)] = [caller.first(at), callee.first(at)];
        let later = |one: Option<f64>, other: Option<f64>| Some(one?.max(other?) - at);
        let times = Times { sound_ms: later(sound_one, sound_other), video_ms: later(video_one, video_other) };
        if times.sound_ms.is_some() && (times.video_ms.is_some() || !video) {
            return Ok(times);
        }
        if began.elapsed() > CONNECT_LIMIT {
            return Err(format!(
                "after {CONNECT_LIMIT:?}: sound at the caller {sound_one:?}, at the callee {sound_other:?}, video \
                 {video_one:?}, {video_other:?}{}{}",
                caller.app.peer.recent(),
                callee.app.peer.recent()
            ));
        }
        sleep(GLANCE).await;
    }
}

/// Whether the call is over at both sides in time.
async fn both_idle(caller: &Side, callee: &Side) -> bool {
    let until = Instant::now() + END_LIMIT;
    while !(caller.is_idle().await && callee.is_idle().await) {
        if Instant::now() > until {
            return false;
        }
        sleep(GLANCE).await;
    }
    true
}
