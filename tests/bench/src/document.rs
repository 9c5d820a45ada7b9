//! `docs/bench.md`: two parts, each written by a benchmark of its own, which leaves the other as it is.

use std::{fs, path::Path};

/// Stands between the two parts.
const BETWEEN: &str = "<!-- What follows is written by ./dev bench net. -->\n";

/// One of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `./dev bench`: two programs on one machine.
    Local,
    /// `./dev bench net`: two programs with a path between them.
    Net,
}

/// Replaces `part` in the document.
///
/// # Panics
/// Where it cannot be written.
pub fn write(part: Part, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bench.md");
    let before = fs::read_to_string(&file).unwrap_or_default();
    fs::write(&file, with(&before, part, text)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

fn with(document: &str, part: Part, text: &str) -> String {
    let (local, net) = document.split_once(BETWEEN).unwrap_or((document, ""));
    let (local, net) = match part {
        Part::Local => (text, net),
        Part::Net => (local, text),
    };
    match net {
        "" => local.to_owned(),
        net => format!("{}\n{BETWEEN}\n{}", local.trim_end().to_owned() + "\n", net.trim_start()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_replaced_and_the_other_kept() {
        let one = with("", Part::Local, "# local\n");
        assert_eq!(one, "# local\n");
        let both = with(&one, Part::Net, "## net\n");
        assert_eq!(both, format!("# local\n\n{BETWEEN}\n## net\n"));
        assert_eq!(with(&both, Part::Net, "## net\n"), both, "written twice is written once");
        assert_eq!(with(&both, Part::Local, "# new\n"), format!("# new\n\n{BETWEEN}\n## net\n"));
    }
}
