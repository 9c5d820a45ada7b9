//! The table of many calls, as Markdown.

use std::fmt::Write;

use super::{PAIRS, Party, call::Outcome, pair_name};
use crate::{
    net::report::{cell, verdict},
    sample::percentile,
};

const HEAD: &str = "| pair | machine | calls | connected | hung up early: ended at both sides | hung up later: ended at both sides \
                    | first sound p50 / p95 / longest (ms) | first video p50 / p95 / longest (ms) | reached |\n\
                    |---|---|--:|--:|--:|--:|--:|--:|---|\n";

/// The rows of all pairs, quiet and busy apart. Each outcome has the index of its pair.
pub fn markdown(outcomes: &[(usize, Outcome)]) -> String {
    let mut text = HEAD.to_owned();
    for pair in 0..PAIRS.len() {
        for busy in [false, true] {
            let of = |(index, outcome): &&(usize, Outcome)| *index == pair && outcome.busy == busy;
            let row: Vec<&Outcome> = outcomes.iter().filter(of).map(|(_, outcome)| outcome).collect();
            if !row.is_empty() {
                let _ = writeln!(text, "{}", line(pair, busy, &row));
            }
        }
    }
    text
}

fn line(pair: usize, busy: bool, outcomes: &[&Outcome]) -> String {
    let (later, early): (Vec<&Outcome>, Vec<&Outcome>) = outcomes.iter().partition(|outcome| outcome.plan.connects());
    let connected: Vec<&Outcome> = later.iter().copied().filter(|outcome| outcome.came).collect();
    let ended = |of: &[&Outcome]| format!("{} of {}", of.iter().filter(|outcome| outcome.ended).count(), of.len());
    // An early call counts as failed also where it did not get as far as its hang-up.
    let early_done = early.iter().filter(|outcome| !outcome.failed()).count();
    let times = |of: fn(&Outcome) -> Option<f64>| {
        let times: Vec<f64> = connected.iter().filter_map(|outcome| of(outcome)).collect();
        let at = |share| cell(percentile(&times, share), 0);
        format!("{} / {} / {}", at(0.5), at(0.95), at(1.0))
    };
    format!(
        "| {} | {} | {} | {} of {} | {early_done} of {} | {} | {} | {} | {} |",
        pair_name(pair),
        if busy { "busy" } else { "quiet" },
        outcomes.len(),
        connected.len(),
        later.len(),
        early.len(),
        ended(&connected),
        times(|outcome| outcome.sound_ms),
        times(|outcome| outcome.video_ms),
        reached(pair, outcomes),
    )
}

/// Chromium by itself is there for comparison and has nothing to reach.
fn reached(pair: usize, outcomes: &[&Outcome]) -> String {
    if PAIRS[pair] == (Party::Chromium, Party::Chromium) {
        return String::new();
    }
    let failed = outcomes.iter().filter(|outcome| outcome.failed()).count();
    verdict((failed > 0).then(|| format!("{failed} failed")).into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::plan::{Media, Moment, Plan};

    fn outcome(moment: Moment, busy: bool, ms: f64) -> Outcome {
        let plan = Plan { moment, media: Media::Sound, ..Plan::draw(0, 1) };
        let sound_ms = (moment == Moment::AfterMedia).then_some(ms);
        Outcome { plan, busy, came: true, sound_ms, video_ms: None, ended: true }
    }

    #[test]
    fn a_row_counts_early_and_held_calls_apart() {
        let held = |ms| outcome(Moment::AfterMedia, false, ms);
        let lost = Outcome { came: false, sound_ms: None, ..held(0.0) };
        let stays = Outcome { ended: false, ..outcome(Moment::Ringing, false, 0.0) };
        let quiet = [held(100.0), held(200.0), held(300.0), lost, outcome(Moment::Ringing, false, 0.0), stays];
        let busy = [outcome(Moment::AfterMedia, true, 900.0)];
        let all: Vec<(usize, Outcome)> = quiet.into_iter().chain(busy).map(|outcome| (0, outcome)).collect();
        let table = markdown(&all);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| Ahoy – Ahoy | quiet | 6 | 3 of 4 | 1 of 2 | 3 of 3 | 200 / 300 / 300 | – / – / – | **no**: 2 failed |",
                "| Ahoy – Ahoy | busy | 1 | 1 of 1 | 0 of 0 | 1 of 1 | 900 / 900 / 900 | – / – / – | yes |",
            ]
        );
    }
}
