//! Calls as timelines in virtual time.

mod jumps;
mod sim;
mod wild;

use std::time::Duration;

use ahoy_test_support::speech::speech;
use sim::{MS, Random, SECOND, Sender, Sent, Speaker, amplitude, network, redundant, syllables, tone};

use super::*;
use crate::{
    audio::opus::{DredDuration, MAX_PACKET, OpusFrame, OpusSettings, Percent},
    units::Bitrate,
};

/// What every network here takes at least.
const DELAY: i64 = 30 * MS;

fn sender() -> Sender {
    Sender::new(20 * MS, OpusSettings::default())
}

/// Samples put in or left out so far.
fn stretched(stats: JitterStats) -> u64 {
    stats.accelerated_samples + stats.decelerated_samples
}

#[test]
fn perfect_network_settles_at_low_delay_without_concealment_or_stretch() {
    for packet in [10, 20, 40, 60].map(|ms| ms * MS) {
        let sent = Sender::new(packet, OpusSettings::default()).send(12 * SECOND, tone);
        let mut speaker = Speaker::new();
        speaker.play(&network(sent, |_| DELAY), 12 * SECOND);
        let (settled, end) = (speaker.stats_at(3 * SECOND), speaker.stats());
        assert_eq!(end.concealed_samples, 0, "{packet}: {end:?}");
        assert_eq!(stretched(end), stretched(settled), "{packet}: stretch after 3 s: {end:?}");
        assert_eq!((end.lost, end.late, end.dropped, end.refused), (0, 0, 0, 0), "{packet}");
        let hold = speaker.average_hold(3 * SECOND, DELAY, packet);
        assert!((10.0..=15.5).contains(&hold), "{packet}: packets are held for {hold} ms");
        assert!(speaker.tone_share(SECOND, 12 * SECOND) == 1.0);
        assert!(speaker.largest_step(SECOND, 12 * SECOND) < 0.03);
    }
}

#[test]
fn speaker_that_takes_20_ms_at_once_gets_every_sample() {
    let mut speaker = Speaker::new();
    let arrivals = network(sender().send(10 * SECOND, tone), |_| DELAY);
    let mut frame = [0.0; FRAME_SAMPLES];
    let mut next = 0;
    for pull in 0..500 {
        let now = 3700 + pull * 20 * MS;
        while let Some((at, sent)) = arrivals.get(next).filter(|(at, _)| *at <= now) {
            let Sent { ssrc, sequence, timestamp, ref payload, .. } = *sent;
            speaker.buffer.insert(Packet {
                ssrc,
                sequence,
                timestamp,
                payload,
                arrival: speaker.instant(*at),
                redundant: false,
            });
            next += 1;
        }
        for _ in 0..2 {
            speaker.buffer.pull(&mut frame, speaker.instant(now));
        }
    }
    assert_eq!(speaker.stats().concealed_samples, 0, "{:?}", speaker.stats());
}

#[test]
fn five_percent_loss_is_mostly_restored_from_fec() {
    for packet in [10, 20].map(|ms| ms * MS) {
        let sent = Sender::new(packet, OpusSettings::default()).send(30 * SECOND, syllables);
        let mut random = Random(7);
        let arrivals: Vec<_> = network(sent, |_| DELAY).into_iter().filter(|_| !random.chance(0.05)).collect();
        let mut speaker = Speaker::new();
        speaker.play(&arrivals, 30 * SECOND);
        let stats = speaker.stats();
        let concealed = stats.concealed_samples as f64 / stats.total_samples as f64;
        assert!(concealed < 0.015, "{packet}: {concealed} concealed, {stats:?}");
        assert!(stats.recovered * 10 > stats.lost * 7, "{packet}: {stats:?}");
        // The tone's own amplitude is half of what it is in the middle of a syllable.
        for second in speaker.sound(SECOND, 30 * SECOND).chunks_exact(48_000) {
            let found = amplitude(second, 440.0);
            assert!((0.1..0.2).contains(&found), "{packet}: the tone has {found}");
        }
    }
}

