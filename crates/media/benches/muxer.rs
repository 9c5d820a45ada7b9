//! What one frame costs between the depacketizer and the page's answer: muxing, the hub, and one reader's
//! read.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use ahoy_media::{
    video::EncodedFrame,
    webm::{Demuxer, Hub, Muxer, StreamId},
};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A frame of 1.5 Mbit/s at 30 frames a second.
const FRAME_LEN: usize = 6250;

fn mux(c: &mut Criterion) {
    let data = vec![0x5a; FRAME_LEN];
    let mut group = c.benchmark_group("webm");
    group.throughput(Throughput::Bytes(FRAME_LEN as u64));

    group.bench_function("mux a frame", |bencher| {
        let (mut muxer, mut time) = (Muxer::new(1280, 720), 0);
        bencher.iter(|| {
            time += 33;
            muxer.cluster(black_box(&data), false, time)
        });
    });

    group.bench_function("demux a frame", |bencher| {
        let mut muxer = Muxer::new(1280, 720);
        let mut demuxer = Demuxer::new();
        demuxer.push(&muxer.init_segment()).expect("init segment");
        let mut time = 0;
        bencher.iter_batched(
            || {
                time += 33;
                muxer.cluster(&data, true, time)
            },
            |cluster| demuxer.push(&cluster).expect("cluster"),
            criterion::BatchSize::SmallInput,
        );
    });

    group.bench_function("hub: push and read a frame", |bencher| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let (hub, id) = (Hub::new(), StreamId::new("bench"));
        let writer = hub.open(id.clone(), || ());
        let (mut cursor, mut time, mut key) = (None, Duration::ZERO, true);
        let data = Bytes::from(data.clone());
        bencher.iter(|| {
            let frame = EncodedFrame { data: data.clone(), key, width: 1280, height: 720, captured_at: Instant::now() };
            key = false;
            time += Duration::from_millis(33);
            writer.push(&frame, time);
            let chunk = runtime.block_on(hub.read(&id, cursor)).expect("chunk");
            if let ahoy_media::webm::Chunk::Media { body, next } = chunk {
                cursor = Some(next);
                black_box(body);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, mux);
criterion_main!(benches);
