//! Notes what was seen to work: one empty file for each cell of the table in `docs/interop.md`, which
//! `./dev test` writes.

use std::{fmt::Display, fs, path::Path};

/// Notes that calls from `caller` to `callee` do what `column` says.
///
/// # Panics
/// Where the note cannot be written.
pub fn passed(caller: impl Display, callee: impl Display, column: &str) {
    note(&format!("{caller}-{callee}"), column);
}

/// Notes what was seen to work of something that is no pair of caller and callee.
///
/// # Panics
/// Where the note cannot be written.
pub fn note(subject: &str, column: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop").join(subject);
    let note = folder.join(column);
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&note, ""))
        .unwrap_or_else(|e| panic!("{}: {e}", note.display()));
}
