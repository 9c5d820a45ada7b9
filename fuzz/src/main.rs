//! One target under libFuzzer: `fuzz CORPUS_DIRECTORY [LIBFUZZER_OPTION…]`, the directory being named like
//! the target. `fuzz list` names them all. See fuzz/run.
#![no_main]

use std::{fs, path::Path, process, sync::LazyLock};

use ahoy_fuzz::{TARGETS, Target, target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if argument == "list" {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        process::exit(0);
    }
    let directory = Path::new(&argument);
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let target = target(name).unwrap_or_else(|| {
        eprintln!("no target {name:?}; 'fuzz list' names them");
        process::exit(2);
    });
    for (index, seed) in (target.corpus)().iter().enumerate() {
        let path = directory.join(format!("seed-{index}"));
        fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    target
});

libfuzzer_sys::fuzz_target!(
    init: {
        LazyLock::force(&TARGET);
    },
    |data: &[u8]| (TARGET.run)(data)
);
