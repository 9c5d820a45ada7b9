//! The app's side as a person has it: two windows call each other, on a desktop of their own, with the same picture, sound,
//! size and rate.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use ahoy_media::video::{I420Frame, pattern};
use ahoy_test_support::{
    app::{App, test},
    camera::{self, EmulatedCamera},
    desktop::Desktop,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    SETTLING,
    cost::{self, Program},
    sample::{largest, percentile, smallest},
};

/// What a call costs is measured for this long, after the windows have stopped to look at what they show.
const COST_SPAN: Duration = Duration::from_secs(10);
/// A probe that has stopped is gone by then, and what a start leaves behind as well.
const UNWATCHED: Duration = Duration::from_secs(3);

/// The other's picture, by either player.
const REMOTE: &str = "[data-test=remote] canvas, [data-test=remote] video";

/// By what the page paints pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Player {
    WebCodecs,
    MediaSource,
}

/// What is measured of a call of two windows. Of the two sides, the worse.
#[derive(Debug)]
pub struct Figures {
    /// From the drawing of a picture until its cells can be read in the other window, in ms.
    pub picture_p50_ms: Option<f64>,
    pub picture_p95_ms: Option<f64>,
    /// From the click on the answer until both windows show a picture, in ms.
    pub answer_to_picture_ms: Option<f64>,
    /// Cores in use by one app, all its processes.
    pub cores: Option<f64>,
    /// Proportional sets of one app, all its processes, in MB: before and in the call.
    pub idle_mb: Option<f64>,
    pub call_mb: Option<f64>,
    /// From the process's start until the contacts are on the screen, in ms.
    pub start_ms: Option<f64>,
}

/// A call of two windows that is watched for `seconds`.
pub async fn call(seconds: u32, player: Player) -> Figures {
    let desktop = Desktop::start().await;
    // One after the other: each start has the machine for itself.
    let caller = App::start(&desktop, "ada", Some(settings("Ada"))).await;
    let callee = App::start(&desktop, "ben", Some(settings("Ben"))).await;
    let sides = [&caller, &callee];
    let programs = sides.map(|side| Program::new(process(side)));
    let mut starts = Vec::new();
    for side in sides {
        starts.push(start_ms(side).await);
    }
    meet(&caller, &callee).await;
    sleep(UNWATCHED).await;
    let idle_mb = largest(programs.each_ref().map(|program| Some(program.memory_mb())));

    for side in sides {
        if player == Player::MediaSource {
            run(side, "delete window.VideoDecoder").await;
        }
        run_with(side, PROBE, json!(["remote", REMOTE])).await;
    }
    run(&callee, NOTE_ANSWER).await;
    caller.click_at("[data-test=contact-page] [data-test=call-video][aria-disabled=false]").await;
    callee.click("answer-video").await;
    let mut first = Vec::new();
    for side in sides {
        first.push(side.waits("a picture", FIRST_PICTURE, json!([])).await.as_f64());
    }
    let answered = run(&callee, "return window.ahoyAnswered").await.as_f64();
    let answer_to_picture_ms = largest(first).zip(answered).map(|(picture, answered)| picture - answered);

    sleep(SETTLING).await;
    for side in sides {
        run(side, TAKE_AGES).await;
    }
    sleep(Duration::from_secs(seconds.into())).await;
    let mut ages = Vec::new();
    for side in sides {
        let taken = run(side, TAKE_AGES).await;
        ages.push(taken.as_array().into_iter().flatten().filter_map(Value::as_f64).collect::<Vec<_>>());
    }

    for side in sides {
        run(side, "window.ahoyProbes.clear()").await;
    }
    sleep(UNWATCHED).await;
    let before = programs.each_ref().map(Program::cpu_time);
    sleep(COST_SPAN).await;
    let cores = [0, 1].map(|side| Some(programs[side].cpu_time().cores_since(&before[side])));
    let call_mb = largest(programs.each_ref().map(|program| Some(program.memory_mb())));
    caller.click("hang-up").await;
    Figures {
        picture_p50_ms: largest(ages.iter().map(|ages| percentile(ages, 0.5))),
        picture_p95_ms: largest(ages.iter().map(|ages| percentile(ages, 0.95))),
        answer_to_picture_ms,
        cores: largest(cores),
        idle_mb,
        call_mb,
        start_ms: largest(starts),
    }
}

/// What a window shows at once in the row of many streams.
const STREAMS: usize = 4;
/// Pictures that the camera of that row sends round and round.
const PICTURES: u32 = 30;

