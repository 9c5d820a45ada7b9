//! What a program costs with all the processes that it started, by the system's own counts.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

/// Ticks a second of the CPU times in `/proc` (`USER_HZ`; 100 on every Linux that has run on a desktop).
const TICKS_PER_SECOND: f64 = 100.0;

/// A running program.
pub struct Program {
    root: i32,
}

/// The CPU time of a program's processes up to a moment.
pub struct CpuTime {
    at: Instant,
    ticks: HashMap<i32, f64>,
}

/// Fields of `/proc/PID/stat` behind the program's name, which may hold anything (proc(5)).
fn stat(pid: i32) -> Option<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(line.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect())
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.get(1)?.parse().ok()
}

fn ticks(pid: i32) -> Option<f64> {
    let fields = stat(pid)?;
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}

/// Proportional set size in bytes: a page that several processes share counts for each by its part.
fn proportional_bytes(pid: i32) -> Option<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? * 1024.0)
}

impl Program {
    /// The program whose first process is `root`.
    pub fn new(root: i32) -> Self {
        Self { root }
    }

    fn processes(&self) -> Vec<i32> {
        let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
        let parents: HashMap<i32, i32> =
            names.filter_map(|name| name.to_str()?.parse().ok()).filter_map(|pid| Some((pid, parent(pid)?))).collect();
        let descends = |&pid: &i32| {
            std::iter::successors(Some(pid), |pid| parents.get(pid).copied()).any(|ancestor| ancestor == self.root)
        };
        parents.keys().copied().filter(descends).collect()
    }

    /// CPU time up to now.
    pub fn cpu_time(&self) -> CpuTime {
        let ticks = self.processes().into_iter().filter_map(|pid| Some((pid, ticks(pid)?))).collect();
        CpuTime { at: Instant::now(), ticks }
    }

    /// Memory in MB (10^6 bytes).
    pub fn memory_mb(&self) -> f64 {
        self.processes().into_iter().filter_map(proportional_bytes).sum::<f64>() / 1e6
    }
}

impl CpuTime {
    /// Cores in use from `earlier` until this. A process that ended between is left out: none does in a steady call.
    pub fn cores_since(&self, earlier: &Self) -> f64 {
        let before = |pid| earlier.ticks.get(pid).copied().unwrap_or_default();
        let used: f64 = self.ticks.iter().map(|(pid, ticks)| ticks - before(pid)).sum();
        used / TICKS_PER_SECOND / (self.at - earlier.at).as_secs_f64()
    }
}

/// Share of this machine's cores that is in use over `span`, 0 to 1.
pub async fn machine_load(span: Duration) -> f64 {
    let (idle, all) = machine_ticks();
    tokio::time::sleep(span).await;
    let (later_idle, later_all) = machine_ticks();
    1.0 - (later_idle - idle) / (later_all - all).max(1.0)
}

/// Ticks of all cores: idle, and all.
fn machine_ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_ascii_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal guest guest_nice; guest time is part of user time.
    let part = |range: std::ops::Range<usize>| ticks.get(range).unwrap_or_default().iter().sum::<f64>();
    (part(3..5), part(0..8))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn children_count_with_the_program_that_started_them() {
        let spin = "while :; do :; done";
        let mut shell = Command::new("sh").args(["-c", &format!("({spin}) & {spin}")]).spawn().expect("a shell");
        let program = Program::new(shell.id().cast_signed());
        let limit = Instant::now() + Duration::from_secs(10);
        while program.processes().len() < 2 {
            assert!(Instant::now() < limit, "the second shell starts");
        }
        let start = program.cpu_time();
        // Both get a share of whatever this machine has left.
        while program.cpu_time().ticks.iter().any(|(pid, ticks)| *ticks <= start.ticks[pid]) {
            assert!(Instant::now() < limit, "both shells run");
        }
        assert!(program.cpu_time().cores_since(&start) > 0.0 && program.memory_mb() > 0.0);
        for pid in program.processes() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        shell.wait().expect("the shell ends");
    }
}
