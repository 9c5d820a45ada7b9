//! `./dev bench`: Ahoy's call and Chromium's, one after the other, with the same picture, sound, size and
//! rate. Prints a table and writes `docs/bench.md`.

mod ahoy;
mod calls;
mod calm;
mod chromium;
mod cost;
mod document;
mod machine;
mod net;
mod sample;
mod table;
mod voice;
mod window;

use std::time::Duration;

use crate::{
    calm::Calm,
    sample::median,
    table::{Goal, Row},
    window::Player,
};

/// Width, height and rate of the picture.
const FORMAT: (u32, u32, u32) = (1280, 720, 30);
const BITRATE_KBPS: u32 = 1500;
/// Length of a call that is watched, where the command line gives none.
const SECONDS: u32 = 30;
/// A call settles in this time: encoder, jitter buffer and estimate start from guesses.
const SETTLING: Duration = Duration::from_secs(3);
/// Calls of which the time to the first picture is the median.
const CALLS: usize = 5;
/// How long such a call is held.
const SHORT_CALL_SECONDS: u32 = 2;
/// How long four streams are watched.
const MANY_STREAMS_SECONDS: u32 = 10;
const LOSSY_NET: &str = "loss=0.05,delay=50,seed=1";

/// Processes of a call that has ended are gone after this.
const BETWEEN_CALLS: Duration = Duration::from_secs(2);

/// What is measured of either's call. Of the two sides, the worse.
struct Figures {
    /// Age of a picture, in ms.
    picture_p50_ms: Option<f64>,
    picture_p95_ms: Option<f64>,
    /// Cores in use by one side.
    cores: Option<f64>,
    memory_mb: Option<f64>,
    /// Pictures a second.
    sent_fps: Option<f64>,
    shown_fps: Option<f64>,
    /// Longest time between two pictures.
    longest_gap_ms: Option<f64>,
    /// By how much sound and picture are apart.
    skew_p95_ms: Option<f64>,
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seconds = match arguments[..] {
        ["net", ref rest @ ..] => return net::run(rest.first().unwrap_or(&""), rest.get(1).copied()).await,
        ["soak"] => return net::soak::run(net::soak::MINUTES).await,
        ["soak", minutes] => return net::soak::run(number(minutes)).await,
        ["calls"] => return calls::run(calls::COUNT, "").await,
        ["calls", count] => return calls::run(number(count), "").await,
        ["calls", count, pair] => return calls::run(number(count), pair).await,
        [] => SECONDS,
        [seconds, ..] => number(seconds),
    };
    let mut calm = Calm::wait().await;
    let rows = measure(seconds, &mut calm).await;
    let report = report(seconds, &calm, &table::markdown(&rows));
    document::write(document::Part::Local, &report);
    println!("{report}");
    calm.warn();
}

/// A number from the command line.
fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| {
        eprintln!(
            "usage: ahoy-bench [SECONDS OF A CALL] | net [PART OF A PATH'S NAME [PART OF A CALL'S NAME]] | soak [MINUTES] \
             | calls [COUNT [PART OF A PAIR'S NAME]]"
        );
        std::process::exit(2);
    })
}

