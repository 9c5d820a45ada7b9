//! Making calls and ending them.

use ahoy_call::{
    engine::{EngineCommand, remote_stream},
    event::{CallEvent, Side},
    link::Route,
    message::HangupReason,
};

use super::{
    exchange::Exchange,
    phone::{Call, Phone, both, no_camera, pictures_out, sound_out},
    screen::Screen,
};

fn first_video(event: &CallEvent) -> Option<()> {
    matches!(event, CallEvent::FirstVideo { .. }).then_some(())
}

fn first_audio(event: &CallEvent) -> Option<()> {
    matches!(event, CallEvent::FirstAudio { .. }).then_some(())
}

/// Pictures that follow each other come out of the hub, and sound goes into the jitter buffer.
async fn media_flows(to: &mut Phone, from: &Phone, call: &ahoy_call::id::CallId) {
    let mut screen = Screen::of(&to.hub, call, &from.name);
    let mut last = None;
    for number in 0..10 {
        let shown = screen.next().await;
        assert!(number > 0 || shown.key, "the first picture is no key frame");
        assert_eq!(shown.size, (320, 180));
        let counter = shown.cells.expect("the test pattern").counter;
        assert!(last.is_none_or(|last| counter > last), "{counter} after {last:?}");
        last = Some(counter);
    }
    to.until_stats("sound", |stats| stats.audio.jitter.total_samples > 24_000).await;
}

