//! One end of a call, of either kind.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ahoy_test_support::{
    browser::{self, Browser, Engine, Options, Role},
    content::Content,
    firefox,
    native::{self, Native},
    peer::{LIMIT, Peer},
    program::{Program, Running, Sends},
};
use tokio::time::{Instant, sleep};

use crate::recording::Recording;

/// How often a growing file or log is looked at.
const POLL: Duration = Duration::from_millis(100);

/// What a peer runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An `ahoy-peer`.
    Native,
    /// A page in Chromium.
    Chromium,
    /// A page in Firefox.
    Firefox,
    /// GStreamer's webrtcbin with all media in one connection.
    GStreamer,
    /// GStreamer's webrtcbin as it is by default, without BUNDLE.
    GStreamerUnbundled,
    /// aiortc.
    Aiortc,
}

impl Kind {
    /// Whether this machine has it; says so if not, for a test that is then skipped.
    pub fn available(self) -> bool {
        match self {
            Self::Firefox => firefox::available(),
            _ => self.program().is_none_or(Program::available),
        }
    }

    fn program(self) -> Option<Program> {
        match self {
            Self::Native | Self::Chromium | Self::Firefox => None,
            Self::GStreamer => Some(Program::GStreamer),
            Self::GStreamerUnbundled => Some(Program::GStreamerUnbundled),
            Self::Aiortc => Some(Program::Aiortc),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "Ahoy",
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
            Self::GStreamer => "GStreamer",
            Self::GStreamerUnbundled => "GStreamer-unbundled",
            Self::Aiortc => "aiortc",
        })
    }
}

/// What a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Sound alone.
    Audio,
    /// Pictures alone.
    Video,
    /// Both.
    Both,
}

impl Media {
    /// Whether sound is part of it.
    pub fn audio(self) -> bool {
        self != Self::Video
    }

    /// Whether pictures are.
    pub fn video(self) -> bool {
        self != Self::Audio
    }
}

/// A running peer. It ends with this.
#[expect(clippy::large_enum_variant, reason = "a test has two of them")]
pub enum End {
    /// An `ahoy-peer` and the files that it writes.
    Native(Native, Recording),
    /// A page in a browser.
    Page(Browser),
    /// A program around another WebRTC.
    Program(Program, Running),
}

impl End {
    /// Starts a peer that sends the test signal.
    pub async fn start(kind: Kind, role: Role, media: Media) -> Self {
        match kind {
            Kind::Chromium | Kind::Firefox => {
                let engine = if kind == Kind::Firefox { Engine::Firefox } else { Engine::Chromium };
                let options = Options { engine, audio: media.audio(), video: media.video(), ..Options::new(role) };
                Self::Page(browser::open(&options).await)
            }
            Kind::Native => {
                let recording = Recording::new();
                Self::Native(native::start(native_arguments(role, media, &recording)), recording)
            }
            Kind::GStreamer | Kind::GStreamerUnbundled | Kind::Aiortc => {
                let program = kind.program().expect("it is one");
                let sends = Sends { audio: media.audio(), video: media.video() };
                Self::Program(program, program.start(role, sends))
            }
        }
    }

    /// Its line.
    pub fn peer(&self) -> &Peer {
        match self {
            Self::Native(native, _) => &native.peer,
            Self::Page(browser) => &browser.peer,
            Self::Program(_, Running(native)) => &native.peer,
        }
    }

    /// Waits until what arrives after `moment` (unix ms) is as `judge` wants it. `what` names that.
    ///
    /// # Panics
    /// Where it is not within [`LIMIT`].
    pub async fn receives(&mut self, moment: f64, what: &str, judge: impl Fn(&Content) -> bool) {
        if let Err(content) = arrives(|| self.content(), moment, judge).await {
            panic!("no {what} within {LIMIT:?}: {content}{}", self.peer().recent());
        }
    }

    fn content(&mut self) -> Content {
        match self {
            Self::Native(_, recording) => recording.content(),
            Self::Page(browser) => browser.content(),
            Self::Program(_, running) => running.content(),
        }
    }
}

/// Looks at `content` until what is in it after `moment` (unix ms) is as `judge` wants it. Where that is not
/// so within [`LIMIT`], the error is what was there last.
///
/// # Errors
/// See above.
pub async fn arrives(
    mut content: impl FnMut() -> Content,
    moment: f64,
    judge: impl Fn(&Content) -> bool,
) -> Result<(), Content> {
    let limit = Instant::now() + LIMIT;
    loop {
        let content = content().since(moment);
        if judge(&content) {
            return Ok(());
        }
        if Instant::now() > limit {
            return Err(content);
        }
        sleep(POLL).await;
    }
}

fn native_arguments(role: Role, media: Media, recording: &Recording) -> Vec<String> {
    let role = match role {
        Role::Call => "call",
        Role::Answer => "answer",
    };
    let camera = if media.video() { "pattern" } else { "none" };
    let mic = if media.audio() { "tone" } else { "none" };
    let (webm, wav) = (recording.webm().display().to_string(), recording.wav().display().to_string());
    let speaker = format!("file:{wav}");
    [role, "--loopback-only", "--video", "640x360@30", "--camera", camera, "--mic", mic]
        .into_iter()
        .chain(["--speaker", &speaker, "--remote-webm", &webm])
        .map(str::to_owned)
        .collect()
}

/// Now, in unix ms.
pub fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs_f64() * 1000.0
}
