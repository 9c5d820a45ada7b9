//! One stream as pixels, for a window whose pictures the shell paints.
//!
//! ```text
//! hub ── frames ──▶ [thread: decoder ──▶ scaling and colours] ──▶ newest pixels ──▶ window
//!     ── pictures ───────────────────▶
//! ```
//!
//! Every frame is decoded, only the newest is converted: a machine that is too slow for the stream shows
//! fewer pictures and no late ones. Our own picture is there without having been encoded.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use ahoy_media::{
    video::{
        I420Frame,
        screen::{Fit, ScreenConverter, Size},
        vp8::{Decoder, Vp8Error},
    },
    webm::hub::{Cursor, Frames, Hub, HubError, Pictures, StreamId},
};
use bytes::Bytes;
use tokio::{runtime::Handle, sync::watch};

/// Waits in ms after reads that cannot be decoded, one after the other; then a stream is taken for broken.
/// Each read starts at the newest key frame.
const RETRIES_MS: [u64; 5] = [50, 100, 200, 400, 800];
/// Pixels wait in one buffer, are shown in another and are made in a third.
const BUFFERS: usize = 3;

/// How a stream is to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The pixels that there are for it.
    pub size: Size,
    /// How it fills them.
    pub fit: Fit,
    /// Left and right change places.
    pub mirrored: bool,
}

/// A picture as the screen has it, see [`ScreenConverter`].
#[derive(Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Row by row, without padding.
    pub data: Vec<u8>,
    /// Its sides.
    pub size: Size,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// New pixels wait.
    Picture,
    /// It is over.
    Ended,
    /// It cannot be shown.
    Failed,
}

/// A running painter. Dropping it ends its thread, which nobody waits for.
#[derive(Debug)]
pub struct Painter {
    look: watch::Sender<Look>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    newest: Option<Pixels>,
    spare: Vec<Vec<u8>>,
}

impl Painter {
    /// Starts a thread that reads `stream`; `tell` is called on it.
    ///
    /// # Errors
    /// The decoder cannot be made, or the system gives no thread.
    pub fn start(
        hub: Hub,
        stream: StreamId,
        look: Look,
        runtime: Handle,
        tell: impl Fn(News) + Send + 'static,
    ) -> Result<Self, Vp8Error> {
        let shared = Arc::<Mutex<Shared>>::default();
        let (look, looks) = watch::channel(look);
        let source = match hub.pictures(&stream) {
            Some(pictures) => Source::Pictures(pictures),
            None => Source::Frames { hub, decoder: Decoder::new()?, after: None, failures: 0 },
        };
        let converter = ScreenConverter::default();
        let worker = Worker { stream, source, looks, converter, shared: Arc::clone(&shared), tell };
        thread::Builder::new()
            .name("painter".to_owned())
            .spawn(move || worker.run(&runtime))
            .map_err(|error| Vp8Error::Thread(error.to_string()))?;
        Ok(Self { look, shared })
    }

    /// How it is to be shown from now on; the picture that is there is made anew.
    pub fn set_look(&self, look: Look) {
        self.look.send_if_modified(|now| std::mem::replace(now, look) != look);
    }

    /// The newest pixels, once.
    pub fn take(&self) -> Option<Pixels> {
        lock(&self.shared).newest.take()
    }

