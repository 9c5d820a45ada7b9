//! `./dev bench net`: calls over slow, lossy and late paths, Ahoy and Chromium through the same seeded path in one run.

mod call;
mod lines;
mod measure;
mod report;

use std::time::Duration;

use ahoy_test_support::net::{self, conditions::Schedule};

use self::{
    call::{Ends, Program},
    measure::Outcome,
};
use crate::calm::Calm;

/// A path, and what a call over it has to reach.
pub struct Line {
    /// Its name, which a filter on the command line is looked for in.
    pub name: &'static str,
    /// From sender to receiver.
    pub forward: Schedule,
    /// From receiver to sender.
    pub back: Schedule,
    /// Ceiling of the sender's video, in kbit/s.
    pub ceiling_kbps: u32,
    /// How long a call settles before it is watched.
    pub settle: Duration,
    /// How long it is watched.
    pub watch: Duration,
    /// Where the chances come from.
    pub seed: u64,
    /// Who sends to whom, in the order of the table.
    pub ends: &'static [Ends],
    /// What is to be reached.
    pub goals: &'static [Goal],
}

/// What is to be reached on a path, by each of Ahoy's calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Frozen at most this share of the time.
    Frozen(f64),
    /// Frozen at most this part of Chromium's.
    FrozenBesideChromium(f64),
    /// 95 % of the queue's samples at most this, in ms.
    QueueP95(f64),
    /// At least this share of the bottleneck used.
    Used(f64),
    /// At least as much of the bottleneck used as Chromium.
    UsedBesideChromium,
    /// 90 % of the bottleneck used within this many seconds.
    Found(f64),
    /// At most this share of the sound made up.
    Concealed(f64),
    /// At least this many frames a second.
    Fps(f64),
    /// At least this many kbit/s carried.
    Kbps(f64),
}

/// Ahoy sends to a page.
pub const SENDING: Ends = Ends { sender: Program::Ahoy, receiver: Program::Chromium };
/// A page sends to Ahoy.
pub const RECEIVING: Ends = Ends { sender: Program::Chromium, receiver: Program::Ahoy };
/// Ahoy at both ends.
pub const AHOY: Ends = Ends { sender: Program::Ahoy, receiver: Program::Ahoy };
/// Pages at both ends: what Ahoy is compared with.
pub const CHROMIUM: Ends = Ends { sender: Program::Chromium, receiver: Program::Chromium };

/// Measures the lines whose names contain `filter`; prints the table, and writes it where nothing was filtered out.
pub async fn run(filter: &str, only: Option<&str>) {
    if let Err(reason) = net::available() {
        eprintln!("bench net: cannot measure here: {reason}");
        std::process::exit(2);
    }
    let whole = filter.is_empty() && only.is_none();
    let mut calm = if whole { Calm::wait().await } else { Calm::skip() };
    let mut results = Vec::new();
    for line in lines::all().into_iter().filter(|line| line.name.contains(filter)) {
        let mut outcomes: Vec<(Ends, Outcome)> = Vec::new();
        for ends in line.ends.iter().filter(|ends| only.is_none_or(|only| report::who(**ends).contains(only))) {
            let what = format!("{}: {}", line.name, report::who(*ends));
            let outcome = calm.phase(&what, call::hold(*ends, &line)).await;
            eprintln!("{}", report::row(&line, *ends, &outcome, None));
            outcomes.push((*ends, outcome));
        }
        results.push((line, outcomes));
    }
    let table = report::markdown(&results);
    println!("{table}");
    if whole {
        report::write(&table, &calm);
    }
    calm.warn();
}
