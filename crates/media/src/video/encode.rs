//! The encoder's thread: takes the newest frame from the slot, makes it as small as the network asks for,
//! encodes it once for all peers, hands it to a sink.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    EncodedFrame, I420Frame,
    scale::Scaler,
    slot::{FrameReader, Next},
    vp8::{Encoder, Vp8Error},
};
use crate::units::{Bitrate, VideoFormat};

/// How long the thread waits for a frame before it looks whether it is to end. Bounds how long a drop takes
/// when the camera gives nothing, and costs 20 wake-ups a second only then.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// Weight of the newest frame in [`EncoderStats::encode_us`].
const ENCODE_TIME_WEIGHT: f64 = 0.1;

/// What the encoder did since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EncoderStats {
    /// Frames handed to the sink.
    pub frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Bytes of VP8 in them.
    pub bytes: u64,
    /// Pixels in a row of the last one.
    pub width: u32,
    /// Rows of the last one.
    pub height: u32,
    /// Running mean of the time that one frame takes, in microseconds.
    pub encode_us: f64,
    /// Frames that rate control, or an error, left out.
    pub dropped: u64,
    /// Frames that were not encoded because what was encoded before them still waited to be sent.
    pub held: u64,
}

/// Tells whether the network takes another frame now. Asked on the encoder's thread before each one; must not
/// block.
pub type Ready = Box<dyn FnMut() -> bool + Send>;

/// What the owner and the thread share.
struct Shared {
    stop: AtomicBool,
    key_frame: AtomicBool,
    bitrate: AtomicU64,
    /// What to send; none: nothing at all.
    format: Mutex<Option<VideoFormat>>,
    stats: Mutex<EncoderStats>,
}

/// A running encoder thread. Dropping it stops and joins the thread; it also ends when the slot's writer is
/// gone.
pub struct VideoEncoder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl VideoEncoder {
    /// Starts the thread. `sink` is called on it for every encoded frame, and must not block: the next frame
    /// waits.
    pub fn spawn(
        reader: FrameReader,
        format: VideoFormat,
        bitrate: Bitrate,
        sink: impl FnMut(EncodedFrame) + Send + 'static,
    ) -> Result<Self, Vp8Error> {
        Self::spawn_with_tap(reader, format, bitrate, Box::new(|| true), sink, |_| {})
    }

    /// As [`Self::spawn`], for frames that are encoded only while the network is `ready`. `tap` gets every
    /// frame of the camera, after it has been encoded and given to `sink`: only the next frame waits for what
    /// it does.
    pub fn spawn_with_tap(
        reader: FrameReader,
        format: VideoFormat,
        bitrate: Bitrate,
        ready: Ready,
        sink: impl FnMut(EncodedFrame) + Send + 'static,
        mut tap: impl FnMut(&I420Frame) + Send + 'static,
    ) -> Result<Self, Vp8Error> {
        let encoder = Encoder::new(format, bitrate)?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            key_frame: AtomicBool::new(false),
            bitrate: AtomicU64::new(bitrate.bps()),
            format: Mutex::new(Some(format)),
            stats: Mutex::default(),
        });
        let worker = Worker {
            encoder,
            bitrate,
            failing: false,
            scaler: Scaler::default(),
            due: None,
            ready,
            shared: shared.clone(),
            sink,
        };
        let thread = thread::Builder::new().name("vp8-encoder".into()).spawn(move || worker.run(reader, &mut tap));
        let thread = thread.map_err(|error| Vp8Error::Thread(error.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Makes the very next encoded frame a key frame. Requests before that frame count as one.
    pub fn request_key_frame(&self) {
        self.shared.key_frame.store(true, Relaxed);
    }

    /// Changes the target from the next frame on.
    pub fn set_bitrate(&self, bitrate: Bitrate) {
        self.shared.bitrate.store(bitrate.bps(), Relaxed);
    }

    /// Sends at most this size and rate from the next frame on; none: no frame is encoded. Another size
    /// begins with a key frame. A camera's frames are made smaller, never larger.
    pub fn set_format(&self, format: Option<VideoFormat>) {
        *self.shared.format.lock().unwrap_or_else(PoisonError::into_inner) = format;
    }

    /// Counters since the start.
    pub fn stats(&self) -> EncoderStats {
        *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for VideoEncoder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the encoder thread panicked in its sink");
        }
    }
}

