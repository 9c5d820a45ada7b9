//! Streams on their way to readers: the page by `media://`, a file, the echo contact.
//!
//! A writer pushes frames, and never waits. Any number of readers poll: a read answers with everything after
//! the reader's cursor, or waits for it. What a reader gets in all is one WebM stream (see [`super::mux`]):
//! first an initialisation segment and the newest key frame, then cluster by cluster what follows. A reader
//! that is too slow is moved to the newest key frame; its timestamps then jump.
//!
//! A picture that changes its size does so at a key frame, within the segment, as it does in what browsers
//! record: a VP8 key frame states its own size, and every decoder behind MediaSource or WebCodecs goes by
//! that. A second initialisation segment in the stream would make ffmpeg warn, and gain nothing. Only a
//! reader that joins later is told the new size in its initialisation segment.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    str::FromStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Muxer;
use crate::video::{EncodedFrame, I420Frame};

/// How much video a stream keeps for readers that are late. Who is later than this would show the past; the
/// page's own poll takes some milliseconds.
const WINDOW: Duration = Duration::from_secs(3);
/// What a stream keeps after its end, for readers that are just between two polls.
const ENDED_WINDOW: Duration = Duration::from_millis(500);
/// Bytes that a stream keeps at most, whatever the window: 3 s at 20 Mbit/s.
const BYTES_MAX: usize = 8 << 20;
/// Ended streams that are still told from unknown ones: as many as a large call has, all hanging up at once.
const ENDED_MAX: usize = 32;

/// The name of a stream, as it stands in the path of `media://localhost/STREAM`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(String);

impl StreamId {
    /// The stream of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a reader stands in a stream. Opaque to readers, who give it back as text: `EPOCH.INDEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Tells a stream from an earlier one of the same name.
    epoch: u64,
    /// The cluster to read next, counted from the stream's first.
    next: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.next)
    }
}

impl FromStr for Cursor {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let parse = || {
            let (epoch, next) = text.split_once('.')?;
            Some(Self { epoch: epoch.parse().ok()?, next: next.parse().ok()? })
        };
        parse().ok_or_else(|| HubError::Cursor(text.to_owned()))
    }
}

/// What a reader asked for that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No such stream.
    #[error("there is no stream {0:?}: it was never opened, or ended long ago")]
    UnknownStream(StreamId),
    /// Not a cursor.
    #[error("{0:?} is no cursor; give back the one that came with the last chunk, or none to start anew")]
    Cursor(String),
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// More of the stream.
    Media {
        /// WebM to append to what was read before.
        body: Bytes,
        /// What to give to the next read.
        next: Cursor,
    },
    /// The stream ended, and the reader has seen what it could.
    End,
}

/// As [`Chunk`], for who decodes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frames {
    /// More of the stream: whole VP8 frames in their order. Of a read without a cursor the first is a key
    /// frame.
    Media {
        /// The frames.
        frames: Vec<Bytes>,
        /// What to give to the next read.
        next: Cursor,
    },
    /// The stream ended, and the reader has seen what it could.
    End,
}

/// The newest picture of a stream, none before the first. See [`Hub::pictures`].
pub type Pictures = watch::Receiver<Option<Arc<I420Frame>>>;
type Shown = watch::Sender<Option<Arc<I420Frame>>>;

/// All streams of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Hub(Arc<Shared>);

#[derive(Default)]
struct Shared {
    streams: Mutex<Streams>,
    epochs: AtomicU64,
}

#[derive(Default)]
struct Streams {
    by_id: HashMap<StreamId, Stream>,
    /// Ended streams, the oldest first.
    ended: VecDeque<(StreamId, u64)>,
}

/// The readers' side of a stream. Closed when its writer is dropped.
#[derive(Clone)]
struct Stream {
    epoch: u64,
    window: watch::Receiver<Window>,
    pictures: Option<Pictures>,
    wants_key_frame: Arc<dyn Fn() + Send + Sync>,
}

impl Hub {
    /// A hub without streams.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a stream. `wants_key_frame` is called whenever a reader, or the stream itself, cannot go on
    /// without a key frame: as often as with every frame, so its rate must be limited behind it. It must not
    /// block. It takes the place of an earlier stream of that name: the next read starts anew with this one.
    pub fn open(&self, id: StreamId, wants_key_frame: impl Fn() + Send + Sync + 'static) -> StreamWriter {
        self.insert(id, Arc::new(wants_key_frame), None)
    }

