//! What to append when the decoded sound runs out: the decision, apart from doing it.

use crate::audio::{FRAME_SAMPLES, opus::CONCEAL_STEP};

/// What the sound ended with so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing was played of this stream yet.
    Nothing,
    /// Sound: if the next packet is not there, something is missing.
    Sound,
    /// The sender said that it fell silent (DTX): if the next packet is not there, all is well.
    Silence,
}

/// The first packet that is waiting. Lengths and times in samples.
#[derive(Clone, Copy, Debug)]
pub struct Next {
    /// Packets missing before it.
    pub missing: u32,
    /// Media time between the end of the sound so far and this packet's start.
    pub gap: i64,
    /// Sound right before it that it can restore.
    pub fec: i64,
    /// How long until it would play exactly as late as the target delay wants; negative if that time is over.
    pub wait: i64,
}

/// What to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first packet that is waiting.
    Decode,
    /// What that packet repeats of the lost one before it.
    Restore,
    /// As many samples of concealment, comfort noise or silence.
    Fill(usize),
}

/// Chooses the next step; `filled` samples of the present gap were filled already.
pub fn next_step(before: Before, filled: i64, next: Option<Next>) -> Step {
    let Some(next) = next else { return Step::Fill(FRAME_SAMPLES) };
    // The sender sent nothing for a while and skipped no sequence number: it was silent without saying so.
    let paused = next.missing == 0 && next.gap > 0;
    match before {
        // The length of a silence is free: it is where the delay is set right without stretching anything.
        Before::Nothing | Before::Silence => fill_or_decode(next.wait),
        Before::Sound if paused => fill_or_decode(next.wait),
        Before::Sound => {
            let owed = next.gap - filled;
            if next.missing > 0 && next.fec > 0 && 2 * owed >= next.fec {
                // Restoring is worth it even if part of it was concealed before this packet came: stretching gains
                // the time back.
                match fill_or_decode((owed - next.fec).min(next.wait)) {
                    Step::Decode => Step::Restore,
                    fill => fill,
                }
            } else {
                fill_or_decode(owed.min(next.wait))
            }
        }
    }
}

/// Fills `samples` in the steps that Opus can conceal, 10 ms at most, and then decodes.
fn fill_or_decode(samples: i64) -> Step {
    let samples = usize::try_from(samples).unwrap_or(0).min(FRAME_SAMPLES);
    match samples - samples % CONCEAL_STEP {
        0 => Step::Decode,
        samples => Step::Fill(samples),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        use Before::*;
        use Step::*;
        let next = |missing, gap, fec, wait| Some(Next { missing, gap, fec, wait });
        let table = [
            ("the next packet is there", Sound, 0, next(0, 0, 0, 0), Decode),
            ("it came early, and yet sound has no gaps", Sound, 0, next(0, 0, 0, 900), Decode),
            ("nothing is there", Sound, 0, None, Fill(480)),
            ("it comes late, after concealment", Sound, 480, next(0, 0, 0, -480), Decode),
            ("the first packet waits for its time", Nothing, 0, next(0, 0, 0, 1000), Fill(480)),
            ("its time is nearly there", Nothing, 960, next(0, 0, 0, 300), Fill(240)),
            ("its time has come", Nothing, 960, next(0, 0, 0, 119), Decode),
            ("silence lasts until the next packet's time", Silence, 4800, next(0, 9600, 0, 4800), Fill(480)),
            ("silence ends with the packet's time", Silence, 4800, next(0, 9600, 0, 0), Decode),
            ("silence that was not announced", Sound, 480, next(0, 9600, 0, 4800), Fill(480)),
            ("one lost, the next repeats it", Sound, 0, next(1, 960, 960, 960), Restore),
            ("one lost, half of it concealed already", Sound, 480, next(1, 960, 960, 480), Restore),
            ("one lost, all of it concealed already", Sound, 960, next(1, 960, 960, 0), Decode),
            ("one lost without FEC", Sound, 0, next(1, 960, 0, 960), Fill(480)),
            ("one lost without FEC, delay too long anyway", Sound, 0, next(1, 960, 0, 240), Fill(240)),
            ("two lost, one of them repeated", Sound, 0, next(2, 1920, 960, 1920), Fill(480)),
            ("two lost, the first concealed", Sound, 960, next(2, 1920, 960, 960), Restore),
            ("timestamps overlap", Sound, 0, next(0, -5000, 0, 0), Decode),
        ];
        for (name, before, filled, next, step) in table {
            assert_eq!(next_step(before, filled, next), step, "{name}");
        }
    }
}