fn ended(reason: HangupReason, by: Side) -> impl Fn(CallEvent) {
    move |event| match event {
        CallEvent::Ended { reason: actual, by: side, text } => {
            assert_eq!((&actual, side), (&reason, by));
            assert!(text.ends_with('.') && text.len() > 10, "{text:?} is not plain words");
        }
        other => panic!("{other:?} is no end"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_flows_both_ways_and_the_callers_hang_up_ends_both() {
    let Call { id, mut caller, mut callee, .. } = Call::connect(both(), both()).await;
    media_flows(&mut callee, &caller, &id).await;
    media_flows(&mut caller, &callee, &id).await;
    caller.does(EngineCommand::HangUp);
    ended(HangupReason::Hangup, Side::Local)(caller.until_ended().await);
    ended(HangupReason::Hangup, Side::Remote)(callee.until_ended().await);
    for phone in [&mut caller, &mut callee] {
        assert_eq!(phone.count(|event| first_video(event).is_some()), 1);
        assert_eq!(phone.count(|event| first_audio(event).is_some()), 1);
        assert_eq!(phone.count(|event| matches!(event, CallEvent::Problem(_))), 0, "{:#?}", phone.seen);
        assert!(phone.engine.stats().await.is_empty(), "an ended call has stats");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callees_hang_up_ends_both_and_the_next_call_works() {
    let Call { mut caller, mut callee, .. } = Call::connect(both(), both()).await;
    callee.does(EngineCommand::HangUp);
    ended(HangupReason::Hangup, Side::Local)(callee.until_ended().await);
    ended(HangupReason::Hangup, Side::Remote)(caller.until_ended().await);
    // The other way round, at once: whatever the first call is still closing must not reach into this one.
    let id = callee.calls(&caller);
    caller.until_incoming().await;
    caller.does(EngineCommand::Accept);
    caller.until_connected().await;
    callee.until_connected().await;
    media_flows(&mut callee, &caller, &id).await;
    media_flows(&mut caller, &callee, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_up_at_once_leaves_nobody_ringing() {
    let exchange = Exchange::default();
    let (mut anna, mut ben) = (Phone::on(&exchange, "anna", both()), Phone::on(&exchange, "ben", both()));
    anna.calls(&ben);
    anna.does(EngineCommand::HangUp);
    ended(HangupReason::Hangup, Side::Local)(anna.until_ended().await);
    ben.until_incoming().await;
    ended(HangupReason::Hangup, Side::Remote)(ben.until_ended().await);
    // Accepting what is over does nothing; the next call starts from nothing.
    ben.does(EngineCommand::Accept);
    let id = anna.calls(&ben);
    ben.until_incoming().await;
    ben.does(EngineCommand::Accept);
    ben.until_connected().await;
    anna.until_connected().await;
    media_flows(&mut ben, &anna, &id).await;
    media_flows(&mut anna, &ben, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_up_while_it_connects_ends_both() {
    let exchange = Exchange::default();
    let (mut anna, mut ben) = (Phone::on(&exchange, "anna", both()), Phone::on(&exchange, "ben", both()));
    anna.calls(&ben);
    ben.until_incoming().await;
    ben.does(EngineCommand::Accept);
    anna.until("the acceptance", |event| matches!(event, CallEvent::Connecting { .. }).then_some(())).await;
    anna.does(EngineCommand::HangUp);
    ended(HangupReason::Hangup, Side::Local)(anna.until_ended().await);
    ended(HangupReason::Hangup, Side::Remote)(ben.until_ended().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_call_ends_with_that_reason() {
    let exchange = Exchange::default();
    let (mut anna, mut ben) = (Phone::on(&exchange, "anna", both()), Phone::on(&exchange, "ben", both()));
    anna.calls(&ben);
    ben.until_incoming().await;
    ben.does(EngineCommand::Decline);
    ended(HangupReason::Declined, Side::Local)(ben.until_ended().await);
    ended(HangupReason::Declined, Side::Remote)(anna.until_ended().await);
    assert_eq!(anna.count(|event| matches!(event, CallEvent::Ringing { .. })), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_caller_hears_busy_and_the_call_goes_on() {
    let Call { exchange, mut caller, mut callee, .. } = Call::connect(no_camera(), no_camera()).await;
    let mut carla = Phone::on(&exchange, "carla", both());
    carla.calls(&caller);
    ended(HangupReason::Busy, Side::Remote)(carla.until_ended().await);
    let missed = |event: &CallEvent| match event {
        CallEvent::Missed { peer } => Some(peer.clone()),
        _ => None,
    };
    assert_eq!(caller.until("the missed call", missed).await, carla.name);
    callee.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
    assert_eq!(caller.count(|event| matches!(event, CallEvent::Ended { .. })), 0);
    // Who is called cannot call a third.
    callee.calls(&carla);
    callee.until("a problem", |event| matches!(event, CallEvent::Problem(_)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calling_each_other_at_once_is_one_call_with_media() {
    let exchange = Exchange::default();
    let (mut anna, mut ben) = (Phone::on(&exchange, "anna", both()), Phone::on(&exchange, "ben", both()));
    let (of_anna, of_ben) = (anna.calls(&ben), ben.calls(&anna));
    anna.until_connected().await;
    ben.until_connected().await;
    let id = anna.seen.last().unwrap().call.clone();
    assert_eq!(id, ben.seen.last().unwrap().call, "two calls");
    // Where one request arrives before the other is made, the second one is an acceptance: either id is right
    // then.
    assert!([&of_anna, &of_ben].contains(&&id));
    media_flows(&mut ben, &anna, &id).await;
    media_flows(&mut anna, &ben, &id).await;
    anna.does(EngineCommand::HangUp);
    anna.until_ended().await;
    ben.until_ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_an_engine_hangs_up_and_ends_its_events() {
    let Call { id, caller, mut callee, .. } = Call::connect(no_camera(), no_camera()).await;
    let Phone { engine, mut seen, name, .. } = caller;
    seen.clear();
    drop(engine);
    ended(HangupReason::Hangup, Side::Remote)(callee.until_ended().await);
    // What it read of the peer has ended too.
    let stream = remote_stream(&id, &name);
    let end = callee.hub.read(&stream, None).await;
    assert!(!matches!(end, Ok(ahoy_media::webm::hub::Chunk::Media { .. })), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_sends_back_what_it_hears_and_sees() {
    let echo = ahoy_call::engine::EngineConfig { echo: true, ..both() };
    let Call { id, mut caller, callee, .. } = Call::connect(both(), echo).await;
    media_flows(&mut caller, &callee, &id).await;
    callee.until_grown("sound", 20, sound_out).await;
    callee.until_grown("pictures", 20, pictures_out).await;
    for on in [false, true] {
        // What does not come cannot be sent back, and the caller is told so.
        caller.does(EngineCommand::SetVideo(on));
        let told =
            |event: &CallEvent| matches!(event, CallEvent::MediaState { media, .. } if media.video == on).then_some(());
        caller.until("what the echo sends", told).await;
    }
    callee.until_grown("pictures", 20, pictures_out).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_on_one_machine_takes_the_direct_route() {
    let Call { caller, callee, .. } = Call::connect(both(), both()).await;
    for phone in [&caller, &callee] {
        let stats = phone.until_stats("a route", |stats| stats.link.route.is_some()).await;
        assert_eq!(stats.link.route, Some(Route::Direct));
    }
}