#[test]
fn loss_without_fec_is_concealed_once_and_costs_no_delay() {
    let settings = OpusSettings { fec: false, ..OpusSettings::default() };
    let sent = Sender::new(20 * MS, settings).send(20 * SECOND, tone);
    let mut random = Random(7);
    let arrivals: Vec<_> = network(sent, |_| DELAY).into_iter().filter(|_| !random.chance(0.05)).collect();
    let mut speaker = Speaker::new();
    speaker.play(&arrivals, 20 * SECOND);
    let stats = speaker.stats();
    let share = stats.concealed_samples as f64 / (stats.lost * 960) as f64;
    assert!(stats.recovered == 0 && (0.8..1.2).contains(&share), "{share}: {stats:?}");
    let hold = speaker.average_hold(5 * SECOND, DELAY, 20 * MS);
    assert!(hold < 20.0, "held for {hold} ms");
}

#[test]
fn packets_that_carry_their_predecessor_restore_any_sound() {
    for (packet, loss) in [(10 * MS, 0.05), (20 * MS, 0.05), (10 * MS, 0.0)] {
        let settings = OpusSettings { fec: false, ..OpusSettings::default() };
        let sent = redundant(Sender::new(packet, settings).send(30 * SECOND, tone));
        let mut random = Random(7);
        let arrivals = sent.into_iter().filter(|_| !random.chance(loss)).flat_map(|packets| {
            let at = packets.first().map_or(0, |own| own.captured) + DELAY;
            packets.into_iter().map(move |packet| (at, packet))
        });
        let mut speaker = Speaker::new();
        speaker.play(&arrivals.collect::<Vec<_>>(), 30 * SECOND);
        let stats = speaker.stats();
        let concealed = stats.concealed_samples as f64 / stats.total_samples as f64;
        assert!(concealed < 0.006, "{packet} {loss}: {concealed} concealed, {stats:?}");
        // Two lost in a row are one too many, and before the delay has grown copies come too late.
        assert!(stats.recovered * 100 >= stats.lost * 85, "{packet} {loss}: {stats:?}");
        assert!(speaker.tone_share(SECOND, 30 * SECOND) > 0.99, "{packet} {loss}");
        let (hold, next) = (speaker.average_hold(5 * SECOND, DELAY, packet), packet as f64 / 1e3);
        let most = if loss > 0.0 { 20.0 + next } else { 20.0 };
        assert!(hold < most, "{packet} {loss}: held for {hold} ms");
        assert_eq!((stats.late, stats.duplicates), (0, 0), "a copy that is not needed is neither");
    }
}

/// Speech of a minute as a signal.
fn talker() -> impl Fn(f64) -> f64 {
    let speech = speech(5, 120.0, 60 * 48_000);
    move |t| f64::from(speech[(t * 48_000.0).round() as usize % speech.len()])
}

/// Settings with deep redundancy for 20 % loss, without FEC.
fn describing(frame: OpusFrame) -> OpusSettings {
    let (expected_loss, dred) = (Percent::new(20), DredDuration::from_ms(500));
    let bitrate = Bitrate::from_kbps(40);
    OpusSettings { bitrate, frame, fec: false, dtx: false, expected_loss, dred }
}

