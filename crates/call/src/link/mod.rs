//! One peer's WebRTC connection, as an actor: it carries out [`LinkCommand`]s in order, reports
//! [`LinkEvent`]s, sends the media it is handed, and hands over what it receives.
//!
//! ```text
//! EncodedFrame ─▶ outgoing::video ─┐     webrtc stack       ┌─▶ incoming::video ─▶ reorder, NACK ─▶ lip sync
//! Opus packet ──▶ outgoing::audio ─┴▶ send: pacer, repairs ─┴─▶ incoming::audio ─▶ jitter buffer
//! ```

mod addresses;
mod description;
mod estimate;
mod handshake;
mod impair;
mod incoming;
mod outgoing;
mod reader;
mod restart;
mod route;
mod rtx;
mod send;
mod socket;
mod stack;
mod stats;
mod tap;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use ahoy_media::video::EncodedFrame;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tracing::{debug, warn};
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSdpType, RTCSessionDescription};

pub use description::read_offer;
use estimate::SendControl;
pub use estimate::{Ceiling, Estimate, Limit, ProbeTurn};
pub use impair::{Impairment, ParseImpairmentError};
pub use incoming::{AudioSink, ReceivedAudio, Sinks, VideoSink};
pub use outgoing::OutgoingAudio;
pub use route::Route;
pub use stack::{IceServer, LinkConfig};
pub use stats::{LinkStats, StreamIn, StreamOut};

use crate::{
    message::{IceCandidate, MediaState},
    state::{LinkCommand, LinkEvent},
};

/// What a link tells the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkReport {
    /// Something the call state needs to know.
    Event(LinkEvent),
    /// The other side cannot go on without a key frame.
    KeyFrameWanted {
        /// It has just been connected, and has never had one; else it asked (PLI, FIR).
        new_peer: bool,
    },
    /// What the other side takes, by the newest descriptions.
    Takes(MediaState),
    /// What the path to this peer carries, by the newest estimate.
    Estimate(Estimate),
    /// The first whole picture came.
    FirstVideo,
    /// The first packet of sound came.
    FirstAudio,
}

/// Reports wait here until the engine takes them. A link makes some ten a second in its worst moments; the
/// engine never blocks for long.
const REPORTS: usize = 1024;

/// Closing says goodbye to the other side and to relays, which may not answer.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The receiving end of a link's reports.
pub type Reports = mpsc::Receiver<LinkReport>;

/// A running link. Dropping it takes it down.
#[derive(Debug)]
pub struct PeerLink {
    commands: mpsc::UnboundedSender<LinkCommand>,
    video: outgoing::VideoQueue,
    audio: outgoing::AudioQueue,
    key_request: Arc<Notify>,
    pause: Arc<Notify>,
    stats: stats::SharedStats,
    control: SendControl,
    restarts: restart::Restarts,
}

impl PeerLink {
    /// Starts a link on the current tokio runtime. The first command must be `Open`.
    pub fn spawn(config: LinkConfig, sinks: Sinks) -> (Self, Reports) {
        let (commands, inbox) = mpsc::unbounded_channel();
        let (reports, outbox) = mpsc::channel(REPORTS);
        let stats = stats::SharedStats::default();
        let (video, video_source) = outgoing::video_queue();
        let (audio, audio_source) = outgoing::audio_queue();
        let (key_request, pause) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let gate = outgoing::Gate::default();
        let incoming =
            Incoming { sinks, key_request: Arc::clone(&key_request), pause: Arc::clone(&pause), gate: gate.clone() };
        let (control, restarts) = (SendControl::default(), restart::Restarts::default());
        let actor =
            Actor { config, reports, stats: stats.clone(), gate, control: control.clone(), restarts: restarts.clone() };
        tokio::spawn(actor.run(inbox, incoming, video_source, audio_source));
        (Self { commands, video, audio, key_request, pause, stats, control, restarts }, outbox)
    }

