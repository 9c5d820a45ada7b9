//! `./dev bench soak`: one long call between two Ahoys while rate, loss, jitter and delay change by a seed.
//! Says whether anything grows: sound and video apart, delay, memory; and whether video stops where the path
//! does not explain it.

use std::time::Duration;

use ahoy_test_support::net::{
    self,
    conditions::{Conditions, Schedule},
    path::Path,
};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    AHOY, MEDIA, call, measure,
    report::{cell, verdict},
};
use crate::{
    calm::Calm,
    document::{self, Part},
    machine,
    sample::{median, percentile},
};

/// Length of the call, where the command line gives none.
pub const MINUTES: u32 = 30;

/// Conditions hold for so long, in seconds.
const STEP_S: f64 = 10.0;
const SEED: u64 = 11;
/// What is drawn from, each by itself.
const RATES_KBPS: [Option<f64>; 5] = [Some(400.0), Some(800.0), Some(1500.0), Some(3000.0), None];
const LOSSES: [f64; 5] = [0.0, 0.0, 0.02, 0.05, 0.1];
const JITTERS_MS: [u64; 4] = [0, 0, 20, 60];
const DELAYS_MS: [u64; 3] = [10, 40, 80];

/// A row of the table is so long, in seconds.
const ROW_S: f64 = 300.0;
/// A call settles before growth is looked for.
const SETTLE_S: f64 = 60.0;
/// A freeze this long has to be explained, in ms.
const LONG_FREEZE_MS: f64 = 1000.0;
/// The path explains a freeze where its rate has halved within this time before it, in seconds.
const EXPLAINS_S: f64 = 2.0;
/// The last third of the call may be worse than its first one by so much.
const SKEW_GROWTH_MS: f64 = 10.0;
const DELAY_GROWTH_MS: f64 = 20.0;
const MEMORY_GROWTH_MB: f64 = 2.0;

const HEAD: &str = "| minutes | frames a second | frozen (%) | freezes over 1 s: explained / not | sound and video apart p50 / p95 (ms) \
                    | jitter buffer p50 (ms) | sound made up (%) | memory of sender / receiver (MB) |\n\
                    |---|--:|--:|--:|--:|--:|--:|--:|\n";

/// Holds the call, prints the table and writes it.
pub async fn run(minutes: u32) {
    if let Err(reason) = net::available() {
        eprintln!("bench soak: cannot measure here: {reason}");
        std::process::exit(2);
    }
    let seconds = f64::from(minutes) * 60.0;
    let mut calm = Calm::skip();
    let call = calm.phase("a long call over a changing path", hold(seconds)).await;
    let table = call.markdown();
    println!("{table}");
    if minutes >= MINUTES {
        let conditions = machine::describe().into_iter().chain(calm.describe());
        let text = format!(
            include_str!("soak.md"),
            minutes = minutes,
            date = machine::today(),
            conditions = conditions.map(|line| format!("- {line}\n")).collect::<String>(),
            table = table,
        );
        document::write(Part::Soak, &text);
    }
    calm.warn();
}

/// The path of the call: the same conditions both ways.
fn schedule(seconds: f64) -> Schedule {
    let mut chance = fastrand::Rng::with_seed(SEED);
    let steps = (seconds / STEP_S).ceil().max(1.0) as u32;
    Schedule::new((0..steps).map(|step| {
        let delay = Duration::from_millis(DELAYS_MS[chance.usize(..DELAYS_MS.len())]);
        let conditions = Conditions {
            rate: RATES_KBPS[chance.usize(..RATES_KBPS.len())].map(|kbps| kbps * 1000.0),
            jitter: Duration::from_millis(JITTERS_MS[chance.usize(..JITTERS_MS.len())]),
            ..Conditions::clean(delay).loss(LOSSES[chance.usize(..LOSSES.len())])
        };
        (f64::from(step) * STEP_S, conditions)
    }))
}

/// A call that is over.
struct Call {
    /// Its beginning and its end, in unix ms; the path's time at its beginning, in seconds.
    between: (f64, f64),
    path_s: f64,
    path: Schedule,
    /// When each frame came, in unix ms.
    frames: Vec<f64>,
    /// Statistics of sender and receiver, one a second.
    sent: Vec<Value>,
    received: Vec<Value>,
}

