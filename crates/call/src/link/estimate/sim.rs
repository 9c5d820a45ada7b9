//! The estimator and the send queue in a loop with a path, without a network: what they do over 300 kbit/s,
//! jitter, loss.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use ahoy_media::units::Bitrate;
use rtc::{
    interceptor::{BandwidthEstimator, PacketReport},
    rtp,
};

use super::{Ceiling, Coverage, Estimator, ProbeTurn, SendControl, coverage::Said, most};
use crate::link::send::{Released, SendQueue, wire_size};

/// A path: what it carries at a time, and what it does besides.
struct Path {
    /// (from second, bits a second)
    rate: Vec<(f64, f64)>,
    delay: f64,
    jitter: f64,
    loss: f64,
    queue: f64,
    /// Share of the feedback that is lost.
    feedback_loss: f64,
    /// Between these seconds nothing passes.
    outage: (f64, f64),
    /// From this second on, packets take so much longer.
    detour: (f64, f64),
    /// Another flow that takes this share of the rate's queue, whatever we do, between these seconds.
    tcp: (f64, f64),
}

impl Default for Path {
    fn default() -> Self {
        Self {
            rate: vec![(0.0, 100e6)],
            delay: 0.02,
            jitter: 0.0,
            loss: 0.0,
            queue: 0.3,
            feedback_loss: 0.0,
            outage: (0.0, 0.0),
            detour: (f64::INFINITY, 0.0),
            tcp: (0.0, 0.0),
        }
    }
}

/// What happened.
#[derive(Default)]
struct Seen {
    /// Each 10 ms: time, target, queue in s.
    samples: Vec<(f64, f64, f64)>,
    /// (time of arrival, bytes)
    arrived: Vec<(f64, usize)>,
    overflowed: usize,
}

impl Seen {
    fn rate(&self, from: f64, to: f64) -> f64 {
        let bytes: usize = self.arrived.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, bytes)| bytes).sum();
        bytes as f64 * 8.0 / (to - from)
    }

    fn queue_p95(&self, from: f64, to: f64) -> f64 {
        let mut queue: Vec<f64> =
            self.samples.iter().filter(|(at, ..)| (from..to).contains(at)).map(|(_, _, queue)| *queue).collect();
        queue.sort_by(f64::total_cmp);
        queue[queue.len() * 95 / 100]
    }

    fn target(&self, at: f64) -> f64 {
        self.samples.iter().find(|(time, ..)| *time >= at).unwrap().1
    }

    fn show(&self) {
        for (at, target, queue) in self.samples.iter().step_by(50) {
            eprintln!("{at:6.2} s  target {:6.0} kbit/s  queue {:4.0} ms", target / 1e3, queue * 1e3);
        }
    }
}

