//! The `media` events of a page or a program: what it sees and hears, measured there and judged by the test.

use serde_json::Value;

use crate::{
    content::{Cells, Content, Level, Shown},
    peer::{self, Peer},
};

/// What the peer has seen and heard so far.
pub(crate) fn content(peer: &Peer) -> Content {
    let mut content = Content::default();
    for report in peer.lines_after(0).iter().filter(|line| peer::is_event(line, "media")) {
        let rows = |field: &str| report.get(field).and_then(Value::as_array).into_iter().flatten();
        content.frames.extend(rows("frames").map(shown));
        content.levels.extend(rows("levels").map(|row| Level {
            at: number(&row[0]),
            rms: number(&row[1]),
            tone: number(&row[2]),
        }));
        content.beeps.extend(rows("beeps").map(number));
        let at = number(&report["t"]);
        let from = if content.watched.0 > 0.0 { content.watched.0 } else { at };
        content.watched = (from, at);
    }
    content
}

/// A frame as `tests/page/probes.js` and `tests/programs/test_signal.py` write it.
fn shown(row: &Value) -> Shown {
    let cells = row[2].as_u64().map(|counter| Cells {
        age_ms: number(&row[1]),
        counter: u32::try_from(counter).expect("24 bits"),
        flash: row[3] == Value::Bool(true),
    });
    Shown { at: number(&row[0]), cells }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a report has {value} for a number"))
}
