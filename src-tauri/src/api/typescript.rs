//! Keeps the page's types the same as ours.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ts_rs::{Config, TS};

use super::*;

/// Every type that no other one leads to.
fn export(folder: &Path) {
    let config = Config::new().with_out_dir(folder).with_large_int("number");
    Start::export_all(&config).unwrap();
    AppEvent::export_all(&config).unwrap();
    Invite::export_all(&config).unwrap();
    Hole::export_all(&config).unwrap();
}

fn read(folder: &Path) -> BTreeMap<PathBuf, String> {
    let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().into(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn the_pages_types_are_ours() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/src/ipc/generated");
    if std::env::var_os("AHOY_BLESS").is_some() {
        let _ = fs::remove_dir_all(&kept);
        export(&kept);
        return;
    }
    let fresh = tempfile::tempdir().unwrap();
    export(fresh.path());
    let (kept, fresh) = (read(&kept), read(fresh.path()));
    let names = |files: &BTreeMap<PathBuf, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&kept), names(&fresh), "AHOY_BLESS=1 cargo test -p ahoy typescript writes them anew");
    for (name, text) in &fresh {
        assert_eq!(kept.get(name), Some(text), "{}: AHOY_BLESS=1 cargo test -p ahoy typescript", name.display());
    }
}
