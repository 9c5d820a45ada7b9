//! Outgoing calls to Echo, with the test devices.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_echo_brings_pictures_both_ways_and_is_in_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::with_test_devices(folder.path()).await;
    let echo = fixture.echo().await;
    let call = fixture.app.call_start(&echo, true).await.unwrap();
    assert_eq!((call.direction, &*call.peer), (Direction::Outgoing, &*echo));
    assert_eq!(fixture.app.call_start(&echo, true).await.unwrap_err().code, "busy");
    let active = fixture.phase(CallPhase::Active).await;
    pictures(fixture.app.hub(), &active.remote_stream.unwrap(), 30).await;
    pictures(fixture.app.hub(), &active.local_stream.unwrap(), 30).await;

    fixture.app.call_hold(true).unwrap();
    assert!(fixture.phase(CallPhase::Held).await.held_here);
    fixture.app.call_hold(false).unwrap();
    fixture.phase(CallPhase::Active).await;

    fixture.app.stats_watch(true);
    // Video begins small and grows as fast as the path is found.
    let stats = fixture.wait("video in full size", |event| match event {
        AppEvent::Stats { stats } if stats.incoming.fps > 5.0 && stats.incoming.width == 1280 => Some(*stats),
        _ => None,
    });
    assert_eq!(stats.await.incoming.height, 720);

    fixture.app.call_hang_up().unwrap();
    let ended = fixture.phase(CallPhase::Ended).await;
    assert_eq!(ended.end.unwrap().reason, "hangup");
    let entry = fixture.wait("the history", |event| match event {
        AppEvent::History { entries } => entries.first().cloned(),
        _ => None,
    });
    let entry = entry.await;
    assert_eq!((entry.outcome, entry.video, &*entry.peer_name), (Outcome::Answered, true, "Echo"));
    assert!(entry.seen && entry.ended_at > entry.answered_at);
    assert_eq!(fixture.app.call_hang_up().unwrap_err().code, "no-call");
    fixture.app.stop().await;

    drop(fixture);
    let fixture = Fixture::start(folder.path()).await;
    assert_eq!(fixture.app.overview().await.unwrap().history.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_follow_each_other_with_what_was_set_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::with_test_devices(folder.path()).await;
    let echo = fixture.echo().await;
    fixture.app.call_start(&echo, false).await.unwrap();
    let active = fixture.phase(CallPhase::Active).await;
    assert!(active.sending.audio && !active.sending.video && active.local_stream.is_none());
    // In a call: in force at once.
    fixture.app.device_choose(DeviceKind::Microphone, Some("nothing-like-it".into())).await.unwrap();
    let unheard = fixture.wait("unheard", |event| match event {
        AppEvent::Call { call } if call.unheard.is_some() => Some(call.clone()),
        _ => None,
    });
    let call = unheard.await;
    assert_eq!((call.unheard, call.sending.audio), (Some(Unheard::NoMicrophone), false));
    assert!(call.notices.iter().any(|notice| notice.code == "microphone-missing"), "{:?}", call.notices);
    fixture.app.device_choose(DeviceKind::Microphone, Some(TEST_TONE_ID.into())).await.unwrap();
    let heard = fixture.wait("heard", |event| match event {
        AppEvent::Call { call } if call.unheard.is_none() => Some(call.clone()),
        _ => None,
    });
    let call = heard.await;
    assert!(call.sending.audio && !call.notices.iter().any(|notice| notice.code == "microphone-missing"));
    fixture.app.call_hang_up().unwrap();
    fixture.phase(CallPhase::Ended).await;
    fixture.wait("the history", |event| matches!(event, AppEvent::History { .. }).then_some(())).await;

    fixture.app.device_choose(DeviceKind::Microphone, Some("nothing-like-it".into())).await.unwrap();
    let waiting = timeout(LIMIT, async {
        // The engine is exchanged in the background.
        while fixture.app.state().choice.microphone == ahoy_media::audio::microphone::MicrophoneSpec::Tone {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waiting.await.unwrap();
    fixture.app.call_start(&echo, true).await.unwrap();
    let unheard = fixture.wait("unheard", |event| match event {
        AppEvent::Call { call } if call.unheard.is_some() => Some(call.clone()),
        _ => None,
    });
    let call = unheard.await;
    assert_eq!(call.unheard, Some(Unheard::NoMicrophone));
    // Where there is no sound server, there is no speaker either.
    assert!(call.notices.iter().any(|notice| notice.code == "microphone-missing"), "{:?}", call.notices);
    fixture.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_can_be_called_where_calls_go_by_relay_only_and_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::with_test_devices(folder.path()).await;
    fixture.app.settings_set(values(json!({"relayOnly": true}))).await.unwrap();
    fixture.app.call_start(&fixture.echo().await, true).await.unwrap();
    let active = fixture.phase(CallPhase::Active).await;
    pictures(fixture.app.hub(), &active.remote_stream.unwrap(), 5).await;
    fixture.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_called_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start(folder.path()).await;
    let echo = fixture.echo().await;
    for id in ["", "nonsense", &"a".repeat(64)] {
        assert_eq!(fixture.app.call_start(id, true).await.unwrap_err().code, "no-contact");
    }
    fixture.app.settings_set(values(json!({"videoDisabled": true}))).await.unwrap();
    assert_eq!(fixture.app.call_start(&echo, true).await.unwrap_err().code, "calls-disabled");
    let off = json!({"videoDisabled": false, "experimentalCalls": false});
    fixture.app.settings_set(values(off)).await.unwrap();
    assert_eq!(fixture.app.call_start(&echo, true).await.unwrap_err().code, "webview-cannot");
    for result in [
        fixture.app.contacts_remove(&echo).await,
        fixture.app.contacts_block(&echo, true).await,
        fixture.app.contacts_rename(&echo, "x").await,
    ] {
        assert_eq!(result.unwrap_err().code, "echo-stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_browser_mode_the_page_makes_the_offer_and_gets_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::start(folder.path()).await;
    fixture.app.media_mode(true).await.unwrap();
    let echo = fixture.echo().await;
    let call = fixture.app.call_start(&echo, true).await.unwrap();
    assert_eq!(call.mode, CallMode::Browser);
    fixture.phase(CallPhase::Connecting).await;
    let offer = || SignalPayload::CallOffer { sdp: OFFER.to_owned() };
    assert_eq!(fixture.app.signal_send("another", offer()).unwrap_err().code, "no-call");
    fixture.app.signal_send(&call.id, offer()).unwrap();
    // In whichever order they come.
    let connected = fixture.wait("answer, candidate and the call", {
        let (mut kinds, mut active) = (Vec::new(), None);
        move |event| {
            match event {
                AppEvent::Signal { payload: SignalPayload::CallAnswer { sdp }, .. } => {
                    kinds.push(if sdp.starts_with("v=0") { "answer" } else { "nonsense" });
                }
                AppEvent::Signal { payload: SignalPayload::IceCandidate { .. }, .. } => kinds.push("candidate"),
                AppEvent::Signal { .. } => kinds.push("nonsense"),
                AppEvent::Call { call } if call.phase == CallPhase::Active => active = Some(call.clone()),
                _ => {}
            }
            (kinds.len() >= 2).then(|| Some((kinds[..2].to_vec(), active.clone()?))).flatten()
        }
    });
    let (signals, active) = connected.await;
    assert_eq!(signals, ["answer", "candidate"]);
    assert_eq!((active.remote_stream, active.local_stream), (None, None));
    fixture.app.call_hang_up().unwrap();
    fixture.phase(CallPhase::Ended).await;
}

/// The least that a browser offers for sound.
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_tried_without_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::with_test_devices(folder.path()).await;
    fixture.app.device_test(DeviceKind::Camera, true).await.unwrap();
    pictures(fixture.app.hub(), "preview", 10).await;
    fixture.app.device_test(DeviceKind::Microphone, true).await.unwrap();
    let loud = fixture.wait("a level", |event| match event {
        AppEvent::Level { kind: DeviceKind::Microphone, peak } if *peak > 0.2 => Some(*peak),
        _ => None,
    });
    assert!(loud.await <= 1.0);
    let echo = fixture.echo().await;
    fixture.app.call_start(&echo, false).await.unwrap();
    assert_eq!(fixture.app.device_test(DeviceKind::Camera, true).await.unwrap_err().code, "in-call");
    fixture.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_when_the_app_ends_is_written_down_with_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::with_test_devices(folder.path()).await;
    fixture.app.call_start(&fixture.echo().await, false).await.unwrap();
    fixture.phase(CallPhase::Active).await;
    fixture.app.stop().await;
    drop(fixture);
    let fixture = Fixture::start(folder.path()).await;
    assert_eq!(fixture.outcomes().await, [(Outcome::Answered, Direction::Outgoing)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_right_after_the_click_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::with_test_devices(folder.path()).await;
    let (app, echo) = (Arc::clone(&fixture.app), fixture.echo().await);
    let calling = tokio::spawn(async move { app.call_start(&echo, false).await });
    let hang_up = timeout(LIMIT, async {
        while fixture.app.call_hang_up().is_err() {
            tokio::task::yield_now().await;
        }
    });
    hang_up.await.unwrap();
    calling.await.unwrap().unwrap();
    fixture.phase(CallPhase::Ended).await;
    fixture.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_changes_while_a_call_begins_loses_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::with_test_devices(folder.path()).await;
    let echo = fixture.echo().await;
    for on in [false, true, false] {
        let set = fixture.app.settings_set(values(json!({"noiseSuppression": on})));
        let (set, call) = tokio::join!(set, fixture.app.call_start(&echo, false));
        set.unwrap();
        call.unwrap();
        fixture.phase(CallPhase::Active).await;
        fixture.app.call_hang_up().unwrap();
        fixture.phase(CallPhase::Ended).await;
        fixture.wait("the history", |event| matches!(event, AppEvent::History { .. }).then_some(())).await;
    }
    fixture.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_engine_does_not_take_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::with_test_devices(folder.path()).await;
    // Who does not answer: so the engine says nothing of these calls by itself for as long as it looks for
    // them.
    let nobody = fixture.befriend();
    let contact = Contact { peer: network::key_of(nobody).unwrap(), whereabouts: Default::default() };
    fixture.app.transport.add_contact(contact);
    let call = fixture.app.call_start(&nobody.to_string(), false).await.unwrap();
    let problem = Problem::new(ProblemCode::Busy, "another call rings", "Hang up first.");
    fixture.engine_says(&call.id.parse().unwrap(), CallEvent::Problem(problem)).await;
    assert_eq!(fixture.phase(CallPhase::Ended).await.end.unwrap().reason, "failed");
    assert!(fixture.app.calls().is_empty());
    assert_eq!(fixture.outcomes().await, [(Outcome::Failed, Direction::Outgoing)]);
    // In truth it has taken it.
    fixture.app.state().caller.command(EngineCommand::HangUp);

    // The other one is told first.
    fixture.app.call_start(&nobody.to_string(), false).await.unwrap();
    let caller = fixture.befriend();
    let media = message::MediaState { audio: true, video: false };
    let peer = PeerId::from(caller.to_string());
    fixture.engine_says(&CallId::random(), CallEvent::Incoming { peer, media }).await;
    assert_eq!(fixture.app.calls()[0].peer, caller.to_string());
    assert_eq!(fixture.outcomes().await, [(Outcome::Failed, Direction::Outgoing); 2]);
    fixture.app.stop().await;
}
