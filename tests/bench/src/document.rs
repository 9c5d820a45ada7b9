//! `docs/bench.md`: parts, each written by a benchmark of its own, which leaves the others as they are.

use std::{fs, path::Path};

/// One of the parts, in the order of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `./dev bench`: two programs on one machine.
    Local,
    /// `./dev bench net`: two programs with a path between them.
    Net,
    /// `./dev bench soak`: one long call.
    Soak,
    /// `./dev bench calls`: many calls, one after the other.
    Calls,
}

/// What stands before each part but the first.
const MARKS: [&str; 3] = [
    "<!-- What follows is written by ./dev bench net. -->\n",
    "<!-- What follows is written by ./dev bench soak. -->\n",
    "<!-- What follows is written by ./dev bench calls. -->\n",
];

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
    let mut parts = [""; MARKS.len() + 1];
    let mut rest = document;
    for (index, mark) in MARKS.iter().enumerate().rev() {
        if let Some((before, after)) = rest.split_once(mark) {
            (rest, parts[index + 1]) = (before, after);
        }
    }
    parts[0] = rest;
    parts[part as usize] = text;
    let mut document = parts[0].trim().to_owned() + "\n";
    for (mark, part) in MARKS.iter().zip(&parts[1..]).filter(|(_, part)| !part.trim().is_empty()) {
        document += &format!("\n{mark}\n{}\n", part.trim());
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_replaced_and_the_others_kept() {
        let one = with("", Part::Local, "# local\n");
        assert_eq!(one, "# local\n");
        let all = with(&with(&one, Part::Soak, "## soak"), Part::Net, "## net\n");
        assert_eq!(all, format!("# local\n\n{}\n## net\n\n{}\n## soak\n", MARKS[0], MARKS[1]));
        assert_eq!(with(&all, Part::Net, "## net\n"), all, "written twice is written once");
        assert_eq!(with(&all, Part::Local, "# new\n"), all.replace("# local", "# new"));
        assert_eq!(with(&all, Part::Soak, "## long\n"), all.replace("## soak", "## long"));
        assert_eq!(with(&all, Part::Calls, "## calls\n"), format!("{all}\n{}\n## calls\n", MARKS[2]));
    }
}
