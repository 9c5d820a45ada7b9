//! What a call over a path has to reach, and whether it did.

use super::{
    call::{Ends, Program},
    measure::Outcome,
};

/// What is to be reached on a path, by each of Ahoy's calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Frozen at most this share of the time.
    Frozen(f64),
    /// Frozen at most this part of Chromium's.
    FrozenBesideChromium(f64),
    /// 95 % of the queue's samples at most this, in ms.
    QueueP95(f64),
    /// At least this share of the bottleneck used.
    Used(f64),
    /// At least as much of the bottleneck used as Chromium.
    UsedBesideChromium,
    /// 90 % of the bottleneck used within this many seconds.
    Found(f64),
    /// At most this share of the sound made up.
    Concealed(f64),
    /// At least this many frames a second.
    Fps(f64),
    /// At least this many kbit/s carried.
    Kbps(f64),
}

/// Where Chromium sends, its estimator decides how the bottleneck is used. Goals for that are reached as well
/// where the figure is this near to that of Chromium's own call: receiving by Ahoy then costs it nothing.
const NEAR_CHROMIUM: f64 = 0.1;

impl Goal {
    /// Says what is missing to the goal; none where it is reached, or is a comparison with a call that was
    /// not held.
    pub fn missed(self, ends: Ends, outcome: &Outcome, chromium: Option<&Outcome>) -> Option<String> {
        match self.reached(ends, outcome, chromium) {
            Some(true) => None,
            Some(false) => Some(self.text()),
            None if self.is_comparison() && chromium.is_none() => None,
            None => Some(format!("{} (not measured)", self.text())),
        }
    }

    fn is_comparison(self) -> bool {
        matches!(self, Self::FrozenBesideChromium(_) | Self::UsedBesideChromium)
    }

    /// Whether a call reached it; none where a figure is missing.
    fn reached(self, ends: Ends, outcome: &Outcome, chromium: Option<&Outcome>) -> Option<bool> {
        let reached = self.reached_by_itself(outcome, chromium)?;
        if reached || ends.sender == Program::Ahoy {
            return Some(reached);
        }
        Some(chromium.is_some_and(|chromium| self.is_near(outcome, chromium)))
    }

    fn reached_by_itself(self, outcome: &Outcome, chromium: Option<&Outcome>) -> Option<bool> {
        Some(match self {
            Self::Frozen(most) => outcome.seen.frozen()? <= most,
            // A call that was not connected showed nothing all the time.
            Self::FrozenBesideChromium(part) => outcome.seen.frozen()? <= part * chromium?.seen.frozen().unwrap_or(1.0),
            Self::QueueP95(most) => outcome.queue(0.95)? <= most,
            Self::Used(least) => outcome.used? >= least,
            Self::UsedBesideChromium => outcome.used? >= chromium?.used?,
            Self::Found(seconds) => outcome.found_s.is_some_and(|found| found <= seconds),
            Self::Concealed(most) => outcome.seen.concealed? <= most,
            Self::Fps(least) => outcome.seen.fps()? >= least,
            Self::Kbps(least) => outcome.kbps >= least,
        })
    }

    /// Whether what the sender decides is about as in `chromium`, a call in which the same program sends.
    fn is_near(self, outcome: &Outcome, chromium: &Outcome) -> bool {
        let at_most = |ours: Option<f64>, theirs: Option<f64>| {
            theirs.is_none_or(|theirs| ours.is_some_and(|ours| ours <= theirs * (1.0 + NEAR_CHROMIUM)))
        };
        let at_least = |ours: Option<f64>, theirs: Option<f64>| {
            theirs.is_none_or(|theirs| ours.is_some_and(|ours| ours >= theirs * (1.0 - NEAR_CHROMIUM)))
        };
        match self {
            Self::QueueP95(_) => at_most(outcome.queue(0.95), chromium.queue(0.95)),
            Self::Used(_) | Self::UsedBesideChromium => at_least(outcome.used, chromium.used),
            Self::Found(_) => at_most(outcome.found_s, chromium.found_s),
            Self::Kbps(_) => at_least(Some(outcome.kbps), Some(chromium.kbps)),
            // These depend on the receiver.
            Self::Frozen(_) | Self::FrozenBesideChromium(_) | Self::Concealed(_) | Self::Fps(_) => false,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Frozen(most) => format!("frozen ≤ {} %", most * 100.0),
            Self::FrozenBesideChromium(part) => format!("frozen ≤ {part} of Chromium's"),
            Self::QueueP95(most) => format!("queue p95 ≤ {most} ms"),
            Self::Used(least) => format!("used ≥ {least}"),
            Self::UsedBesideChromium => "used ≥ Chromium's".to_owned(),
            Self::Found(seconds) => format!("90 % used within {seconds} s"),
            Self::Concealed(most) => format!("sound made up ≤ {} %", most * 100.0),
            Self::Fps(least) => format!("frames a second ≥ {least}"),
            Self::Kbps(least) => format!("kbit/s ≥ {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{RECEIVING, SENDING, measure::Seen},
        *,
    };

    fn used(used: f64) -> Outcome {
        Outcome { used: Some(used), ..Outcome::default() }
    }

    fn frozen(share: f64) -> Outcome {
        let frames = (0..=((1.0 - share) * 100.0) as u32).map(|frame| f64::from(frame) * 100.0).collect();
        Outcome { seen: Seen { frames, between: (0.0, 10_000.0), ..Seen::default() }, ..Outcome::default() }
    }

    #[test]
    fn a_sender_has_to_reach_the_figure_and_a_receiver_may_be_as_good_as_chromium() {
        let reached = |ends, ours, theirs| Goal::Used(0.85).reached(ends, &used(ours), Some(&used(theirs)));
        assert_eq!(reached(SENDING, 0.86, 0.9), Some(true));
        assert_eq!(reached(SENDING, 0.7, 0.6), Some(false));
        assert_eq!(reached(RECEIVING, 0.7, 0.75), Some(true));
        assert_eq!(reached(RECEIVING, 0.6, 0.75), Some(false));
        assert_eq!(Goal::Used(0.85).reached(RECEIVING, &used(0.6), None), Some(false));
    }

    #[test]
    fn freezes_are_the_receivers_even_where_chromium_sends() {
        let beside = |part, ours, theirs| {
            Goal::FrozenBesideChromium(part).reached(RECEIVING, &frozen(ours), Some(&frozen(theirs)))
        };
        assert_eq!(beside(0.5, 0.1, 0.3), Some(true));
        assert_eq!(beside(0.5, 0.2, 0.3), Some(false));
        assert_eq!(beside(0.5, 0.4, 1.0), Some(true));
    }

    #[test]
    fn a_missing_figure_is_told_and_a_missing_comparison_is_not() {
        let missed = |goal: Goal, outcome| goal.missed(SENDING, &outcome, None);
        assert_eq!(missed(Goal::Used(0.85), used(0.9)), None);
        assert_eq!(missed(Goal::Used(0.85), used(0.8)).as_deref(), Some("used ≥ 0.85"));
        assert_eq!(missed(Goal::Used(0.85), Outcome::default()).as_deref(), Some("used ≥ 0.85 (not measured)"));
        assert_eq!(missed(Goal::FrozenBesideChromium(0.5), frozen(0.2)), None);
        let not_connected = Outcome::default();
        let beside = |ours| Goal::FrozenBesideChromium(0.5).missed(SENDING, &frozen(ours), Some(&not_connected));
        assert_eq!((beside(0.4), beside(0.6)), (None, Some("frozen ≤ 0.5 of Chromium's".to_owned())));
    }
}
