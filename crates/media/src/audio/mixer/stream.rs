//! The render side of one stream.

use std::{sync::Arc, time::Instant};

use rtrb::Consumer;

use super::shared::Shared;
use crate::audio::{
    FRAME_SAMPLES, Frame,
    jitter::{JitterBuffer, Packet, Pulled},
    opus::MAX_PACKET,
};

/// Per frame the shown level falls by this factor, a quarter in 30 ms: peaks stay long enough to be seen.
const LEVEL_FALL: f32 = 0.9;

/// A packet on its way to the render side, with room for any.
#[derive(Debug)]
pub struct PacketSlot {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    arrival: Instant,
    redundant: bool,
    size: usize,
    bytes: [u8; MAX_PACKET],
}

impl PacketSlot {
    /// `None` if the payload is larger than any packet is allowed to be.
    pub fn new(packet: &Packet<'_>) -> Option<Self> {
        let Packet { ssrc, sequence, timestamp, payload, arrival, redundant } = *packet;
        let mut bytes = [0; MAX_PACKET];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { ssrc, sequence, timestamp, arrival, redundant, size: payload.len(), bytes })
    }

    fn packet(&self) -> Packet<'_> {
        Packet {
            ssrc: self.ssrc,
            sequence: self.sequence,
            timestamp: self.timestamp,
            payload: self.bytes.get(..self.size).unwrap_or_default(),
            arrival: self.arrival,
            redundant: self.redundant,
        }
    }
}

/// Where a stream's sound comes from.
#[derive(Debug)]
pub enum Source {
    /// The network.
    Packets { ring: Consumer<PacketSlot>, buffer: Box<JitterBuffer> },
    /// This program.
    Pcm { ring: Consumer<f32> },
}

/// One stream as the mixer holds it.
#[derive(Debug)]
pub struct Stream {
    source: Source,
    shared: Arc<Shared>,
    /// As of the last sample rendered; moves to the wanted one over a frame.
    gain: f32,
}

impl Stream {
    pub fn new(source: Source, shared: Arc<Shared>) -> Self {
        Self { source, shared, gain: 1.0 }
    }

    /// Its owner is gone, and it has faded out.
    pub fn is_over(&self) -> bool {
        self.shared.is_closed() && self.gain == 0.0
    }

    /// Adds 10 ms of it to `out`, by way of `scratch`.
    pub fn mix_into(&mut self, out: &mut Frame, scratch: &mut Frame, now: Instant) {
        let audible = match &mut self.source {
            Source::Packets { ring, buffer } => {
                while let Ok(slot) = ring.pop() {
                    buffer.insert(slot.packet());
                }
                buffer.set_extra_delay(self.shared.extra_delay());
                let pulled = buffer.pull(scratch, now);
                self.shared.publish(buffer.stats(), now);
                pulled != Pulled::Silence
            }
            Source::Pcm { ring } => {
                let (popped, missing) = ring.pop_partial_slice(scratch);
                missing.fill(0.0);
                !popped.is_empty()
            }
        };
        let wanted = if self.shared.is_closed() { 0.0 } else { self.shared.gain() };
        let step = (wanted - self.gain) / FRAME_SAMPLES as f32;
        let mut power = 0.0;
        if audible {
            for ((out, sample), i) in out.iter_mut().zip(scratch).zip(1..) {
                *out += *sample * (self.gain + i as f32 * step);
                power += *sample * *sample;
            }
        }
        self.gain = wanted;
        let level = (power / FRAME_SAMPLES as f32).sqrt();
        self.shared.set_level(level.max(self.shared.level() * LEVEL_FALL));
    }
}
