//! The task that owns calls, links and devices.

use std::{
    future,
    sync::Arc,
    time::{Duration, Instant},
};

use ahoy_media::{advice::Advice, webm::hub::Hub};
use tokio::sync::mpsc;
use tracing::debug;

use super::{
    EngineCommand, EngineConfig, EngineEvent, Request,
    device::{News, Opening},
    local::Opened,
    roaming::Watched,
    running::Running,
};
use crate::{
    event::{CallEvent, Device, Problem, ProblemCode},
    id::{CallId, PeerId},
    link::LinkReport,
    message::MediaState,
    sending::{EnvelopeSender, SendFailure},
    signaler::{Incoming, Signaler},
    state::{Input, LinkCommand, Output, Switchboard},
    timeline::Timeline,
};

/// What the engine's own threads and tasks tell it.
pub(super) enum Notice {
    /// A link reports.
    Link { call: CallId, peer: PeerId, report: LinkReport },
    /// A device was opened, or could not be.
    Opened { call: CallId, opened: Opened },
    /// Something befell a device.
    Device { call: CallId, device: Device, opening: Opening, news: News },
    /// Somebody who gets our pictures cannot go on without a key frame.
    KeyFrameWanted,
    /// The reader of a peer's pictures cannot go on without a key frame.
    RemoteKeyFrameWanted(PeerId),
    /// The networks of this machine have changed.
    Networks(Watched),
    /// A message could not be sent.
    SendFailed(SendFailure),
}

/// How long the end of the engine waits for peers to take what is queued for them. The app gives its whole
/// farewell three seconds.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

pub(super) struct Actor {
    config: EngineConfig,
    signaler: Arc<dyn Signaler>,
    hub: Hub,
    events: mpsc::UnboundedSender<EngineEvent>,
    notices: mpsc::UnboundedSender<Notice>,
    inbox: mpsc::UnboundedReceiver<Notice>,
    sender: EnvelopeSender,
    calls: Switchboard,
    running: Option<Running>,
    /// What happened in the last call.
    timeline: Timeline,
    /// What the user wants to send, where there is a device for it; remembered from call to call.
    wanted: MediaState,
}