    /// Queues a command; they are carried out in order.
    pub fn command(&self, command: LinkCommand) {
        // A closed link has nothing left to carry out.
        let _ = self.commands.send(command);
    }

    /// Sends a frame. False: the link is so far behind that it was dropped; the next one has to be a key
    /// frame.
    pub fn send_video(&self, frame: &EncodedFrame) -> bool {
        self.video.push(frame)
    }

    /// Changes the ceiling of this link.
    pub fn set_ceiling(&self, ceiling: Ceiling) {
        self.control.lock().ceiling = Some(ceiling);
    }

    /// How long the video that waits here takes to leave.
    pub fn backlog(&self) -> Duration {
        self.control.lock().backlog
    }

    /// Sends a packet of sound.
    pub fn send_audio(&self, packet: OutgoingAudio) {
        self.audio.push(packet);
    }

    /// Asks the other side for a key frame, as often as is reasonable.
    pub fn request_key_frame(&self) {
        self.key_request.notify_one();
    }

    /// The other side stops, or begins anew, to send: the time between its last picture and its next is no
    /// freeze.
    pub fn expect_pause(&self) {
        self.pause.notify_one();
    }

    /// The address of this machine that the selected pair uses; none before there is one. A second old at
    /// most.
    pub(crate) fn used_address(&self) -> Option<IpAddr> {
        self.restarts.used()
    }

    /// Totals and newest measurements.
    pub fn stats(&self) -> LinkStats {
        self.stats.snapshot()
    }
}

/// What the receiving tasks work with.
struct Incoming {
    sinks: Sinks,
    key_request: Arc<Notify>,
    gate: outgoing::Gate,
    pause: Arc<Notify>,
}

/// What runs for a link besides its actor.
#[derive(Clone, Debug, Default)]
struct Tasks(Weak<Mutex<JoinSet<()>>>);

impl Tasks {
    /// The owner aborts what still runs when it is dropped, and lets nothing begin after that.
    fn new() -> (Self, Arc<Mutex<JoinSet<()>>>) {
        let owner = Arc::default();
        (Self(Arc::downgrade(&owner)), owner)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.0.upgrade() {
            let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that have ended would be kept until somebody asked for them.
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }
}

/// Owns the connection; the only one who changes it.
struct Actor {
    config: LinkConfig,
    reports: mpsc::Sender<LinkReport>,
    stats: stats::SharedStats,
    gate: outgoing::Gate,
    control: SendControl,
    restarts: restart::Restarts,
}

impl Actor {
    async fn run(
        self,
        mut inbox: mpsc::UnboundedReceiver<LinkCommand>,
        incoming: Incoming,
        video: outgoing::VideoSource,
        audio: outgoing::AudioSource,
    ) {
        match inbox.recv().await {
            Some(LinkCommand::Open { .. }) => {}
            other => {
                debug!(?other, "a link that was never opened goes down");
                return;
            }
        }
        let started = Instant::now();
        let (tasks, _running) = Tasks::new();
        let shared = (&self.restarts, &self.control);
        let stack = match stack::build(&self.config, &self.reports, incoming, &self.stats, shared, &tasks).await {
            Ok(stack) => stack,
            Err(error) => {
                self.report(LinkEvent::Failed(error.to_string())).await;
                return;
            }
        };
        debug!(took = ?started.elapsed(), "link opened");
        let (gate, feedback) = (self.gate.clone(), stack.feedback.clone());
        tasks.spawn(outgoing::video(video, stack.video.clone(), gate.clone(), self.stats.clone(), feedback.clone()));
        tasks.spawn(route::watch((&stack).into(), self.stats.clone(), self.restarts.clone()));
        tasks.spawn(outgoing::audio(audio, stack.audio.clone(), gate.clone(), self.stats.clone(), feedback));
        loop {
            let command = tokio::select! {
                command = inbox.recv() => command,
                () = stack.undeclared.notified() => {
                    self.redeclare(&*stack.connection, &stack).await;
                    continue;
                }
            };
            let Some(command) = command else { break };
            let close = command == LinkCommand::Close;
            self.carry_out(command, &*stack.connection, &stack).await;
            if close {
                return;
            }
        }
        // The handle was dropped without a `Close`.
        self.carry_out(LinkCommand::Close, &*stack.connection, &stack).await;
    }

