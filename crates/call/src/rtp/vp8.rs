//! The RTP payload format for VP8 (RFC 7741): a frame into packets, and the descriptor of a packet that came.

use bytes::{BufMut, Bytes, BytesMut};

/// Payload bytes of one RTP packet, descriptor included. A packet with all its headers fits into
/// `MIN_PATH_MTU`, and into the 1280 bytes that every IPv6 path carries (RFC 8200 section 5).
///
/// Browsers use 1200, which a VPN within a VPN does not carry, and the don't-fragment bit is set on all that
/// we send. A fixed size instead of discovery costs some 0.5 % more bytes on a path of 1500 (by calculation),
/// and loses nothing until the path is known.
pub const MAX_PAYLOAD: usize = MIN_PATH_MTU - HEADERS - SPARE;

/// The narrowest IPv4 path that a call is made for: WireGuard or OpenVPN within another tunnel.
const MIN_PATH_MTU: usize = 1200;
/// IPv4 20, UDP 8, a TURN indication 36 (RFC 8656; a channel takes 4), RTP 12, its extensions 12 (mid,
/// transport-wide number), the authentication tag of SRTP 10.
const HEADERS: usize = 20 + 8 + 36 + 12 + 12 + 10;
/// For a longer mid, and one more extension.
const SPARE: usize = 12;

/// Bytes of the descriptor that [`packetize`] writes: required byte, extension byte, 15-bit PictureID.
const DESCRIPTOR_LEN: usize = 4;

/// Cuts one VP8 frame into RTP payloads, in order. The last one belongs to the packet with the marker bit.
///
/// `picture_id` counts frames; its low 15 bits are sent (RFC 7741 section 4.2). An empty frame gives no
/// payload.
pub fn packetize(frame: &[u8], picture_id: u16) -> impl ExactSizeIterator<Item = Bytes> + '_ {
    // Pieces of equal size: a frame of 1100 bytes as 550 + 550 survives a small path MTU no worse, and gives
    // a pacer an even load.
    let room = MAX_PAYLOAD - DESCRIPTOR_LEN;
    let pieces = frame.len().div_ceil(room);
    let size = if pieces == 0 { room } else { frame.len().div_ceil(pieces) };
    frame.chunks(size).enumerate().map(move |(index, piece)| {
        let mut payload = BytesMut::with_capacity(DESCRIPTOR_LEN + piece.len());
        // X: extension byte follows; S: start of the first partition, PartID 0 throughout.
        payload.put_u8(0x80 | if index == 0 { 0x10 } else { 0 });
        payload.put_u8(0x80); // I: PictureID follows
        payload.put_u16(0x8000 | (picture_id & 0x7fff)); // M: it has 15 bits
        payload.put_slice(piece);
        payload.freeze()
    })
}

/// What a payload descriptor says, and where the VP8 bytes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// This packet begins a frame: S is set and the partition index is 0.
    pub starts_frame: bool,
    /// Bytes of descriptor before the VP8 bytes.
    pub len: usize,
    /// The number of the frame, where the sender numbers frames.
    pub picture: Option<PictureId>,
}

/// The number of a frame, one more than that of the frame before it (RFC 7741 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    number: u16,
    /// 7 or 15 bits, all set.
    mask: u16,
}

impl PictureId {
    /// Whether this is the frame right behind `before`.
    pub fn follows(self, before: Self) -> bool {
        before.number.wrapping_add(1) & self.mask == self.number
    }
}

