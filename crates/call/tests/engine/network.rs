//! What people are told of the network, and what they may choose of the video.

use ahoy_call::{
    engine::{EngineCommand, EngineConfig, VideoLimit},
    event::CallEvent,
    message::{MediaState, Paused},
    quality::{Quality, SentVideo},
};
use ahoy_media::units::{Bitrate, VideoFormat};

use super::phone::{Call, Phone, both, no_camera};

async fn until_paused(phone: &mut Phone) {
    let paused = |event: &CallEvent| match event {
        CallEvent::MediaState { media: MediaState { video: false, .. }, paused: Some(Paused::Bandwidth), .. } => {
            Some(())
        }
        _ => None,
    };
    phone.until("the other side's video is said to be paused", paused).await;
}

async fn until_told(phone: &mut Phone, video: Option<SentVideo>, quality: Quality) {
    let told = |event: &CallEvent| match event {
        CallEvent::Network { network, .. } => (network.video == video && network.quality == quality).then_some(()),
        _ => None,
    };
    phone.until(&format!("the network is said to be {quality:?} and the video {video:?}"), told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_carries_sound_alone_pauses_video_and_tells_both_sides() {
    // 50 packets a second of sound take some 70 kbit/s.
    let narrow = EngineConfig { impairment: Some("rate=80k,delay=20,seed=1".parse().unwrap()), ..both() };
    let Call { mut caller, mut callee, .. } = Call::connect(no_camera(), narrow).await;
    until_paused(&mut caller).await;
    until_told(&mut callee, Some(SentVideo::Paused), Quality::Poor).await;
    let timeline = callee.engine.timeline().await;
    callee.does(EngineCommand::HangUp);
    callee.until_ended().await;
    let entries = timeline["entries"].as_array().unwrap();
    let paused = |entry: &serde_json::Value| entry["network"]["video"] == "paused";
    assert!(entries.iter().any(paused), "{timeline:#}");
    assert!(entries.iter().any(|entry| entry["ice"] == "connected"), "{timeline:#}");
    // It is kept when the call is over.
    let kept = callee.engine.timeline().await;
    let last = kept["entries"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["event"], &kept["call"]), (&"ended".into(), &timeline["call"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_in_a_running_call_and_is_no_complaint() {
    let format = |text: &str| text.parse::<VideoFormat>().unwrap();
    let camera = EngineConfig { video: format("640x360@15"), bitrate: Bitrate::from_kbps(600), ..both() };
    let Call { mut caller, callee, .. } = Call::connect(camera, no_camera()).await;
    let seen = |size| callee.until_stats("video of this size", move |stats| stats.link.video_in.size == size);
    seen((640, 360)).await;
    let limit = |text, kbps| {
        EngineCommand::SetVideoLimit(VideoLimit {
            format: format(text),
            bitrate: Bitrate::from_kbps(kbps),
            total: None,
        })
    };
    caller.does(limit("320x180@30", 200));
    seen((320, 180)).await;
    until_told(&mut caller, Some(SentVideo::Sent(format("320x180@15"))), Quality::Good).await;
    // A larger one opens the camera anew.
    caller.does(limit("1280x720@15", 2000));
    seen((1280, 720)).await;
}