    /// As [`Self::open`], with [`Self::pictures`].
    pub fn open_shown(&self, id: StreamId, wants_key_frame: impl Fn() + Send + Sync + 'static) -> StreamWriter {
        self.insert(id, Arc::new(wants_key_frame), Some(watch::Sender::new(None)))
    }

    fn insert(&self, id: StreamId, wants_key_frame: Arc<dyn Fn() + Send + Sync>, shown: Option<Shown>) -> StreamWriter {
        let (sender, window) = watch::channel(Window::default());
        let epoch = self.0.epochs.fetch_add(1, Relaxed);
        let pictures = shown.as_ref().map(watch::Sender::subscribe);
        let stream = Stream { epoch, window, pictures, wants_key_frame };
        self.0.streams().by_id.insert(id.clone(), stream.clone());
        StreamWriter { id, stream, window: sender, shown, hub: self.0.clone() }
    }

    /// What comes in a stream after a cursor, or from the newest key frame on without one. Waits until there
    /// is something. May be cancelled at any time.
    pub async fn read(&self, id: &StreamId, after: Option<Cursor>) -> Result<Chunk, HubError> {
        let found = self.pieces(id, after, |window, place| {
            let init = window.muxer.iter().filter(|_| place.joins).map(Muxer::init_segment);
            init.chain(window.clusters.iter().skip(place.start).map(|cluster| cluster.data.clone())).collect()
        });
        // Copied outside of the lock, so that no reader holds up the writer.
        Ok(found.await?.map_or(Chunk::End, |(pieces, next)| Chunk::Media { body: concat(pieces), next }))
    }

    /// As [`Self::read`], but the frames themselves. May be cancelled at any time.
    pub async fn read_frames(&self, id: &StreamId, after: Option<Cursor>) -> Result<Frames, HubError> {
        let found = self.pieces(id, after, |window, place| {
            window.clusters.iter().skip(place.start).map(|cluster| cluster.frame.clone()).collect()
        });
        Ok(found.await?.map_or(Frames::End, |(frames, next)| Frames::Media { frames, next }))
    }

    /// The newest picture of a stream that is made in this process, so that it need not be decoded again.
    /// Closed at the stream's end. None for a stream that has only encoded frames.
    pub fn pictures(&self, id: &StreamId) -> Option<Pictures> {
        self.0.streams().by_id.get(id)?.pictures.clone()
    }

