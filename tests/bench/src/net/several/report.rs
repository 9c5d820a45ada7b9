//! The table of flows that share a bottleneck, as Markdown.

use std::fmt::Write;

use super::{
    super::{
        Measured,
        call::Program,
        measure::Seen,
        report::{cell, verdict},
    },
    AHOY_CALL, CHROMIUM_CALL, Flow, FlowOutcome, Goal, Line, Outcome,
};

const HEAD: &str = "| path | flows | part of a fair share (%) | kbit/s | calls used | queue p50 / p95 (ms) | frames a second \
                    | frozen (%) | lost / overflowed | reached |\n|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n";

/// The names of a mix's flows.
pub fn who(mix: &[Flow]) -> String {
    let name = |flow: &Flow| match flow {
        Flow::Call(ends) => match ends.sender {
            Program::Ahoy => "Ahoy",
            Program::Chromium => "Chromium",
        },
        Flow::Tcp => "TCP",
    };
    join(mix, " + ", |flow| name(flow).to_owned())
}

/// All lines.
pub fn markdown(results: &[Measured<Line, &'static [Flow], Outcome>]) -> String {
    let mut text = HEAD.to_owned();
    for (line, outcomes) in results {
        for (mix, outcome) in outcomes {
            let chromium = outcomes.iter().find(|(other, _)| *other == as_chromium(mix)).map(|(_, outcome)| outcome);
            let _ = writeln!(text, "{}", row(line, mix, outcome, chromium));
        }
    }
    text
}

/// The mix with each of Ahoy's calls replaced by one of Chromium's.
fn as_chromium(mix: &[Flow]) -> Vec<Flow> {
    mix.iter().map(|flow| if *flow == AHOY_CALL { CHROMIUM_CALL } else { *flow }).collect()
}

/// One mix's row; figures of each flow are in the order of the flows.
pub fn row(line: &Line, mix: &[Flow], outcome: &Outcome, chromium: Option<&Outcome>) -> String {
    let of_each = |figure: &dyn Fn(&FlowOutcome) -> Option<f64>, digits| {
        join(&outcome.flows, " / ", |flow| cell(figure(flow), digits))
    };
    let percent = |share: f64| share * 100.0;
    format!(
        "| {} | {} | {} | {} | {} | {} / {} | {} | {} | {} / {} | {} |",
        line.name,
        who(mix),
        of_each(&|flow| flow.fair_share.map(percent), 0),
        of_each(&|flow| Some(flow.kbps), 0),
        cell(outcome.used, 2),
        cell(outcome.queue(0.5), 0),
        cell(outcome.queue(0.95), 0),
        of_each(&|flow| flow.seen.as_ref()?.fps(), 1),
        of_each(&|flow| flow.seen.as_ref()?.frozen().map(percent), 1),
        outcome.forward.lost,
        outcome.forward.overflowed,
        if mix.contains(&AHOY_CALL) { reached(line, outcome, chromium) } else { String::new() },
    )
}

fn join<T>(all: &[T], between: &str, text: impl Fn(&T) -> String) -> String {
    all.iter().map(text).collect::<Vec<_>>().join(between)
}

/// "yes", or the goals that were missed.
fn reached(line: &Line, outcome: &Outcome, chromium: Option<&Outcome>) -> String {
    let showed = |flow: &FlowOutcome| flow.flow == Flow::Tcp || flow.seen.as_ref().is_some_and(Seen::has_frames);
    if !outcome.flows.iter().all(showed) {
        return "**not connected**".to_owned();
    }
    verdict(line.goals.iter().filter(|goal| goal.reached(outcome, chromium) == Some(false)).map(|goal| goal.text()))
}

impl Goal {
    /// Whether it was reached; none where there is nothing to compare with.
    fn reached(self, outcome: &Outcome, chromium: Option<&Outcome>) -> Option<bool> {
        let at_least =
            |least: f64| outcome.flows.iter().all(|flow| flow.fair_share.is_some_and(|share| share >= least));
        Some(match self {
            Self::FairShare(least) => at_least(least),
            Self::QueueP95(most) => outcome.queue(0.95).is_some_and(|queue| queue <= most),
            Self::UsedBesideChromium => outcome.used >= chromium?.used,
            Self::FrozenBesideChromium(part) => {
                let frozen = |outcome: &Outcome| outcome.frozen().unwrap_or(1.0);
                frozen(outcome) <= part * frozen(chromium?)
            }
        })
    }

    fn text(self) -> String {
        match self {
            Self::FairShare(least) => format!("each ≥ {} % of a fair share", least * 100.0),
            Self::QueueP95(most) => format!("queue p95 ≤ {most} ms"),
            Self::UsedBesideChromium => "used ≥ Chromium's".to_owned(),
            Self::FrozenBesideChromium(part) => format!("frozen ≤ {part} of Chromium's"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mix of two whose calls show a frame every 100 ms.
    fn outcome(mix: &[Flow], shares: [f64; 2], queue_ms: f64) -> Outcome {
        let frames = (0..100).map(|frame| f64::from(frame) * 100.0).collect();
        let seen = Seen { frames, between: (0.0, 10_000.0), ..Seen::default() };
        let flow = |(flow, share): (&Flow, f64)| FlowOutcome {
            flow: *flow,
            kbps: share * 1000.0,
            fair_share: Some(share),
            seen: (*flow != Flow::Tcp).then(|| seen.clone()),
        };
        Outcome {
            flows: mix.iter().zip(shares).map(flow).collect(),
            used: Some(shares[0]),
            queue_ms: vec![queue_ms],
            forward: ahoy_test_support::net::path::Counts::default(),
        }
    }

    #[test]
    fn a_mix_is_judged_by_its_poorest_flow_and_beside_chromiums() {
        let line = |goals| Line { goals, ..super::super::all().pop().expect("the last line") };
        let last = |text: String| text.trim_end_matches(" |").rsplit("| ").next().map(str::to_owned);
        let mix = [AHOY_CALL, Flow::Tcp];
        let fair = line(&[Goal::FairShare(0.35)]);
        let judged = |shares| last(row(&fair, &mix, &outcome(&mix, shares, 10.0), None));
        assert_eq!(judged([0.4, 1.6]).as_deref(), Some("yes"));
        assert_eq!(judged([1.8, 0.2]).as_deref(), Some("**no**: each ≥ 35 % of a fair share"));

        let beside = line(&[Goal::UsedBesideChromium, Goal::QueueP95(80.0)]);
        let theirs = outcome(&as_chromium(&mix), [0.5, 1.5], 200.0);
        let judged = |shares, queue| last(row(&beside, &mix, &outcome(&mix, shares, queue), Some(&theirs)));
        assert_eq!(judged([0.5, 1.5], 80.0).as_deref(), Some("yes"));
        assert_eq!(judged([0.4, 1.6], 81.0).as_deref(), Some("**no**: used ≥ Chromium's, queue p95 ≤ 80 ms"));
    }
}
