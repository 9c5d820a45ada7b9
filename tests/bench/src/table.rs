//! The table: a figure a row, Ahoy's and Chromium's, their ratio, and what is to be reached.

use std::fmt::Write;

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// No more than this part of Chromium's.
    Share(f64),
    /// Both.
    AtMostAndShare(f64, f64),
    /// So near to this.
    Near(f64, f64),
}

/// A row. Figures are `None` where nothing could be measured.
pub struct Row {
    /// What is measured, with its unit.
    pub figure: &'static str,
    /// Ahoy's.
    pub ahoy: Option<f64>,
    /// Chromium's.
    pub chromium: Option<f64>,
    /// What Ahoy's is to be.
    pub goal: Goal,
}

impl Goal {
    fn reached(self, ahoy: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::AtMost(most) => ahoy <= most,
            Self::AtLeast(least) => ahoy >= least,
            Self::Share(share) => ratio.is_some_and(|ratio| ratio <= share),
            Self::AtMostAndShare(most, share) => ahoy <= most && ratio.is_some_and(|ratio| ratio <= share),
            Self::Near(wanted, tolerance) => (ahoy - wanted).abs() <= tolerance,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::Share(share) => format!("ratio ≤ {share}"),
            Self::AtMostAndShare(most, share) => format!("≤ {most}, ratio ≤ {share}"),
            Self::Near(wanted, tolerance) => format!("{wanted} ± {tolerance}"),
        }
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.chromium.filter(|chromium| *chromium != 0.0).and_then(|chromium| Some(self.ahoy? / chromium))
    }
}

/// The rows as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = "| figure | Ahoy | Chromium | ratio | goal | reached |\n|---|--:|--:|--:|---|---|\n".to_owned();
    for row in rows {
        let ratio = row.ratio();
        let reached = match row.ahoy {
            Some(ahoy) if row.goal.reached(ahoy, ratio) => "yes",
            Some(_) => "**no**",
            None => "not measured",
        };
        let ratio = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let (ahoy, chromium) = (cell(row.ahoy), cell(row.chromium));
        let _ = writeln!(text, "| {} | {ahoy} | {chromium} | {ratio} | {} | {reached} |", row.figure, row.goal.text());
    }
    text
}

/// Three digits at least where they mean something.
fn cell(figure: Option<f64>) -> String {
    match figure {
        None => "–".to_owned(),
        Some(figure) if figure.abs() < 10.0 => format!("{figure:.2}"),
        Some(figure) => format!("{figure:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_its_ratio_and_whether_its_goal_is_reached() {
        let row = |ahoy, chromium, goal| {
            let text = markdown(&[Row { figure: "x", ahoy, chromium, goal }]);
            text.lines().last().expect("a row").to_owned()
        };
        let share = Goal::AtMostAndShare(60.0, 0.6);
        assert_eq!(row(Some(50.0), Some(100.0), share), "| x | 50.0 | 100.0 | 0.50 | ≤ 60, ratio ≤ 0.6 | yes |");
        assert!(row(Some(50.0), Some(60.0), share).ends_with("**no** |"));
        assert!(row(Some(61.0), Some(200.0), share).ends_with("**no** |"));
        assert!(row(Some(5.0), None, share).ends_with("**no** |"), "nothing to compare with");
        assert!(row(Some(28.9), None, Goal::AtLeast(29.0)).ends_with("| ≥ 29 | **no** |"));
        assert_eq!(row(Some(29.6), None, Goal::Near(30.0, 0.5)), "| x | 29.6 | – | – | 30 ± 0.5 | yes |");
        assert_eq!(row(None, Some(1.0), Goal::AtMost(2.0)), "| x | – | 1.00 | – | ≤ 2 | not measured |");
    }
}
