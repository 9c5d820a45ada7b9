//! Microphone and speaker against a sound daemon of the test's own: what is heard, and what happens when
//! devices go.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ahoy_media::{
    audio::{
        FRAME_SAMPLES, Frame,
        microphone::{EncodedAudio, Microphone, MicrophoneEvent, MicrophoneSettings, MicrophoneSpec},
        mixer::{Mixer, PcmStream, mixer},
        opus::{DTX_PACKET, Decoder, MAX_PACKET_SAMPLES, OpusSettings},
        process::{ProcessingSettings, echo_reference},
        speaker::{Speaker, SpeakerEvent, SpeakerSpec},
        tone, wav,
    },
    device::audio::{AudioDeviceError, microphones, speakers},
};
use ahoy_test_support::sound::{self, with_daemon, without_daemon};

/// The longest wait for anything here.
const LIMIT: Duration = Duration::from_secs(20);

/// A packet as the microphone gave it.
struct Packet {
    payload: Vec<u8>,
    samples: usize,
    captured_at: Instant,
    sent_at: Instant,
    dtx: bool,
    voice: bool,
}

/// A microphone without processing, its packets and its events.
type Opened = (Microphone, mpsc::Receiver<Packet>, mpsc::Receiver<MicrophoneEvent>);

fn try_microphone(spec: &MicrophoneSpec) -> Result<Opened, AudioDeviceError> {
    let settings = MicrophoneSettings { processing: ProcessingSettings::OFF, opus: OpusSettings::default() };
    let (packets, heard) = mpsc::channel();
    let (events, told) = mpsc::channel();
    let sink = move |audio: EncodedAudio<'_>| {
        let _ = packets.send(Packet {
            payload: audio.payload.to_vec(),
            samples: audio.samples as usize,
            captured_at: audio.captured_at,
            sent_at: Instant::now(),
            dtx: audio.dtx,
            voice: audio.voice,
        });
    };
    let event = move |event| {
        let _ = events.send(event);
    };
    Ok((Microphone::open(spec, settings, echo_reference().1, sink, event)?, heard, told))
}

fn microphone(spec: &MicrophoneSpec) -> Opened {
    try_microphone(spec).unwrap_or_else(|e| panic!("{spec}: {e}"))
}

fn named(name: &str) -> MicrophoneSpec {
    MicrophoneSpec::Device(name.to_owned())
}

fn try_speaker(spec: &SpeakerSpec, mixer: Mixer) -> Result<(Speaker, mpsc::Receiver<SpeakerEvent>), AudioDeviceError> {
    let (events, told) = mpsc::channel();
    let event = move |event| {
        // The machine may be too busy with other tests for the shortest period at any moment.
        if !matches!(event, SpeakerEvent::Relaxed { .. }) {
            let _ = events.send(event);
        }
    };
    Ok((Speaker::open(spec, mixer, echo_reference().0, event)?, told))
}

fn speaker(spec: &SpeakerSpec, mixer: Mixer) -> (Speaker, mpsc::Receiver<SpeakerEvent>) {
    try_speaker(spec, mixer).unwrap_or_else(|e| panic!("{spec}: {e}"))
}