#[test]
fn bursts_of_loss_are_revived_from_descriptions_once_they_are_waited_for() {
    for (frame, described) in [(OpusFrame::Ms20, true), (OpusFrame::Ms40, true), (OpusFrame::Ms20, false)] {
        let dred = if described { describing(frame).dred } else { DredDuration::NONE };
        let packet = i64::from(frame.ms()) * MS;
        let sent = Sender::new(packet, OpusSettings { dred, ..describing(frame) }).send(30 * SECOND, talker());
        // 80 ms of each 800 are lost.
        let lost = |sent: &Sent| sent.captured % (800 * MS) < 80 * MS;
        let arrivals: Vec<_> = network(sent, |_| DELAY).into_iter().filter(|(_, sent)| !lost(sent)).collect();
        let mut speaker = Speaker::new();
        speaker.play(&arrivals, 30 * SECOND);
        let (settled, end) = (speaker.stats_at(10 * SECOND), speaker.stats());
        let concealed = (end.concealed_samples - settled.concealed_samples) as f64 / (20.0 * 48_000.0);
        let (lost, recovered) = (end.lost - settled.lost, end.recovered - settled.recovered);
        if described {
            // Before the pauses of the talker nothing is described.
            assert!(concealed < 0.035 && recovered * 3 > lost * 2, "{frame:?}: {concealed} concealed, {end:?}");
            assert!((80.0..180.0).contains(&end.target_ms), "{frame:?}: {end:?}");
        } else {
            assert!(concealed > 0.08 && recovered == 0 && end.target_ms < 50.0, "{concealed}: {end:?}");
        }
    }
}

#[test]
fn encodings_and_protections_change_in_the_middle_of_loss() {
    let mut sender = Sender::new(10 * MS, describing(OpusFrame::Ms10));
    let (talker, mut random) = (talker(), Random(17));
    let mut sent = Vec::new();
    for n in 0..20 {
        let frame = OpusFrame::ALL[random.below(4) as usize];
        let fec = OpusSettings { dred: DredDuration::NONE, fec: true, ..describing(frame) };
        sender.configure(if n % 2 == 0 { describing(frame) } else { fec });
        sent.extend(sender.send(2 * SECOND, &talker));
    }
    let (first, last) = (sent[0].sequence, sent[sent.len() - 1].sequence);
    let arrivals = redundant(sent).into_iter().filter(|_| !random.chance(0.1)).flat_map(|packets| {
        let at = packets.first().map_or(0, |own| own.captured) + DELAY;
        packets.into_iter().map(move |packet| (at, packet))
    });
    let mut speaker = Speaker::new();
    speaker.play(&arrivals.collect::<Vec<_>>(), 40 * SECOND);
    let end = speaker.stats();
    let packets = u64::from(last.wrapping_sub(first));
    assert!((packets / 20..packets / 5).contains(&end.lost) && end.recovered <= end.lost, "{packets}: {end:?}");
    assert_eq!((end.refused, end.duplicates, end.dropped), (0, 0, 0), "{end:?}");
    let concealed = end.concealed_samples as f64 / end.total_samples as f64;
    assert!(concealed < 0.05, "{concealed} concealed, {end:?}");
    assert!(end.target_ms < 250.0, "{end:?}");
}

#[test]
fn bursts_of_50_ms_raise_the_delay_until_nothing_is_missing() {
    let sent = sender().send(30 * SECOND, tone);
    // Once a second the network stops for 50 ms and then delivers at once what it held.
    let arrivals = sent.into_iter().map(|sent| {
        let at = sent.captured + DELAY;
        let into_second = at % SECOND;
        (if into_second < 50 * MS { at - into_second + 50 * MS } else { at }, sent)
    });
    let mut speaker = Speaker::new();
    speaker.play(&arrivals.collect::<Vec<_>>(), 30 * SECOND);
    let (settled, end) = (speaker.stats_at(10 * SECOND), speaker.stats());
    let concealed = end.concealed_samples - settled.concealed_samples;
    assert!(concealed <= 2 * 480, "{concealed} samples concealed in 20 s, {end:?}");
    assert!((60.0..110.0).contains(&end.target_ms), "{}", end.target_ms);
    assert_eq!((end.lost, end.dropped), (0, 0));
}

