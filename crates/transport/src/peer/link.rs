//! One connection with a contact: a task that reads and one that writes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use iroh::{
    Endpoint, EndpointAddr,
    endpoint::{Connection, ConnectionError, RecvStream, SendStream, VarInt},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::io::LinkId;
use crate::{
    frame::{ALPN, Frame, Hello, MAX_CONTROL_BYTES, MAX_FRAME_BYTES},
    limit::{Pace, Throttle},
    wire::{ReadError, read_frame},
};

/// A dial, greeting included. iroh gives up after ten seconds when nobody answers.
const DIAL_LIMIT: Duration = Duration::from_secs(15);

/// A peer that takes nothing for so long does not read.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// Frames that wait to be written: a window of messages, acknowledgements, changes of status.
const WRITES_WAITING: usize = 128;

/// No frame is read before so many could be written: the acknowledgements of those that are on their way to
/// the state fit in, so a peer that does not read its acknowledgements stops being read itself.
const ROOM_TO_READ: usize = 48;

/// Why a connection is closed, as the other side is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// As if the program had ended without a word: what blocked keys get.
    Silence = 0,
    /// Not a contact (any more).
    NotAContact = 1,
    /// Another connection is used instead.
    Superseded = 2,
    /// Something that no version of the protocol has.
    Protocol = 3,
    /// Too often, or too slowly.
    TooMuch = 4,
    /// The program ends.
    Quit = 5,
}

impl Code {
    pub(crate) fn close(self, connection: &Connection) {
        connection.close(VarInt::from_u32(self as u32), &[]);
    }
}

/// Why there is no connection any more, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// For no reason that was told, or one that passes.
    Lost,
    /// The other side ends.
    Quit,
    /// The other side does not want it.
    Refused,
}

impl From<&ConnectionError> for Down {
    fn from(error: &ConnectionError) -> Self {
        let ConnectionError::ApplicationClosed(close) = error else { return Self::Lost };
        match u64::from(close.error_code) {
            code if code == Code::Quit as u64 || code == Code::Silence as u64 => Self::Quit,
            code if code == Code::NotAContact as u64 => Self::Refused,
            _ => Self::Lost,
        }
    }
}

/// A connection with a contact, greetings exchanged.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
    pub(crate) hello: Hello,
    pub(crate) dialled: bool,
}

/// Dials, says `first`, and waits for the answer.
pub(crate) async fn greet(
    endpoint: Endpoint,
    address: EndpointAddr,
    first: Frame,
) -> Result<(Connection, SendStream, RecvStream, Frame), Down> {
    let dial = async {
        let connection = endpoint.connect(address, ALPN).await.map_err(|error| {
            tracing::debug!(%error, "dialling failed");
            match &error {
                iroh::endpoint::ConnectError::Connection { source, .. } => Down::from(source),
                _ => Down::Lost,
            }
        })?;
        let greeted = async {
            // Only who dials opens a stream, and only one.
            connection.set_max_concurrent_bi_streams(VarInt::from_u32(0));
            let (mut send, mut recv) = connection.open_bi().await.ok()?;
            send.write_all(&first.encode()).await.ok()?;
            Some((send, read_frame(&mut recv, MAX_CONTROL_BYTES).await.ok()?, recv))
        };
        match greeted.await {
            Some((send, answer, recv)) => Ok((connection, send, recv, answer)),
            None => {
                let why = reason(&connection).await;
                Code::Protocol.close(&connection);
                Err(why)
            }
        }
    };
    timeout(DIAL_LIMIT, dial).await.unwrap_or(Err(Down::Lost))
}

/// Why a connection whose stream has ended is closing, which may be about to come. Our own closing counts as
/// a loss, and would hide the other side's reason: this is asked before.
async fn reason(connection: &Connection) -> Down {
    let closed = timeout(Duration::from_secs(1), connection.closed()).await;
    closed.map_or(Down::Lost, |reason| Down::from(&reason))
}

/// Where a connection goes now, if not over a relay.
pub(crate) fn remote_address(connection: &Connection) -> Option<SocketAddr> {
    let paths = connection.paths();
    let selected = paths.iter().find(|path| path.is_selected());
    match selected?.remote_addr() {
        iroh::TransportAddr::Ip(address) => Some(*address),
        _ => None,
    }
}

/// What a link's tasks report.
#[derive(Debug)]
pub(crate) enum Report {
    Frame(Frame),
    Throttled,
    Down(Down),
}

/// A running link; closed when dropped.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    connection: Connection,
    writes: mpsc::Sender<Frame>,
}

impl Link {
    pub(crate) fn start(
        id: LinkId,
        connected: Connected,
        reports: mpsc::Sender<(LinkId, Report)>,
        throttle: Arc<Mutex<Throttle>>,
    ) -> Self {
        let Connected { connection, send, recv, .. } = connected;
        let (writes, to_write) = mpsc::channel(WRITES_WAITING);
        tokio::spawn(write(connection.clone(), send, to_write));
        let reader = Reader { id, connection: connection.clone(), recv, reports, writes: writes.clone(), throttle };
        tokio::spawn(reader.run());
        Self { id, connection, writes }
    }

    pub(crate) fn write(&self, frame: Frame) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.writes.try_send(frame) {
            // There is room for all that a peer that reads can have waiting.
            tracing::debug!("a link is closed: the other side does not read");
            Code::TooMuch.close(&self.connection);
        }
    }

    pub(crate) fn close(&self, code: Code) {
        code.close(&self.connection);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Without effect where it was closed for a reason.
        Code::Superseded.close(&self.connection);
    }
}

async fn write(connection: Connection, mut send: SendStream, mut frames: mpsc::Receiver<Frame>) {
    while let Some(frame) = frames.recv().await {
        match timeout(WRITE_LIMIT, send.write_all(&frame.encode())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => return Code::TooMuch.close(&connection),
        }
    }
}

struct Reader {
    id: LinkId,
    connection: Connection,
    recv: RecvStream,
    reports: mpsc::Sender<(LinkId, Report)>,
    writes: mpsc::Sender<Frame>,
    throttle: Arc<Mutex<Throttle>>,
}

impl Reader {
    async fn run(mut self) {
        let ended = self.read().await;
        let down = match ended {
            Some(ReadError::Ended) => reason(&self.connection).await,
            Some(ReadError::Garbage | ReadError::Slow) | None => Down::Lost,
        };
        tracing::debug!(?ended, ?down, "a link ended");
        let code = if ended == Some(ReadError::Slow) { Code::TooMuch } else { Code::Protocol };
        code.close(&self.connection);
        let _ = self.reports.send((self.id, Report::Down(down))).await;
    }

    /// Reads until the stream ends, or nobody wants to know any more.
    async fn read(&mut self) -> Option<ReadError> {
        loop {
            // Only to wait for the room.
            drop(self.writes.reserve_many(ROOM_TO_READ).await.ok()?);
            let frame = match read_frame(&mut self.recv, MAX_FRAME_BYTES).await {
                Ok(frame) => frame,
                Err(error) => return Some(error),
            };
            while let Pace::Wait { wait, begins } = self.pace() {
                if begins {
                    self.reports.send((self.id, Report::Throttled)).await.ok()?;
                }
                tokio::select! {
                    () = sleep(wait) => {}
                    _ = self.connection.closed() => return Some(ReadError::Ended),
                }
            }
            self.reports.send((self.id, Report::Frame(frame))).await.ok()?;
        }
    }

    fn pace(&self) -> Pace {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner).frame(Instant::now())
    }
}
