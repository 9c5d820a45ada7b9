//! Ahoy and other programs, each at either end of a call: the matrix of docs/interop.md. The others speak the
//! six messages of the schema and no more. What arrives is judged by its content.

use ahoy_test_support::{
    browser::{self, Engine, Options, Role, Source},
    content::Content,
    peer::{self, Peer},
    program::{Program, Running},
};
use ahoy_tests::{
    end::{End, Kind, Media, unix_ms},
    matrix,
};

/// One test of the matrix a line: its name, the caller, the callee, and what is checked. `ignore` stands
/// before tests that are run by hand.
macro_rules! matrix {
    (ignore = $why:literal; $($name:ident: $caller:ident, $callee:ident, $check:expr;)*) => {
        matrix! { $(#[ignore = $why] $name: $caller, $callee, $check;)* }
    };
    ($($(#[$attribute:meta])* $name:ident: $caller:ident, $callee:ident, $check:expr;)*) => {$(
        $(#[$attribute])*
        #[tokio::test]
        async fn $name() {
            if Kind::$caller.available() && Kind::$callee.available() {
                $check(Kind::$caller, Kind::$callee).await;
            }
        }
    )*};
}

matrix! {
    ahoy_calls_chromium_with_audio: Native, Chromium, audio;
    ahoy_calls_chromium_with_video: Native, Chromium, video;
    ahoy_calls_chromium_with_both: Native, Chromium, both;
    ahoy_mutes_and_turns_its_camera_off_as_caller_of_chromium: Native, Chromium, caller_toggles;
    chromium_mutes_and_turns_its_camera_off_as_callee_of_ahoy: Native, Chromium, callee_toggles;

    chromium_calls_ahoy_with_audio: Chromium, Native, audio;
    chromium_calls_ahoy_with_video: Chromium, Native, video;
    chromium_calls_ahoy_with_both: Chromium, Native, both;
    chromium_mutes_and_turns_its_camera_off_as_caller_of_ahoy: Chromium, Native, caller_toggles;
    ahoy_mutes_and_turns_its_camera_off_as_callee_of_chromium: Chromium, Native, callee_toggles;

    ahoy_calls_ahoy_with_audio: Native, Native, audio;
    ahoy_calls_ahoy_with_video: Native, Native, video;
    ahoy_calls_ahoy_with_both: Native, Native, both;
    ahoy_mutes_and_turns_its_camera_off_as_caller_of_ahoy: Native, Native, caller_toggles;
    ahoy_mutes_and_turns_its_camera_off_as_callee_of_ahoy: Native, Native, callee_toggles;

    ahoy_calls_firefox_with_video: Native, Firefox, video;
    firefox_calls_ahoy_with_video: Firefox, Native, video;

    chromium_holds_and_resumes_as_caller_of_ahoy: Chromium, Native, browser_holds;
    chromium_holds_and_resumes_as_callee_of_ahoy: Native, Chromium, browser_holds;

    chromium_adds_video_to_its_audio_call_to_ahoy: Chromium, Native, caller_adds_video;
    ahoy_adds_video_to_an_audio_call_from_chromium: Chromium, Native, callee_adds_video;
    ahoy_adds_video_to_its_audio_call_to_chromium: Native, Chromium, caller_adds_video;
    chromium_adds_video_to_an_audio_call_from_ahoy: Native, Chromium, callee_adds_video;

    chromium_offers_two_videos_to_ahoy: Chromium, Native, two_videos;
    chromium_adds_a_second_video_to_its_call_to_ahoy: Chromium, Native, browser_adds_second_video;
    chromium_adds_a_second_video_to_a_call_from_ahoy: Native, Chromium, browser_adds_second_video;

    // What the page itself is worth: without these, a failure above says little.
    chromium_calls_chromium_with_audio: Chromium, Chromium, audio;
    chromium_calls_chromium_with_video: Chromium, Chromium, video;
    chromium_calls_chromium_with_both: Chromium, Chromium, both;
    chromium_mutes_and_turns_its_camera_off_as_caller_of_chromium: Chromium, Chromium, caller_toggles;
    chromium_mutes_and_turns_its_camera_off_as_callee_of_chromium: Chromium, Chromium, callee_toggles;

    ahoy_calls_gstreamer_with_audio: Native, GStreamer, audio;
    ahoy_calls_gstreamer_with_video: Native, GStreamer, video;
    ahoy_calls_gstreamer_with_both_and_each_toggles: Native, GStreamer, both_toggle;
    gstreamer_calls_ahoy_with_audio: GStreamer, Native, audio;
    gstreamer_calls_ahoy_with_video: GStreamer, Native, video;
    gstreamer_calls_ahoy_with_both_and_each_toggles: GStreamer, Native, both_toggle;

    ahoy_calls_gstreamer_that_has_no_bundle: Native, GStreamerUnbundled, one_medium;
    gstreamer_without_a_bundle_calls_ahoy: GStreamerUnbundled, Native, one_medium;

    ahoy_calls_aiortc_with_audio: Native, Aiortc, audio;
    ahoy_calls_aiortc_with_video: Native, Aiortc, video;
    ahoy_calls_aiortc_with_both_and_each_toggles: Native, Aiortc, both_toggle;
    aiortc_calls_ahoy_with_audio: Aiortc, Native, audio;
    aiortc_calls_ahoy_with_video: Aiortc, Native, video;
    aiortc_calls_ahoy_with_both_and_each_toggles: Aiortc, Native, both_toggle;
}

matrix! {
    ignore = "the sound of a page in Firefox does not always start";
    ahoy_calls_firefox_with_audio: Native, Firefox, audio;
    ahoy_calls_firefox_with_both_and_each_toggles: Native, Firefox, both_toggle;
    firefox_calls_ahoy_with_audio: Firefox, Native, audio;
    firefox_calls_ahoy_with_both_and_each_toggles: Firefox, Native, both_toggle;
    firefox_holds_and_resumes_as_caller_of_ahoy: Firefox, Native, browser_holds;
    firefox_holds_and_resumes_as_callee_of_ahoy: Native, Firefox, browser_holds;
    firefox_adds_video_to_its_audio_call_to_ahoy: Firefox, Native, caller_adds_video;
    ahoy_adds_video_to_an_audio_call_from_firefox: Firefox, Native, callee_adds_video;
    firefox_offers_two_videos_to_ahoy: Firefox, Native, two_videos;
}

#[tokio::test]
async fn chromium_sends_its_own_camera_and_microphone() {
    let options = |role| Options { source: Source::Devices, ..Options::new(role) };
    let caller = browser::open(&options(Role::Call)).await;
    let callee = browser::open(&options(Role::Answer)).await;
    peer::connect(&caller.peer, &callee.peer);
    for end in [&caller.peer, &callee.peer] {
        end.event("first-video").await;
        end.event("first-audio").await;
    }
}

async fn audio(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Audio).await;
    for end in call.ends() {
        end.receives(0.0, "test tone", Content::sounds_tone).await;
        end.receives(0.0, "darkness", Content::ends_dark).await;
    }
    matrix::passed(caller, callee, "audio");
    call.hang_up(Role::Call).await;
    matrix::passed(caller, callee, "caller-hangs-up");
}

async fn video(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Video).await;
    for end in call.ends() {
        end.receives(0.0, "test pattern", Content::shows_pattern).await;
    }
    matrix::passed(caller, callee, "video");
    call.hang_up(Role::Answer).await;
    matrix::passed(caller, callee, "callee-hangs-up");
}

async fn both(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Both).await;
    for end in call.ends() {
        end.receives(0.0, "test pattern", Content::shows_pattern).await;
        end.receives(0.0, "test tone", Content::sounds_tone).await;
    }
    call.assert_others_spoke_six_messages();
    matrix::passed(caller, callee, "both");
}

/// Both media, and then each side mutes and turns its camera off, at the same time as the other.
async fn both_toggle(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Both).await;
    call.receive(0.0, "test pattern", Content::shows_pattern).await;
    call.receive(0.0, "test tone", Content::sounds_tone).await;
    matrix::passed(caller, callee, "both");

    let muted = call.command("mute");
    call.receive(muted, "silence", Content::ends_silent).await;
    call.receive(muted, "test pattern while muted", Content::shows_pattern).await;
    let unmuted = call.command("unmute");
    call.receive(unmuted, "test tone after unmuting", Content::sounds_tone).await;

    let off = call.command("camera-off");
    call.receive(off, "darkness", Content::ends_dark).await;
    call.receive(off, "test tone with the camera off", Content::sounds_tone).await;
    let on = call.command("camera-on");
    call.receive(on, "test pattern with the camera on again", Content::shows_pattern).await;
    call.assert_others_spoke_six_messages();
    matrix::passed(caller, callee, "caller-toggles");
    matrix::passed(caller, callee, "callee-toggles");
}

