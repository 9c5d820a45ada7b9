//! The echo loop as pure signals: the far end's speech, delayed by 100 ms and coloured by a room, together
//! with near speech. Nobody hears their own voice, and who talks at this end is heard.

use ahoy_media::audio::{
    FRAME_SAMPLES, Frame, SAMPLE_RATE,
    process::{ProcessingSettings, Processor},
};
use ahoy_test_support::speech::{Noise, power, speech};

const SECOND: usize = SAMPLE_RATE as usize;
/// From the loudspeaker's sample to the microphone's, devices included.
const ECHO_DELAY: usize = SECOND / 10;
const ECHO_ONLY: ProcessingSettings = ProcessingSettings { echo_cancellation: true, ..ProcessingSettings::OFF };

/// What the microphone hears of the loudspeaker: `far` delayed, through 60 ms of room, 6 dB lower.
fn echo_of(far: &[f32]) -> Vec<f32> {
    let mut noise = Noise(99);
    let mut room: Vec<(usize, f32)> = (0..60)
        .map(|ms| {
            (
                ms * SECOND / 1000 + ((noise.sample() + 1.0) * 20.0) as usize,
                0.3 * noise.sample() * (-(ms as f32) / 12.0).exp(),
            )
        })
        .collect();
    room[0] = (0, 0.4);
    (0..far.len())
        .map(|n| {
            room.iter()
                .map(|(delay, gain)| gain * n.checked_sub(ECHO_DELAY + delay).map_or(0.0, |n| far[n]))
                .sum::<f32>()
        })
        .collect()
}

fn decibels(ratio: f32) -> f32 {
    10.0 * ratio.log10()
}

/// Sends the microphone's signal through a processor that knows what is played.
fn process(settings: ProcessingSettings, far: &[f32], microphone: &[f32]) -> Vec<f32> {
    let mut processor = Processor::new(settings);
    let mut output = Vec::with_capacity(microphone.len());
    for (far, near) in far.chunks_exact(FRAME_SAMPLES).zip(microphone.chunks_exact(FRAME_SAMPLES)) {
        processor.far_end(far.try_into().unwrap());
        let mut frame: Frame = near.try_into().unwrap();
        processor.near_end(&mut frame);
        output.extend_from_slice(&frame);
    }
    output
}

/// A call: 12 s in which only the far end talks, 8 s both, 8 s only this end, 8 s the far end again.
struct Call {
    far: Vec<f32>,
    near: Vec<f32>,
    echo: Vec<f32>,
    microphone: Vec<f32>,
}

const FAR_ONLY: std::ops::Range<usize> = 4 * SECOND..12 * SECOND;
const DOUBLE_TALK: std::ops::Range<usize> = 12 * SECOND + SECOND / 2..20 * SECOND;
const NEAR_ONLY: std::ops::Range<usize> = 20 * SECOND + SECOND / 2..28 * SECOND;
const FAR_AGAIN: std::ops::Range<usize> = 29 * SECOND..36 * SECOND;

impl Call {
    fn new() -> Self {
        let mut far = speech(1, 110.0, 36 * SECOND);
        far[20 * SECOND..28 * SECOND].fill(0.0);
        let mut near = speech(2, 190.0, 36 * SECOND);
        near[..12 * SECOND].fill(0.0);
        near[28 * SECOND..].fill(0.0);
        let echo = echo_of(&far);
        let mut room = Noise(3);
        // The noise of a quiet room, at -70 dBFS.
        let microphone = near.iter().zip(&echo).map(|(near, echo)| near + echo + 5e-4 * room.sample()).collect();
        Self { far, near, echo, microphone }
    }
}

/// How much quieter `near` is in `output`, in dB: the gain of its best fit over all delays a processor may
/// have. What else is in `output` does not count.
fn loss(near: &[f32], output: &[f32]) -> f32 {
    let gain = (0..SECOND / 50)
        .step_by(4)
        .map(|delay| {
            let pairs = near.iter().zip(&output[delay..]);
            let (product, energy) = pairs.fold((0.0, 0.0), |(p, e), (n, o)| (p + n * o, e + n * n));
            (product / energy).abs()
        })
        .fold(0.0, f32::max);
    -2.0 * decibels(gain)
}

