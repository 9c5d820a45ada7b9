//! Speech over a lossy path: played into the caller's microphone, recorded at the callee's speaker, rated by PESQ.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use ahoy_test_support::{
    browser::{self, Options, Role, Source},
    native,
    net::{
        conditions::{Conditions, Schedule},
        path::{self, Pair},
    },
    peer::{self, Peer},
};
use tempfile::TempDir;
use tokio::{process::Command, time::sleep};

use super::{
    AHOY, CHROMIUM, LONG_DELAY,
    call::{Ends, Program},
    report::{cell, verdict, who},
};
use crate::{
    sample::mean,
    voice::{self, Recorder, Recording},
};

/// Whose calls are held.
pub const ENDS: [Ends; 2] = [AHOY, CHROMIUM];

/// A call has measured the loss of its path by then.
const SETTLING: Duration = Duration::from_secs(8);
/// The last word is heard within this time.
const DRAIN: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(25);
const SEED: u64 = 11;

/// Length of a stretch, which is rated by itself; the same as in `judge_speech.py`.
const STRETCH_SECONDS: usize = 8;
/// One stretch each: the voice of espeak-ng, and its text.
const TEXTS: [(&str, &str); 4] = [
    (
        "en-gb",
        "The harbour was quiet before sunrise. Two boats left early, and nobody asked where they were going today.",
    ),
    (
        "en-us+f3",
        "Please call the office when the parcel arrives. Somebody has to sign for it, and the door will be locked.",
    ),
    (
        "en-gb+f4",
        "We walked along the river until the bridge came into sight. Then the rain began, and we went back home.",
    ),
    (
        "en-us",
        "Seven thick blankets lay on the old wooden bench. She took the blue one, and left the others for the guests.",
    ),
];

/// A path, and by how much Ahoy's score has to be above Chromium's.
pub struct Line {
    name: &'static str,
    loss: f64,
    burst: f64,
    above: f64,
}

/// Every line of the table. All have a round trip of 100 ms.
pub const LINES: [Line; 5] = [
    Line { name: "speech, no loss", loss: 0.0, burst: 1.0, above: 0.0 },
    Line { name: "speech, 10 % loss", loss: 0.1, burst: 1.0, above: 0.0 },
    Line { name: "speech, 20 % loss", loss: 0.2, burst: 1.0, above: 0.5 },
    Line { name: "speech, 30 % loss", loss: 0.3, burst: 1.0, above: 0.0 },
    Line { name: "speech, 10 % loss in bursts of 4", loss: 0.1, burst: 4.0, above: 0.0 },
];

const HEAD: &str = "| path | call | PESQ, mean | PESQ of each stretch | reached |\n|---|---|--:|---|---|\n";

impl Line {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Holds a call. Returns the score of each stretch, 1 to 4.6, or none where nothing was heard in it. The list is
/// empty where the call had no sound at all.
pub async fn hold(line: &Line, ends: Ends) -> Vec<Option<f64>> {
    let conditions = Conditions { burst: line.burst, ..Conditions::clean(LONG_DELAY).loss(line.loss) };
    let schedule = Schedule::constant(conditions);
    let path = path::Path::start(1, schedule.clone(), schedule, SEED);
    let files = TempDir::new().expect("a folder for the speech");
    let (text, spoken, heard) = (files.path().join("text"), files.path().join("spoken"), files.path().join("heard"));
    speak(&text).await;
    let Some((one, other)) = recordings(&path.pairs[0], ends, &text).await else { return Vec::new() };
    let (one, other) = aligned(&one, &other);
    write(&spoken, one);
    write(&heard, other);
    judge(&spoken, &heard).await
}

/// Writes all texts to `file`, each at the beginning of a stretch.
async fn speak(file: &Path) {
    let mut samples = Vec::new();
    for (voice, text) in TEXTS {
        let wav = file.with_extension("wav");
        run(Command::new("espeak-ng").args(["-v", voice, "-s", "165", "-w"]).arg(&wav).arg(text)).await;
        let raw = file.with_extension("raw");
        let mut command = Command::new("ffmpeg");
        command.args(["-loglevel", "error", "-y", "-i"]).arg(&wav);
        run(command.args(["-ac", "1", "-ar", "48000", "-f", "f32le"]).arg(&raw)).await;
        let bytes = std::fs::read(&raw).expect("what ffmpeg wrote");
        let mut words: Vec<f32> = bytes.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect();
        words.resize(STRETCH_SECONDS * voice::RATE, 0.0);
        samples.extend(words);
    }
    write(file, &samples);
}

/// What was spoken and what was heard; none where the call has no sound.
async fn recordings(pair: &Pair, ends: Ends, text: &Path) -> Option<(Recording, Recording)> {
    let (near, far) = (voice::daemon(voice::Side::Talking), voice::daemon(voice::Side::Listening));
    let start = async |program, role: Role| {
        let (machine, daemon) = if role == Role::Call { (&pair.near, &near) } else { (&pair.far, &far) };
        match program {
            Program::Ahoy => {
                let role = if role == Role::Call { "call" } else { "answer" };
                let devices = ["--mic", "default", "--speaker", "default", "--camera", "none", "--processing", "none"];
                let arguments = [role].into_iter().chain(devices);
                End::Ahoy(native::start_in_with(machine, arguments, daemon.environment()))
            }
            Program::Chromium => {
                let options = Options {
                    video: false,
                    source: Source::SystemDevices,
                    processing: false,
                    environment: daemon.environment().collect(),
                    ..Options::new(role)
                };
                End::Chromium(browser::open_in(machine, &options).await)
            }
        }
    };
    let callee = start(ends.receiver, Role::Answer).await;
    let caller = start(ends.sender, Role::Call).await;
    peer::connect(caller.peer(), callee.peer());
    callee.peer().event_within(CONNECT_LIMIT, "first-audio").await?;
    sleep(SETTLING).await;
    let epoch = Instant::now();
    let (spoken, heard) = (Recorder::start(&near, epoch), Recorder::start(&far, epoch));
    voice::play(&near, text).await;
    sleep(DRAIN).await;
    Some((spoken.stop().await, heard.stop().await))
}

/// What carries one end of a call.
enum End {
    Ahoy(native::Native),
    Chromium(browser::Browser),
}

impl End {
    fn peer(&self) -> &Peer {
        match self {
            Self::Ahoy(native) => &native.peer,
            Self::Chromium(browser) => &browser.peer,
        }
    }
}

/// Both recordings, cut to begin with the first word.
fn aligned<'a>(spoken: &'a Recording, heard: &'a Recording) -> (&'a [f32], &'a [f32]) {
    const AUDIBLE: f32 = 0.01;
    let begin = spoken.samples.iter().position(|sample| sample.abs() > AUDIBLE).unwrap_or(0);
    let offset = (heard.start - spoken.start) * voice::RATE as f64;
    let same_moment = (begin as f64 - offset).max(0.0).round() as usize;
    (spoken.samples.get(begin..).unwrap_or_default(), heard.samples.get(same_moment..).unwrap_or_default())
}