/// One end wants a connection for each medium. Ahoy carries the first medium and reports that it leaves out
/// the second.
async fn one_medium(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Both).await;
    call.receive(0.0, "test tone", Content::sounds_tone).await;
    call.receive(0.0, "darkness", Content::ends_dark).await;
    for end in call.ends().into_iter().filter(|end| matches!(end, End::Native(..))) {
        let told = end.peer().event("problem").await;
        assert!(told.to_string().contains("there is no video in this call"), "{told}");
    }
    matrix::passed(caller, callee, "one-medium");
}

async fn caller_toggles(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Both).await;
    toggles(call.caller.peer(), &mut call.callee).await;
    matrix::passed(caller, callee, "caller-toggles");
}

async fn callee_toggles(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Both).await;
    toggles(call.callee.peer(), &mut call.caller).await;
    matrix::passed(caller, callee, "callee-toggles");
}

/// Mute silences the sound and nothing else, camera-off darkens the picture and nothing else, and both come
/// back.
async fn toggles(near: &Peer, far: &mut End) {
    far.receives(0.0, "test pattern", Content::shows_pattern).await;
    far.receives(0.0, "test tone", Content::sounds_tone).await;

    let muted = command(near, "mute");
    far.receives(muted, "silence", Content::ends_silent).await;
    far.receives(muted, "test pattern while muted", Content::shows_pattern).await;
    let unmuted = command(near, "unmute");
    far.receives(unmuted, "test tone after unmuting", Content::sounds_tone).await;

    let off = command(near, "camera-off");
    far.receives(off, "darkness", Content::ends_dark).await;
    far.receives(off, "test tone with the camera off", Content::sounds_tone).await;
    let on = command(near, "camera-on");
    far.receives(on, "test pattern with the camera on again", Content::shows_pattern).await;
}