impl Descriptor {
    /// Reads the descriptor (RFC 7741 section 4.2). None: cut short, or nothing behind it.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut rest = payload.iter().copied();
        let required = rest.next()?;
        let (extended, start, partition) = (required & 0x80 != 0, required & 0x10 != 0, required & 0x07);
        let (mut len, mut picture) = (1, None);
        if extended {
            let extension = rest.next()?;
            len += 1;
            if extension & 0x80 != 0 {
                // I: PictureID of 7 or, with M, 15 bits
                let first = rest.next()?;
                let long = first & 0x80 != 0;
                len += if long { 2 } else { 1 };
                picture = Some(if long {
                    PictureId { number: u16::from_be_bytes([first & 0x7f, rest.next()?]), mask: 0x7fff }
                } else {
                    PictureId { number: first.into(), mask: 0x7f }
                });
            }
            if extension & 0x40 != 0 {
                len += 1; // L: TL0PICIDX
            }
            if extension & 0x30 != 0 {
                len += 1; // T or K: TID, Y and KEYIDX share a byte
            }
        }
        (payload.len() > len).then_some(Self { starts_frame: start && partition == 0, len, picture })
    }

    /// Whether the packet begins a key frame: the P bit of the VP8 payload header is 0 (RFC 7741 section
    /// 4.3).
    pub fn starts_key_frame(&self, payload: &[u8]) -> bool {
        self.starts_frame && payload.get(self.len).is_some_and(|header| header & 0x01 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts packets together again, the way a receiver does.
    fn assemble(packets: &[Bytes]) -> Vec<u8> {
        packets.iter().flat_map(|p| p[Descriptor::parse(p).unwrap().len..].to_vec()).collect()
    }

    #[test]
    fn a_frame_of_any_size_survives_the_way() {
        let room = MAX_PAYLOAD - DESCRIPTOR_LEN;
        for len in [1, 2, room - 1, room, room + 1, 2 * room, 2 * room + 1, 65_537] {
            let frame: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let packets: Vec<_> = packetize(&frame, 77).collect();
            assert_eq!(assemble(&packets), frame);
            assert!(packets.iter().all(|p| p.len() <= MAX_PAYLOAD));
            let starts: Vec<_> = packets.iter().map(|p| Descriptor::parse(p).unwrap().starts_frame).collect();
            assert!(starts[0] && starts[1..].iter().all(|s| !s), "only the first packet starts the frame");
        }
    }

    #[test]
    fn an_empty_frame_gives_no_packet() {
        assert_eq!(packetize(&[], 0).len(), 0);
    }

    #[test]
    fn descriptors_of_every_shape_are_measured() {
        let (short, long) =
            (|number| Some(PictureId { number, mask: 0x7f }), |number| Some(PictureId { number, mask: 0x7fff }));
        // (bytes, length of the descriptor, starts a frame, its number), after the figures of RFC 7741
        // section 4.2
        for (bytes, len, starts_frame, picture) in [
            (&[0x10, 0][..], 1, true, None),
            (&[0x00, 0], 1, false, None),
            (&[0x11, 0], 1, false, None), // S with PartID 1: a later partition
            (&[0x90, 0x80, 0x7f, 0], 3, true, short(0x7f)),
            (&[0x90, 0x80, 0x80, 0x01, 0], 4, true, long(1)),
            (&[0x90, 0xc0, 0xff, 0xfe, 0x05, 0], 5, true, long(0x7ffe)),
            (&[0x90, 0xe0, 0x80, 0x01, 0x05, 0x20, 0], 6, true, long(1)),
            (&[0x90, 0xf0, 0x80, 0x01, 0x05, 0x21, 0], 6, true, long(1)),
            (&[0x90, 0x20, 0x20, 0], 3, true, None),
        ] {
            assert_eq!(Descriptor::parse(bytes), Some(Descriptor { starts_frame, len, picture }), "{bytes:x?}");
        }
    }

    #[test]
    fn frames_are_numbered_over_the_wrap() {
        let (short, long) = (|number| PictureId { number, mask: 0x7f }, |number| PictureId { number, mask: 0x7fff });
        for (before, next, follows) in [
            (long(7), long(8), true),
            (long(7), long(9), false),
            (long(7), long(7), false),
            (long(8), long(7), false),
            (long(0x7fff), long(0), true),
            (short(0x7f), short(0), true),
            // The number may grow from 7 bits to 15.
            (short(0x7f), long(0x80), true),
        ] {
            assert_eq!(next.follows(before), follows, "{before:?} {next:?}");
        }
    }

    #[test]
    fn short_payloads_are_refused() {
        for bytes in [&[][..], &[0x10], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x80, 0x01], &[0x90, 0xf0, 0x01, 0x01]] {
            assert_eq!(Descriptor::parse(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn a_key_frame_is_known_by_its_first_packet() {
        let key: Vec<_> = packetize(&[0x10; 3000], 1).collect();
        let delta: Vec<_> = packetize(&[0x11; 3000], 2).collect();
        let starts_key = |p: &Bytes| Descriptor::parse(p).unwrap().starts_key_frame(p);
        assert_eq!(key.iter().map(starts_key).collect::<Vec<_>>(), [true, false, false]);
        assert!(!delta.iter().any(starts_key));
    }
}
