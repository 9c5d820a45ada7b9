//! `./dev bench calls`: many calls one after the other, in random order of roles, media and moments of the
//! hang-up. Says whether each connects and ends, and after how long it has sound and video.

mod apps;
mod busy;
mod call;
mod plan;
mod report;
mod side;

use std::{fmt, time::Instant};

use self::{apps::Apps, busy::BusyLoops, call::Outcome, plan::Plan, side::Pages};
use crate::{
    calm::Calm,
    document::{self, Part},
    machine,
};

/// Calls of each pair, where the command line gives no number.
pub const COUNT: u32 = 500;

/// What stands at one end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// `ahoy-peer`.
    Peer,
    /// The test's page in Chromium.
    Chromium,
    /// The app without its window; its media run in the engine.
    App,
    /// The app with its page in Chromium; from call to call its media run in the engine or in the page.
    AppWithPage,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer => "Ahoy",
            Self::Chromium => "Chromium",
            Self::App => "app",
            Self::AppWithPage => "app with a page",
        })
    }
}

/// Who calls each other, each in both roles. The last pair is there for comparison.
const PAIRS: [(Party, Party); 4] = [
    (Party::Peer, Party::Peer),
    (Party::Peer, Party::Chromium),
    (Party::App, Party::AppWithPage),
    (Party::Chromium, Party::Chromium),
];

/// Progress is told after so many calls.
const TOLD_EVERY: u64 = 25;

fn pair_name(pair: usize) -> String {
    let (one, other) = PAIRS[pair];
    format!("{one} – {other}")
}

/// Holds `count` calls of each pair whose name contains `wanted`. Prints the table, and writes it where
/// nothing was left out.
pub async fn run(count: u32, wanted: &str) {
    let pairs: Vec<usize> = (0..PAIRS.len()).filter(|pair| pair_name(*pair).contains(wanted)).collect();
    if pairs.is_empty() {
        let names = (0..PAIRS.len()).map(pair_name).collect::<Vec<_>>().join(", ");
        eprintln!("bench calls: no pair has {wanted:?} in its name; there are: {names}");
        std::process::exit(2);
    }
    let (mut calm, began) = (Calm::skip(), Instant::now());
    let mut outcomes = Vec::new();
    for pair in pairs {
        let half = u64::from(count) / 2;
        let (mut pages, mut apps) = (Pages::default(), Apps::default());
        let what = |load: &str| format!("calls of {} on a {load} machine", pair_name(pair));
        let quiet = calm.phase(&what("quiet"), hold(pair, 1..=half, false, &mut pages, &mut apps)).await;
        let busy = calm.phase(&what("busy"), hold(pair, half + 1..=count.into(), true, &mut pages, &mut apps)).await;
        outcomes.extend(quiet.into_iter().chain(busy).map(|outcome| (pair, outcome)));
    }
    let table = report::markdown(&outcomes);
    println!("{table}");
    if count >= COUNT && wanted.is_empty() {
        let conditions = machine::describe().into_iter().chain(calm.describe());
        let text = format!(
            include_str!("report.md"),
            date = machine::today(),
            conditions = conditions.map(|line| format!("- {line}\n")).collect::<String>(),
            count = count,
            minutes = began.elapsed().as_secs() / 60,
            loops = busy::LOOPS,
            connect = call::CONNECT_LIMIT.as_secs(),
            end = call::END_LIMIT.as_secs(),
            table = table,
        );
        document::write(Part::Calls, &text);
    }
    calm.warn();
}

/// The calls of a pair that belong to these seeds.
async fn hold(
    pair: usize,
    seeds: std::ops::RangeInclusive<u64>,
    busy: bool,
    pages: &mut Pages,
    apps: &mut Apps,
) -> Vec<Outcome> {
    let _loops = busy.then(BusyLoops::start);
    let mut outcomes = Vec::new();
    for seed in seeds {
        let plan = Plan::draw(pair, seed);
        let outcome = match plan.is_of_apps() {
            true => apps.hold(plan, busy).await,
            false => call::hold(plan, busy, pages).await,
        };
        if outcome.failed() {
            pages.close();
        }
        outcomes.push(outcome);
        if seed.is_multiple_of(TOLD_EVERY) {
            let failed = outcomes.iter().filter(|outcome| outcome.failed()).count();
            eprintln!("bench: {}: seed {seed}; {failed} of {} failed", pair_name(pair), outcomes.len());
        }
    }
    outcomes
}
