//! Retransmissions as browsers send them: in a stream of their own (RFC 4588), which the stack does not know.
//! Each becomes the packet that it repeats, as if that had been sent again.
//!
//! Without them a browser retransmits all the same, but cannot fill its probes with anything that helps: at
//! 10 % loss and 100 ms round trip Chromium's rate is a half lower (docs/decisions/congestion-control.md).

use bytes::{Buf, Bytes};
use rtc::{
    interceptor::{Packet, TaggedPacket},
    rtp,
};

use super::{
    description::{Retransmission, Session},
    reader::Read,
};

/// Bytes of the original sequence number, before the repeated payload (RFC 4588 section 4).
const ORIGINAL_NUMBER: usize = 2;

/// The id of the header extension that marks a packet as a repeat. RFC 8285 section 4.2 reserves it, so no peer
/// has a use for it.
const REPEAT: u8 = rtp::header::EXTENSION_ID_RESERVED;

/// Whether the packet came as a retransmission of another.
pub(super) fn is_repeat(header: &rtp::Header) -> bool {
    header.extensions.iter().any(|extension| extension.id == REPEAT)
}

/// Turns retransmissions into what they repeat.
pub(super) struct RtxReceiver {
    session: Session,
    /// The stream of video that came last.
    video: Option<u32>,
}

impl RtxReceiver {
    /// For what `session` describes.
    pub(super) fn new(session: Session) -> Self {
        Self { session, video: None }
    }

    /// False: there is nothing in the packet, it is padding of a probe.
    fn unwrap(&mut self, packet: &mut rtp::Packet, types: Retransmission) -> bool {
        let header = &mut packet.header;
        if header.payload_type == types.main {
            self.video = Some(header.ssrc);
        }
        if header.payload_type != types.rtx {
            return true;
        }
        let Some(video) = self.video.filter(|_| packet.payload.len() > ORIGINAL_NUMBER) else { return false };
        header.sequence_number = packet.payload.get_u16();
        header.payload_type = types.main;
        header.ssrc = video;
        header.extensions.push(rtp::header::Extension { id: REPEAT, payload: Bytes::from_static(&[0]) });
        true
    }
}

impl Read for RtxReceiver {
    fn read(&mut self, packet: &mut TaggedPacket) -> bool {
        let Packet::Rtp(rtp) = &mut packet.message.packet else { return true };
        self.session.retransmission().is_none_or(|types| self.unwrap(rtp, types))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::link::description::Addresses;

    const TYPES: Retransmission = Retransmission { rtx: 97, main: 96 };

    fn packet(payload_type: u8, ssrc: u32, sequence_number: u16, payload: &[u8]) -> rtp::Packet {
        let header = rtp::header::Header { version: 2, payload_type, ssrc, sequence_number, ..Default::default() };
        rtp::Packet { header, payload: Bytes::copy_from_slice(payload) }
    }

    /// (payload type, SSRC, sequence number, payload) of what becomes of it.
    fn unwrapped(receiver: &mut RtxReceiver, mut packet: rtp::Packet) -> Option<(u8, u32, u16, Vec<u8>)> {
        let payload_type = packet.header.payload_type;
        let has_media = receiver.unwrap(&mut packet, TYPES);
        let rtp::Packet { header, payload } = packet;
        assert_eq!(is_repeat(&header), has_media && payload_type == TYPES.rtx);
        has_media.then(|| (header.payload_type, header.ssrc, header.sequence_number, payload.to_vec()))
    }

    #[test]
    fn a_retransmission_becomes_what_it_repeats() {
        let mut receiver = RtxReceiver::new(Session::new(Addresses::Network));
        assert_eq!(unwrapped(&mut receiver, packet(97, 9, 1, b"\x12\x34early")), None, "of a stream that is not known");
        for (given, becomes) in [
            (packet(96, 7, 5, b"video"), Some((96, 7, 5, b"video".to_vec()))),
            (packet(97, 9, 2, b"\x12\x34again"), Some((96, 7, 0x1234, b"again".to_vec()))),
            (packet(111, 8, 3, b"sound"), Some((111, 8, 3, b"sound".to_vec()))),
            (packet(97, 9, 3, b""), None),
            (packet(97, 9, 4, b"\x12"), None),
            (packet(97, 9, 5, b"\x12\x34"), None),
            // The sender began a new stream.
            (packet(96, 17, 1, b"new"), Some((96, 17, 1, b"new".to_vec()))),
            (packet(97, 9, 6, b"\xff\xffx"), Some((96, 17, 0xffff, b"x".to_vec()))),
        ] {
            assert_eq!(unwrapped(&mut receiver, given), becomes);
        }
    }
}