/// The thread's own state.
struct Worker<S> {
    encoder: Encoder,
    bitrate: Bitrate,
    /// The last frame could not be encoded: the log says so once, and the stream goes on with a key frame.
    failing: bool,
    scaler: Scaler,
    /// When the next frame is due, where fewer are sent than the camera gives.
    due: Option<Instant>,
    ready: Ready,
    shared: Arc<Shared>,
    sink: S,
}

/// A frame this much before its time, as a share of the interval, is on time: cameras jitter.
const EARLY: f64 = 0.25;

impl<S: FnMut(EncodedFrame)> Worker<S> {
    fn run(mut self, mut reader: FrameReader, tap: &mut dyn FnMut(&I420Frame)) {
        while !self.shared.stop.load(Relaxed) {
            match reader.wait(STOP_CHECK) {
                Next::Frame(frame) => {
                    self.encode(&frame);
                    tap(&frame);
                    reader.recycle(frame);
                }
                Next::Timeout => {}
                Next::Closed => return,
            }
        }
    }

    /// Whether this frame is to be sent, by the frame rate alone.
    fn is_due(&mut self, captured_at: Instant, fps: u32) -> bool {
        let interval = Duration::from_secs(1) / fps.max(1);
        let due = self.due.unwrap_or(captured_at);
        let missing = due.saturating_duration_since(captured_at);
        // A time that is further away is of a camera whose clock went back.
        if missing > interval.mul_f64(EARLY) && missing < 2 * interval {
            return false;
        }
        // On the grid of the wanted rate, unless the camera is behind it.
        self.due = Some((due + interval).max(captured_at + interval.mul_f64(1.0 - EARLY)));
        true
    }

