//! One call from its beginning to its end.

use std::time::Duration;

use ahoy_test_support::{
    browser::Role,
    peer::{self, is_event},
};
use tokio::time::{Instant, sleep};

use super::{
    plan::{By, Moment, Plan},
    side::{Pages, Side},
};
use crate::net::call::milliseconds;

/// Sound and video are there by then, at both sides.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// A call that was hung up is over by then, at both sides.
pub const END_LIMIT: Duration = Duration::from_secs(5);

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub plan: Plan,
    /// The machine was busy.
    pub busy: bool,
    /// Everything that was asked for came before the hang-up: an acceptance, ringing, or sound and video.
    pub came: bool,
    /// From the acceptance until the later side had it, in ms.
    pub sound_ms: Option<f64>,
    pub video_ms: Option<f64>,
    /// It was over at both sides in time after the hang-up.
    pub ended: bool,
}

impl Outcome {
    pub fn failed(&self) -> bool {
        !(self.came && self.ended)
    }
}

/// The times of a call: from the acceptance until the later side had it, in ms.
#[derive(Default)]
pub struct Times {
    pub sound_ms: Option<f64>,
    pub video_ms: Option<f64>,
}

/// Holds the call. Where it fails, prints its plan, the reason and both sides' last lines.
pub async fn hold(plan: Plan, busy: bool, pages: &mut Pages) -> Outcome {
    pages.prepare(&plan).await;
    let mut callee = Side::start(&plan, Role::Answer, pages);
    let mut caller = Side::start(&plan, Role::Call, pages);
    let wire = peer::connect_after(caller.line(), callee.line());
    let mut times = Times::default();
    let came = reach(&plan, &caller, &callee, &mut times).await;
    // A call that has failed is hung up by both, so that nothing of it is left for the next one.
    let by = if came.is_ok() { plan.by } else { By::Both };
    for (side, hangs_up) in [(&caller, by != By::Callee), (&callee, by != By::Caller)] {
        if hangs_up {
            side.peer().command("hangup");
        }
    }
    let ended = tokio::join!(caller.ends(&plan, END_LIMIT), callee.ends(&plan, END_LIMIT));
    drop(wire);
    let problems = [
        came.as_ref().err().cloned(),
        ended.0.as_ref().err().map(|problem| format!("caller: {problem}")),
        ended.1.as_ref().err().map(|problem| format!("callee: {problem}")),
    ];
    let outcome = Outcome {
        plan,
        busy,
        came: came.is_ok(),
        sound_ms: times.sound_ms,
        video_ms: times.video_ms,
        ended: ended.0.is_ok() && ended.1.is_ok(),
    };
    if outcome.failed() {
        let problems = problems.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let load = if busy { "busy" } else { "quiet" };
        eprintln!(
            "bench: FAILED, {load} machine, {plan}: {problems}{}{}",
            caller.peer().recent(),
            callee.peer().recent()
        );
    }
    outcome
}

/// Waits until the moment at which the call is hung up.
async fn reach(plan: &Plan, caller: &Side<'_>, callee: &Side<'_>, times: &mut Times) -> Result<(), String> {
    match plan.moment {
        Moment::BeforeRinging => return caller.sends("call-request", CONNECT_LIMIT).await,
        Moment::Ringing => callee.rings(CONNECT_LIMIT).await?,
        Moment::Connecting => callee.sends("call-ack", CONNECT_LIMIT).await?,
        Moment::AfterMedia => {
            callee.sends("call-ack", CONNECT_LIMIT).await?;
            *times = media(plan, caller, callee).await?;
        }
    }
    sleep(plan.wait).await;
    Ok(())
}

/// Waits for what the call carries, at both sides.
async fn media(plan: &Plan, caller: &Side<'_>, callee: &Side<'_>) -> Result<Times, String> {
    let began = Instant::now();
    let first = async |event: &str, wanted: bool| {
        if !wanted {
            return Ok(None);
        }
        let at = async |side: &Side<'_>, name| {
            let came = side.gives(event, CONNECT_LIMIT, |line| is_event(line, event)).await;
            came.map_err(|problem| format!("{name}: {problem}"))
        };
        let both = tokio::join!(at(caller, "caller"), at(callee, "callee"));
        let problems: Vec<String> = [both.0.err(), both.1.err()].into_iter().flatten().collect();
        match problems.is_empty() {
            true => Ok(Some(milliseconds(began.elapsed()))),
            false => Err(problems.join("; ")),
        }
    };
    let (sound, video) =
        tokio::join!(first("first-audio", plan.media.sound()), first("first-video", plan.media.video()));
    match (sound, video) {
        (Ok(sound_ms), Ok(video_ms)) => Ok(Times { sound_ms, video_ms }),
        (sound, video) => {
            let problems: Vec<String> = [sound.err(), video.err()].into_iter().flatten().collect();
            Err(problems.join("; "))
        }
    }
}