/// Video at 30 frames a second that keeps to the target and to `ceiling`, and 50 packets of sound a second,
/// for `seconds`.
fn run(path: &Path, ceiling: f64, seconds: f64) -> Seen {
    let (mut chance, mut sizes) = (fastrand::Rng::with_seed(9), fastrand::Rng::with_seed(10));
    let coverage = Coverage::default();
    let ceiling_rate = Ceiling { video: Bitrate::from_bps(ceiling as u64), total: None };
    let control = SendControl::default();
    let (mut estimator, hear) = Estimator::new(ceiling_rate, ProbeTurn::default(), coverage.clone(), control.clone());
    let start = Instant::now() + Duration::from_secs(100);
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let mut queue = SendQueue::new(control.clone(), start);
    let mut seen = Seen::default();
    // By transport-wide number: departure, bytes, arrival; none for lost.
    let mut sent: BTreeMap<u64, (f64, usize, Option<f64>)> = BTreeMap::new();
    let mut feedback: VecDeque<(f64, Vec<u64>)> = VecDeque::new();
    let (mut number, mut free, mut reported, mut next_feedback, mut told) = (0u64, 0.0f64, 0u64, 0.05, 0u64);
    let mut sequence = 0u16;
    for step in 0..(seconds * 1000.0) as u64 {
        let now = step as f64 / 1000.0;
        let rate = path.rate.iter().take_while(|(from, _)| *from <= now).last().unwrap().1;
        let contested = (path.tcp.0..path.tcp.1).contains(&now);
        let mut wire = |bytes: usize, seen: &mut Seen| {
            let mut arrival = None;
            let lost = chance.f64() < path.loss || (path.outage.0..path.outage.1).contains(&now);
            free = free.max(now);
            // The other flow keeps the queue at two thirds, and gives way to us.
            let standing = if contested { (path.queue * 0.66).max(free - now) } else { free - now };
            if !lost && standing <= path.queue {
                free += bytes as f64 * 8.0 / rate;
                let leaves = now + standing + bytes as f64 * 8.0 / rate;
                let detour = if now >= path.detour.0 { path.detour.1 } else { 0.0 };
                arrival = Some(leaves + path.delay + detour + chance.f64() * path.jitter);
                seen.arrived.push((leaves, bytes));
            } else if !lost {
                seen.overflowed += 1;
            }
            number += 1;
            sent.insert(number, (now, bytes, arrival));
        };
        if step % 20 == 0 {
            queue.passed(at(now), 120);
            wire(120, &mut seen);
        }
        if step % 33 == 0 && control.lock().backlog < Duration::from_millis(150) {
            let kept = 0.92 * (1.0 - hear.borrow().protection);
            let video = ((estimator.target_bitrate() - 48e3) * kept).clamp(20e3, ceiling);
            let bytes = (video / 30.0 / 8.0 * (0.7 + 0.6 * sizes.f64())) as usize;
            let packets = bytes.div_ceil(1100).max(1);
            for packet in 0..packets {
                sequence = sequence.wrapping_add(1);
                let header = rtp::header::Header {
                    sequence_number: sequence,
                    marker: packet + 1 == packets,
                    ..Default::default()
                };
                queue.push(at(now), rtp::Packet { header, payload: vec![0; bytes / packets].into() });
            }
        }
        while let Some(released) = queue.release(at(now)) {
            let (Released::Media(packet) | Released::Padding(packet) | Released::Repair(packet)) = released;
            wire(wire_size(&packet), &mut seen);
        }
        if now >= next_feedback {
            next_feedback += 0.05;
            let arrived: Vec<u64> = sent
                .iter()
                .filter(|(number, (_, _, arrival))| {
                    **number > told.saturating_sub(200) && arrival.is_some_and(|at| at <= now)
                })
                .map(|(number, _)| *number)
                .collect();
            if sizes.f64() >= path.feedback_loss && !(path.outage.0..path.outage.1).contains(&now) {
                feedback.push_back((now + path.delay, arrived.clone()));
            }
            told = arrived.last().copied().unwrap_or(told);
        }
        while feedback.front().is_some_and(|(due, _)| *due <= now) {
            let (_, numbers) = feedback.pop_front().unwrap();
            let Some(highest) = numbers.last().copied() else { continue };
            for covered in numbers[0]..=highest {
                let said = if numbers.binary_search(&covered).is_ok() { Said::Arrived } else { Said::Missing };
                coverage.note(at(now), covered as u16, said);
            }
            let reports: Vec<PacketReport> = (reported + 1..=highest)
                .filter_map(|number| {
                    let (departure, bytes, arrival) = sent.get(&number)?;
                    let arrival = arrival.filter(|_| numbers.binary_search(&number).is_ok());
                    Some(PacketReport {
                        ssrc: 1,
                        id: number,
                        rtp_sequence_number: number as u16,
                        is_twcc: true,
                        twcc_sequence_number: number as u16,
                        size: bytes - super::UNCOUNTED,
                        arrived: arrival.is_some(),
                        departure: at(*departure),
                        arrival: arrival.map(|at| Duration::from_secs_f64(1000.0 + at)),
                        ecn: Default::default(),
                    })
                })
                .collect();
            reported = reported.max(highest);
            estimator.on_reports(at(now), &reports);
        }
        estimator.handle_timeout(at(now));
        if step % 10 == 0 {
            seen.samples.push((now, estimator.target_bitrate(), (free - now).max(0.0)));
        }
    }
    seen
}

