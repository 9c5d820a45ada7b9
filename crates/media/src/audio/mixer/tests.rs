use std::time::Duration;

use super::*;
use crate::audio::opus::{Encoder, MAX_PACKET, OpusSettings};

const FRAME: Duration = Duration::from_millis(10);

/// Sends 20 ms of a steady tone to `stream` as packet `n`.
fn push_tone(stream: &mut AudioStream, encoder: &mut Encoder, n: u16, arrival: Instant) {
    let pcm: Vec<f32> = (0..960).map(|i| 0.3 * (i as f32 * std::f32::consts::TAU / 96.0).sin()).collect();
    let mut payload = [0; MAX_PACKET];
    let len = encoder.encode(&pcm, &mut payload).unwrap();
    let timestamp = u32::from(n) * 960;
    stream.push(Packet { ssrc: 5, sequence: n, timestamp, payload: &payload[..len], arrival, redundant: false });
}

fn peak(frame: &Frame) -> f32 {
    frame.iter().fold(0.0, |peak, s| peak.max(s.abs()))
}

#[test]
fn without_streams_there_is_silence() {
    let (_handle, mut mixer) = mixer();
    let mut frame = [1.0; FRAME_SAMPLES];
    mixer.render(&mut frame, Instant::now());
    assert_eq!(frame, [0.0; FRAME_SAMPLES]);
}

#[test]
fn packets_come_out_as_sound_with_level_and_playout_position() {
    let (handle, mut mixer) = mixer();
    let mut stream = handle.add_stream().unwrap();
    let mut encoder = Encoder::new(OpusSettings::default()).unwrap();
    let mut frame = [0.0; FRAME_SAMPLES];
    let mut now = Instant::now();
    for n in 0..50 {
        push_tone(&mut stream, &mut encoder, n, now);
        for _ in 0..2 {
            mixer.render(&mut frame, now);
            now += FRAME;
        }
    }
    assert!((0.2..0.5).contains(&peak(&frame)), "{}", peak(&frame));
    assert!((0.15..0.3).contains(&stream.level()), "{}", stream.level());
    let stats = stream.stats();
    let playout = stats.playout.unwrap();
    assert_eq!((playout.playing.ssrc, playout.at), (5, now - FRAME));
    assert!((44_000..48_000).contains(&playout.playing.timestamp), "{playout:?}");
    assert_eq!((stats.jitter.concealed_samples, stats.overflowed), (0, 0));

    stream.set_gain(0.0);
    mixer.render(&mut frame, now);
    mixer.render(&mut frame, now + FRAME);
    assert_eq!(peak(&frame), 0.0);
}

#[test]
fn streams_add_up_and_stay_within_full_scale() {
    let (handle, mut mixer) = mixer();
    let mut streams: Vec<_> = (0..4).map(|_| handle.add_pcm_stream().unwrap()).collect();
    let mut frame = [0.0; FRAME_SAMPLES];
    streams.iter_mut().take(2).for_each(|stream| assert_eq!(stream.push(&[0.25; FRAME_SAMPLES]), FRAME_SAMPLES));
    mixer.render(&mut frame, Instant::now());
    assert_eq!(frame, [0.5; FRAME_SAMPLES]);
    streams.iter_mut().for_each(|stream| assert_eq!(stream.push(&[0.9; FRAME_SAMPLES]), FRAME_SAMPLES));
    mixer.render(&mut frame, Instant::now());
    assert!((0.8..=1.0).contains(&peak(&frame)));
}

#[test]
fn pcm_stream_takes_half_a_second_and_no_more() {
    let (handle, mut mixer) = mixer();
    let mut stream = handle.add_pcm_stream().unwrap();
    assert_eq!(stream.push(&[0.1; 48_000]), 24_000);
    let mut frame = [0.0; FRAME_SAMPLES];
    mixer.render(&mut frame, Instant::now());
    assert_eq!((stream.queued(), peak(&frame)), (23_520, 0.1));
}

#[test]
fn dropped_stream_fades_out_and_its_memory_is_freed_on_the_control_side() {
    let (handle, mut mixer) = mixer();
    let mut stream = handle.add_pcm_stream().unwrap();
    stream.push(&[0.5; 4 * FRAME_SAMPLES]);
    let shared = Arc::downgrade(&stream.control.shared);
    let mut frame = [0.0; FRAME_SAMPLES];
    mixer.render(&mut frame, Instant::now());
    drop(stream);
    mixer.render(&mut frame, Instant::now());
    assert!(frame[0] > 0.49 && frame[FRAME_SAMPLES - 1] < 0.01, "no fade");
    mixer.render(&mut frame, Instant::now());
    assert_eq!((peak(&frame), mixer.streams.len()), (0.0, 0));
    assert_eq!(shared.strong_count(), 1, "freed by the render side");
    let _another = handle.add_pcm_stream().unwrap();
    assert_eq!(shared.strong_count(), 0);
}

#[test]
fn a_full_ring_and_an_oversized_packet_are_counted() {
    let (handle, mut mixer) = mixer();
    let mut stream = handle.add_stream().unwrap();
    let mut encoder = Encoder::new(OpusSettings { dtx: false, ..OpusSettings::default() }).unwrap();
    let now = Instant::now();
    for n in 0..PACKET_RING as u16 + 5 {
        push_tone(&mut stream, &mut encoder, n, now);
    }
    let payload = &[0; MAX_PACKET + 1];
    stream.push(Packet { ssrc: 5, sequence: 0, timestamp: 0, payload, arrival: now, redundant: false });
    mixer.render(&mut [0.0; FRAME_SAMPLES], now);
    let stats = stream.stats();
    assert_eq!((stats.overflowed, stats.jitter.refused), (5, 1));
}

#[test]
fn streams_over_the_limit_are_refused_until_one_ends() {
    let (handle, mut mixer) = mixer();
    let mut streams: Vec<_> = (0..MAX_STREAMS).map(|_| handle.add_pcm_stream().unwrap()).collect();
    assert!(matches!(handle.add_pcm_stream(), Err(MixerError::Full)));
    streams.pop();
    mixer.render(&mut [0.0; FRAME_SAMPLES], Instant::now());
    assert!(handle.add_pcm_stream().is_ok());
}
