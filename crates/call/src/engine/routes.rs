//! From the one encoder and the one microphone to every link, on their own threads.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ahoy_media::{
    audio::microphone::EncodedAudio,
    video::{EncodedFrame, I420Frame, encode::Ready, small::SmallPictures},
    webm::hub::{Hub, StreamId, StreamWriter},
};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{LOCAL_STREAM, actor::Notice};
use crate::{
    id::PeerId,
    link::{OutgoingAudio, PeerLink},
};

/// Video that waits longer than this in a link's send queue is late: the next frame is worth more once it has
/// left.
const MOST_BACKLOG: Duration = Duration::from_millis(100);

type Links = Vec<(PeerId, Arc<PeerLink>)>;

/// Where encoded media goes. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Routes {
    links: Arc<Mutex<Links>>,
    /// The microphone has been told whether it is muted. Until then nothing of it leaves: somebody may have
    /// muted it while it was being opened.
    microphone_ready: Arc<AtomicBool>,
    /// Outlasts a camera that another one takes the place of.
    preview: Arc<Mutex<Option<Preview>>>,
    notices: mpsc::UnboundedSender<Notice>,
}

/// What we send, as we see it ourselves.
struct Preview {
    stream: StreamWriter,
    /// A reader of its frames cannot go on without a key frame. Before there is such a reader nothing is
    /// encoded.
    wants_key_frame: Arc<AtomicBool>,
    encoded: bool,
    /// Time of its first frame.
    first: Option<Instant>,
}

impl Preview {
    fn open(hub: &Hub) -> Self {
        let wants_key_frame = Arc::new(AtomicBool::new(false));
        let wanted = Arc::clone(&wants_key_frame);
        let stream = hub.open_shown(StreamId::new(LOCAL_STREAM), move || wanted.store(true, Ordering::Relaxed));
        Self { stream, wants_key_frame, encoded: false, first: None }
    }

    /// Whether somebody wants the next picture encoded, and then whether as a key frame.
    fn wanted(&mut self) -> Option<bool> {
        let key = self.wants_key_frame.swap(false, Ordering::Relaxed);
        self.encoded |= key;
        self.encoded.then_some(key)
    }

    fn push(&mut self, frame: &EncodedFrame) {
        let first = *self.first.get_or_insert(frame.captured_at);
        self.stream.push(frame, frame.captured_at.saturating_duration_since(first));
    }
}

impl Routes {
    pub(super) fn new(notices: mpsc::UnboundedSender<Notice>) -> Self {
        Self { links: Arc::default(), microphone_ready: Arc::default(), preview: Arc::default(), notices }
    }

    pub(super) fn add(&self, peer: PeerId, link: Arc<PeerLink>) {
        self.lock().push((peer, link));
    }

    pub(super) fn remove(&self, peer: &PeerId) {
        self.lock().retain(|(other, _)| other != peer);
    }

    /// From now on the microphone's sound goes out.
    pub(super) fn open_microphone(&self) {
        self.microphone_ready.store(true, Ordering::Release);
    }

    /// From now on nothing of any microphone goes out: another one is about to be opened.
    pub(super) fn close_microphone(&self) {
        self.microphone_ready.store(false, Ordering::Release);
    }

    /// There is nothing to preview any more.
    pub(super) fn end_preview(&self) {
        self.preview().take();
    }

    /// From now on there is a preview.
    pub(super) fn begin_preview(&self, hub: &Hub) {
        self.preview().get_or_insert_with(|| Preview::open(hub));
    }

    /// The encoder's tap: shows us what a camera of that rate gives, where there is a preview.
    pub(super) fn preview_tap(&self, fps: u32) -> impl FnMut(&I420Frame) + Send + 'static {
        let (routes, mut pictures) = (self.clone(), SmallPictures::new(fps));
        move |frame| {
            if routes.preview().is_none() {
                return;
            }
            let Some(picture) = pictures.shrink(frame) else { return };
            let wanted = routes.preview().as_mut().and_then(Preview::wanted);
            // Outside of the lock: the engine waits for it as well.
            let encoded = wanted.map(|key| pictures.encode(&picture, key)).transpose();
            match (encoded, &mut *routes.preview()) {
                (Ok(frame), Some(preview)) => {
                    frame.flatten().iter().for_each(|frame| preview.push(frame));
                    preview.stream.show(picture);
                }
                (Ok(_), None) => {}
                // The stream cannot go on without it.
                (Err(error), preview) => {
                    tracing::warn!(%error, "our own picture cannot be shown");
                    *preview = None;
                }
            }
        }
    }

    /// Whether every link has sent most of what it was given: what is encoded before that only waits.
    pub(super) fn ready(&self) -> Ready {
        let routes = self.clone();
        Box::new(move || routes.lock().iter().all(|(_, link)| link.backlog() < MOST_BACKLOG))
    }

    /// The encoder's sink.
    pub(super) fn video_sink(&self) -> impl FnMut(EncodedFrame) + Send + 'static {
        let routes = self.clone();
        move |frame| {
            let mut behind = false;
            for (_, link) in routes.lock().iter() {
                behind |= !link.send_video(&frame);
            }
            if behind {
                // The engine's limiter keeps this from becoming a key frame a frame.
                let _ = routes.notices.send(Notice::KeyFrameWanted);
            }
        }
    }

    /// The microphone's sink.
    pub(super) fn audio_sink(&self) -> impl FnMut(EncodedAudio<'_>) + Send + 'static {
        let routes = self.clone();
        move |audio| {
            if !routes.microphone_ready.load(Ordering::Acquire) {
                return;
            }
            // With DTX the first packet of a silence is sent: it tells silence from loss. What follows is
            // empty.
            let payload = Bytes::copy_from_slice(audio.payload);
            let packet = OutgoingAudio { payload, samples: audio.samples, captured_at: audio.captured_at };
            for (_, link) in routes.lock().iter() {
                link.send_audio(packet.clone());
            }
        }
    }

    /// Sends a peer its own picture back.
    pub(super) fn echo_video(&self, peer: &PeerId, frame: &EncodedFrame) {
        if let Some((_, link)) = self.lock().iter().find(|(other, _)| other == peer)
            && !link.send_video(frame)
        {
            link.request_key_frame();
        }
    }

    /// Sends a peer its own sound back.
    pub(super) fn echo_audio(&self, peer: &PeerId, packet: OutgoingAudio) {
        if let Some((_, link)) = self.lock().iter().find(|(other, _)| other == peer) {
            link.send_audio(packet);
        }
    }

    fn preview(&self) -> std::sync::MutexGuard<'_, Option<Preview>> {
        self.preview.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
        thread,
    };

    use super::*;

    #[test]
    fn a_picture_that_cannot_be_shown_to_us_ends_the_preview_and_holds_up_nothing() {
        let (notices, _kept) = mpsc::unbounded_channel();
        let (routes, hub) = (Routes::new(notices), Hub::new());
        routes.begin_preview(&hub);
        let mut tap = routes.preview_tap(15);
        tap(&I420Frame::black(0, 0, Instant::now()));
        assert!(routes.preview().is_some(), "nobody reads it, so nothing is encoded");
        let local = StreamId::new(LOCAL_STREAM);
        assert!(Future::poll(pin!(hub.read(&local, None)), &mut Context::from_waker(Waker::noop())).is_pending());
        let (done, ended) = std::sync::mpsc::channel();
        thread::spawn(move || {
            tap(&I420Frame::black(0, 0, Instant::now()));
            let _ = done.send(());
        });
        ended.recv_timeout(Duration::from_secs(20)).expect("the encoder's thread goes on");
        assert!(routes.preview().is_none());
    }
}