fn steady(rate: f64) -> Path {
    Path { rate: vec![(0.0, rate)], ..Path::default() }
}

#[test]
fn slow_paths_are_filled_without_a_long_queue() {
    for rate in [300e3, 500e3, 1000e3] {
        let seen = run(&steady(rate), 1500e3, 40.0);
        seen.show();
        let (used, queue) = (seen.rate(5.0, 40.0) / rate, seen.queue_p95(3.0, 40.0));
        eprintln!("{rate}: used {used:.3}, queue {:.0} ms, overflowed {}", queue * 1e3, seen.overflowed);
        assert!(used > 0.87, "{rate}: used {used}");
        assert!(queue < 0.080, "{rate}: queue {queue}");
        assert_eq!(seen.overflowed, 0);
    }
}

#[test]
fn three_megabits_are_found_within_two_seconds() {
    let seen = run(&steady(3e6), 4000e3, 20.0);
    seen.show();
    let found = seen.samples.iter().find(|(_, target, _)| *target > 2.7e6).expect("it is found").0;
    assert!(found < 2.0, "{found}");
    assert!(seen.rate(3.0, 20.0) > 0.87 * 3e6);
    assert!(seen.queue_p95(0.0, 20.0) < 0.080, "{}", seen.queue_p95(0.0, 20.0));
}

#[test]
fn a_capacity_that_changes_is_followed_both_ways() {
    let rate = vec![(0.0, 1e6), (40.0, 2.5e6), (60.0, 0.6e6), (80.0, 1e6)];
    let seen = run(&Path { rate, delay: 0.05, ..Path::default() }, 4000e3, 100.0);
    seen.show();
    let used = seen.rate(1.0, 100.0) * 99.0 / (39e6 + 50e6 + 12e6 + 20e6);
    eprintln!("used {used:.3} queue {:.0}", seen.queue_p95(1.0, 100.0) * 1e3);
    assert!(used > 0.87, "{used}");
    assert!(seen.queue_p95(1.0, 100.0) < 0.080);
    assert!(seen.target(62.0) < 0.7e6);
}

#[test]
fn jitter_and_reordering_are_no_congestion() {
    let seen = run(&Path { jitter: 0.06, ..Path::default() }, 1500e3, 30.0);
    seen.show();
    assert!(seen.rate(10.0, 30.0) > 1.3e6, "{}", seen.rate(10.0, 30.0));
}

#[test]
fn random_loss_costs_little_rate() {
    for loss in [0.05, 0.1, 0.2] {
        let path = Path { loss, delay: 0.05, feedback_loss: loss, ..Path::default() };
        let seen = run(&path, 1500e3, 40.0);
        seen.show();
        let kept = seen.rate(10.0, 40.0);
        eprintln!("{loss}: {kept:.0}");
        assert!(kept > 1.2e6, "{loss}: {kept}");
    }
}

#[test]
fn after_an_outage_the_rate_is_back_soon() {
    let seen = run(&Path { outage: (15.0, 20.0), ..steady(1e6) }, 1500e3, 40.0);
    seen.show();
    assert!(seen.target(19.9) < 0.3e6, "little is sent into an outage");
    assert!(seen.rate(23.0, 40.0) > 0.8e6);
}

#[test]
fn a_longer_path_is_no_queue() {
    let detour = (15.0, 0.07);
    let long = |path: Path| Path { detour, ..path };
    for path in [long(Path::default()), long(steady(1e6)), long(Path { jitter: 0.02, loss: 0.05, ..Path::default() })] {
        let seen = run(&path, 1500e3, 30.0);
        seen.show();
        let (before, after) = (seen.rate(10.0, 15.0), seen.rate(19.0, 30.0));
        eprintln!("before {before:.0}, after {after:.0}");
        assert!(after > 0.85 * before, "{before} {after}");
    }
}