#[test]
fn steady_jitter_is_covered_by_the_delay() {
    let sent = sender().send(30 * SECOND, tone);
    let mut random = Random(3);
    let arrivals: Vec<_> =
        sent.into_iter().map(|sent| (sent.captured + DELAY + random.below(40_000) as i64, sent)).collect();
    let mut speaker = Speaker::new();
    speaker.play(&arrivals, 30 * SECOND);
    let (settled, end) = (speaker.stats_at(5 * SECOND), speaker.stats());
    let concealed = (end.concealed_samples - settled.concealed_samples) as f64 / (25.0 * 48_000.0);
    assert!(concealed < 0.005, "{concealed}: {end:?}");
    assert!((60.0..80.0).contains(&end.target_ms), "{}", end.target_ms);
}

#[test]
fn step_in_delay_is_followed_up_and_down() {
    let sent = sender().send(60 * SECOND, tone);
    let slower = |captured: i64| (5 * SECOND..15 * SECOND).contains(&captured);
    let arrivals: Vec<_> = sent
        .into_iter()
        .map(|sent| (sent.captured + DELAY + if slower(sent.captured) { 80 * MS } else { 0 }, sent))
        .collect();
    let mut speaker = Speaker::new();
    speaker.play(&arrivals, 60 * SECOND);
    let end = speaker.stats();
    // The step itself is unavoidable, nothing more.
    assert!(end.concealed_samples <= 100 * 48, "{end:?}");
    assert_eq!((end.lost, end.dropped), (0, 0), "{end:?}");
    let hold = speaker.average_hold(55 * SECOND, DELAY, 20 * MS);
    assert!(hold < 20.0, "40 s after the step still held for {hold} ms");
    assert!(speaker.largest_step(6 * SECOND, 60 * SECOND) < 0.06);
}

#[test]
fn clock_drift_is_absorbed_by_stretch_alone() {
    for ppm in [-200.0, 200.0] {
        let sent = sender().send(60 * SECOND, tone);
        let mut speaker = Speaker::new();
        speaker.period *= 1.0 + ppm * 1e-6;
        speaker.play(&network(sent, |_| DELAY), 60 * SECOND);
        let (settled, end) = (speaker.stats_at(3 * SECOND), speaker.stats());
        assert_eq!((end.concealed_samples, end.lost, end.dropped), (0, 0, 0), "{ppm}: {end:?}");
        let gained = (end.accelerated_samples - settled.accelerated_samples) as i64
            - (end.decelerated_samples - settled.decelerated_samples) as i64;
        // 57 s at 200 ppm are 547 samples.
        assert!((gained as f64 * ppm.signum() - 547.0).abs() < 400.0, "{ppm}: {gained}");
        let hold = speaker.average_hold(50 * SECOND, DELAY, 20 * MS);
        assert!((8.0..17.0).contains(&hold), "{ppm}: held for {hold} ms");
        assert!(speaker.largest_step(3 * SECOND, 59 * SECOND) < 0.03);
    }
}

#[test]
fn silence_of_the_sender_is_no_loss() {
    for announced in [true, false] {
        let mut sender = sender();
        let mut sent = sender.send(2 * SECOND, tone);
        sent.extend(sender.send(5 * SECOND, |_| 0.0));
        sent.extend(sender.send(2 * SECOND, |t| if t > 8.0 { 0.0 } else { tone(t) }));
        assert!(sent.len() < 300, "DTX sends {} packets", sent.len());
        if !announced {
            // Senders that leave out the packets without sound altogether, and do not say that they do.
            sent.retain(|sent| sent.payload.len() > 2);
            sent.iter_mut().zip(1000..).for_each(|(sent, sequence)| sent.sequence = sequence);
        }
        let mut speaker = Speaker::new();
        speaker.play(&network(sent, |_| DELAY), 9 * SECOND);
        let end = speaker.stats();
        assert_eq!((end.concealed_samples, end.lost), (0, 0), "announced {announced}: {end:?}");
        // The codec needs some 200 ms to find back to a steady tone.
        assert!(speaker.tone_share(7300 * MS, 8000 * MS) == 1.0, "announced {announced}");
        let quiet = speaker.sound(4 * SECOND, 7 * SECOND).iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        assert!(quiet < 0.01, "announced {announced}: {quiet} heard in silence");
        if announced {
            assert!(speaker.heard.iter().any(|heard| heard.pulled == Pulled::Comfort));
        }
    }
}

