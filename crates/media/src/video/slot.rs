//! The latest-frame slot (stand-in until the capture branch is merged).

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::I420Frame;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    frame: Option<I420Frame>,
    spare: Vec<I420Frame>,
    closed: bool,
}

/// The producer's side.
pub struct FrameWriter(Arc<Shared>);
/// The consumer's side.
pub struct FrameReader(Arc<Shared>);

/// What the reader got.
pub enum Next {
    /// The newest frame.
    Frame(I420Frame),
    /// None within the limit.
    Timeout,
    /// The writer is gone.
    Closed,
}

/// A slot for one frame.
pub fn slot() -> (FrameWriter, FrameReader) {
    let shared = Arc::<Shared>::default();
    (FrameWriter(shared.clone()), FrameReader(shared))
}

impl FrameWriter {
    /// A frame to write into.
    pub fn buffer(&mut self) -> I420Frame {
        let spare = self.0.state.lock().unwrap_or_else(PoisonError::into_inner).spare.pop();
        spare.unwrap_or_else(|| I420Frame::black(16, 16, Instant::now()))
    }

    /// Replaces the frame in the slot.
    pub fn publish(&mut self, frame: I420Frame) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = state.frame.replace(frame) {
            state.spare.push(old);
        }
        self.0.changed.notify_one();
    }

    /// Whether the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed
    }
}

impl FrameReader {
    /// Waits for a frame.
    pub fn wait(&mut self, limit: Duration) -> Next {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.changed.wait_timeout_while(state, limit, |state| state.frame.is_none() && !state.closed);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.frame.take() {
            Some(frame) => Next::Frame(frame),
            None if state.closed => Next::Closed,
            None => Next::Timeout,
        }
    }

    /// Gives a frame's memory back.
    pub fn recycle(&mut self, frame: I420Frame) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).spare.push(frame);
    }
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.changed.notify_one();
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
}
