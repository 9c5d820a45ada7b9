//! The command line, and what each command comes to.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use ahoy_call::{
    engine::EngineConfig,
    id::CallId,
    link::{IceServer, Impairment},
};
use ahoy_media::{
    audio::{
        microphone::MicrophoneSpec,
        opus::{OpusFrame, OpusSettings},
        process::ProcessingSettings,
        speaker::SpeakerSpec,
    },
    units::{Bitrate, VideoFormat},
    video::capture::CameraSpec,
};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{demo, devices, session};

/// Ahoy's call engine without a window.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Calls whoever is at the other end of the signaling, at once.
    Call(PeerOptions),
    /// Accepts the first call.
    Answer(PeerOptions),
    /// Answers, and sends back what it receives.
    Echo(PeerOptions),
    /// Two peers on this machine call each other through the real stack; prints a report of the call's
    /// quality.
    Demo(demo::DemoOptions),
    /// Lists cameras, microphones and speakers.
    Devices {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The call was held and ended as somebody wished.
    Normal = 0,
    /// The command line makes no sense, or names what cannot be used at all.
    Usage = 2,
    /// No call came about.
    NoConnection = 3,
    /// The call broke; or media had stopped that the other side says it sends, and was not back at the end;
    /// or, in a demonstration, none flowed.
    MediaStopped = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How messages reach the other side.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Signal {
    /// One JSON object a line, on stdin and stdout.
    Stdio,
}

/// What the peer works with.
#[derive(Clone, Debug, Args)]
pub struct PeerOptions {
    /// How messages reach the other side.
    #[arg(long, value_enum, default_value = "stdio")]
    pub signal: Signal,
    /// Name of the call (for `call`); made up if not given.
    #[arg(long)]
    pub channel: Option<CallId>,
    /// How long it rings before the call is accepted, in ms (for `answer`).
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub ring: u64,
    /// none, pattern, file:F.y4m, device:NAME_OR_INDEX
    #[arg(long, default_value = "pattern", value_parser = or_none::<CameraSpec>)]
    pub camera: OrNone<CameraSpec>,
    /// none, tone, file:F.wav, device:NAME, default
    #[arg(long, default_value = "tone", value_parser = or_none::<MicrophoneSpec>)]
    pub mic: OrNone<MicrophoneSpec>,
    /// none, file:F.wav, device:NAME, default
    #[arg(long, default_value = "none")]
    pub speaker: SpeakerSpec,
    /// Wanted size and rate of the picture.
    #[arg(long, default_value_t = VideoFormat::HD)]
    pub video: VideoFormat,
    /// Ceiling of the picture's bit rate.
    #[arg(long, default_value = "1500k")]
    pub bitrate: Bitrate,
    /// Milliseconds of sound in a packet, 10, 20, 40 or 60: the longer, the fewer headers and the more delay.
    /// On a slow path the call itself goes to longer ones.
    #[arg(long, value_name = "MS", default_value = "10", value_parser = opus_frame)]
    pub frame: OpusFrame,
    /// Echo cancellation, noise suppression, automatic gain: a list of echo, noise, gain; or all, or none.
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = processing)]
    pub processing: ProcessingSettings,
    /// Appends what the page would get to this file or FIFO, live.
    #[arg(long, value_name = "F", value_parser = output_path)]
    pub remote_webm: Option<PathBuf>,
    /// Writes one JSON object a second to this file.
    #[arg(long, value_name = "F.jsonl", value_parser = output_path)]
    pub stats: Option<PathBuf>,
    /// stun:HOST:PORT or turn:HOST:PORT,USER,CREDENTIAL; can be given more than once.
    #[arg(long = "ice-server", value_name = "URL[,USER,CREDENTIAL]", value_parser = ice_server)]
    pub ice_servers: Vec<IceServer>,
    /// Only through a relay.
    #[arg(long)]
    pub relay_only: bool,
    /// Only on this machine.
    #[arg(long)]
    pub loopback_only: bool,
    /// A bad network, both ways: loss=0.1,delay=50,jitter=10,rate=1000k,seed=1
    #[arg(long)]
    pub net: Option<Impairment>,
    /// Hangs up so long after the connection.
    #[arg(long, value_name = "N")]
    pub seconds: Option<f64>,
}

impl PeerOptions {
    /// The engine's part of it.
    pub fn engine(&self) -> EngineConfig {
        EngineConfig {
            camera: self.camera.0.clone(),
            microphone: self.mic.0.clone(),
            speaker: self.speaker.clone(),
            video: self.video,
            bitrate: self.bitrate,
            total: None,
            processing: self.processing,
            opus: OpusSettings { frame: self.frame, ..OpusSettings::default() },
            ice_servers: self.ice_servers.clone(),
            relay_only: self.relay_only,
            same_machine: None,
            loopback_only: self.loopback_only,
            impairment: self.net.clone(),
            own_picture: false,
            largest: None,
            probe_turn: ahoy_call::link::ProbeTurn::default(),
            echo: false,
        }
    }

