//! Chromium's side: two pages, each in a browser of its own, call each other with the same picture, sound,
//! size and rate.

use std::time::Duration;

use ahoy_test_support::{
    browser::{self, Browser, Options, Role},
    content::{Content, Shown},
    peer::{self, is_event},
};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    BITRATE_KBPS, FORMAT, Figures, SETTLING,
    cost::Program,
    sample::{largest, percentile, smallest},
};

/// What a call costs is measured for this long, after the pages have stopped to look at what they show.
const COST_SPAN: Duration = Duration::from_secs(10);
/// A probe that has stopped is gone by then, garbage and all.
const UNWATCHED: Duration = Duration::from_secs(2);

/// A call of two browsers, caller and callee.
struct Call([Browser; 2]);

impl Call {
    /// A call with pictures at both ends.
    async fn start() -> Self {
        let options = |role| Options { format: FORMAT, bitrate_kbps: Some(BITRATE_KBPS), ..Options::new(role) };
        let callee = browser::open(&options(Role::Answer)).await;
        let caller = browser::open(&options(Role::Call)).await;
        peer::connect(&caller.peer, &callee.peer);
        for end in [&caller, &callee] {
            end.peer.event("first-video").await;
        }
        Self([caller, callee])
    }

    fn sides<T>(&self, figure: impl Fn(&Browser) -> T) -> [T; 2] {
        let Self([caller, callee]) = self;
        [figure(caller), figure(callee)]
    }
}

/// From the moment the caller's page has the acceptance until both pages have painted a picture, in ms.
pub async fn ack_to_picture_ms() -> f64 {
    let Call([caller, callee]) = Call::start().await;
    let time = |event: &Value| event["t"].as_f64().expect("every event has a time");
    let accepted = time(&caller.peer.event("accepted").await);
    let first = |end: &Browser| {
        let lines = end.peer.lines_after(0);
        lines.iter().find(|line| is_event(line, "first-video")).map(time)
    };
    largest([first(&caller), first(&callee)]).expect("both have a picture") - accepted
}

/// A call that is watched for `seconds`.
pub async fn call(seconds: u32) -> Figures {
    let call = Call::start().await;
    sleep(SETTLING).await;
    let settled = call.sides(|side| side.content().watched.1);
    let sent_before = call.sides(sent);
    sleep(Duration::from_secs(seconds.into())).await;
    let sent_after = call.sides(sent);
    let contents = call.sides(Browser::content);

    for side in &call.0 {
        side.peer.command("stop-watching");
    }
    sleep(UNWATCHED).await;
    let programs = call.sides(|side| Program::new(side.processes.id()));
    let before = programs.each_ref().map(Program::cpu_time);
    sleep(COST_SPAN).await;
    let cores = [0, 1].map(|side| programs[side].cpu_time().cores_since(&before[side]));

    let [caller, callee] = contents;
    let watched = [caller.since(settled[0]), callee.since(settled[1])];
    let ages = watched.each_ref().map(ages);
    let fps = [0, 1].map(|side| rate(sent_before[side]?, sent_after[side]?));
    Figures {
        picture_p50_ms: largest(ages.each_ref().map(|ages| percentile(ages, 0.5))),
        picture_p95_ms: largest(ages.each_ref().map(|ages| percentile(ages, 0.95))),
        cores: largest(cores.map(Some)),
        memory_mb: largest(programs.map(|program| Some(program.memory_mb()))),
        sent_fps: smallest(fps),
        shown_fps: smallest(watched.each_ref().map(shown_fps)),
        longest_gap_ms: largest(watched.each_ref().map(longest_gap)),
        skew_p95_ms: largest(watched.each_ref().map(|content| percentile(&skews(content), 0.95))),
    }
}

/// When and how many pictures a page had sent, by its `getStats`.
fn sent(side: &Browser) -> Option<(f64, f64)> {
    let lines = side.peer.lines_after(0);
    let media = lines.iter().rev().find(|line| is_event(line, "media"))?;
    let sent =
        media["stats"].as_array()?.iter().find(|stats| stats["type"] == "outbound-rtp" && stats["kind"] == "video");
    let sent = sent?;
    Some((sent["timestamp"].as_f64()?, sent["framesSent"].as_f64()?))
}

/// A second, from two counts and their times in ms.
fn rate((from, before): (f64, f64), (to, after): (f64, f64)) -> Option<f64> {
    (to > from).then(|| (after - before) * 1000.0 / (to - from))
}

fn ages(content: &Content) -> Vec<f64> {
    content.frames.iter().filter_map(|shown| Some(shown.cells?.age_ms)).collect()
}

fn shown_fps(content: &Content) -> Option<f64> {
    let (first, last) = (content.frames.first()?, content.frames.last()?);
    rate((first.at, 0.0), (last.at, content.frames.len() as f64 - 1.0))
}

fn longest_gap(content: &Content) -> Option<f64> {
    largest(content.frames.windows(2).map(|pair| Some(pair[1].at - pair[0].at)))
}

/// By how much each beep is later than the picture that is shown then, or earlier, in ms: beeps are sent on
/// whole seconds, and a picture's cells tell its age.
fn skews(content: &Content) -> Vec<f64> {
    let shown_at = |moment: f64| {
        let readable = content.frames.iter().filter(|shown| shown.cells.is_some());
        readable.min_by(|one, other| (one.at - moment).abs().total_cmp(&(other.at - moment).abs()))
    };
    let skew = |beep: &f64| {
        let Shown { cells, .. } = shown_at(*beep)?;
        // A beep may be measured a little before its second; a second's half is later than any.
        let sound_age = (*beep + 500.0).rem_euclid(1000.0) - 500.0;
        Some((sound_age - cells.as_ref()?.age_ms).abs())
    };
    content.beeps.iter().filter_map(skew).collect()
}
