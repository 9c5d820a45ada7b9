//! Devices that go and come back in a call: both users know, and nobody has to do anything.

use ahoy_call::{
    engine::{EngineCommand, EngineConfig},
    event::{CallEvent, Device, Silence},
    message::MediaState,
};
use ahoy_media::{audio::microphone::MicrophoneSpec, video::capture::CameraSpec};
use ahoy_test_support::{
    camera::{self, EmulatedCamera, with_camera},
    sound::{self, with_daemon},
};

use super::phone::{Call, Phone, both, pictures_out, told};

const SOUND: MediaState = MediaState { audio: true, video: false };
const PICTURE: MediaState = MediaState { audio: false, video: true };

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

fn plug_in(camera: &EmulatedCamera) {
    camera.offer("YUYV 320 180 15");
    camera.send("YUYV", [vec![100; 2 * 320 * 180], vec![150; 2 * 320 * 180]]);
    camera.plug_in(0);
}

fn with_emulated_camera() -> EngineConfig {
    EngineConfig { camera: Some(CameraSpec::Device(camera::NAME.into())), ..both() }
}

async fn until_lost(phone: &mut Phone, wanted: Device) {
    phone
        .until("the loss", |event| {
            matches!(event, CallEvent::DeviceLost { device, .. } if *device == wanted).then_some(())
        })
        .await;
}

async fn until_back(phone: &mut Phone, wanted: Device) {
    phone.until("the return", |event| (*event == CallEvent::DeviceBack { device: wanted }).then_some(())).await;
}

#[test]
fn an_unplugged_camera_is_told_to_the_other_side_and_so_is_its_return() {
    with_camera("unplugged::an_unplugged_camera_is_told_to_the_other_side_and_so_is_its_return", |camera| {
        plug_in(camera);
        run(async {
            let Call { mut caller, mut callee, .. } = Call::connect(with_emulated_camera(), both()).await;
            caller.until_grown("pictures", 5, pictures_out).await;
            camera.unplug(0);
            until_lost(&mut caller, Device::Camera).await;
            told(&mut callee, SOUND).await;
            callee.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;

            camera.plug_in(0);
            until_back(&mut caller, Device::Camera).await;
            told(&mut callee, MediaState::BOTH).await;
            callee.until_grown("pictures", 5, |stats| stats.link.video_in.receive.frames).await;
        });
    });
}

#[test]
fn a_camera_that_stalls_is_told_to_the_other_side_and_stays_open() {
    with_camera("unplugged::a_camera_that_stalls_is_told_to_the_other_side_and_stays_open", |camera| {
        plug_in(camera);
        run(async {
            let Call { mut caller, mut callee, .. } = Call::connect(with_emulated_camera(), both()).await;
            caller.until_grown("pictures", 5, pictures_out).await;
            let before = camera.log();
            camera.write("stalled", "");
            until_lost(&mut caller, Device::Camera).await;
            told(&mut callee, SOUND).await;
            camera.remove("stalled");
            until_back(&mut caller, Device::Camera).await;
            told(&mut callee, MediaState::BOTH).await;
            assert_eq!(camera.log(), before, "it was closed, or opened again");
        });
    });
}

/// The user need not know that it is gone to switch it off.
#[test]
fn a_camera_that_returns_while_it_is_off_is_told_when_it_is_on_again() {
    with_camera("unplugged::a_camera_that_returns_while_it_is_off_is_told_when_it_is_on_again", |camera| {
        plug_in(camera);
        run(async {
            let Call { mut caller, mut callee, .. } = Call::connect(with_emulated_camera(), both()).await;
            caller.until_grown("pictures", 5, pictures_out).await;
            camera.unplug(0);
            until_lost(&mut caller, Device::Camera).await;
            told(&mut callee, SOUND).await;
            caller.does(EngineCommand::SetVideo(false));
            camera.plug_in(0);
            caller.does(EngineCommand::SetVideo(true));
            until_back(&mut caller, Device::Camera).await;
            told(&mut callee, MediaState::BOTH).await;
        });
    });
}

#[test]
fn a_microphone_that_goes_is_told_to_the_other_side_and_so_is_its_return() {
    with_daemon("unplugged::a_microphone_that_goes_is_told_to_the_other_side_and_so_is_its_return", |daemon| {
        run(async {
            let microphone = MicrophoneSpec::Device(sound::MICROPHONE.into());
            let config = EngineConfig { microphone: Some(microphone), ..both() };
            let Call { mut caller, mut callee, .. } = Call::connect(config, both()).await;
            caller.until_grown("sound", 5, super::phone::sound_out).await;
            daemon.remove(daemon.module_of_sink("test_speaker"));
            until_lost(&mut caller, Device::Microphone).await;
            told(&mut callee, PICTURE).await;
            daemon.add_sink("test_speaker", sound::SPEAKER);
            until_back(&mut caller, Device::Microphone).await;
            told(&mut callee, MediaState::BOTH).await;
        });
    });
}

/// Its user is told to look at its switch; the other side would take "off" for a wish.
#[test]
fn a_microphone_that_is_merely_silent_is_not_told_as_off() {
    with_daemon("unplugged::a_microphone_that_is_merely_silent_is_not_told_as_off", |_| {
        run(async {
            let microphone = MicrophoneSpec::Device(sound::MICROPHONE.into());
            let config = EngineConfig { microphone: Some(microphone), ..both() };
            let Call { mut caller, mut callee, .. } = Call::connect(config, both()).await;
            told(&mut callee, MediaState::BOTH).await;
            let silent = |event: &CallEvent| {
                matches!(event, CallEvent::Unheard { silence: Silence::Microphone, .. }).then_some(())
            };
            caller.until("the silence", silent).await;
            // Whatever was told of it comes before this.
            caller.does(EngineCommand::SetVideo(false));
            let next = callee.until("a media state", |event| match event {
                CallEvent::MediaState { media, .. } => Some(*media),
                _ => None,
            });
            assert_eq!(next.await, SOUND);
        });
    });
}