    async fn carry_out(&self, command: LinkCommand, connection: &dyn PeerConnection, stack: &stack::Stack) {
        let ends_exchange = matches!(command, LinkCommand::AcceptOffer { .. } | LinkCommand::AcceptAnswer { .. });
        let event = match command {
            LinkCommand::Open { .. } => None,
            LinkCommand::CreateOffer { ice_restart } => Some(self.create_offer(connection, stack, ice_restart).await),
            LinkCommand::AcceptOffer { sdp } => Some(self.accept_offer(connection, stack, sdp).await),
            LinkCommand::AcceptAnswer { sdp } => self.accept_answer(connection, stack, sdp).await,
            LinkCommand::Rollback => self.rollback(connection, stack).await,
            LinkCommand::AddCandidate(candidate) => self.add_candidate(connection, stack, candidate).await,
            // The stack finds a pair or fails by its own timers either way.
            LinkCommand::EndOfCandidates => None,
            LinkCommand::SetSending(media) => {
                self.gate.set_sending(media);
                None
            }
            LinkCommand::SetPlaying(playing) => {
                stack.playing.set(playing);
                None
            }
            LinkCommand::SetTakesDred(takes) => {
                stack.feedback.voice.takes_dred.set(takes);
                None
            }
            LinkCommand::Close => {
                match tokio::time::timeout(CLOSE_LIMIT, connection.close()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!(%error, "closing the connection"),
                    Err(_) => warn!("the connection did not close in time; its tasks end with it"),
                }
                None
            }
        };
        if let Some(event) = event {
            self.report(event).await;
        }
        let absent = if ends_exchange { stack.session.absent() } else { MediaState::NONE };
        if absent != MediaState::NONE {
            self.report(LinkEvent::Absent(absent)).await;
        }
    }

    async fn create_offer(
        &self,
        connection: &dyn PeerConnection,
        stack: &stack::Stack,
        ice_restart: bool,
    ) -> LinkEvent {
        let options = stack::offer_options(ice_restart);
        let made = async {
            let offer = connection.create_offer(Some(options)).await?;
            let sdp = stack.session.our_offer(&offer.sdp);
            // The path that there is stays until the answer comes, unless its address is gone.
            if ice_restart && self.restarts.used().is_some_and(addresses::is_there) {
                self.restarts.keep(offer);
            } else {
                connection.set_local_description(offer).await?;
            }
            Ok::<_, webrtc::error::Error>(sdp)
        };
        match made.await {
            Ok(Some(sdp)) => LinkEvent::LocalOffer(sdp),
            Ok(None) => LinkEvent::Failed("no offer could be made".to_owned()),
            Err(error) => LinkEvent::Failed(format!("no offer could be made: {error}")),
        }
    }

    async fn accept_offer(&self, connection: &dyn PeerConnection, stack: &stack::Stack, sdp: String) -> LinkEvent {
        let remote = match stack.session.remote_offer(&sdp) {
            Ok(remote) => remote,
            Err(refusal) => return LinkEvent::RemoteDescriptionRefused(refusal),
        };
        // An offer of ours that was not answered is given up for this one.
        self.restarts.take();
        match answer(connection, remote.sdp.clone()).await.map(|sdp| stack.session.our_answer(&sdp)) {
            Ok(Some(sdp)) => {
                self.negotiated(stack, remote).await;
                LinkEvent::LocalAnswer(sdp)
            }
            Ok(None) => LinkEvent::RemoteDescriptionRefused("no answer to it could be made".to_owned()),
            Err(error) => {
                stack.session.rolled_back();
                LinkEvent::RemoteDescriptionRefused(format!("it cannot be put into effect: {error}"))
            }
        }
    }

