//! Devices that are changed in mid-call, judged by what arrives.

use std::{f32::consts::TAU, path::Path, time::Duration};

use ahoy_call::{
    engine::{Devices, EngineCommand, EngineConfig, LOCAL_STREAM, PeerStats},
    event::{CallEvent, Device},
    message::MediaState,
};
use ahoy_media::{
    audio::{microphone::MicrophoneSpec, speaker::SpeakerSpec, wav},
    video::{capture::CameraSpec, pattern::read_cells},
    webm::hub::StreamId,
};
use ahoy_test_support::{
    camera::{self, with_camera},
    sound::{self, with_daemon},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    devices::Scratch,
    phone::{Call, LIMIT, Phone, both, sound_out, told},
    screen::Screen,
};

const SAMPLE_RATE: usize = 48_000;
/// Of the test tone, and of another sound.
const TONE_HZ: f32 = 440.0;
const OTHER_HZ: f32 = 1500.0;
/// The test tone is quiet: a hundredth of full scale is well under it, and well over what Opus leaves of
/// silence.
const AUDIBLE: f32 = 0.005;

fn choose(phone: &Phone, change: impl FnOnce(&mut Devices)) {
    let mut devices = both().devices();
    change(&mut devices);
    phone.does(EngineCommand::SetDevices(devices));
}

fn missing(event: &CallEvent) -> bool {
    matches!(event, CallEvent::DeviceMissing { .. })
}

async fn until_back(phone: &mut Phone, wanted: Device) {
    phone.until("the return", |event| (*event == CallEvent::DeviceBack { device: wanted }).then_some(())).await;
}

/// A second of a steady sound, to be played in a loop.
fn sound_file(name: &str) -> Scratch {
    let file = Scratch::new(name, b"");
    let samples: Vec<f32> =
        (0..SAMPLE_RATE).map(|at| 0.2 * (TAU * OTHER_HZ * at as f32 / SAMPLE_RATE as f32).sin()).collect();
    wav::Writer::create(&file.path()).unwrap().write(&samples).unwrap();
    file
}

/// The amplitude of one frequency (Goertzel's algorithm).
fn amplitude(samples: &[f32], hz: f32) -> f32 {
    let coefficient = 2.0 * (TAU * hz / SAMPLE_RATE as f32).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        (before, last) = (last, sample + coefficient * last - before);
    }
    let power: f32 = last * last + before * before - coefficient * last * before;
    2.0 * power.max(0.0).sqrt() / samples.len().max(1) as f32
}

fn played(path: &Path) -> Vec<f32> {
    wav::open(path).unwrap_or_default()
}

/// What was played last.
fn newest(samples: &[f32]) -> &[f32] {
    &samples[samples.len().saturating_sub(SAMPLE_RATE / 5)..]
}

/// Waits until the newest that a file speaker played is as wanted.
async fn until_heard(what: &str, path: &Path, wanted: impl Fn(&[f32]) -> bool) {
    let start = Instant::now();
    while !wanted(newest(&played(path))) {
        let samples = played(path);
        let (tone, other) = (amplitude(newest(&samples), TONE_HZ), amplitude(newest(&samples), OTHER_HZ));
        assert!(start.elapsed() < LIMIT, "{what}: {} samples, tone {tone}, other {other}", samples.len());
        sleep(Duration::from_millis(50)).await;
    }
}

fn is_tone(samples: &[f32]) -> bool {
    amplitude(samples, TONE_HZ) > AUDIBLE && amplitude(samples, OTHER_HZ) < AUDIBLE
}

fn is_other(samples: &[f32]) -> bool {
    amplitude(samples, OTHER_HZ) > AUDIBLE && amplitude(samples, TONE_HZ) < AUDIBLE
}

fn is_silence(samples: &[f32]) -> bool {
    !samples.is_empty() && amplitude(samples, OTHER_HZ) < AUDIBLE && amplitude(samples, TONE_HZ) < AUDIBLE
}

