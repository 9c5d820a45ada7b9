//! `./dev bench`: Ahoy's call and Chromium's, one after the other, with the same picture, sound, size and rate. Prints a
//! table and writes `docs/bench.md`.

mod ahoy;
mod chromium;
mod cost;
mod machine;
mod sample;
mod table;
mod voice;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    sample::median,
    table::{Goal, Row},
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
const LOSSY_NET: &str = "loss=0.05,delay=50,seed=1";

/// Before the first call, this machine is to be as idle as this, over this long; and no longer is waited for it.
const CALM: f64 = 0.1;
const CALM_SPAN: Duration = Duration::from_secs(3);
const CALM_LIMIT: Duration = Duration::from_secs(120);
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
    let seconds = match std::env::args().nth(1).map(|argument| argument.parse()) {
        None => SECONDS,
        Some(Ok(seconds)) => seconds,
        Some(Err(_)) => {
            eprintln!("usage: ahoy-bench [SECONDS OF A CALL]");
            std::process::exit(2);
        }
    };
    let load = calm().await;
    let rows = measure(seconds).await;
    let report = report(seconds, load, &table::markdown(&rows));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bench.md");
    fs::write(&file, &report).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    println!("{report}");
}

/// Waits until this machine has nothing else to do, though not for ever; gives the share of it that is in use.
async fn calm() -> f64 {
    let limit = Instant::now() + CALM_LIMIT;
    loop {
        let load = cost::machine_load(CALM_SPAN).await;
        if load < CALM {
            return load;
        }
        if Instant::now() > limit {
            eprintln!("bench: {:.0} % of this machine is in use by others: the figures will be worse", load * 100.0);
            return load;
        }
    }
}

/// All measurements, one after the other: two at once would measure each other.
async fn measure(seconds: u32) -> Vec<Row> {
    say("Ahoy's call").await;
    let ours = ahoy::call(seconds, None).await.figures();
    say("Chromium's call").await;
    let theirs = chromium::call(seconds).await;
    let (mut our_starts, mut their_starts) = (Vec::new(), Vec::new());
    for call in 1..=CALLS {
        say(&format!("first picture, {call} of {CALLS}")).await;
        our_starts.extend(ahoy::call(SHORT_CALL_SECONDS, None).await.ack_to_picture_ms());
        tokio::time::sleep(BETWEEN_CALLS).await;
        their_starts.push(chromium::ack_to_picture_ms().await);
    }
    say("Ahoy's microphone to speaker").await;
    let our_voice = voice::ahoy().await;
    say("Chromium's microphone to speaker").await;
    let their_voice = voice::chromium().await;
    say("Ahoy's call over a bad network").await;
    let lossy = ahoy::call(seconds, Some(LOSSY_NET)).await;
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
    ]
}

/// Tells what comes next, once what was before is gone.
async fn say(what: &str) {
    tokio::time::sleep(BETWEEN_CALLS).await;
    eprintln!("bench: {what}");
}

/// `docs/bench.md`.
fn report(seconds: u32, load: f64, table: &str) -> String {
    let (width, height, fps) = FORMAT;
    let conditions: String = machine::describe().iter().map(|line| format!("- {line}\n")).collect();
    let date = machine::today();
    let busy = load * 100.0;
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
        busy = busy,
        settling = settling,
        table = table,
        calls = CALLS,
        net = LOSSY_NET,
    )
}
