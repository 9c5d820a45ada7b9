//! Streams of a sound server (PulseAudio, or PipeWire in its place), each on a connection of its own.
//!
//! ```text
//! opener: connect, authenticate, create the stream ──▶ thread of the stream: reads the server's messages
//! ```
//!
//! cpal has streams of such servers too. They clear a mebibyte before each read of the socket and ask for the
//! latency after each period, from a third thread: 0.06 of a core for one speaker with a period of 5 ms, and
//! 0.01 by these. cpal still finds the devices.

mod playback;
mod record;

use std::{
    ffi::CString,
    io::{self, BufReader, Cursor, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    thread::{self, JoinHandle},
};

use pulseaudio::{
    ClientError,
    protocol::{
        self, AuthParams, AuthReply, Command, CommandReply, DESCRIPTOR_SIZE, ProtocolError, SetClientNameReply,
        TagStructReader,
    },
};

use super::host::OPEN_LIMIT;

pub(crate) use playback::{Playback, PlaybackForm};
pub(crate) use record::{Record, RecordForm};

/// The channel of commands and events; the others are streams.
const CONTROL: u32 = u32::MAX;
/// The largest message that is taken: no sound in so small a piece, and no event, comes near it.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes of a sample: 32-bit floating point, little endian, mono.
const SAMPLE_BYTES: usize = 4;

/// A connection on which the server answers.
struct Connection {
    socket: BufReader<UnixStream>,
    version: u16,
    next_seq: u32,
    /// The message that was read last.
    payload: Vec<u8>,
    /// The one that was written last.
    written: Vec<u8>,
}

/// What the server says of its own accord.
#[expect(
    clippy::large_enum_variant,
    reason = "never kept, and a box would be an allocation for each period of a stream"
)]
enum Told<'a> {
    /// An event, or the beginning of a reply, by its number, whose fields follow in the reader.
    Command(u32, Command, Cursor<&'a [u8]>),
    /// Sound of a stream.
    Sound(u32, &'a [u8]),
    /// Something that this program has no use for, or newer than its protocol.
    Other,
}

impl Connection {
    /// Waits as long as opening a device may take.
    fn open() -> Result<Self, ClientError> {
        let path = pulseaudio::socket_path_from_env().ok_or(ClientError::ServerUnavailable)?;
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(OPEN_LIMIT))?;
        socket.set_write_timeout(Some(OPEN_LIMIT))?;
        let version = protocol::MAX_VERSION;
        let socket = BufReader::new(socket);
        let mut connection = Self { socket, version, next_seq: 0, payload: Vec::new(), written: Vec::new() };
        let cookie = pulseaudio::cookie_path_from_env().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let auth = AuthParams { version, supports_shm: false, supports_memfd: false, cookie };
        let reply: AuthReply = connection.ask(&Command::Auth(auth))?;
        connection.version = version.min(reply.version);
        let _: SetClientNameReply = connection.ask(&Command::SetClientName(who_we_are()))?;
        Ok(connection)
    }

    /// Sends a command and waits for the answer to it.
    fn ask<R: CommandReply>(&mut self, command: &Command) -> Result<R, ClientError> {
        let seq = self.send(command)?;
        let version = self.version;
        loop {
            match self.next()? {
                Told::Command(of, Command::Reply, mut fields) if of == seq => return Ok(read(&mut fields, version)?),
                Told::Command(of, Command::Error(error), _) if of == seq => {
                    return Err(ClientError::ServerError(error));
                }
                Told::Command(..) | Told::Sound(..) | Told::Other => {}
            }
        }
    }

    /// Sends a command; its answer has the number that this gives.
    fn send(&mut self, command: &Command) -> Result<u32, ClientError> {
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        // In one piece: each would wake the server up.
        self.written.clear();
        protocol::encode_command_message(&mut self.written, seq, command, self.version)?;
        self.socket.get_mut().write_all(&self.written).map_err(ended)?;
        Ok(seq)
    }

    /// Waits for the server's next message. A message is always read whole, understood or not.
    fn next(&mut self) -> Result<Told<'_>, ClientError> {
        let mut descriptor = [0; DESCRIPTOR_SIZE];
        self.socket.read_exact(&mut descriptor).map_err(ended)?;
        let descriptor = protocol::read_descriptor(&mut &descriptor[..])?;
        let length = descriptor.length as usize;
        if length > MAX_MESSAGE {
            return Err(ProtocolError::Invalid(format!("a message of {length} bytes")).into());
        }
        self.payload.resize(length, 0);
        self.socket.read_exact(&mut self.payload).map_err(ended)?;
        if descriptor.channel != CONTROL {
            return Ok(Told::Sound(descriptor.channel, &self.payload));
        }
        let mut fields = Cursor::new(&*self.payload);
        Ok(match Command::read_tag_prefixed(&mut fields, self.version) {
            Ok((seq, command)) => Told::Command(seq, command, fields),
            Err(error) => {
                tracing::debug!(%error, "the sound server says something unknown");
                Told::Other
            }
        })
    }

    /// Leaves the connection to a thread, which may wait for ever, until the handle is dropped.
    fn run(
        self,
        name: &str,
        job: impl FnOnce(Self) -> ClientError + Send + 'static,
        failed: impl FnOnce(cpal::Error) + Send + 'static,
    ) -> Result<Stream, ClientError> {
        let socket = self.socket.get_ref().try_clone()?;
        socket.set_read_timeout(None)?;
        socket.set_write_timeout(None)?;
        let thread = thread::Builder::new().name(name.into()).spawn(move || failed(job(self).into()))?;
        Ok(Stream { socket, thread: Some(thread) })
    }
}

/// A stream that runs. It is closed, and its callback is called no more, when this is dropped.
pub(crate) struct Stream {
    socket: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It can only fail where the server has closed it already.
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            // A panic of the callback has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

/// Tells a server that has ended from other trouble.
fn ended(error: io::Error) -> ClientError {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error.kind() {
        UnexpectedEof | BrokenPipe | ConnectionReset => ClientError::Disconnected,
        _ => error.into(),
    }
}

/// Reads the fields of a reply.
fn read<R: CommandReply>(fields: &mut Cursor<&[u8]>, version: u16) -> Result<R, ProtocolError> {
    TagStructReader::new(fields, version).read()
}

/// What volume controls show.
fn who_we_are() -> protocol::Props {
    let mut props = protocol::Props::new();
    props.set(protocol::Prop::ApplicationName, c"Ahoy");
    props.set(protocol::Prop::ApplicationIconName, c"io.github.ahoy_call.Ahoy");
    if let Ok(pid) = CString::new(std::process::id().to_string()) {
        props.set(protocol::Prop::ApplicationProcessId, pid);
    }
    props
}

/// What volume controls show of a stream.
fn what_it_is() -> protocol::Props {
    let mut props = protocol::Props::new();
    props.set(protocol::Prop::MediaName, c"Call");
    props
}

/// The form of sound in which all streams are: the server converts from and to the device's.
fn mono(rate: u32) -> (protocol::SampleSpec, protocol::ChannelMap) {
    let spec = protocol::SampleSpec { format: protocol::SampleFormat::Float32Le, channels: 1, sample_rate: rate };
    (spec, protocol::ChannelMap::mono())
}

/// A device's name as the protocol has it.
fn device_name(name: &str) -> Result<CString, ClientError> {
    CString::new(name).map_err(|_| ClientError::ServerError(protocol::PulseError::NoEntity))
}

fn in_bytes(frames: u32) -> u32 {
    frames.saturating_mul(SAMPLE_BYTES as u32)
}