#[test]
fn the_far_ends_echo_is_cancelled_and_near_speech_is_kept() {
    let call = Call::new();
    let output = process(ECHO_ONLY, &call.far, &call.microphone);
    for part in [FAR_ONLY, FAR_AGAIN] {
        let erle = decibels(power(&call.echo[part.clone()]) / power(&output[part.clone()]));
        println!("ERLE {part:?}: {erle:.1} dB");
        assert!(erle >= 30.0, "{part:?}: {erle:.1} dB");
    }
    for part in [DOUBLE_TALK, NEAR_ONLY] {
        let loss = loss(&call.near[part.clone()], &output[part.clone()]);
        let level = decibels(power(&call.near[part.clone()]) / power(&output[part.clone()]));
        println!("near speech {part:?}: loss {loss:.1} dB, level {level:.1} dB");
        assert!(loss < 6.0, "near speech is {loss:.1} dB quieter in {part:?}");
    }
}

#[test]
fn without_cancellation_the_echo_stays() {
    let call = Call::new();
    let output = process(ProcessingSettings::OFF, &call.far, &call.microphone);
    assert_eq!(output, call.microphone);
}

#[test]
fn with_every_step_on_the_echo_is_gone_too_and_near_speech_is_kept() {
    let call = Call::new();
    let output = process(ProcessingSettings::default(), &call.far, &call.microphone);
    let erle = decibels(power(&call.echo[FAR_AGAIN]) / power(&output[FAR_AGAIN]));
    let level = decibels(power(&output[NEAR_ONLY]) / power(&call.near[NEAR_ONLY]));
    println!("ERLE {erle:.1} dB, near {level:.1} dB");
    assert!(erle >= 30.0, "{erle:.1} dB");
    assert!(level > -6.0, "near speech is {level:.1} dB");
}

#[test]
fn switching_steps_in_flight_takes_effect() {
    let call = Call::new();
    let mut processor = Processor::new(ProcessingSettings::OFF);
    let mut output = Vec::new();
    for (n, (far, near)) in
        call.far.chunks_exact(FRAME_SAMPLES).zip(call.microphone.chunks_exact(FRAME_SAMPLES)).enumerate().take(1200)
    {
        match n {
            100 => processor.set(ECHO_ONLY),
            1000 => processor.set(ProcessingSettings::OFF),
            _ => {}
        }
        processor.far_end(far.try_into().unwrap());
        let mut frame: Frame = near.try_into().unwrap();
        processor.near_end(&mut frame);
        output.extend_from_slice(&frame);
    }
    let erle = |part: std::ops::Range<usize>| decibels(power(&call.echo[part.clone()]) / power(&output[part]));
    assert!(erle(0..SECOND) < 1.0);
    assert!(erle(6 * SECOND..10 * SECOND) > 20.0, "{}", erle(6 * SECOND..10 * SECOND));
    assert!(erle(10 * SECOND + SECOND / 10..12 * SECOND) < 1.0);
}

#[test]
fn steady_noise_is_suppressed_and_speech_in_it_kept() {
    let settings = ProcessingSettings { noise_suppression: true, ..ProcessingSettings::OFF };
    let mut noise = Noise(7);
    let mut near = speech(2, 190.0, 12 * SECOND);
    near[..6 * SECOND].fill(0.0);
    let microphone: Vec<f32> = near.iter().map(|sample| sample + 0.01 * noise.sample()).collect();
    let output = process(settings, &vec![0.0; 12 * SECOND], &microphone);
    let suppressed = decibels(power(&microphone[3 * SECOND..6 * SECOND]) / power(&output[3 * SECOND..6 * SECOND]));
    assert!(suppressed > 8.0, "{suppressed:.1} dB");
    let loss = loss(&near[7 * SECOND..11 * SECOND], &output[7 * SECOND..]);
    assert!(loss < 3.0, "{loss:.1} dB");
}

#[test]
fn a_quiet_talker_is_brought_up_and_nothing_clips() {
    let settings = ProcessingSettings { automatic_gain: true, ..ProcessingSettings::OFF };
    let quiet: Vec<f32> = speech(2, 190.0, 12 * SECOND).iter().map(|sample| sample / 8.0).collect();
    let output = process(settings, &vec![0.0; quiet.len()], &quiet);
    let raised = decibels(power(&output[8 * SECOND..]) / power(&quiet[8 * SECOND..]));
    assert!(raised > 6.0, "{raised:.1} dB");
    assert!(output.iter().all(|sample| sample.abs() <= 1.0));
}