/// The fewest pictures a second that any of [`STREAMS`] pictures of 640x360@30 has in one window, over `seconds`. The window
/// shows calls of two only, so it is one remote stream that is read, decoded and painted that often, each by a player of its
/// own in a quarter of the window; the call's own picture, small meanwhile, comes on top.
pub async fn many_streams(seconds: u32) -> Option<f64> {
    let desktop = Desktop::start().await;
    let camera = small_camera();
    let caller = App::start(&desktop, "ada", Some(settings("Ada"))).await;
    let with_camera = json!({ "camera": camera::ID });
    let callee =
        App::start_with(&desktop, "ben", Some(merged(settings("Ben"), with_camera)), camera.environment()).await;
    meet(&caller, &callee).await;
    run_with(&caller, PROBE, json!(["remote", REMOTE])).await;
    // With sound alone, so that only one of the two windows has pictures to paint.
    caller.click_at("[data-test=contact-page] [data-test=call-audio][aria-disabled=false]").await;
    callee.click("answer-video").await;
    caller.waits("a picture", FIRST_PICTURE, json!([])).await;
    run(&caller, "window.ahoyProbes.clear()").await;
    caller.click("call-leave").await;

    let player = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist-bench/streams.js");
    let player = fs::read_to_string(&player).unwrap_or_else(|error| panic!("{}: {error}", player.display()));
    run(&caller, &player).await;
    let shown = caller.driver().execute_async(SHOW_STREAMS, json!([STREAMS])).await;
    let shown = shown.unwrap_or_else(|refusal| panic!("{STREAMS} streams: {refusal}"));
    assert!(shown.is_null(), "{STREAMS} streams: {shown}");
    for stream in 0..STREAMS {
        run_with(&caller, PROBE, json!([stream.to_string(), format!("[data-bench=\"{stream}\"]")])).await;
    }
    sleep(SETTLING).await;
    run(&caller, COUNT_PICTURES).await;
    let start = Instant::now();
    sleep(Duration::from_secs(seconds.into())).await;
    let counts = run(&caller, COUNT_PICTURES).await;
    let elapsed = start.elapsed().as_secs_f64();
    let counts: Vec<_> = counts.as_array().into_iter().flatten().map(|count| Some(count.as_f64()? / elapsed)).collect();
    assert_eq!(counts.len(), STREAMS);
    smallest(counts)
}

/// A camera that has the test pattern in 640x360@30 and nothing else.
fn small_camera() -> EmulatedCamera {
    let (width, height) = (640, 360);
    let camera = EmulatedCamera::new();
    camera.offer(&format!("NV12 {width} {height} 30"));
    let picture = |counter| {
        let mut frame = I420Frame::black(width, height, Instant::now());
        pattern::draw(&mut frame, 0, counter);
        let (y, u, v) = frame.planes();
        y.iter().copied().chain(u.iter().zip(v).flat_map(|(&u, &v)| [u, v])).collect()
    };
    camera.send("NV12", (0..PICTURES).map(picture));
    camera.plug_in(0);
    camera
}

fn merged(mut settings: Value, more: Value) -> Value {
    if let (Some(settings), Value::Object(more)) = (settings.as_object_mut(), more) {
        settings.extend(more);
    }
    settings
}

/// Reads the cells of what a selector finds, in the page.
const PROBE: &str = include_str!("../../window/probe.js");
/// Plays the running call's remote stream so often; the answer is what went wrong.
const SHOW_STREAMS: &str = "const [count, done] = arguments; \
    window.__TAURI_INTERNALS__.invoke('calls_list').then(([{ remoteStream }]) => window.ahoyBenchStreams(remoteStream, count)) \
    .then(() => done(null), (error) => done(String(error)))";
/// How many pictures each probe has seen since this was asked last.
const COUNT_PICTURES: &str = "return [...window.ahoyProbes.values()].map((probe) => probe.frames.splice(0).filter(([, , counter]) => counter !== null).length)";

/// Somebody who has started Ahoy before, and sends the test signal.
fn settings(name: &str) -> Value {
    json!({ "version": 1, "name": name, "firstRunDone": true, "camera": "pattern", "microphone": "tone", "language": "en" })
}

/// Notes when the answer is clicked.
const NOTE_ANSWER: &str = "document.addEventListener('click', (event) => { if (event.target.closest('[data-test=answer-video]')) window.ahoyAnswered = Date.now(); }, true)";
/// When the first picture was seen, once one was.
const FIRST_PICTURE: &str =
    "return window.ahoyProbes.get('remote').frames.find(([, , counter]) => counter !== null)?.[0]";
/// Ages in ms of the pictures seen since this was asked last.
const TAKE_AGES: &str = "return window.ahoyProbes.get('remote').frames.splice(0).filter(([, , counter]) => counter !== null).map(([, age]) => age)";
/// Unix time in ms at which the contacts were drawn.
const CONTACTS_DRAWN: &str = "const [mark] = performance.getEntriesByName('ahoy-contacts'); return mark && performance.timeOrigin + mark.startTime";

/// One makes an invite, the other takes it and stays on the page of the new contact.
async fn meet(caller: &App, callee: &App) {
    callee.click("nav-add").await;
    callee.click("invite-create").await;
    let link = callee.value("invite-link").await;
    caller.click("nav-add").await;
    caller.fill("invite-link-field", &link).await;
    caller.click("invite-add").await;
    caller.sees(&test("contact-page")).await;
    callee.click("nav-contacts").await;
}

async fn start_ms(side: &App) -> Option<f64> {
    let drawn = side.waits("the contacts are drawn", CONTACTS_DRAWN, json!([])).await.as_f64()?;
    Some(drawn - cost::started_at_ms(process(side))?)
}

/// The app's first process: what the driver has started.
fn process(side: &App) -> i32 {
    cost::children(side.driver().id()).into_iter().next().expect("the driver has started the app")
}

async fn run(side: &App, script: &str) -> Value {
    run_with(side, script, json!([])).await
}

async fn run_with(side: &App, script: &str, arguments: Value) -> Value {
    let done = side.driver().execute(script, arguments).await;
    done.unwrap_or_else(|refusal| panic!("the window: {refusal}"))
}
