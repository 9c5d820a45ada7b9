//! A stream that records.

use std::time::{Duration, Instant, SystemTime};

use pulseaudio::{
    ClientError,
    protocol::{
        Command, CreateRecordStreamReply, LatencyParams, PulseError, RecordLatency, RecordStreamParams,
        stream::{BufferAttr, StreamFlags},
    },
};

use super::{Connection, SAMPLE_BYTES, Stream, Told, device_name, in_bytes, mono, read, what_it_is};

/// What the server said of the latency is believed for so long. After a source that stood still it is no age of anything.
const MAX_LATENCY_AGE: Duration = Duration::from_millis(100);

/// What a [`Record`] records from, and how.
pub(crate) struct RecordForm<'a> {
    /// The source's name.
    pub source: &'a str,
    /// Samples a second.
    pub rate: u32,
    /// Samples that come at once.
    pub period: u32,
}

/// An open stream from a source; dropping it closes it.
pub(crate) struct Record {
    _stream: Stream,
}

impl Record {
    /// Waits for the first sound, and gives all to `sink` from then on, on a thread of its own: samples, and when the first of
    /// them was captured. `failed` is told the end, also that by a drop of this.
    ///
    /// # Errors
    /// No server, no such source, one that gives nothing, or what else the server says.
    pub fn start(
        form: &RecordForm<'_>,
        sink: impl FnMut(&mut dyn ExactSizeIterator<Item = f32>, Instant) + Send + 'static,
        failed: impl FnOnce(cpal::Error) + Send + 'static,
    ) -> Result<Self, cpal::Error> {
        let mut connection = Connection::open()?;
        let (sample_spec, channel_map) = mono(form.rate);
        let params = RecordStreamParams {
            sample_spec,
            channel_map,
            source_name: Some(device_name(form.source)?),
            buffer_attr: BufferAttr { fragment_size: in_bytes(form.period), ..BufferAttr::default() },
            // The device's own latency is part of what was asked for.
            flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
            props: what_it_is(),
            ..RecordStreamParams::default()
        };
        let created: CreateRecordStreamReply = connection.ask(&Command::CreateRecordStream(params))?;
        let mut recorder = Recorder { channel: created.channel, rate: form.rate, latency: Latency::default(), sink };
        while !recorder.step(&mut connection)? {}
        let record = move |mut connection| loop {
            if let Err(error) = recorder.step(&mut connection) {
                return error;
            }
        };
        Ok(Self { _stream: connection.run("record", record, failed)? })
    }
}

struct Recorder<S> {
    channel: u32,
    rate: u32,
    latency: Latency,
    sink: S,
}

impl<S: FnMut(&mut dyn ExactSizeIterator<Item = f32>, Instant)> Recorder<S> {
    /// Takes one message of the server; says whether it was sound.
    fn step(&mut self, connection: &mut Connection) -> Result<bool, ClientError> {
        let version = connection.version;
        match connection.next()? {
            Told::Sound(channel, bytes) if channel == self.channel => {
                let now = Instant::now();
                let mut samples = bytes.chunks_exact(SAMPLE_BYTES).map(sample);
                let age = self.latency.at(now).unwrap_or_else(|| duration(samples.len() as u64, self.rate));
                (self.sink)(&mut samples, now.checked_sub(age).unwrap_or(now));
                // Asked each time: what it was a second ago says little of a source that just began.
                let params = LatencyParams { channel: self.channel, now: SystemTime::now() };
                self.latency.asked = Some(connection.send(&Command::GetRecordLatency(params))?);
                return Ok(true);
            }
            Told::Command(seq, Command::Reply, mut fields) if self.latency.asked == Some(seq) => {
                let said: RecordLatency = read(&mut fields, version)?;
                let waiting = said.write_offset.saturating_sub(said.read_offset).max(0) as u64 / SAMPLE_BYTES as u64;
                let latency = Duration::from_micros(said.source_usec) + duration(waiting, self.rate);
                self.latency.said = Some((latency, Instant::now()));
            }
            // The source has gone, and there is no other.
            Told::Command(_, Command::RecordStreamKilled(killed), _) if killed == self.channel => {
                return Err(ClientError::ServerError(PulseError::NoEntity));
            }
            Told::Command(..) | Told::Sound(..) | Told::Other => {}
        }
        Ok(false)
    }
}

/// How old the next sample is.
#[derive(Default)]
struct Latency {
    /// The number of the question that has no answer yet, or of the last one that has.
    asked: Option<u32>,
    said: Option<(Duration, Instant)>,
}

impl Latency {
    /// What waits grows by the clock from when the server counted it.
    fn at(&self, now: Instant) -> Option<Duration> {
        self.said.map(|(latency, at)| latency + now.saturating_duration_since(at).min(MAX_LATENCY_AGE))
    }
}

fn sample(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().unwrap_or_default())
}

fn duration(samples: u64, rate: u32) -> Duration {
    Duration::from_nanos(samples.saturating_mul(1_000_000_000) / u64::from(rate.max(1)))
}
