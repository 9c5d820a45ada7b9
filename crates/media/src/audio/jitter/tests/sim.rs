//! A sender, a network and a speaker in virtual time. Times are microseconds since the call began.

use std::time::{Duration, Instant};

use super::super::{JitterBuffer, JitterSettings, JitterStats, Packet, Pulled};
use crate::audio::{
    FRAME_SAMPLES, SAMPLE_RATE,
    opus::{Encoder, MAX_PACKET, OpusSettings},
};

pub const MS: i64 = 1000;
pub const SECOND: i64 = 1_000_000;

/// A packet and when its last sample was captured.
#[derive(Clone, Debug)]
pub struct Sent {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: Vec<u8>,
    pub captured: i64,
    /// Carried by the packet after it.
    pub redundant: bool,
}

/// A sender's side of a call: encodes and numbers.
pub struct Sender {
    encoder: Encoder,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    /// Media time of the next sample.
    pub time: i64,
    /// Length of a packet.
    pub packet: i64,
}

impl Sender {
    pub fn new(packet: i64, settings: OpusSettings) -> Self {
        let encoder = Encoder::new(settings).unwrap();
        Self { encoder, ssrc: 1, sequence: 1000, timestamp: 5000, time: 0, packet }
    }

    /// Goes on with other settings.
    pub fn configure(&mut self, settings: OpusSettings) {
        self.encoder.configure(settings.encoding()).unwrap();
        self.packet = i64::from(settings.frame.ms()) * MS;
    }

    /// Sends `signal` (of the time in seconds) for `duration`.
    pub fn send(&mut self, duration: i64, signal: impl Fn(f64) -> f64) -> Vec<Sent> {
        let samples = (self.packet * 48 / MS) as usize;
        let mut sent = Vec::new();
        for _ in 0..duration / self.packet {
            let start = self.time as f64 / 1e6;
            let pcm: Vec<f32> =
                (0..samples).map(|i| signal(start + i as f64 / f64::from(SAMPLE_RATE)) as f32).collect();
            let mut payload = vec![0; MAX_PACKET];
            let len = self.encoder.encode(&pcm, &mut payload).unwrap();
            payload.truncate(len);
            self.time += self.packet;
            if len > 0 {
                let (ssrc, sequence, timestamp) = (self.ssrc, self.sequence, self.timestamp);
                sent.push(Sent { ssrc, sequence, timestamp, payload, captured: self.time, redundant: false });
                self.sequence = self.sequence.wrapping_add(1);
            }
            self.timestamp = self.timestamp.wrapping_add(samples as u32);
        }
        sent
    }
}

/// Each packet, and with it a copy of the one before it.
pub fn redundant(sent: Vec<Sent>) -> Vec<Vec<Sent>> {
    let mut before: Option<Sent> = None;
    let carry = |own: Sent| {
        let copy = before.replace(own.clone()).map(|copy| Sent { redundant: true, ..copy });
        [own].into_iter().chain(copy).collect()
    };
    sent.into_iter().map(carry).collect()
}

pub fn tone(t: f64) -> f64 {
    0.3 * (std::f64::consts::TAU * 440.0 * t).sin()
}

/// The tone at syllable rate: only what rises and falls like speech gets FEC from libopus.
pub fn syllables(t: f64) -> f64 {
    tone(t) * (0.5 - 0.5 * (std::f64::consts::TAU * 4.0 * t).cos())
}

/// One pulled frame.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub at: i64,
    pub pulled: Pulled,
    pub stats: JitterStats,
}

impl Heard {
    /// How long a packet is held beyond its own length on its way through the buffer, in ms, if the timestamp
    /// of media time 0 was `timestamp` and the network's fastest way takes `delay`.
    pub fn hold(&self, timestamp: u32, delay: i64, packet: i64) -> Option<f64> {
        let media = f64::from(self.stats.playing?.timestamp.wrapping_sub(timestamp) as i32) / 48.0;
        Some((self.at - delay - packet) as f64 / 1e3 - media)
    }
}

/// The far end: a buffer and a speaker that takes 10 ms every 10 ms.
pub struct Speaker {
    pub buffer: JitterBuffer,
    base: Instant,
    pub now: i64,
    /// Time between two pulls; 10 ms unless the speaker's clock is off.
    pub period: f64,
    pulls: u64,
    start: i64,
    pub sound: Vec<f32>,
    pub heard: Vec<Heard>,
}