#[test]
fn comfort_noise_lasts_while_the_sender_may_be_silent_and_then_fades() {
    let mut random = Random(9);
    let noise: Vec<f64> = (0..48_000).map(|_| 0.1 * (random.below(2000) as f64 / 1000.0 - 1.0)).collect();
    let mut sent = sender().send(SECOND, |t| noise[(t * 48_000.0) as usize % noise.len()]);
    // The announcement of silence: the table of contents byte alone.
    sent.last_mut().unwrap().payload.truncate(1);
    let mut speaker = Speaker::new();
    speaker.play(&network(sent, |_| DELAY), 4 * SECOND);
    let rms = |from: i64| {
        let sound = speaker.sound(SECOND + from * MS, SECOND + (from + 30) * MS);
        (sound.iter().map(|s| s * s).sum::<f32>() / sound.len() as f32).sqrt()
    };
    let (steady, fading) = (rms(1900), rms(2130));
    assert!(steady > 1e-3, "comfort noise of {steady}");
    assert!(fading < 0.5 * steady && fading > 0.0, "{fading} after {steady}");
    assert_eq!(rms(2300), 0.0);
    assert_eq!((speaker.stats().concealed_samples, speaker.stats().lost), (0, 0));
}

#[test]
fn another_source_takes_over_within_a_moment_and_without_clicks() {
    let mut sender = sender();
    let mut sent = sender.send(3 * SECOND, tone);
    (sender.ssrc, sender.sequence, sender.timestamp) = (99, 7, 3_000_000_000);
    sent.extend(sender.send(3 * SECOND, tone));
    let mut speaker = Speaker::new();
    speaker.play(&network(sent, |_| DELAY), 6 * SECOND);
    let end = speaker.stats();
    assert_eq!(end.playing.unwrap().ssrc, 99);
    assert!(speaker.tone_share(3300 * MS, 6 * SECOND) == 1.0);
    assert!(speaker.largest_step(2500 * MS, 3500 * MS) < 0.06);
    let not_sound = speaker.heard.iter().filter(|h| h.at > SECOND && h.pulled != Pulled::Sound).count();
    assert!(not_sound <= 8, "{not_sound} frames without sound");
    assert_eq!(end.refused, 0);
}

#[test]
fn wrapping_sequence_numbers_and_timestamps_are_not_noticed() {
    let mut sender = sender();
    (sender.sequence, sender.timestamp) = (65_500, u32::MAX - 50_000);
    let sent = sender.send(5 * SECOND, tone);
    let mut speaker = Speaker::new();
    speaker.play(&network(sent, |_| DELAY), 5 * SECOND);
    let end = speaker.stats();
    assert_eq!((end.concealed_samples, end.lost, end.refused), (0, 0, 0));
    assert!(speaker.tone_share(SECOND, 5 * SECOND) == 1.0);
    let hold = speaker.heard.last().unwrap().hold(u32::MAX - 50_000, DELAY, 20 * MS).unwrap();
    assert!((10.0..16.0).contains(&hold), "{hold}");
}

#[test]
fn after_a_pause_of_10_s_sound_is_back_at_once() {
    for clock_ran_on in [true, false] {
        let mut sender = sender();
        let mut sent = sender.send(3 * SECOND, tone);
        sender.time += 10 * SECOND;
        if clock_ran_on {
            sender.timestamp += 480_000;
        }
        sent.extend(sender.send(3 * SECOND, tone));
        let mut speaker = Speaker::new();
        speaker.play(&network(sent, |_| DELAY), 16 * SECOND);
        assert!(speaker.heard.iter().any(|h| h.at == 8 * SECOND + 3700 && h.pulled == Pulled::Silence));
        assert!(speaker.sound(4 * SECOND, 13 * SECOND).iter().all(|&s| s == 0.0));
        assert!(speaker.tone_share(13_200 * MS, 16 * SECOND) == 1.0, "ran on {clock_ran_on}");
        assert!(speaker.largest_step(2900 * MS, 16 * SECOND) < 0.06, "ran on {clock_ran_on}");
        let end = speaker.stats();
        assert_eq!((end.lost, end.dropped, end.refused), (0, 0, 0), "ran on {clock_ran_on}");
        assert!(end.buffered_ms < 60.0);
    }
}

