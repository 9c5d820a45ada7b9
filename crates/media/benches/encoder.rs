//! Ahoy's VP8 encoder beside vpx-encode, both at 1280x720@30 and 1.5 Mbit/s on the test pattern. Besides
//! criterion's means it prints percentiles, because a call waits for its slowest frames.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use ahoy_media::{
    units::{Bitrate, VideoFormat},
    video::{I420Frame, pattern, vp8::Encoder},
};
use criterion::{Criterion, criterion_group, criterion_main};

const FORMAT: VideoFormat = VideoFormat::HD;
const BITRATE: Bitrate = Bitrate::from_kbps(1500);
/// Frames for the percentiles: 20 s of video.
const FRAMES: u32 = 600;
/// A key frame is asked for once a second in the percentiles' second row.
const KEY_INTERVAL: u32 = 30;

struct Camera {
    frame: I420Frame,
    counter: u32,
}

impl Camera {
    fn new() -> Self {
        Self { frame: I420Frame::black(FORMAT.width, FORMAT.height, Instant::now()), counter: 0 }
    }

    fn next(&mut self) -> &I420Frame {
        self.counter += 1;
        self.frame.captured_at += Duration::from_secs(1) / FORMAT.fps;
        pattern::draw(&mut self.frame, u64::from(self.counter) * 1000 / u64::from(FORMAT.fps), self.counter);
        &self.frame
    }
}

/// One frame through an encoder; gives its bytes.
trait Encode {
    fn encode(&mut self, frame: &I420Frame, key: bool) -> usize;
}

impl Encode for Encoder {
    fn encode(&mut self, frame: &I420Frame, key: bool) -> usize {
        self.encode(frame, key).expect("encodes").map_or(0, |frame| frame.data.len())
    }
}

struct VpxEncode(vpx_encode::Encoder, i64);

impl VpxEncode {
    fn new() -> Self {
        let config = vpx_encode::Config {
            width: FORMAT.width,
            height: FORMAT.height,
            timebase: [1, FORMAT.fps as i32],
            bitrate: BITRATE.kbps() as u32,
            codec: vpx_encode::VideoCodecId::VP8,
        };
        Self(vpx_encode::Encoder::new(config).expect("encoder"), 0)
    }
}

impl Encode for VpxEncode {
    fn encode(&mut self, frame: &I420Frame, _key: bool) -> usize {
        self.1 += 1;
        self.0.encode(self.1, frame.data()).expect("encodes").map(|packet| packet.data.to_vec().len()).sum()
    }
}

fn ahoy() -> Encoder {
    Encoder::new(FORMAT, BITRATE).expect("encoder")
}

fn mean_times(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode 1280x720 at 1.5 Mbit/s");
    let mut bench = |name: &str, mut encoder: Box<dyn Encode>| {
        let mut camera = Camera::new();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| timed(&mut *encoder, camera.next(), false).0).sum());
        });
    };
    bench("ahoy", Box::new(ahoy()));
    bench("vpx-encode 0.6", Box::new(VpxEncode::new()));
    group.finish();
}

fn timed(encoder: &mut dyn Encode, frame: &I420Frame, key: bool) -> (Duration, usize) {
    let start = Instant::now();
    let bytes = black_box(encoder.encode(frame, key));
    (start.elapsed(), bytes)
}

fn percentiles(_: &mut Criterion) {
    println!("{:<24} {:>8} {:>8} {:>8} {:>8} {:>8}", "ms a frame", "p50", "p95", "max", "kbit/s", "dropped");
    let row = |name: &str, encoder: &mut dyn Encode, frames: u32, key_interval: u32| {
        let mut camera = Camera::new();
        let (mut times, mut keys, mut bytes, mut dropped) = (Vec::new(), Vec::new(), 0, 0);
        for index in 0..frames {
            let key = index % key_interval == 0;
            let (time, len) = timed(encoder, camera.next(), key);
            if key { &mut keys } else { &mut times }.push(time.as_secs_f64() * 1e3);
            bytes += len;
            dropped += u32::from(len == 0);
        }
        let kbps = bytes as f64 * 8.0 / 1000.0 * f64::from(FORMAT.fps) / f64::from(frames);
        for (name, mut times) in [(name.to_owned(), times), (format!("{name}, key frames"), keys)] {
            times.sort_by(f64::total_cmp);
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
            println!("{name:<24} {:>8.2} {:>8.2} {:>8.2} {kbps:>8.0} {dropped:>8}", at(0.5), at(0.95), at(1.0));
        }
    };
    row("ahoy", &mut ahoy(), FRAMES, KEY_INTERVAL);
    row("ahoy, no requests", &mut ahoy(), FRAMES, u32::MAX);
    row("vpx-encode 0.6", &mut VpxEncode::new(), FRAMES / 2, u32::MAX);
}

criterion_group! {
    name = benches;
    // One sample is one frame: enough of them without minutes of waiting for the slow peer.
    config = Criterion::default().sample_size(50).measurement_time(Duration::from_secs(8));
    targets = mean_times, percentiles
}
criterion_main!(benches);
