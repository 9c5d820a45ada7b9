//! The table of calls over paths, as Markdown.

use std::fmt::Write;

use super::{Line, Measured, call::Ends, measure::Outcome};

const HEAD: &str = "| path | call | frames a second | frozen (%) | longest gap (ms) | queue p50 / p95 (ms) | used | 90 % used after (s) | kbit/s | lost / overflowed \
                    | sound made up (%) | size at the end | first video / sound after (ms) | reached |\n\
                    |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n";

/// The name of a call's ends.
pub fn who(ends: Ends) -> String {
    format!("{} → {}", ends.sender, ends.receiver)
}

/// All lines.
pub fn markdown(results: &[Measured<Line, Ends, Outcome>]) -> String {
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
    let reached = if ends == super::CHROMIUM { String::new() } else { reached(line, ends, outcome, chromium) };
    format!(
        "| {} | {} | {} | {} | {} | {} / {} | {} | {} | {:.0} | {} / {} | {} | {size} | {} / {} | {reached} |",
        line.name,
        who(ends),
        cell(outcome.seen.fps(), 1),
        percent(outcome.seen.frozen()),
        cell(outcome.seen.longest_gap_ms(), 0),
        cell(outcome.queue(0.5), 0),
        cell(outcome.queue(0.95), 0),
        cell(outcome.used, 2),
        cell(outcome.found_s, 1),
        outcome.kbps,
        outcome.forward.lost,
        outcome.forward.overflowed,
        percent(outcome.seen.concealed),
        cell(outcome.connected_ms, 0),
        cell(outcome.sound_ms, 0),
    )
}

/// "yes", or the goals that were missed.
fn reached(line: &Line, ends: Ends, outcome: &Outcome, chromium: Option<&Outcome>) -> String {
    if outcome.connected_ms.is_none() || outcome.seen.frames.is_empty() {
        return "**not connected**".to_owned();
    }
    verdict(line.goals.iter().filter_map(|goal| goal.missed(ends, outcome, chromium)))
}

/// "yes", or the goals that were missed.
pub fn verdict(missed: impl Iterator<Item = String>) -> String {
    let missed: Vec<String> = missed.collect();
    if missed.is_empty() { "yes".to_owned() } else { format!("**no**: {}", missed.join(", ")) }
}

/// A figure, or a dash where there is none.
pub fn cell(figure: Option<f64>, digits: usize) -> String {
    // Sums of nothing can be minus zero.
    figure.map_or("–".to_owned(), |figure| format!("{:.digits$}", figure + 0.0))
}
