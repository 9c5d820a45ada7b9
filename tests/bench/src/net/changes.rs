//! How long sound is missing when the network changes in the middle of a call.

use std::time::Duration;

use ahoy_tests::changes::{Change, call::GOAL};
use tokio::task::JoinSet;

use super::{
    call::milliseconds,
    report::{cell, verdict},
};
use crate::sample::percentile;

/// The name of each line begins with this; the command line's filter is applied to it.
const NAME: &str = "change";
/// How often each change is made.
const TIMES: usize = 10;
/// Calls at a time: each has sound alone, and takes a tenth of a core.
const AT_ONCE: usize = 5;

/// Every line of the table.
pub const CHANGES: [Change; 12] = [
    Change::HandoverOfCaller,
    Change::HandoverOfCallee,
    Change::HandoverOfBoth,
    Change::Renumbering,
    Change::VpnUp,
    Change::VpnDown,
    Change::CableOutAndIn,
    Change::Outage(5),
    Change::Outage(20),
    Change::Outage(29),
    Change::OutageOfSignalingToo(20),
    Change::Sleep,
];

const HEAD: &str = "| change | sound is back | after p50 / p95 / longest (ms) | reached |\n|---|--:|--:|---|\n";

/// The name of a line.
pub fn name(change: Change) -> String {
    format!("{NAME}: {change}")
}

/// Repeats the change, each time in a call of its own. Returns for each how long sound was missing, in ms; infinite
/// where it did not come back.
pub async fn hold(change: Change) -> Vec<f64> {
    let (mut times, mut running) = (Vec::new(), JoinSet::new());
    for _ in 0..TIMES {
        if running.len() == AT_ONCE {
            times.extend(running.join_next().await.map(took));
        }
        running.spawn(change.happens());
    }
    while let Some(ended) = running.join_next().await {
        times.push(took(ended));
    }
    times
}

/// The time in ms; infinite where the call stayed silent, which is a panic of its task.
fn took(ended: Result<Duration, tokio::task::JoinError>) -> f64 {
    ended.map_or(f64::INFINITY, milliseconds)
}

/// The table.
pub fn markdown(results: &[(Change, Vec<f64>)]) -> String {
    let rows = results.iter().map(|(change, times)| row(*change, times) + "\n");
    HEAD.to_owned() + &rows.collect::<String>()
}

/// One change's row.
pub fn row(change: Change, times: &[f64]) -> String {
    let back = times.iter().filter(|ms| ms.is_finite()).count();
    let at = |share| cell(percentile(times, share).filter(|ms| ms.is_finite()), 0);
    let p95 = percentile(times, 0.95).is_some_and(|p95| p95 <= milliseconds(GOAL));
    let goals =
        [(back == times.len(), format!("{0} of {0}", times.len())), (p95, format!("p95 ≤ {} ms", milliseconds(GOAL)))];
    let reached = verdict(goals.into_iter().filter(|(reached, _)| !reached).map(|(_, text)| text));
    format!("| {change} | {back} of {} | {} / {} / {} | {reached} |", times.len(), at(0.5), at(0.95), at(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_stays_silent_or_is_late_misses_the_goal() {
        let row_of = |last: f64| row(Change::VpnUp, &[vec![300.0; 9], vec![last]].concat());
        assert_eq!(row_of(400.0), "| VPN up | 10 of 10 | 300 / 400 / 400 | yes |");
        assert_eq!(row_of(2100.0), "| VPN up | 10 of 10 | 300 / 2100 / 2100 | **no**: p95 ≤ 2000 ms |");
        assert!(
            row_of(f64::INFINITY).contains("| 9 of 10 | 300 / – / – | **no**: 10 of 10"),
            "{}",
            row_of(f64::INFINITY)
        );
    }
}
