//! What a program costs with all the processes that it started, by the system's own counts.

use std::{
    collections::HashMap,
    fs,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Ticks a second of the CPU times in `/proc` (`USER_HZ`; 100 on every Linux that has run on a desktop).
pub const TICKS_PER_SECOND: f64 = 100.0;

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

/// The processes that `pid` has started and that run.
pub fn children(pid: i32) -> Vec<i32> {
    processes().into_iter().filter(|&other| parent(other) == Some(pid)).collect()
}

/// When a process was started, in unix ms; known to a tick, which is 10 ms.
pub fn started_at_ms(pid: i32) -> Option<f64> {
    // starttime: ticks since this machine's start
    let after_boot = stat(pid)?.get(19)?.parse::<f64>().ok()? / TICKS_PER_SECOND;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some((now - uptime + after_boot) * 1000.0)
}

fn processes() -> Vec<i32> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).collect()
}

fn ticks(pid: i32) -> Option<f64> {
    // utime stime
    sum(stat(pid)?.get(11..13)?)
}

/// With those of its children that have ended and been waited for, and so on down.
fn ticks_with_ended_children(pid: i32) -> Option<f64> {
    // utime stime cutime cstime
    sum(stat(pid)?.get(11..15)?)
}

fn sum(fields: &[String]) -> Option<f64> {
    fields.iter().map(|field| field.parse::<f64>().ok()).sum()
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

    /// This program, with everything that it starts from now on: a process whose parent ends before it stays
    /// with us. It is not waited for, so that it and what it used can still be seen when it has ended.
    pub fn this() -> Self {
        // Where the system cannot do that (before Linux 3.4), such a process counts as somebody else's.
        let _ = nix::sys::prctl::set_child_subreaper(true);
        Self::new(std::process::id().cast_signed())
    }

    fn processes(&self) -> Vec<i32> {
        let parents: HashMap<i32, i32> = processes().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
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

    /// CPU time in seconds up to now, with that of processes that have ended.
    pub fn cpu_seconds(&self) -> f64 {
        self.processes().into_iter().filter_map(ticks_with_ended_children).sum::<f64>() / TICKS_PER_SECOND
    }

    /// Memory in MB (10^6 bytes).
    pub fn memory_mb(&self) -> f64 {
        self.processes().into_iter().filter_map(proportional_bytes).sum::<f64>() / 1e6
    }
}

impl CpuTime {
    /// Cores in use from `earlier` until this. A process that ended between is left out: none does in a
    /// steady call.
    pub fn cores_since(&self, earlier: &Self) -> f64 {
        let before = |pid| earlier.ticks.get(pid).copied().unwrap_or_default();
        let used: f64 = self.ticks.iter().map(|(pid, ticks)| ticks - before(pid)).sum();
        used / TICKS_PER_SECOND / (self.at - earlier.at).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::*;

    #[test]
    fn a_process_was_started_a_moment_ago() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1000.0;
        let mut sleeper = Command::new("sleep").arg("60").spawn().expect("a process");
        let pid = sleeper.id().cast_signed();
        let started = started_at_ms(pid).expect("it runs");
        assert!((started - before).abs() < 5000.0, "{started} {before}");
        assert!(children(std::process::id().cast_signed()).contains(&pid));
        sleeper.kill().expect("it runs");
        sleeper.wait().expect("it ends");
    }

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

    #[test]
    fn what_has_ended_still_counts_whoever_started_it() {
        let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let this = Program::this();
        for script in [spin.to_owned(), format!("({spin}) & wait"), format!("({spin}; echo done) & exit")] {
            let before = this.cpu_seconds();
            // Until all who could write to it are gone.
            Command::new("sh").args(["-c", &script]).output().expect("a shell");
            let used = this.cpu_seconds() - before;
            assert!(used > 0.02, "{script}: {used}");
        }
    }
}
