//! The program's command line, without a window. That this test is here also makes `cargo test` build the
//! program, which the tests of the whole start.

use std::process::{Command, Output};

fn ahoy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ahoy")).args(arguments).output().expect("the program starts")
}

#[test]
fn it_tells_its_version_and_its_options() {
    let version = ahoy(&["--version"]);
    assert!(version.status.success());
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("ahoy {}\n", env!("CARGO_PKG_VERSION")));
    let help = ahoy(&["--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--profile"));
}

#[test]
fn a_profile_that_cannot_be_is_refused_with_the_reason() {
    let refused = ahoy(&["--profile", "../elsewhere"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot be a profile's name"));
}
