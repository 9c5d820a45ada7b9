//! Colour conversion, JPEG decoding and the test pattern at 1280x720: what a captured picture costs.

use std::{hint::black_box, time::Instant};

use ahoy_media::video::{I420Frame, capture::MjpegDecoder, convert, pattern};
use criterion::{Criterion, criterion_group, criterion_main};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;

fn drawn() -> I420Frame {
    let mut frame = I420Frame::black(WIDTH, HEIGHT, Instant::now());
    pattern::draw(&mut frame, 500, 7);
    frame
}

fn jpeg(frame: &I420Frame, subsamp: turbojpeg::Subsamp) -> Vec<u8> {
    let pixels: Vec<u8> = frame.planes().0.iter().flat_map(|&luma| [luma, 255 - luma, luma / 2]).collect();
    let (width, height) = (WIDTH as usize, HEIGHT as usize);
    let format = turbojpeg::PixelFormat::RGB;
    let image = turbojpeg::Image { pixels: &*pixels, width, pitch: 3 * width, height, format };
    turbojpeg::compress(image, 85, subsamp).expect("a JPEG").to_vec()
}

fn conversion(criterion: &mut Criterion) {
    let mut frame = drawn();
    let packed: Vec<u8> = (0..WIDTH * HEIGHT * 2).map(|byte| byte as u8).collect();
    let mut group = criterion.benchmark_group("to I420, 1280x720");
    group.bench_function("YUYV", |b| b.iter(|| convert::yuyv(black_box(&packed), WIDTH, HEIGHT, &mut frame)));
    group.bench_function("NV12", |b| b.iter(|| convert::nv12(black_box(&packed), WIDTH, HEIGHT, &mut frame)));
    let source = drawn();
    for (name, subsamp) in [("MJPEG 4:2:2", turbojpeg::Subsamp::Sub2x1), ("MJPEG 4:2:0", turbojpeg::Subsamp::Sub2x2)] {
        let jpeg = jpeg(&source, subsamp);
        let mut decoder = MjpegDecoder::new().expect("a decoder");
        group.bench_function(name, |b| b.iter(|| decoder.decode(black_box(&jpeg), WIDTH, HEIGHT, &mut frame)));
    }
    group.finish();
}

fn test_pattern(criterion: &mut Criterion) {
    let mut frame = drawn();
    let mut group = criterion.benchmark_group("test pattern, 1280x720");
    let mut counter = 0;
    group.bench_function("draw", |b| {
        b.iter(|| {
            counter += 1;
            pattern::draw(&mut frame, black_box(20), counter);
        });
    });
    group.bench_function("read", |b| b.iter(|| pattern::read_cells(black_box(&frame))));
    group.finish();
}

criterion_group!(benches, conversion, test_pattern);
criterion_main!(benches);
