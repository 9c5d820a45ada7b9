//! The task that owns a contact: carries out what [`PeerState`] decides.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Instant,
};

use ahoy_call::{message::Envelope, signaler::Incoming};
use iroh::EndpointId;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep_until,
};

use super::{
    Command, Connected, Down, greet,
    io::{Input, LinkId, Output, Ticket},
    link::{Link, Report, remote_address},
    state::PeerState,
};
use crate::{
    DeliverError, Event, Receipt, Whereabouts,
    frame::{Frame, Hello},
    limit::Throttle,
    local::Local,
};

/// Frames of a peer's links that wait to be decided on.
const REPORTS_WAITING: usize = 16;

/// The task of one contact.
pub(crate) struct Actor {
    local: Arc<Local>,
    peer: EndpointId,
    state: PeerState,
    commands: mpsc::UnboundedReceiver<Command>,
    /// For receipts.
    own_commands: mpsc::UnboundedSender<Command>,
    links: Vec<Link>,
    next_link: LinkId,
    reports: mpsc::Sender<(LinkId, Report)>,
    throttle: Arc<Mutex<Throttle>>,
    dials: JoinSet<Result<Connected, Down>>,
    tickets: HashMap<Ticket, oneshot::Sender<Result<(), DeliverError>>>,
    next_ticket: Ticket,
    /// What readers have no room for now. While there is any, nothing more is read.
    events: VecDeque<Event>,
    envelopes: VecDeque<Incoming>,
}

impl Actor {
    /// Starts the task of a contact.
    pub(crate) fn start(
        local: Arc<Local>,
        peer: EndpointId,
        whereabouts: Whereabouts,
    ) -> mpsc::UnboundedSender<Command> {
        let (own_commands, commands) = mpsc::unbounded_channel();
        let (reports, frames) = mpsc::channel(REPORTS_WAITING);
        let status = local.status.borrow().clone();
        let now = Instant::now();
        let actor = Self {
            state: PeerState::new(local.me, peer, whereabouts, status, fastrand::Rng::new(), now),
            peer,
            commands,
            own_commands: own_commands.clone(),
            links: vec![],
            next_link: 0,
            reports,
            throttle: Arc::new(Mutex::new(Throttle::new(now))),
            dials: JoinSet::new(),
            tickets: HashMap::new(),
            // The other side knows what it has seen of this run of the program, and not that this task is
            // another one.
            next_ticket: fastrand::u64(..) >> 1,
            events: VecDeque::new(),
            envelopes: VecDeque::new(),
            local,
        };
        tokio::spawn(actor.run(frames));
        own_commands
    }

