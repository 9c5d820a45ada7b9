//! Whole engines calling each other: real links on loopback, real codecs, messages by an exchange in memory.
#![allow(clippy::unwrap_used)]

mod abandoned;
mod calls;
mod devices;
mod exchange;
mod hold;
mod hostile;
mod leaks;
mod loss;
mod mute;
mod nacks;
mod network;
mod phone;
mod screen;
mod silence;
mod switch;
mod unacknowledged;
mod unplugged;

/// Runs an ignored test in a process of its own, where no other test's memory, threads and calls count.
fn run_alone(test: &str) {
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this).args(["--exact", test, "--ignored", "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Resident memory of this process, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
