//! Redundant audio (RFC 2198): each packet carries the ones before it once more, so that a lost packet comes
//! back with the next one that arrives.
//!
//! Opus has forward error correction of its own, but for speech only: music and tones, which it codes by
//! CELT, have none (RFC 6716 section 4.2.5). This works for any sound, at the price of sending it twice.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::vp8::MAX_PAYLOAD;

/// Largest offset of a repeated packet: 14 bits of RTP ticks (RFC 2198 section 3).
const MAX_OFFSET: u32 = (1 << 14) - 1;
/// Largest repeated packet: 10 bits of length (same section).
const MAX_REPEATED: usize = (1 << 10) - 1;
/// Bytes of the header of a repeated block, and of the last one.
const HEADER_LEN: usize = 4;
const LAST_HEADER_LEN: usize = 1;
/// Says that another block follows.
const FOLLOWED: u8 = 0x80;
/// Blocks read of one packet. Senders in the field repeat one packet or two; more is somebody playing with
/// us.
const MAX_BLOCKS: usize = 8;

/// Packets that a packet repeats at most. With three, random loss of 30 % leaves 1 %: PESQ 3.3, and 3.5
/// without loss (docs/decisions/voice.md).
pub const MAX_COPIES: usize = 3;

/// Writes packets that repeat those before them.
#[derive(Debug, Default)]
pub struct RedWriter {
    /// The newest first; at most [`MAX_COPIES`].
    recent: VecDeque<(u32, Bytes)>,
}

impl RedWriter {
    /// Notes a packet that leaves, repeated or not: the next ones may repeat it.
    pub fn sent(&mut self, timestamp: u32, payload: Bytes) {
        self.recent.truncate(MAX_COPIES - 1);
        self.recent.push_front((timestamp, payload));
    }

    /// The payload for `payload`, which starts at RTP time `timestamp`, with up to `copies` of the packets
    /// that were sent before it. `payload_type` is that of all. A packet that is too old or too large to be
    /// repeated is left out, and so are those before it: a receiver counts sequence numbers by the blocks.
    pub fn write(&self, payload_type: u8, timestamp: u32, payload: &[u8], copies: usize) -> Bytes {
        let mut bytes = LAST_HEADER_LEN + payload.len();
        let fitting = self.recent.iter().take(copies).map_while(|(before, repeated)| {
            let offset = timestamp.wrapping_sub(*before);
            bytes += HEADER_LEN + repeated.len();
            let fits = (1..=MAX_OFFSET).contains(&offset) && repeated.len() <= MAX_REPEATED && bytes <= MAX_PAYLOAD;
            fits.then_some((offset, repeated))
        });
        let mut blocks = [None; MAX_COPIES];
        blocks.iter_mut().zip(fitting).for_each(|(block, fitting)| *block = Some(fitting));
        // The oldest comes first.
        let repeated = || blocks.iter().rev().flatten();
        let mut packet = BytesMut::with_capacity(bytes);
        for (offset, bytes) in repeated() {
            packet.put_u8(FOLLOWED | payload_type);
            packet.put_uint(u64::from(*offset) << 10 | bytes.len() as u64, 3);
        }
        packet.put_u8(payload_type);
        repeated().for_each(|(_, bytes)| packet.put_slice(bytes));
        packet.put_slice(payload);
        packet.freeze()
    }
}

/// One block of a redundant packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it is coded with.
    pub payload_type: u8,
    /// RTP ticks before the packet's own timestamp; 0 for its own.
    pub offset: u32,
    /// Packets before this one in which it was sent for the first time; 0 for its own.
    pub distance: u16,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// The blocks of a redundant packet: its own first, then those that it repeats, the oldest first. None: cut
