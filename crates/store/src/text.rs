//! Text that others wrote, made safe to show.

use std::fmt;

use rusqlite::{
    Error, Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};

/// A name for people: one line, something visible in it, at most [`DisplayName::MAX_CHARS`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DisplayName(String);

/// What somebody writes who asks to be a contact: one line of at most [`RequestText::MAX_CHARS`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestText(String);

impl DisplayName {
    /// The longest names of real people have some 60 characters; this keeps a list of names readable.
    pub const MAX_CHARS: usize = 100;

    /// The name without what could break or forge the line that it is shown in (control characters, changes
    /// of the writing direction, invisible characters), cut at the limit; none when nothing visible is left.
    pub fn new(text: &str) -> Option<Self> {
        clean(text, Self::MAX_CHARS).map(Self)
    }
}

impl RequestText {
    /// Two or three sentences: who I am, where we met.
    pub const MAX_CHARS: usize = 300;

    /// The text, treated as a [`DisplayName`] is.
    pub fn new(text: &str) -> Option<Self> {
        clean(text, Self::MAX_CHARS).map(Self)
    }
}

fn clean(text: &str, max_chars: usize) -> Option<String> {
    let mut line = String::new();
    let mut chars = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() {
            gap = chars > 0;
            continue;
        }
        if !is_shown(c) {
            continue;
        }
        let needed = 1 + usize::from(gap);
        if chars + needed > max_chars {
            break;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
        }
        line.push(c);
        chars += needed;
    }
    line.chars().any(|c| c != ' ' && !joins(c)).then_some(line)
}

/// Emoji and several scripts need these between letters; alone they show nothing.
fn joins(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Whether a character shows as itself. Not so: control characters; those that change the direction of what
/// follows them (UAX #9 section 2), with which a name can pretend to end elsewhere; and those that show
/// nothing, with which two names can look the same.
fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{00ad}' | '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'
            | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A column with a name or a hint. A disk that garbles a letter is not noticed by SQLite: what makes no sense
/// counts as not said, and the row with its key is worth no less.
pub(crate) fn hint<T: FromSql>(row: &Row, column: usize) -> rusqlite::Result<Option<T>> {
    match row.get(column) {
        Err(Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::Utf8Error(..)) => Ok(None),
        read => read,
    }
}

macro_rules! text_column {
    ($type:ident) => {
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::new(value.as_str()?).ok_or(FromSqlError::InvalidType)
            }
        }
    };
}

text_column!(DisplayName);
text_column!(RequestText);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_safely() {
        let ten_thousand = "ab".repeat(5_000);
        let table: &[(&str, Option<&str>)] = &[
            ("Ada", Some("Ada")),
            ("  Ada   Lovelace ", Some("Ada Lovelace")),
            ("Ada\nLovelace\t\r", Some("Ada Lovelace")),
            ("A\0d\u{7}a\u{1b}[31m\u{9b}", Some("Ada[31m")),
            ("\u{202e}adA\u{202c}", Some("adA")),
            ("\u{2066}Ada\u{2069}\u{200f}\u{061c}", Some("Ada")),
            ("A\u{200b}d\u{feff}a\u{ad}", Some("Ada")),
            ("Ada\u{2028}B", Some("Ada B")),
            ("👩\u{200d}🚀", Some("👩\u{200d}🚀")),
            ("می\u{200c}خواهم", Some("می\u{200c}خواهم")),
            ("Zoë 王", Some("Zoë 王")),
            (&ten_thousand, Some(&ten_thousand[..DisplayName::MAX_CHARS])),
            ("", None),
            (" \t\n\u{a0}", None),
            ("\u{202e}\u{0}\u{200b}", None),
            ("\u{200d}\u{fe0f}", None),
            ("\u{3164}\u{2800}", None),
        ];
        for (text, expected) in table {
            let name = DisplayName::new(text);
            assert_eq!(name.as_ref().map(DisplayName::as_str), *expected, "{text:?}");
            let again = name.as_ref().and_then(|n| DisplayName::new(n.as_str()));
            assert_eq!(again, name, "{text:?} changes when it is read back");
        }
    }

    #[test]
    fn the_limit_counts_characters_and_leaves_no_space_at_the_end() {
        let name = DisplayName::new(&"é".repeat(DisplayName::MAX_CHARS + 1)).unwrap();
        assert_eq!(name.as_str().chars().count(), DisplayName::MAX_CHARS);
        let name = DisplayName::new(&format!("{} b", "a".repeat(DisplayName::MAX_CHARS - 1))).unwrap();
        assert_eq!(name.as_str(), "a".repeat(DisplayName::MAX_CHARS - 1));
        let text = RequestText::new(&"x ".repeat(RequestText::MAX_CHARS)).unwrap();
        assert_eq!(text.as_str().chars().count(), RequestText::MAX_CHARS - 1);
    }
}