    /// What `take` finds for a reader at `after`, once there is something, and where to read on; none at the
    /// stream's end.
    async fn pieces(
        &self,
        id: &StreamId,
        after: Option<Cursor>,
        take: impl Fn(&Window, Place) -> Vec<Bytes>,
    ) -> Result<Option<(Vec<Bytes>, Cursor)>, HubError> {
        let stream = self.0.streams().by_id.get(id).cloned();
        let mut stream = stream.ok_or_else(|| HubError::UnknownStream(id.clone()))?;
        let after = after.filter(|cursor| cursor.epoch == stream.epoch).map(|cursor| cursor.next);
        loop {
            let found = {
                let window = stream.window.borrow_and_update();
                let found = window.find(after);
                if let Found::At(place) = found {
                    let next = Cursor { epoch: stream.epoch, next: window.end() };
                    return Ok(Some((take(&window, place), next)));
                }
                found
            };
            if matches!(found, Found::NoKeyFrame) {
                (stream.wants_key_frame)();
            }
            if stream.window.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end of a stream. Dropping it ends the stream.
pub struct StreamWriter {
    id: StreamId,
    stream: Stream,
    window: watch::Sender<Window>,
    shown: Option<Shown>,
    hub: Arc<Shared>,
}

impl StreamWriter {
    /// Appends a frame; `timestamp` is the time since the stream's start. Frames before the first key frame
    /// are left out: no reader could decode them.
    pub fn push(&self, frame: &EncodedFrame, timestamp: Duration) {
        let mut decodable = true;
        self.window.send_if_modified(|window| {
            decodable = window.push(frame, timestamp);
            decodable
        });
        if !decodable {
            (self.stream.wants_key_frame)();
        }
    }

    /// Shows a picture, apart from the frames, where the stream was opened for that.
    pub fn show(&self, picture: I420Frame) {
        if let Some(shown) = &self.shown {
            shown.send_replace(Some(Arc::new(picture)));
        }
    }

    /// The stream's name.
    pub fn id(&self) -> &StreamId {
        &self.id
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.window.send_if_modified(|window| {
            window.trim(ENDED_WINDOW);
            false
        });
        let mut streams = self.hub.streams();
        streams.ended.push_back((self.id.clone(), self.stream.epoch));
        if streams.ended.len() > ENDED_MAX
            && let Some((id, epoch)) = streams.ended.pop_front()
            && streams.by_id.get(&id).is_some_and(|stream| stream.epoch == epoch)
        {
            streams.by_id.remove(&id);
        }
    }
}

/// The newest clusters of a stream.
#[derive(Default)]
struct Window {
    /// None before the first key frame.
    muxer: Option<Muxer>,
    clusters: VecDeque<Cluster>,
    bytes: usize,
    /// The index of the first cluster kept.
    first: u64,
}

struct Cluster {
    data: Bytes,
    /// The VP8 frame, which the cluster ends with.
    frame: Bytes,
    key: bool,
    timestamp: Duration,
}

/// Where a reader goes on.
#[derive(Clone, Copy)]
struct Place {
    /// Which of the kept clusters is its next.
    start: usize,
    /// It has read nothing of this stream yet.
    joins: bool,
}

/// What there is for a reader.
enum Found {
    /// Clusters.
    At(Place),
    /// The reader has everything.
    NothingYet,
    /// The reader has lost, or not yet found, its place, and no kept cluster can be started at.
    NoKeyFrame,
}

impl Window {
    /// Appends a frame; false if nobody could decode it.
    fn push(&mut self, frame: &EncodedFrame, timestamp: Duration) -> bool {
        let muxer = match &mut self.muxer {
            Some(muxer) => muxer,
            None if frame.key => self.muxer.insert(Muxer::new(frame.width, frame.height)),
            None => return false,
        };
        if frame.key && muxer.size() != (frame.width, frame.height) {
            muxer.resize(frame.width, frame.height);
        }
        let data = muxer.cluster(&frame.data, frame.key, timestamp.as_millis() as u64);
        self.bytes += data.len();
        let vp8 = data.slice(data.len().saturating_sub(frame.data.len())..);
        self.clusters.push_back(Cluster { data, frame: vp8, key: frame.key, timestamp });
        self.trim(WINDOW);
        true
    }

    /// Forgets what is older than `window` before the newest cluster, and what is too much; never the newest.
    fn trim(&mut self, window: Duration) {
        let newest = self.clusters.back().map_or(Duration::ZERO, |cluster| cluster.timestamp);
        while self.clusters.len() > 1
            && let Some(oldest) = self.clusters.front()
            && (self.bytes > BYTES_MAX || oldest.timestamp + window < newest)
        {
            self.bytes -= oldest.data.len();
            self.first += 1;
            self.clusters.pop_front();
        }
    }

    /// The index after the newest cluster.
    fn end(&self) -> u64 {
        self.first + self.clusters.len() as u64
    }

    /// Where a reader goes on whose next cluster is `after`: there, or at the newest key frame if that
    /// cluster is gone. The newest key frame is of the muxer's size, so that its initialisation segment fits.
    fn find(&self, after: Option<u64>) -> Found {
        // An index past the end was never given out; before the first one kept, the reader's place is gone.
        let after = after.filter(|&index| index <= self.end());
        let joins = after.is_none();
        match after.and_then(|index| index.checked_sub(self.first)) {
            Some(place) if place == self.clusters.len() as u64 => Found::NothingYet,
            Some(place) => Found::At(Place { start: place as usize, joins }),
            None => match self.clusters.iter().rposition(|cluster| cluster.key) {
                Some(newest_key) => Found::At(Place { start: newest_key, joins }),
                None => Found::NoKeyFrame,
            },
        }
    }
}

/// One buffer of all pieces; the usual single one is shared, not copied.
fn concat(pieces: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([piece]) => piece,
        Err(pieces) => {
            let mut body = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
            pieces.iter().for_each(|piece| body.extend_from_slice(piece));
            body.freeze()
        }
    }
}

#[cfg(test)]
mod tests;
