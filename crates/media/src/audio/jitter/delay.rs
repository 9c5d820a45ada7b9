//! How long to hold packets: the delay estimator.
//!
//! A packet's *transit* is its arrival time less the media time of its end; the clocks' offset is in it, so
//! only differences mean something. The smallest transit of the last two seconds is the *base*: how packets
//! arrive when nothing delays them. What a packet takes beyond it is its jitter; a histogram of jitter with
//! forgetting gives the delay that nearly all packets keep. Ends of packets are compared, not starts, so a
//! sender may change its packet length.
//!
//! The delay falls slowly with the histogram, and fast once no packet has come near it for some seconds: see
//! [`Calm`].
//!
//! All times are in samples at 48 kHz.

use super::{JitterSettings, calm::Calm};
use crate::audio::FRAME_SAMPLES;

/// One histogram bucket: 2.5 ms.
const BUCKET: i64 = 120;
/// 1 s in all; later packets count as that late.
const BUCKETS: usize = 400;
/// Share of packets that should be there in time. The rest is stretched or concealed; waiting for it costs
/// everybody delay.
const QUANTILE: f32 = 0.97;
/// Share of the histogram that 10 ms of sound replace: memory of 10 s, so the delay falls slowly.
const FORGETTING: f32 = 0.001;
/// A packet over the target weighs as much as this many: so the delay rises after two or three stragglers,
/// and stays up while one comes every five seconds.
const LATE_WEIGHT: f32 = 8.0;
/// But no single packet, however long, raises the delay: this is under what [`QUANTILE`] leaves out.
const MAX_WEIGHT: f32 = 0.02;
/// The delay falls by one part in this many of the time that passes, 5 ms a second: so jitter that comes in
/// bursts finds the delay nearly as the last burst left it.
const FALL: i64 = 200;
/// While the network is calm it falls by one part in this many, 40 ms a second: a time-stretch of 4 % is not
/// heard.
const FALL_CALM: i64 = 25;
/// A packet that uses all of the delay but this, 5 ms, shows that the delay is needed.
pub const NEAR: i64 = 240;
/// Packets in which everything is still learned at once, before [`LATE_WEIGHT`] and [`FALL`] apply.
const WARM_UP: u32 = 50;
/// Jitter assumed before any was measured: most networks have it, and half a second without unlearns it.
const INITIAL_JITTER: i64 = 960;
/// A pull takes 10 ms at once, so a packet can be needed this much before its own first sample is due.
const PULL: i64 = FRAME_SAMPLES as i64;

/// Weight of a packet in the measured share of loss: memory of about a hundred packets.
const LOSS_WEIGHT: f32 = 0.01;
/// From this share of loss on, the delay grows, so that what later packets say of lost ones comes in time ...
const LOSS_HIGH: f32 = 0.02;
/// ... until it has fallen under this one.
const LOSS_LOW: f32 = 0.005;
/// Runs of lost packets that are told apart; longer ones count as this long.
const MAX_RUN: usize = 8;
/// Weight of one lost packet in the shares of runs: memory of about fifty.
const RUN_WEIGHT: f32 = 0.02;
/// Share of lost packets whose whole run is waited for. At 20 % random loss 0.64 are alone and 0.9 in runs of
/// two at most.
const RUNS_AWAITED: f32 = 0.8;
/// The longest wait for later packets, 120 ms: two packets of the longest in use. More delay harms a
/// conversation more than the concealment of what is lost in longer runs.
const MAX_WAIT: i64 = 5760;
/// How fast a reach that packets do not confirm is forgotten: half of it in 90 packets. Packets of a pause,
/// which have nothing to repeat, must not end it.
const REACH_FORGETTING: i64 = 128;

/// Learns from arrivals how far playout has to trail capture.
#[derive(Debug)]
pub struct DelayEstimator {
    limits: Limits,
    base: WindowMin,
    histogram: Box<[f32; BUCKETS]>,
    packets: u32,
    packet_length: i64,
    loss: f32,
    /// Share of lost packets that were lost in runs of one, two, three, ...
    runs: [f32; MAX_RUN],
    /// How much lost sound before it a packet can restore.
    reach: i64,
    /// So much is lost that later packets are waited for.
    waits: bool,
    /// Delay on top of a packet's length.
    margin: i64,
    /// Delay on top of that which somebody else asks for.
    extra: i64,
    calm: Calm,
}

/// [`JitterSettings`] in samples.
#[derive(Clone, Copy, Debug)]
struct Limits {
    min: i64,
    max: i64,
}

