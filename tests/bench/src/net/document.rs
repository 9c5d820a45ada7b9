//! What `./dev bench net` writes: its part of `docs/bench.md`.

use std::time::Duration;

use super::{Results, connect, report, several};
use crate::{
    calm::Calm,
    document::{self, Part},
    machine,
};

/// All tables of which something was measured.
pub fn tables(results: &Results) -> String {
    let tables = [
        (!results.calls.is_empty()).then(|| report::markdown(&results.calls)),
        (!results.several.is_empty()).then(|| several::markdown(&results.several)),
        (!results.connect.is_empty()).then(|| connect::markdown(&results.connect)),
    ];
    tables.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Writes the document, where nothing was left out.
///
/// # Panics
/// Where it cannot be written.
pub fn write(results: &Results, calm: &Calm, took: Duration, whole: bool) {
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
        );
        document::write(Part::Net, &text);
    }
}
