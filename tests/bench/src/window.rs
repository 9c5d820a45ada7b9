//! The app's side as a person has it: two windows call each other, on a desktop of their own, with the same
//! picture, sound, size and rate.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use ahoy_media::video::{I420Frame, pattern};
use ahoy_test_support::{
    app::{App, LIMIT, More, test},
    camera::{self, EmulatedCamera},
    desktop::Desktop,
    eye::{Eye, Frame},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    SETTLING,
    cost::{self, Program},
    sample::{largest, percentile, smallest},
};

/// How often an eye is asked for the first picture.
const POLL: Duration = Duration::from_millis(20);
/// What a call costs is measured for this long, after the windows have stopped to look at what they show.
const COST_SPAN: Duration = Duration::from_secs(10);
/// A probe that has stopped is gone by then, and what a start leaves behind as well.
const UNWATCHED: Duration = Duration::from_secs(3);

/// Where the other's picture will be.
const REMOTE: &str = "return document.querySelector('[data-test=remote] .picture')?.getBoundingClientRect()";

/// By what pictures are painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Player {
    /// The app's own choice on this machine.
    Own,
    /// The page, and these.
    WebCodecs,
    MediaSource,
}

impl Player {
    fn more(self) -> More {
        let arguments = match self {
            Self::Own => vec![],
            Self::WebCodecs | Self::MediaSource => vec!["--pictures", "page"],
        };
        More { arguments, ..More::default() }
    }
}

/// What is measured of a call of two windows. Of the two sides, the worse.
#[derive(Debug)]
pub struct Figures {
    /// From the drawing of a picture until its cells can be read on the screen, in the other window, in ms.
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
    let caller = App::start_with(&desktop, "ada", Some(settings("Ada")), player.more()).await;
    let callee = App::start_with(&desktop, "ben", Some(settings("Ben")), player.more()).await;
    let sides = [&caller, &callee];
    let eyes = sides.map(|side| Eye::on(&desktop, &side.title()));
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
    }
    run(&callee, NOTE_ANSWER).await;
    caller.click_at("[data-test=contact-page] [data-test=call-video][aria-disabled=false]").await;
    // The windows are alike, so the callee's picture will be where the caller's is.
    let place = caller.waits("the call's view", REMOTE, json!([])).await;
    for eye in &eyes {
        eye.turn(Frame::of(&place));
    }
    callee.click("answer-video").await;
    let mut first = Vec::new();
    for eye in &eyes {
        first.push(first_picture(eye).await);
    }
    let answered = run(&callee, "return window.ahoyAnswered").await.as_f64();
    let answer_to_picture_ms = largest(first).zip(answered).map(|(picture, answered)| picture - answered);

    sleep(SETTLING).await;
    for eye in &eyes {
        eye.seen();
    }
    sleep(Duration::from_secs(seconds.into())).await;
    let ages =
        eyes.each_ref().map(|eye| eye.seen().iter().filter_map(|shown| Some(shown.cells?.age_ms)).collect::<Vec<_>>());

    drop(eyes);
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

/// The fewest pictures a second that any of [`STREAMS`] pictures of 640x360@30 has in one window, over
/// `seconds`. The window shows calls of two only, so it is one remote stream that is read, decoded and
/// painted that often, each by a player of its own in a quarter of the window; the call's own picture, small
/// meanwhile, comes on top.
pub async fn many_streams(seconds: u32) -> Option<f64> {
    let desktop = Desktop::start().await;
    let camera = small_camera();
    let caller = App::start(&desktop, "ada", Some(settings("Ada"))).await;
    let with_camera = Some(merged(settings("Ben"), json!({ "camera": camera::ID })));
    let more = More { environment: camera.environment().into_iter().collect(), ..More::default() };
    let callee = App::start_with(&desktop, "ben", with_camera, more).await;
    meet(&caller, &callee).await;
    // With sound alone, so that only one of the two windows has pictures to paint.
    caller.click_at("[data-test=contact-page] [data-test=call-audio][aria-disabled=false]").await;
    callee.click("answer-video").await;
    caller.sees("[data-test=remote].shown").await;
    caller.click("call-leave").await;

    let player = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist-bench/streams.js");
    let player = fs::read_to_string(&player).unwrap_or_else(|error| panic!("{}: {error}", player.display()));
    run(&caller, &player).await;
    let shown = caller.driver().execute_async(SHOW_STREAMS, json!([STREAMS])).await;
    let shown = shown.unwrap_or_else(|refusal| panic!("{STREAMS} streams: {refusal}"));
    let places = shown.as_array().unwrap_or_else(|| panic!("{STREAMS} streams: {shown}"));
    let eye = |place| {
        let eye = Eye::on(&desktop, &caller.title());
        eye.turn(Frame::of(place));
        eye
    };
    let eyes: Vec<_> = places.iter().map(eye).collect();
    assert_eq!(eyes.len(), STREAMS);
    sleep(SETTLING).await;
    for eye in &eyes {
        eye.seen();
    }
    let start = Instant::now();
    sleep(Duration::from_secs(seconds.into())).await;
    let elapsed = start.elapsed().as_secs_f64();
    let count = |eye: &Eye| eye.seen().iter().filter(|shown| shown.cells.is_some()).count();
    smallest(eyes.iter().map(|eye| Some(count(eye) as f64 / elapsed)))
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

/// Plays the running call's remote stream so often; the answer is where, or what went wrong.
const SHOW_STREAMS: &str = "const [count, done] = arguments; \
    window.__TAURI_INTERNALS__.invoke('calls_list').then(([{ remoteStream }]) => window.ahoyBenchStreams(remoteStream, count)) \
    .then((places) => done(places), (error) => done(String(error)))";
/// Somebody who has started Ahoy before, and sends the test signal.
fn settings(name: &str) -> Value {
    json!({ "version": 1, "name": name, "firstRunDone": true, "camera": "pattern", "microphone": "tone", "language": "en" })
}

/// Notes when the answer is clicked.
const NOTE_ANSWER: &str = "document.addEventListener('click', (event) => { if (event.target.closest('[data-test=answer-video]')) window.ahoyAnswered = Date.now(); }, true)";
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

/// When the first picture was seen, in unix ms.
async fn first_picture(eye: &Eye) -> Option<f64> {
    let limit = Instant::now() + LIMIT;
    loop {
        let seen = eye.seen().into_iter().find(|shown| shown.cells.is_some());
        if seen.is_some() || Instant::now() > limit {
            return seen.map(|shown| shown.at);
        }
        sleep(POLL).await;
    }
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
