//! The app without its window, by the echo contact and the test devices. Long because every test needs the same fixture: an app with
//! files of its own, and what it told.

use std::{path::Path, time::Duration};

use ahoy_call::{
    engine::EngineEvent,
    event::{CallEvent, Problem, ProblemCode},
    id::{CallId, PeerId},
    message,
};
use ahoy_media::{
    device::audio::TEST_TONE_ID,
    webm::hub::{Chunk, StreamId},
};
use ahoy_store::{NewContact, Whereabouts};
use ahoy_transport::{Contact, Event, SecretKey};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::*;
use crate::{
    api::{Call, CallPhase, DeviceKind, Direction, Outcome, SignalPayload, Unheard},
    settings::PlainFile,
};

/// Over what anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(20);

/// A call that rings here, for tests of what the desktop is told.
pub fn ringing_call(name: &str, mode: CallMode) -> Call {
    Running::new(&CallId::random(), &"p".into(), name.to_owned(), Direction::Incoming, true, mode).call
}

struct Fixture {
    app: Arc<App>,
    events: mpsc::UnboundedReceiver<AppEvent>,
    seen: Vec<AppEvent>,
}

impl Fixture {
    async fn start(folder: &Path) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let sink: Sink = Arc::new(move |event| drop(sender.send(event)));
        let app = App::start(options(folder), sink).await.unwrap();
        Self { app, events, seen: Vec::new() }
    }

    /// An app that calls with the test pattern and the test tone.
    async fn with_test_devices(folder: &Path) -> Self {
        let fixture = Self::start(folder).await;
        let patch = json!({"camera": "pattern", "microphone": "tone", "experimentalCalls": true});
        fixture.app.settings_set(patch.as_object().unwrap().clone()).await.unwrap();
        fixture
    }

    /// Waits for something that the page is told.
    async fn wait<T>(&mut self, what: &str, mut found: impl FnMut(&AppEvent) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("the app has ended");
                let value = found(&event);
                self.seen.push(event);
                if let Some(value) = value {
                    return value;
                }
            }
        };
        match timeout(LIMIT, waiting).await {
            Ok(value) => value,
            Err(_) => panic!("{what} did not come; seen: {:#?}", self.seen),
        }
    }

    async fn phase(&mut self, phase: CallPhase) -> Call {
        self.wait(&format!("{phase:?}"), |event| match event {
            AppEvent::Call { call } if call.phase == phase => Some(call.clone()),
            _ => None,
        })
        .await
    }

    async fn outcomes(&self) -> Vec<(Outcome, Direction)> {
        let history = self.app.history_list(None).await.unwrap();
        history.iter().map(|entry| (entry.outcome, entry.direction)).collect()
    }

    /// Somebody who is a contact and does not exist.
    fn befriend(&self) -> EndpointId {
        let peer = network::id_of(SecretKey::generate().public());
        let contact = NewContact { peer, name: None, own_name: None, whereabouts: Whereabouts::default() };
        self.app.store.add_contact(&contact, now()).unwrap();
        peer
    }

    /// The engine says something.
    async fn engine_says(&self, call: &CallId, event: CallEvent) {
        self.app.on_event(EngineEvent { call: call.clone(), event }).await;
    }

    async fn echo(&self) -> String {
        self.app.overview().await.unwrap().contacts.first().unwrap().id.clone()
    }
}

fn options(folder: &Path) -> Options {
    let profile = Profile::within(folder);
    Options { profile, settings_file: Arc::new(PlainFile), loopback_only: true }
}

async fn refused(folder: &Path) -> Notice {
    match App::start(options(folder), Arc::new(|_| {})).await {
        Ok(_) => panic!("it started"),
        Err(notice) => notice,
    }
}

fn values(value: Value) -> Values {
    value.as_object().unwrap().clone()
}