/// A mixer into which the test tone is fed in real time, until the test ends.
fn mixer_of_tone() -> Mixer {
    let (handle, mixer) = mixer();
    let mut stream = handle.add_pcm_stream().unwrap();
    thread::spawn(move || {
        let generator = tone::Generator::new();
        let mut at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        loop {
            // Ahead by enough for a busy machine; the mixer takes it as it plays.
            while stream.queued() < 20 * FRAME_SAMPLES {
                let mut frame: Frame = [0.0; FRAME_SAMPLES];
                generator.fill(&mut frame, at);
                stream.push(&frame);
                at += Duration::from_millis(10);
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    mixer
}

/// Decodes packets until `enough` of what half a second held (and of all beeps so far), at most for
/// [`LIMIT`].
fn listen(heard: &mpsc::Receiver<Packet>, enough: impl Fn(&tone::Report) -> bool) -> tone::Report {
    let (mut decoder, mut detector) = (Decoder::new().unwrap(), tone::Detector::new());
    let mut pcm = vec![0.0; MAX_PACKET_SAMPLES];
    let start = Instant::now();
    let mut report = tone::Report::default();
    while !enough(&report) {
        assert!(start.elapsed() < LIMIT, "heard only {report:?}");
        for _ in 0..25 {
            let packet = heard.recv_timeout(LIMIT).expect("packets never stop");
            let samples = if packet.payload.is_empty() {
                decoder.conceal(&mut pcm[..packet.samples]).unwrap()
            } else {
                decoder.decode(&packet.payload, &mut pcm).unwrap()
            };
            detector.push(&pcm[..samples]);
        }
        let newer = detector.report();
        report = tone::Report { beeps: [report.beeps, newer.beeps].concat(), ..newer };
    }
    report
}

fn hears_tone(report: &tone::Report) -> bool {
    let nominal = tone::TONE_AMPLITUDE / 2_f32.sqrt();
    report.tone_rms > nominal / 1.5 && report.tone_rms < nominal * 1.5 && report.other_rms < report.tone_rms / 3.0
}

#[test]
fn what_the_speaker_plays_the_microphone_hears() {
    with_daemon("what_the_speaker_plays_the_microphone_hears", |_| {
        let (_speaker, _) = speaker(&SpeakerSpec::Default, mixer_of_tone());
        let (microphone, heard, _) = microphone(&named(sound::MICROPHONE));
        // A busy machine may cut a piece out between two beeps, though hardly between every two.
        let a_second_apart = |pair: &[tone::Beep]| (pair[1].onset - pair[0].onset).abs_diff(48_000) < 480;
        listen(&heard, |report| hears_tone(report) && report.beeps.windows(2).any(a_second_apart));
        let level = microphone.level();
        assert!((-40.0..-5.0).contains(&level), "{level} dBFS");
    });
}

#[test]
fn packets_follow_each_other_in_real_time_and_are_fresh() {
    with_daemon("packets_follow_each_other_in_real_time_and_are_fresh", |_| {
        let (_microphone, heard, _) = microphone(&named(sound::MICROPHONE));
        let packets: Vec<_> = (0..150).map(|_| heard.recv_timeout(LIMIT).unwrap()).collect();
        let (first, last) = (&packets[50], &packets[149]);
        let off = (last.captured_at - first.captured_at).abs_diff(99 * Duration::from_millis(20));
        assert!(off < Duration::from_millis(40), "{off:?} off real time");
        let mut ages: Vec<_> = packets[50..].iter().map(|p| p.sent_at - p.captured_at).collect();
        ages.sort();
        let median = ages[ages.len() / 2];
        // A packet is 20 ms long, so its first sample is that old at least.
        assert!((Duration::from_millis(18)..Duration::from_millis(100)).contains(&median), "{median:?} old");
    });
}

#[test]
fn muted_microphone_sends_silence_and_unmuted_speaks_again() {
    with_daemon("muted_microphone_sends_silence_and_unmuted_speaks_again", |_| {
        let (_speaker, _) = speaker(&SpeakerSpec::Default, mixer_of_tone());
        let (microphone, heard, _) = microphone(&named(sound::MICROPHONE));
        listen(&heard, hears_tone);
        microphone.set_muted(true);
        // The encoder looks back a little before it calls silence silence.
        let start = Instant::now();
        while !heard.recv_timeout(LIMIT).unwrap().dtx {
            assert!(start.elapsed() < LIMIT, "muted, and still sending");
        }
        let silent: Vec<_> = (0..100).map(|_| heard.recv_timeout(LIMIT).unwrap()).collect();
        assert!(silent.iter().all(|packet| !packet.voice));
        let sent = silent.iter().filter(|packet| packet.payload.len() > DTX_PACKET).count();
        assert!(sent < 10, "{sent} of 100 packets sent while muted");
        let mut decoder = Decoder::new().unwrap();
        let mut pcm = vec![0.0; MAX_PACKET_SAMPLES];
        for packet in silent.iter().filter(|packet| !packet.payload.is_empty()) {
            let samples = decoder.decode(&packet.payload, &mut pcm).unwrap();
            assert!(pcm[..samples].iter().all(|sample| sample.abs() < 1e-3), "a muted microphone is heard");
        }
        microphone.set_muted(false);
        listen(&heard, hears_tone);
    });
}

/// Plays 100 ms of sound and gives the time that took, at most [`LIMIT`].
fn play_out(stream: &mut PcmStream) -> Duration {
    stream.push(&[0.1; 10 * FRAME_SAMPLES]);
    let start = Instant::now();
    while stream.queued() > 0 {
        assert!(start.elapsed() < LIMIT, "the mixer stands still");
        thread::sleep(Duration::from_millis(2));
    }
    start.elapsed()
}

#[test]
fn a_speaker_that_goes_is_told_the_mixer_runs_on_and_it_plays_again_when_back() {
    with_daemon("a_speaker_that_goes_is_told_the_mixer_runs_on_and_it_plays_again_when_back", |daemon| {
        let (handle, mixer) = mixer();
        let mut stream = handle.add_pcm_stream().unwrap();
        let (_speaker, told) = speaker(&SpeakerSpec::Device(sound::SPEAKER.into()), mixer);
        play_out(&mut stream);
        // The only one: were there another, PulseAudio would move the stream to it.
        daemon.remove(daemon.module_of_sink("test_speaker"));
        let Ok(SpeakerEvent::Lost(error)) = told.recv_timeout(LIMIT) else { panic!("the loss is not told") };
        assert!(error.to_string().contains(sound::SPEAKER), "{error}");
        let time = play_out(&mut stream);
        assert!(time > Duration::from_millis(60), "100 ms pulled in {time:?}: not in real time");
        daemon.add_sink("test_speaker", sound::SPEAKER);
        let Ok(SpeakerEvent::Restored { device }) = told.recv_timeout(LIMIT) else { panic!("the return is not told") };
        assert_eq!(device, sound::SPEAKER);
        let (_microphone, heard, _) = microphone(&named(sound::MICROPHONE));
        let start = Instant::now();
        loop {
            stream.push(&[0.1; FRAME_SAMPLES]);
            if heard.recv_timeout(LIMIT).unwrap().voice {
                break;
            }
            assert!(start.elapsed() < LIMIT, "the speaker that came back is silent");
        }
    });
}

#[test]
fn a_speaker_opens_beside_another_that_plays() {
    with_daemon("a_speaker_opens_beside_another_that_plays", |_| {
        for _ in 0..3 {
            let (ringing, _) = speaker(&SpeakerSpec::Default, mixer_of_tone());
            let (call, _) = speaker(&SpeakerSpec::Default, mixer_of_tone());
            drop(ringing);
            let (further, _) = speaker(&SpeakerSpec::Default, mixer_of_tone());
            drop((call, further));
        }
    });
}

#[test]
fn a_speaker_that_does_not_keep_up_plays_with_more_delay_and_says_so() {
    with_daemon("a_speaker_that_does_not_keep_up_plays_with_more_delay_and_says_so", |daemon| {
        let (events, told) = mpsc::channel();
        let event = move |event| drop(events.send(event));
        let _speaker =
            Speaker::open(&SpeakerSpec::Default, mixer_of_tone(), echo_reference().0, event).expect("a speaker");
        let start = Instant::now();
        let relaxed = loop {
            // Longer than what two short periods and a frame of the mixer hold.
            daemon.freeze(Duration::from_millis(60));
            if let Ok(event) = told.recv_timeout(Duration::from_millis(60)) {
                break event;
            }
            assert!(start.elapsed() < LIMIT, "it goes on with the shortest period");
        };
        assert!(matches!(&relaxed, SpeakerEvent::Relaxed { device } if device == sound::SPEAKER), "{relaxed:?}");
        let (_microphone, heard, _) = microphone(&named(sound::MICROPHONE));
        listen(&heard, hears_tone);
    });
}

#[test]
fn a_suspended_speaker_does_not_hold_up_the_mixer() {
    with_daemon("a_suspended_speaker_does_not_hold_up_the_mixer", |daemon| {
        let (handle, mixer) = mixer();
        let mut stream = handle.add_pcm_stream().unwrap();
        let (_speaker, _) = speaker(&SpeakerSpec::Default, mixer);
        play_out(&mut stream);
        daemon.pactl(&["suspend-sink", "test_speaker", "1"]);
        for _ in 0..5 {
            play_out(&mut stream);
        }
        daemon.pactl(&["suspend-sink", "test_speaker", "0"]);
        let (_microphone, heard, _) = microphone(&named(sound::MICROPHONE));
        let start = Instant::now();
        loop {
            stream.push(&[0.1; FRAME_SAMPLES]);
            if heard.recv_timeout(LIMIT).unwrap().voice {
                break;
            }
            assert!(start.elapsed() < LIMIT, "the speaker is silent after its suspension");
        }
    });
}

#[test]
fn a_microphone_that_goes_sends_silence_and_speaks_again_when_back() {
    with_daemon("a_microphone_that_goes_sends_silence_and_speaks_again_when_back", |daemon| {
        let (_speaker, _) = speaker(&SpeakerSpec::Device(sound::SPEAKER.into()), mixer_of_tone());
        let (_microphone, heard, told) = microphone(&named(sound::MICROPHONE));
        listen(&heard, hears_tone);
        // The only one: were there another, PulseAudio would move the stream to it.
        daemon.remove(daemon.module_of_sink("test_speaker"));
        let Ok(MicrophoneEvent::Lost(error)) = told.recv_timeout(LIMIT) else { panic!("the loss is not told") };
        assert!(error.to_string().contains(sound::MICROPHONE), "{error}");
        assert!(heard.iter().take(100).any(|packet| packet.dtx), "no silence in place of the device");
        let first = heard.recv_timeout(LIMIT).unwrap().captured_at;
        let last = heard.iter().take(50).last().unwrap().captured_at;
        let off = (last - first).abs_diff(Duration::from_secs(1));
        assert!(off < Duration::from_millis(100), "the frames of silence are {off:?} off real time");
        daemon.add_sink("test_speaker", sound::SPEAKER);
        let Ok(MicrophoneEvent::Restored { device }) = told.recv_timeout(LIMIT) else {
            panic!("the return is not told")
        };
        assert_eq!(device, sound::MICROPHONE);
        // The speaker comes back by itself as well.
        listen(&heard, hears_tone);
    });
}

#[test]
fn a_server_that_is_started_again_brings_both_ends_back() {
    with_daemon("a_server_that_is_started_again_brings_both_ends_back", |daemon| {
        let (_speaker, speaker_told) = speaker(&SpeakerSpec::Default, mixer_of_tone());
        let (_microphone, heard, told) = microphone(&named(sound::MICROPHONE));
        listen(&heard, hears_tone);
        daemon.pactl(&["exit"]);
        assert!(matches!(told.recv_timeout(LIMIT), Ok(MicrophoneEvent::Lost(_))), "the loss is not told");
        assert!(matches!(speaker_told.recv_timeout(LIMIT), Ok(SpeakerEvent::Lost(_))), "the loss is not told");
        let _daemon = sound::SoundDaemon::restart_inside();
        let event = told.recv_timeout(LIMIT);
        assert!(matches!(event, Ok(MicrophoneEvent::Restored { .. })), "{event:?}");
        let event = speaker_told.recv_timeout(LIMIT);
        assert!(matches!(event, Ok(SpeakerEvent::Restored { .. })), "{event:?}");
        listen(&heard, hears_tone);
    });
}

#[test]
fn five_seconds_of_digital_silence_are_told_and_sound_after_them_too() {
    with_daemon("five_seconds_of_digital_silence_are_told_and_sound_after_them_too", |_| {
        let (_microphone, _heard, told) = microphone(&named(sound::MICROPHONE));
        let event = told.recv_timeout(LIMIT);
        let Ok(MicrophoneEvent::Silent { for_ }) = event else { panic!("{event:?}") };
        assert!((Duration::from_secs(5)..Duration::from_secs(7)).contains(&for_), "{for_:?}");
        let (_speaker, _) = speaker(&SpeakerSpec::Default, mixer_of_tone());
        let event = told.recv_timeout(LIMIT);
        assert!(matches!(event, Ok(MicrophoneEvent::Audible)), "{event:?}");
    });
}

#[test]
fn thirty_calls_leave_no_thread_and_no_descriptor() {
    with_daemon("thirty_calls_leave_no_thread_and_no_descriptor", |_| {
        let call = || {
            let (_speaker, _) = speaker(&SpeakerSpec::Default, mixer().1);
            let (_microphone, heard, _) = microphone(&named(sound::MICROPHONE));
            heard.recv_timeout(LIMIT).unwrap();
        };
        let count = |what| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
        // The first one connects to the server, and stays connected.
        call();
        let (threads, descriptors) = (count("task"), count("fd"));
        for _ in 0..30 {
            call();
        }
        // Threads that have done their work may take a moment to end.
        let start = Instant::now();
        while count("task") > threads || count("fd") > descriptors {
            let now = (count("task"), count("fd"));
            assert!(
                start.elapsed() < LIMIT,
                "threads and descriptors: {:?} before, {now:?} after",
                (threads, descriptors)
            );
            thread::sleep(Duration::from_millis(10));
        }
    });
}

#[test]
fn lists_have_stable_ids_and_every_id_opens() {
    with_daemon("lists_have_stable_ids_and_every_id_opens", |daemon| {
        let _sink = daemon.add_sink("other", "Other_Speaker");
        let list = speakers();
        let ids: Vec<_> = list.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, ["test_speaker", "other"]);
        assert_eq!(list[1].name, "Other_Speaker");
        assert_eq!(list.iter().filter(|device| device.default).count(), 1);
        assert_eq!(list[0].formats[0].sample_rate, 48_000);
        let list = microphones();
        let ids: Vec<_> = list.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, ["test_speaker.monitor", "other.monitor", "tone"]);
        for id in ["test_speaker.monitor", "other.monitor", "Monitor of Other_Speaker", "of other"] {
            let (_microphone, heard, _) = microphone(&named(id));
            heard.recv_timeout(LIMIT).unwrap();
        }
    });
}

#[test]
fn an_absent_device_is_named_with_the_ones_there_are() {
    with_daemon("an_absent_device_is_named_with_the_ones_there_are", |_| {
        let error = try_microphone(&named("Webcam 9")).err().unwrap().to_string();
        assert_eq!(
            error,
            "there is no microphone named \"Webcam 9\": connect it, or choose one of Monitor of Test_Speaker"
        );
        let error = try_speaker(&SpeakerSpec::Device("Hall".into()), mixer().1).err().unwrap().to_string();
        assert_eq!(error, "there is no speaker named \"Hall\": connect it, or choose one of Test_Speaker");
    });
}

#[test]
fn devices_of_other_rates_and_channels_sound_the_same() {
    with_daemon("devices_of_other_rates_and_channels_sound_the_same", |daemon| {
        let description = "sink_properties=device.description=Odd_Speaker";
        daemon.load(&["module-null-sink", "sink_name=odd", "rate=44100", "channels=2", "format=s24le", description]);
        let (_speaker, _) = speaker(&SpeakerSpec::Device("Odd_Speaker".into()), mixer_of_tone());
        let (_microphone, heard, _) = microphone(&named("Monitor of Odd_Speaker"));
        listen(&heard, |report| hears_tone(report) && !report.beeps.is_empty());
    });
}

#[test]
fn without_a_sound_server_errors_are_clear_and_the_test_tone_is_listed() {
    without_daemon("without_a_sound_server_errors_are_clear_and_the_test_tone_is_listed", || {
        let error = try_microphone(&MicrophoneSpec::Default).err().unwrap().to_string();
        assert!(error.contains("microphone"), "{error}");
        let error = try_speaker(&SpeakerSpec::Default, mixer().1).err().unwrap().to_string();
        assert!(error.contains("speaker"), "{error}");
        speakers();
        assert!(microphones().iter().any(|device| device.id == "tone" && device.name == "Test tone"));
    });
}

#[test]
fn the_test_tone_needs_no_device_and_beeps_at_whole_seconds() {
    let (_microphone, heard, _) = microphone(&MicrophoneSpec::Tone);
    let (now, unix_now) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64());
    let first = heard.recv_timeout(LIMIT).unwrap();
    // What is listened to starts one packet later, and Opus delays by 312 samples.
    let start = first.captured_at + Duration::from_millis(20) - Duration::from_micros(6500);
    let start = if start > now { (start - now).as_secs_f64() } else { -(now - start).as_secs_f64() };
    let report = listen(&heard, |report| hears_tone(report) && report.beeps.len() >= 2);
    for beep in report.beeps {
        let unix = unix_now + start + beep.onset as f64 / 48_000.0;
        assert!((unix - unix.round()).abs() < 0.003, "a beep {} s off the second", unix - unix.round());
    }
}

#[test]
fn a_file_is_played_in_a_loop_and_a_missing_one_is_named() {
    let path = std::env::temp_dir().join(format!("ahoy-microphone-{}.wav", std::process::id()));
    let mut writer = wav::Writer::create(&path).unwrap();
    let generator = tone::Generator::new();
    for n in 0..50_u32 {
        let mut frame: Frame = [0.0; FRAME_SAMPLES];
        generator.fill(&mut frame, n * Duration::from_millis(10));
        writer.write(&frame).unwrap();
    }
    let (_microphone, heard, _) = microphone(&MicrophoneSpec::File(path.clone()));
    // Half a second in a loop: a beep twice a second.
    let report = listen(&heard, |report| hears_tone(report) && report.beeps.len() >= 4);
    let apart = (report.beeps[3].onset - report.beeps[2].onset) as f64 / 48.0;
    assert!((apart - 500.0).abs() < 5.0, "beeps {apart} ms apart");
    std::fs::remove_file(&path).unwrap();
    let error = try_microphone(&MicrophoneSpec::File(path.clone())).err().unwrap().to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
}
