//! The slot between a camera and the encoder: it holds one picture, the newest.
//!
//! A queue here would turn every hiccup of the encoder into lasting delay, so an old picture is replaced,
//! never queued. Buffers go round between the two sides (`buffer` -> `publish` -> `wait` -> `recycle`), so
//! that a running camera allocates nothing.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::I420Frame;

/// Buffers that can be out of use at one time: three exist in all, with the writer, in the slot, and with the
/// reader.
const SPARE_BUFFERS: usize = 3;

/// A new, empty slot.
pub fn slot() -> (FrameWriter, FrameReader) {
    let slot = Arc::new(Slot {
        state: Mutex::new(State {
            newest: None,
            spare: Vec::with_capacity(SPARE_BUFFERS),
            writer_gone: false,
            reader_gone: false,
        }),
        changed: Condvar::new(),
    });
    (FrameWriter { slot: slot.clone() }, FrameReader { slot })
}

struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    newest: Option<I420Frame>,
    spare: Vec<I420Frame>,
    writer_gone: bool,
    reader_gone: bool,
}

impl Slot {
    /// No code that can panic runs under the lock, so a poisoned one still holds a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, frame: I420Frame) {
        if self.spare.len() < SPARE_BUFFERS {
            self.spare.push(frame);
        }
    }
}

/// The camera's side of a slot. Dropping it closes the slot.
pub struct FrameWriter {
    slot: Arc<Slot>,
}

impl FrameWriter {
    /// A buffer to draw the next picture into: a used one where there is one. Its size and content are
    /// whatever they were; give it its size with [`I420Frame::resize`].
    pub fn buffer(&mut self) -> I420Frame {
        let spare = self.slot.lock().spare.pop();
        spare.unwrap_or_else(|| I420Frame::black(0, 0, Instant::now()))
    }

    /// Makes `frame` the newest picture. One that nobody has taken yet is replaced.
    pub fn publish(&mut self, frame: I420Frame) {
        let mut state = self.slot.lock();
        if let Some(replaced) = state.newest.replace(frame) {
            state.keep(replaced);
        }
        drop(state);
        self.slot.changed.notify_one();
    }

    /// Gives back a buffer that was not published after all.
    pub fn recycle(&mut self, frame: I420Frame) {
        self.slot.lock().keep(frame);
    }

    /// Whether the reader is gone, so that further pictures are for nobody.
    pub fn is_closed(&self) -> bool {
        self.slot.lock().reader_gone
    }
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        self.slot.lock().writer_gone = true;
        self.slot.changed.notify_one();
    }
}

/// The encoder's side of a slot. Dropping it closes the slot.
pub struct FrameReader {
    slot: Arc<Slot>,
}

/// What came of waiting for a picture.
#[derive(Debug)]
pub enum Next {
    /// The newest picture.
    Frame(I420Frame),
    /// None came within the limit.
    Timeout,
    /// None will come any more: the writer is gone, and its last picture was taken.
    Closed,
}

impl FrameReader {
    /// Waits up to `limit` for a picture that was not taken yet.
    pub fn wait(&mut self, limit: Duration) -> Next {
        let nothing_yet = |state: &mut State| state.newest.is_none() && !state.writer_gone;
        let waited = self.slot.changed.wait_timeout_while(self.slot.lock(), limit, nothing_yet);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.newest.take() {
            Some(frame) => Next::Frame(frame),
            None if state.writer_gone => Next::Closed,
            None => Next::Timeout,
        }
    }

    /// Gives a picture's buffer back for reuse.
    pub fn recycle(&mut self, frame: I420Frame) {
        self.slot.lock().keep(frame);
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        self.slot.lock().reader_gone = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough that only a broken slot lets it pass.
    const LIMIT: Duration = Duration::from_secs(10);

    fn picture(luma: u8) -> I420Frame {
        let mut frame = I420Frame::black(16, 16, Instant::now());
        frame.planes_mut().0.fill(luma);
        frame
    }

    fn taken(reader: &mut FrameReader) -> Option<I420Frame> {
        match reader.wait(Duration::ZERO) {
            Next::Frame(frame) => Some(frame),
            Next::Timeout | Next::Closed => None,
        }
    }

    #[test]
    fn an_untaken_picture_is_replaced_not_queued() {
        let (mut writer, mut reader) = slot();
        for luma in [1, 2, 3] {
            writer.publish(picture(luma));
        }
        assert_eq!(taken(&mut reader).expect("a picture").data()[0], 3);
        assert!(matches!(reader.wait(Duration::ZERO), Next::Timeout));
    }

    #[test]
    fn a_waiting_reader_is_woken_by_a_picture() {
        let (mut writer, mut reader) = slot();
        let waiting = std::thread::spawn(move || reader.wait(LIMIT));
        writer.publish(picture(7));
        assert!(matches!(waiting.join().expect("reader"), Next::Frame(frame) if frame.data()[0] == 7));
    }

    #[test]
    fn a_gone_writer_closes_the_slot_after_its_last_picture() {
        let (mut writer, mut reader) = slot();
        writer.publish(picture(1));
        drop(writer);
        assert!(taken(&mut reader).is_some());
        assert!(matches!(reader.wait(LIMIT), Next::Closed));
    }

    #[test]
    fn a_waiting_reader_is_woken_by_the_writers_end() {
        let (writer, mut reader) = slot();
        let waiting = std::thread::spawn(move || reader.wait(LIMIT));
        drop(writer);
        assert!(matches!(waiting.join().expect("reader"), Next::Closed));
    }

    #[test]
    fn a_gone_reader_is_seen_by_the_writer() {
        let (mut writer, reader) = slot();
        assert!(!writer.is_closed());
        drop(reader);
        assert!(writer.is_closed());
        writer.publish(picture(1));
    }

    #[test]
    fn buffers_go_round_in_steady_state() {
        let (mut writer, mut reader) = slot();
        let mut seen = std::collections::HashSet::new();
        for round in 0..100 {
            let mut frame = writer.buffer();
            frame.resize(64, 64);
            seen.insert(frame.data().as_ptr());
            writer.publish(frame);
            // Every third picture is replaced in the slot instead of taken.
            if round % 3 != 0 {
                let frame = taken(&mut reader).expect("a picture");
                reader.recycle(frame);
            }
        }
        assert!(seen.len() <= SPARE_BUFFERS, "{} buffers were allocated", seen.len());
    }

    #[test]
    fn unused_buffers_are_bounded() {
        let (mut writer, mut reader) = slot();
        for _ in 0..10 {
            reader.recycle(picture(0));
            writer.recycle(picture(0));
        }
        assert_eq!(writer.slot.lock().spare.len(), SPARE_BUFFERS);
    }
}
