//! The mixer: all sounds of all calls into one stream for the speaker.
//!
//! [`mixer`] makes two ends. [`Mixer`] belongs to the sound device's callback: [`Mixer::render`] takes no
//! lock, allocates and frees nothing and makes no system call. [`MixerHandle`] belongs to everybody else.
//! Between them are rings: packets and new streams go one way, streams to be freed go the other; stats come
//! back through atomics.

mod limiter;
mod shared;
mod snapshot;
mod stream;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use limiter::Limiter;
use rtrb::{Consumer, Producer, RingBuffer};
use shared::Shared;
pub use shared::{Playout, StreamStats};
use stream::{PacketSlot, Source, Stream};

use super::{
    FRAME_SAMPLES, Frame, SAMPLE_RATE,
    jitter::{JitterBuffer, JitterSettings, Packet},
    opus::OpusError,
};
use crate::advice::Advice;

/// Streams at a time. More than anybody tells apart; it bounds the time a callback takes.
const MAX_STREAMS: usize = 64;
/// Packets that may wait for the next callback of a stream: over half a second of the shortest ones, which is
/// as much as a jitter buffer would play, and each of them twice (RFC 2198).
const PACKET_RING: usize = 128;
/// Samples that may wait in a local stream: half a second.
const PCM_RING: usize = SAMPLE_RATE as usize / 2;

/// Why a stream could not be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MixerError {
    /// No decoder for it.
    Opus(#[from] OpusError),
    /// All places are taken, or nothing renders so that places never become free.
    Full,
}

impl MixerError {
    /// The error in two parts.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Opus(error) => {
                let Advice { what, todo } = error.advice();
                Advice::new(format!("an incoming sound stream could not be set up ({what})"), todo)
            }
            Self::Full => Advice::new(
                format!("{MAX_STREAMS} sound streams are playing already"),
                "end a call to hear another one",
            ),
        }
    }
}

impl fmt::Display for MixerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice().fmt(f)
    }
}

/// A new mixer: the end for control, and the end for the speaker.
pub fn mixer() -> (MixerHandle, Mixer) {
    let (added_in, added) = RingBuffer::new(MAX_STREAMS);
    let (removed, removed_out) = RingBuffer::new(MAX_STREAMS);
    let ends = Arc::new(Mutex::new(Ends { added: added_in, removed: removed_out }));
    let streams = Vec::with_capacity(MAX_STREAMS);
    (MixerHandle { ends }, Mixer { added, removed, streams, scratch: [0.0; FRAME_SAMPLES], limiter: Limiter::new() })
}

/// The control side's ends of the rings.
#[derive(Debug)]
struct Ends {
    added: Producer<Stream>,
    removed: Consumer<Stream>,
}

/// Frees what the render side is done with.
fn free_removed(ends: &Mutex<Ends>) {
    let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
    while ends.removed.pop().is_ok() {}
}

/// Adds streams; clones all lead to the same mixer.
#[derive(Clone, Debug)]
pub struct MixerHandle {
    ends: Arc<Mutex<Ends>>,
}

impl MixerHandle {
    /// Adds a stream of Opus packets from the network.
    pub fn add_stream(&self) -> Result<AudioStream, MixerError> {
        let (packets, ring) = RingBuffer::new(PACKET_RING);
        let buffer = Box::new(JitterBuffer::new(JitterSettings::default())?);
        Ok(AudioStream { packets, control: self.add(Source::Packets { ring, buffer })? })
    }

    /// Adds a stream of sound made here, 48 kHz mono: a ring tone, a test tone.
    pub fn add_pcm_stream(&self) -> Result<PcmStream, MixerError> {
        let (samples, ring) = RingBuffer::new(PCM_RING);
        Ok(PcmStream { samples, control: self.add(Source::Pcm { ring })? })
    }

    fn add(&self, source: Source) -> Result<Control, MixerError> {
        free_removed(&self.ends);
        let shared = Arc::new(Shared::new());
        let stream = Stream::new(source, Arc::clone(&shared));
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.added.push(stream).map_err(|_| MixerError::Full)?;
        Ok(Control { shared, ends: Arc::clone(&self.ends) })
    }
}