    async fn accept_answer(
        &self,
        connection: &dyn PeerConnection,
        stack: &stack::Stack,
        sdp: String,
    ) -> Option<LinkEvent> {
        let remote = match stack.session.remote_answer(&sdp) {
            Ok(remote) => remote,
            Err(refusal) => return Some(LinkEvent::RemoteDescriptionRefused(refusal)),
        };
        if let Some(offer) = self.restarts.take()
            && let Err(error) = connection.set_local_description(offer).await
        {
            return Some(LinkEvent::Failed(format!("the offer of an ICE restart could not be set: {error}")));
        }
        let answered = async {
            let answer = RTCSessionDescription::answer(remote.sdp.clone())?;
            connection.set_remote_description(answer).await
        };
        match answered.await {
            Ok(()) => {
                self.negotiated(stack, remote).await;
                None
            }
            Err(error) => Some(LinkEvent::RemoteDescriptionRefused(format!("it cannot be put into effect: {error}"))),
        }
    }

    /// Declares a stream of the other side to the stack that it learned of by a packet: what was agreed is
    /// agreed once more, between the two of us here alone.
    async fn redeclare(&self, connection: &dyn PeerConnection, stack: &stack::Stack) {
        let Some(sdp) = stack.session.redeclared() else { return };
        match answer(connection, sdp).await {
            Ok(_) => debug!("a stream that no description declares is received"),
            Err(error) => warn!(%error, "a stream that no description declares cannot be received"),
        }
    }

    async fn negotiated(&self, stack: &stack::Stack, remote: description::Remote) {
        let takes = stack.negotiated(remote.takes).await;
        if self.reports.send(LinkReport::Takes(takes)).await.is_err() {
            warn!("a link reports to nobody");
        }
        for what in remote.not_carried {
            self.report(LinkEvent::MediumRefused(what)).await;
        }
    }

    async fn rollback(&self, connection: &dyn PeerConnection, stack: &stack::Stack) -> Option<LinkEvent> {
        stack.session.rolled_back();
        if self.restarts.take().is_some() {
            // It was never set.
            return None;
        }
        let mut rollback = RTCSessionDescription::default();
        rollback.sdp_type = RTCSdpType::Rollback;
        if let Err(error) = connection.set_local_description(rollback).await {
            // Nothing was open: the state machine may ask for it then, too.
            debug!(%error, "rollback");
        }
        None
    }

    async fn add_candidate(
        &self,
        connection: &dyn PeerConnection,
        stack: &stack::Stack,
        candidate: IceCandidate,
    ) -> Option<LinkEvent> {
        if !stack.session.has_section_of(&candidate) {
            debug!("a candidate for a section that is not part of the call");
            return None;
        }
        // A browser without camera permission hides its address behind an mDNS name. Its checks reach us all
        // the same, as peer-reflexive candidates; resolving the name would bind port 5353 for each
        // connection.
        let init = RTCIceCandidateInit {
            candidate: stack.session.candidate(&candidate.candidate)?,
            sdp_mid: candidate.sdp_mid,
            sdp_mline_index: candidate.sdp_m_line_index,
            username_fragment: candidate.username_fragment,
            url: None,
        };
        match connection.add_ice_candidate(init).await {
            Ok(()) => None,
            Err(error) => Some(LinkEvent::CandidateRefused(error.to_string())),
        }
    }

    async fn report(&self, event: LinkEvent) {
        if self.reports.send(LinkReport::Event(event)).await.is_err() {
            warn!("a link reports to nobody");
        }
    }
}

/// Gives the stack an offer, and takes its answer.
async fn answer(connection: &dyn PeerConnection, offer: String) -> webrtc::error::Result<String> {
    connection.set_remote_description(RTCSessionDescription::offer(offer)?).await?;
    let answer = connection.create_answer(None).await?;
    let sdp = answer.sdp.clone();
    connection.set_local_description(answer).await?;
    Ok(sdp)
}

/// Shares the connection with the tasks that only send.
type Connection = Arc<dyn PeerConnection>;