async fn until_closed(file: &Scratch) {
    let closed = async {
        while file.is_open() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, closed).await.expect("the file is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_camera_takes_over_with_a_key_frame_and_the_first_is_closed() {
    let file = Scratch::y4m("first", 160, 120, 3);
    let config = EngineConfig { camera: Some(CameraSpec::File(file.path())), ..both() };
    let Call { id, mut caller, mut callee, .. } = Call::connect(config, both()).await;
    let mut there = Screen::of(&callee.hub, &id, &caller.name);
    let mut here = Screen::of_stream(&caller.hub, StreamId::new(LOCAL_STREAM));
    for screen in [&mut there, &mut here] {
        assert_eq!(screen.next().await.size, (160, 120));
    }
    choose(&caller, |_| {});
    for screen in [&mut there, &mut here] {
        let first = loop {
            let shown = screen.next().await;
            if shown.size == (320, 180) {
                break shown;
            }
        };
        assert!(first.key, "the other camera begins with something else than a key frame");
        // The pattern counts from its opening; the first pictures may have come before their reader.
        assert!(first.cells.expect("the test pattern").counter < 15, "{first:?}");
    }
    until_closed(&file).await;
    let stopped = |event: &CallEvent| matches!(event, CallEvent::MediaState { media, .. } if !media.video);
    assert_eq!(callee.count(stopped), 0, "the other side was told that the picture stops");
    assert_eq!(caller.count(missing), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_picture_is_there_as_it_is_and_encoded_for_who_asks() {
    let Call { caller, callee: _callee, .. } = Call::connect(both(), both()).await;
    let local = StreamId::new(LOCAL_STREAM);
    let mut pictures = caller.hub.pictures(&local).expect("our own pictures");
    let mut counters = Vec::new();
    while counters.len() < 3 {
        timeout(LIMIT, pictures.changed()).await.expect("a picture").expect("a call that goes on");
        let picture = pictures.borrow_and_update().clone().expect("a picture");
        counters.push(read_cells(&picture).expect("the test pattern").counter);
    }
    assert!(counters.is_sorted_by(|before, after| before < after), "{counters:?}");
    let mut encoded = Screen::of_stream(&caller.hub, local);
    let first = encoded.next().await;
    assert!(
        first.key && first.cells.expect("the test pattern").counter >= counters[2],
        "{first:?}, after {counters:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_microphone_takes_over_and_is_heard() {
    let (file, heard) = (sound_file("voice.wav"), Scratch::new("heard.wav", b""));
    let caller = EngineConfig { microphone: Some(MicrophoneSpec::File(file.path())), ..both() };
    let callee = EngineConfig { speaker: SpeakerSpec::File(heard.path()), ..both() };
    let Call { mut caller, mut callee, .. } = Call::connect(caller, callee).await;
    until_heard("the first microphone", &heard.path(), is_other).await;
    choose(&caller, |_| {});
    until_heard("the second microphone", &heard.path(), is_tone).await;
    assert_eq!(caller.count(missing), 0);
    let stopped = |event: &CallEvent| matches!(event, CallEvent::MediaState { media, .. } if !media.audio);
    assert_eq!(callee.count(stopped), 0, "the other side was told that the sound stops");
    let samples = played(&heard.path());
    let silent = |piece: &[f32]| piece.iter().all(|sample| sample.abs() < AUDIBLE);
    let begin = samples.chunks(480).position(|piece| !silent(piece)).unwrap();
    let gaps: Vec<usize> = samples
        .chunks(480)
        .skip(begin)
        .collect::<Vec<_>>()
        .chunk_by(|a, b| silent(a) == silent(b))
        .map(|run| if silent(run[0]) { run.len() * 10 } else { 0 })
        .collect();
    let longest = gaps.into_iter().max().unwrap();
    println!("from one microphone to the other: {longest} ms of silence");
    assert!(longest < 1000, "{longest} ms of silence");
}

/// Somebody who chooses another microphone while muted is still muted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_microphone_that_is_chosen_while_muted_is_heard() {
    let (file, heard) = (sound_file("muted.wav"), Scratch::new("unheard.wav", b""));
    let callee = EngineConfig { speaker: SpeakerSpec::File(heard.path()), ..both() };
    let Call { caller, mut callee, .. } = Call::connect(both(), callee).await;
    until_heard("the first microphone", &heard.path(), is_tone).await;
    caller.does(EngineCommand::SetAudio(false));
    told(&mut callee, MediaState { audio: false, video: true }).await;
    until_heard("silence", &heard.path(), is_silence).await;
    let muted = played(&heard.path()).len();
    for _ in 0..3 {
        choose(&caller, |devices| devices.microphone = Some(MicrophoneSpec::File(file.path())));
        caller.until_silent().await;
        choose(&caller, |_| {});
        caller.until_silent().await;
    }
    let after = played(&heard.path());
    let loudest = after[muted..].iter().fold(0.0, |loudest: f32, sample| loudest.max(sample.abs()));
    assert!(loudest < AUDIBLE, "{loudest}");
    caller.does(EngineCommand::SetAudio(true));
    until_heard("the microphone", &heard.path(), is_tone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chosen_device_that_is_not_there_is_told_and_the_call_goes_on_until_another_is_chosen() {
    let heard = Scratch::new("speaker.wav", b"");
    let Call { mut caller, mut callee, .. } = Call::connect(both(), both()).await;
    caller.until_grown("sound", 20, sound_out).await;
    let nowhere = |name: &str| Path::new("/nowhere").join(name);
    let sound = MediaState { audio: true, video: false };
    let picture = MediaState { audio: false, video: true };

    choose(&caller, |devices| devices.camera = Some(CameraSpec::File(nowhere("camera.y4m"))));
    until_missing(&mut caller, Device::Camera).await;
    told(&mut callee, sound).await;
    callee.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
    choose(&caller, |_| {});
    until_back(&mut caller, Device::Camera).await;
    told(&mut callee, MediaState::BOTH).await;
    callee.until_grown("pictures", 5, pictures_in).await;

    choose(&caller, |devices| devices.microphone = Some(MicrophoneSpec::File(nowhere("voice.wav"))));
    until_missing(&mut caller, Device::Microphone).await;
    told(&mut callee, picture).await;
    callee.until_grown("pictures", 5, pictures_in).await;
    choose(&caller, |_| {});
    until_back(&mut caller, Device::Microphone).await;
    told(&mut callee, MediaState::BOTH).await;
    callee.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;

    choose(&callee, |devices| devices.speaker = SpeakerSpec::File(nowhere("out.wav")));
    until_missing(&mut callee, Device::Speaker).await;
    callee.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
    choose(&callee, |devices| devices.speaker = SpeakerSpec::File(heard.path()));
    until_back(&mut callee, Device::Speaker).await;
    until_heard("the microphone", &heard.path(), is_tone).await;
    assert_eq!((caller.count(missing), callee.count(missing)), (2, 1));
}

async fn until_missing(phone: &mut Phone, wanted: Device) {
    phone
        .until("the missing device", |event| {
            matches!(event, CallEvent::DeviceMissing { device, .. } if *device == wanted).then_some(())
        })
        .await;
}

fn pictures_in(stats: &PeerStats) -> u64 {
    stats.link.video_in.receive.frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_call_the_devices_of_the_next_are_chosen() {
    let exchange = super::exchange::Exchange::default();
    let mut anna = Phone::on(&exchange, "anna", super::phone::nothing());
    let mut ben = Phone::on(&exchange, "ben", both());
    choose(&anna, |_| {});
    // Nothing was wanted of the devices that were not there.
    anna.does(EngineCommand::SetVideo(true));
    anna.does(EngineCommand::SetAudio(true));
    anna.calls(&ben);
    ben.until_incoming().await;
    ben.does(EngineCommand::Accept);
    anna.until_connected().await;
    ben.until("the picture", |event| matches!(event, CallEvent::FirstVideo { .. }).then_some(())).await;
    anna.until_grown("sound", 20, sound_out).await;
}

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_camera_chosen_again_and_again_is_never_opened_twice() {
    with_camera("switch::a_camera_chosen_again_and_again_is_never_opened_twice", |camera| {
        camera.offer("YUYV 320 180 15");
        camera.send("YUYV", [vec![100; 2 * 320 * 180], vec![150; 2 * 320 * 180]]);
        camera.plug_in(0);
        run(async {
            let device = || Some(CameraSpec::Device(camera::NAME.into()));
            let Call { id, mut caller, callee, .. } = Call::connect(both(), both()).await;
            let mut screen = Screen::of(&callee.hub, &id, &caller.name);
            screen.next_counter().await;
            for _ in 0..5 {
                choose(&caller, |devices| devices.camera = device());
                choose(&caller, |_| {});
            }
            choose(&caller, |devices| devices.camera = device());
            let shown = async { while screen.next().await.cells.is_some() {} };
            timeout(LIMIT, shown).await.expect("the camera's picture");
            choose(&caller, |_| {});
            let shown = async { while screen.next().await.cells.is_none() {} };
            timeout(LIMIT, shown).await.expect("the test pattern");
            camera.wait_for_log("close /dev/video0\n");
            assert_eq!(caller.count(missing), 0);
            let log = camera.log();
            let steps = log.lines().filter_map(|line| line.split(' ').next());
            let steps: Vec<_> = steps.filter(|step| ["open", "close"].contains(step)).collect();
            assert!(steps.chunks(2).all(|steps| steps == ["open", "close"]), "{log}");
        });
    });
}

/// The callee hears by one speaker what the caller says, and its microphone hears that speaker. When it
/// chooses the other speaker nothing is heard any more; when it chooses the microphone in front of that, the
/// caller hears itself again.
#[test]
fn devices_of_a_sound_server_are_changed_in_mid_call() {
    with_daemon("switch::devices_of_a_sound_server_are_changed_in_mid_call", |daemon| {
        daemon.add_sink("second", "Second_Speaker");
        run(async {
            let heard = Scratch::new("loop.wav", b"");
            let caller = EngineConfig { speaker: SpeakerSpec::File(heard.path()), ..both() };
            let (mut speaker, mut microphone) =
                (SpeakerSpec::Device(sound::SPEAKER.into()), MicrophoneSpec::Device(sound::MICROPHONE.into()));
            let callee = EngineConfig { speaker: speaker.clone(), microphone: Some(microphone.clone()), ..both() };
            let Call { mut caller, mut callee, .. } = Call::connect(caller, callee).await;
            until_heard("the first speaker by the first microphone", &heard.path(), is_tone).await;
            let choose = |callee: &Phone, speaker: &SpeakerSpec, microphone: &MicrophoneSpec| {
                let (speaker, microphone) = (speaker.clone(), Some(microphone.clone()));
                callee.does(EngineCommand::SetDevices(Devices { speaker, microphone, ..both().devices() }));
            };
            speaker = SpeakerSpec::Device("Second_Speaker".into());
            choose(&callee, &speaker, &microphone);
            until_heard("silence", &heard.path(), is_silence).await;
            microphone = MicrophoneSpec::Device("Monitor of Second_Speaker".into());
            choose(&callee, &speaker, &microphone);
            until_heard("the second speaker by the second microphone", &heard.path(), is_tone).await;
            assert_eq!((caller.count(missing), callee.count(missing)), (0, 0));
        });
    });
}
