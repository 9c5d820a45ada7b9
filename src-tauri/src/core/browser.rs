//! Calls whose media the page runs in its own `RTCPeerConnection`: the same call state, with the page as the
//! peer link.
//!
//! What the other side describes goes to the page as [`AppEvent::Signal`]; what the page makes comes back the
//! same way. The page makes the first offer by itself when its call is accepted, and another whenever it
//! needs one; the call state asks for offers. Between the two, an offer that came before it was asked for is
//! kept, and taken for news that the link needs another. A page that does not say how its link is has one as
//! soon as both descriptions are known.

use std::{
    future,
    sync::Arc,
    time::{Duration, Instant},
};

use ahoy_call::{
    engine::{EngineCommand, EngineEvent, Events},
    event::{CallEvent, Problem, ProblemCode},
    id::{CallId, PeerId},
    message::{IceCandidate, MediaState},
    sending::{EnvelopeSender, SendFailure},
    signaler::{Incoming, Signaler},
    state::{Input, LinkCommand, LinkEvent, Output, Switchboard},
};
use tokio::sync::{mpsc, oneshot};

use super::Sink;
use crate::api::{AppEvent, LinkState, SignalPayload};

/// A handle of the task that owns the calls.
#[derive(Clone)]
pub struct BrowserCalls {
    requests: mpsc::UnboundedSender<Request>,
}

enum Request {
    Command(EngineCommand),
    Signal(CallId, SignalPayload),
    SendFailed(SendFailure),
    Stop(oneshot::Sender<()>),
}

/// How long the end waits for peers to take what is queued for them, as the engine does.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

impl BrowserCalls {
    /// Starts on the current tokio runtime.
    pub fn start(signaler: Arc<dyn Signaler>, sink: Sink) -> (Self, Events) {
        let (requests, inbox) = mpsc::unbounded_channel();
        let (events, outbox) = mpsc::unbounded_channel();
        // Weak: the last handle that is dropped ends the calls.
        let failures = requests.downgrade();
        let sender = EnvelopeSender::new(Arc::clone(&signaler), move |failure| {
            if let Some(requests) = failures.upgrade() {
                let _ = requests.send(Request::SendFailed(failure));
            }
        });
        let calls = Calls {
            signaler,
            sink,
            events,
            sender,
            board: Switchboard::default(),
            wanted: MediaState { audio: true, video: false },
            offers: Offers::default(),
        };
        tokio::spawn(calls.run(inbox));
        (Self { requests }, outbox)
    }

    pub fn command(&self, command: EngineCommand) {
        let _ = self.requests.send(Request::Command(command));
    }

    /// What the page made for a call.
    pub fn signal(&self, call: CallId, payload: SignalPayload) {
        let _ = self.requests.send(Request::Signal(call, payload));
    }

    pub async fn stop(self) {
        let (answer, stopped) = oneshot::channel();
        let _ = self.requests.send(Request::Stop(answer));
        let _ = stopped.await;
    }
}

struct Calls {
    signaler: Arc<dyn Signaler>,
    sink: Sink,
    events: mpsc::UnboundedSender<EngineEvent>,
    sender: EnvelopeSender,
    board: Switchboard,
    wanted: MediaState,
    offers: Offers,
}

/// Brings the page's offers and the call state's wishes for them together.
#[derive(Default)]
struct Offers {
    /// The call state waits for one.
    wanted: bool,
    /// The page made one that nobody asked for yet.
    early: Option<String>,
}

