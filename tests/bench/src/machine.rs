//! What the figures were measured on and with.

use std::{fs, path::Path, process::Command};

use ahoy_test_support::browser;

/// One line for each condition, as Markdown.
pub fn describe() -> Vec<String> {
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok());
    let gigabytes = memory.map_or("unknown".to_owned(), |kb| format!("{:.0} GB", kb * 1024.0 / 1e9));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system = field("/etc/os-release", "PRETTY_NAME").unwrap_or_default();
    let chromium = browser::program();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.to_string_lossy();
    let revision = said("git", &["-C", &root, "describe", "--always", "--dirty"]);
    vec![
        format!("{cores} cores of {model}, {gigabytes} of memory, no camera, no sound card, no GPU"),
        format!("{}, Linux {}", system.trim_matches('"'), kernel.trim()),
        format!("Ahoy {revision}, release build by {}", said("rustc", &["--version"])),
        format!("libvpx {}, {}", said("pkg-config", &["--modversion", "vpx"]), said(&chromium, &["--version"])),
    ]
}

/// Today, as ISO 8601.
pub fn today() -> String {
    said("date", &["--utc", "+%F"])
}

/// The value of the first line `NAME: VALUE` or `NAME=VALUE` of a file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim_start_matches(|c: char| c.is_whitespace() || c == ':' || c == '=').trim().to_owned())
}

/// What a program prints, or that it prints nothing.
fn said(program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let output = Command::new(program.as_ref()).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { format!("({} says nothing)", program.as_ref().display()) } else { text }
}
