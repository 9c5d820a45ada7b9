//! `call`, `answer` and `echo`: one engine, one call, stdio around it.

use std::{future, sync::Arc, time::Duration};

use ahoy_call::{
    engine::{Engine, EngineCommand, EngineConfig, EngineEvent, Events, remote_stream},
    event::{CallEvent, Problem, ProblemCode, Side},
    id::CallId,
    message::HangupReason,
};
use ahoy_media::webm::hub::Hub;
use bytes::Bytes;
use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tracing::{debug, error};

use crate::{
    clock::unix_ms,
    media_watch::{MediaWatch, Received},
    options::{Exit, PeerOptions, Signal},
    output::{self, Output},
    stats::Statistics,
    stdio::{self, Command, Line, StdioSignaler},
    stdout::{Lost, Stdout},
};

/// An interval between two lines of statistics.
const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// After a hang-up the message has to leave, and links and devices close.
const FAREWELL_LIMIT: Duration = Duration::from_secs(3);

/// Which side of a call this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Calls at once.
    Call,
    /// Accepts the first call.
    Answer,
    /// Accepts the first call, and sends back what comes.
    Echo,
}

/// Holds one call.
pub fn run(role: Role, options: PeerOptions) -> Exit {
    // The two threads are one for the network and one for whatever waits; media has its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(async {
                let mut session = Session::start(role, options);
                let exit = session.run().await;
                session.leave().await;
                exit
            });
            // stdin cannot be interrupted: its reader would be waited for.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            error!(%error, "no threads: close other programs and try again");
            Exit::NoConnection
        }
    }
}

/// How far the call has come, as the exit code and the statistics tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Ringing,
    Connecting,
    Active,
    OnHold,
    Disconnected,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ringing => "ringing",
            Self::Connecting => "connecting",
            Self::Active => "active",
            Self::OnHold => "on-hold",
            Self::Disconnected => "disconnected",
        }
    }
}

struct Session {
    role: Role,
    options: PeerOptions,
    engine: Engine,
    events: Events,
    lines: mpsc::Receiver<Line>,
    stdout: Stdout,
    hub: Hub,
    problems: mpsc::UnboundedReceiver<CallEvent>,
    tell: mpsc::UnboundedSender<CallEvent>,
    stats: Option<Output>,
    statistics: Statistics,
    stage: Stage,
    was_connected: bool,
    /// Somebody holds the call, connected or not.
    held: bool,
    accept_at: Option<Instant>,
    hang_up_at: Option<Instant>,
    leave_at: Option<Instant>,
    ended_by: Option<Side>,
    /// The user has been told that stdout is lost.
    told_lost: bool,
    /// The call ends because it has no way left to the other side.
    cut_off: bool,
    media: MediaWatch,
}

#[derive(Serialize)]
struct EventLine<'a> {
    #[serde(flatten)]
    event: &'a CallEvent,
    call: Option<&'a CallId>,
    t: u64,
}

impl Session {
    fn start(role: Role, options: PeerOptions) -> Self {
        let Signal::Stdio = options.signal;
        let stdout = Stdout::start();
        let (signaler, lines) = StdioSignaler::start(stdout.clone());
        let config = EngineConfig { echo: role == Role::Echo, ..options.engine() };
        let hub = Hub::new();
        let (engine, events) = Engine::start(config, Arc::new(signaler), hub.clone());
        let (tell, problems) = mpsc::unbounded_channel();
        let stats = options.stats.clone().map(|path| Output::open(path, ProblemCode::StatsOutput, tell.clone()));
        Self {
            role,
            options,
            engine,
            events,
            lines,
            stdout,
            hub,
            problems,
            tell,
            stats,
            statistics: Statistics::start(),
            stage: Stage::Waiting,
            was_connected: false,
            held: false,
            accept_at: None,
            hang_up_at: None,
            leave_at: None,
            ended_by: None,
            told_lost: false,
            cut_off: false,
            media: MediaWatch::default(),
        }
    }

