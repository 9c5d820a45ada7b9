//! The program as a script sees it: exit codes, what it prints, and what it does with what it cannot use.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

fn peer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ahoy-peer"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end with these lines on stdin, which then closes.
fn run(arguments: &[&str], lines: &[String]) -> Output {
    let mut child = peer(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in lines {
        // The program may have ended before it read this.
        let _ = writeln!(stdin, "{line}");
    }
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))).collect()
}

fn envelope(seq: u64, payload: Value) -> String {
    json!({"v": 1, "channel": "c", "seq": seq, "payload": payload}).to_string()
}

#[test]
fn bad_usage_exits_with_2_and_says_why() {
    for (arguments, said) in [
        (&["call", "--camera", "webcam"][..], "webcam"),
        (&["call", "--net", "loss=2"], "loss=2"),
        (&["answer", "--remote-webm", "-"], "name a file"),
        (&["dance"], "dance"),
    ] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(said), "{stderr}");
    }
}

#[test]
fn devices_lists_the_synthetic_ones_without_any_hardware() {
    let output = run(&["devices", "--json"], &[]);
    assert!(output.status.success());
    let devices: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = |kind: &str| devices[kind].as_array().unwrap().iter().map(|d| d["name"].clone()).collect::<Vec<_>>();
    assert!(names("cameras").contains(&json!("Test pattern")), "{devices}");
    assert!(names("microphones").contains(&json!("Test tone")), "{devices}");
}

#[test]
fn a_declined_call_is_no_connection() {
    let lines = [envelope(1, json!({"type": "call-hangup", "reason": "declined"}))];
    let mut child = peer(&["call", "--channel", "c", "--camera", "none", "--mic", "none"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("call-request") {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "it never called");
    }
    writeln!(stdin, "{}", lines[0]).unwrap();
    let ended = stdout.lines().map(Result::unwrap).find(|line| line.contains("ended")).expect("it says how it ended");
    assert!(ended.contains("declined"), "{ended}");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn lines_that_are_no_messages_are_told_of_or_ignored_and_end_nothing() {
    let long = "x".repeat(70_000);
    let lines = [
        "nonsense".to_owned(),
        long,
        "{}".to_owned(),
        r#"{"cmd":"dance"}"#.to_owned(),
        r#"{"v":2,"channel":"c","seq":1,"payload":{"type":"call-ack"}}"#.to_owned(),
        envelope(1, json!({"type": "from-the-future"})),
        envelope(2, json!({"type": "call-answer", "sdp": "nobody asked"})),
    ];
    let output = run(&["answer", "--camera", "none", "--mic", "none"], &lines);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output);
    assert!(
        events.iter().any(|event| event["event"] == "problem" && event["what"].as_str().unwrap().contains("dance"))
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_call_goes_on_when_its_files_cannot_be_written() {
    // A whole call, so that the output is opened at all; the other side is a second process, wired line by
    // line.
    let nowhere = "/nonexistent/folder/file";
    let common = ["--loopback-only", "--video", "320x180@15", "--bitrate", "300k", "--seconds", "2"];
    let spawn = |role: &str, more: &[&str]| {
        let mut child = peer(&[&[role], &common[..], more].concat()).stderr(Stdio::null()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        (child, stdin, stdout)
    };
    let (mut callee, mut to_callee, from_callee) = spawn("answer", &["--remote-webm", nowhere, "--stats", nowhere]);
    let (mut caller, mut to_caller, from_caller) = spawn("call", &[]);
    let carry = |from: BufReader<std::process::ChildStdout>, to: &mut std::process::ChildStdin| {
        let mut events = Vec::new();
        for line in from.lines().map_while(Result::ok) {
            let object: Value = serde_json::from_str(&line).unwrap();
            if object.get("event").is_some() {
                events.push(object);
            } else {
                let _ = writeln!(to, "{line}");
            }
        }
        events
    };
    let events = std::thread::scope(|scope| {
        let other = scope.spawn(|| carry(from_caller, &mut to_callee));
        let events = carry(from_callee, &mut to_caller);
        other.join().unwrap();
        events
    });
    assert_eq!((caller.wait().unwrap().code(), callee.wait().unwrap().code()), (Some(0), Some(0)));
    for code in ["stats-output", "media-output"] {
        let told = events.iter().filter(|event| event["code"] == code).count();
        assert_eq!(told, 1, "{code}: {events:?}");
    }
    assert!(events.iter().any(|event| event["event"] == "first-video"), "{events:?}");
}

#[test]
fn the_demonstration_reports_a_call_that_flowed_both_ways() {
    let output = run(&["demo", "--seconds", "6", "--video", "320x180@30", "--bitrate", "300k", "--json"], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for side in ["caller", "callee"] {
        assert_eq!(report[side]["flowed"], true, "{report}");
        assert_eq!(report[side]["unreadable"], 0.0, "{report}");
        assert!(report[side]["capture_to_webm_p50_ms"].as_f64().is_some_and(|ms| ms < 1000.0), "{report}");
    }
}

/// Nothing in this file may take longer; a hung program would otherwise hang the whole run.
#[test]
fn nobody_calls_and_stdin_ends_so_it_leaves() {
    let started = std::time::Instant::now();
    assert_eq!(run(&["answer"], &[]).status.code(), Some(3));
    assert!(started.elapsed() < Duration::from_secs(20));
}