impl DelayEstimator {
    pub fn new(settings: JitterSettings) -> Self {
        let samples = |d: std::time::Duration| i64::try_from(d.as_micros() * 48 / 1000).unwrap_or(i64::MAX);
        // Over a second is more than the packet ring holds; no conversation stands it either.
        let max = samples(settings.max_delay).clamp(PULL, BUCKET * BUCKETS as i64);
        let limits = Limits { min: samples(settings.min_delay).clamp(0, max), max };
        let mut histogram = Box::new([0.0; BUCKETS]);
        if let Some(bucket) = histogram.get_mut((INITIAL_JITTER / BUCKET) as usize) {
            *bucket = 1.0;
        }
        let mut estimator = Self {
            limits,
            base: WindowMin::new(BASE_STEP),
            histogram,
            packets: 0,
            packet_length: 0,
            loss: 0.0,
            runs: std::array::from_fn(|n| if n == 0 { 1.0 } else { 0.0 }),
            reach: 0,
            waits: false,
            margin: 0,
            extra: 0,
            calm: Calm::default(),
        };
        estimator.margin = estimator.wanted_margin();
        estimator
    }

    /// The media timeline starts anew while the network stays the same: what is known of its jitter is kept.
    pub fn restart_timeline(&mut self) {
        self.base.clear();
    }

    /// Takes in a packet of `length` samples from media time `timestamp`, that arrived at `arrival`, and can
    /// restore `reach` samples before it.
    pub fn packet_arrived(&mut self, arrival: i64, timestamp: i64, length: i64, reach: i64) {
        let transit = arrival - timestamp - length;
        self.base.insert(arrival, transit);
        let jitter = transit - self.base();
        self.packet_length = length;
        self.reach = reach.max(self.reach - (self.reach / REACH_FORGETTING).max(1)).max(0);

        let learning = 1.0 / (self.packets as f32 + 2.0);
        let mut weight = FORGETTING * length as f32 / FRAME_SAMPLES as f32;
        if self.packets > WARM_UP && jitter > self.margin - PULL {
            weight = (weight * LATE_WEIGHT).min(MAX_WEIGHT);
        }
        let weight = weight.max(learning);
        self.packets = self.packets.saturating_add(1);

        self.histogram.iter_mut().for_each(|share| *share *= 1.0 - weight);
        let bucket = usize::try_from(jitter / BUCKET).unwrap_or(0).min(BUCKETS - 1);
        if let Some(share) = self.histogram.get_mut(bucket) {
            *share += weight;
        }
        self.calm.packet_arrived(arrival, jitter + PULL + self.wait(), self.margin);
        if self.packets <= WARM_UP {
            self.margin = self.wanted_margin();
        } else if self.calm.lasts(arrival) {
            let lower = (self.margin - (length / FALL_CALM).max(1)).max(self.margin_for(0));
            if lower < self.margin {
                self.calm.falls(arrival, self.margin);
                self.margin = lower;
            }
            self.forget_above_margin();
        } else {
            self.margin = self.wanted_margin().max(self.margin - (length / FALL).max(1));
        }
    }

    /// No packet has come near the margin for long: the histogram's longer delays are those of another time.
    fn forget_above_margin(&mut self) {
        let top = usize::try_from((self.margin - PULL - self.wait()) / BUCKET).unwrap_or(0).saturating_sub(1);
        if let Some((below, above)) = self.histogram.split_at_mut_checked(top + 1)
            && let Some(last) = below.last_mut()
        {
            *last += above.iter_mut().map(std::mem::take).sum::<f32>();
        }
    }

    /// Takes in that a packet came within one that is `later` samples newer: waiting so long is worth it.
    pub fn redundancy_seen(&mut self, later: i64) {
        self.reach = self.reach.max(later);
    }

    /// Takes in that `count` packets in a row were not there when they were to be played.
    pub fn packets_lost(&mut self, count: u32) {
        let run = usize::try_from(count).unwrap_or(MAX_RUN).clamp(1, MAX_RUN);
        let weight = RUN_WEIGHT * run as f32;
        for (share, length) in self.runs.iter_mut().zip(1..) {
            *share += weight * (f32::from(u8::from(length == run)) - *share);
        }
        let kept = (1.0 - LOSS_WEIGHT).powi(i32::try_from(count).unwrap_or(i32::MAX));
        self.loss = 1.0 - (1.0 - self.loss) * kept;
    }

    /// Takes in that a packet was there when it was to be played.
    pub fn packet_played(&mut self) {
        self.loss -= LOSS_WEIGHT * self.loss;
        self.waits = self.loss > if self.waits { LOSS_LOW } else { LOSS_HIGH };
    }

    /// How far playout should trail [`Self::base`]: one packet, what jitter and loss ask for, and the extra
    /// delay.
    pub fn target(&self) -> i64 {
        self.packet_length + (self.margin + self.extra).clamp(self.margin, self.limits.max.max(self.margin))
    }