/// Gives a command, and says when.
fn command(peer: &Peer, command: &str) -> f64 {
    peer.command(command);
    unix_ms()
}

/// The browser holds the call by the directions of its descriptions and resumes it. Then it stops sending and
/// starts again.
async fn browser_holds(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Both).await;
    call.receive(0.0, "test pattern", Content::shows_pattern).await;
    call.receive(0.0, "test tone", Content::sounds_tone).await;

    let held = command(call.page().peer(), "hold");
    call.receive(held, "darkness on hold", Content::ends_dark).await;
    call.receive(held, "silence on hold", Content::ends_silent).await;
    let resumed = command(call.page().peer(), "resume");
    call.receive(resumed, "test pattern after the hold", Content::shows_pattern).await;
    call.receive(resumed, "test tone after the hold", Content::sounds_tone).await;

    let stopped = command(call.page().peer(), "stop-sending");
    call.ahoy().receives(stopped, "darkness", Content::ends_dark).await;
    call.ahoy().receives(stopped, "silence", Content::ends_silent).await;
    let alone = unix_ms();
    call.page().receives(alone, "test pattern while it sends nothing", Content::shows_pattern).await;
    call.page().receives(alone, "test tone while it sends nothing", Content::sounds_tone).await;
    let resumed = command(call.page().peer(), "resume");
    call.ahoy().receives(resumed, "test pattern again", Content::shows_pattern).await;
    call.ahoy().receives(resumed, "test tone again", Content::sounds_tone).await;
    call.assert_others_spoke_six_messages();
    matrix::passed(caller, callee, "browser-holds");
}

