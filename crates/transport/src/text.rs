//! Texts that others wrote.

/// Longest name, in characters. What is longer is cut.
pub const MAX_NAME_CHARS: usize = 100;

/// Longest text of a contact request, in characters. What is longer is cut.
pub const MAX_REQUEST_CHARS: usize = 300;

/// One line without control characters of at most `max` characters; none when nothing is left. What else must
/// not be shown (changes of direction, invisible characters) is the business of who shows it.
pub(crate) fn line(text: &str, max: usize) -> Option<String> {
    let one_line = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control());
    let cut: String = one_line.take(max).collect();
    let trimmed = cut.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// A name.
pub(crate) fn name(text: &str) -> Option<String> {
    line(text, MAX_NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_short_line() {
        let long = "é".repeat(10_000);
        let table: &[(&str, Option<&str>)] = &[
            ("Ada", Some("Ada")),
            (" A\nd\0a\u{1b}[31m ", Some("A da[31m")),
            (&long, Some(&long[..2 * MAX_NAME_CHARS])),
            ("", None),
            ("\0\n \u{7f}", None),
        ];
        for (text, expected) in table {
            assert_eq!(name(text).as_deref(), *expected, "{text:?}");
        }
    }
}
