//! What becomes of incoming calls, by what the engine would say of them.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_click_for_a_call_that_another_one_has_replaced_answers_neither() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start(folder.path()).await;
    let media = message::MediaState { audio: true, video: false };
    let [first, second] = [CallId::random(), CallId::random()];
    for (call, ends) in [(&first, true), (&second, false)] {
        let peer = PeerId::from(fixture.befriend().to_string());
        fixture.engine_says(call, CallEvent::Incoming { peer, media }).await;
        if ends {
            let (reason, by) = (message::HangupReason::Hangup, ahoy_call::event::Side::Remote);
            fixture.engine_says(call, CallEvent::Ended { reason, by, text: "Over.".into() }).await;
        }
    }
    for late in [fixture.app.call_accept(first.as_str(), true), fixture.app.call_decline(first.as_str())] {
        let notice = late.unwrap_err();
        assert_eq!(notice.code, "not-ringing");
        assert!(!notice.what.is_empty() && !notice.todo.is_empty());
    }
    let rings = fixture.app.calls();
    assert_eq!((&*rings[0].id, rings[0].phase), (second.as_str(), CallPhase::Incoming));
    assert!(!rings[0].wanted.video, "the click for the other call has changed this one");
    fixture.app.call_decline(second.as_str()).unwrap();
    fixture.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_calls_are_switched_off_nothing_rings() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::start(folder.path()).await;
    fixture.app.settings_set(values(json!({"videoDisabled": true}))).await.unwrap();
    let media = message::MediaState { audio: true, video: true };
    let peer = PeerId::from(fixture.befriend().to_string());
    fixture.engine_says(&CallId::random(), CallEvent::Incoming { peer, media }).await;
    fixture.wait("the line in the history", |event| matches!(event, AppEvent::History { .. }).then_some(())).await;
    let rang = fixture.seen.iter().any(|event| matches!(event, AppEvent::Call { .. }));
    assert!(!rang, "a window comes up for a call that nobody wants");
    assert_eq!(fixture.outcomes().await, [(Outcome::Declined, Direction::Incoming)]);
    assert!(fixture.app.history_list(None).await.unwrap()[0].seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ringer_that_is_missing_is_told_once_until_it_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = Fixture::start(folder.path()).await;
    fixture.app.settings_set(values(json!({"ringer": "nothing-like-it"}))).await.unwrap();
    let media = message::MediaState { audio: true, video: false };
    let peer = PeerId::from(fixture.befriend().to_string());
    fixture.engine_says(&CallId::random(), CallEvent::Incoming { peer, media }).await;
    let notice = fixture.wait("what it rings on", |event| match event {
        AppEvent::Notice { notice } => Some(notice.clone()),
        _ => None,
    });
    let notice = notice.await;
    // Where there is no sound server, there is no other speaker either.
    assert!(["ringer-missing", "speaker-missing"].contains(&&*notice.code), "{notice:?}");

    let missing = || Err(Notice::new("ringer-missing", "Missing.", "Connect it."));
    let told = |fixture: &mut Fixture| std::iter::from_fn(|| fixture.events.try_recv().ok()).count();
    told(&mut fixture);
    for (opened, times) in [(missing(), 1), (missing(), 0), (Ok(()), 0), (missing(), 1)] {
        fixture.app.on_ringer(opened);
        assert_eq!(told(&mut fixture), times);
    }
    fixture.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_calls_all_the_time_fills_no_history() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start(folder.path()).await;
    let peer = PeerId::from(fixture.befriend().to_string());
    for _ in 0..50 {
        fixture.engine_says(&CallId::random(), CallEvent::Missed { peer: peer.clone() }).await;
    }
    let kept = fixture.outcomes().await;
    assert!(kept.len() < 20 && kept.iter().all(|kept| *kept == (Outcome::Missed, Direction::Incoming)), "{kept:?}");
    let media = message::MediaState { audio: true, video: true };
    fixture.engine_says(&CallId::random(), CallEvent::Incoming { peer, media }).await;
    assert!(fixture.app.calls().is_empty(), "it rings on and on");
    assert_eq!(fixture.outcomes().await.len(), kept.len());
}
