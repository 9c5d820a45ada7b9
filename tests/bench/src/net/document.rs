//! What `./dev bench net` writes: its part of `docs/bench.md`, and the plots beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{CHROMIUM, Results, SENDING, changes, connect, lines, plot, report, several, speech};
use crate::{
    calm::Calm,
    document::{self, Part},
    machine,
};

/// The plots' folder beside `docs/bench.md`.
const DOCS: &str = "../../docs/bench";
/// Where the plots of a run go that leaves something out.
const SCRATCH: &str = "../../target/bench";
/// The plot of RFC 8867 section 5.1.
const RFC8867_5_1: &str = "rfc8867-5.1.svg";

/// All tables of which something was measured.
pub fn tables(results: &Results) -> String {
    let tables = [
        (!results.calls.is_empty()).then(|| report::markdown(&results.calls)),
        (!results.several.is_empty()).then(|| several::markdown(&results.several)),
        (!results.connect.is_empty()).then(|| connect::markdown(&results.connect)),
        (!results.changes.is_empty()).then(|| changes::markdown(&results.changes)),
        (!results.speech.is_empty()).then(|| speech::markdown(&results.speech)),
    ];
    tables.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Writes the document and the plots. Where something was left out, only the plots, and elsewhere.
///
/// # Panics
/// Where a file cannot be written.
pub fn write(results: &Results, calm: &Calm, took: Duration, whole: bool) {
    if let Some(plot) = rfc8867_5_1(results) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(if whole { DOCS } else { SCRATCH });
        let file = put(&folder, RFC8867_5_1, &plot);
        eprintln!("bench: {} is written", file.display());
    }
    if whole {
        let conditions = machine::describe().into_iter().chain(calm.describe());
        let text = format!(
            include_str!("report.md"),
            date = machine::today(),
            conditions = conditions.map(|line| format!("- {line}\n")).collect::<String>(),
            minutes = took.as_secs() / 60,
            calls = report::markdown(&results.calls),
            several = several::markdown(&results.several),
            connect = connect::markdown(&results.connect),
            changes = changes::markdown(&results.changes),
            speech = speech::markdown(&results.speech),
            plot = format!("bench/{RFC8867_5_1}"),
        );
        document::write(Part::Net, &text);
    }
}

/// The plot, where both programs were measured.
fn rfc8867_5_1(results: &Results) -> Option<String> {
    let (line, outcomes) = results.calls.iter().find(|(line, _)| line.name == lines::RFC8867_5_1)?;
    let of = |wanted| outcomes.iter().find(|(ends, _)| *ends == wanted).map(|(_, outcome)| outcome);
    Some(plot::draw(line, of(SENDING)?, of(CHROMIUM)?))
}

fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, text))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    file
}
