//! A sender whose RTP time jumps, wraps, stands still or runs at another rate. Its sound goes on, or is back
//! as soon as its time makes sense again; nothing grows.

use super::*;

/// Sound of 6 s, with `change` made to each packet (its number from 0 on) sent after 3 s.
fn call(packet: i64, change: impl Fn(u32, &mut Sent)) -> Speaker {
    let mut sent = Sender::new(packet, OpusSettings::default()).send(9 * SECOND, tone);
    let late = sent.iter_mut().filter(|sent| sent.captured > 3 * SECOND);
    late.zip(0..).for_each(|(sent, n)| change(n, sent));
    let mut speaker = Speaker::new();
    speaker.play(&network(sent, |_| DELAY), 9 * SECOND);
    for heard in &speaker.heard {
        assert!(heard.stats.buffered_ms < 700.0 && heard.stats.target_ms <= 560.0, "{:?}", heard.stats);
    }
    speaker
}

fn jump(by: i64) -> impl Fn(u32, &mut Sent) {
    move |_, sent: &mut Sent| sent.timestamp = sent.timestamp.wrapping_add(by as u32)
}

const HOUR: i64 = 3600 * 48_000;

#[test]
fn after_a_jump_of_any_size_the_sound_is_back_within_300_ms() {
    for packet in [10, 20, 60].map(|ms| ms * MS) {
        for by in [
            1,
            -1,
            480,
            -480,
            24_000,
            -24_000,
            47_000,
            -47_000,
            49_000,
            -49_000,
            480_000,
            -480_000,
            HOUR,
            -HOUR,
            12 * HOUR,
            -12 * HOUR,
            1 << 31,
            (1 << 31) - 1,
        ] {
            let speaker = call(packet, jump(by));
            let case = format!("packets of {} ms, by {by}", packet / MS);
            assert!(speaker.tone_share(3300 * MS, 8900 * MS) > 0.98, "{case}");
            let end = speaker.stats();
            // The jump itself may cost some packets' sound, and it is over.
            assert!(end.concealed_samples <= 200 * 48 && end.dropped == 0, "{case}: {end:?}");
            assert!(end.buffered_ms < 40.0 + packet as f32 / 1e3, "{case}: {end:?}");
        }
    }
}

#[test]
fn jumps_that_come_again_and_again_leave_most_of_the_sound() {
    // A jump every half second, there and back.
    for by in [HOUR, 30_000] {
        let speaker = call(20 * MS, |n, sent| {
            if n / 25 % 2 == 1 {
                sent.timestamp = sent.timestamp.wrapping_add(by as u32);
            }
        });
        let sound = speaker.heard.iter().filter(|h| h.at > 4 * SECOND && h.pulled == Pulled::Sound).count();
        let all = speaker.heard.iter().filter(|h| h.at > 4 * SECOND).count();
        assert!(sound * 10 > all * 7, "{by}: {sound} of {all} frames");
    }
}

#[test]
fn a_new_source_with_any_timestamps_takes_over() {
    for timestamp in [0, 1, 1 << 31, u32::MAX, u32::MAX - 960] {
        let speaker = call(20 * MS, |n, sent| {
            (sent.ssrc, sent.sequence) = (9, (n as u16).wrapping_add(65_500));
            sent.timestamp = timestamp.wrapping_add(n * 960);
        });
        assert_eq!(speaker.stats().playing.unwrap().ssrc, 9);
        assert!(speaker.tone_share(3300 * MS, 8900 * MS) == 1.0, "from {timestamp}");
    }
}

#[test]
fn a_time_that_stands_still_is_silence_until_it_goes_on() {
    // For 3 s all packets have one timestamp; then they go on from there, or with what they would have had.
    for gap in [false, true] {
        let speaker = call(20 * MS, |n, sent| match n {
            0..150 => sent.timestamp = 149_000,
            _ if gap => {}
            _ => sent.timestamp = 149_000 + (n - 149) * 960,
        });
        let end = speaker.stats();
        assert!(speaker.tone_share(6300 * MS, 8900 * MS) == 1.0, "{gap}: {end:?}");
        assert!(end.concealed_samples <= 3300 * 48, "{gap}: more than those 3 s are missing: {end:?}");
    }
}

#[test]
fn a_time_of_another_rate_is_played_at_the_pace_of_arrival() {
    // Timestamps of 16 kHz and of 96 kHz, where Opus always has 48 kHz (RFC 7587 section 4.1).
    for (numerator, denominator) in [(1, 3), (2, 1)] {
        let speaker = call(20 * MS, |n, sent| {
            sent.timestamp = 149_000 + n * 960 * numerator / denominator;
        });
        let sound = speaker.heard.iter().filter(|h| h.at > 4 * SECOND && h.pulled == Pulled::Sound).count();
        let all = speaker.heard.iter().filter(|h| h.at > 4 * SECOND).count();
        assert!(sound * 10 >= all * 9, "{numerator}/{denominator}: {sound} of {all} frames");
    }
}
