//! The echo loop through the real speaker and microphone: the null sink's monitor hears all that is played,
//! so without cancellation the far end hears itself.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ahoy_media::audio::{
    FRAME_SAMPLES,
    microphone::{EncodedAudio, Microphone, MicrophoneSettings, MicrophoneSpec},
    mixer::mixer,
    opus::{Decoder, MAX_PACKET_SAMPLES, OpusSettings},
    process::{ProcessingSettings, echo_reference},
    speaker::{Speaker, SpeakerSpec},
};
use ahoy_test_support::{
    sound::{self, with_daemon},
    speech::speech,
};

/// Seen: 2 to 3 s from the moment that the canceller is switched on.
const LIMIT: Duration = Duration::from_secs(40);
/// Somebody talks for so long, again and again.
const TALK_SAMPLES: usize = 10 * 48_000;
const ECHO_ONLY: ProcessingSettings = ProcessingSettings { echo_cancellation: true, ..ProcessingSettings::OFF };

/// Root mean square of each half second that the far end gets back.
fn levels(packets: &mpsc::Receiver<(Vec<u8>, usize)>) -> impl Iterator<Item = f32> {
    let mut decoder = Decoder::new().unwrap();
    let mut pcm = vec![0.0; MAX_PACKET_SAMPLES];
    std::iter::from_fn(move || {
        let (mut energy, mut count) = (0.0, 0);
        while count < 24_000 {
            let (payload, samples) = packets.recv_timeout(LIMIT).ok()?;
            let samples = if payload.is_empty() {
                decoder.conceal(&mut pcm[..samples]).unwrap()
            } else {
                decoder.decode(&payload, &mut pcm).unwrap()
            };
            energy += pcm[..samples].iter().map(|sample| sample * sample).sum::<f32>();
            count += samples;
        }
        Some((energy / count as f32).sqrt())
    })
}

#[test]
fn the_far_end_does_not_hear_itself_through_speaker_and_microphone() {
    with_daemon("the_far_end_does_not_hear_itself_through_speaker_and_microphone", |_| {
        let (handle, mixer) = mixer();
        let mut stream = handle.add_pcm_stream().unwrap();
        thread::spawn(move || {
            let talk = speech(1, 110.0, TALK_SAMPLES);
            let mut frames = talk.as_chunks::<FRAME_SAMPLES>().0.iter().cycle();
            loop {
                while stream.queued() < 20 * FRAME_SAMPLES {
                    stream.push(frames.next().unwrap());
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let (writer, reference) = echo_reference();
        let _speaker = Speaker::open(&SpeakerSpec::Default, mixer, writer, |_| {}).unwrap();
        let (send, packets) = mpsc::channel();
        let settings = MicrophoneSettings { processing: ProcessingSettings::OFF, opus: OpusSettings::default() };
        let sink = move |audio: EncodedAudio<'_>| {
            let _ = send.send((audio.payload.to_vec(), audio.samples as usize));
        };
        let spec = MicrophoneSpec::Device(sound::MICROPHONE.into());
        let microphone = Microphone::open(&spec, settings, reference, sink, |_| {}).unwrap();
        let mut levels = levels(&packets);
        let echo = levels.by_ref().take(6).skip(2).fold(0.0, f32::max);
        assert!(echo > 0.03, "the loop is open: {echo}");
        microphone.set_processing(ECHO_ONLY);
        // Two whole seconds, longer than any pause, at least 20 dB under the echo.
        let (start, mut quiet) = (Instant::now(), 0);
        while quiet < 4 {
            let level = levels.next().expect("packets never stop");
            quiet = if level < echo / 10.0 { quiet + 1 } else { 0 };
            assert!(start.elapsed() < LIMIT, "the echo of {echo} is still {level}");
        }
    });
}