    /// Delays by so many samples more.
    pub fn set_extra(&mut self, samples: i64) {
        self.extra = samples.clamp(0, self.limits.max);
    }

    /// Playout that trails by more than this has lost touch, and jumps.
    pub fn limit(&self) -> i64 {
        self.limits.max + 2 * self.packet_length
    }

    /// Wall time less media time of sound that met no delay at all.
    pub fn base(&self) -> i64 {
        self.base.min().unwrap_or(0)
    }

    /// What jitter and loss ask for now.
    fn wanted_margin(&self) -> i64 {
        let mut late = 1.0 - QUANTILE;
        let bucket = self.histogram.iter().rposition(|share| {
            late -= share;
            late < 0.0
        });
        self.margin_for(bucket.unwrap_or(0) as i64)
    }

    /// The margin that covers the jitter of histogram bucket `bucket`.
    fn margin_for(&self, bucket: i64) -> i64 {
        ((bucket + 1) * BUCKET + PULL + self.wait()).clamp(self.limits.min, self.limits.max)
    }

    /// How long the sound after a loss takes to come, for most losses, while so much is lost that this is
    /// worth it; no longer than a packet can restore.
    fn wait(&self) -> i64 {
        if !self.waits {
            return 0;
        }
        let mut awaited = 0.0;
        let run = self.runs.iter().position(|share| {
            awaited += share;
            awaited >= RUNS_AWAITED
        });
        let run = run.map_or(MAX_RUN, |n| n + 1) as i64;
        (run * self.packet_length).min(MAX_WAIT).min(self.reach)
    }
}

/// The base forgets in steps of 100 ms: two seconds in all, in which clocks 200 ppm apart drift by 0.4 ms.
const BASE_STEP: i64 = 4800;
const WINDOW_STEPS: usize = 20;

/// The smallest value of the last [`WINDOW_STEPS`] steps of time.
#[derive(Debug)]
pub struct WindowMin {
    step: i64,
    minima: [Option<i64>; WINDOW_STEPS],
    newest: i64,
}

impl WindowMin {
    /// A window of [`WINDOW_STEPS`] times `step`.
    pub const fn new(step: i64) -> Self {
        Self { step, minima: [None; WINDOW_STEPS], newest: i64::MIN }
    }

    pub fn clear(&mut self) {
        self.minima.fill(None);
    }

    /// Takes in `value` at `time`. A window without new values keeps its last minimum.
    pub fn insert(&mut self, time: i64, value: i64) {
        let step = time.div_euclid(self.step).max(self.newest);
        let passed = step.saturating_sub(self.newest).min(WINDOW_STEPS as i64);
        self.newest = step;
        for back in 0..passed {
            if let Some(slot) = self.minima.get_mut(slot_of(step - back)) {
                *slot = None;
            }
        }
        if let Some(slot) = self.minima.get_mut(slot_of(step)) {
            *slot = Some(slot.map_or(value, |least| least.min(value)));
        }
    }

    pub fn min(&self) -> Option<i64> {
        self.minima.iter().flatten().min().copied()
    }

    /// Adds `offset` to everything in the window.
    pub fn shift(&mut self, offset: i64) {
        self.minima.iter_mut().flatten().for_each(|least| *least += offset);
    }
}

