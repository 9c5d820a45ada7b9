//! Reads every packet that comes, on its way through the stack.
//!
//! The stack hands inbound RTCP to its own interceptors only; PLI and FIR have to reach the encoder, reports
//! the lip sync and the statistics. An interceptor of ours sees them all, and needs no track to be found for
//! them first. It also sees RTP of streams that no description declares, which the stack drops.

use std::{sync::Arc, time::Instant};

use rtc::interceptor::{Packet, TaggedPacket};
use tokio::sync::{Notify, mpsc};

use super::{description::Session, reader::Read};

/// RTCP that came, and when.
pub(super) type TappedRtcp = (Instant, Vec<Box<dyn rtc::rtcp::Packet>>);

/// Compound packets that may wait for the reader. A peer sends some 30 a second; what is beyond is a flood.
const CAPACITY: usize = 256;

pub(super) struct Tap {
    to: mpsc::Sender<TappedRtcp>,
    session: Session,
    undeclared: Arc<Notify>,
}

impl Tap {
    /// The tap, what it reads, and what it notifies of a stream that `session` has to declare to the stack.
    pub(super) fn new(session: Session) -> (Self, mpsc::Receiver<TappedRtcp>, Arc<Notify>) {
        let (to, from) = mpsc::channel(CAPACITY);
        let undeclared = Arc::new(Notify::new());
        (Self { to, session, undeclared: Arc::clone(&undeclared) }, from, undeclared)
    }
}

impl Read for Tap {
    fn read(&mut self, packet: &mut TaggedPacket) -> bool {
        match &packet.message.packet {
            Packet::Rtcp(packets) => {
                // Full: a flood. Losing feedback is what RTCP is made for.
                let _ = self.to.try_send((packet.now, packets.clone()));
            }
            Packet::Rtp(rtp) if self.session.packet_came(packet.now, rtp.header.ssrc, rtp.header.payload_type) => {
                self.undeclared.notify_one();
            }
            // RTP of a stream that is known; and the crate's enum may grow.
            _ => {}
        }
        true
    }
}