/// All measurements, one after the other: two at once would measure each other.
async fn measure(seconds: u32, calm: &mut Calm) -> Vec<Row> {
    let ours = calm.phase("Ahoy's call", ahoy::call(seconds, None)).await.figures();
    let theirs = calm.phase("Chromium's call", chromium::call(seconds)).await;
    let window = calm.phase("a call of two windows", window::call(seconds, Player::Own)).await;
    let page = calm.phase("the same, painted by the page", window::call(seconds, Player::WebCodecs)).await;
    let plain = calm.phase("the same without WebCodecs", window::call(seconds, Player::MediaSource)).await;
    let streams = calm.phase("four streams in a window", window::many_streams(MANY_STREAMS_SECONDS)).await;
    let (mut our_starts, mut their_starts) = (Vec::new(), Vec::new());
    for call in 1..=CALLS {
        let what = |whose| format!("{whose} first picture, {call} of {CALLS}");
        let started = calm.phase(&what("Ahoy's"), ahoy::call(SHORT_CALL_SECONDS, None)).await;
        our_starts.extend(started.ack_to_picture_ms());
        their_starts.push(calm.phase(&what("Chromium's"), chromium::ack_to_picture_ms()).await);
    }
    let our_voice = calm.phase("Ahoy's microphone to speaker", voice::ahoy()).await;
    let their_voice = calm.phase("Chromium's microphone to speaker", voice::chromium()).await;
    let lossy = calm.phase("Ahoy's call over a bad network", ahoy::call(seconds, Some(LOSSY_NET))).await;
    let frozen = lossy.worst("frozen_ms").map(|ms| ms / 10.0 / f64::from(seconds));

    let row = |figure, ahoy, chromium, goal| Row { figure, ahoy, chromium, goal };
    let both = |figure, of: fn(&Figures) -> Option<f64>, goal| row(figure, of(&ours), of(&theirs), goal);
    let alone = |figure, ahoy, goal| row(figure, ahoy, None, goal);
    vec![
        both("picture: capture → there, p50 (ms)", |of| of.picture_p50_ms, Goal::AtMost(12.0)),
        both("picture: capture → there, p95 (ms)", |of| of.picture_p95_ms, Goal::AtMost(25.0)),
        row(
            "`call-ack` → first picture at both sides (ms)",
            median(&our_starts),
            median(&their_starts),
            Goal::Share(0.3),
        ),
        row(
            "microphone → speaker, p50 (ms)",
            median(&our_voice),
            median(&their_voice),
            Goal::AtMostAndShare(60.0, 0.6),
        ),
        both("CPU of one side (cores)", |of| of.cores, Goal::Share(0.4)),
        both("memory of one side (MB)", |of| of.memory_mb, Goal::AtMost(60.0)),
        both("pictures sent a second", |of| of.sent_fps, Goal::Near(30.0, 0.5)),
        both("pictures shown a second", |of| of.shown_fps, Goal::Near(30.0, 0.5)),
        both("longest time between two pictures (ms)", |of| of.longest_gap_ms, Goal::AtMost(100.0)),
        both("sound and picture apart, p95 (ms)", |of| of.skew_p95_ms, Goal::AtMost(20.0)),
        alone("5 % loss, 50 ms: picture frozen (% of the time)", frozen, Goal::AtMost(1.0)),
        alone("5 % loss, 50 ms: undecodable pictures", lossy.worst("unreadable"), Goal::AtMost(0.0)),
        alone("5 % loss, 50 ms: sound made up (%)", lossy.worst("concealed_percent"), Goal::AtMost(5.0)),
        row("window: drawn → read, p50 (ms)", window.picture_p50_ms, theirs.picture_p50_ms, Goal::Share(1.0)),
        row("window: drawn → read, p95 (ms)", window.picture_p95_ms, theirs.picture_p95_ms, Goal::Share(1.0)),
        row(
            "window, page with WebCodecs: drawn → read, p50 (ms)",
            page.picture_p50_ms,
            theirs.picture_p50_ms,
            Goal::Share(1.0),
        ),
        row(
            "window, page with WebCodecs: drawn → read, p95 (ms)",
            page.picture_p95_ms,
            theirs.picture_p95_ms,
            Goal::Share(1.0),
        ),
        alone("window, page with MediaSource: drawn → read, p95 (ms)", plain.picture_p95_ms, Goal::AtMost(150.0)),
        row(
            "window: answer clicked → first picture at both sides (ms)",
            window.answer_to_picture_ms,
            median(&their_starts),
            Goal::Share(1.0),
        ),
        row("window: CPU of one app in a call (cores)", window.cores, theirs.cores, Goal::Share(0.7)),
        alone("window: memory of one app, idle (MB)", window.idle_mb, Goal::AtMost(150.0)),
        row("window: memory of one app in a call (MB)", window.call_mb, theirs.memory_mb, Goal::AtMost(250.0)),
        alone("window: start → contacts on the screen (ms)", window.start_ms, Goal::AtMost(1000.0)),
        alone("window: 4 streams of 640x360@30, pictures a second of the slowest", streams, Goal::AtLeast(29.0)),
    ]
}

/// `docs/bench.md`.
fn report(seconds: u32, calm: &Calm, table: &str) -> String {
    let (width, height, fps) = FORMAT;
    let conditions = machine::describe().into_iter().chain(calm.describe());
    let conditions: String = conditions.map(|line| format!("- {line}\n")).collect();
    let date = machine::today();
    let settling = SETTLING.as_secs();
    format!(
        include_str!("report.md"),
        date = date,
        conditions = conditions,
        width = width,
        height = height,
        fps = fps,
        bitrate = BITRATE_KBPS,
        seconds = seconds,
        settling = settling,
        table = table,
        calls = CALLS,
        net = LOSSY_NET,
    )
}