    fn encode(&mut self, frame: &I420Frame) {
        let format = *self.shared.format.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(format) = format.filter(|format| self.is_due(frame.captured_at, format.fps)) else { return };
        if !(self.ready)() {
            self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).held += 1;
            return;
        }
        self.follow_bitrate();
        // Taken before encoding, so that a request during it is for the frame after.
        let key = self.shared.key_frame.swap(false, Relaxed) || self.failing;
        let start = Instant::now();
        let frame = self.scaler.scale(frame, format.width, format.height);
        let encoded = self.encoder.encode(frame, key);
        let took = start.elapsed();
        match &encoded {
            Ok(_) => self.failing = false,
            Err(error) if !self.failing => {
                tracing::error!(%error, "video encoding failed");
                self.failing = true;
            }
            Err(_) => {}
        }
        let encoded = encoded.ok().flatten();
        self.count(encoded.as_ref(), took);
        if let Some(encoded) = encoded {
            (self.sink)(encoded);
        }
    }

    fn follow_bitrate(&mut self) {
        let wanted = Bitrate::from_bps(self.shared.bitrate.load(Relaxed));
        if wanted == self.bitrate {
            return;
        }
        // Also when it is refused: asking again with every frame would not change the answer.
        self.bitrate = wanted;
        if let Err(error) = self.encoder.set_bitrate(wanted) {
            tracing::warn!(%error, "the encoder keeps its bit rate");
        }
    }

    fn count(&self, encoded: Option<&EncodedFrame>, took: Duration) {
        let mut stats = self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let us = took.as_secs_f64() * 1e6;
        let first = stats.frames + stats.dropped == 0;
        stats.encode_us += if first { us } else { ENCODE_TIME_WEIGHT * (us - stats.encode_us) };
        match encoded {
            Some(frame) => {
                stats.frames += 1;
                stats.key_frames += u64::from(frame.key);
                stats.bytes += frame.data.len() as u64;
                (stats.width, stats.height) = (frame.width, frame.height);
            }
            None => stats.dropped += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};

    use super::*;
    use crate::video::{
        pattern,
        slot::{FrameWriter, slot},
    };

    const FORMAT: VideoFormat = VideoFormat { width: 320, height: 180, fps: 30 };
    /// Far over what a frame takes on a busy machine.
    const LIMIT: Duration = Duration::from_secs(20);

    struct Rig {
        writer: FrameWriter,
        encoder: VideoEncoder,
        encoded: Receiver<EncodedFrame>,
        captured_at: Instant,
        counter: u32,
    }

    impl Rig {
        fn new() -> Self {
            let (writer, reader) = slot();
            let (sender, encoded) = mpsc::channel();
            let sink = move |frame| drop(sender.send(frame));
            let encoder = VideoEncoder::spawn(reader, FORMAT, Bitrate::from_kbps(500), sink).expect("encoder");
            Self { writer, encoder, encoded, captured_at: Instant::now(), counter: 0 }
        }

        /// Shows a picture and waits for what becomes of it.
        fn frame(&mut self, width: u32, height: u32) -> EncodedFrame {
            let mut frame = self.writer.buffer();
            frame.resize(width, height);
            self.counter += 1;
            self.captured_at += Duration::from_secs(1) / FORMAT.fps;
            frame.captured_at = self.captured_at;
            pattern::draw(&mut frame, u64::from(self.counter), self.counter);
            self.writer.publish(frame);
            self.encoded.recv_timeout(LIMIT).expect("an encoded frame")
        }
    }

    #[test]
    fn a_requested_key_frame_is_the_very_next_frame_and_several_requests_are_one() {
        let mut rig = Rig::new();
        assert!(rig.frame(320, 180).key);
        assert!(!rig.frame(320, 180).key);
        for _ in 0..3 {
            rig.encoder.request_key_frame();
        }
        let keys = [(); 4].map(|()| rig.frame(320, 180).key);
        assert_eq!(keys, [true, false, false, false]);
    }

    #[test]
    fn capture_times_and_sizes_go_through_and_are_counted() {
        let mut rig = Rig::new();
        let mut bytes = 0;
        for (width, height) in [(320, 180), (320, 180), (160, 90)] {
            let encoded = rig.frame(width, height);
            assert_eq!((encoded.width, encoded.height, encoded.captured_at), (width, height, rig.captured_at));
            bytes += encoded.data.len() as u64;
        }
        let stats = rig.encoder.stats();
        assert_eq!((stats.frames, stats.key_frames, stats.bytes, stats.dropped), (3, 2, bytes, 0));
        assert_eq!((stats.width, stats.height), (160, 90));
        assert!(stats.encode_us > 0.0);
    }

    #[test]
    fn a_lower_bitrate_makes_smaller_frames_without_a_key_frame() {
        let mut rig = Rig::new();
        let second = |rig: &mut Rig| (0..30).map(|_| rig.frame(320, 180).data.len()).sum::<usize>();
        second(&mut rig);
        let before = second(&mut rig);
        rig.encoder.set_bitrate(Bitrate::from_kbps(200));
        second(&mut rig);
        let after = second(&mut rig);
        assert!(after < before * 2 / 3, "{before} bytes a second became {after}");
        assert_eq!(rig.encoder.stats().key_frames, 1);
    }

    #[test]
    fn a_picture_that_cannot_be_encoded_is_left_out_and_the_next_one_is_a_key_frame() {
        let mut rig = Rig::new();
        rig.frame(320, 180);
        let mut empty = rig.writer.buffer();
        empty.resize(0, 0);
        rig.captured_at += Duration::from_secs(1) / FORMAT.fps;
        empty.captured_at = rig.captured_at;
        rig.writer.publish(empty);
        let deadline = Instant::now() + LIMIT;
        while rig.encoder.stats().dropped == 0 {
            assert!(Instant::now() < deadline, "the picture was not even tried");
            thread::yield_now();
        }
        assert!(rig.frame(320, 180).key);
    }

    #[test]
    fn dropping_the_encoder_ends_its_thread_and_its_sink() {
        let rig = Rig::new();
        drop(rig.encoder);
        assert!(rig.encoded.recv_timeout(LIMIT).is_err(), "the sink should be gone");
    }

    #[test]
    fn the_thread_ends_when_the_camera_does() {
        let rig = Rig::new();
        drop(rig.writer);
        assert_eq!(rig.encoded.recv_timeout(LIMIT).err(), Some(mpsc::RecvTimeoutError::Disconnected));
    }
}
