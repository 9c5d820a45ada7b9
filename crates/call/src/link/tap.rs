//! Reads every RTCP packet that comes, on its way through the stack.
//!
//! The stack hands inbound RTCP to its own interceptors only; PLI and FIR have to reach the encoder, reports the lip
//! sync and the statistics. An interceptor of ours sees them all, and needs no track to be found for them first.

use std::{collections::VecDeque, time::Instant};

use rtc::{
    interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket},
    sansio::Protocol,
    shared::error::Error,
};
use tokio::sync::mpsc;

/// RTCP that came, and when.
pub(super) type TappedRtcp = (Instant, Vec<Box<dyn rtc::rtcp::Packet>>);

/// Compound packets that may wait for the reader. A peer sends some 30 a second; what is beyond is a flood.
const CAPACITY: usize = 256;

pub(super) struct RtcpTap {
    to: mpsc::Sender<TappedRtcp>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl RtcpTap {
    pub(super) fn new() -> (Self, mpsc::Receiver<TappedRtcp>) {
        let (to, from) = mpsc::channel(CAPACITY);
        (Self { to, reads: VecDeque::new(), writes: VecDeque::new() }, from)
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for RtcpTap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            // Full: a flood. Losing feedback is what RTCP is made for.
            let _ = self.to.try_send((packet.now, packets.clone()));
        }
        self.reads.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for RtcpTap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
