//! Muted microphones and cameras that are off: nothing of them is on the wire.

use std::time::Duration;

use ahoy_call::{engine::EngineCommand, event::CallEvent, message::MediaState};
use ahoy_media::video::capture::CameraSpec;

use super::{
    phone::{Call, Phone, both, pictures_out, sound_out, told},
    screen::Screen,
};

/// Longer than the time between any two pictures.
const STILL: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_muted_microphone_sends_silence_while_the_picture_goes_on() {
    let Call { caller, mut callee, .. } = Call::connect(both(), both()).await;
    caller.until_grown("sound", 20, sound_out).await;
    caller.does(EngineCommand::SetAudio(false));
    told(&mut callee, MediaState { audio: false, video: true }).await;
    let pictures = pictures_out(&caller.stats().await);
    let took = caller.until_silent().await;
    assert!(took < Duration::from_secs(2), "the microphone went on for {took:?}");
    let stats = caller.stats().await;
    assert!(pictures_out(&stats) >= pictures + 5, "the picture stopped, too");
    assert!(stats.link.audio_out.dropped == 0 && stats.video.is_some());

    caller.does(EngineCommand::SetAudio(true));
    told(&mut callee, MediaState::BOTH).await;
    caller.until_grown("sound", 20, sound_out).await;
    callee.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
}

/// A silence that the sender announces is comfort noise at the other side; a guess at what is lost would be
/// heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_of_a_muted_microphone_is_not_taken_for_loss() {
    let Call { caller, callee, .. } = Call::connect(both(), both()).await;
    let before = callee.until_stats("sound", |stats| stats.audio.jitter.total_samples > 48_000).await;
    for _ in 0..3 {
        caller.does(EngineCommand::SetAudio(false));
        caller.until_silent().await;
        caller.does(EngineCommand::SetAudio(true));
        callee.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
    }
    let after = callee.stats().await;
    let concealed = after.audio.jitter.concealed_samples - before.audio.jitter.concealed_samples;
    let lost = after.audio.jitter.lost - before.audio.jitter.lost;
    println!("after three silences: {concealed} samples concealed, {lost} packets lost");
    // 100 ms in three silences of over half a second each: what a busy machine's late threads cost.
    assert!(concealed < 4800, "{concealed} samples of silence were guessed at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_is_off_is_closed_and_starts_again_with_a_key_frame() {
    let Call { id, caller, mut callee, .. } = Call::connect(both(), both()).await;
    let mut screen = Screen::of(&callee.hub, &id, &caller.name);
    // Enough to know the usual interval, without which no gap is a freeze.
    for _ in 0..10 {
        screen.next().await;
    }

    caller.does(EngineCommand::SetVideo(false));
    told(&mut callee, MediaState { audio: true, video: false }).await;
    caller.until_stats("the camera's end", |stats| stats.video.is_none()).await;
    caller.until_still("pictures", STILL, pictures_out).await;
    screen.forget();
    caller.until_grown("sound", 30, sound_out).await;
    assert!(screen.is_still(), "a picture was shown of a camera that is off");

    caller.does(EngineCommand::SetVideo(true));
    told(&mut callee, MediaState::BOTH).await;
    let first = screen.next().await;
    assert!(first.key, "the first picture is no key frame");
    // The pattern counts from its opening: it was closed, and is another one now.
    assert!(first.cells.expect("the test pattern").counter < 10, "{first:?}");
    let mut last = first.cells.unwrap().counter;
    for _ in 0..10 {
        let counter = screen.next_counter().await;
        assert!(counter > last);
        last = counter;
    }
    let stats = callee.stats().await.link.video_in;
    assert_eq!(stats.freezes, 0, "the camera's pause was taken for a freeze: {stats:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_switched_off_at_once_sends_nothing_and_is_closed_when_it_opens() {
    let file = super::devices::Scratch::y4m("closed", 320, 180, 3);
    let config = ahoy_call::engine::EngineConfig { camera: Some(CameraSpec::File(file.path())), ..both() };
    let Call { caller, mut callee, .. } = Call::connect(config, both()).await;
    for on in [false, true, false, true, false] {
        caller.does(EngineCommand::SetVideo(on));
    }
    told(&mut callee, MediaState { audio: true, video: false }).await;
    caller.until_still("pictures", STILL, pictures_out).await;
    let closed = async {
        while file.is_open() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::phone::LIMIT, closed).await.expect("the camera's file is closed");
    assert!(caller.stats().await.video.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_switched_off_before_the_call_is_off_in_it() {
    let exchange = super::exchange::Exchange::default();
    let (mut anna, mut ben) = (Phone::on(&exchange, "anna", both()), Phone::on(&exchange, "ben", both()));
    anna.does(EngineCommand::SetVideo(false));
    anna.does(EngineCommand::SetAudio(false));
    anna.calls(&ben);
    let media = ben
        .until("a call", |event| match event {
            CallEvent::Incoming { media, .. } => Some(*media),
            _ => None,
        })
        .await;
    assert_eq!(media, MediaState::NONE);
    ben.does(EngineCommand::Accept);
    anna.until_connected().await;
    anna.until_stats("ben's sound", |stats| stats.link.audio_in_packets > 50).await;
    let stats = anna.stats().await;
    assert_eq!((sound_out(&stats), pictures_out(&stats)), (0, 0));
    assert!(stats.video.is_none());
}

/// Many readers that join when the last key frame is long gone, each asking with every picture until there is
/// one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wanted_key_frame_comes_at_once_and_a_flood_of_wishes_makes_few() {
    let Call { id, caller, callee, .. } = Call::connect(both(), both()).await;
    let mut screen = Screen::of(&callee.hub, &id, &caller.name);
    screen.next().await;
    // The hub keeps 3 s.
    let mut since_key = 0;
    while since_key < 4 * 15 {
        since_key = if screen.next().await.key { 0 } else { since_key + 1 };
    }
    let before = caller.stats().await;
    let asked = tokio::time::Instant::now();
    let mut late: Vec<_> = (0..20).map(|_| Screen::of(&callee.hub, &id, &caller.name)).collect();
    for screen in &mut late {
        assert!(screen.next().await.key, "a late reader starts with something else than a key frame");
    }
    println!("a key frame came {:?} after it was wanted", asked.elapsed());
    caller.until_grown("pictures", 15, |stats| stats.link.video_out.frames).await;
    let after = caller.stats().await;
    let made = after.link.video_out.key_frames - before.link.video_out.key_frames;
    let requests = after.link.video_out.key_requests - before.link.video_out.key_requests;
    println!("20 readers: {requests} requests, {made} key frames");
    assert!((1..=2).contains(&made) && requests <= 3, "{requests} requests, {made} key frames");
}
