//! How good a call is, by its last seconds. Pure.

use std::collections::VecDeque;

use crate::api::Quality;

/// Seconds that a mark goes by: one bad second in a good call is not worth a word, and a mark that changes more often is
/// not read.
const WINDOW: usize = 5;
/// A mark gets better only when its reason has fallen under this share of its threshold: it does not flicker there.
const BETTER: f64 = 0.7;

/// What is measured in a second, each the worse the larger.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// Of our packets, in percent.
    pub loss: f64,
    /// Times that the picture stood still.
    pub freezes: f64,
    /// Round trip, in ms.
    pub round_trip: f64,
    /// Sound that was made up, in ms.
    pub concealed: f64,
    /// Pictures that the camera gave and nobody was sent, in percent.
    pub unsent: f64,
}

impl Second {
    /// From here on it can be noticed. Talkers begin to interrupt each other from some 400 ms there and back (ITU-T G.114:
    /// 150 ms one way are not noticed, 400 ms are too much); concealment is heard from a few percent on.
    const FAIR: Self = Self { loss: 3.0, freezes: 0.2, round_trip: 300.0, concealed: 30.0, unsent: 25.0 };
    /// From here on it disturbs. Of freezes: two in the window.
    const POOR: Self = Self { loss: 10.0, freezes: 0.4, round_trip: 600.0, concealed: 100.0, unsent: 60.0 };

    fn figures(self) -> [f64; 5] {
        let Self { loss, freezes, round_trip, concealed, unsent } = self;
        [loss, freezes, round_trip, concealed, unsent]
    }

    fn reaches(self, thresholds: Self, share: f64) -> bool {
        self.figures().into_iter().zip(thresholds.figures()).any(|(figure, threshold)| figure >= share * threshold)
    }

    fn mark(self, share: f64) -> Quality {
        if self.reaches(Self::POOR, share) {
            Quality::Poor
        } else if self.reaches(Self::FAIR, share) {
            Quality::Fair
        } else {
            Quality::Good
        }
    }
}

fn badness(quality: Quality) -> u8 {
    match quality {
        Quality::Good => 0,
        Quality::Fair => 1,
        Quality::Poor => 2,
    }
}

/// The mark after a window with these means, where it was `before`.
fn next_mark(means: Second, before: Quality) -> Quality {
    let (worse, better) = (means.mark(1.0), means.mark(BETTER));
    if badness(worse) > badness(before) {
        worse
    } else if badness(better) < badness(before) {
        better
    } else {
        before
    }
}

/// Marks one call, second by second.
#[derive(Debug, Default)]
pub struct Marker {
    window: VecDeque<Second>,
    mark: Option<Quality>,
}

impl Marker {
    /// Takes the newest second; the mark, once there is a whole window.
    pub fn next(&mut self, second: Second) -> Option<Quality> {
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(second);
        if self.window.len() == WINDOW {
            self.mark = Some(next_mark(self.means(), self.mark.unwrap_or(Quality::Good)));
        }
        self.mark
    }

    fn means(&self) -> Second {
        let mean = |figure: fn(&Second) -> f64| self.window.iter().map(figure).sum::<f64>() / WINDOW as f64;
        Second {
            loss: mean(|second| second.loss),
            freezes: mean(|second| second.freezes),
            round_trip: mean(|second| second.round_trip),
            concealed: mean(|second| second.concealed),
            unsent: mean(|second| second.unsent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Second = Second { loss: 0.0, freezes: 0.0, round_trip: 20.0, concealed: 0.0, unsent: 0.0 };

    /// The marks of seconds, each as long as it lasts.
    fn marks(seconds: impl IntoIterator<Item = (usize, Second)>) -> Vec<(Option<Quality>, usize)> {
        let mut marker = Marker::default();
        let all = seconds.into_iter().flat_map(|(times, second)| std::iter::repeat_n(second, times));
        let marks: Vec<_> = all.map(|second| marker.next(second)).collect();
        marks.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
    }

    #[test]
    fn the_mark_goes_by_what_disturbs_most() {
        use Quality::{Fair, Good, Poor};
        for (second, mark) in [
            (FINE, Good),
            (Second { loss: 2.9, round_trip: 299.0, concealed: 29.0, unsent: 24.0, ..FINE }, Good),
            (Second { loss: 3.0, ..FINE }, Fair),
            (Second { round_trip: 300.0, ..FINE }, Fair),
            (Second { concealed: 30.0, ..FINE }, Fair),
            (Second { unsent: 25.0, ..FINE }, Fair),
            (Second { loss: 9.9, round_trip: 599.0, concealed: 99.0, unsent: 59.0, ..FINE }, Fair),
            (Second { loss: 10.0, ..FINE }, Poor),
            (Second { round_trip: 600.0, ..FINE }, Poor),
            (Second { concealed: 100.0, ..FINE }, Poor),
            (Second { unsent: 60.0, ..FINE }, Poor),
            (Second { freezes: 1.0, ..FINE }, Poor),
        ] {
            assert_eq!(marks([(WINDOW, second)]).last(), Some(&(Some(mark), 1)), "{second:?}");
        }
    }

    #[test]
    fn a_call_is_good_until_something_is_known_against_it() {
        assert_eq!(marks([(20, FINE)]), [(None, 4), (Some(Quality::Good), 16)]);
    }

    #[test]
    fn one_freeze_is_fair_for_its_window_and_two_are_poor() {
        let frozen = Second { freezes: 1.0, ..FINE };
        let good = |seconds| (Some(Quality::Good), seconds);
        assert_eq!(
            marks([(6, FINE), (1, frozen), (20, FINE)]),
            [(None, 4), good(2), (Some(Quality::Fair), 5), good(16)]
        );
        let two = marks([(6, FINE), (1, frozen), (1, FINE), (1, frozen), (20, FINE)]);
        assert_eq!(
            two.iter().map(|(mark, _)| *mark).collect::<Vec<_>>(),
            [
                None,
                Some(Quality::Good),
                Some(Quality::Fair),
                Some(Quality::Poor),
                Some(Quality::Fair),
                Some(Quality::Good),
            ]
        );
    }

    #[test]
    fn a_figure_about_its_threshold_changes_the_mark_once() {
        for (below, above) in [
            (Second { loss: 2.5, ..FINE }, Second { loss: 3.6, ..FINE }),
            (Second { round_trip: 250.0, ..FINE }, Second { round_trip: 360.0, ..FINE }),
            (Second { concealed: 25.0, ..FINE }, Second { concealed: 36.0, ..FINE }),
        ] {
            let marks = marks((0..100).flat_map(|_| [(4, below), (4, above)]));
            assert_eq!(marks.len(), 3, "{marks:?}");
            assert_eq!(marks.last().unwrap().0, Some(Quality::Fair));
        }
    }

    #[test]
    fn a_call_that_is_good_again_is_marked_so() {
        let marks = marks([(10, Second { loss: 20.0, ..FINE }), (10, FINE)]);
        let seen: Vec<_> = marks.into_iter().filter_map(|(mark, _)| mark).collect();
        assert_eq!(seen, [Quality::Poor, Quality::Fair, Quality::Good]);
    }
}
