//! One endpoint, driven step by step: each input beside what has to come of it, in words.

use std::time::{Duration, Instant};

use ahoy_call::{
    event::CallEvent,
    id::CallId,
    message::{Envelope, IceCandidate, MediaState, Paused, Payload},
    state::{CallStatus, Input, LinkCommand, LinkEvent, Output, Role, Switchboard},
};

pub const BOB: &str = "bob";

pub fn id(text: &str) -> CallId {
    text.parse().unwrap()
}

pub fn candidate(name: &str) -> IceCandidate {
    IceCandidate { candidate: name.into(), sdp_mid: Some("0".into()), ..Default::default() }
}

pub fn offer(sdp: &str) -> Payload {
    Payload::CallOffer { sdp: sdp.into() }
}

pub fn answer(sdp: &str) -> Payload {
    Payload::CallAnswer { sdp: sdp.into() }
}

pub fn trickle(name: &str) -> Payload {
    Payload::IceCandidate { candidate: Some(candidate(name)) }
}

pub fn request() -> Payload {
    Payload::CallRequest { media: Some(MediaState::BOTH) }
}

/// One endpoint, with its clock.
pub struct Script {
    pub board: Switchboard,
    pub now: Instant,
    pub channel: CallId,
    seq: u64,
}

impl Script {
    pub fn new() -> Self {
        Self { board: Switchboard::default(), now: Instant::now(), channel: id("call"), seq: 0 }
    }

    /// An endpoint that has just called Bob.
    pub fn calling() -> Self {
        let mut this = Self::new();
        this.board.place(this.now, this.channel.clone(), BOB.into(), MediaState::BOTH).unwrap();
        this.expect(&["send call-request", "open Caller", "sending av", "create-offer"]);
        this
    }

    /// An endpoint that Bob has just called.
    pub fn called() -> Self {
        let mut this = Self::new();
        this.gets(request()).expect(&["send ringing", "event incoming"]);
        this
    }

    /// An endpoint in a call that it made and that is connected.
    pub fn caller_in_call() -> Self {
        let mut this = Self::calling();
        this.link(LinkEvent::LocalOffer("o1".into())).gets(Payload::CallAck).gets(answer("a1"));
        this.link(LinkEvent::Connected).drop_outputs();
        assert_eq!(this.status(), Some(CallStatus::Active));
        this
    }

    /// An endpoint in a call that Bob made and that is connected.
    pub fn callee_in_call() -> Self {
        let mut this = Self::called();
        this.user(Input::Accept { media: MediaState::BOTH }).gets(offer("o1"));
        this.link(LinkEvent::LocalAnswer("a1".into())).link(LinkEvent::Connected).drop_outputs();
        assert_eq!(this.status(), Some(CallStatus::Active));
        this
    }

    /// Bob's next message in the call.
    pub fn gets(&mut self, payload: Payload) -> &mut Self {
        self.seq += 1;
        self.gets_from(BOB, "call", self.seq, payload)
    }

    /// Any message.
    pub fn gets_from(&mut self, from: &str, channel: &str, seq: u64, payload: Payload) -> &mut Self {
        self.board.receive(self.now, from.into(), Envelope::new(id(channel), seq, payload));
        self
    }

    pub fn user(&mut self, input: Input) -> &mut Self {
        self.board.handle(self.now, &self.channel, input);
        self
    }

    pub fn link(&mut self, event: LinkEvent) -> &mut Self {
        self.user(Input::Link { peer: BOB.into(), event })
    }

    /// Lets time pass, with a tick at its end.
    pub fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.board.tick(self.now);
        self
    }

    /// Everything that came of the inputs since the last look, in words.
    pub fn expect(&mut self, outputs: &[&str]) -> &mut Self {
        assert_eq!(self.outputs(), outputs);
        self
    }

    pub fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.board.poll_output()).map(|(_, output)| words(&output)).collect()
    }

    pub fn drop_outputs(&mut self) -> &mut Self {
        self.outputs();
        self
    }

    /// The status of the call; none once it is over.
    pub fn status(&self) -> Option<CallStatus> {
        self.board.current().map(|call| call.status().clone())
    }
}

/// An output in a few words.
pub fn words(output: &Output) -> String {
    match output {
        Output::Send { envelope, .. } => match &envelope.payload {
            Payload::CallOffer { sdp } => format!("send call-offer {sdp}"),
            Payload::CallAnswer { sdp } => format!("send call-answer {sdp}"),
            Payload::IceCandidate { candidate: Some(c) } => format!("send ice-candidate {}", c.candidate),
            Payload::CallHangup { reason: Some(reason) } => format!("send call-hangup {}", reason.as_str()),
            Payload::MediaState { media, hears, paused, .. } => {
                let deaf = if *hears { "" } else { " deaf" };
                format!("send media-state {}{deaf}{}", letters(*media), paused_word(*paused))
            }
            Payload::CallHold { held } => format!("send call-hold {held}"),
            other => format!("send {}", tag(other, "type")),
        },
        Output::Event(CallEvent::Ended { reason, by, .. }) => format!("event ended {} {by:?}", reason.as_str()),
        Output::Event(CallEvent::Hold { local, remote, .. }) => format!("event hold {local} {remote}"),
        Output::Event(CallEvent::MediaState { media, paused, .. }) => {
            format!("event media-state {}{}", letters(*media), paused_word(*paused))
        }
        Output::Event(CallEvent::Unheard { silence, .. }) => format!("event unheard {silence:?}"),
        Output::Event(CallEvent::Heard { silence }) => format!("event heard {silence:?}"),
        Output::Event(CallEvent::Problem(problem)) => format!("problem {:?}", problem.code),
        Output::Event(event) => format!("event {}", tag(event, "event")),
        Output::Link { command, .. } => match command {
            LinkCommand::Open { role: Role::Caller } => "open Caller".into(),
            LinkCommand::Open { role: Role::Callee } => "open Callee".into(),
            LinkCommand::CreateOffer { ice_restart: false } => "create-offer".into(),
            LinkCommand::CreateOffer { ice_restart: true } => "create-offer restart".into(),
            LinkCommand::AcceptOffer { sdp } => format!("accept-offer {sdp}"),
            LinkCommand::AcceptAnswer { sdp } => format!("accept-answer {sdp}"),
            LinkCommand::Rollback => "rollback".into(),
            LinkCommand::AddCandidate(c) => format!("add {}", c.candidate),
            LinkCommand::EndOfCandidates => "end-of-candidates".into(),
            LinkCommand::SetSending(media) => format!("sending {}", letters(*media)),
            LinkCommand::SetPlaying(playing) => format!("playing {playing}"),
            LinkCommand::SetTakesDred(takes) => format!("takes dred {takes}"),
            LinkCommand::Close => "close".into(),
        },
    }
}

fn paused_word(paused: Option<Paused>) -> &'static str {
    if paused.is_some() { " paused" } else { "" }
}

fn letters(media: MediaState) -> &'static str {
    match (media.audio, media.video) {
        (true, true) => "av",
        (true, false) => "a",
        (false, true) => "v",
        (false, false) => "-",
    }
}

fn tag(value: &impl serde::Serialize, field: &str) -> String {
    serde_json::to_value(value).unwrap()[field].as_str().unwrap().to_owned()
}
