//! What this process costs, by the system's own counts.

use std::time::{Duration, Instant};

/// Ticks a second of the CPU times in `/proc` (`USER_HZ`; 100 on every Linux that has run on a desktop).
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of a page in `/proc/self/statm`, on every desktop Linux.
const PAGE_BYTES: f64 = 4096.0;

/// CPU time of all threads of this process since its start; none where the system does not tell.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may hold anything; what follows it is plain (proc(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks: f64 = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

/// Resident memory in MB (10^6 bytes).
pub fn resident_mb() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES / 1e6)
}

/// Measures CPU use between two looks.
#[derive(Debug)]
pub struct CpuMeter {
    at: Instant,
    used: Option<Duration>,
}

impl CpuMeter {
    /// Starts to measure.
    pub fn start() -> Self {
        Self { at: Instant::now(), used: cpu_time() }
    }

    /// Percent of one core since the last look.
    pub fn percent(&mut self) -> Option<f64> {
        let (at, used) = (Instant::now(), cpu_time());
        let percent = match (used, self.used) {
            (Some(now), Some(before)) => {
                let wall = (at - self.at).as_secs_f64().max(1e-3);
                Some(now.saturating_sub(before).as_secs_f64() / wall * 100.0)
            }
            (None, _) | (_, None) => None,
        };
        (self.at, self.used) = (at, used);
        percent
    }
}
