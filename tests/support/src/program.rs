//! A program around another WebRTC as one end of a call: `tests/programs`, with its line on stdin and stdout.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::{
    browser::Role,
    content::Content,
    native::{self, Native},
    report,
};

/// Keeps Python from writing beside the programs.
const NO_CACHE: &str = "PYTHONDONTWRITEBYTECODE";

/// Whose WebRTC it is, and how its connections are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// GStreamer's webrtcbin, one connection for all media.
    GStreamer,
    /// webrtcbin as it is by default: a connection for each medium, without BUNDLE.
    GStreamerUnbundled,
    /// aiortc.
    Aiortc,
}

/// Which media a program sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sends {
    /// The test tone.
    pub audio: bool,
    /// The test pattern.
    pub video: bool,
}

/// A running program.
pub struct Running(pub Native);

impl Running {
    /// What it has seen and heard so far.
    pub fn content(&self) -> Content {
        report::content(&self.0.peer)
    }
}

impl Program {
    /// Starts it.
    ///
    /// # Panics
    /// Where it is not [`available`](Self::available).
    pub fn start(self, role: Role, sends: Sends) -> Running {
        let python = self.python().unwrap_or_else(|reason| panic!("{reason}"));
        let mut command = tokio::process::Command::new(python);
        command.env(NO_CACHE, "1").arg(folder().join(self.module()).with_extension("py")).arg(match role {
            Role::Call => "call",
            Role::Answer => "answer",
        });
        command.args(sends.audio.then_some("--audio")).args(sends.video.then_some("--video"));
        if self == Self::GStreamerUnbundled {
            command.args(["--bundle", "none"]);
        }
        Running(native::start_on_stdio(self.module(), command))
    }

    /// Whether it is installed; says so if it is not, for a test that is then skipped.
    pub fn available(self) -> bool {
        let python = self.python();
        if let Err(reason) = &python {
            println!("SKIPPED: {reason}");
        }
        python.is_ok()
    }

    fn module(self) -> &'static str {
        match self {
            Self::GStreamer | Self::GStreamerUnbundled => "gstreamer",
            Self::Aiortc => "aiortc_peer",
        }
    }

    /// A Python that has what the program needs.
    fn python(self) -> Result<&'static Path, &'static str> {
        static GSTREAMER: OnceLock<Option<PathBuf>> = OnceLock::new();
        static AIORTC: OnceLock<Option<PathBuf>> = OnceLock::new();
        let (found, missing) = match self {
            Self::GStreamer | Self::GStreamerUnbundled => {
                // Another one may be first on the PATH, without the system's modules.
                let found = GSTREAMER.get_or_init(|| self.find(["python3", "/usr/bin/python3"].map(PathBuf::from)));
                (found, "Python finds no GStreamer with webrtcbin, libnice, VP8 and Opus; `./dev test` installs it")
            }
            Self::Aiortc => {
                let of_dev = folder().join("../../target/aiortc/bin/python");
                let found = AIORTC.get_or_init(|| self.find([of_dev, PathBuf::from("python3")]));
                (found, "aiortc is not there; `./dev test` installs it")
            }
        };
        found.as_deref().ok_or(missing)
    }

    fn find(self, candidates: [PathBuf; 2]) -> Option<PathBuf> {
        let imports = |python: &PathBuf| {
            let mut command = Command::new(python);
            command.args(["-c", &format!("import {}", self.module())]).env("PYTHONPATH", folder()).env(NO_CACHE, "1");
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        candidates.into_iter().find(imports)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs")
}