async fn caller_adds_video(caller: Kind, callee: Kind) {
    adds_video(caller, callee, Role::Call).await;
    matrix::passed(caller, callee, "caller-adds-video");
}

async fn callee_adds_video(caller: Kind, callee: Kind) {
    adds_video(caller, callee, Role::Answer).await;
    matrix::passed(caller, callee, "callee-adds-video");
}

/// One side adds its camera to an audio call.
async fn adds_video(caller: Kind, callee: Kind, by: Role) {
    let mut call = Call::start_without_cameras(caller, callee).await;
    call.receive(0.0, "test tone", Content::sounds_tone).await;
    call.receive(0.0, "darkness", Content::ends_dark).await;

    let (near, far) = if by == Role::Call { call.both() } else { call.both_turned() };
    let is_ahoy = matches!(near, End::Native(..));
    let added = command(near.peer(), if is_ahoy { "camera-on" } else { "add-video" });
    far.receives(added, "test pattern", Content::shows_pattern).await;
    far.receives(added, "test tone beside the pattern", Content::sounds_tone).await;
    near.receives(added, "test tone", Content::sounds_tone).await;
    call.assert_others_spoke_six_messages();
}

/// The browser's first offer has two videos. Ahoy takes one, refuses the other, and says so.
async fn two_videos(caller: Kind, callee: Kind) {
    let page = async |engine| {
        let options = Options { engine, two_videos: true, ..Options::new(Role::Call) };
        End::Page(browser::open(&options).await)
    };
    let callee_end = End::start(callee, Role::Answer, Media::Both).await;
    let caller_end = page(if caller == Kind::Firefox { Engine::Firefox } else { Engine::Chromium }).await;
    let mut call = Call::connect(caller_end, callee_end).await;
    call.receive(0.0, "test pattern", Content::shows_pattern).await;
    call.receive(0.0, "test tone", Content::sounds_tone).await;
    call.ahoy_refuses_second_video(0).await;
    matrix::passed(caller, callee, "two-videos");
}

/// The browser adds a second video to the call. Ahoy refuses it, and the camera goes on.
async fn browser_adds_second_video(caller: Kind, callee: Kind) {
    let mut call = Call::start(caller, callee, Media::Both).await;
    call.receive(0.0, "test pattern", Content::shows_pattern).await;
    let position = call.ahoy().peer().position();
    command(call.page().peer(), "add-video");
    call.ahoy_refuses_second_video(position).await;
    let refused = unix_ms();
    call.receive(refused, "test pattern after the refusal", Content::shows_pattern).await;
    call.receive(refused, "test tone after the refusal", Content::sounds_tone).await;
    matrix::passed(caller, callee, "second-video");
}

struct Call {
    caller: End,
    callee: End,
}

impl Call {
    /// A call of two peers that are connected.
    async fn start(caller: Kind, callee: Kind, media: Media) -> Self {
        let callee = End::start(callee, Role::Answer, media).await;
        let caller = End::start(caller, Role::Call, media).await;
        Self::connect(caller, callee).await
    }

    /// As [`Self::start`], with sound alone. Ahoy has a camera that is off, the browser has none.
    async fn start_without_cameras(caller: Kind, callee: Kind) -> Self {
        let start = async |kind, role| {
            let media = if kind == Kind::Native { Media::Both } else { Media::Audio };
            let end = End::start(kind, role, media).await;
            if kind == Kind::Native {
                command(end.peer(), "camera-off");
            }
            end
        };
        let callee = start(callee, Role::Answer).await;
        let caller = start(caller, Role::Call).await;
        Self::connect(caller, callee).await
    }

