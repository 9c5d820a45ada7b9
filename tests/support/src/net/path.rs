//! A path between namespaces, carried by a thread: TUN devices at the ends, [`Direction`]s in between.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    os::fd::AsFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::{
    conditions::{Direction, Fate, Schedule},
    namespace::Namespace,
};

/// Packets that may be under way at once; more is a flood, and is dropped.
const MAX_UNDER_WAY: usize = 100_000;
/// Between two samples of the queue.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);
/// Room for the largest packet that a TUN device hands over.
const MAX_PACKET: usize = 65_536;
/// A packet is handed over this much early rather than a timer's step late.
const EARLY: Duration = Duration::from_micros(200);

/// Two machines, one at each end of a path.
#[derive(Debug)]
pub struct Pair {
    /// This end; its address is [`NEAR`].
    pub near: Namespace,
    /// The other end; its address is [`FAR`].
    pub far: Namespace,
}

/// Address of the near end of every pair.
pub const NEAR: &str = "10.77.0.1";
/// Address of the far end of every pair.
pub const FAR: &str = "10.77.0.2";

/// What one direction did so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Packets that entered.
    pub entered: u64,
    /// Packets lost at random.
    pub lost: u64,
    /// Packets that found the queue full.
    pub overflowed: u64,
    /// Bytes of IP packets that came out at the other end, by pair.
    pub carried: Vec<u64>,
    /// One every 10 ms since the start of the path.
    pub samples: Vec<Sample>,
}

/// One look at a direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds since the start of the path.
    pub at: f64,
    /// How long a packet that enters now waits, in ms.
    pub queue_ms: f64,
    /// Bytes carried so far, by pair.
    pub carried: Vec<u64>,
    /// Packets that entered so far.
    pub entered: u64,
    /// Packets lost or overflowed so far.
    pub missing: u64,
}

impl Counts {
    /// Bytes that all pairs carried.
    pub fn carried_in_all(&self) -> u64 {
        self.carried.iter().sum()
    }

    /// The queue between two times, in ms, one value every 10 ms.
    pub fn queue_between(&self, from: Duration, to: Duration) -> Vec<f64> {
        let inside = |sample: &&Sample| sample.at >= from.as_secs_f64() && sample.at < to.as_secs_f64();
        self.samples.iter().filter(inside).map(|sample| sample.queue_ms).collect()
    }

    /// Bytes that all pairs carried between two times.
    pub fn carried_between(&self, from: Duration, to: Duration) -> u64 {
        let until = |at| self.sample_at(at).map_or(0, |sample| sample.carried.iter().sum::<u64>());
        until(to).saturating_sub(until(from))
    }

    /// Bytes that one pair carried between two times.
    pub fn carried_by(&self, pair: usize, from: Duration, to: Duration) -> u64 {
        let until = |at| self.sample_at(at).and_then(|sample| sample.carried.get(pair).copied()).unwrap_or(0);
        until(to).saturating_sub(until(from))
    }

    /// The share of the packets that entered between two times which were lost or overflowed; none where none
    /// entered.
    pub fn missing_between(&self, from: Duration, to: Duration) -> Option<f64> {
        let until = |at| self.sample_at(at).map_or((0, 0), |sample| (sample.entered, sample.missing));
        let ((entered_before, missing_before), (entered, missing)) = (until(from), until(to));
        (entered > entered_before).then(|| (missing - missing_before) as f64 / (entered - entered_before) as f64)
    }

    /// The last sample that is not after `at`.
    fn sample_at(&self, at: Duration) -> Option<&Sample> {
        let after = self.samples.partition_point(|sample| sample.at <= at.as_secs_f64());
        self.samples.get(after.checked_sub(1)?)
    }
}

/// A running path. Dropping it ends it and removes its namespaces.
pub struct Path {
    /// The machines that share it.
    pub pairs: Vec<Pair>,
    started: Instant,
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<[Counts; 2]>>,
    thread: Option<JoinHandle<()>>,
}

impl Path {
    /// Joins `pairs` pairs of new machines by one path: all share its bottlenecks. `forward` is the way from
    /// near to far.
    ///
    /// # Panics
    /// Without root, `ip` or `/dev/net/tun`.
    pub fn start(pairs: usize, forward: Schedule, back: Schedule, seed: u64) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |pair: usize, end: &str| format!("ahoy{}-{number}-{pair}{end}", std::process::id());
        let pairs: Vec<Pair> = (0..pairs)
            .map(|pair| Pair { near: Namespace::new(name(pair, "n")), far: Namespace::new(name(pair, "f")) })
            .collect();
        let ends = pairs.iter().flat_map(|pair| [attach(&pair.near, NEAR), attach(&pair.far, FAR)]).collect();
        let nothing = Counts { carried: vec![0; pairs.len()], ..Counts::default() };
        let counts = Arc::new(Mutex::new([nothing.clone(), nothing]));
        let stop = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let carrier = Carrier {
            ends,
            directions: [Direction::new(forward, seed.wrapping_mul(2)), Direction::new(back, seed.wrapping_mul(2) + 1)],
            started,
            stop: Arc::clone(&stop),
            counts: Arc::clone(&counts),
            under_way: BinaryHeap::new(),
            order: 0,
        };
        let thread = thread::Builder::new().name("path".into()).spawn(move || carrier.run()).expect("a thread");
        Self { pairs, started, stop, counts, thread: Some(thread) }
    }

    /// Time since the start, which schedules and samples count from.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What the way from near to far did so far.
    pub fn forward(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)[0].clone()
    }

    /// What the way from far to near did so far.
    pub fn back(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)[1].clone()
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A TUN device in `namespace` with `address`, and the default route through it.
fn attach(namespace: &Namespace, address: &str) -> SyncDevice {
    let device = namespace.enter(|| {
        let device = DeviceBuilder::new().name("path0").mtu(1500).build_sync();
        device.expect("root can make a TUN device")
    });
    device.set_nonblocking(true).expect("a TUN device can be read without waiting");
    namespace.ip(["addr", "add", &format!("{address}/24"), "dev", "path0"]);
    namespace.ip(["link", "set", "path0", "up"]);
    namespace.ip(["route", "replace", "default", "dev", "path0"]);
    device
}

