//! `./dev bench net`: calls over slow, lossy and late paths, Ahoy and Chromium through the same seeded path
//! in one run.

pub mod call;
mod changes;
mod connect;
mod document;
mod goals;
mod lines;
mod measure;
mod plot;
pub mod report;
mod several;
pub mod soak;
mod speech;

use std::time::{Duration, Instant};

use ahoy_test_support::net::{self, conditions::Schedule};
use ahoy_tests::changes::Change;

use self::{
    call::{Ends, Media, Program},
    goals::Goal,
    measure::Outcome,
    several::Flow,
};
use crate::calm::Calm;

/// One way, where nothing else is said: 40 ms round trip.
const SHORT_DELAY: Duration = Duration::from_millis(20);
/// One way on a long path: 100 ms round trip.
const LONG_DELAY: Duration = Duration::from_millis(50);
/// What is sent, where nothing else is said.
const MEDIA: Media = Media { format: crate::FORMAT, ceiling_kbps: 1500 };

/// A path, and what a call over it has to reach.
pub struct Line {
    /// Its name, which a filter on the command line is looked for in.
    pub name: &'static str,
    /// From sender to receiver.
    pub forward: Schedule,
    /// From receiver to sender.
    pub back: Schedule,
    /// What the sender sends.
    pub media: Media,
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

/// Ahoy sends to a page.
pub const SENDING: Ends = Ends { sender: Program::Ahoy, receiver: Program::Chromium };
/// A page sends to Ahoy.
pub const RECEIVING: Ends = Ends { sender: Program::Chromium, receiver: Program::Ahoy };
/// Ahoy at both ends.
pub const AHOY: Ends = Ends { sender: Program::Ahoy, receiver: Program::Ahoy };
/// Pages at both ends: what Ahoy is compared with.
pub const CHROMIUM: Ends = Ends { sender: Program::Chromium, receiver: Program::Chromium };

/// A line, and each of its measurements: of whom, and what was seen.
pub type Measured<Line, Who, Outcome> = (Line, Vec<(Who, Outcome)>);

/// All that was measured.
pub struct Results {
    /// One call on a path.
    calls: Vec<Measured<Line, Ends, Outcome>>,
    /// Several flows on a bottleneck.
    several: Vec<Measured<several::Line, &'static [Flow], several::Outcome>>,
    /// Calls over a path that loses a lot.
    connect: Vec<(Ends, connect::Outcome)>,
    /// How long sound was missing, in ms, by change.
    changes: Vec<(Change, Vec<f64>)>,
    /// PESQ scores of speech.
    speech: Vec<Measured<&'static speech::Line, Ends, Vec<Option<f64>>>>,
}

/// Which measurements are asked for on the command line.
struct Filter<'a> {
    /// Part of a path's name.
    path: &'a str,
    /// Part of a call's name.
    call: Option<&'a str>,
}

impl Filter<'_> {
    fn is_everything(&self) -> bool {
        self.path.is_empty() && self.call.is_none()
    }

    fn wants_path(&self, name: &str) -> bool {
        name.contains(self.path)
    }

    fn wants_call(&self, name: &str) -> bool {
        self.call.is_none_or(|part| name.contains(part))
    }
}

/// Measures the lines whose names contain `path`, and of these the calls whose names contain `call`. Prints
/// the tables, and writes them where nothing was left out.
pub async fn run(path: &str, call: Option<&str>) {
    if let Err(reason) = net::available() {
        eprintln!("bench net: cannot measure here: {reason}");
        std::process::exit(2);
    }
    let (filter, began) = (Filter { path, call }, Instant::now());
    let whole = filter.is_everything();
    let mut calm = if whole { Calm::wait().await } else { Calm::skip() };
    let results = Results {
        calls: measure_calls(&filter, &mut calm).await,
        several: measure_several(&filter, &mut calm).await,
        connect: measure_connect(&filter, &mut calm).await,
        changes: measure_changes(&filter, &mut calm).await,
        speech: measure_speech(&filter, &mut calm).await,
    };
    let took = began.elapsed();
    println!("{}", document::tables(&results));
    document::write(&results, &calm, took, whole);
    eprintln!("bench: {:.0} minutes in all", took.as_secs_f64() / 60.0);
    calm.warn();
}

async fn measure_calls(filter: &Filter<'_>, calm: &mut Calm) -> Vec<Measured<Line, Ends, Outcome>> {
    let mut results = Vec::new();
    for line in lines::all().into_iter().filter(|line| filter.wants_path(line.name)) {
        let mut outcomes = Vec::new();
        for ends in line.ends.iter().copied().filter(|ends| filter.wants_call(&report::who(*ends))) {
            let what = format!("{}: {}", line.name, report::who(ends));
            let outcome = calm.phase(&what, call::hold(ends, &line)).await;
            eprintln!("{}", report::row(&line, ends, &outcome, None));
            outcomes.push((ends, outcome));
        }
        results.push((line, outcomes));
    }
    results
}

async fn measure_several(
    filter: &Filter<'_>,
    calm: &mut Calm,
) -> Vec<Measured<several::Line, &'static [Flow], several::Outcome>> {
    let mut results = Vec::new();
    for line in several::all().into_iter().filter(|line| filter.wants_path(line.name)) {
        let mut outcomes = Vec::new();
        for mix in line.mixes.iter().copied().filter(|mix| filter.wants_call(&several::who(mix))) {
            let what = format!("{}: {}", line.name, several::who(mix));
            let outcome = calm.phase(&what, several::hold(&line, mix)).await;
            eprintln!("{}", several::row(&line, mix, &outcome, None));
            outcomes.push((mix, outcome));
        }
        results.push((line, outcomes));
    }
    results
}

async fn measure_connect(filter: &Filter<'_>, calm: &mut Calm) -> Vec<(Ends, connect::Outcome)> {
    let mut results = Vec::new();
    let ends = connect::ENDS.into_iter().filter(|ends| filter.wants_call(&report::who(*ends)));
    for ends in ends.filter(|_| filter.wants_path(connect::NAME)) {
        let what = format!("{}: {}", connect::NAME, report::who(ends));
        let outcome = calm.phase(&what, connect::hold(ends)).await;
        eprintln!("{}", connect::row(ends, &outcome));
        results.push((ends, outcome));
    }
    results
}

async fn measure_changes(filter: &Filter<'_>, calm: &mut Calm) -> Vec<(Change, Vec<f64>)> {
    let mut results = Vec::new();
    for change in changes::CHANGES.into_iter().filter(|change| filter.wants_path(&changes::name(*change))) {
        let times = calm.phase(&changes::name(change), changes::hold(change)).await;
        eprintln!("{}", changes::row(change, &times));
        results.push((change, times));
    }
    results
}

async fn measure_speech(
    filter: &Filter<'_>,
    calm: &mut Calm,
) -> Vec<Measured<&'static speech::Line, Ends, Vec<Option<f64>>>> {
    let mut results = Vec::new();
    for line in speech::LINES.iter().filter(|line| filter.wants_path(line.name())) {
        let mut outcomes = Vec::new();
        for ends in speech::ENDS.into_iter().filter(|ends| filter.wants_call(&report::who(*ends))) {
            let what = format!("{}: {}", line.name(), report::who(ends));
            let scores = calm.phase(&what, speech::hold(line, ends)).await;
            eprintln!("{}", speech::row(line, ends, &scores, None));
            outcomes.push((ends, scores));
        }
        results.push((line, outcomes));
    }
    results
}
