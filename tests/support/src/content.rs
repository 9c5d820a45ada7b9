//! What arrived at one end of a call, and whether it is what was sent: the test signal, silence, or nothing.
//!
//! The form of the signal is in `docs/architecture.md`, "The test signal".

use std::fmt;

/// A picture as it was shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// When, in unix ms.
    pub at: f64,
    /// What its cells said; `None` where it is not the test pattern.
    pub cells: Option<Cells>,
}

/// What the cells of the test pattern say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cells {
    /// From the frame's capture until it was shown, in ms.
    pub age_ms: f64,
    /// Its number.
    pub counter: u32,
    /// Whether the white square was there.
    pub flash: bool,
}

/// 50 ms of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Their end, in unix ms.
    pub at: f64,
    /// Root mean square of everything, full scale 1.
    pub rms: f64,
    /// Amplitude of the 440 Hz, full scale 1.
    pub tone: f64,
}

/// What arrived over a stretch of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// Pictures, in order.
    pub frames: Vec<Shown>,
    /// Loudness, in order.
    pub levels: Vec<Level>,
    /// Onsets of 1 kHz beeps, in unix ms.
    pub beeps: Vec<f64>,
    /// The stretch itself, from and to, in unix ms.
    pub watched: (f64, f64),
}

/// As many pictures in a row tell a stream from a lucky one: a third of a second.
const PICTURES: usize = 10;
/// Levels in a row that tell a tone from a click: half a second, which a beep touches at two places at most.
const LEVELS: usize = 10;
/// Under this amplitude the tone would be a hundredth of what was sent.
const FAINT: f64 = 0.0005;
/// How far a second between two beeps may be off: a playout that stretches or shortens sound to keep up.
const BEEP_JITTER_MS: f64 = 120.0;
/// Rounding and comfort noise stay under this (-60 dBFS).
const SILENCE: f64 = 0.001;
/// How long silence or darkness must last: a beep is due once a second, a picture far more often.
const QUIET_MS: f64 = 1500.0;

impl Content {
    /// What came after `moment`, in unix ms.
    #[must_use]
    pub fn since(mut self, moment: f64) -> Self {
        self.frames.retain(|frame| frame.at > moment);
        self.levels.retain(|level| level.at > moment);
        self.beeps.retain(|&beep| beep > moment);
        self.watched.0 = self.watched.0.max(moment);
        self
    }

    /// Readable pictures of the test pattern, their numbers and times rising.
    pub fn shows_pattern(&self) -> bool {
        let mut cells: Vec<Cells> = self.frames.iter().rev().map_while(|shown| shown.cells).take(PICTURES).collect();
        cells.reverse();
        cells.len() == PICTURES && cells.is_sorted_by(|one, next| one.counter < next.counter)
    }

    /// 440 Hz that is nearly all there is between the beeps, and two beeps a second apart.
    pub fn sounds_tone(&self) -> bool {
        let pure = |level: &&Level| level.tone > FAINT && level.tone / f64::sqrt(2.0) > 0.9 * level.rms;
        let tone = self.levels.iter().filter(pure).count() >= LEVELS;
        let second_apart = |pair: &[f64]| (pair[1] - pair[0] - 1000.0).abs() < BEEP_JITTER_MS;
        tone && self.beeps.windows(2).any(second_apart)
    }

    /// The stretch ends with silence that was played: no tone, no beep, but a sound stream.
    pub fn ends_silent(&self) -> bool {
        let since = self.watched.1 - QUIET_MS;
        let mut last = self.levels.iter().filter(|level| level.at > since).peekable();
        self.watched.0 <= since
            && last.peek().is_some()
            && last.all(|level| level.rms < SILENCE)
            && !self.beeps.iter().any(|&beep| beep > since)
    }

    /// The stretch ends with no picture at all.
    pub fn ends_dark(&self) -> bool {
        let since = self.watched.1 - QUIET_MS;
        self.watched.0 <= since && !self.frames.iter().any(|frame| frame.at > since)
    }
}

/// For a failure's message: how much arrived, and the last of it.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, levels, beeps, watched: (from, to) } = self;
        write!(f, "in {:.0} ms {} pictures, {} levels, {} beeps", to - from, frames.len(), levels.len(), beeps.len())?;
        write!(f, "; the last: {:?}, {:?}, {:?}", frames.last(), levels.last(), beeps.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds of the test signal, at 30 pictures and 20 levels a second.
    fn signal() -> Content {
        let shown = |n: u32| Shown {
            at: f64::from(n) * 1000.0 / 30.0,
            cells: Some(Cells { age_ms: 40.0, counter: n, flash: n.is_multiple_of(30) }),
        };
        let level = |n: u32| Level { at: f64::from(n) * 50.0, rms: 0.0354, tone: 0.05 };
        Content {
            frames: (0..300).map(shown).collect(),
            levels: (0..200).map(level).collect(),
            beeps: (0..10).map(|n| f64::from(n) * 1000.0).collect(),
            watched: (0.0, 10_000.0),
        }
    }

    #[test]
    fn the_test_signal_is_recognised_and_is_neither_silent_nor_dark() {
        let content = signal();
        assert!(content.shows_pattern() && content.sounds_tone());
        assert!(!content.ends_silent() && !content.ends_dark());
    }

    #[test]
    fn a_frozen_or_foreign_picture_is_not_the_pattern() {
        let mut frozen = signal();
        frozen.frames.iter_mut().filter_map(|frame| frame.cells.as_mut()).for_each(|cells| cells.counter = 7);
        assert!(!frozen.shows_pattern());
        let mut foreign = signal();
        foreign.frames.iter_mut().for_each(|frame| frame.cells = None);
        assert!(!foreign.shows_pattern());
    }

    #[test]
    fn noise_or_a_tone_without_beeps_is_not_the_tone() {
        let mut noise = signal();
        noise.levels.iter_mut().for_each(|level| level.rms = 0.2);
        assert!(!noise.sounds_tone());
        let mut steady = signal();
        steady.beeps.clear();
        assert!(!steady.sounds_tone());
    }

    #[test]
    fn silence_and_darkness_must_last_and_be_watched() {
        let muted_at = |moment: f64| {
            let mut content = signal();
            content.levels.iter_mut().filter(|level| level.at > moment).for_each(|level| level.rms = 0.0);
            content.beeps.retain(|&beep| beep < moment);
            content.frames.retain(|frame| frame.at < moment);
            content
        };
        assert!(muted_at(8000.0).ends_silent() && muted_at(8000.0).ends_dark());
        assert!(!muted_at(9000.0).ends_silent() && !muted_at(9000.0).ends_dark());
        let just_begun = muted_at(8000.0).since(9500.0);
        assert!(!just_begun.ends_silent() && !just_begun.ends_dark());
        let mut no_sound_at_all = signal();
        no_sound_at_all.levels.clear();
        no_sound_at_all.beeps.clear();
        assert!(!no_sound_at_all.ends_silent(), "no stream is not a silent stream");
    }
}
