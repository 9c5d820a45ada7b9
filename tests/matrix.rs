//! Notes what was seen to work: one empty file for each cell of the table in `docs/interop.md`, which `./dev test` writes.

use std::{fs, path::Path};

use crate::end::Kind;

/// Notes that calls from `caller` to `callee` do what `column` says.
///
/// # Panics
/// Where the note cannot be written.
pub fn passed(caller: Kind, callee: Kind, column: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop").join(format!("{caller}-{callee}"));
    let note = folder.join(column);
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&note, ""))
        .unwrap_or_else(|e| panic!("{}: {e}", note.display()));
}