/// Where a step lies in the ring: always under [`WINDOW_STEPS`].
fn slot_of(step: i64) -> usize {
    step.rem_euclid(WINDOW_STEPS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 48;

    fn estimator() -> DelayEstimator {
        DelayEstimator::new(JitterSettings::default())
    }

    /// `count` packets of 20 ms, each delayed by `delay(i)`; returns the media time after them.
    fn run(estimator: &mut DelayEstimator, start: i64, count: i64, delay: impl Fn(i64) -> i64) -> i64 {
        for i in 0..count {
            let timestamp = start + i * 20 * MS;
            estimator.packet_arrived(timestamp + delay(i), timestamp, 20 * MS, 0);
        }
        start + count * 20 * MS
    }

    #[test]
    fn an_extra_delay_comes_on_top_and_ends_at_the_limit() {
        let mut estimator = estimator();
        run(&mut estimator, 0, 200, |_| 0);
        let without = estimator.target();
        estimator.set_extra(100 * MS);
        assert_eq!(estimator.target(), without + 100 * MS);
        estimator.set_extra(i64::MAX);
        assert_eq!(estimator.target(), 20 * MS + 500 * MS);
        estimator.set_extra(-1);
        assert_eq!(estimator.target(), without);
    }

    #[test]
    fn a_network_without_jitter_needs_one_packet_and_one_pull() {
        let mut e = estimator();
        run(&mut e, 0, 200, |_| 7 * MS);
        assert!((30 * MS..=33 * MS).contains(&e.target()), "{}", e.target() / MS);
    }

    #[test]
    fn jitter_raises_the_target_within_a_second_and_a_calm_of_some_seconds_lowers_it() {
        let mut e = estimator();
        let t = run(&mut e, 0, 500, |_| 0);
        let t = run(&mut e, t, 50, |i| (i % 5) * 15 * MS);
        assert!(e.target() >= 80 * MS, "{}", e.target() / MS);
        let t = run(&mut e, t, 150, |_| 0);
        assert!(e.target() >= 70 * MS, "fell within 3 s to {}", e.target() / MS);
        run(&mut e, t, 150, |_| 0);
        assert!(e.target() <= 33 * MS, "still {} after 6 s", e.target() / MS);
    }

    #[test]
    fn jitter_that_gets_less_lowers_the_target_to_what_it_still_needs() {
        let mut e = estimator();
        let t = run(&mut e, 0, 500, |i| (i % 5) * 15 * MS);
        let high = e.target();
        let t = run(&mut e, t, 500, |i| (i % 5) * 5 * MS);
        let low = e.target();
        assert!((50 * MS..=58 * MS).contains(&low), "{} after {}", low / MS, high / MS);
        // And once more of the old kind is there at once, since the histogram starts from there.
        run(&mut e, t, 25, |i| (i % 5) * 15 * MS);
        assert!(e.target() >= 80 * MS, "{}", e.target() / MS);
    }

    #[test]
    fn one_straggler_changes_nothing() {
        let mut e = estimator();
        let t = run(&mut e, 0, 500, |_| 0);
        let before = e.target();
        run(&mut e, t, 50, |i| if i == 10 { 200 * MS } else { 0 });
        assert_eq!(e.target(), before);
    }

    #[test]
    fn longer_packets_are_not_jitter() {
        let mut e = estimator();
        let t = run(&mut e, 0, 500, |_| 0);
        for i in 0..50 {
            let timestamp = t + i * 60 * MS;
            // Sent when its last sample is there: 40 ms later than a packet of 20 ms from the same timestamp
            // on.
            e.packet_arrived(timestamp + 40 * MS, timestamp, 60 * MS, 0);
        }
        assert!((70 * MS..=73 * MS).contains(&e.target()), "{}", e.target() / MS);
    }

    /// Loses `run` packets of 20 ms out of each `every`, `times` times; each packet can restore `reach`.
    fn lose(e: &mut DelayEstimator, start: i64, (run, every): (u32, u32), times: i64, reach: i64) -> i64 {
        let period = i64::from(every) * 20 * MS;
        for n in 0..times {
            e.packets_lost(run);
            for packet in run..every {
                let timestamp = start + n * period + i64::from(packet) * 20 * MS;
                e.packet_arrived(timestamp, timestamp, 20 * MS, reach);
                e.packet_played();
            }
        }
        start + times * period
    }

    #[test]
    fn target_waits_for_what_restores_only_while_packets_get_lost() {
        let mut e = estimator();
        let t = run(&mut e, 0, 500, |_| 0);
        let before = e.target();
        let t = lose(&mut e, t, (1, 10), 50, 20 * MS);
        assert_eq!(e.target(), before + 20 * MS);
        for _ in 0..500 {
            e.packet_played();
        }
        run(&mut e, t, 500, |_| 0);
        assert_eq!(e.target(), before);
    }

    #[test]
    fn target_waits_as_long_as_losses_last_and_packets_restore() {
        for (loss, reach, wait) in [
            ((1, 10), 0, 0),
            ((1, 10), 20, 20),
            ((1, 10), 1000, 20),
            ((2, 20), 1000, 40),
            ((4, 40), 20, 20),
            ((4, 40), 50, 50),
            ((4, 40), 1000, 80),
            ((6, 60), 1000, 120),
            ((50, 400), 1000, 120),
        ] {
            let mut e = estimator();
            let t = run(&mut e, 0, 500, |_| 0);
            let before = e.target();
            lose(&mut e, t, loss, 60, reach * MS);
            assert_eq!((e.target() - before) / MS, wait, "{loss:?} {reach}");
        }
    }

    #[test]
    fn window_forgets_a_minimum_after_its_length() {
        let mut window = WindowMin::new(10);
        window.insert(0, 5);
        window.insert(100, 9);
        assert_eq!(window.min(), Some(5));
        window.insert(200, 8);
        assert_eq!(window.min(), Some(8));
        window.insert(1_000_000, 20);
        assert_eq!(window.min(), Some(20));
        window.shift(-3);
        assert_eq!(window.min(), Some(17));
    }
}
