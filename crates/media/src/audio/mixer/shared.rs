//! What the owner of a stream and the render side share: atomics, and nothing to wait for.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::snapshot::Snapshot;
use crate::audio::jitter::{JitterStats, Playing};

/// How a stream is doing, as of the frame rendered last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamStats {
    /// Its jitter buffer.
    pub jitter: JitterStats,
    /// What was rendered last, and when; nothing before the first sound.
    pub playout: Option<Playout>,
    /// Packets dropped because the render side did not take them in time.
    pub overflowed: u64,
}

/// The sample of `playing` was rendered at `at`; the device's own latency comes on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Playout {
    /// Source and timestamp.
    pub playing: Playing,
    /// When it was rendered.
    pub at: Instant,
}

const WORDS: usize = 15;

/// One stream's side channel.
#[derive(Debug)]
pub struct Shared {
    /// Instants cross the snapshot as nanoseconds since this one.
    epoch: Instant,
    stats: Snapshot<WORDS>,
    overflowed: AtomicU64,
    oversized: AtomicU64,
    /// `f32` bits.
    gain: AtomicU32,
    level: AtomicU32,
    /// Samples at 48 kHz.
    extra_delay: AtomicU32,
    closed: AtomicBool,
}

impl Shared {
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            stats: Snapshot::new(),
            overflowed: AtomicU64::new(0),
            oversized: AtomicU64::new(0),
            gain: AtomicU32::new(1f32.to_bits()),
            level: AtomicU32::new(0),
            extra_delay: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub fn set_gain(&self, gain: f32) {
        // NaN and negative gains would only do harm downstream.
        self.gain.store(gain.max(0.0).to_bits(), Ordering::Relaxed);
    }

    pub fn gain(&self) -> f32 {
        f32::from_bits(self.gain.load(Ordering::Relaxed))
    }

    pub fn set_extra_delay(&self, delay: Duration) {
        let samples = u32::try_from(delay.as_millis() * 48).unwrap_or(u32::MAX);
        self.extra_delay.store(samples, Ordering::Relaxed);
    }

    /// Samples at 48 kHz.
    pub fn extra_delay(&self) -> i64 {
        self.extra_delay.load(Ordering::Relaxed).into()
    }

    pub fn set_level(&self, level: f32) {
        self.level.store(level.to_bits(), Ordering::Relaxed);
    }

    pub fn level(&self) -> f32 {
        f32::from_bits(self.level.load(Ordering::Relaxed))
    }

    pub fn count_overflow(&self) {
        self.overflowed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_oversized(&self) {
        self.oversized.fetch_add(1, Ordering::Relaxed);
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub fn publish(&self, stats: JitterStats, at: Instant) {
        let JitterStats {
            target_ms,
            buffered_ms,
            total_samples,
            concealed_samples,
            accelerated_samples,
            decelerated_samples,
            lost,
            late,
            recovered,
            duplicates,
            dropped,
            refused,
            playing,
        } = stats;
        let since_epoch = at.saturating_duration_since(self.epoch).as_nanos() as u64;
        self.stats.publish([
            u64::from(target_ms.to_bits()) << 32 | u64::from(buffered_ms.to_bits()),
            total_samples,
            concealed_samples,
            accelerated_samples,
            decelerated_samples,
            lost,
            late,
            recovered,
            duplicates,
            dropped,
            refused,
            playing.is_some().into(),
            playing.map_or(0, |playing| playing.ssrc.into()),
            playing.map_or(0, |playing| playing.timestamp.into()),
            since_epoch,
        ]);
    }

    pub fn stats(&self) -> StreamStats {
        let [
            delays,
            total_samples,
            concealed_samples,
            accelerated_samples,
            decelerated_samples,
            lost,
            late,
            recovered,
            duplicates,
            dropped,
            refused,
            is_playing,
            ssrc,
            timestamp,
            since_epoch,
        ] = self.stats.read();
        let playing = (is_playing != 0).then_some(Playing { ssrc: ssrc as u32, timestamp: timestamp as u32 });
        let at = self.epoch + Duration::from_nanos(since_epoch);
        StreamStats {
            jitter: JitterStats {
                target_ms: f32::from_bits((delays >> 32) as u32),
                buffered_ms: f32::from_bits(delays as u32),
                total_samples,
                concealed_samples,
                accelerated_samples,
                decelerated_samples,
                lost,
                late,
                recovered,
                duplicates,
                dropped,
                refused: refused + self.oversized.load(Ordering::Relaxed),
                playing,
            },
            playout: playing.map(|playing| Playout { playing, at }),
            overflowed: self.overflowed.load(Ordering::Relaxed),
        }
    }
}
