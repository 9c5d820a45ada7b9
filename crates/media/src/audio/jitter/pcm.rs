//! Decoded sound on both sides of the playing point: what was played lately, and what is still to be played.

use super::stretch::{self, Wish};
use crate::audio::{FRAME_SAMPLES, Frame, opus::MAX_PACKET_SAMPLES};

/// Sound kept after it was played, 30 ms: stretching goes back by up to 15 ms.
const HISTORY: usize = 1440;
/// History, two of the longest packets, and what a pull and a stretch want to see.
const CAPACITY: usize = HISTORY + 2 * MAX_PACKET_SAMPLES + 4 * FRAME_SAMPLES;

/// A line of samples with a playing point.
#[derive(Debug)]
pub struct Pcm {
    samples: Box<[f32]>,
    /// The playing point: the next sample to be played.
    cursor: usize,
    end: usize,
}

impl Pcm {
    pub fn new() -> Self {
        Self { samples: vec![0.0; CAPACITY].into_boxed_slice(), cursor: HISTORY, end: HISTORY }
    }

    /// Samples still to be played.
    pub fn available(&self) -> usize {
        self.end - self.cursor
    }

    /// Appends what `write` puts into the space it is given, [`MAX_PACKET_SAMPLES`] long; it returns how many
    /// it wrote.
    pub fn append(&mut self, write: impl FnOnce(&mut [f32]) -> usize) {
        if self.end + MAX_PACKET_SAMPLES > CAPACITY {
            self.make_room();
        }
        if let Some(space) = self.samples.get_mut(self.end..self.end + MAX_PACKET_SAMPLES) {
            self.end += write(space).min(MAX_PACKET_SAMPLES);
        }
    }

    /// Forgets what was played before the history; if too much waits to be played, its oldest part falls out
    /// too.
    fn make_room(&mut self) {
        self.cursor = self.cursor.max(self.end.saturating_sub(CAPACITY - HISTORY - MAX_PACKET_SAMPLES));
        let history = self.cursor.min(HISTORY);
        self.samples.copy_within(self.cursor - history..self.end, 0);
        self.end -= self.cursor - history;
        self.cursor = history;
    }

    /// Plays one frame; what is missing of it is silence.
    pub fn take(&mut self, out: &mut Frame) {
        out.fill(0.0);
        let available = self.available().min(FRAME_SAMPLES);
        if let Some(samples) = self.samples.get(self.cursor..self.cursor + available) {
            out.iter_mut().zip(samples).for_each(|(out, sample)| *out = *sample);
        }
        self.cursor += available;
    }

    /// Fades out what is still to be played, over at most `samples`, and drops the rest.
    pub fn fade_out(&mut self, samples: usize) {
        self.end = self.end.min(self.cursor + samples);
        let step = 1.0 / self.available().max(1) as f32;
        if let Some(rest) = self.samples.get_mut(self.cursor..self.end) {
            rest.iter_mut().zip(1..).for_each(|(sample, i)| *sample *= 1.0 - i as f32 * step);
        }
    }

    /// Shortens what is to be played by a jump ahead; returns by how many samples.
    pub fn accelerate(&mut self, wish: Wish) -> usize {
        let Some(line) = self.samples.get_mut(..self.end) else { return 0 };
        let lag = stretch::ahead(line, self.cursor, wish);
        self.cursor += lag;
        lag
    }

    /// Lengthens what is to be played by a jump back; returns by how many samples.
    pub fn decelerate(&mut self, wish: Wish) -> usize {
        let Some(line) = self.samples.get_mut(..self.end) else { return 0 };
        let lag = stretch::back(line, self.cursor, wish);
        self.cursor -= lag;
        lag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_out_in_order_however_many_pass_through() {
        let mut pcm = Pcm::new();
        let (mut written, mut read) = (0, 0);
        for _ in 0..200 {
            while pcm.available() < FRAME_SAMPLES {
                pcm.append(|space| {
                    space[..MAX_PACKET_SAMPLES].iter_mut().zip(written..).for_each(|(s, i)| *s = i as f32);
                    MAX_PACKET_SAMPLES
                });
                written += MAX_PACKET_SAMPLES;
            }
            let mut frame = [0.0; FRAME_SAMPLES];
            pcm.take(&mut frame);
            assert!(frame.iter().zip(read..).all(|(s, i)| *s == i as f32));
            read += FRAME_SAMPLES;
        }
    }

    #[test]
    fn too_much_drops_the_oldest_and_too_little_is_silence() {
        let mut pcm = Pcm::new();
        for _ in 0..10 {
            pcm.append(|space| space.len());
        }
        assert!(pcm.available() <= CAPACITY - HISTORY);
        pcm.fade_out(100);
        assert_eq!(pcm.available(), 100);
        let mut frame = [1.0; FRAME_SAMPLES];
        pcm.take(&mut frame);
        assert_eq!((frame[FRAME_SAMPLES - 1], pcm.available()), (0.0, 0));
    }
}
