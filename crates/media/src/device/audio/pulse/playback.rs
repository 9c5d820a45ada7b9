//! A stream that plays.

use pulseaudio::{
    ClientError,
    protocol::{
        self, Command, CreatePlaybackStreamReply, DESCRIPTOR_SIZE, Descriptor, DescriptorFlags, PlaybackStreamParams,
        PulseError,
        stream::{BufferAttr, StreamFlags},
    },
};

use super::{Connection, SAMPLE_BYTES, Stream, Told, Write, device_name, ended, in_bytes, mono, what_it_is};

/// What a [`Playback`] plays on, and how.
pub(crate) struct PlaybackForm<'a> {
    /// The sink's name.
    pub sink: &'a str,
    /// Samples a second.
    pub rate: u32,
    /// Samples that are asked for at once. The server keeps two such periods.
    pub period: u32,
}

/// An open stream to a sink; dropping it closes it.
pub(crate) struct Playback {
    _stream: Stream,
}

impl Playback {
    /// Plays `samples` from now on, on a thread of its own. `failed` is told the end, also that by a drop of
    /// this.
    ///
    /// # Errors
    /// No server, no such sink, or what else the server says.
    pub fn start(
        form: &PlaybackForm<'_>,
        samples: impl Iterator<Item = f32> + Send + 'static,
        failed: impl FnOnce(cpal::Error) + Send + 'static,
    ) -> Result<Self, cpal::Error> {
        let mut connection = Connection::open()?;
        let (sample_spec, channel_map) = mono(form.rate);
        let period = in_bytes(form.period);
        let params = PlaybackStreamParams {
            sample_spec,
            channel_map,
            sink_name: Some(device_name(form.sink)?),
            buffer_attr: BufferAttr {
                max_length: period.saturating_mul(2),
                target_length: period.saturating_mul(2),
                minimum_request_length: period,
                ..BufferAttr::default()
            },
            // The device's own latency is part of what was asked for.
            flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
            props: what_it_is(),
            ..PlaybackStreamParams::default()
        };
        let created: CreatePlaybackStreamReply = connection.ask(&Command::CreatePlaybackStream(params))?;
        // What is asked for at once fits in: so nothing is allocated once it plays.
        let block = vec![0; DESCRIPTOR_SIZE + 2 * period as usize];
        let feeder = Feeder { channel: created.channel, samples, block };
        // Whatever the server asks for, it takes no more than that at once.
        let most = created.buffer_attr.max_length;
        let play = move |connection| play(connection, feeder, created.requested_bytes, most);
        Ok(Self { _stream: connection.run("play", play, failed)? })
    }
}

/// Gives the server what it asks for until it has closed the stream.
fn play(
    mut connection: Connection,
    mut feeder: Feeder<impl Iterator<Item = f32>>,
    requested: u32,
    most: u32,
) -> ClientError {
    let channel = feeder.channel;
    let mut wanted = requested;
    loop {
        if let Err(error) = feeder.feed(connection.socket.get_mut(), wanted.min(most)) {
            return ended(error);
        }
        wanted = match connection.next() {
            Ok(Told::Command(_, Command::Request(request), _)) if request.channel == channel => request.length,
            // The sink has gone, and there is no other.
            Ok(Told::Command(_, Command::PlaybackStreamKilled(killed), _)) if killed == channel => {
                return ClientError::ServerError(PulseError::NoEntity);
            }
            Ok(Told::Command(..) | Told::Sound(..) | Told::Other) => 0,
            Err(error) => return error,
        };
    }
}

struct Feeder<S> {
    channel: u32,
    samples: S,
    /// Room for a message: its descriptor and some samples.
    block: Vec<u8>,
}

impl<S: Iterator<Item = f32>> Feeder<S> {
    /// Writes so many bytes of sound. Samples that have ended are silence.
    fn feed(&mut self, socket: &mut impl Write, wanted: u32) -> std::io::Result<()> {
        let mut left = wanted as usize / SAMPLE_BYTES;
        while left > 0 {
            let (head, sound) = self.block.split_at_mut(DESCRIPTOR_SIZE);
            let count = left.min(sound.len() / SAMPLE_BYTES);
            left -= count;
            for bytes in sound.chunks_exact_mut(SAMPLE_BYTES).take(count) {
                bytes.copy_from_slice(&self.samples.next().unwrap_or(0.0).to_le_bytes());
            }
            let length = count * SAMPLE_BYTES;
            let descriptor =
                Descriptor { length: length as u32, channel: self.channel, offset: 0, flags: DescriptorFlags::empty() };
            if let Ok(head) = head.try_into() {
                protocol::encode_descriptor(head, &descriptor);
            }
            let message = self.block.get(..DESCRIPTOR_SIZE + length).unwrap_or_default();
            socket.write_all(message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_written_in_blocks_that_fit() {
        let samples = (0_u16..).map(f32::from);
        let mut feeder = Feeder { channel: 7, samples, block: vec![0; DESCRIPTOR_SIZE + 10 * SAMPLE_BYTES] };
        let (mut socket, mut heard) = (Vec::new(), Vec::new());
        // 25 samples and a part of one that nobody can write.
        feeder.feed(&mut socket, 102).unwrap();
        feeder.feed(&mut socket, 0).unwrap();
        let mut lengths = Vec::new();
        let mut rest = &*socket;
        while !rest.is_empty() {
            let descriptor = protocol::read_descriptor(&mut rest).unwrap();
            assert_eq!(descriptor.channel, 7);
            let (sound, after) = rest.split_at(descriptor.length as usize);
            heard.extend(sound.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())));
            lengths.push(sound.len());
            rest = after;
        }
        assert_eq!(lengths, [40, 40, 20]);
        assert_eq!(heard, (0_u16..25).map(f32::from).collect::<Vec<_>>());
    }

    #[test]
    fn samples_that_end_go_on_as_silence() {
        let mut feeder = Feeder { channel: 0, samples: [1.0].into_iter(), block: vec![0; DESCRIPTOR_SIZE + 8] };
        let mut socket = Vec::new();
        feeder.feed(&mut socket, 8).unwrap();
        assert_eq!(socket[DESCRIPTOR_SIZE..], [1.0_f32.to_le_bytes(), [0; 4]].concat());
    }
}
