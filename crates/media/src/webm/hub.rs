//! Streams on their way to readers: the page by `media://`, a file, the echo contact.
//!
//! A writer pushes frames, and never waits. Any number of readers poll: a read answers with everything after the
//! reader's cursor, or waits for it. What a reader gets is WebM (see [`super::mux`]):
//!
//! - its first chunk, and every chunk that does not follow on the one before (the reader was too slow, and is moved to
//!   the newest key frame), starts with an initialisation segment and a key frame;
//! - where the picture changes its size, the new size's initialisation segment stands before its key frame, also in
//!   the middle of a chunk.
//!
//! Either way the reader meets an EBML header in its byte stream. A MediaSource takes it as it is: a source buffer
//! accepts an initialisation segment between any two media segments. A demuxer before WebCodecs starts over at it, and
//! needs no new decoder, because a VP8 key frame states its own size. Timestamps rise throughout.

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
use crate::video::EncodedFrame;

/// How much video a stream keeps for readers that are late. Who is later than this would show the past; the page's own
/// poll takes some milliseconds.
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
    wants_key_frame: Arc<dyn Fn() + Send + Sync>,
}

impl Hub {
    /// A hub without streams.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a stream. `wants_key_frame` is called whenever a reader, or the stream itself, cannot go on without a key
    /// frame: as often as with every frame, so its rate must be limited behind it. It must not block.
    /// It takes the place of an earlier stream of that name: the next read starts anew with this one.
    pub fn open(&self, id: StreamId, wants_key_frame: impl Fn() + Send + Sync + 'static) -> StreamWriter {
        let (sender, window) = watch::channel(Window::default());
        let epoch = self.0.epochs.fetch_add(1, Relaxed);
        let stream = Stream { epoch, window, wants_key_frame: Arc::new(wants_key_frame) };
        self.0.streams().by_id.insert(id.clone(), stream.clone());
        StreamWriter { id, stream, window: sender, hub: self.0.clone() }
    }

    /// What comes in a stream after a cursor, or from the newest key frame on without one. Waits until there is
    /// something. May be cancelled at any time.
    pub async fn read(&self, id: &StreamId, after: Option<Cursor>) -> Result<Chunk, HubError> {
        let stream = self.0.streams().by_id.get(id).cloned();
        let mut stream = stream.ok_or_else(|| HubError::UnknownStream(id.clone()))?;
        let after = after.filter(|cursor| cursor.epoch == stream.epoch).map(|cursor| cursor.next);
        loop {
            // Copied outside of the lock, so that no reader holds up the writer.
            let found = stream.window.borrow_and_update().find(after);
            match found {
                Found::Pieces(pieces, next) => {
                    let next = Cursor { epoch: stream.epoch, next };
                    return Ok(Chunk::Media { body: concat(pieces), next });
                }
                Found::NothingYet => {}
                Found::NoKeyFrame => (stream.wants_key_frame)(),
            }
            if stream.window.changed().await.is_err() {
                return Ok(Chunk::End);
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
    hub: Arc<Shared>,
}

impl StreamWriter {
    /// Appends a frame; `timestamp` is the time since the stream's start. Frames before the first key frame, and
    /// those of a new size before its key frame, are left out: no reader could decode them.
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
    key: bool,
    /// The initialisation segment that it needs before it in the stream; the same for all of one size.
    init: Bytes,
    /// Whether it is the first of its size.
    opens_segment: bool,
    timestamp: Duration,
}

/// What there is for a reader.
enum Found {
    /// Parts of the stream, and the index after them.
    Pieces(Vec<Bytes>, u64),
    /// The reader has everything.
    NothingYet,
    /// The reader has lost, or not yet found, its place, and no kept cluster can be started at.
    NoKeyFrame,
}

impl Window {
    /// Appends a frame; false if nobody could decode it.
    fn push(&mut self, frame: &EncodedFrame, timestamp: Duration) -> bool {
        let size = (frame.width, frame.height);
        let opens_segment = self.muxer.as_ref().is_none_or(|muxer| muxer.size() != size);
        if opens_segment && !frame.key {
            return false;
        }
        let muxer = self.muxer.get_or_insert_with(|| Muxer::new(frame.width, frame.height));
        if muxer.size() != size {
            muxer.resize(frame.width, frame.height);
        }
        let data = muxer.cluster(&frame.data, frame.key, timestamp.as_millis() as u64);
        self.bytes += data.len();
        let init = muxer.init_segment();
        self.clusters.push_back(Cluster { data, key: frame.key, init, opens_segment, timestamp });
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

    /// What there is from the cluster of index `after` on, or from the newest key frame on if that cluster is gone.
    fn find(&self, after: Option<u64>) -> Found {
        let end = self.first + self.clusters.len() as u64;
        // An index past the end was never given out.
        let place = after.filter(|index| (self.first..=end).contains(index));
        if place == Some(end) {
            return Found::NothingYet;
        }
        let start = match place {
            Some(index) => (index - self.first) as usize,
            None => match self.clusters.iter().rposition(|cluster| cluster.key) {
                Some(newest_key) => newest_key,
                None => return Found::NoKeyFrame,
            },
        };
        let mut pieces = Vec::new();
        for (index, cluster) in self.clusters.iter().enumerate().skip(start) {
            if cluster.opens_segment || (index == start && place.is_none()) {
                pieces.push(cluster.init.clone());
            }
            pieces.push(cluster.data.clone());
        }
        Found::Pieces(pieces, end)
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