/// short, or no such packet.
pub fn blocks(packet: &[u8]) -> Option<impl Iterator<Item = Block<'_>>> {
    let (mut headers, mut rest) = ([(0, 0, 0); MAX_BLOCKS], packet);
    let mut repeated = 0;
    let own = loop {
        let (first, after) = rest.split_first()?;
        if first & FOLLOWED == 0 {
            rest = after;
            break *first;
        }
        let [high, middle, low, after @ ..] = after else { return None };
        let bits = u32::from_be_bytes([0, *high, *middle, *low]);
        *headers.get_mut(repeated)? = (first & !FOLLOWED, bits >> 10, (bits & 0x3ff) as usize);
        repeated += 1;
        rest = after;
    };
    let bytes: usize = headers.iter().map(|(_, _, len)| len).sum();
    // What is repeated must be there whole. The packet's own sound may be of no length.
    let own = Block { payload_type: own, offset: 0, distance: 0, payload: rest.get(bytes..)? };
    let headers = headers.into_iter().take(repeated).enumerate();
    let copies = headers.scan(rest, move |rest, (index, (payload_type, offset, len))| {
        let (payload, after) = rest.split_at(len.min(rest.len()));
        *rest = after;
        Some(Block { payload_type, offset, distance: (repeated - index) as u16, payload })
    });
    Some([own].into_iter().chain(copies))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPUS: u8 = 111;

    fn read(packet: &[u8]) -> Option<Vec<(u32, u16, Vec<u8>)>> {
        let of = |block: Block<'_>| {
            assert_eq!(block.payload_type, OPUS);
            (block.offset, block.distance, block.payload.to_vec())
        };
        Some(blocks(packet)?.map(of).collect())
    }

    #[test]
    fn a_packet_carries_the_one_before_it() {
        let mut red = RedWriter::default();
        assert_eq!(read(&red.write(OPUS, 480, b"first", 1)), Some(vec![(0, 0, b"first".to_vec())]));
        red.sent(480, Bytes::from_static(b"first"));
        let packet = red.write(OPUS, 960, b"second", 1);
        assert_eq!(read(&packet), Some(vec![(0, 0, b"second".to_vec()), (480, 1, b"first".to_vec())]));
        // RFC 2198 section 3, bit for bit: F and type, 14 bits of offset, 10 of length; F and type.
        assert_eq!(
            packet[..5],
            [0x80 | 111, 480u16.to_be_bytes()[0] << 2 | 480u16.to_be_bytes()[1] >> 6, 0x80, 5, 111]
        );
    }

    #[test]
    fn what_does_not_fit_its_fields_is_left_out() {
        let long = Bytes::from(vec![1; MAX_REPEATED + 1]);
        for (before, payload) in [
            (0u32.wrapping_sub(MAX_OFFSET + 1), Bytes::from_static(b"old")),
            (0, Bytes::from_static(b"of the same time")),
            (1, Bytes::from_static(b"of the future")),
            (0u32.wrapping_sub(480), long),
        ] {
            let mut red = RedWriter::default();
            red.sent(before, payload);
            assert_eq!(read(&red.write(OPUS, 0, b"own", 1)), Some(vec![(0, 0, b"own".to_vec())]));
        }
        let mut red = RedWriter::default();
        red.sent(0u32.wrapping_sub(MAX_OFFSET), Bytes::from(vec![7; MAX_REPEATED]));
        let packet = red.write(OPUS, 0, b"", 1);
        assert_eq!(read(&packet), Some(vec![(0, 0, Vec::new()), (MAX_OFFSET, 1, vec![7; MAX_REPEATED])]));
    }

    #[test]
    fn as_many_packets_are_repeated_as_are_wanted_and_fit() {
        let mut red = RedWriter::default();
        for (n, bytes) in (0..).zip([&b"lost long ago"[..], b"first", b"second", b"third"]) {
            red.sent(n * 2880, Bytes::from_static(bytes));
        }
        let [own, third, second, first] =
            [(0, 0, &b"own"[..]), (2880, 1, b"third"), (5760, 2, b"second"), (8640, 3, b"first")];
        for (copies, expected) in [
            (0, &[own][..]),
            (1, &[own, third]),
            (2, &[own, second, third]),
            (3, &[own, first, second, third]),
            (1000, &[own, first, second, third]),
        ] {
            let expected =
                expected.iter().map(|(offset, distance, bytes)| (*offset, *distance, bytes.to_vec())).collect();
            assert_eq!(read(&red.write(OPUS, 4 * 2880, b"own", copies)), Some(expected), "{copies} copies");
        }
        // What is before one that does not fit would be taken for it.
        let mut red = RedWriter::default();
        red.sent(480, Bytes::from_static(b"small"));
        red.sent(960, Bytes::from(vec![1; MAX_REPEATED + 1]));
        assert_eq!(read(&red.write(OPUS, 1440, b"own", 2)), Some(vec![(0, 0, b"own".to_vec())]));
        // Together they would not fit into a packet of the path.
        let mut red = RedWriter::default();
        red.sent(480, Bytes::from(vec![1; 700]));
        red.sent(960, Bytes::from(vec![2; 300]));
        let packet = red.write(OPUS, 1440, &[3; 300], 2);
        assert_eq!(read(&packet), Some(vec![(0, 0, vec![3; 300]), (480, 1, vec![2; 300])]));
    }

    #[test]
    fn two_repeated_packets_are_told_apart() {
        let packet = [0x80 | OPUS, 15, 0, 1, 0x80 | OPUS, 7, 0x80, 2, OPUS, b'a', b'b', b'b', b'c'];
        let [a, b, c] = [(960, 2, b"a".to_vec()), (480, 1, b"bb".to_vec()), (0, 0, b"c".to_vec())];
        assert_eq!(read(&packet), Some(vec![c, a, b]));
    }

    #[test]
    fn what_is_cut_short_or_endless_is_refused() {
        let packet = [0x80 | OPUS, 7, 0x80, 2, OPUS, b'b', b'b'];
        for len in 0..packet.len() {
            assert_eq!(read(&packet[..len]), None, "{len} bytes");
        }
        let endless = [0x80 | OPUS, 0, 0, 0].repeat(MAX_BLOCKS + 1);
        assert_eq!(read(&[endless, vec![OPUS]].concat()), None);
    }
}
