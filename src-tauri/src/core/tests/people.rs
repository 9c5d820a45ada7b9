//! Contacts, their presence, and our own.

use super::*;

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