/// When a packet arrives, in which order it came, at which end, and the packet.
type UnderWay = Reverse<(Duration, u64, usize, Vec<u8>)>;

struct Carrier {
    /// Near and far of each pair, in turn.
    ends: Vec<SyncDevice>,
    directions: [Direction; 2],
    started: Instant,
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<[Counts; 2]>>,
    under_way: BinaryHeap<UnderWay>,
    order: u64,
}

impl Carrier {
    fn run(mut self) {
        let mut buffer = vec![0; MAX_PACKET];
        let mut sampled = Duration::ZERO;
        while !self.stop.load(Ordering::Relaxed) {
            let now = self.started.elapsed();
            let next = self.under_way.peek().map_or(SAMPLE_INTERVAL, |Reverse((at, ..))| at.saturating_sub(now));
            self.wait(next.min(SAMPLE_INTERVAL));
            // Before the packets that came since: on a busy machine this thread is late, and they would be in
            // samples of a time when they were not there.
            while sampled + SAMPLE_INTERVAL <= self.started.elapsed() {
                sampled += SAMPLE_INTERVAL;
                self.sample(sampled);
            }
            for end in 0..self.ends.len() {
                while let Ok(len) = self.ends[end].recv(&mut buffer) {
                    self.enter(end, &buffer[..len]);
                }
            }
            self.deliver();
        }
    }

    fn wait(&self, limit: Duration) {
        // Milliseconds are too coarse for a packet that is due: those are waited for by looking again.
        let timeout = PollTimeout::try_from(limit.saturating_sub(EARLY)).unwrap_or(PollTimeout::ZERO);
        let mut ends: Vec<_> = self.ends.iter().map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut ends, timeout);
    }

    fn enter(&mut self, end: usize, packet: &[u8]) {
        // IPv6 is neighbour discovery and the like here: no pair has an address for it.
        if packet.first().is_none_or(|first| first >> 4 != 4) {
            return;
        }
        let now = self.started.elapsed();
        let direction = end % 2;
        let fate = match self.under_way.len() < MAX_UNDER_WAY {
            true => self.directions[direction].fate(now, packet.len()),
            false => Fate::Overflowed,
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut counts[direction];
        counts.entered += 1;
        match fate {
            Fate::Arrives(at) => {
                self.order += 1;
                // The other end of the same pair.
                self.under_way.push(Reverse((at, self.order, end ^ 1, packet.to_vec())));
            }
            Fate::Lost => counts.lost += 1,
            Fate::Overflowed => counts.overflowed += 1,
        }
    }

    fn deliver(&mut self) {
        let now = self.started.elapsed() + EARLY;
        while self.under_way.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            if let Some(Reverse((_, _, end, packet))) = self.under_way.pop() {
                // A device whose reader does not keep up drops packets, as a real one does.
                let _ = self.ends[end].send(&packet);
                // What comes out at a near end went back.
                let direction = 1 - end % 2;
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                counts[direction].carried[end / 2] += packet.len() as u64;
            }
        }
    }

    fn sample(&self, at: Duration) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (counts, direction) in counts.iter_mut().zip(&self.directions) {
            let sample = Sample {
                at: at.as_secs_f64(),
                queue_ms: direction.queued(at).as_secs_f64() * 1000.0,
                carried: counts.carried.clone(),
                entered: counts.entered,
                missing: counts.lost + counts.overflowed,
            };
            counts.samples.push(sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_between_two_times_are_of_each_pair_and_of_all() {
        let sample = |at, carried: [u64; 2], entered, missing| Sample {
            at,
            queue_ms: 0.0,
            carried: carried.to_vec(),
            entered,
            missing,
        };
        let samples = vec![sample(0.0, [0, 0], 0, 0), sample(1.0, [100, 10], 10, 0), sample(2.0, [300, 20], 30, 5)];
        let counts = Counts { samples, ..Counts::default() };
        let (zero, one, two) = (Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!((counts.carried_by(0, one, two), counts.carried_by(1, one, two)), (200, 10));
        assert_eq!(counts.carried_between(zero, two), 320);
        assert_eq!(counts.carried_by(2, zero, two), 0, "no such pair");
        assert_eq!((counts.missing_between(one, two), counts.missing_between(two, two)), (Some(0.25), None));
    }
}