impl Calls {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        let signaler = Arc::clone(&self.signaler);
        let mut reachable = true;
        loop {
            self.carry_out();
            let deadline = self.board.next_deadline();
            let alarm = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(Request::Command(command)) => self.command(command),
                    Some(Request::Signal(call, payload)) => self.page_says(&call, payload),
                    Some(Request::SendFailed(SendFailure { call, to, error })) => {
                        self.board.handle(Instant::now(), &call, Input::SendFailed { to, error });
                    }
                    Some(Request::Stop(answer)) => {
                        self.farewell().await;
                        let _ = answer.send(());
                        return;
                    }
                    None => return self.farewell().await,
                },
                incoming = signaler.receive(), if reachable => match incoming {
                    Some(Incoming { from, message: Ok(envelope) }) => {
                        self.board.receive(Instant::now(), from, envelope);
                    }
                    Some(Incoming { from, message: Err(error) }) => tracing::debug!(%from, %error, "bad message"),
                    None => reachable = false,
                },
                () = alarm => self.board.tick(Instant::now()),
            }
        }
    }

    async fn farewell(mut self) {
        self.current(Input::HangUp);
        self.carry_out();
        self.sender.finish(FINISH_LIMIT).await;
    }

    fn command(&mut self, command: EngineCommand) {
        let input = match command {
            EngineCommand::Call { peer, id } => {
                if let Err(error) = self.board.place(Instant::now(), id.clone(), peer, self.wanted) {
                    let problem = Problem::new(ProblemCode::Busy, error.to_string(), "Hang up first.");
                    self.tell(id, CallEvent::Problem(problem));
                }
                return;
            }
            EngineCommand::Accept => Input::Accept { media: self.wanted },
            EngineCommand::Decline => Input::Decline,
            EngineCommand::HangUp => Input::HangUp,
            EngineCommand::Hold => Input::Hold,
            EngineCommand::Resume => Input::Resume,
            // The page opens its devices itself, and limits its own sender.
            EngineCommand::SetDevices(_) | EngineCommand::SetVideoLimit(_) => return,
            EngineCommand::SetAudio(on) => {
                self.wanted.audio = on;
                Input::SetMedia(self.wanted)
            }
            EngineCommand::SetVideo(on) => {
                self.wanted.video = on;
                Input::SetMedia(self.wanted)
            }
        };
        self.current(input);
    }

    fn current(&mut self, input: Input) {
        if let Some(id) = self.board.current().map(|call| call.id().clone()) {
            self.board.handle(Instant::now(), &id, input);
        }
    }

    fn page_says(&mut self, call: &CallId, payload: SignalPayload) {
        let peer = self.board.call(call).and_then(|call| call.participants().next()).map(|(peer, _)| peer.clone());
        let Some(peer) = peer else { return };
        let events = match payload {
            SignalPayload::CallOffer { sdp } if std::mem::take(&mut self.offers.wanted) => {
                vec![LinkEvent::LocalOffer(sdp)]
            }
            SignalPayload::CallOffer { sdp } => {
                self.offers.early = Some(sdp);
                vec![LinkEvent::Disconnected]
            }
            SignalPayload::CallAnswer { sdp } => vec![LinkEvent::LocalAnswer(sdp), LinkEvent::Connected],
            SignalPayload::IceCandidate { candidate } if candidate.is_end() => vec![LinkEvent::LocalCandidatesDone],
            SignalPayload::IceCandidate { candidate } => vec![LinkEvent::LocalCandidate(candidate)],
            SignalPayload::Link { state: LinkState::Connected } => vec![LinkEvent::Connected],
            // The call state has its own limit for how long another way is looked for.
            SignalPayload::Link { state: LinkState::Lost } => vec![LinkEvent::Disconnected],
        };
        for event in events {
            self.board.handle(Instant::now(), call, Input::Link { peer: peer.clone(), event });
        }
    }

    fn carry_out(&mut self) {
        while let Some((call, output)) = self.board.poll_output() {
            match output {
                Output::Send { to, envelope } => self.sender.send(to, envelope),
                Output::Event(event) => {
                    if let CallEvent::Ended { .. } | CallEvent::Replaced { .. } = &event {
                        self.sender.end_call(&call);
                    }
                    self.tell(call, event);
                }
                Output::Link { peer, command } => self.command_link(&call, peer, command),
            }
        }
        self.sender.set_in_call(self.board.peers());
    }

    fn command_link(&mut self, call: &CallId, peer: PeerId, command: LinkCommand) {
        let payload = match command {
            LinkCommand::Open { .. } => {
                self.offers = Offers::default();
                return;
            }
            LinkCommand::CreateOffer { .. } => {
                match self.offers.early.take() {
                    Some(sdp) => {
                        let event = LinkEvent::LocalOffer(sdp);
                        self.board.handle(Instant::now(), call, Input::Link { peer, event });
                    }
                    None => self.offers.wanted = true,
                }
                return;
            }
            LinkCommand::AcceptOffer { sdp } => SignalPayload::CallOffer { sdp },
            LinkCommand::AcceptAnswer { sdp } => {
                self.board.handle(Instant::now(), call, Input::Link { peer, event: LinkEvent::Connected });
                SignalPayload::CallAnswer { sdp }
            }
            LinkCommand::AddCandidate(candidate) => SignalPayload::IceCandidate { candidate },
            LinkCommand::EndOfCandidates => SignalPayload::IceCandidate { candidate: IceCandidate::end() },
            // `setRemoteDescription` takes an open offer back by itself, and what is sent stands in the call.
            LinkCommand::Rollback
            | LinkCommand::SetSending(_)
            | LinkCommand::SetPlaying(_)
            | LinkCommand::SetTakesDred(_)
            | LinkCommand::Close => return,
        };
        (self.sink)(AppEvent::Signal { call: call.to_string(), payload });
    }

    fn tell(&self, call: CallId, event: CallEvent) {
        let _ = self.events.send(EngineEvent { call, event });
    }
}