async fn hold(seconds: f64) -> Call {
    let schedule = schedule(seconds);
    let path = Path::start(1, schedule.clone(), schedule.clone(), SEED);
    let running = call::start(&path.pairs[0], AHOY, MEDIA).await;
    let (began, path_s) = (measure::unix_ms(), path.elapsed().as_secs_f64());
    sleep(Duration::from_secs_f64(seconds)).await;
    let (sent, received) = running.statistics();
    let frames = running.seen(began).frames;
    Call { between: (began, measure::unix_ms()), path_s, path: schedule, frames, sent, received }
}

/// Freezes over a second.
#[derive(Debug, Default, PartialEq)]
struct Freezes {
    explained: usize,
    unexplained: usize,
}

impl Call {
    fn markdown(&self) -> String {
        let (from, to) = self.between;
        let rows = ((to - from) / 1000.0 / ROW_S).ceil() as u32;
        let mut text = HEAD.to_owned();
        for row in 0..rows {
            let begins = from + f64::from(row) * ROW_S * 1000.0;
            text += &self.row(begins, (begins + ROW_S * 1000.0).min(to));
        }
        text + &format!("\nReached: {}\n", self.reached())
    }

    fn row(&self, from: f64, to: f64) -> String {
        let frames: Vec<f64> = self.frames.iter().copied().filter(|at| (from..to).contains(at)).collect();
        let freezes = self.freezes(from, to);
        let (skew, jitter) = (self.received("av_skew_ms", from, to), self.received("jitter_buffer_ms", from, to));
        let sum = |name: &str| self.received(name, from, to).iter().sum::<f64>();
        let seen = measure::Seen { frames, between: (from, to), ..measure::Seen::default() };
        let memory = |lines| cell(median(&values(lines, &["rss_mb"], from, to)), 1);
        let minute = |at: f64| (at - self.between.0) / 60_000.0;
        format!(
            "| {:.0} to {:.0} | {} | {} | {} / {} | {} / {} | {} | {} | {} / {} |\n",
            minute(from),
            minute(to),
            cell(seen.fps(), 1),
            cell(seen.frozen().map(|share| share * 100.0), 1),
            freezes.explained,
            freezes.unexplained,
            cell(percentile(&skew, 0.5), 0),
            cell(percentile(&skew, 0.95), 0),
            cell(median(&jitter), 0),
            cell(Some(sum("concealed_ms") / sum("played_ms").max(1.0) * 100.0), 1),
            memory(&self.sent),
            memory(&self.received),
        )
    }

    fn received(&self, name: &str, from: f64, to: f64) -> Vec<f64> {
        values(&self.received, &["in", name], from, to)
    }

    fn freezes(&self, from: f64, to: f64) -> Freezes {
        let mut freezes = Freezes::default();
        let edges: Vec<f64> = std::iter::once(self.between.0)
            .chain(self.frames.iter().copied())
            .chain(std::iter::once(self.between.1))
            .collect();
        for gap in edges.windows(2).filter(|gap| gap[1] - gap[0] > LONG_FREEZE_MS && (from..to).contains(&gap[0])) {
            match self.explains(gap[0], gap[1]) {
                true => freezes.explained += 1,
                false => freezes.unexplained += 1,
            }
        }
        freezes
    }

    /// Whether the rate has halved shortly before, or within, this time (unix ms).
    fn explains(&self, from: f64, to: f64) -> bool {
        let path_s = |at: f64| (at - self.between.0) / 1000.0 + self.path_s;
        let rate = |at: f64| self.path.at(Duration::from_secs_f64(at.max(0.0))).rate.unwrap_or(f64::INFINITY);
        let (before, after) = (rate(path_s(from) - EXPLAINS_S), rate(path_s(to)));
        after <= before / 2.0
    }

