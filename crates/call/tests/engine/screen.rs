//! What a page would show of a peer: its hub stream, demuxed, decoded, and the test pattern's cells read.

use ahoy_call::{
    engine::remote_stream,
    id::{CallId, PeerId},
};
use ahoy_media::{
    video::{
        pattern::{Cells, read_cells},
        vp8::Decoder,
    },
    webm::{
        Demuxer,
        hub::{Chunk, Hub, StreamId},
    },
};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::phone::LIMIT;

/// One picture.
#[derive(Clone, Debug)]
pub struct Shown {
    pub key: bool,
    /// None where it is no test pattern.
    pub cells: Option<Cells>,
    pub size: (u32, u32),
}

/// A reader of a peer's pictures. The task ends with the stream, and panics where it is no flawless one.
pub struct Screen {
    pictures: mpsc::UnboundedReceiver<Shown>,
    reader: JoinHandle<()>,
}

impl Screen {
    /// Looks at what comes from a peer. The stream has to be there: after the connection.
    pub fn of(hub: &Hub, call: &CallId, peer: &PeerId) -> Self {
        Self::of_stream(hub, remote_stream(call, peer))
    }

    /// Looks at a stream that is there.
    pub fn of_stream(hub: &Hub, stream: StreamId) -> Self {
        let (to, pictures) = mpsc::unbounded_channel();
        let reader = tokio::spawn(read(hub.clone(), stream, to));
        Self { pictures, reader }
    }

    pub async fn next(&mut self) -> Shown {
        match timeout(LIMIT, self.pictures.recv()).await {
            Ok(Some(shown)) => shown,
            Ok(None) => panic!("the stream ended, or has a flaw"),
            Err(_) => panic!("no picture came"),
        }
    }

    /// The next picture of the test pattern and the counter in it.
    pub async fn next_counter(&mut self) -> u32 {
        self.next().await.cells.expect("a picture of the test pattern").counter
    }

    /// Forgets what has come so far.
    pub fn forget(&mut self) {
        while self.pictures.try_recv().is_ok() {}
    }

    /// Whether nothing has come since the last look.
    pub fn is_still(&mut self) -> bool {
        self.pictures.try_recv().is_err()
    }

    /// Everything from here to the stream's end, which the call's end brings.
    pub async fn rest(mut self) -> Vec<Shown> {
        timeout(LIMIT, self.reader).await.expect("the stream ends with the call").expect("a flawless stream");
        std::iter::from_fn(|| self.pictures.try_recv().ok()).collect()
    }
}

async fn read(hub: Hub, stream: StreamId, to: mpsc::UnboundedSender<Shown>) {
    let (mut demuxer, mut decoder, mut cursor) = (Demuxer::new(), Decoder::new().unwrap(), None);
    while let Chunk::Media { body, next } = hub.read(&stream, cursor).await.unwrap() {
        cursor = Some(next);
        for frame in demuxer.push(&body).unwrap() {
            let picture = decoder.decode(&frame.data).expect("only what can be decoded is shown").expect("a picture");
            let shown =
                Shown { key: frame.key, cells: read_cells(&picture), size: (picture.width(), picture.height()) };
            let _ = to.send(shown);
        }
    }
}