#[test]
fn reordered_and_repeated_packets_do_no_harm() {
    let sent = sender().send(10 * SECOND, tone);
    // Every fifth packet is overtaken by the next one, every third comes twice.
    let arrivals: Vec<_> = network(sent, |i| DELAY + if i % 5 == 0 { 25 * MS } else { 0 })
        .into_iter()
        .enumerate()
        .flat_map(|(i, (at, sent))| {
            let again = (i % 3 == 0).then(|| (at + 7 * MS, sent.clone()));
            [(at, sent)].into_iter().chain(again)
        })
        .collect();
    let mut speaker = Speaker::new();
    speaker.play(&arrivals, 10 * SECOND);
    let (settled, end) = (speaker.stats_at(3 * SECOND), speaker.stats());
    assert_eq!(end.concealed_samples, settled.concealed_samples, "{end:?}");
    assert_eq!(end.lost, settled.lost);
    assert!(end.duplicates + end.late >= 160, "{end:?}");
}

#[test]
fn packet_length_may_change_at_any_time() {
    let mut sender = sender();
    let mut sent = sender.send(3 * SECOND, tone);
    for packet in [60, 10, 40, 20] {
        sender.packet = packet * MS;
        sent.extend(sender.send(3 * SECOND, tone));
    }
    let mut speaker = Speaker::new();
    speaker.play(&network(sent, |_| DELAY), 15 * SECOND);
    let end = speaker.stats();
    // Longer packets come later by what they are longer; that much is missing once.
    assert!(end.concealed_samples <= 80 * 48, "{end:?}");
    assert_eq!((end.lost, end.dropped), (0, 0), "{end:?}");
    assert!((10.0..17.0).contains(&speaker.average_hold(14 * SECOND, DELAY, 20 * MS)));
}

#[test]
fn stalled_speaker_drops_what_is_stale() {
    let arrivals = network(sender().send(10 * SECOND, tone), |_| DELAY);
    let (before, after) = arrivals.split_at(150);
    let mut speaker = Speaker::new();
    speaker.play(before, 3 * SECOND);
    let now = 5 * SECOND;
    for (at, sent) in after.iter().take_while(|(at, _)| *at < now) {
        let Sent { ssrc, sequence, timestamp, ref payload, .. } = *sent;
        let arrival = speaker.instant(*at);
        speaker.buffer.insert(Packet { ssrc, sequence, timestamp, payload, arrival, redundant: false });
    }
    let mut frame = [0.0; FRAME_SAMPLES];
    speaker.buffer.pull(&mut frame, speaker.instant(now));
    let stats = speaker.stats();
    assert!(stats.dropped > 0 || stats.lost > 0, "{stats:?}");
    assert!(stats.buffered_ms < 100.0, "{stats:?}");
}

#[test]
fn playing_timestamp_is_that_of_the_sound_heard() {
    // Silence, and from media time 4 s on the tone.
    let sent = Sender::new(20 * MS, OpusSettings { dtx: false, ..OpusSettings::default() })
        .send(6 * SECOND, |t| if t < 4.0 { 0.0 } else { tone(t) });
    let mut speaker = Speaker::new();
    speaker.play(&network(sent, |_| DELAY), 6 * SECOND);
    let onset = speaker.sound.iter().position(|s| s.abs() > 0.05).unwrap();
    let heard = speaker.heard[onset / FRAME_SAMPLES].stats.playing.unwrap();
    let media = heard.timestamp - 5000 + (onset % FRAME_SAMPLES) as u32;
    let off = f64::from(media as i32 - 4 * 48_000) / 48.0;
    // Opus itself looks ahead by 6.5 ms.
    assert!((4.0..9.0).contains(&off), "the tone begins {off} ms off");
}

