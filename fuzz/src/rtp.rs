//! Packets behind SRTP: VP8's payload descriptor, the receiver that makes frames of pictures, and redundant
//! sound.

use std::time::{Duration, Instant};

use ahoy_call::rtp::{
    receive::{ReceiveOutput, VideoPacket, VideoReceiver},
    red::{self, RedWriter},
    vp8::{Descriptor, packetize},
};
use ahoy_media::video::vp8::is_key_frame;
use bytes::Bytes;

use crate::vp8;

/// Bytes before each payload: flags, milliseconds since the packet before, sequence number, timestamp in
/// frames, length.
const RECORD: usize = 7;
const MARKER: u8 = 1;
/// The time is that of the receiver's own deadline.
const AT_DEADLINE: u8 = 2;
/// Whoever gets the frames has lost one.
const WANT_KEY_FRAME: u8 = 4;
/// The packet is known to have been sent before.
const REPEATED: u8 = 8;
/// 90 kHz, 30 frames a second.
const FRAME_TICKS: u32 = 3000;
/// As many packets as the receiver keeps; no list in a NACK is longer.
const NACK_MAX: usize = 1024;

/// A descriptor never claims more than is there.
pub(crate) fn descriptor(data: &[u8]) {
    if let Some(descriptor) = Descriptor::parse(data) {
        assert!((1..data.len()).contains(&descriptor.len), "{descriptor:?}");
        assert!(descriptor.starts_frame || !descriptor.starts_key_frame(data), "{descriptor:?}");
    }
}

/// Payloads of frames, and descriptors with every field.
pub(crate) fn payloads() -> Vec<Vec<u8>> {
    let mut payloads: Vec<_> = vp8::frames().iter().flat_map(|frame| packetize(frame, 0x7fff)).map(Vec::from).collect();
    payloads.extend([&[0x10, 0][..], &[0x90, 0x80, 0x7f, 0], &[0x90, 0xf0, 0x80, 1, 5, 0x21, 0]].map(Vec::from));
    payloads
}

/// Blocks hold no more than the packet, the first is the packet's own, and the distances of the others count
/// down.
pub(crate) fn redundant(data: &[u8]) {
    let Some(blocks) = red::blocks(data) else { return };
    let blocks: Vec<_> = blocks.collect();
    assert!(blocks.iter().map(|block| block.payload.len()).sum::<usize>() < data.len());
    let (own, copies) = blocks.split_first().expect("its own");
    let distances = copies.iter().rev().map(|block| usize::from(block.distance));
    assert!(distances.eq(1..blocks.len()) && (own.offset, own.distance) == (0, 0), "{blocks:?}");
}

/// A packet alone, one with its predecessor, one with two.
pub(crate) fn redundant_packets() -> Vec<Vec<u8>> {
    let mut red = RedWriter::default();
    let alone = red.write(111, 480, &[0xfc; 40], 2);
    red.sent(480, Bytes::from_static(&[0xfc; 40]));
    let two = [0x80 | 111, 15, 0, 1, 0x80 | 111, 7, 0x80, 2, 111, b'a', b'b', b'b', b'c'];
    vec![alone.to_vec(), red.write(111, 960, &[0xf8; 60], 2).to_vec(), two.to_vec()]
}

/// Frames begin with a key frame and hold no more than what came; nothing is asked for without end.
pub(crate) fn receive(mut data: &[u8]) {
    let (mut receiver, mut now) = (VideoReceiver::default(), Instant::now());
    let (mut bytes_in, mut bytes_out, mut shown) = (0, 0, false);
    while let Some((&[flags, ms, s0, s1, frame, l0, l1], rest)) = data.split_first_chunk::<RECORD>() {
        let len = usize::from(u16::from_be_bytes([l0, l1])).min(rest.len());
        let (payload, rest) = rest.split_at(len);
        data = rest;
        bytes_in += payload.len();

        now += Duration::from_millis(ms.into());
        if let Some(deadline) = receiver.next_deadline().filter(|_| flags & AT_DEADLINE != 0) {
            now = now.max(deadline);
            receiver.handle_timeout(now);
        }
        if flags & WANT_KEY_FRAME != 0 {
            receiver.want_key_frame(now);
        }
        receiver.insert(
            now,
            VideoPacket {
                sequence: u16::from_be_bytes([s0, s1]),
                timestamp: u32::from(frame) * FRAME_TICKS,
                marker: flags & MARKER != 0,
                payload: Bytes::copy_from_slice(payload),
                repeated: flags & REPEATED != 0,
            },
        );
        assert!(receiver.next_deadline().is_none_or(|deadline| deadline > now), "a deadline that has passed spins");

        while let Some(output) = receiver.poll_output() {
            match output {
                ReceiveOutput::Frame(frame) => {
                    assert_eq!(frame.key, is_key_frame(&frame.data), "what the frame says of itself");
                    assert!(shown || frame.key, "the first frame needs others before it");
                    shown = true;
                    bytes_out += frame.data.len();
                }
                ReceiveOutput::Nack(sequences) => assert!((1..=NACK_MAX).contains(&sequences.len())),
                ReceiveOutput::RequestKeyFrame => {}
            }
        }
        assert!(bytes_out <= bytes_in, "{bytes_out} bytes of frames out of {bytes_in}");
    }
}

/// A stream in order, one out of order, one with holes, one across the end of the sequence numbers.
pub(crate) fn streams() -> Vec<Vec<u8>> {
    let frames = vp8::frames();
    let records = |first: u16| {
        let packets = frames.iter().enumerate().flat_map(|(index, frame)| {
            let packets = packetize(frame, index as u16);
            let last = packets.len() - 1;
            packets.enumerate().map(move |(at, payload)| (index as u8, at == last, payload))
        });
        let record = |(offset, (frame, last, payload)): (usize, (u8, bool, Bytes))| {
            let [s0, s1] = first.wrapping_add(offset as u16).to_be_bytes();
            let [l0, l1] = (payload.len() as u16).to_be_bytes();
            [&[if last { MARKER } else { 0 }, 10, s0, s1, frame, l0, l1][..], &payload].concat()
        };
        packets.enumerate().map(record).collect::<Vec<_>>()
    };
    let in_order = records(100);
    let reversed: Vec<_> = in_order.iter().rev().cloned().collect();
    let holes: Vec<_> = in_order.iter().step_by(2).cloned().collect();
    [in_order, reversed, holes, records(u16::MAX - 2)].map(|records| records.concat()).into()
}
