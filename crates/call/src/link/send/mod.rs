//! The send queue: everything a link sends passes here, and leaves at the rate that the path carries.
//!
//! ```text
//! sound ─────────────────────────────────┐
//! NACK ─▶ repairs (budget, once a half round trip) ─┐ │
//! video ─▶ queue ───────────────────────────────────┴─┴─▶ pacer ─▶ numbering, estimator, wire
//!                                  probe ordered: padding ─┘
//! ```
//!
//! Sound never waits, but what it takes is taken from the rest. Retransmissions go before new video, within a
//! budget of their own. While the estimator probes, packets leave faster, and padding fills up what video is
//! too little for.

mod queue;
mod repair;

use std::{collections::VecDeque, time::Instant};

use rtc::{
    interceptor::{Attribute, AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket},
    rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack,
    rtp,
    sansio::Protocol,
    shared::{TransportContext, error::Error, marshal::MarshalSize},
};

pub(super) use self::queue::{Released, SendQueue};
use super::estimate::SendControl;

/// Bytes that each RTP packet grows by on its way to the wire: the transport-wide number, SRTP's tag, UDP and
/// IPv4.
pub(super) const WIRE_OVERHEAD: usize = 8 + 10 + 8 + 20;

/// Paces, repairs and probes.
pub(super) struct SendInterceptor {
    video: u32,
    queue: SendQueue,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl SendInterceptor {
    /// For a link whose video has this SSRC.
    pub(super) fn new(video: u32, control: SendControl, now: Instant) -> Self {
        Self { video, queue: SendQueue::new(control, now), reads: VecDeque::new(), writes: VecDeque::new() }
    }

    fn release(&mut self, now: Instant) {
        while let Some(released) = self.queue.release(now) {
            let (packet, attribute) = match released {
                Released::Media(packet) | Released::Padding(packet) => (packet, None),
                Released::Repair(packet) => (packet, Some(Attribute::Retransmission)),
            };
            let mut message = AttributedPacket::new(Packet::Rtp(packet));
            message.attributes.extend(attribute);
            self.writes.push_back(TaggedPacket { now, transport: TransportContext::default(), message });
        }
    }
}

/// Bytes of a packet on the wire.
pub(super) fn wire_size(packet: &rtp::Packet) -> usize {
    packet.marshal_size() + WIRE_OVERHEAD
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for SendInterceptor {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            let nacks = packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<TransportLayerNack>());
            for nack in nacks.filter(|nack| nack.media_ssrc == self.video) {
                let numbers = nack.nacks.iter().flat_map(|pair| {
                    let following = (0..16u16).filter(|bit| pair.lost_packets & (1 << bit) != 0);
                    std::iter::once(pair.packet_id).chain(following.map(|bit| pair.packet_id.wrapping_add(bit + 1)))
                });
                self.queue.repair(packet.now, numbers);
            }
            self.release(packet.now);
        }
        self.reads.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        let now = packet.now;
        match packet.message.packet {
            Packet::Rtp(video) if video.header.ssrc == self.video => {
                self.queue.push(now, video);
                self.release(now);
            }
            Packet::Rtp(ref sound) => {
                self.queue.passed(now, wire_size(sound));
                self.writes.push_back(packet);
            }
            // Feedback is of use only while it is fresh.
            _ => self.writes.push_back(packet),
        }
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.release(now);
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.queue.next_release()
    }
}

impl Interceptor for SendInterceptor {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
