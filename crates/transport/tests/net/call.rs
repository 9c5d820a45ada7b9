//! The key moment: a call with real media whose signaling goes over two transports.

use std::sync::Arc;

use ahoy_call::{
    engine::{Engine, EngineCommand, EngineConfig, Events},
    event::CallEvent,
    id::CallId,
};
use ahoy_media::{
    audio::{microphone::MicrophoneSpec, opus::OpusSettings, process::ProcessingSettings, speaker::SpeakerSpec},
    units::{Bitrate, VideoFormat},
    video::capture::CameraSpec,
    webm::hub::Hub,
};

use super::side::{Side, name, pair, within};

/// Test pattern and test tone.
fn config() -> EngineConfig {
    EngineConfig {
        camera: Some(CameraSpec::Pattern),
        microphone: Some(MicrophoneSpec::Tone),
        speaker: SpeakerSpec::None,
        video: VideoFormat { width: 320, height: 180, fps: 15 },
        bitrate: Bitrate::from_kbps(300),
        total: None,
        processing: ProcessingSettings::OFF,
        opus: OpusSettings::default(),
        ice_servers: vec![],
        relay_only: false,
        same_machine: None,
        loopback_only: true,
        impairment: None,
        own_picture: false,
        largest: None,
        probe_turn: ahoy_call::link::ProbeTurn::default(),
        echo: false,
    }
}

fn phone(side: &Side) -> (Engine, Events) {
    Engine::start(config(), Arc::new(side.transport.clone()), Hub::new())
}

async fn until(events: &mut Events, what: &str, wanted: impl Fn(&CallEvent) -> bool) -> CallEvent {
    let event = async {
        loop {
            let event = events.recv().await.expect("the engine stopped").event;
            if wanted(&event) {
                return event;
            }
        }
    };
    within(what, event).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_engines_hold_a_call_over_two_transports() {
    let (anna, ben) = pair().await;
    let ((caller, mut caller_events), (callee, mut callee_events)) = (phone(&anna), phone(&ben));
    caller.command(EngineCommand::Call { peer: name(&ben), id: CallId::random() });
    let incoming = until(&mut callee_events, "the call", |event| matches!(event, CallEvent::Incoming { .. })).await;
    assert!(matches!(incoming, CallEvent::Incoming { peer, .. } if peer == name(&anna)));
    callee.command(EngineCommand::Accept);
    for events in [&mut caller_events, &mut callee_events] {
        until(events, "the first picture", |event| matches!(event, CallEvent::FirstVideo { .. })).await;
    }
    callee.command(EngineCommand::HangUp);
    for events in [&mut caller_events, &mut callee_events] {
        until(events, "the end", |event| matches!(event, CallEvent::Ended { .. })).await;
    }
    within("the end of the engines", async { tokio::join!(caller.stop(), callee.stop()) }).await;
}
