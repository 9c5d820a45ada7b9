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
    /// Sound right before it that it can restore (FEC).
    pub fec: i64,
    /// Sound before it that it describes (DRED): from so long before it ...
    pub dred_from: i64,
    /// ... until so long before it.
    pub dred_to: i64,
    /// It came with a later packet only.
    pub copy: bool,
    /// Its length.
    pub length: i64,
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
    /// As many samples of what that packet describes of the lost ones before it, from `offset` samples before
    /// it on.
    Revive {
        /// At most as far as the description reaches; what is lost before that is given up.
        offset: i64,
        /// At most one frame.
        samples: usize,
    },
    /// As many samples of concealment, comfort noise or silence.
    Fill(usize),
    /// Nothing: the packet is left out, because its time was filled already.
    Skip,
}

/// Chooses the next step; `filled` samples of the present gap were filled already.
pub fn next_step(before: Before, filled: i64, next: Option<Next>) -> Step {
    let Some(next) = next else { return Step::Fill(FRAME_SAMPLES) };
    // A packet that is late by itself is played late: the network is that slow now. A copy is late because
    // packets were lost, and playing it would let each loss add to the delay, and time-stretch take it away
    // again.
    let covered = next.gap + next.length;
    if next.copy && before == Before::Sound && 2 * filled > next.gap + covered {
        return match whole_steps(covered - filled) {
            0 => Step::Skip,
            samples => Step::Fill(samples),
        };
    }
    // The sender sent nothing for a while and skipped no sequence number: it was silent without saying so.
    let paused = next.missing == 0 && next.gap > 0;
    match before {
        // The length of a silence is free: it is where the delay is set right without stretching anything.
        Before::Nothing | Before::Silence => fill_or_decode(next.wait),
        Before::Sound if paused => fill_or_decode(next.wait),
        Before::Sound => {
            let owed = next.gap - filled;
            // Restoring is worth it even if part of it was concealed before this packet came: stretching
            // gains the time back.
            let fec = if next.missing > 0 && 2 * owed >= next.fec { next.fec } else { 0 };
            let to = next.dred_to.max(fec);
            let from = next.dred_from.min(owed);
            if next.missing > 0 && from - to >= CONCEAL_STEP as i64 {
                return match fill_or_decode((owed - from).min(next.wait)) {
                    Step::Decode => Step::Revive { offset: from, samples: whole_steps(from - to) },
                    fill => fill,
                };
            }
            match fill_or_decode((owed - fec).min(next.wait)) {
                Step::Decode if fec > 0 => Step::Restore,
                step => step,
            }
        }
    }
}

/// Fills `samples` in the steps that Opus can conceal, 10 ms at most, and then decodes.
fn fill_or_decode(samples: i64) -> Step {
    match whole_steps(samples) {
        0 => Step::Decode,
        samples => Step::Fill(samples),
    }
}

/// As much of `samples` as Opus can conceal at once, 10 ms at most.
fn whole_steps(samples: i64) -> usize {
    let samples = usize::try_from(samples).unwrap_or(0).min(FRAME_SAMPLES);
    samples - samples % CONCEAL_STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        use Before::*;
        use Step::*;
        let plain = Next { missing: 0, gap: 0, fec: 0, dred_from: 0, dred_to: 0, copy: false, length: 960, wait: 0 };
        let next = |missing, gap, fec, wait| Some(Next { missing, gap, fec, wait, ..plain });
        let dred = |missing, gap, fec, dred_from, dred_to| {
            Some(Next { missing, gap, fec, dred_from, dred_to, wait: gap, ..plain })
        };
        let copy = |missing, gap| Some(Next { missing, gap, copy: true, wait: gap, ..plain });
        let revive = |offset| Revive { offset, samples: 480 };
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
            ("a copy is there in time", Sound, 0, copy(0, 0), Decode),
            ("a copy comes as its time begins to be filled", Sound, 480, copy(0, 0), Decode),
            ("its time is filled for the most part", Sound, 600, copy(0, 0), Fill(360)),
            ("its time is filled", Sound, 960, copy(0, 0), Skip),
            ("its time is over for long", Sound, 4800, copy(0, 0), Skip),
            ("a copy after another loss that was filled", Sound, 960, copy(1, 960), Decode),
            ("a copy after another loss that is being filled", Sound, 480, copy(1, 960), Fill(480)),
            ("that loss and the copy's time are filled", Sound, 1920, copy(1, 960), Skip),
            ("the copy of the first packet after silence", Silence, 4800, copy(0, 0), Decode),
            ("four lost and described", Sound, 0, dred(4, 3840, 0, 9600, 0), revive(3840)),
            ("the second half of it", Sound, 0, dred(4, 1920, 0, 9600, 0), revive(1920)),
            ("concealed before the description came", Sound, 1440, dred(4, 3840, 0, 9600, 0), revive(2400)),
            ("all of it concealed already", Sound, 3840, dred(4, 3840, 0, 9600, 0), Decode),
            ("the description begins later", Sound, 0, dred(4, 3840, 0, 1920, 0), Fill(480)),
            ("now it begins", Sound, 1920, dred(4, 3840, 0, 1920, 0), revive(1920)),
            ("it ends earlier, in silence", Sound, 2880, dred(4, 3840, 0, 9600, 960), Fill(480)),
            ("the last one is repeated as well", Sound, 2880, dred(4, 3840, 960, 9600, 0), Restore),
            ("nothing is lost, and it is described", Sound, 0, dred(0, 0, 0, 9600, 0), Decode),
            ("an unannounced silence is described", Sound, 0, dred(0, 960, 0, 9600, 0), Fill(480)),
            ("less than a step is left", Sound, 3750, dred(4, 3840, 0, 9600, 0), Decode),
            ("timestamps overlap", Sound, 0, next(0, -5000, 0, 0), Decode),
        ];
        for (name, before, filled, next, step) in table {
            assert_eq!(next_step(before, filled, next), step, "{name}");
        }
    }
}
