//! What a path does to packets, pure: conditions that change by a schedule, one queue in front of the
//! bottleneck, loss and jitter by a seed.

use std::time::Duration;

/// What one direction of a path does to packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Propagation, one way.
    pub delay: Duration,
    /// Added to the delay of each packet, uniform from zero to this: packets overtake each other.
    pub jitter: Duration,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// Mean number of packets lost in a row; 1: each packet by itself (Gilbert's model).
    pub burst: f64,
    /// Bottleneck in bit/s, IP headers included; none: no bottleneck.
    pub rate: Option<f64>,
    /// Longest wait in the bottleneck's queue; a packet that would wait longer is dropped.
    pub queue: Duration,
    /// Largest IP packet in bytes; a larger one is dropped silently, as behind many VPNs.
    pub mtu: usize,
    /// Nothing passes at all.
    pub down: bool,
}

impl Conditions {
    /// A path with this delay one way, and without any fault.
    pub fn clean(delay: Duration) -> Self {
        Self {
            delay,
            jitter: Duration::ZERO,
            loss: 0.0,
            burst: 1.0,
            rate: None,
            queue: Duration::from_millis(300),
            mtu: 1500,
            down: false,
        }
    }

    /// With a bottleneck of `kbps` kbit/s.
    #[must_use]
    pub fn rate_kbps(self, kbps: f64) -> Self {
        Self { rate: Some(kbps * 1000.0), ..self }
    }

    /// With this share of packets lost.
    #[must_use]
    pub fn loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}

/// Conditions over time: each entry holds from its time on, until the next one's.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Vec<(Duration, Conditions)>);

impl Schedule {
    /// The same all the time.
    pub fn constant(conditions: Conditions) -> Self {
        Self(vec![(Duration::ZERO, conditions)])
    }

    /// From these seconds on, these conditions; the first entry's time counts as zero.
    ///
    /// # Panics
    /// Where there is no entry.
    pub fn new(entries: impl IntoIterator<Item = (f64, Conditions)>) -> Self {
        let entries: Vec<_> = entries.into_iter().map(|(at, what)| (Duration::from_secs_f64(at), what)).collect();
        assert!(!entries.is_empty(), "a schedule has at least one entry");
        Self(entries)
    }

    /// What holds at `at`.
    pub fn at(&self, at: Duration) -> Conditions {
        let past = self.0.iter().take_while(|(from, _)| *from <= at).last();
        past.or(self.0.first()).expect("a schedule has at least one entry").1
    }

    /// Bits that the bottleneck carries between two times; none where there is no bottleneck at one of them.
    pub fn capacity(&self, from: Duration, to: Duration) -> Option<f64> {
        let mut edges: Vec<_> = self.0.iter().map(|(at, _)| *at).filter(|at| *at > from && *at < to).collect();
        edges.insert(0, from);
        edges.push(to);
        edges.windows(2).map(|pair| Some(self.at(pair[0]).rate? * (pair[1] - pair[0]).as_secs_f64())).sum()
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// Arrives then.
    Arrives(Duration),
    /// Was lost at random, or because it was too large.
    Lost,
    /// Found the queue full.
    Overflowed,
}

/// One direction of a path.
#[derive(Debug)]
pub struct Direction {
    schedule: Schedule,
    chance: Chance,
    /// In a row of lost packets.
    losing: bool,
    /// When the bottleneck has sent everything that waits.
    free_at: Duration,
}

impl Direction {
    /// A direction that follows `schedule`; the same seed loses the same packets.
    pub fn new(schedule: Schedule, seed: u64) -> Self {
        Self { schedule, chance: Chance(seed), losing: false, free_at: Duration::ZERO }
    }

    /// What becomes of a packet of `bytes` that enters at `now` since the path's start.
    pub fn fate(&mut self, now: Duration, bytes: usize) -> Fate {
        let conditions = self.schedule.at(now);
        // Drawn for every packet, so that one that is lost shifts no other's chance.
        let (lost, jitter) = (self.draw_loss(&conditions), self.chance.next());
        if lost || conditions.down || bytes > conditions.mtu {
            return Fate::Lost;
        }
        let mut at = now;
        if let Some(rate) = conditions.rate {
            let start = self.free_at.max(now);
            if start - now > conditions.queue {
                return Fate::Overflowed;
            }
            at = start + Duration::from_secs_f64(bytes as f64 * 8.0 / rate);
            self.free_at = at;
        }
        Fate::Arrives(at + conditions.delay + conditions.jitter.mul_f64(jitter))
    }

    /// How long a packet that enters at `now` waits in the queue.
    pub fn queued(&self, now: Duration) -> Duration {
        self.free_at.saturating_sub(now)
    }

    /// The schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn draw_loss(&mut self, conditions: &Conditions) -> bool {
        let Conditions { loss, burst, .. } = *conditions;
        let chance = self.chance.next();
        if burst <= 1.0 {
            return chance < loss;
        }
        // Gilbert: a row ends with 1/burst, and begins so often that `loss` is lost in the mean.
        let (ends, begins) = (1.0 / burst, loss / (1.0 - loss).max(1e-9) / burst);
        self.losing = if self.losing { chance >= ends } else { chance < begins };
        self.losing
    }
}

/// SplitMix64: numbers from 0 to 1 by a seed.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_bottleneck_queues_then_overflows_and_drains() {
        let slow = Conditions::clean(ms(20)).rate_kbps(1000.0);
        let mut direction = Direction::new(Schedule::constant(slow), 1);
        // 1250 bytes take 10 ms at 1 Mbit/s, so 31 packets fill a queue of 300 ms.
        let fates: Vec<_> = (0..40).map(|_| direction.fate(ms(0), 1250)).collect();
        assert_eq!(fates[0], Fate::Arrives(ms(30)));
        assert_eq!(fates[1], Fate::Arrives(ms(40)));
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Overflowed).count(), 9);
        assert_eq!(direction.queued(ms(100)), ms(210));
        assert_eq!(direction.fate(ms(1000), 1250), Fate::Arrives(ms(1030)));
    }

    #[test]
    fn losses_have_the_share_and_the_length_that_were_asked_for() {
        for burst in [1.0, 4.0] {
            let lossy = Conditions { burst, ..Conditions::clean(ms(0)).loss(0.1) };
            let mut direction = Direction::new(Schedule::constant(lossy), 7);
            let lost: Vec<bool> = (0..100_000).map(|_| direction.fate(ms(0), 100) == Fate::Lost).collect();
            let count = lost.iter().filter(|lost| **lost).count();
            let rows = lost.windows(2).filter(|pair| pair[0] && !pair[1]).count();
            assert!((9_000..11_000).contains(&count), "{count}");
            let mean = count as f64 / rows as f64;
            let wanted = if burst > 1.0 { burst } else { 1.0 / 0.9 };
            assert!((mean - wanted).abs() < 0.3, "{mean}");
        }
    }

    #[test]
    fn a_schedule_is_followed_and_its_capacity_summed() {
        let at = |kbps| Conditions::clean(ms(0)).rate_kbps(kbps);
        let schedule = Schedule::new([(0.0, at(1000.0)), (10.0, at(500.0)), (20.0, at(2000.0))]);
        assert_eq!(schedule.at(ms(9_999)), at(1000.0));
        assert_eq!(schedule.at(ms(10_000)), at(500.0));
        assert_eq!(schedule.capacity(ms(5_000), ms(25_000)), Some(5e6 + 5e6 + 10e6));
        assert_eq!(Schedule::constant(Conditions::clean(ms(1))).capacity(ms(0), ms(1)), None);
    }
}
