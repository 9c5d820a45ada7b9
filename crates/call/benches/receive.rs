//! What a second of received video costs before it is decoded: VP8 payload descriptors, reordering, whole
//! frames, at 1280x720@30 and 1.5 Mbit/s. And what it costs to cut the same second into packets.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use ahoy_call::rtp::{
    receive::{ReceiveOutput, VideoPacket, VideoReceiver},
    vp8::packetize,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const FRAMES: u32 = 30;
const FRAME_BYTES: usize = 1_500_000 / 8 / FRAMES as usize;
/// A key frame is several times the size of the others.
const KEY_FRAME_BYTES: usize = 5 * FRAME_BYTES;
const INTERVAL: Duration = Duration::from_micros(33_333);
const TICKS: u32 = 3000;

/// The VP8 bytes of frame `index`. The first bit tells a key frame (RFC 6386 section 9.1); no receiver looks
/// further.
fn frame(index: u32) -> Vec<u8> {
    let key = index == 0;
    let mut data = vec![0x55; if key { KEY_FRAME_BYTES } else { FRAME_BYTES }];
    data[0] = u8::from(!key);
    data
}

/// A second of packets, each with the time of its coming.
fn second(base: Instant) -> Vec<(Instant, VideoPacket)> {
    let mut packets = Vec::new();
    for index in 0..FRAMES {
        let data = frame(index);
        let payloads = packetize(&data, index as u16);
        let last = payloads.len() - 1;
        for (piece, payload) in payloads.enumerate() {
            let sequence = packets.len() as u16;
            let packet =
                VideoPacket { sequence, timestamp: index * TICKS, marker: piece == last, payload, repeated: false };
            packets.push((base + INTERVAL * index, packet));
        }
    }
    packets
}

/// Gives the packets to a new receiver and counts the frames that leave it.
fn receive(packets: Vec<(Instant, VideoPacket)>) -> usize {
    let mut receiver = VideoReceiver::default();
    let mut frames = 0;
    for (now, packet) in packets {
        receiver.insert(now, packet);
        while let Some(output) = receiver.poll_output() {
            frames += usize::from(matches!(black_box(output), ReceiveOutput::Frame(_)));
        }
    }
    frames
}

fn receiver(criterion: &mut Criterion) {
    let in_order = second(Instant::now());
    let mut reordered = in_order.clone();
    // Every eighth packet comes after its follower.
    for pair in reordered.chunks_exact_mut(8) {
        let (earlier, later) = (pair[0].0, pair[1].0);
        pair.swap(0, 1);
        (pair[0].0, pair[1].0) = (earlier, later);
    }
    let mut group = criterion.benchmark_group("a second of VP8 packets");
    group.throughput(Throughput::Elements(in_order.len() as u64));
    for (name, packets) in [("in order", in_order), ("reordered", reordered)] {
        assert_eq!(receive(packets.clone()), FRAMES as usize, "{name}: every frame comes out");
        group.bench_function(name, |b| b.iter_batched(|| packets.clone(), receive, BatchSize::SmallInput));
    }
    group.finish();
}

fn packetizer(criterion: &mut Criterion) {
    let data = frame(0);
    let mut group = criterion.benchmark_group("packetize");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("a key frame", |b| b.iter(|| packetize(black_box(&data), 7).for_each(|p| drop(black_box(p)))));
    group.finish();
}

criterion_group!(benches, receiver, packetizer);
criterion_main!(benches);
