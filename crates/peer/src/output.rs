//! Files that the peer writes while a call runs. A file that cannot be written is a problem to tell, not an
//! end.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
};

use ahoy_call::event::{CallEvent, Problem, ProblemCode};
use ahoy_media::webm::hub::{Chunk, Hub, StreamId};
use bytes::Bytes;
use tokio::sync::mpsc;

/// Writes that may wait for a slow disk or FIFO: a few seconds of video.
const QUEUE: usize = 128;

/// An open file with a thread of its own, so that a FIFO without a reader or a slow disk holds nobody up.
#[derive(Clone, Debug)]
pub struct Output(mpsc::Sender<Bytes>);

impl Output {
    /// Opens `path` for appending. A problem is told once, by `tell`; then nothing is written any more.
    pub fn open(path: PathBuf, code: ProblemCode, tell: mpsc::UnboundedSender<CallEvent>) -> Self {
        let (to, mut from) = mpsc::channel::<Bytes>(QUEUE);
        std::thread::spawn(move || {
            let mut write = || -> std::io::Result<()> {
                // Appending also where the file exists: a FIFO does.
                let mut file: File = OpenOptions::new().append(true).create(true).open(&path)?;
                while let Some(bytes) = from.blocking_recv() {
                    file.write_all(&bytes)?;
                }
                file.flush()
            };
            if let Err(error) = write() {
                let what = format!("{} cannot be written ({error})", path.display());
                let todo = "Check the path, its permissions and the free space.";
                let _ = tell.send(CallEvent::Problem(Problem::new(code, what, todo)));
            }
        });
        Self(to)
    }

    /// Queues bytes. False: they were not taken, and what follows makes no sense without them.
    pub async fn write(&self, bytes: Bytes) -> bool {
        self.0.send(bytes).await.is_ok()
    }
}

/// Writes what the page would get of a stream, until it ends.
pub async fn copy_stream(hub: Hub, stream: StreamId, output: Output) {
    let mut cursor = None;
    while let Ok(Chunk::Media { body, next }) = hub.read(&stream, cursor).await {
        cursor = Some(next);
        if !output.write(body).await {
            return;
        }
    }
}
