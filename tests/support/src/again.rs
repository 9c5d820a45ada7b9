//! Tests that run once more in a process of their own, whose environment is set from its start.

use std::{
    env,
    ffi::OsString,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The longest of the tests that run in a process of their own.
const TEST_LIMIT: Duration = Duration::from_secs(90);

/// Runs a test once more, alone in a process of its own with this environment, and fails if it fails.
pub(crate) fn run_again(test: &str, environment: impl IntoIterator<Item = (&'static str, OsString)>) {
    let mut child = Command::new(env::current_exe().expect("the test's own program"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .envs(environment)
        .stdin(Stdio::null())
        .spawn()
        .expect("the test runs again");
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("the test's process is waited for") {
            Some(status) => break status,
            None if start.elapsed() > TEST_LIMIT => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{test} did not end within {} s", TEST_LIMIT.as_secs());
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(status.success(), "{test} failed in its own process: {status}; see above");
}