fn write(file: &Path, samples: &[f32]) {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::fs::write(file, bytes).expect("a file for sound");
}

async fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().await;
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{command:?}: {status:?}");
}

async fn judge(spoken: &Path, heard: &Path) -> Vec<Option<f64>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python: PathBuf = folder.join("target/judge/bin/python");
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(folder.join("tests/programs/judge_speech.py"));
    let output = command.arg(spoken).arg(heard).stderr(Stdio::inherit()).output().await.expect("the judge runs");
    assert!(output.status.success(), "the judge: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("scores")
}

/// The table of all lines that were measured.
pub fn markdown(results: &[super::Measured<&'static Line, Ends, Vec<Option<f64>>>]) -> String {
    let mut text = HEAD.to_owned();
    for (line, outcomes) in results {
        let chromium = outcomes.iter().find(|(ends, _)| *ends == CHROMIUM).map(|(_, scores)| scores.as_slice());
        for (ends, scores) in outcomes {
            text += &row(line, *ends, scores, chromium);
            text.push('\n');
        }
    }
    text
}

/// One call's row.
pub fn row(line: &Line, ends: Ends, scores: &[Option<f64>], chromium: Option<&[Option<f64>]>) -> String {
    let each = scores.iter().map(|score| cell(*score, 2)).collect::<Vec<_>>().join(", ");
    let reached = if ends == CHROMIUM { String::new() } else { reached(line, scores, chromium) };
    format!("| {} | {} | {} | {each} | {reached} |", line.name, who(ends), cell(mean_score(scores), 2))
}

/// A stretch in which nothing was heard has the lowest score.
fn mean_score(scores: &[Option<f64>]) -> Option<f64> {
    const LOWEST: f64 = 1.0;
    mean(&scores.iter().map(|score| score.unwrap_or(LOWEST)).collect::<Vec<_>>())
}

fn reached(line: &Line, scores: &[Option<f64>], chromium: Option<&[Option<f64>]>) -> String {
    let Some(ours) = mean_score(scores) else { return "**no sound**".to_owned() };
    let Some(theirs) = chromium.and_then(mean_score) else { return String::new() };
    let missed = (ours < theirs + line.above).then(|| format!("{:.1} above Chromium's", line.above));
    verdict(missed.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_judged_beside_chromiums() {
        let line = &LINES[2];
        let judged = |ours: &[Option<f64>], theirs: &[Option<f64>]| {
            let row = row(line, AHOY, ours, Some(theirs));
            row.trim_end_matches(" |").rsplit("| ").next().map(str::to_owned)
        };
        assert_eq!(judged(&[Some(3.0), Some(3.2)], &[Some(2.5), Some(2.6)]).as_deref(), Some("yes"));
        assert_eq!(judged(&[Some(3.0), None], &[Some(2.0)]).as_deref(), Some("**no**: 0.5 above Chromium's"));
        assert_eq!(judged(&[], &[Some(2.0)]).as_deref(), Some("**no sound**"));
    }

    #[test]
    fn recordings_are_aligned_at_the_first_word() {
        let spoken = Recording { samples: [vec![0.0; 480], vec![0.5; 100]].concat(), start: 10.0 };
        let heard = Recording { samples: (0..1000).map(|n| n as f32).collect(), start: 10.005 };
        let (one, other) = aligned(&spoken, &heard);
        assert_eq!((one.len(), other[0]), (100, 240.0));
    }
}