#[test]
fn a_bottleneck_that_gets_much_slower_is_no_longer_path() {
    for (jitter, delay) in [(0.0, 0.02), (0.06, 0.08), (0.02, 0.04)] {
        for slow in [0.2e6, 0.4e6] {
            let rate = vec![(0.0, 3e6), (20.0, slow)];
            let seen = run(&Path { rate, jitter, delay, ..Path::default() }, 1500e3, 40.0);
            seen.show();
            let most = seen.samples.iter().filter(|(at, ..)| *at > 22.0).map(|sample| sample.1).fold(0.0, f64::max);
            eprintln!("{slow} jitter {jitter}: most {most:.0}");
            assert!(most < 1.4 * slow, "{slow}, jitter {jitter}: {most}");
            assert!(seen.queue_p95(23.0, 40.0) < 0.1, "{slow}: {}", seen.queue_p95(23.0, 40.0));
        }
    }
}

#[test]
fn another_flow_that_fills_the_queue_does_not_starve_the_call() {
    let seen = run(&Path { tcp: (10.0, 40.0), ..steady(2e6) }, 1500e3, 60.0);
    seen.show();
    assert!(seen.rate(20.0, 40.0) > 0.45e6, "{}", seen.rate(20.0, 40.0));
    assert!(seen.rate(45.0, 60.0) > 1.2e6, "the path is its own again");
}

#[test]
fn another_ceiling_holds_from_the_next_feedback_on() {
    let of_video = |kbps| Ceiling { video: Bitrate::from_kbps(kbps), total: None };
    // Both are under the first estimate, so that the ceiling is what holds.
    let (first, second) = (of_video(50), of_video(25));
    let control = SendControl::default();
    let (mut estimator, _hear) = Estimator::new(first, ProbeTurn::default(), Coverage::default(), control.clone());
    let (start, mut told) = (Instant::now() + Duration::from_secs(100), 0);
    let mut report = |estimator: &mut Estimator| {
        told += 1;
        let sent = Duration::from_millis(told * 20);
        let report = PacketReport {
            ssrc: 1,
            id: told,
            rtp_sequence_number: 0,
            is_twcc: true,
            twcc_sequence_number: told as u16,
            size: 1000,
            arrived: true,
            departure: start + sent,
            arrival: Some(Duration::from_secs(1000) + sent),
            ecn: Default::default(),
        };
        estimator.on_reports(start + sent + Duration::from_millis(20), &[report]);
    };
    report(&mut estimator);
    assert_eq!(estimator.target_bitrate(), most(first));
    control.lock().ceiling = Some(second);
    assert_eq!(estimator.target_bitrate(), most(first));
    report(&mut estimator);
    assert_eq!(estimator.target_bitrate(), most(second));
    control.lock().ceiling = Some(of_video(1000));
    for _ in 0..200 {
        report(&mut estimator);
    }
    assert!(estimator.target_bitrate() > most(first), "{}", estimator.target_bitrate());
    control.lock().ceiling = Some(Ceiling { total: Some(Bitrate::from_kbps(150)), ..of_video(1000) });
    report(&mut estimator);
    assert_eq!(estimator.target_bitrate(), 150_000.0);
}

#[test]
fn missing_feedback_is_an_outage_only_for_who_sends() {
    let ceiling = Ceiling { video: Bitrate::from_kbps(1500), total: None };
    for (packets, is_cut) in [(4, false), (20, true)] {
        let control = SendControl::default();
        let (mut estimator, _hear) =
            Estimator::new(ceiling, ProbeTurn::default(), Coverage::default(), control.clone());
        let start = Instant::now() + Duration::from_secs(100);
        let report = PacketReport {
            ssrc: 1,
            id: 1,
            rtp_sequence_number: 0,
            is_twcc: true,
            twcc_sequence_number: 1,
            size: 100,
            arrived: true,
            departure: start,
            arrival: Some(Duration::from_secs(1000)),
            ecn: Default::default(),
        };
        estimator.on_reports(start + Duration::from_millis(20), &[report]);
        let before = estimator.target_bitrate();
        (0..packets).for_each(|number| control.lock().left(start + Duration::from_millis(100 + number)));
        (1..50).for_each(|tick| estimator.handle_timeout(start + Duration::from_millis(100 * tick)));
        assert_eq!(estimator.target_bitrate() < before, is_cut, "{packets} packets without feedback");
    }
}