/// Reads a stream for some pictures, each a cluster.
async fn pictures(hub: &Hub, stream: &str, count: usize) {
    let id = StreamId::new(stream);
    let reading = async {
        let (mut after, mut read) = (None, 0);
        while read < count {
            match hub.read(&id, after).await {
                Ok(Chunk::Media { next, .. }) => (after, read) = (Some(next), read + 1),
                Ok(Chunk::End) => panic!("{stream} ended"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(LIMIT, reading).await.unwrap_or_else(|_| panic!("no pictures in {stream}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_has_the_echo_contact_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start(folder.path()).await;
    let start = fixture.app.overview().await.unwrap();
    assert_eq!(start.contacts.iter().map(|contact| contact.echo).collect::<Vec<_>>(), [true]);
    assert!(start.requests.is_empty() && start.history.is_empty() && start.call.is_none() && start.notices.is_empty());
    assert!(!start.settings.first_run_done);
    assert_eq!(start.me.id.len(), 64);
    fixture.app.stop().await;
}

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
async fn the_first_look_at_the_webview_decides_where_media_run() {
    for (has, mode) in [(false, CallMode::Native), (true, CallMode::Browser)] {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Fixture::start(folder.path()).await;
        let found = fixture.app.media_mode(has).await.unwrap();
        assert_eq!((found.mode, found.why, found.can_browser), (mode, MediaModeReason::Setting, has));
        drop(fixture);
        // Later looks change nothing.
        let fixture = Fixture::start(folder.path()).await;
        let found = fixture.app.media_mode(!has).await.unwrap();
        let why = if has { MediaModeReason::WebviewCannot } else { MediaModeReason::Setting };
        assert_eq!((found.mode, found.why), (mode, why));
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
async fn a_profile_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Fixture::start(folder.path()).await;
    assert_eq!(refused(folder.path()).await.code, "database-in-use");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_told_and_never_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::within(folder.path());
    for path in [profile.database(), profile.settings()] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x".repeat(5000)).unwrap();
    }
    let fixture = Fixture::start(folder.path()).await;
    let start = fixture.app.overview().await.unwrap();
    let codes: Vec<_> = start.notices.iter().map(|notice| &*notice.code).collect();
    assert_eq!(codes, ["database-damaged", "settings-damaged"]);
    assert!(start.notices.iter().all(|notice| !notice.what.is_empty() && !notice.todo.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_become_contacts_by_an_invite_and_call_each_other() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut ada = Fixture::with_test_devices(folders[0].path()).await;
    let mut bob = Fixture::with_test_devices(folders[1].path()).await;
    ada.app.settings_set(values(json!({"name": "Ada"}))).await.unwrap();
    bob.app.settings_set(values(json!({"name": "Bob"}))).await.unwrap();

    let invite = ada.app.invite_create().await.unwrap();
    assert!(invite.link.starts_with("ahoy:") && invite.qr_svg.contains("<svg"));
    let own = ada.app.contacts_add(&invite.link).await;
    assert_eq!(own.unwrap_err().code, "invite-own");
    let added = bob.app.contacts_add(&format!(" {}\n", invite.link)).await.unwrap();
    assert_eq!(added.name, "Ada");
    let seen = |name: &'static str| {
        move |event: &AppEvent| match event {
            AppEvent::Contacts { contacts } => {
                contacts.iter().find(|contact| contact.name == name && contact.presence == Presence::Online).cloned()
            }
            _ => None,
        }
    };
    let ada_at_bobs = bob.wait("Ada online", seen("Ada")).await;
    let bob_at_adas = ada.wait("Bob online", seen("Bob")).await;
    let cut = bob.app.contacts_add(&invite.link[..40]).await;
    assert_eq!(cut.unwrap_err().code, "invite-cut");

    bob.app.call_start(&ada_at_bobs.id, true).await.unwrap();
    let incoming = ada.phase(CallPhase::Incoming).await;
    assert_eq!((&*incoming.peer_name, &incoming.peer), ("Bob", &bob_at_adas.id));
    bob.phase(CallPhase::Ringing).await;
    assert_eq!(ada.app.call_accept("another", true).unwrap_err().code, "not-ringing");
    ada.app.call_accept(&incoming.id, true).unwrap();
    let (at_adas, at_bobs) = (ada.phase(CallPhase::Active).await, bob.phase(CallPhase::Active).await);
    pictures(ada.app.hub(), &at_adas.remote_stream.unwrap(), 15).await;
    pictures(bob.app.hub(), &at_bobs.remote_stream.unwrap(), 15).await;
    ada.app.call_audio(false).unwrap();
    let muted = bob.wait("muted", |event| match event {
        AppEvent::Call { call } if !call.receiving.audio => Some(call.receiving.video),
        _ => None,
    });
    assert!(muted.await);
    bob.app.call_hang_up().unwrap();
    ada.phase(CallPhase::Ended).await;
    bob.phase(CallPhase::Ended).await;

    // Calls switched off are seen, and refused.
    ada.app.settings_set(values(json!({"videoDisabled": true}))).await.unwrap();
    bob.wait("no calls", |event| match event {
        AppEvent::Contacts { contacts } => {
            contacts.iter().any(|contact| contact.presence == Presence::NoCalls).then_some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(bob.app.call_start(&ada_at_bobs.id, true).await.unwrap_err().code, "contact-no-calls");
    ada.app.stop().await;
    bob.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_key_is_told_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = Profile::within(folder.path()).key();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "no key").unwrap();
    assert_eq!(refused(folder.path()).await.code, "key-damaged");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "no key");
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
    // Who does not answer: so the engine says nothing of these calls by itself for as long as it looks for them.
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

#[tokio::test(flavor = "multi_thread")]
async fn who_was_blocked_is_not_shown_as_it_was_before() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start(folder.path()).await;
    let peer = fixture.befriend();
    let key = network::key_of(peer).unwrap();
    let online = Event::Presence { peer: key, presence: ahoy_transport::Presence::Online, name: Some("Eve".into()) };
    fixture.app.on_network(online).await.unwrap();
    let shown = async || fixture.app.contacts().await.unwrap()[1].presence;
    assert_eq!(shown().await, Presence::Online);
    for blocked in [true, false] {
        fixture.app.contacts_block(&peer.to_string(), blocked).await.unwrap();
        assert_eq!(shown().await, Presence::Offline);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_want_to_be_disturbed_is_not_wherever_that_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::start(folder.path()).await;
    for (presence, quiet) in [(Presence::DoNotDisturb, true), (Presence::Away, false), (Presence::DoNotDisturb, true)] {
        fixture.app.presence_set(presence).await.unwrap();
        assert_eq!(fixture.app.settings().do_not_disturb, quiet);
    }
    fixture.app.settings_set(values(json!({"doNotDisturb": false}))).await.unwrap();
    fixture.app.presence_set(Presence::Online).await.unwrap();
    assert!(!fixture.app.settings().do_not_disturb);
    assert_eq!(fixture.app.presence_set(Presence::InCall).await.unwrap_err().code, "presence-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_user_has_asked_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("ahoy.db")).unwrap();
    let key = SecretKey::generate().public();
    store.ask(network::id_of(key), now()).unwrap();
    assert_eq!(network::roster(&store).unwrap().requested, [key]);
}