impl Actor {
    pub(super) fn new(
        config: EngineConfig,
        signaler: Arc<dyn Signaler>,
        hub: Hub,
        events: mpsc::UnboundedSender<EngineEvent>,
    ) -> Self {
        let (notices, inbox) = mpsc::unbounded_channel();
        let failures = notices.clone();
        let sender = EnvelopeSender::new(Arc::clone(&signaler), move |failure| {
            // An engine that has stopped does not want to know.
            let _ = failures.send(Notice::SendFailed(failure));
        });
        let wanted = if config.echo {
            MediaState::BOTH
        } else {
            MediaState { audio: config.microphone.is_some(), video: config.camera.is_some() }
        };
        let config = if config.echo { EngineConfig { camera: None, microphone: None, ..config } } else { config };
        Self {
            config,
            signaler,
            hub,
            events,
            notices,
            inbox,
            sender,
            calls: Switchboard::default(),
            running: None,
            timeline: Timeline::default(),
            wanted,
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let signaler = Arc::clone(&self.signaler);
        let mut reachable = true;
        loop {
            self.carry_out_outputs();
            let deadline = self.next_deadline();
            let alarm = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Command(command)) => self.command(command),
                    Some(Request::Stats(answer)) => {
                        let stats = self.running.as_ref().map(Running::stats);
                        let _ = answer.send(stats.unwrap_or_default());
                    }
                    Some(Request::Timeline(answer)) => drop(answer.send(self.timeline.to_json())),
                    Some(Request::Stop(answer)) => {
                        self.farewell().await;
                        let _ = answer.send(());
                        return;
                    }
                    None => return self.farewell().await,
                },
                incoming = signaler.receive(), if reachable => match incoming {
                    Some(incoming) => self.receive(incoming),
                    // Nobody can tell us anything any more; what runs may go on.
                    None => reachable = false,
                },
                Some(notice) = self.inbox.recv() => self.notice(notice),
                () = alarm => self.tick(),
            }
        }
    }

    /// Hangs up and sees to it that the other side is told.
    async fn farewell(mut self) {
        self.current_input(Input::HangUp);
        self.carry_out_outputs();
        self.sender.finish(FINISH_LIMIT).await;
    }

    fn next_deadline(&self) -> Option<Instant> {
        let running = self.running.as_ref().and_then(Running::next_deadline);
        // Without media there is nothing to sum up.
        let summary = self.timeline.next_deadline().filter(|_| self.running.is_some());
        self.calls.next_deadline().into_iter().chain(running).chain(summary).min()
    }

    fn command(&mut self, command: EngineCommand) {
        let input = match command {
            EngineCommand::Call { peer, id } => {
                let now = Instant::now();
                match self.calls.place(now, id.clone(), peer, self.media()) {
                    // Else the peer was ringing here, and its call is taken.
                    Ok(placed) if placed == id => self.timeline.begin(now, id),
                    Ok(_) => {}
                    Err(error) => {
                        let todo = "Hang up first.";
                        self.tell(id, CallEvent::Problem(Problem::new(ProblemCode::Busy, error.to_string(), todo)));
                    }
                }
                return;
            }
            EngineCommand::Accept => Input::Accept { media: self.media() },
            EngineCommand::Decline => Input::Decline,
            EngineCommand::HangUp => Input::HangUp,
            EngineCommand::Hold => Input::Hold,
            EngineCommand::Resume => Input::Resume,
            EngineCommand::SetAudio(on) => {
                self.wanted.audio = on;
                self.retry(Device::Microphone, on);
                Input::SetMedia(self.media())
            }
            EngineCommand::SetVideo(on) => {
                self.wanted.video = on;
                self.retry(Device::Camera, on);
                Input::SetMedia(self.media())
            }
            EngineCommand::SetDevices(devices) => {
                if self.config.echo {
                    return;
                }
                self.config = self.config.clone().with_devices(devices.clone());
                if let Some(running) = &mut self.running {
                    let (call, event) = (running.id.clone(), running.local.set_devices(devices));
                    self.device_event(call, event);
                }
                Input::SetMedia(self.media())
            }
            EngineCommand::SetVideoLimit(limit) => {
                self.config = self.config.clone().with_limit(limit);
                if let Some(running) = &mut self.running {
                    running.set_limit(limit);
                }
                return self.tell_paused();
            }
        };
        self.current_input(input);
    }

    /// What we are going to send.
    fn media(&self) -> MediaState {
        let EngineConfig { microphone, camera, echo, .. } = &self.config;
        MediaState {
            audio: self.wanted.audio && (*echo || microphone.is_some()),
            video: self.wanted.video && (*echo || camera.is_some()),
        }
    }

    /// Who switches a device on may have plugged it in just before.
    fn retry(&mut self, device: Device, on: bool) {
        if let Some(running) = self.running.as_mut().filter(|_| on) {
            running.local.retry(device);
            // For those who were to get it all along.
            running.update_sending();
        }
    }

    fn current_input(&mut self, input: Input) {
        if let Some(id) = self.calls.current().map(|call| call.id().clone()) {
            self.calls.handle(Instant::now(), &id, input);
        }
    }

    fn receive(&mut self, incoming: Incoming) {
        match incoming.message {
            Ok(envelope) => self.calls.receive(Instant::now(), incoming.from, envelope),
            Err(error) => {
                debug!(from = %incoming.from, %error, "bad message");
                // Said once where a user looks: in the call that runs, if it is that peer's.
                let from = &incoming.from;
                let running = self.running.as_mut().filter(|running| running.peers.contains_key(from));
                if let Some(running) = running
                    && !std::mem::replace(&mut running.told_bad_message, true)
                {
                    let id = running.id.clone();
                    self.tell(id, CallEvent::Problem((&error).into()));
                }
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Link { call, peer, report } => {
                self.link_report(&call, peer, report);
                self.tell_paused();
            }
            Notice::Opened { call, opened } => match self.running.as_mut().filter(|running| running.id == call) {
                Some(running) => {
                    let event = running.local.opened(opened);
                    self.device_event(call, event);
                    self.tell_paused();
                }
                None => opened.close(),
            },
            Notice::Device { call, device, opening, news } => {
                let running = self.running.as_mut().filter(|running| running.id == call);
                let event = running.and_then(|running| running.local.hear(device, opening, news));
                self.device_event(call, event);
            }
            Notice::KeyFrameWanted => {
                if let Some(running) = &mut self.running {
                    running.key_frames.want(Instant::now());
                    running.make_key_frame();
                }
            }
            Notice::RemoteKeyFrameWanted(peer) => {
                if let Some(peer) = self.running.as_ref().and_then(|running| running.peers.get(&peer)) {
                    peer.link.request_key_frame();
                }
            }
            Notice::Networks(Watched { call, observation }) => {
                let running = self.running.as_mut().filter(|running| running.id == call);
                for (peer, path) in running.map(|running| running.roam(observation)).unwrap_or_default() {
                    self.calls.handle(Instant::now(), &call, Input::NetworkChanged { peer, path });
                }
            }
            Notice::SendFailed(SendFailure { call, to, error }) => {
                self.calls.handle(Instant::now(), &call, Input::SendFailed { to, error });
            }
        }
    }

    /// Tells of a device of the running call: the user in words, the other side by what it gets.
    fn device_event(&mut self, call: CallId, event: Option<CallEvent>) {
        let Some(event) = event else { return };
        let Some(available) = self.running.as_ref().map(|running| running.local.available()) else { return };
        self.tell(call.clone(), event);
        // What an echo sends depends on the other side's devices, not on its own.
        if !self.config.echo {
            self.calls.handle(Instant::now(), &call, Input::SetAvailable(available));
        }
    }

    /// Tells the other sides where our video has been paused, or comes again.
    fn tell_paused(&mut self) {
        let Some(running) = &mut self.running else { return };
        let paused = running.local.paused();
        if std::mem::replace(&mut running.paused, paused) != paused {
            let id = running.id.clone();
            self.calls.handle(Instant::now(), &id, Input::SetPaused(paused));
        }
    }

    fn link_report(&mut self, call: &CallId, peer: PeerId, report: LinkReport) {
        let now = Instant::now();
        match report {
            LinkReport::Event(event) => {
                self.timeline.link(now, call, &peer, &event);
                self.calls.handle(now, call, Input::Link { peer, event });
            }
            LinkReport::FirstVideo => self.tell(call.clone(), CallEvent::FirstVideo { peer }),
            LinkReport::FirstAudio => self.tell(call.clone(), CallEvent::FirstAudio { peer }),
            LinkReport::KeyFrameWanted { new_peer } => {
                if let Some(running) = self.running.as_mut().filter(|running| running.id == *call) {
                    if new_peer {
                        running.key_frames.want_at_once(now);
                    } else {
                        running.key_frames.want(now);
                    }
                    running.make_key_frame();
                    if self.config.echo
                        && let Some(peer) = running.peers.get(&peer)
                    {
                        peer.link.request_key_frame();
                    }
                }
            }
            LinkReport::Takes(media) => {
                if let Some(running) = self.running.as_mut().filter(|running| running.id == *call) {
                    running.set_takes(&peer, media);
                }
            }
            LinkReport::Estimate(estimate) => {
                if let Some(running) = self.running.as_mut().filter(|running| running.id == *call)
                    && let Some(peer) = running.peers.get_mut(&peer)
                {
                    peer.estimate = Some(estimate);
                    running.adapt(self.config.bitrate);
                }
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.calls.tick(now);
        let Some(running) = &mut self.running else { return };
        running.make_key_frame();
        self.timeline.stats(now, || running.stats());
        let (id, heard, judged) = (running.id.clone(), running.listen(now), running.judge(now));
        for (peer, hears) in heard {
            self.calls.handle(now, &id, Input::Hears { peer, hears });
        }
        for (peer, network) in judged {
            self.tell(id.clone(), CallEvent::Network { peer, network });
        }
    }

    fn carry_out_outputs(&mut self) {
        while let Some((call, output)) = self.calls.poll_output() {
            match output {
                Output::Send { to, envelope } => self.sender.send(to, envelope),
                Output::Event(event) => {
                    self.follow(&event);
                    if let CallEvent::MediaState { media, .. } = &event
                        && self.config.echo
                    {
                        // What does not come cannot be sent back.
                        self.calls.handle(Instant::now(), &call, Input::SetAvailable(*media));
                    }
                    if let CallEvent::Ended { .. } | CallEvent::Replaced { .. } = &event {
                        self.sender.end_call(&call);
                    }
                    self.tell(call, event);
                }
                Output::Link { peer, command } => self.command_link(&call, peer, command),
            }
        }
        self.sender.set_in_call(self.calls.peers());
    }

    /// What an event means for the link it is about.
    fn follow(&mut self, event: &CallEvent) {
        let Some(running) = &mut self.running else { return };
        let peer = match event {
            CallEvent::Connected { peer } | CallEvent::Reconnected { peer } | CallEvent::Reconnecting { peer } => {
                if let Some(peer) = running.peers.get_mut(peer) {
                    let connected = !matches!(event, CallEvent::Reconnecting { .. });
                    peer.hearing.set_connected(connected);
                    peer.judge.set_connected(connected);
                }
                return;
            }
            CallEvent::Hold { peer, local, remote } => {
                running.set_held(peer, *local || *remote);
                peer
            }
            CallEvent::MediaState { peer, media, paused } => {
                if let Some(peer) = running.peers.get_mut(peer) {
                    peer.hearing.set_says_sound(media.audio);
                    peer.judge.set_says(*media, *paused);
                }
                peer
            }
            _ => return,
        };
        // A hold and a camera that is off stop the picture; so does their end, until the first new one.
        if let Some(peer) = running.peers.get(peer) {
            peer.link.expect_pause();
        }
    }

    fn command_link(&mut self, call: &CallId, peer: PeerId, command: LinkCommand) {
        if let LinkCommand::Open { .. } = command {
            self.open_link(call, &peer);
        }
        let Some(running) = self.running.as_mut().filter(|running| running.id == *call) else { return };
        if let LinkCommand::SetSending(media) = command {
            running.set_sending(&peer, media);
            return;
        }
        if let LinkCommand::AddCandidate(candidate) = &command {
            self.timeline.remote_candidate(Instant::now(), call, &peer, candidate);
        }
        let close = command == LinkCommand::Close;
        if let Some(peer) = running.peers.get(&peer) {
            peer.link.command(command);
        }
        if close {
            running.routes.remove(&peer);
            running.peers.remove(&peer);
            if running.peers.is_empty() {
                self.running = None;
            }
        }
    }

    fn open_link(&mut self, call: &CallId, peer: &PeerId) {
        let running = match self.running.take() {
            Some(running) if running.id == *call => running,
            // The state machine closes a call's links before it opens another's.
            Some(_) | None => Running::start(call.clone(), &self.config, &self.hub, &self.notices),
        };
        let unheard = self.running.insert(running).open_link(peer, &self.config, &self.hub, &self.notices);
        if let Err(error) = unheard {
            let Advice { what, todo } = error.advice();
            self.tell(call.clone(), CallEvent::Problem(Problem::new(ProblemCode::Media, what, todo)));
        }
    }

    fn tell(&mut self, call: CallId, event: CallEvent) {
        self.timeline.event(Instant::now(), &call, &event);
        // Whoever stopped listening does not want to know.
        let _ = self.events.send(EngineEvent { call, event });
    }
}
