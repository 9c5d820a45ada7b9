//! The table of calls over paths, as Markdown.

use std::fmt::Write;

use super::{
    Goal, Line,
    call::{Ends, Program},
    measure::Outcome,
};
use crate::{calm::Calm, document, machine};

const HEAD: &str = "| path | call | frames a second | frozen (%) | longest gap (ms) | queue p50 / p95 (ms) | used | kbit/s | lost / overflowed \
                    | sound made up (%) | size at the end | first video / sound after (ms) | reached |\n\
                    |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n";

/// The name of a call's ends.
pub fn who(ends: Ends) -> String {
    let name = |program| match program {
        Program::Ahoy => "Ahoy",
        Program::Chromium => "Chromium",
    };
    format!("{} → {}", name(ends.sender), name(ends.receiver))
}

/// All lines.
pub fn markdown(results: &[(Line, Vec<(Ends, Outcome)>)]) -> String {
    let mut text = HEAD.to_owned();
    for (line, outcomes) in results {
        let chromium = outcomes.iter().find(|(ends, _)| *ends == super::CHROMIUM).map(|(_, outcome)| outcome);
        for (ends, outcome) in outcomes {
            let _ = writeln!(text, "{}", row(line, *ends, outcome, chromium));
        }
    }
    text
}

/// One call's row.
pub fn row(line: &Line, ends: Ends, outcome: &Outcome, chromium: Option<&Outcome>) -> String {
    let percent = |share: Option<f64>| cell(share.map(|share| share * 100.0), 1);
    let size = outcome.seen.size.map_or("–".to_owned(), |(width, height)| format!("{width}x{height}"));
    let reached = if ends == super::CHROMIUM { String::new() } else { reached(line, outcome, chromium) };
    format!(
        "| {} | {} | {} | {} | {} | {} / {} | {} | {:.0} | {} / {} | {} | {size} | {} / {} | {reached} |",
        line.name,
        who(ends),
        cell(outcome.seen.fps(), 1),
        percent(outcome.seen.frozen()),
        cell(outcome.seen.longest_gap_ms(), 0),
        cell(outcome.queue(0.5), 0),
        cell(outcome.queue(0.95), 0),
        cell(outcome.used, 2),
        outcome.kbps,
        outcome.forward.lost,
        outcome.forward.overflowed,
        percent(outcome.seen.concealed),
        cell(outcome.connected_ms, 0),
        cell(outcome.sound_ms, 0),
    )
}

/// "yes", or the goals that were missed.
fn reached(line: &Line, outcome: &Outcome, chromium: Option<&Outcome>) -> String {
    let missed: Vec<String> = line
        .goals
        .iter()
        .filter(|goal| goal.reached(outcome, chromium) == Some(false))
        .map(|goal| goal.text())
        .collect();
    if outcome.connected_ms.is_none() || outcome.seen.frames.is_empty() {
        "**not connected**".to_owned()
    } else if missed.is_empty() {
        "yes".to_owned()
    } else {
        format!("**no**: {}", missed.join(", "))
    }
}

impl Goal {
    /// Whether it was reached; none where there is nothing to compare with.
    fn reached(self, outcome: &Outcome, chromium: Option<&Outcome>) -> Option<bool> {
        // What depends on the sender alone says nothing of a call in which Chromium sends: its bottleneck is the same.
        Some(match self {
            Self::Frozen(most) => outcome.seen.frozen()? <= most,
            Self::FrozenBesideChromium(part) => outcome.seen.frozen()? <= part * chromium?.seen.frozen()?,
            Self::QueueP95(most) => outcome.queue(0.95)? <= most,
            Self::Used(least) => outcome.used? >= least,
            Self::UsedBesideChromium => outcome.used? >= chromium?.used?,
            Self::Found(seconds) => outcome.found_s.is_some_and(|found| found <= seconds),
            Self::Concealed(most) => outcome.seen.concealed? <= most,
            Self::Fps(least) => outcome.seen.fps()? >= least,
            Self::Kbps(least) => outcome.kbps >= least,
        })
    }

    fn text(self) -> String {
        match self {
            Self::Frozen(most) => format!("frozen ≤ {} %", most * 100.0),
            Self::FrozenBesideChromium(part) => format!("frozen ≤ {part} of Chromium's"),
            Self::QueueP95(most) => format!("queue p95 ≤ {most} ms"),
            Self::Used(least) => format!("used ≥ {least}"),
            Self::UsedBesideChromium => "used ≥ Chromium's".to_owned(),
            Self::Found(seconds) => format!("90 % used within {seconds} s"),
            Self::Concealed(most) => format!("sound made up ≤ {} %", most * 100.0),
            Self::Fps(least) => format!("frames a second ≥ {least}"),
            Self::Kbps(least) => format!("kbit/s ≥ {least}"),
        }
    }
}

fn cell(figure: Option<f64>, digits: usize) -> String {
    // Sums of nothing can be minus zero.
    figure.map_or("–".to_owned(), |figure| format!("{:.digits$}", figure + 0.0))
}

/// Writes the table into `docs/bench.md`, beside the other one.
pub fn write(table: &str, calm: &Calm) {
    let conditions: String =
        machine::describe().into_iter().chain(calm.describe()).map(|line| format!("- {line}\n")).collect();
    let text = format!(include_str!("report.md"), date = machine::today(), conditions = conditions, table = table);
    document::write(document::Part::Net, &text);
}
