//! Ahoy and a browser, each at either end of a call. The browser's page speaks the six messages of the schema and no more;
//! what arrives is judged by its content.

use ahoy_test_support::{
    browser::{self, Browser, Options, Role, Source},
    content::Content,
    peer::{self, Peer},
};

#[tokio::test]
async fn browser_calls_browser_with_audio_and_video() {
    let (caller, callee) = browsers(|_| {}).await;
    for end in [&caller, &callee] {
        end.receives(0, "test pattern", Content::shows_pattern).await;
        end.receives(0, "test tone", Content::sounds_tone).await;
    }
    hang_up(&caller.peer, &callee.peer).await;
    assert_six_messages_only(&caller.peer);
    assert_six_messages_only(&callee.peer);
}

#[tokio::test]
async fn browser_calls_browser_with_audio_only() {
    let (caller, callee) = browsers(|options| options.video = false).await;
    for end in [&caller, &callee] {
        end.receives(0, "test tone", Content::sounds_tone).await;
        end.receives(0, "darkness", Content::ends_dark).await;
    }
    hang_up(&callee.peer, &caller.peer).await;
}

#[tokio::test]
async fn browser_calls_browser_with_video_only() {
    let (caller, callee) = browsers(|options| options.audio = false).await;
    for end in [&caller, &callee] {
        end.receives(0, "test pattern", Content::shows_pattern).await;
    }
    hang_up(&caller.peer, &callee.peer).await;
}

#[tokio::test]
async fn browser_sends_its_own_devices() {
    let (caller, callee) = browsers(|options| options.source = Source::Devices).await;
    for end in [&caller, &callee] {
        end.peer.event("first-video").await;
        end.peer.event("first-audio").await;
    }
}

#[tokio::test]
async fn muted_browser_sends_silence_until_it_is_unmuted() {
    let (caller, callee) = browsers(|_| {}).await;
    callee.receives(0, "test tone", Content::sounds_tone).await;
    let muted = callee.peer.position();
    caller.peer.command("mute");
    callee.receives(muted, "silence", Content::ends_silent).await;
    callee.receives(muted, "test pattern", Content::shows_pattern).await;
    let unmuted = callee.peer.position();
    caller.peer.command("unmute");
    callee.receives(unmuted, "test tone", Content::sounds_tone).await;
}

#[tokio::test]
async fn browser_with_its_camera_off_sends_no_picture_until_it_is_on() {
    let (caller, callee) = browsers(|_| {}).await;
    callee.receives(0, "test pattern", Content::shows_pattern).await;
    let off = callee.peer.position();
    caller.peer.command("camera-off");
    callee.receives(off, "darkness", Content::ends_dark).await;
    callee.receives(off, "test tone", Content::sounds_tone).await;
    let on = callee.peer.position();
    caller.peer.command("camera-on");
    callee.receives(on, "test pattern", Content::shows_pattern).await;
}

/// Two pages in a call, as `change` wants both.
async fn browsers(change: impl Fn(&mut Options)) -> (Browser, Browser) {
    let open = async |role| {
        let mut options = Options::new(role);
        change(&mut options);
        browser::open(&options).await
    };
    let (caller, callee) = (open(Role::Call).await, open(Role::Answer).await);
    peer::connect(&caller.peer, &callee.peer);
    caller.peer.event("connected").await;
    callee.peer.event("connected").await;
    (caller, callee)
}

/// `one` hangs up; both ends say so.
async fn hang_up(one: &Peer, other: &Peer) {
    one.command("hangup");
    for end in [one, other] {
        let ended = end.event("ended").await;
        assert_eq!(ended["reason"], "hangup", "{}", end.recent());
    }
}

/// A peer that knows only these can call and be called.
const SIX_MESSAGES: [&str; 6] =
    ["call-request", "call-ack", "call-offer", "call-answer", "ice-candidate", "call-hangup"];

fn assert_six_messages_only(page: &Peer) {
    for payload in page.sent_payloads() {
        let kind = payload["type"].as_str().unwrap_or_default();
        assert!(SIX_MESSAGES.contains(&kind), "the page sent {payload}");
    }
}