/// An owner's hold of a stream; dropping it ends the stream.
#[derive(Debug)]
struct Control {
    shared: Arc<Shared>,
    ends: Arc<Mutex<Ends>>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.close();
        free_removed(&self.ends);
    }
}

/// A stream from the network. Dropped, it fades out within 10 ms and goes.
#[derive(Debug)]
pub struct AudioStream {
    packets: Producer<PacketSlot>,
    control: Control,
}

impl AudioStream {
    /// Hands over a packet. If the speaker has not taken any for so long that there is no room, it is dropped
    /// and counted ([`StreamStats::overflowed`]); one over the largest size is counted as refused.
    pub fn push(&mut self, packet: Packet<'_>) {
        match PacketSlot::new(&packet) {
            None => self.control.shared.count_oversized(),
            Some(slot) => {
                if self.packets.push(slot).is_err() {
                    self.control.shared.count_overflow();
                }
            }
        }
    }

    /// How it is doing, as of the last 10 ms played.
    pub fn stats(&self) -> StreamStats {
        self.control.shared.stats()
    }

    /// 1 leaves it as it is, 0 is silence; takes effect over 10 ms.
    pub fn set_gain(&self, gain: f32) {
        self.control.shared.set_gain(gain);
    }

    /// Delays the sound by so much more than the network asks for, so that video which comes later keeps up
    /// with it. Reached by stretching, within about a second; the whole delay never exceeds
    /// [`JitterSettings::max_delay`].
    pub fn set_extra_delay(&self, delay: Duration) {
        self.control.shared.set_extra_delay(delay);
    }

    /// How loud it is now, before gain: root mean square, 0 to 1, falling slowly enough to be drawn.
    pub fn level(&self) -> f32 {
        self.control.shared.level()
    }
}

/// A stream of sound made here. Dropped, it fades out within 10 ms and goes; what was pushed but not played
/// is lost.
#[derive(Debug)]
pub struct PcmStream {
    samples: Producer<f32>,
    control: Control,
}

impl PcmStream {
    /// Hands over as many of `samples` as there is room for, and returns how many.
    pub fn push(&mut self, samples: &[f32]) -> usize {
        self.samples.push_partial_slice(samples).0.len()
    }

    /// Samples handed over and not played yet; at most half a second.
    pub fn queued(&self) -> usize {
        PCM_RING - self.samples.slots()
    }

    /// 1 leaves it as it is, 0 is silence; takes effect over 10 ms.
    pub fn set_gain(&self, gain: f32) {
        self.control.shared.set_gain(gain);
    }

    /// How loud it is now, as [`AudioStream::level`].
    pub fn level(&self) -> f32 {
        self.control.shared.level()
    }
}

/// The speaker's end.
#[derive(Debug)]
pub struct Mixer {
    added: Consumer<Stream>,
    removed: Producer<Stream>,
    streams: Vec<Stream>,
    scratch: Frame,
    limiter: Limiter,
}

impl Mixer {
    /// Renders the next 10 ms into `out`, as they are to be handed to the device at `now`. Silence if there
    /// is nothing.
    pub fn render(&mut self, out: &mut Frame, now: Instant) {
        while self.streams.len() < MAX_STREAMS
            && let Ok(stream) = self.added.pop()
        {
            self.streams.push(stream);
        }
        out.fill(0.0);
        for stream in &mut self.streams {
            stream.mix_into(out, &mut self.scratch, now);
        }
        self.remove_ended();
        self.limiter.limit(out);
    }

    /// Hands ended streams back to be freed, as many as there is room for; the rest stays, silent.
    fn remove_ended(&mut self) {
        while self.removed.slots() > 0
            && let Some(ended) = self.streams.iter().position(|stream| stream.is_over())
        {
            let handed_back = self.removed.push(self.streams.swap_remove(ended));
            debug_assert!(handed_back.is_ok(), "there was a slot, and nobody else fills the ring");
        }
    }
}

#[cfg(test)]
mod tests;
