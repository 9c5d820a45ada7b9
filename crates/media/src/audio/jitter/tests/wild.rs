//! A path whose jitter begins, lasts and ends: packets overtake each other by up to 60 ms.

use super::*;

/// When the jitter begins and ends.
const WILD: std::ops::Range<i64> = 10 * SECOND..40 * SECOND;
const END: i64 = 60 * SECOND;

/// A call over a path that delays each packet by a random 0 to 60 ms more while it is wild.
fn call(packet: i64, seed: u64, wild: impl Fn(i64) -> bool) -> Speaker {
    let sent = Sender::new(packet, OpusSettings::default()).send(END, tone);
    let mut random = Random(seed);
    let mut delay = |at| DELAY + if wild(at) { random.below(60_000) as i64 } else { 0 };
    let arrivals: Vec<_> = sent.into_iter().map(|sent| (sent.captured + delay(sent.captured), sent)).collect();
    let mut speaker = Speaker::new();
    speaker.play(&arrivals, END);
    speaker
}

/// Share of the sound between two times that is a guess.
fn concealed(speaker: &Speaker, from: i64, to: i64) -> f64 {
    let samples = speaker.stats_at(to).concealed_samples - speaker.stats_at(from).concealed_samples;
    samples as f64 / ((to - from) * 48 / MS) as f64
}

/// Average of [`Heard::hold`] over the second from `from` on.
fn hold(speaker: &Speaker, from: i64, packet: i64) -> f64 {
    let holds: Vec<_> = speaker
        .heard
        .iter()
        .filter(|heard| (from..from + SECOND).contains(&heard.at))
        .filter_map(|heard| heard.hold(5000, DELAY, packet))
        .collect();
    holds.iter().sum::<f64>() / holds.len() as f64
}

#[test]
fn jitter_of_60_ms_with_reordering_is_followed_up_and_down() {
    for packet in [10, 20].map(|ms| ms * MS) {
        for seed in 1..=5 {
            let speaker = call(packet, seed, |at| WILD.contains(&at));
            let case = format!("packets of {} ms, seed {seed}", packet / MS);
            // The first stragglers of all cannot be foreseen; from then on next to nothing is missing.
            let all = concealed(&speaker, WILD.start, WILD.end);
            assert!(all < 0.005, "{case}: {all} concealed");
            let later = concealed(&speaker, WILD.start + SECOND, WILD.end);
            assert!(later < 0.001, "{case}: {later} concealed after the first second");
            let during = hold(&speaker, WILD.end - 2 * SECOND, packet);
            assert!((55.0..80.0).contains(&during), "{case}: held for {during} ms");
            let after: Vec<_> = (0..8).map(|s| hold(&speaker, WILD.end + s * SECOND, packet)).collect();
            assert!(after.iter().skip(5).all(|hold| *hold < 22.0), "{case}: held for {after:.0?} ms after the end");
            assert_eq!(concealed(&speaker, WILD.end + SECOND, END - SECOND), 0.0, "{case}: the fall conceals");
            assert_eq!(speaker.stats().dropped, 0, "{case}");
            assert!(speaker.tone_share(WILD.start + 2 * SECOND, END) > 0.99, "{case}");
        }
    }
}

#[test]
fn the_delay_stays_up_where_disturbances_come_back() {
    // 300 ms of jitter every so many seconds, from 10 s on.
    for every in [2, 5, 10] {
        let speaker = call(20 * MS, 3, |at| at >= 10 * SECOND && at % (every * SECOND) < 300 * MS);
        let (first, second) =
            (concealed(&speaker, 10 * SECOND, 35 * SECOND), concealed(&speaker, 35 * SECOND, 59 * SECOND));
        assert!(first < 0.01 && second < 0.002, "every {every} s: {first}, then {second} concealed");
    }
}