impl Speaker {
    pub fn new() -> Self {
        // Not in step with the packets.
        let start = 3700;
        Self {
            buffer: JitterBuffer::new(JitterSettings::default()).unwrap(),
            base: Instant::now(),
            now: start,
            period: 10_000.0,
            pulls: 0,
            start,
            sound: Vec::new(),
            heard: Vec::new(),
        }
    }

    pub fn instant(&self, at: i64) -> Instant {
        self.base + Duration::from_micros(at as u64)
    }

    /// Plays until `until`, while packets arrive at their times.
    pub fn play(&mut self, arrivals: &[(i64, Sent)], until: i64) {
        let mut arrivals: Vec<_> = arrivals.iter().collect();
        arrivals.sort_by_key(|(at, _)| *at);
        let mut arrivals = arrivals.into_iter().peekable();
        while self.now < until {
            while let Some((at, sent)) = arrivals.next_if(|(at, _)| *at <= self.now) {
                let Sent { ssrc, sequence, timestamp, ref payload, redundant, .. } = *sent;
                let arrival = self.instant(*at);
                self.buffer.insert(Packet { ssrc, sequence, timestamp, payload, arrival, redundant });
            }
            self.pull();
        }
    }

    fn pull(&mut self) {
        let mut frame = [f32::NAN; FRAME_SAMPLES];
        let pulled = self.buffer.pull(&mut frame, self.instant(self.now));
        assert!(frame.iter().all(|s| s.is_finite()), "the frame was not filled");
        self.sound.extend(frame);
        self.heard.push(Heard { at: self.now, pulled, stats: self.buffer.stats() });
        self.pulls += 1;
        self.now = self.start + (self.pulls as f64 * self.period) as i64;
    }

    pub fn stats(&self) -> JitterStats {
        self.buffer.stats()
    }

    /// The stats as they were at `at`.
    pub fn stats_at(&self, at: i64) -> JitterStats {
        self.heard.iter().find(|heard| heard.at >= at).unwrap().stats
    }

    /// What was heard from `from` to `to`.
    pub fn sound(&self, from: i64, to: i64) -> &[f32] {
        let index = |at: i64| ((at - self.start) * 48 / MS) as usize;
        &self.sound[index(from)..index(to)]
    }

    /// Average of [`Heard::hold`] from `from` on.
    pub fn average_hold(&self, from: i64, delay: i64, packet: i64) -> f64 {
        let holds: Vec<_> =
            self.heard.iter().filter(|heard| heard.at >= from).filter_map(|h| h.hold(5000, delay, packet)).collect();
        holds.iter().sum::<f64>() / holds.len() as f64
    }

    /// Share of blocks of 100 ms in which the test tone is there with about its own amplitude.
    pub fn tone_share(&self, from: i64, to: i64) -> f64 {
        let blocks = self.sound(from, to).chunks_exact(4800);
        let total = blocks.len();
        blocks.filter(|block| (0.2..0.4).contains(&amplitude(block, 440.0))).count() as f64 / total as f64
    }

    /// The largest step between neighbouring samples; the tone itself has 0.018.
    pub fn largest_step(&self, from: i64, to: i64) -> f32 {
        self.sound(from, to).windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }
}

/// Each packet with its arrival time, `delay` of its index after its capture.
pub fn network(sent: Vec<Sent>, delay: impl Fn(usize) -> i64) -> Vec<(i64, Sent)> {
    sent.into_iter().enumerate().map(|(i, sent)| (sent.captured + delay(i), sent)).collect()
}

/// The amplitude of one frequency (Goertzel 1958).
pub fn amplitude(samples: &[f32], frequency: f64) -> f64 {
    let step = std::f64::consts::TAU * frequency / f64::from(SAMPLE_RATE);
    let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, s)| {
        let (sin, cos) = (step * i as f64).sin_cos();
        (re + f64::from(*s) * cos, im + f64::from(*s) * sin)
    });
    2.0 * f64::hypot(re, im) / samples.len() as f64
}

/// A small seeded generator (xorshift64*, Vigna 2016).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    pub fn chance(&mut self, share: f64) -> bool {
        (self.below(1 << 32) as f64) < share * (1u64 << 32) as f64
    }
}