    /// Takes pixels back that are shown no more.
    pub fn recycle(&self, pixels: Pixels) {
        recycle(&mut lock(&self.shared), pixels.data);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn recycle(shared: &mut Shared, buffer: Vec<u8>) {
    if shared.spare.len() < BUFFERS {
        shared.spare.push(buffer);
    }
}

/// The thread's own.
struct Worker<T> {
    stream: StreamId,
    source: Source,
    looks: watch::Receiver<Look>,
    converter: ScreenConverter,
    shared: Arc<Mutex<Shared>>,
    tell: T,
}

/// Where pictures come from.
#[expect(clippy::large_enum_variant, reason = "a thread has one")]
enum Source {
    Frames {
        hub: Hub,
        decoder: Decoder,
        after: Option<Cursor>,
        /// Reads one after the other that could not be decoded.
        failures: usize,
    },
    Pictures(Pictures),
}

/// What the thread wakes up for.
enum Wake {
    /// Another look.
    Look,
    /// Nobody wants it any more.
    Dropped,
    /// Frames to decode, and where to read on.
    Frames(Vec<Bytes>, Cursor),
    /// A picture.
    Picture,
    /// The stream's end.
    Ended,
    /// There is no such stream.
    Failed(HubError),
}

impl Source {
    /// Waits for more of the stream.
    async fn more(&mut self, stream: &StreamId) -> Wake {
        match self {
            Self::Frames { hub, after, .. } => match hub.read_frames(stream, *after).await {
                Ok(Frames::Media { frames, next }) => Wake::Frames(frames, next),
                Ok(Frames::End) => Wake::Ended,
                Err(error) => Wake::Failed(error),
            },
            Self::Pictures(pictures) => match pictures.changed().await {
                Ok(()) => Wake::Picture,
                Err(_) => Wake::Ended,
            },
        }
    }

    /// Whether these frames made a picture; or why not, and how long to wait before reading on, if that is
    /// worth it.
    fn decode(&mut self, frames: &[Bytes], next: Cursor) -> Result<bool, (Vp8Error, Option<Duration>)> {
        let Self::Frames { decoder, after, failures, .. } = self else { return Ok(false) };
        let decode = |shown: bool, frame: &Bytes| Ok(decoder.decode_in_place(frame)? || shown);
        match frames.iter().try_fold(false, decode) {
            Ok(shown) => {
                (*after, *failures) = (Some(next), 0);
                Ok(shown)
            }
            Err(error) => {
                let wait = RETRIES_MS.get(*failures).copied().map(Duration::from_millis);
                (*after, *failures) = (None, *failures + 1);
                Err((error, wait))
            }
        }
    }
}

impl<T: Fn(News)> Worker<T> {
    fn run(mut self, runtime: &Handle) {
        loop {
            let wake = runtime.block_on(async {
                tokio::select! {
                    changed = self.looks.changed() => if changed.is_ok() { Wake::Look } else { Wake::Dropped },
                    more = self.source.more(&self.stream) => more,
                }
            });
            match wake {
                Wake::Dropped => return,
                Wake::Look | Wake::Picture => self.show(),
                Wake::Frames(frames, next) => match self.source.decode(&frames, next) {
                    Ok(true) => self.show(),
                    Ok(false) => {}
                    Err((error, wait)) => {
                        tracing::warn!(%error, stream = %self.stream, "a picture cannot be shown");
                        let Some(wait) = wait else { return (self.tell)(News::Failed) };
                        thread::sleep(wait);
                    }
                },
                Wake::Ended => return (self.tell)(News::Ended),
                Wake::Failed(error) => {
                    tracing::warn!(%error, "no stream to show");
                    return (self.tell)(News::Failed);
                }
            }
        }
    }

    /// Makes pixels of the picture that is there.
    fn show(&mut self) {
        let Look { size, fit, mirrored } = *self.looks.borrow_and_update();
        let mut data = lock(&self.shared).spare.pop().unwrap_or_default();
        // Kept, so that who makes pictures is not held up.
        let kept;
        let picture = match &mut self.source {
            Source::Frames { decoder, .. } => decoder.picture(),
            Source::Pictures(pictures) => {
                kept = pictures.borrow_and_update().clone();
                kept.as_deref().map(I420Frame::view)
            }
        };
        let size = picture.map(|picture| self.converter.convert(picture, size, fit, mirrored, &mut data));
        let mut shared = lock(&self.shared);
        let Some(size) = size.filter(|&size| size != Size::default()) else { return recycle(&mut shared, data) };
        let unseen = shared.newest.replace(Pixels { data, size });
        if let Some(unseen) = unseen {
            return recycle(&mut shared, unseen.data);
        }
        drop(shared);
        (self.tell)(News::Picture);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{self, Receiver},
        time::Instant,
    };

    use ahoy_media::{
        units::{Bitrate, VideoFormat},
        video::{I420Frame, pattern, screen::PIXEL, vp8::Encoder},
        webm::hub::StreamWriter,
    };
    use tokio::runtime::Runtime;

    use super::*;

    const FORMAT: VideoFormat = VideoFormat { width: 320, height: 180, fps: 30 };
    /// Far over what a picture takes on a busy machine.
    const LIMIT: Duration = Duration::from_secs(20);

    /// A stream, and who paints it.
    struct Rig {
        runtime: Runtime,
        hub: Hub,
        writer: Option<StreamWriter>,
        encoder: Encoder,
        counter: u32,
    }

    impl Rig {
        fn new() -> Self {
            let hub = Hub::new();
            let writer = Some(hub.open(StreamId::new("s"), || {}));
            let encoder = Encoder::new(FORMAT, Bitrate::from_kbps(500)).unwrap();
            Self { runtime: Runtime::new().unwrap(), hub, writer, encoder, counter: 0 }
        }

        fn paint(&self, stream: &str, width: u32, height: u32) -> (Painter, Receiver<News>) {
            let look = Look { size: Size { width, height }, ..Look::default() };
            let (sender, news) = mpsc::channel();
            let tell = move |news| {
                let _ = sender.send(news);
            };
            let runtime = self.runtime.handle().clone();
            (Painter::start(self.hub.clone(), StreamId::new(stream), look, runtime, tell).unwrap(), news)
        }

        fn send(&mut self) {
            let mut frame = I420Frame::black(FORMAT.width, FORMAT.height, Instant::now());
            self.counter += 1;
            pattern::draw(&mut frame, u64::from(self.counter), self.counter);
            let frame = self.encoder.encode(&frame, false).unwrap().expect("a frame");
            self.push(&frame);
        }

        fn push(&self, frame: &ahoy_media::video::EncodedFrame) {
            self.writer.as_ref().expect("open").push(frame, Duration::from_millis(33) * self.counter);
        }
    }

    #[test]
    fn the_newest_picture_waits_in_the_size_that_is_wanted() {
        let mut rig = Rig::new();
        rig.send();
        let (painter, news) = rig.paint("s", 160, 160);
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Picture));
        let pixels = painter.take().expect("pixels");
        assert_eq!(pixels.size, Size { width: 160, height: 90 });
        assert_eq!(pixels.data.len(), 160 * 90 * PIXEL);
        assert_eq!(painter.take(), None, "once");
        painter.recycle(pixels);
        painter.set_look(Look { size: Size { width: 64, height: 64 }, fit: Fit::Cover, mirrored: true });
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Picture));
        assert_eq!(painter.take().expect("pixels").size, Size { width: 64, height: 64 });
    }

    #[test]
    fn the_end_is_told_and_a_stream_that_is_not_there() {
        let mut rig = Rig::new();
        rig.send();
        let (_painter, news) = rig.paint("s", 64, 64);
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Picture));
        rig.writer = None;
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Ended));
        let (_painter, news) = rig.paint("never", 64, 64);
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Failed));
    }

    #[test]
    fn pictures_that_are_there_are_not_encoded_to_be_shown() {
        let mut rig = Rig::new();
        let writer = rig.hub.open_shown(StreamId::new("own"), || panic!("nobody needs a key frame"));
        let (painter, news) = rig.paint("own", 64, 64);
        for (width, height, size) in [(320, 180, (64, 36)), (180, 180, (64, 64))] {
            writer.show(I420Frame::black(width, height, Instant::now()));
            assert_eq!(news.recv_timeout(LIMIT), Ok(News::Picture));
            let shown = painter.take().expect("pixels").size;
            assert_eq!((shown.width, shown.height), size);
        }
        painter.set_look(Look { size: Size { width: 32, height: 32 }, ..Look::default() });
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Picture));
        assert_eq!(painter.take().expect("pixels").size, Size { width: 32, height: 32 });
        drop(writer);
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Ended));
        rig.writer = None;
    }

    #[test]
    fn what_cannot_be_decoded_is_left_behind_at_the_next_key_frame() {
        let mut rig = Rig::new();
        rig.send();
        let (painter, news) = rig.paint("s", 64, 64);
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Picture));
        painter.take();
        // A key frame by its first bit, and nothing more.
        let broken = vec![0; 4].into();
        rig.push(&ahoy_media::video::EncodedFrame {
            data: broken,
            key: true,
            width: 320,
            height: 180,
            captured_at: Instant::now(),
        });
        rig.encoder = Encoder::new(FORMAT, Bitrate::from_kbps(500)).unwrap();
        rig.send();
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Picture));
        assert!(painter.take().is_some());
    }

    #[test]
    fn a_stream_of_nonsense_is_given_up() {
        let rig = Rig::new();
        let (_painter, news) = rig.paint("s", 64, 64);
        let data = vec![0; 4].into();
        rig.push(&ahoy_media::video::EncodedFrame {
            data,
            key: true,
            width: 9,
            height: 9,
            captured_at: Instant::now(),
        });
        assert_eq!(news.recv_timeout(LIMIT), Ok(News::Failed));
    }

    #[test]
    fn a_dropped_painter_ends_its_thread() {
        let rig = Rig::new();
        let (painter, news) = rig.paint("s", 64, 64);
        drop(painter);
        assert_eq!(news.recv_timeout(LIMIT), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
