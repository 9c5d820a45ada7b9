//! Held calls.

use std::time::Duration;

use ahoy_call::{
    engine::{EngineCommand, PeerStats},
    event::CallEvent,
};

use super::{
    phone::{Call, Phone, both, pictures_out, sound_out},
    screen::Screen,
};

const STILL: Duration = Duration::from_millis(700);

fn sent(stats: &PeerStats) -> u64 {
    sound_out(stats) + pictures_out(stats)
}

async fn until_hold(phone: &mut Phone, who: (bool, bool)) {
    phone
        .until(&format!("hold {who:?}"), |event| match event {
            CallEvent::Hold { local, remote, .. } if (*local, *remote) == who => Some(()),
            _ => None,
        })
        .await;
}

/// Neither side sends anything, and the cameras are closed.
async fn nothing_flows(one: &Phone, other: &Phone) {
    for phone in [one, other] {
        phone.until_still("what it sends", STILL, sent).await;
        assert!(phone.stats().await.video.is_none(), "{}'s camera is open", phone.name);
    }
}

async fn all_flows(one: &Phone, other: &Phone) {
    for phone in [one, other] {
        phone.until_grown("sound", 20, sound_out).await;
        phone.until_grown("pictures", 20, pictures_out).await;
        phone.until_grown("sound of the other", 20, |stats| stats.link.audio_in_packets).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_flows_while_either_side_holds_and_all_flows_after() {
    let Call { id, mut caller, mut callee, .. } = Call::connect(both(), both()).await;
    let mut screen = Screen::of(&callee.hub, &id, &caller.name);
    screen.next().await;
    all_flows(&caller, &callee).await;

    caller.does(EngineCommand::Hold);
    until_hold(&mut caller, (true, false)).await;
    until_hold(&mut callee, (false, true)).await;
    nothing_flows(&caller, &callee).await;

    // Both hold: one side's resuming does not do.
    callee.does(EngineCommand::Hold);
    until_hold(&mut caller, (true, true)).await;
    caller.does(EngineCommand::Resume);
    until_hold(&mut callee, (true, false)).await;
    nothing_flows(&caller, &callee).await;

    callee.does(EngineCommand::Resume);
    until_hold(&mut caller, (false, false)).await;
    screen.forget();
    all_flows(&caller, &callee).await;
    assert!(screen.next().await.key, "the first picture after the hold is no key frame");
    for phone in [&caller, &callee] {
        let stats = phone.stats().await.link.video_in;
        assert_eq!(stats.freezes, 0, "{}: the hold was taken for a freeze: {stats:#?}", phone.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_call_can_be_muted_and_hung_up() {
    let Call { mut caller, mut callee, .. } = Call::connect(both(), both()).await;
    caller.does(EngineCommand::Hold);
    until_hold(&mut callee, (false, true)).await;
    caller.does(EngineCommand::SetAudio(false));
    caller.does(EngineCommand::Resume);
    until_hold(&mut caller, (false, false)).await;
    caller.until_grown("pictures", 20, pictures_out).await;
    caller.until_silent().await;
    callee.does(EngineCommand::Hold);
    until_hold(&mut caller, (false, true)).await;
    caller.does(EngineCommand::HangUp);
    caller.until_ended().await;
    callee.until_ended().await;
}