    async fn run(mut self, mut frames: mpsc::Receiver<(LinkId, Report)>) {
        let mut status = self.local.status.subscribe();
        let (events, envelopes) = (self.local.events.clone(), self.local.envelopes.clone());
        self.handle(Input::Tick);
        loop {
            let tick = self.state.next_tick();
            let keeps_up = self.events.is_empty() && self.envelopes.is_empty();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Stop(code)) => return self.links.iter().for_each(|link| link.close(code)),
                    Some(command) => self.command(command),
                    None => return,
                },
                Some((link, report)) = frames.recv(), if keeps_up => self.report(link, report),
                Some(dialled) = self.dials.join_next(), if !self.dials.is_empty() => {
                    match dialled {
                        Ok(Ok(connected)) => self.connected(connected),
                        Ok(Err(why)) => self.handle(Input::DialFailed(why)),
                        // Was given up.
                        Err(error) if error.is_cancelled() => {}
                        Err(_) => self.handle(Input::DialFailed(Down::Lost)),
                    }
                }
                Ok(()) = status.changed() => {
                    let ours = status.borrow_and_update().clone();
                    self.handle(Input::Status(ours));
                }
                Ok(permit) = events.reserve(), if !self.events.is_empty() => {
                    if let Some(event) = self.events.pop_front() {
                        permit.send(event);
                    }
                }
                Ok(permit) = envelopes.reserve(), if !self.envelopes.is_empty() => {
                    if let Some(envelope) = self.envelopes.pop_front() {
                        permit.send(envelope);
                    }
                }
                () = sleep_until(tick.unwrap_or_else(Instant::now).into()), if tick.is_some() => {
                    self.handle(Input::Tick);
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Connected(connected) => self.connected(*connected),
            Command::Send { parcel, done } => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.tickets.insert(ticket, done);
                self.handle(Input::Send { ticket, parcel });
            }
            Command::Received { key, kept } => self.handle(Input::Received { key, kept }),
            Command::Seen(addresses) => self.handle(Input::Seen(addresses)),
            Command::Whereabouts(whereabouts) => self.handle(Input::Whereabouts(whereabouts)),
            Command::NetworkChanged => self.handle(Input::NetworkChanged),
            Command::InCall(in_call) => self.handle(Input::InCall(in_call)),
            // Has ended the loop.
            Command::Stop(_) => {}
        }
    }

    fn connected(&mut self, connected: Connected) {
        let link = self.next_link;
        self.next_link += 1;
        let (hello, dialled) = (connected.hello.clone(), connected.dialled);
        let remote = remote_address(&connected.connection);
        tracing::debug!(peer = %self.peer.fmt_short(), link, dialled, ?remote, "a link is up");
        self.links.push(Link::start(link, connected, self.reports.clone(), self.throttle.clone()));
        self.handle(Input::LinkUp { link, dialled, remote, hello });
    }

    fn report(&mut self, link: LinkId, report: Report) {
        match report {
            Report::Frame(frame) => self.handle(Input::Frame { link, frame }),
            Report::Throttled => self.handle(Input::Throttled),
            Report::Down(why) => {
                self.links.retain(|other| other.id != link);
                self.handle(Input::LinkDown { link, why });
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.state.handle(input, Instant::now());
        while let Some(output) = self.state.output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        let peer = self.peer;
        match output {
            Output::Dial(whereabouts) => {
                let address = self.local.reachable(whereabouts).to_address(peer);
                self.dials.spawn(dial(self.local.clone(), address));
            }
            Output::GiveUpDials => self.dials.abort_all(),
            Output::Write { link, frame } => {
                if let Some(link) = self.links.iter().find(|other| other.id == link) {
                    link.write(frame);
                }
            }
            Output::Close { link, code } => {
                if let Some(link) = self.links.iter().find(|other| other.id == link) {
                    link.close(code);
                }
            }
            Output::Settle { ticket, result } => {
                if let Some(done) = self.tickets.remove(&ticket) {
                    // Whoever gave up waiting does not need to know.
                    let _ = done.send(result);
                }
            }
            Output::Presence { presence, name } => self.events.push_back(Event::Presence { peer, presence, name }),
            Output::Moved(whereabouts) => self.events.push_back(Event::Whereabouts { peer, whereabouts }),
            Output::Envelope(json) => {
                let incoming = Incoming { from: peer.to_string().into(), message: Envelope::parse(&json) };
                self.envelopes.push_back(incoming);
            }
            Output::Message { key, body } => {
                let receipt = Receipt { key, to: Some(self.own_commands.clone()) };
                self.events.push_back(Event::Message { peer, id: key.id, body, receipt });
            }
            Output::Flooding => self.events.push_back(Event::Flooding { peer }),
            Output::Refused => self.events.push_back(Event::Refused { peer }),
        }
    }
}

async fn dial(local: Arc<Local>, address: iroh::EndpointAddr) -> Result<Connected, Down> {
    let first = Frame::Hello(local.hello());
    let (connection, send, recv, answer) = greet(local.endpoint.clone(), address, first).await?;
    match answer {
        Frame::Hello(Hello { instance, status }) => {
            Ok(Connected { connection, send, recv, hello: Hello { instance, status }, dialled: true })
        }
        _ => Err(Down::Lost),
    }
}
