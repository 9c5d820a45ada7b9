//! Entry for fuzzing: any bytes as a sequence of packets and pulls.

use std::time::{Duration, Instant};

use super::{JitterBuffer, JitterSettings, Packet};
use crate::audio::FRAME_SAMPLES;

/// Bytes before each payload.
const RECORD: usize = 12;

/// Reads `data` as records, each of a packet's header, its payload and the time until the next one; plays
/// them and panics if the buffer breaks its promises: every frame is filled, with numbers, and the delay
/// stays bounded.
pub fn fuzz(mut data: &[u8]) {
    let Ok(mut buffer) = JitterBuffer::new(JitterSettings::default()) else { return };
    let mut now = Instant::now() + Duration::from_secs(10);
    let (mut sequence, mut timestamp) = (0u16, 0u32);
    while let Some((&[flags, ssrc, s0, s1, t0, t1, t2, t3, early, pulls, l0, l1], rest)) =
        data.split_first_chunk::<RECORD>()
    {
        // Mostly the next packet of a stream; wild numbers where a flag says so. Otherwise no stream would
        // ever form.
        sequence = if flags & 1 == 0 { sequence.wrapping_add(1) } else { u16::from_be_bytes([s0, s1]) };
        timestamp = if flags & 2 == 0 { timestamp.wrapping_add(960) } else { u32::from_be_bytes([t0, t1, t2, t3]) };
        let len = usize::from(u16::from_be_bytes([l0, l1]) % 2048).min(rest.len());
        let (payload, rest) = rest.split_at(len);
        let ssrc = if flags & 4 == 0 { 1 } else { ssrc.into() };
        let (arrival, redundant) = (now - Duration::from_millis(early.into()), flags & 16 != 0);
        buffer.insert(Packet { ssrc, sequence, timestamp, payload, arrival, redundant });
        for _ in 0..pulls % 8 {
            let mut frame = [f32::NAN; FRAME_SAMPLES];
            buffer.pull(&mut frame, now);
            assert!(frame.iter().all(|sample| sample.is_finite()), "a frame was not filled");
            now += Duration::from_millis(if flags & 8 == 0 { 10 } else { u64::from(flags) * 16 });
        }
        let stats = buffer.stats();
        assert!(stats.target_ms <= 740.0 && stats.buffered_ms <= 1000.0, "the delay is unbounded: {stats:?}");
        data = rest;
    }
}
