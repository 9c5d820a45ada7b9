//! How long it takes from the acceptance of a call until sound is there, over a path that loses a lot.

use std::time::Duration;

use ahoy_test_support::net::{
    conditions::{Conditions, Schedule},
    path::Path,
};

use super::{
    AHOY, CHROMIUM, LONG_DELAY, MEDIA,
    call::{self, Ends, milliseconds},
    report::{cell, verdict, who},
};
use crate::sample::percentile;

/// The name of the line, which a filter on the command line is looked for in.
pub const NAME: &str = "20 % loss, 100 ms: first sound";
/// Whose calls are held.
pub const ENDS: [Ends; 2] = [AHOY, CHROMIUM];

/// Calls of each program.
const CALLS: u64 = 20;
/// Packets lost, both ways.
const LOSS: f64 = 0.2;
/// 95 % of the calls have sound by then.
const SOUND_P95: Duration = Duration::from_secs(2);

const HEAD: &str = "| path | call | connected | first sound p50 / p95 / longest (ms) | first video p50 / p95 / longest (ms) \
                    | reached |\n|---|---|--:|--:|--:|---|\n";

/// The times of all calls from acceptance until sound and video, in ms. A call without sound or
/// video has an infinite time there.
pub struct Outcome {
    sound_ms: Vec<f64>,
    video_ms: Vec<f64>,
}

/// Holds all calls of one program, each over a path of its own with other losses.
pub async fn hold(ends: Ends) -> Outcome {
    let lossy = Schedule::constant(Conditions::clean(LONG_DELAY).loss(LOSS));
    let (mut sound_ms, mut video_ms) = (Vec::new(), Vec::new());
    for seed in 1..=CALLS {
        let path = Path::start(1, lossy.clone(), lossy.clone(), seed);
        let (video, sound) = call::start(&path.pairs[0], ends, MEDIA).await.connected_after();
        if sound.is_none() {
            eprintln!("bench: {}, seed {seed}: no sound", who(ends));
        }
        let or_never = |after: Option<Duration>| after.map_or(f64::INFINITY, milliseconds);
        sound_ms.push(or_never(sound));
        video_ms.push(or_never(video));
    }
    Outcome { sound_ms, video_ms }
}

impl Outcome {
    fn connected(&self) -> usize {
        self.sound_ms.iter().filter(|after| after.is_finite()).count()
    }
}

/// The table.
pub fn markdown(results: &[(Ends, Outcome)]) -> String {
    let rows = results.iter().map(|(ends, outcome)| row(*ends, outcome) + "\n");
    HEAD.to_owned() + &rows.collect::<String>()
}

/// One program's row.
pub fn row(ends: Ends, outcome: &Outcome) -> String {
    let times = |of: &[f64]| {
        let at = |share| cell(percentile(of, share).filter(|ms| ms.is_finite()), 0);
        format!("{} / {} / {}", at(0.5), at(0.95), at(1.0))
    };
    let reached = if ends == CHROMIUM { String::new() } else { reached(outcome) };
    format!(
        "| {NAME} | {} | {} of {} | {} | {} | {reached} |",
        who(ends),
        outcome.connected(),
        outcome.sound_ms.len(),
        times(&outcome.sound_ms),
        times(&outcome.video_ms),
    )
}

fn reached(outcome: &Outcome) -> String {
    let all = outcome.sound_ms.len();
    let in_time = percentile(&outcome.sound_ms, 0.95).is_some_and(|p95| p95 <= milliseconds(SOUND_P95));
    let goals = [
        (outcome.connected() == all, format!("{all} of {all}")),
        (in_time, format!("first sound p95 ≤ {} ms", milliseconds(SOUND_P95))),
    ];
    verdict(goals.into_iter().filter(|(reached, _)| !reached).map(|(_, text)| text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_late_or_never_there_misses_the_goal() {
        let judged = |sound_ms: Vec<f64>| {
            let row = row(AHOY, &Outcome { video_ms: sound_ms.clone(), sound_ms });
            row.trim_end_matches(" |").rsplit("| ").next().map(str::to_owned)
        };
        let times = |slowest: [f64; 2]| [vec![500.0; 18], slowest.to_vec()].concat();
        assert_eq!(judged(times([1900.0, 9000.0])).as_deref(), Some("yes"));
        assert_eq!(judged(times([2100.0, 9000.0])).as_deref(), Some("**no**: first sound p95 ≤ 2000 ms"));
        assert_eq!(judged(times([600.0, f64::INFINITY])).as_deref(), Some("**no**: 20 of 20"));
        let never = row(AHOY, &Outcome { sound_ms: times([f64::INFINITY; 2]), video_ms: Vec::new() });
        assert!(never.contains("| 18 of 20 | 500 / – / – | – / – / – |"), "{never}");
    }
}
