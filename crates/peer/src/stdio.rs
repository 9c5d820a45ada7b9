//! Signaling over stdin and stdout: one JSON object a line, envelopes and commands in, envelopes and events
//! out.

use ahoy_call::{
    id::PeerId,
    message::{Envelope, MAX_ENVELOPE_BYTES},
    signaler::{Incoming, SignalError, Signaler},
};
use async_trait::async_trait;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    sync::{Mutex, mpsc},
};

use crate::stdout::Stdout;

/// Messages that may wait for the engine. It reads them as they come; a flood waits in the pipe.
const QUEUE: usize = 64;

/// What a line on stdin can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case")]
pub enum Command {
    /// Microphone off.
    Mute,
    /// Microphone on.
    Unmute,
    /// Camera off, its device closed.
    CameraOff,
    /// Camera on.
    CameraOn,
    /// End the call, and the program.
    Hangup,
    /// Put the call on hold.
    Hold,
    /// Take it back.
    Resume,
    /// Take the call that rings, without waiting for `--ring`.
    Accept,
    /// Do not take it.
    Decline,
}

/// What a line on stdin came to, for the session; messages go to the engine by the [`Signaler`].
#[derive(Debug)]
pub enum Line {
    /// A command.
    Command(Command),
    /// A line that is no command, though it says it is.
    BadCommand(String),
    /// stdin ended.
    End,
}

/// The other side, as far as stdio knows.
pub fn other_side() -> PeerId {
    PeerId::from("peer")
}

/// Carries envelopes over stdin and stdout.
pub struct StdioSignaler {
    incoming: Mutex<mpsc::Receiver<Incoming>>,
    stdout: Stdout,
}

impl StdioSignaler {
    /// Starts to read stdin. Envelopes go to `stdout`.
    pub fn start(stdout: Stdout) -> (Self, mpsc::Receiver<Line>) {
        let (to_engine, incoming) = mpsc::channel(QUEUE);
        let (to_session, lines) = mpsc::channel(QUEUE);
        tokio::spawn(read_lines(to_engine, to_session));
        (Self { incoming: Mutex::new(incoming), stdout }, lines)
    }
}

#[async_trait]
impl Signaler for StdioSignaler {
    async fn send(&self, to: &PeerId, envelope: &Envelope) -> Result<(), SignalError> {
        let json = envelope.to_json()?;
        let sent = self.stdout.write_line(json).await;
        sent.map_err(|lost| SignalError::Unreachable { peer: to.clone(), why: lost.to_string() })
    }

    async fn receive(&self) -> Option<Incoming> {
        self.incoming.lock().await.recv().await
    }
}

async fn read_lines(to_engine: mpsc::Sender<Incoming>, to_session: mpsc::Sender<Line>) {
    let mut stdin = BufReader::new(tokio::io::stdin());
    let mut line = Vec::new();
    // One byte over the limit tells a line that is too long; its rest is then read and thrown away.
    let limit = MAX_ENVELOPE_BYTES as u64 + 1;
    loop {
        line.clear();
        match (&mut stdin).take(limit).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if !line.ends_with(b"\n") && line.len() as u64 == limit && skip_line(&mut stdin).await.is_err() {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let sent = match read(&line) {
            Read::Command(command) => to_session.send(Line::Command(command)).await.is_ok(),
            Read::BadCommand(error) => to_session.send(Line::BadCommand(error)).await.is_ok(),
            Read::Event => true,
            Read::Message => {
                let message = Envelope::parse(line.trim_ascii_end());
                to_engine.send(Incoming { from: other_side(), message }).await.is_ok()
            }
        };
        if !sent {
            return;
        }
    }
    let _ = to_session.send(Line::End).await;
}

/// Reads on to the end of a line without keeping it.
async fn skip_line(stdin: &mut BufReader<tokio::io::Stdin>) -> std::io::Result<()> {
    loop {
        let buffered = stdin.fill_buf().await?;
        if buffered.is_empty() {
            return Ok(());
        }
        let (used, found) = match buffered.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffered.len(), false),
        };
        stdin.consume(used);
        if found {
            return Ok(());
        }
    }
}

/// What a line is meant to be.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// An object with a `cmd` that is known.
    Command(Command),
    /// An object with a `cmd`, and why it is none.
    BadCommand(String),
    /// An object with an `event`: two peers joined by pipes hear each other's. Answering one with an event of
    /// our own would go on for ever.
    Event,
    /// Anything else: an envelope, or what the engine says is none.
    Message,
}

fn read(line: &[u8]) -> Read {
    #[derive(Deserialize)]
    struct Probe {
        cmd: Option<serde::de::IgnoredAny>,
        event: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice(line) {
        Ok(Probe { cmd: Some(_), .. }) => match serde_json::from_slice(line) {
            Ok(command) => Read::Command(command),
            Err(error) => Read::BadCommand(error.to_string()),
        },
        Ok(Probe { event: Some(_), .. }) => Read::Event,
        Ok(Probe { cmd: None, event: None }) | Err(_) => Read::Message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_events_are_told_from_envelopes() {
        assert_eq!(read(br#"{"cmd":"camera-off"}"#), Read::Command(Command::CameraOff));
        assert!(matches!(read(br#"{"cmd":"dance"}"#), Read::BadCommand(_)));
        assert!(matches!(read(br#"{"cmd":7}"#), Read::BadCommand(_)));
        assert_eq!(read(br#"{"event":"ringing","t":1}"#), Read::Event);
        for other in [&br#"{"v":1,"channel":"c","seq":1,"payload":{"type":"call-ack"}}"#[..], b"", b"[]", b"\xff"] {
            assert_eq!(read(other), Read::Message);
        }
    }
}
