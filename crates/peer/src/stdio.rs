//! Signaling over stdin and stdout: one JSON object a line, envelopes and commands in, envelopes and events out.

use std::io::Write;

use ahoy_call::{
    id::PeerId,
    message::{Envelope, MAX_ENVELOPE_BYTES},
    signaler::{Incoming, SignalError, Signaler},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    sync::{Mutex, mpsc},
};

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
}

impl StdioSignaler {
    /// Starts to read stdin.
    pub fn start() -> (Self, mpsc::Receiver<Line>) {
        let (to_engine, incoming) = mpsc::channel(QUEUE);
        let (to_session, lines) = mpsc::channel(QUEUE);
        tokio::spawn(read_lines(to_engine, to_session));
        (Self { incoming: Mutex::new(incoming) }, lines)
    }
}

#[async_trait]
impl Signaler for StdioSignaler {
    async fn send(&self, to: &PeerId, envelope: &Envelope) -> Result<(), SignalError> {
        let json = envelope.to_json()?;
        write_line(&json).map_err(|error| SignalError::Unreachable { peer: to.clone(), why: error.to_string() })
    }

    async fn receive(&self) -> Option<Incoming> {
        self.incoming.lock().await.recv().await
    }
}

/// Writes an object as a line on stdout. Lines are whole, whoever writes at the same time.
pub fn write(object: &impl Serialize) -> std::io::Result<()> {
    write_line(&serde_json::to_string(object)?)
}

fn write_line(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
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
        let sent = match command(&line) {
            Some(Ok(command)) => to_session.send(Line::Command(command)).await.is_ok(),
            Some(Err(error)) => to_session.send(Line::BadCommand(error)).await.is_ok(),
            None => {
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

/// The command on a line, if it is one: an object with a `cmd`.
fn command(line: &[u8]) -> Option<Result<Command, String>> {
    #[derive(Deserialize)]
    struct Probe {
        cmd: Option<serde::de::IgnoredAny>,
    }
    let probe: Probe = serde_json::from_slice(line).ok()?;
    probe.cmd?;
    Some(serde_json::from_slice(line).map_err(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_envelopes() {
        assert_eq!(command(br#"{"cmd":"camera-off"}"#), Some(Ok(Command::CameraOff)));
        assert!(command(br#"{"cmd":"dance"}"#).unwrap().is_err());
        assert!(command(br#"{"cmd":7}"#).unwrap().is_err());
        for other in [&br#"{"v":1,"channel":"c","seq":1,"payload":{"type":"call-ack"}}"#[..], b"", b"[]", b"\xff"] {
            assert!(command(other).is_none());
        }
    }
}
