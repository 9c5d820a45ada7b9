//! Calls without devices, and with devices that are not there or not what they should be.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ahoy_call::{
    engine::{EngineCommand, EngineConfig},
    event::{CallEvent, Device},
    message::MediaState,
};
use ahoy_media::{
    audio::{microphone::MicrophoneSpec, speaker::SpeakerSpec, wav},
    video::capture::CameraSpec,
};

use super::phone::{Call, both, no_camera, nothing, pictures_out, sound_out, told};

/// A file that is gone when the test ends.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("ahoy-engine-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    pub fn y4m(name: &str, width: usize, height: usize, pictures: u8) -> Self {
        let mut bytes = format!("YUV4MPEG2 W{width} H{height} F15:1 C420jpeg\n").into_bytes();
        for value in 0..pictures {
            bytes.extend_from_slice(b"FRAME\n");
            let size = width * height + 2 * width.div_ceil(2) * height.div_ceil(2);
            bytes.extend(std::iter::repeat_n(100 + value, size));
        }
        Self::new(&format!("{name}.y4m"), &bytes)
    }

    pub fn path(&self) -> PathBuf {
        self.0.clone()
    }

    /// Whether this process has it open.
    pub fn is_open(&self) -> bool {
        let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        open.into_iter().any(|path| path == self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn without_microphone() -> EngineConfig {
    EngineConfig { microphone: None, ..both() }
}

/// Both sides connect, each gets what the other has, and nobody is told of anything that is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_camera_microphone_or_both_receives_what_the_other_side_has() {
    for config in [no_camera(), without_microphone(), nothing()] {
        let has = MediaState { audio: config.microphone.is_some(), video: config.camera.is_some() };
        let call = Call::connect(config, both()).await;
        let (mut caller, mut callee) = (call.caller, call.callee);
        caller.until("the picture", |event| matches!(event, CallEvent::FirstVideo { .. }).then_some(())).await;
        caller.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
        let stats = caller.stats().await;
        assert_eq!(has, MediaState { audio: sound_out(&stats) > 0, video: pictures_out(&stats) > 0 });
        let missing = |event: &CallEvent| matches!(event, CallEvent::DeviceMissing { .. } | CallEvent::Problem(_));
        assert_eq!(caller.count(missing) + callee.count(missing), 0, "{:#?}", caller.seen);
        // What is not there cannot be switched on.
        caller.does(EngineCommand::SetVideo(true));
        caller.does(EngineCommand::SetAudio(true));
        caller.does(EngineCommand::HangUp);
        callee.until_ended().await;
        let last = callee.seen.iter().rev().find_map(|seen| match &seen.event {
            CallEvent::MediaState { media, .. } => Some(*media),
            _ => None,
        });
        assert_eq!(last, Some(has));
    }
}

/// Exactly one event that says what and what to do, the other side knows, and the rest of the call is there.
async fn is_missing_but_the_call_goes_on(name: &str, config: EngineConfig, device: Device) {
    let call = Call::connect(config, both()).await;
    let (mut caller, mut callee) = (call.caller, call.callee);
    callee
        .until("the first sound or picture", |event| match (device, event) {
            (Device::Camera, CallEvent::FirstAudio { .. }) | (Device::Microphone, CallEvent::FirstVideo { .. }) => {
                Some(())
            }
            (Device::Speaker, CallEvent::FirstVideo { .. }) => Some(()),
            _ => None,
        })
        .await;
    caller.until("the picture", |event| matches!(event, CallEvent::FirstVideo { .. }).then_some(())).await;
    // Switching the other things, and holding, must not bring the event again.
    let other = |on| match device {
        Device::Camera => EngineCommand::SetAudio(on),
        Device::Microphone | Device::Speaker => EngineCommand::SetVideo(on),
    };
    for command in [other(false), other(true), EngineCommand::Hold, EngineCommand::Resume] {
        caller.does(command);
    }
    let resumed = |event: &CallEvent| matches!(event, CallEvent::Hold { local: false, .. }).then_some(());
    caller.until("the call back from hold", resumed).await;
    caller.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
    caller.does(EngineCommand::HangUp);
    caller.until_ended().await;
    callee.until_ended().await;

    let missing: Vec<_> = caller
        .seen
        .iter()
        .filter_map(|seen| match &seen.event {
            CallEvent::DeviceMissing { device, what, todo } => Some((*device, what.as_str(), todo.as_str())),
            _ => None,
        })
        .collect();
    let [(kind, what, todo)] = missing[..] else { panic!("{name}: {missing:?}") };
    println!("{name}: {what} -> {todo}");
    assert_eq!(kind, device, "{name}");
    let advises = ["plug", "connect", "check", "choose", "convert"].iter().any(|verb| todo.starts_with(verb));
    assert!(what.len() > 10 && advises, "{name}: {what:?}, {todo:?}");
    let media = callee.seen.iter().rev().find_map(|seen| match &seen.event {
        CallEvent::MediaState { media, .. } => Some(*media),
        _ => None,
    });
    let has = MediaState { audio: device != Device::Microphone, video: device != Device::Camera };
    assert_eq!(media, Some(has), "{name}: what the other side was told last");
}

async fn cameras_are_missing(cases: &[(&str, CameraSpec)]) {
    for (name, spec) in cases {
        let config = EngineConfig { camera: Some(spec.clone()), ..both() };
        is_missing_but_the_call_goes_on(name, config, Device::Camera).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_camera_is_told_once() {
    cameras_are_missing(&[
        ("no such device", CameraSpec::Device("nonexistent".into())),
        ("no such file", CameraSpec::File("/nowhere/missing.y4m".into())),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_file_that_cannot_be_played_is_told_once() {
    let whole = fs::read(Scratch::y4m("whole", 320, 180, 1).path()).unwrap();
    for (name, bytes) in [("empty", &b""[..]), ("garbage", &[0x55; 4096]), ("truncated", &whole[..whole.len() / 2])] {
        let file = Scratch::new(&format!("{name}.y4m"), bytes);
        cameras_are_missing(&[(name, CameraSpec::File(file.path()))]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_file_of_odd_size_is_sent_as_it_is() {
    let file = Scratch::y4m("odd", 321, 181, 2);
    let config = EngineConfig { camera: Some(CameraSpec::File(file.path())), ..both() };
    let Call { id, mut caller, callee, .. } = Call::connect(config, both()).await;
    let mut screen = super::screen::Screen::of(&callee.hub, &id, &caller.name);
    assert_eq!(screen.next().await.size, (321, 181));
    assert_eq!(caller.count(|event| matches!(event, CallEvent::DeviceMissing { .. })), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_file_that_is_cut_in_mid_call_is_lost_once_and_sound_goes_on() {
    let file = Scratch::y4m("cut", 320, 180, 3);
    let config = EngineConfig { camera: Some(CameraSpec::File(file.path())), ..both() };
    let Call { mut caller, mut callee, .. } = Call::connect(config, both()).await;
    caller.until_grown("pictures", 5, pictures_out).await;
    fs::write(file.path(), b"").unwrap();
    caller
        .until("the loss", |event| matches!(event, CallEvent::DeviceLost { device: Device::Camera, .. }).then_some(()))
        .await;
    told(&mut callee, MediaState { audio: true, video: false }).await;
    callee.until_grown("sound", 50, |stats| stats.link.audio_in_packets).await;
    assert_eq!(caller.count(|event| matches!(event, CallEvent::DeviceLost { .. })), 1);
}

async fn microphones_are_missing(cases: &[(&str, MicrophoneSpec)]) {
    for (name, spec) in cases {
        let config = EngineConfig { microphone: Some(spec.clone()), ..both() };
        is_missing_but_the_call_goes_on(name, config, Device::Microphone).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_microphone_is_told_once() {
    microphones_are_missing(&[
        ("no such device", MicrophoneSpec::Device("nonexistent".into())),
        ("no such file", MicrophoneSpec::File("/nowhere/missing.wav".into())),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_file_that_cannot_be_played_is_told_once() {
    for (name, bytes) in
        [("empty", &b""[..]), ("garbage", &[0x55; 4096]), ("truncated", b"RIFF\x24\x00\x00\x00WAVEfmt ")]
    {
        let file = Scratch::new(&format!("{name}.wav"), bytes);
        microphones_are_missing(&[(name, MicrophoneSpec::File(file.path()))]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_speaker_is_told_once() {
    let config = EngineConfig { speaker: SpeakerSpec::File(Path::new("/nowhere/out.wav").into()), ..both() };
    is_missing_but_the_call_goes_on("no such folder", config, Device::Speaker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_was_missing_is_tried_again_when_it_is_switched_on() {
    let file = Scratch::y4m("late", 320, 180, 3);
    let bytes = fs::read(file.path()).unwrap();
    fs::remove_file(file.path()).unwrap();
    let config = EngineConfig { camera: Some(CameraSpec::File(file.path())), ..both() };
    let Call { mut caller, mut callee, .. } = Call::connect(config, both()).await;
    let missing = |event: &CallEvent| matches!(event, CallEvent::DeviceMissing { .. });
    if caller.count(missing) == 0 {
        caller.until("the missing camera", |event| missing(event).then_some(())).await;
    }
    told(&mut callee, MediaState { audio: true, video: false }).await;
    fs::write(file.path(), bytes).unwrap();
    caller.does(EngineCommand::SetVideo(true));
    caller.until_grown("pictures", 10, pictures_out).await;
    assert_eq!(caller.count(missing), 1);
    told(&mut callee, MediaState::BOTH).await;
    assert_eq!(caller.count(|event| *event == CallEvent::DeviceBack { device: Device::Camera }), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_microphone_that_was_missing_is_tried_again_when_it_is_unmuted() {
    let file = Scratch::new("late.wav", b"");
    fs::remove_file(file.path()).unwrap();
    let config = EngineConfig { microphone: Some(MicrophoneSpec::File(file.path())), ..both() };
    let Call { mut caller, mut callee, .. } = Call::connect(config, both()).await;
    let missing = |event: &CallEvent| matches!(event, CallEvent::DeviceMissing { .. });
    told(&mut callee, MediaState { audio: false, video: true }).await;
    // Still not there.
    caller.does(EngineCommand::SetAudio(true));
    while caller.count(missing) < 2 {
        caller.until("the missing microphone", |event| missing(event).then_some(())).await;
    }
    wav::Writer::create(&file.path()).unwrap().write(&[0.1; 4800]).unwrap();
    caller.does(EngineCommand::SetAudio(false));
    caller.does(EngineCommand::SetAudio(true));
    caller.until_grown("sound", 20, sound_out).await;
    told(&mut callee, MediaState::BOTH).await;
    assert_eq!(caller.count(missing), 2);
    assert_eq!(caller.count(|event| *event == CallEvent::DeviceBack { device: Device::Microphone }), 1);
}
