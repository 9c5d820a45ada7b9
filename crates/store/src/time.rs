//! Moments.

use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// A moment: milliseconds since 1970-01-01 UTC, as the caller's clock had it. Clocks are set back, so a later
/// moment can have a smaller number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// The time from `earlier` to this moment; zero if the clock says that it is the other way round.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl ToSql for UnixMs {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for UnixMs {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_gives_no_time_instead_of_a_wrong_one() {
        for (from, to, ms) in [(1_000, 3_500, 2_500), (3_500, 1_000, 0), (i64::MIN, i64::MAX, i64::MAX as u64)] {
            assert_eq!(UnixMs(to).since(UnixMs(from)), Duration::from_millis(ms), "{from} to {to}");
        }
    }
}