    fn reached(&self) -> String {
        let (from, to) = (self.between.0 + SETTLE_S * 1000.0, self.between.1);
        let third = (to - from) / 3.0;
        let growth = |of: &dyn Fn(f64, f64) -> Vec<f64>| {
            let at = |from| median(&of(from, from + third));
            at(from).zip(at(to - third)).map(|(first, last)| last - first)
        };
        let at_most = |growth: Option<f64>, most: f64| growth.is_some_and(|growth| growth <= most);
        let skew = growth(&|from, to| self.received("av_skew_ms", from, to).iter().map(|ms| ms.abs()).collect());
        let delay = growth(&|from, to| self.received("jitter_buffer_ms", from, to));
        let sender = growth(&|from, to| values(&self.sent, &["rss_mb"], from, to));
        let receiver = growth(&|from, to| values(&self.received, &["rss_mb"], from, to));
        let unexplained = self.freezes(self.between.0, self.between.1).unexplained;
        let goals = [
            (unexplained == 0, "every freeze over 1 s explained by the path".to_owned()),
            (at_most(skew, SKEW_GROWTH_MS), format!("sound and video no further apart ({} ms)", cell(skew, 1))),
            (at_most(delay, DELAY_GROWTH_MS), format!("no growth of delay ({} ms)", cell(delay, 1))),
            (at_most(sender, MEMORY_GROWTH_MB), format!("no growth of the sender's memory ({} MB)", cell(sender, 1))),
            (
                at_most(receiver, MEMORY_GROWTH_MB),
                format!("no growth of the receiver's memory ({} MB)", cell(receiver, 1)),
            ),
        ];
        let growths =
            [("apart", skew, "ms"), ("delay", delay, "ms"), ("sender", sender, "MB"), ("receiver", receiver, "MB")];
        let growths = growths.map(|(name, growth, unit)| format!("{name} {} {unit}", cell(growth, 1))).join(", ");
        let missed = goals.into_iter().filter(|(reached, _)| !reached).map(|(_, text)| text);
        format!("{}. Growth from the first third to the last: {growths}.", verdict(missed))
    }
}

/// A figure of each line of statistics between two times (unix ms).
fn values(lines: &[Value], name: &[&str], from: f64, to: f64) -> Vec<f64> {
    let within = lines.iter().filter(|line| line["t"].as_f64().is_some_and(|at| (from..to).contains(&at)));
    within.filter_map(|line| name.iter().fold(line, |value, key| &value[*key]).as_f64()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(frames: Vec<f64>, memory: impl Fn(u32) -> f64) -> Call {
        let line = |second: u32| json!({"t": second * 1000, "rss_mb": memory(second), "in": {"av_skew_ms": 5.0, "jitter_buffer_ms": 40.0}});
        let lines: Vec<Value> = (0..600).map(line).collect();
        let at = |kbps| Conditions::clean(Duration::ZERO).rate_kbps(kbps);
        let path = Schedule::new([(0.0, at(3000.0)), (300.0, at(800.0))]);
        Call { between: (0.0, 600_000.0), path_s: 0.0, path, frames, sent: lines.clone(), received: lines }
    }

    fn frames_without(gaps: &[std::ops::Range<u32>]) -> Vec<f64> {
        (0..6000)
            .filter(|tenth| !gaps.iter().any(|gap| gap.contains(tenth)))
            .map(|tenth| f64::from(tenth) * 100.0)
            .collect()
    }

    #[test]
    fn a_freeze_is_explained_only_by_a_rate_that_halved() {
        let call = call(frames_without(&[1000..1020, 3005..3025]), |_| 30.0);
        assert_eq!(call.freezes(0.0, 600_000.0), Freezes { explained: 1, unexplained: 1 });
        assert!(call.reached().contains("every freeze over 1 s explained"), "{}", call.reached());
    }

    #[test]
    fn memory_that_grows_misses_the_goal() {
        let steady = call(frames_without(&[]), |_| 30.0).reached();
        assert!(steady.starts_with("yes"), "{steady}");
        let grows = call(frames_without(&[]), |second| 30.0 + f64::from(second) / 100.0).reached();
        assert!(grows.contains("**no**") && grows.contains("memory"), "{grows}");
    }
}
