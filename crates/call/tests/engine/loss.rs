//! A bad network, the same each time by its seed.

use std::time::Duration;

use ahoy_call::{engine::EngineConfig, event::CallEvent};
use ahoy_media::units::{Bitrate, VideoFormat};
use tokio::time::sleep;

use super::{
    phone::{Call, both},
    screen::Screen,
};

const MEDIA: Duration = Duration::from_secs(20);

/// Guards the order of magnitude; `./dev bench` measures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_percent_loss_freezes_little_and_shows_nothing_broken() {
    let video = VideoFormat { width: 320, height: 180, fps: 30 };
    let config = || EngineConfig { video, bitrate: Bitrate::from_kbps(400), ..both() };
    let lossy = EngineConfig { impairment: Some("loss=0.05,delay=50,seed=1".parse().unwrap()), ..config() };
    let call = Call::connect(config(), lossy).await;
    let screens = [
        Screen::of(&call.callee.hub, &call.id, &call.caller.name),
        Screen::of(&call.caller.hub, &call.id, &call.callee.name),
    ];
    sleep(MEDIA).await;
    let Call { mut caller, mut callee, .. } = call;
    let measured = [callee.stats().await, caller.stats().await];
    caller.does(ahoy_call::engine::EngineCommand::HangUp);
    caller.until_ended().await;
    callee.until_ended().await;
    for (screen, stats) in screens.into_iter().zip(measured) {
        // A frame that does not decode is a panic of the screen.
        let shown = screen.rest().await;
        let counters: Vec<_> = shown.iter().map(|shown| shown.cells.expect("a whole picture").counter).collect();
        assert!(counters.windows(2).all(|pair| pair[0] < pair[1]), "{counters:?}");
        let (video, jitter) = (stats.link.video_in, stats.audio.jitter);
        let frozen = video.frozen.as_secs_f64() / MEDIA.as_secs_f64();
        let concealed = jitter.concealed_samples as f64 / jitter.total_samples as f64;
        println!(
            "{} gets {} pictures; {} freezes, frozen {:.2} %, longest gap {:?}; {} lost, {} recovered, {} key \\
             requests; sound concealed {:.2} %, buffer {:.0} ms; estimate {:?}",
            stats.peer,
            counters.len(),
            video.freezes,
            frozen * 100.0,
            video.longest_gap,
            video.receive.lost,
            video.receive.recovered,
            video.receive.key_requests,
            concealed * 100.0,
            jitter.target_ms,
            stats.link.estimate,
        );
        assert!(frozen < 0.05 && concealed < 0.03 && counters.len() > 300);
        assert!(stats.link.sound_repeated, "the test tone gets no FEC from Opus");
    }
    for phone in [&mut caller, &mut callee] {
        assert_eq!(phone.count(|event| matches!(event, CallEvent::Reconnecting { .. })), 0);
    }
}
