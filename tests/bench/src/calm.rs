//! What else this machine does while it is measured: figures are worth something where that is little.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    BETWEEN_CALLS,
    cost::{Program, TICKS_PER_SECOND},
};

/// Before the first call, this machine is to be as idle as this, over this long; and no longer is waited for
/// it.
const CALM: f64 = 0.1;
const CALM_SPAN: Duration = Duration::from_secs(3);
const CALM_LIMIT: Duration = Duration::from_secs(120);
/// From this share of the cores on, others change the figures: with two cores a third program then waits for
/// one of the two sides now and again.
const BUSY: f64 = 0.15;

/// Times of this machine and of this program's own processes up to a moment, in seconds.
struct Moment {
    at: Instant,
    machine: Machine,
    /// CPU time of this program and of everything that it started, ended or not.
    own: f64,
}

/// What `/proc/stat` tells (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Machine {
    cores: f64,
    /// Time without work, of all cores together.
    idle: f64,
}

impl Machine {
    fn parse(stat: &str) -> Option<Self> {
        let all: Vec<f64> =
            stat.lines().next()?.split_ascii_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
        // user nice system idle iowait …
        let idle = (all.get(3)? + all.get(4)?) / TICKS_PER_SECOND;
        let cores = stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count() as f64;
        Some(Self { cores, idle })
    }
}

impl Moment {
    /// # Panics
    /// Where there is no `/proc`, and so nothing to measure with.
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").expect("/proc/stat can be read");
        let machine = Machine::parse(&stat).expect("/proc/stat is as proc(5) says");
        Self { at: Instant::now(), machine, own: Program::this().cpu_seconds() }
    }

    /// Share of the cores in use by others from `earlier` until this, 0 to 1.
    fn others_since(&self, earlier: &Self) -> f64 {
        share_of_others(
            (self.at - earlier.at).as_secs_f64() * self.machine.cores,
            self.machine.idle - earlier.machine.idle,
            self.own - earlier.own,
        )
    }
}

/// Of `capacity` core seconds, so many were idle and so many our own. What remains is others' work, the
/// system's own and time that a hypervisor took. The counts are of a tick each, so what remains of nothing
/// can be a little less.
fn share_of_others(capacity: f64, idle: f64, own: f64) -> f64 {
    if capacity > 0.0 { ((capacity - idle - own) / capacity).clamp(0.0, 1.0) } else { 0.0 }
}

/// How much others used, from the beginning on.
pub struct Calm {
    /// Before the first phase.
    beginning: f64,
    /// In the phase where it was most.
    worst: f64,
}

impl Calm {
    /// Waits until this machine has nothing else to do, though not for ever.
    pub async fn wait() -> Self {
        let limit = Instant::now() + CALM_LIMIT;
        loop {
            let before = Moment::now();
            sleep(CALM_SPAN).await;
            let beginning = Moment::now().others_since(&before);
            if beginning < CALM || Instant::now() > limit {
                return Self { beginning, worst: 0.0 };
            }
        }
    }

    /// Begins at once: for a look at a single figure, which is written nowhere.
    pub fn skip() -> Self {
        Self { beginning: 0.0, worst: 0.0 }
    }

    /// One measurement, once what was before it is gone.
    pub async fn phase<T>(&mut self, what: &str, measurement: impl Future<Output = T>) -> T {
        sleep(BETWEEN_CALLS).await;
        eprintln!("bench: {what}");
        let before = Moment::now();
        let result = measurement.await;
        let others = Moment::now().others_since(&before);
        if others > BUSY {
            eprintln!(
                "bench: others used {:.0} % of the cores meanwhile: the figures are worse for it",
                others * 100.0
            );
        }
        self.worst = self.worst.max(others);
        result
    }

    fn is_calm(&self) -> bool {
        self.beginning.max(self.worst) <= BUSY
    }

    /// The lines of the document, as Markdown.
    pub fn describe(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let mut lines = vec![format!(
            "{} of the cores in use by others when it began, at most {} during a phase",
            percent(self.beginning),
            percent(self.worst)
        )];
        if !self.is_calm() {
            lines.push(format!(
                "**the figures are not of a calm machine**: others used more than {} of the cores",
                percent(BUSY)
            ));
        }
        lines
    }

    /// Says on stderr that the figures are worth little, where they are.
    pub fn warn(&self) {
        if !self.is_calm() {
            eprintln!("bench: warning: {}", self.describe().join("; ").replace("**", ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_and_cores_are_read_from_proc_stat() {
        let stat = "cpu  83292 7598 9583 39795 492 0 90 178 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 1 2 3 4 5 6 7 8 9 10\nintr 1\nctxt 2\n";
        assert_eq!(Machine::parse(stat), Some(Machine { cores: 2.0, idle: 402.87 }));
        assert_eq!(Machine::parse("cpu 1 2 3\n"), None);
        assert_eq!(Machine::parse(""), None);
    }

    #[test]
    fn what_is_neither_idle_nor_our_own_is_of_others() {
        for (capacity, idle, own, others) in [
            (20.0, 20.0, 0.0, 0.0),
            (20.0, 16.0, 4.0, 0.0),
            (20.0, 10.0, 5.0, 0.25),
            (20.0, 0.0, 5.0, 0.75),
            (20.0, 0.0, 0.0, 1.0),
            // A tick too many here or there.
            (20.0, 16.01, 4.01, 0.0),
            (0.0, 0.0, 0.0, 0.0),
        ] {
            assert_eq!(share_of_others(capacity, idle, own), others, "{capacity} {idle} {own}");
        }
        let moment = |at, idle, own| Moment { at, machine: Machine { cores: 2.0, idle }, own };
        let start = Instant::now();
        let (before, after) = (moment(start, 100.0, 7.0), moment(start + Duration::from_secs(10), 112.0, 11.0));
        assert_eq!(after.others_since(&before), 0.2);
    }

    #[test]
    fn the_document_says_where_the_machine_was_not_calm() {
        let calm = Calm { beginning: 0.012, worst: 0.149 };
        assert_eq!(calm.describe(), ["1 % of the cores in use by others when it began, at most 15 % during a phase"]);
        for (beginning, worst) in [(0.0, 0.31), (0.16, 0.0)] {
            let lines = Calm { beginning, worst }.describe();
            assert!(lines.len() == 2 && lines[1].contains("not of a calm machine"), "{lines:?}");
        }
    }

    #[tokio::test]
    async fn the_worst_phase_counts() {
        let mut calm = Calm { beginning: 0.0, worst: 0.4 };
        // Nothing of this machine can be promised here but that a phase takes nothing back.
        assert_eq!(calm.phase("a phase", async { 7 }).await, 7);
        assert!((0.4..=1.0).contains(&calm.worst), "{}", calm.worst);
    }
}