#[test]
fn target_stays_within_its_bounds() {
    let settings = JitterSettings { min_delay: Duration::from_millis(60), max_delay: Duration::from_millis(100) };
    let mut speaker = Speaker::new();
    speaker.buffer = JitterBuffer::new(settings).unwrap();
    let mut random = Random(5);
    let quiet = network(sender().send(5 * SECOND, tone), |_| DELAY);
    speaker.play(&quiet, 5 * SECOND);
    assert_eq!(speaker.stats().target_ms, 80.0);
    speaker.buffer = JitterBuffer::new(settings).unwrap();
    let mut later = sender();
    later.time = 5 * SECOND;
    let wild: Vec<_> = later
        .send(5 * SECOND, tone)
        .into_iter()
        .map(|sent| (sent.captured + random.below(400_000) as i64, sent))
        .collect();
    speaker.play(&wild, 10 * SECOND);
    assert_eq!(speaker.stats().target_ms, 120.0);
}

#[test]
fn whatever_comes_frames_are_filled_and_the_delay_is_bounded() {
    let genuine = sender().send(2 * SECOND, tone);
    for seed in 1..=40 {
        let mut random = Random(seed);
        let mut speaker = Speaker::new();
        let mut at = 0;
        let mut arrivals = Vec::new();
        for n in 0..600u32 {
            at += random.below(40_000) as i64;
            let mut sent = genuine[n as usize % genuine.len()].clone();
            sent.sequence = n as u16;
            sent.timestamp = n * 960;
            match random.below(12) {
                0 => sent.ssrc = random.below(3) as u32,
                1 => sent.sequence = random.next() as u16,
                2 => sent.timestamp = random.next() as u32,
                3 => sent.payload = (0..random.below(2000)).map(|_| random.next() as u8).collect(),
                4 => sent.payload.iter_mut().for_each(|byte| *byte ^= (random.next() & random.next()) as u8),
                5 => sent.payload = vec![random.next() as u8; MAX_PACKET],
                6 => at += random.below(2_000_000) as i64,
                7 => sent.payload.truncate(random.below(4) as usize),
                8 => sent.timestamp = sent.timestamp.wrapping_add(random.below(100_000) as u32),
                9 => sent.sequence = sent.sequence.wrapping_sub(random.below(80) as u16),
                _ => {}
            }
            arrivals.push((at, sent));
        }
        // pull() itself asserts that the frame is filled.
        speaker.play(&arrivals, at);
        for heard in &speaker.heard {
            assert!(heard.stats.buffered_ms < 1000.0, "seed {seed}: {:?}", heard.stats);
            assert!(heard.stats.target_ms <= 740.0, "seed {seed}: {:?}", heard.stats);
        }
    }
}

#[test]
fn fuzzing_finds_nothing_in_a_fixed_number_of_cases() {
    let genuine = sender().send(SECOND, syllables);
    let mut random = Random(11);
    for _ in 0..500 {
        let mut data = Vec::new();
        for n in 0..100 {
            let flags = if random.chance(0.2) { random.next() } else { 0 } as u8;
            let payload: Vec<u8> = match random.below(4) {
                0 => (0..random.below(200)).map(|_| random.next() as u8).collect(),
                _ => genuine[n % genuine.len()].payload.clone(),
            };
            data.extend([flags]);
            data.extend((0..8).map(|_| random.next() as u8));
            data.extend([random.below(5) as u8]);
            data.extend((payload.len() as u16).to_be_bytes());
            data.extend(payload);
        }
        fuzz(&data);
    }
}
