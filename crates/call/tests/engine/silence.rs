//! Sound that should be heard and is not: who is told, and who is not bothered.

use ahoy_call::{
    engine::{EngineCommand, EngineConfig},
    event::{CallEvent, Silence},
    message::Payload,
};
use ahoy_media::audio::{microphone::MicrophoneSpec, wav};

use super::{
    devices::Scratch,
    exchange::Exchange,
    phone::{Call, Phone, both},
};

async fn until_unheard(phone: &mut Phone, wanted: Silence) {
    let is =
        |event: &CallEvent| matches!(event, CallEvent::Unheard { silence, .. } if *silence == wanted).then_some(());
    phone.until("silence", is).await;
}

async fn until_heard(phone: &mut Phone, silence: Silence) {
    phone.until("sound again", |event| (*event == CallEvent::Heard { silence }).then_some(())).await;
}

fn unheard(event: &CallEvent) -> bool {
    matches!(event, CallEvent::Unheard { .. })
}

/// Its user is told; to the other side it is a pause in talking.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_microphone_that_gives_nothing_is_told_until_another_is_chosen() {
    let file = Scratch::new("silence.wav", b"");
    wav::Writer::create(&file.path()).unwrap().write(&[0.0; 48_000]).unwrap();
    let config = EngineConfig { microphone: Some(MicrophoneSpec::File(file.path())), ..both() };
    let Call { mut caller, mut callee, .. } = Call::connect(config, both()).await;
    until_unheard(&mut caller, Silence::Microphone).await;
    // Two seconds over the time after which the other side would complain.
    callee.until_stats("seven seconds", |stats| stats.audio.jitter.total_samples > 7 * 48_000).await;
    assert_eq!(callee.count(unheard), 0, "{:#?}", callee.seen);
    caller.does(EngineCommand::SetDevices(both().devices()));
    until_heard(&mut caller, Silence::Microphone).await;
    assert_eq!(caller.count(unheard), 1);
}

/// Whoever is muted, or hears nobody because nobody speaks, is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn muted_microphones_and_held_calls_are_not_missed() {
    let Call { mut caller, mut callee, .. } = Call::connect(both(), both()).await;
    caller.does(EngineCommand::SetAudio(false));
    let samples = |phone: &Phone| {
        let engine = phone.engine.clone();
        async move { engine.stats().await[0].audio.jitter.total_samples }
    };
    let start = samples(&callee).await;
    callee.until_stats("seven seconds", |stats| stats.audio.jitter.total_samples > start + 7 * 48_000).await;
    caller.does(EngineCommand::Hold);
    let start = samples(&callee).await;
    callee.until_stats("seven seconds", |stats| stats.audio.jitter.total_samples > start + 7 * 48_000).await;
    assert_eq!((caller.count(unheard), callee.count(unheard)), (0, 0));
}

/// A microphone that is said to be on, and nothing comes of it: as of a link that carries no sound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_are_told_of_sound_that_does_not_arrive_and_of_its_return() {
    let exchange = Exchange::forging(|payload| {
        if let Payload::MediaState { media, .. } = payload {
            media.audio = true;
        }
    });
    let config = EngineConfig { microphone: None, ..both() };
    let Call { mut caller, mut callee, .. } = Call::connect_by(exchange, config, both()).await;
    until_unheard(&mut callee, Silence::FromPeer).await;
    until_unheard(&mut caller, Silence::ToPeer).await;
    caller.does(EngineCommand::SetDevices(both().devices()));
    caller.does(EngineCommand::SetAudio(true));
    until_heard(&mut callee, Silence::FromPeer).await;
    until_heard(&mut caller, Silence::ToPeer).await;
    assert_eq!((caller.count(unheard), callee.count(unheard)), (1, 1));
}
