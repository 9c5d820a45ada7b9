//! A stream that records.

use std::time::{Duration, Instant, UNIX_EPOCH};

use pulseaudio::{
    ClientError,
    protocol::{
        Command, CreateRecordStreamReply, LatencyParams, PulseError, RecordLatency, RecordStreamParams,
        stream::{BufferAttr, StreamFlags},
    },
};

use super::{Connection, SAMPLE_BYTES, Stream, Told, device_name, in_bytes, mono, read, what_it_is};

/// What the server said of the latency is believed for so long: after a source that stood still it is no age
/// of anything.
const MAX_LATENCY_AGE: Duration = Duration::from_millis(100);
/// No device keeps sound for longer. A server that says so has counted past zero.
const MAX_LATENCY: Duration = Duration::from_secs(2);

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
    /// Waits for the first sound, and gives all to `sink` from then on, on a thread of its own: samples, and
    /// when the first of them was captured. `failed` is told the end, also that by a drop of this.
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
        let mut recorder = Recorder { channel: created.channel, rate: form.rate, latency: Latency(None), sink };
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
                let age = self.latency.take(duration(samples.len() as u64, self.rate), now);
                (self.sink)(&mut samples, now.checked_sub(age).unwrap_or(now));
                // Asked each time: what it was a second ago says little of a source that just began. The
                // server sends the time back, and nobody reads it.
                let params = LatencyParams { channel: self.channel, now: UNIX_EPOCH };
                connection.send(&Command::GetRecordLatency(params))?;
                return Ok(true);
            }
            // Nothing else is asked; and it is the age of what comes after it, however late it is.
            Told::Command(_, Command::Reply, mut fields) => match read::<RecordLatency>(&mut fields, version) {
                Ok(said) => self.latency.said(&said, self.rate, Instant::now()),
                Err(error) => tracing::debug!(%error, "the sound server's latency cannot be read"),
            },
            // The source has gone, and there is no other.
            Told::Command(_, Command::RecordStreamKilled(killed), _) if killed == self.channel => {
                return Err(ClientError::ServerError(PulseError::NoEntity));
            }
            Told::Command(..) | Told::Sound(..) | Told::Other => {}
        }
        Ok(false)
    }
}

/// How old the next sample was, and when.
struct Latency(Option<(Duration, Instant)>);

impl Latency {
    fn said(&mut self, said: &RecordLatency, rate: u32, now: Instant) {
        let waiting = said.write_offset.saturating_sub(said.read_offset).max(0) as u64 / SAMPLE_BYTES as u64;
        let latency = Duration::from_micros(said.source_usec).saturating_add(duration(waiting, rate));
        self.0 = Some((latency, now)).filter(|_| latency <= MAX_LATENCY);
    }

    /// The age of the first sample of a block, which is `length` long. Of several that come at once the later
    /// ones are younger.
    fn take(&mut self, length: Duration, now: Instant) -> Duration {
        let fresh = |(_, at): &(Duration, Instant)| now.saturating_duration_since(*at) <= MAX_LATENCY_AGE;
        let Some((latency, at)) = self.0.filter(fresh) else { return length };
        // What waits grows by the clock from when the server counted it.
        let age = latency + now.saturating_duration_since(at);
        self.0 = Some((age.saturating_sub(length), now));
        age
    }
}

fn sample(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().unwrap_or_default())
}

fn duration(samples: u64, rate: u32) -> Duration {
    Duration::from_nanos(samples.saturating_mul(1_000_000_000) / u64::from(rate.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn said(source_ms: u64, waiting: i64) -> RecordLatency {
        RecordLatency {
            sink_usec: 0,
            source_usec: source_ms * 1000,
            playing: true,
            local_time: UNIX_EPOCH,
            remote_time: UNIX_EPOCH,
            write_offset: waiting * SAMPLE_BYTES as i64,
            read_offset: 0,
        }
    }

    #[test]
    fn blocks_that_come_at_once_are_as_far_apart_as_they_were_captured() {
        let (start, mut latency) = (Instant::now(), Latency(None));
        assert_eq!(latency.take(10 * MS, start), 10 * MS, "nothing is known yet: it has just ended");
        // 5 ms in the device and 480 samples of 48 kHz.
        latency.said(&said(5, 480), 48_000, start);
        let late = start + 30 * MS;
        assert_eq!([(); 3].map(|()| latency.take(10 * MS, late)), [45 * MS, 35 * MS, 25 * MS]);
    }

    #[test]
    fn what_was_said_long_ago_and_what_cannot_be_is_not_believed() {
        let (start, mut latency) = (Instant::now(), Latency(None));
        latency.said(&said(50, 0), 48_000, start);
        assert_eq!(latency.take(10 * MS, start + 101 * MS), 10 * MS);
        latency.said(&said(u64::MAX / 1000, 0), 48_000, start);
        assert_eq!(latency.take(10 * MS, start), 10 * MS);
        latency.said(&said(1, -480), 48_000, start);
        assert_eq!(latency.take(10 * MS, start), MS);
    }
}
