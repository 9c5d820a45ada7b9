//! Time that 10 ms of received sound take: the jitter buffer with its Opus decoder, and the mixer with one
//! and with eight streams. An audio callback has 10 ms for it in all.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use ahoy_media::audio::{
    FRAME_SAMPLES,
    jitter::{JitterBuffer, JitterSettings, Packet},
    mixer::mixer,
    opus::{
        Decoder, DecoderEffort, DredDuration, Encoder, MAX_PACKET, MAX_PACKET_SAMPLES, OpusFrame, OpusSettings, Percent,
    },
};
use ahoy_test_support::speech::speech;
use criterion::{Criterion, criterion_group, criterion_main};

const PACKET: Duration = Duration::from_millis(20);
const FRAME: Duration = Duration::from_millis(10);

/// Ten seconds of a voice-like sound in packets of 20 ms.
fn packets() -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(OpusSettings { dtx: false, ..OpusSettings::default() }).expect("an encoder");
    let sample = |i: usize| {
        let t = (i % 400) as f32;
        let syllable = 0.5 - 0.5 * (i as f32 * std::f32::consts::TAU * 4.0 / 48_000.0).cos();
        0.5 * syllable * (-t / 120.0).exp() * (t * 0.09).cos()
    };
    (0..500)
        .map(|n| {
            let pcm: Vec<f32> = (n * 960..(n + 1) * 960).map(sample).collect();
            let mut packet = vec![0; MAX_PACKET];
            let len = encoder.encode(&pcm, &mut packet).expect("a packet");
            packet.truncate(len);
            packet
        })
        .collect()
}

/// Packet `n` of an endless stream, `late` after its time.
fn packet(packets: &[Vec<u8>], base: Instant, n: u32, late: Duration) -> Packet<'_> {
    let payload = &packets[n as usize % packets.len()];
    Packet {
        ssrc: 1,
        sequence: n as u16,
        timestamp: n.wrapping_mul(960),
        payload,
        arrival: base + PACKET * n + late,
        redundant: false,
    }
}

fn jitter_buffer(c: &mut Criterion) {
    let packets = packets();
    for (name, jitter) in [("steady", 0), ("jitter of 40 ms", 40)] {
        let mut buffer = JitterBuffer::new(JitterSettings::default()).expect("a jitter buffer");
        let (base, mut n, mut frame) = (Instant::now(), 0u32, [0.0; FRAME_SAMPLES]);
        c.bench_function(&format!("jitter buffer, a packet in and 20 ms out, {name}"), |b| {
            b.iter(|| {
                let late = Duration::from_millis(u64::from(n.wrapping_mul(2_654_435_761) >> 16) % (jitter + 1));
                buffer.insert(packet(&packets, base, n, late));
                for half in 0..2 {
                    buffer.pull(black_box(&mut frame), base + PACKET * n + FRAME * half);
                }
                n += 1;
            });
        });
    }
}

fn mixer_render(c: &mut Criterion) {
    let packets = packets();
    for streams in [1, 8] {
        let (handle, mut mixer) = mixer();
        let mut streams: Vec<_> = (0..streams).map(|_| handle.add_stream().expect("a stream")).collect();
        let (base, mut n, mut frame) = (Instant::now(), 0u32, [0.0; FRAME_SAMPLES]);
        c.bench_function(&format!("mixer, 20 ms of {} streams", streams.len()), |b| {
            b.iter(|| {
                for stream in &mut streams {
                    stream.push(packet(&packets, base, n, Duration::ZERO));
                }
                for half in 0..2 {
                    mixer.render(black_box(&mut frame), base + PACKET * n + FRAME * half);
                }
                n += 1;
            });
        });
    }
}

/// A second of speech in packets of 20 ms: decoded, concealed, revived from deep redundancy, at each effort.
fn decoder(c: &mut Criterion) {
    let speech = speech(3, 120.0, 48_000);
    let settings = |kbps| OpusSettings {
        bitrate: ahoy_media::units::Bitrate::from_kbps(kbps),
        frame: OpusFrame::Ms20,
        fec: false,
        dtx: false,
        expected_loss: Percent::new(20),
        dred: DredDuration::from_ms(200),
    };
    let encode = |kbps| {
        let mut encoder = Encoder::new(settings(kbps)).expect("an encoder");
        let packet = |pcm: &[f32]| {
            let mut packet = vec![0; MAX_PACKET];
            let len = encoder.encode(pcm, &mut packet).expect("a packet");
            packet.truncate(len);
            packet
        };
        speech.chunks_exact(960).map(packet).collect::<Vec<_>>()
    };
    c.bench_function("encoder, a second at 24 kbit/s with DRED", |b| b.iter(|| black_box(encode(24))));
    let mut out = [0.0; MAX_PACKET_SAMPLES];
    for effort in [DecoderEffort::Plain, DecoderEffort::DeepConcealment, DecoderEffort::Enhancement] {
        for kbps in [16, 32] {
            let packets = encode(kbps);
            let mut decoder = Decoder::with_effort(effort).expect("a decoder");
            c.bench_function(&format!("decoder, {effort:?}, a second at {kbps} kbit/s"), |b| {
                b.iter(|| packets.iter().for_each(|packet| drop(black_box(decoder.decode(packet, &mut out)))));
            });
        }
        let packets = encode(24);
        let mut decoder = Decoder::with_effort(effort).expect("a decoder");
        c.bench_function(&format!("decoder, {effort:?}, a second with each fourth packet concealed"), |b| {
            b.iter(|| {
                for (n, packet) in packets.iter().enumerate() {
                    let _ = match n % 4 {
                        3 => decoder.conceal(&mut out[..960]),
                        _ => decoder.decode(packet, &mut out),
                    };
                }
            });
        });
        let mut decoder = Decoder::with_effort(effort).expect("a decoder");
        c.bench_function(&format!("decoder, {effort:?}, a second with each fourth packet revived"), |b| {
            b.iter(|| {
                for pair in packets.chunks_exact(4) {
                    let [first, second, third, _lost] = pair else { continue };
                    let _ = decoder.load_dred(first, 960).and_then(|_| decoder.decode_dred(960, &mut out[..960]));
                    for packet in [first, second, third] {
                        black_box(decoder.dred_span(packet));
                        let _ = decoder.decode(packet, &mut out);
                    }
                }
            });
        });
    }
}

criterion_group!(benches, decoder, jitter_buffer, mixer_render);
criterion_main!(benches);
