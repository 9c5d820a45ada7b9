//! What is wrong, in words for a user.

use std::fmt;

/// What happened, and what to do about it; in one line "what: todo".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What happened, without a full stop.
    pub what: String,
    /// What the user can do, as a request that begins with a verb where there is something to do.
    pub todo: String,
}

impl Advice {
    /// What happened, what to do.
    pub fn new(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), todo: todo.into() }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.todo)
    }
}