    async fn connect(caller: End, callee: End) -> Self {
        peer::connect(caller.peer(), callee.peer());
        for end in [&caller, &callee] {
            // With a connection for each medium, webrtcbin is not connected while one of them is refused.
            if !matches!(end, End::Program(Program::GStreamerUnbundled, _)) {
                end.peer().event("connected").await;
            }
        }
        Self { caller, callee }
    }

    /// The end that adds something, and the other one.
    fn both(&mut self) -> (&mut End, &mut End) {
        (&mut self.caller, &mut self.callee)
    }

    fn both_turned(&mut self) -> (&mut End, &mut End) {
        (&mut self.callee, &mut self.caller)
    }

    /// The end in a browser.
    fn page(&mut self) -> &mut End {
        self.ends().into_iter().find(|end| matches!(end, End::Page(_))).expect("one end is a browser")
    }

    /// The end that is an `ahoy-peer`.
    fn ahoy(&mut self) -> &mut End {
        self.ends().into_iter().find(|end| matches!(end, End::Native(..))).expect("one end is Ahoy")
    }

    /// Waits until Ahoy, after `position` of its lines, answers with one video taken and one refused, and
    /// reports it.
    async fn ahoy_refuses_second_video(&mut self, position: usize) {
        let ahoy = self.ahoy().peer();
        let sections = |sdp: &str, start: &str| sdp.lines().filter(|line| line.starts_with(start)).count();
        ahoy.wait_after(position, "answer that refuses a second video", |lines| {
            let mut answers = lines.iter().filter_map(|line| line.pointer("/payload/sdp")?.as_str());
            answers.find(|sdp| sections(sdp, "m=video 0 ") == 1 && sections(sdp, "m=video ") == 2).map(drop)
        })
        .await;
        let told = ahoy.event_after(position, "problem").await;
        assert!(told.to_string().contains("a second video"), "{told}");
    }

    /// Gives both sides a command, and says when.
    fn command(&self, name: &str) -> f64 {
        command(self.caller.peer(), name);
        command(self.callee.peer(), name)
    }

    /// Waits until each end receives what `judge` wants.
    async fn receive(&mut self, moment: f64, what: &str, judge: impl Fn(&Content) -> bool) {
        for end in self.ends() {
            end.receives(moment, what, &judge).await;
        }
    }

    fn ends(&mut self) -> [&mut End; 2] {
        [&mut self.caller, &mut self.callee]
    }

    /// One side hangs up: both say that the call has ended and how, and a process ends with success.
    async fn hang_up(mut self, by: Role) {
        let near = if by == Role::Call { &self.caller } else { &self.callee };
        near.peer().command("hangup");
        for end in self.ends() {
            let ended = end.peer().event("ended").await;
            assert_eq!(ended["reason"], "hangup", "{}", end.peer().recent());
            if let End::Native(native, _) | End::Program(_, Running(native)) = end {
                let status = native.exit().await;
                assert_eq!(status.code(), Some(0), "{}", native.peer.recent());
            }
        }
    }

    fn assert_others_spoke_six_messages(&self) {
        let ends = [&self.caller, &self.callee];
        for end in ends.into_iter().filter(|end| !matches!(end, End::Native(..))) {
            for payload in end.peer().sent_payloads() {
                let kind = payload["type"].as_str().unwrap_or_default();
                assert!(SIX_MESSAGES.contains(&kind), "it sent {payload}");
            }
        }
    }
}

/// A peer that knows only these can call and be called.
const SIX_MESSAGES: [&str; 6] =
    ["call-request", "call-ack", "call-offer", "call-answer", "ice-candidate", "call-hangup"];