    /// Time after the connection, if it is limited.
    pub fn duration(&self) -> Option<Duration> {
        self.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}

/// A device, or none of its kind.
#[derive(Clone, Debug)]
pub struct OrNone<T>(pub Option<T>);

fn or_none<T: std::str::FromStr>(text: &str) -> Result<OrNone<T>, T::Err> {
    match text {
        "none" => Ok(OrNone(None)),
        _ => text.parse().map(|spec| OrNone(Some(spec))),
    }
}

fn opus_frame(text: &str) -> Result<OpusFrame, String> {
    let ms = text.parse().ok();
    OpusFrame::ALL.into_iter().find(|frame| Some(frame.ms()) == ms).ok_or("a packet has 10, 20, 40 or 60 ms".to_owned())
}

fn processing(text: &str) -> Result<ProcessingSettings, String> {
    let mut settings = ProcessingSettings::OFF;
    for word in text.split(',') {
        match word {
            "all" => {
                settings =
                    ProcessingSettings { echo_cancellation: true, noise_suppression: true, automatic_gain: true };
            }
            "none" => {}
            "echo" => settings.echo_cancellation = true,
            "noise" => settings.noise_suppression = true,
            "gain" => settings.automatic_gain = true,
            _ => return Err(format!("{word:?} is none of echo, noise, gain, all, none")),
        }
    }
    Ok(settings)
}

fn output_path(text: &str) -> Result<PathBuf, String> {
    // stdout carries the messages.
    if text == "-" { Err("stdout is taken: name a file or a FIFO".to_owned()) } else { Ok(text.into()) }
}

fn ice_server(text: &str) -> Result<IceServer, String> {
    let mut parts = text.splitn(3, ',').map(str::to_owned);
    let url = parts.next().unwrap_or_default();
    let turn = url.starts_with("turn:") || url.starts_with("turns:");
    if !(turn || url.starts_with("stun:")) {
        return Err(format!("{url:?} does not begin with stun: or turn:"));
    }
    let (user, credential) = (parts.next(), parts.next());
    if turn && credential.is_none() {
        return Err("a TURN server needs a user and a credential: turn:HOST:PORT,USER,CREDENTIAL".to_owned());
    }
    Ok(IceServer { url, user: user.unwrap_or_default(), credential: credential.unwrap_or_default() })
}

impl Options {
    /// Does what was asked for.
    pub fn run(self) -> Exit {
        match self.command {
            Command::Call(options) => session::run(session::Role::Call, options),
            Command::Answer(options) => session::run(session::Role::Answer, options),
            Command::Echo(options) => session::run(session::Role::Echo, options),
            Command::Demo(options) => demo::run(&options),
            Command::Devices { json } => devices::list(json),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<PeerOptions, clap::Error> {
        let all = ["ahoy-peer", "call"].iter().chain(arguments);
        Options::try_parse_from(all).map(|options| match options.command {
            Command::Call(options) => options,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn every_documented_option_is_taken() {
        let options = parse(&[
            "--signal",
            "stdio",
            "--channel",
            "x",
            "--camera",
            "none",
            "--mic",
            "file:a.wav",
            "--speaker",
            "default",
            "--video",
            "640x360@30",
            "--bitrate",
            "500k",
            "--remote-webm",
            "a.webm",
            "--stats",
            "s.jsonl",
            "--ice-server",
            "turn:127.0.0.1:3478,u,p",
            "--ice-server",
            "stun:127.0.0.1:3478",
            "--relay-only",
            "--loopback-only",
            "--net",
            "loss=0.1,delay=50,jitter=10,rate=1000k,seed=1",
            "--seconds",
            "3",
        ])
        .unwrap();
        assert!(options.camera.0.is_none() && options.mic.0.is_some());
        assert_eq!(options.ice_servers.len(), 2);
        assert_eq!(options.duration(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn nonsense_is_bad_usage() {
        for arguments in [
            ["--remote-webm", "-"],
            ["--ice-server", "http://x"],
            ["--ice-server", "turn:x:1"],
            ["--camera", "webcam"],
            ["--video", "big"],
            ["--net", "loss=7"],
            ["--frame", "15"],
            ["--processing", "magic"],
        ] {
            let error = parse(&arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{arguments:?}: {error}");
        }
    }
}