    async fn run(&mut self) -> Exit {
        if self.role == Role::Call {
            let id = self.options.channel.clone().unwrap_or_else(CallId::random);
            self.engine.command(EngineCommand::Call { peer: stdio::other_side(), id });
        }
        let mut second: Interval = interval(STATS_INTERVAL);
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        second.tick().await;
        let mut stdin_open = true;
        loop {
            let next = [self.accept_at, self.hang_up_at, self.leave_at].into_iter().flatten().min();
            let alarm = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => if let Some(exit) = self.event(event).await {
                        return exit;
                    },
                    None => return self.exit_of_failure(),
                },
                line = self.lines.recv(), if stdin_open => match line {
                    Some(Line::Command(command)) => self.command(command),
                    Some(Line::BadCommand(error)) => self.print(None, &bad_command(&error)).await,
                    Some(Line::End) | None => {
                        // Whoever drives us is gone, and with it the way to the other side.
                        stdin_open = false;
                        self.hang_up();
                    }
                },
                Some(problem) = self.problems.recv() => self.print(None, &problem).await,
                _ = second.tick() => self.every_second().await,
                lost = self.stdout.lost(), if !self.told_lost => {
                    self.tell_lost(&lost);
                    if self.leave_at.is_none() {
                        self.cut_off = true;
                        self.hang_up();
                    }
                },
                () = alarm => if let Some(exit) = self.alarm() {
                    return exit;
                },
            }
        }
    }

    /// What has been said still has to arrive: the hang-up that ended the call, and the last lines.
    async fn leave(mut self) {
        let _ = tokio::time::timeout(FAREWELL_LIMIT, self.engine.clone().stop()).await;
        match self.stdout.finish().await {
            Ok(()) => {}
            // The other side ended the call, and whoever carried its messages may have left before us.
            Err(lost @ Lost::Broken(_)) if self.ended_by == Some(Side::Remote) => debug!(%lost, "at the end"),
            Err(lost) => self.tell_lost(&lost),
        }
    }

    fn tell_lost(&mut self, lost: &Lost) {
        if !std::mem::replace(&mut self.told_lost, true) {
            error!(
                "{lost}. Messages are lost, and the call ends: whatever starts this program has to read its output."
            );
        }
    }

    fn alarm(&mut self) -> Option<Exit> {
        let now = Instant::now();
        let due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.accept_at) {
            self.engine.command(EngineCommand::Accept);
        }
        if due(&mut self.hang_up_at) {
            self.hang_up();
        }
        due(&mut self.leave_at).then_some(if self.was_connected { self.exit_of_end() } else { Exit::NoConnection })
    }

    fn hang_up(&mut self) {
        self.engine.command(EngineCommand::HangUp);
        // Where no call runs, no event will end us.
        self.leave_at =
            Some(Instant::now() + if self.stage == Stage::Waiting { Duration::ZERO } else { FAREWELL_LIMIT });
    }

    fn command(&mut self, command: Command) {
        self.engine.command(match command {
            Command::Mute => EngineCommand::SetAudio(false),
            Command::Unmute => EngineCommand::SetAudio(true),
            Command::CameraOff => EngineCommand::SetVideo(false),
            Command::CameraOn => EngineCommand::SetVideo(true),
            Command::Hold => EngineCommand::Hold,
            Command::Resume => EngineCommand::Resume,
            Command::Accept => EngineCommand::Accept,
            Command::Decline => EngineCommand::Decline,
            Command::Hangup => return self.hang_up(),
        });
    }

    async fn event(&mut self, EngineEvent { call, event }: EngineEvent) -> Option<Exit> {
        self.print(Some(&call), &event).await;
        match &event {
            CallEvent::Incoming { .. } => {
                self.stage = Stage::Ringing;
                self.accept_at = Some(Instant::now() + Duration::from_millis(self.options.ring));
            }
            CallEvent::Ringing { .. } => self.stage = Stage::Ringing,
            CallEvent::Connecting { peer } => {
                self.stage = Stage::Connecting;
                if let Some(path) = self.options.remote_webm.take() {
                    let output = Output::open(path, ProblemCode::MediaOutput, self.tell.clone());
                    tokio::spawn(output::copy_stream(self.hub.clone(), remote_stream(&call, peer), output));
                }
            }
            CallEvent::Connected { .. } => {
                self.stage = Stage::Active;
                self.was_connected = true;
                self.hang_up_at = self.options.duration().map(|duration| Instant::now() + duration);
            }
            CallEvent::Reconnected { .. } => self.stage = if self.held { Stage::OnHold } else { Stage::Active },
            CallEvent::Reconnecting { .. } => self.stage = Stage::Disconnected,
            CallEvent::Hold { local, remote, .. } => {
                self.held = *local || *remote;
                if self.stage != Stage::Disconnected {
                    self.stage = if self.held { Stage::OnHold } else { Stage::Active };
                }
            }
            CallEvent::Ended { reason, by, .. } => {
                self.ended_by = Some(*by);
                return Some(self.exit_of(reason, *by));
            }
            CallEvent::MediaState { media, .. } => self.media.said(*media),
            CallEvent::Missed { .. }
            | CallEvent::FirstVideo { .. }
            | CallEvent::Network { .. }
            | CallEvent::FirstAudio { .. }
            | CallEvent::DeviceMissing { .. }
            | CallEvent::DeviceLost { .. }
            | CallEvent::DeviceBack { .. }
            | CallEvent::Replaced { .. }
            | CallEvent::Unheard { .. }
            | CallEvent::Heard { .. }
            | CallEvent::Problem(_) => {}
        }
        None
    }

    fn exit_of(&self, reason: &HangupReason, by: Side) -> Exit {
        match reason {
            HangupReason::Failed | HangupReason::Timeout => self.exit_of_failure(),
            HangupReason::Hangup | HangupReason::Other(_) if self.was_connected || by == Side::Local => {
                self.exit_of_end()
            }
            HangupReason::Hangup
            | HangupReason::Declined
            | HangupReason::Busy
            | HangupReason::Glare
            | HangupReason::Other(_) => Exit::NoConnection,
        }
    }

    /// Somebody ended the call. Nobody wished it this way where this program was cut off from the other side,
    /// or waited for media in vain.
    fn exit_of_end(&self) -> Exit {
        if self.cut_off || self.media.has_stopped() { self.exit_of_failure() } else { Exit::Normal }
    }

    fn exit_of_failure(&self) -> Exit {
        if self.was_connected { Exit::MediaStopped } else { Exit::NoConnection }
    }

    async fn every_second(&mut self) {
        let peer = self.engine.stats().await.into_iter().next();
        let received = peer.as_ref().map_or_else(Received::default, |peer| Received {
            audio: peer.link.audio_in_packets,
            video: peer.link.video_in.receive.packets,
        });
        // A call that ends while its connection is being looked for has lost its media too.
        let due = !self.held && matches!(self.stage, Stage::Active | Stage::Disconnected);
        let missing = self.media.look(Instant::now(), received, due);
        // That the connection is lost has been told.
        if let Some(problem) = missing.filter(|_| self.stage == Stage::Active) {
            self.print(None, &CallEvent::Problem(problem)).await;
        }
        let line = self.statistics.line(self.stage.name(), peer);
        if let (Some(output), Ok(mut line)) = (&self.stats, serde_json::to_vec(&line)) {
            line.push(b'\n');
            output.write(Bytes::from(line)).await;
        }
    }

    async fn print(&self, call: Option<&CallId>, event: &CallEvent) {
        if let Ok(line) = serde_json::to_string(&EventLine { event, call, t: unix_ms() }) {
            // A lost stdout ends the call, in `run`.
            let _ = self.stdout.write_line(line).await;
        }
    }
}

fn bad_command(error: &str) -> CallEvent {
    let what = format!("a command that is not known ({error})");
    CallEvent::Problem(Problem::new(ProblemCode::BadMessage, what, "See `ahoy-peer call --help`."))
}
