//! A fixed number of seeded cases of every fuzz target. Without libtest's harness, because that would swallow
//! the counts.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
};

use ahoy_fuzz::{TARGETS, Target, mutate};

/// Cases of each target: a few seconds of all.
const CASES: u64 = 10_000;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // What a test runner asks for first, and the form in which it wants the answer.
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            TARGETS.iter().for_each(|target| println!("{}: test", target.name));
        }
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |target: &&Target| wanted.is_empty() || wanted.iter().any(|name| target.name.contains(name.as_str()));

    let crashes: Vec<_> = TARGETS.iter().filter(wanted).map(crashes).collect();
    let failed = crashes.iter().filter(|&&crashes| crashes > 0).count();
    let (verdict, code) = if failed == 0 { ("ok", ExitCode::SUCCESS) } else { ("FAILED", ExitCode::FAILURE) };
    println!("test result: {verdict}. {} passed; {failed} failed", crashes.len() - failed);
    code
}

/// Runs the cases of a target; inputs of those that crash are kept as files.
fn crashes(target: &Target) -> usize {
    let corpus = (target.corpus)();
    corpus.iter().for_each(|input| (target.run)(input));
    let crashes = |number: &u64| {
        let input = mutate::case(&corpus, *number);
        let crashed = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err();
        if crashed {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", target.name));
            let kept = fs::write(&path, &input);
            println!("fuzz {}: case {number} crashed, input in {} ({kept:?})", target.name, path.display());
        }
        crashed
    };
    let crashes = (0..CASES).filter(crashes).count();
    println!("fuzz {}: {CASES} cases, {crashes} crashes", target.name);
    crashes
}
