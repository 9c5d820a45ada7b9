//! What the events of a call make of what the page shows of it. Pure: the time is given.

use ahoy_call::{
    engine::{self, LOCAL_STREAM, remote_stream},
    event::{CallEvent, Device, Side, Silence},
    id::{CallId, PeerId},
    message::{self, HangupReason},
    quality::{NetworkState, Quality, SentVideo},
};
use ahoy_store::{CallRecordId, UnixMs};

use crate::api::{Adapted, Call, CallEnd, CallMode, CallPhase, Direction, MediaState, NetworkTrouble, Notice, Unheard};

/// Notices that a call keeps: a broken peer must not fill the memory.
const MAX_NOTICES: usize = 8;

/// A call and what only we need to know of it.
#[derive(Clone, Debug)]
pub struct Running {
    pub call: Call,
    /// Its place in the history.
    pub record: Option<CallRecordId>,
    /// What we would send but for a device that is not there.
    missing: MediaState,
    /// What should be heard and is not.
    silences: Vec<Silence>,
}

/// What is to be written down of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Answered,
    Ended(HangupReason),
}

impl Running {
    /// A call that begins to ring, there or here.
    pub fn new(
        id: &CallId,
        peer: &PeerId,
        peer_name: String,
        direction: Direction,
        video: bool,
        mode: CallMode,
    ) -> Self {
        let phase = match direction {
            Direction::Outgoing => CallPhase::Calling,
            Direction::Incoming => CallPhase::Incoming,
        };
        let call = Call {
            id: id.to_string(),
            peer: peer.to_string(),
            peer_name,
            direction,
            phase,
            wanted: MediaState { audio: true, video },
            sending: MediaState::default(),
            receiving: MediaState::default(),
            held_here: false,
            held_there: false,
            started_at: None,
            remote_stream: None,
            local_stream: None,
            route: None,
            quality: None,
            trouble: None,
            adapted: None,
            paused_there: false,
            unheard: None,
            mode,
            notices: Vec::new(),
            end: None,
        };
        Self { call, record: None, missing: MediaState::default(), silences: Vec::new() }
    }

    /// Whether it is this call, and rings here.
    pub fn rings(&self, id: &str) -> bool {
        self.call.id == id && self.call.phase == CallPhase::Incoming
    }

    /// Takes an event of this call, at its time; gives what is to be written down.
    pub fn apply(&mut self, event: &CallEvent, now: UnixMs) -> Option<Note> {
        let mut note = None;
        let call = &mut self.call;
        match event {
            CallEvent::Incoming { media, .. } => call.receiving = media_state(*media),
            CallEvent::Ringing { .. } if call.phase == CallPhase::Calling => call.phase = CallPhase::Ringing,
            CallEvent::Ringing { .. } | CallEvent::Missed { .. } => {}
            CallEvent::Connecting { .. } => {
                call.phase = CallPhase::Connecting;
                note = Some(Note::Answered);
            }
            CallEvent::Connected { .. } => {
                call.phase = CallPhase::Active;
                call.started_at.get_or_insert(now.0);
            }
            CallEvent::Reconnecting { .. } => call.phase = CallPhase::Reconnecting,
            CallEvent::Reconnected { .. } => call.phase = CallPhase::Active,
            CallEvent::MediaState { media, paused, .. } => {
                (call.receiving, call.paused_there) = (media_state(*media), paused.is_some());
            }
            CallEvent::Network { network, .. } => {
                call.quality = Some(network.quality);
                call.trouble = trouble(network);
                call.adapted = adapted(network);
            }
            CallEvent::Hold { local, remote, .. } => (call.held_here, call.held_there) = (*local, *remote),
            // A peer that says nothing of its media says it by sending.
            CallEvent::FirstVideo { .. } => call.receiving.video = true,
            CallEvent::FirstAudio { .. } => call.receiving.audio = true,
            CallEvent::DeviceMissing { device, what, todo } => self.lose(*device, "missing", what, todo),
            CallEvent::DeviceLost { device, what, todo } => self.lose(*device, "lost", what, todo),
            CallEvent::DeviceBack { device } => self.find(*device),
            CallEvent::Unheard { silence, .. } => {
                self.silences.retain(|other| other != silence);
                self.silences.push(*silence);
            }
            CallEvent::Heard { silence } => self.silences.retain(|other| other != silence),
            CallEvent::Replaced { by } => call.id = by.to_string(),
            CallEvent::Problem(problem) => {
                let code = word(&problem.code);
                self.add(Notice::sentences(code, &problem.what, &problem.todo));
            }
            CallEvent::Ended { reason, by, text } => {
                call.phase = CallPhase::Ended;
                call.end = Some(CallEnd { reason: reason.as_str().to_owned(), text: text.clone() });
                // Nobody was missed by somebody who hung up while it rang here.
                let declined = *by == Side::Local && *reason == HangupReason::Hangup && call.started_at.is_none();
                let declined = declined && call.direction == Direction::Incoming;
                note = Some(Note::Ended(if declined { HangupReason::Declined } else { reason.clone() }));
            }
        }
        self.settle();
        note
    }

    /// The user switched microphone or camera.
    pub fn want(&mut self, change: impl FnOnce(&mut MediaState)) {
        change(&mut self.call.wanted);
        self.settle();
    }

    /// What follows from the rest.
    fn settle(&mut self) {
        let call = &mut self.call;
        let held = call.held_here || call.held_there;
        call.phase = match (call.phase, held) {
            (CallPhase::Active, true) => CallPhase::Held,
            (CallPhase::Held, false) => CallPhase::Active,
            (phase, _) => phase,
        };
        let flows = matches!(call.phase, CallPhase::Active | CallPhase::Reconnecting);
        call.sending = MediaState {
            audio: flows && call.wanted.audio && !self.missing.audio,
            video: flows && call.wanted.video && !self.missing.video,
        };
        let native = call.mode == CallMode::Native;
        let linked =
            matches!(call.phase, CallPhase::Connecting | CallPhase::Active | CallPhase::Reconnecting | CallPhase::Held);
        call.local_stream = (native && call.sending.video).then(|| LOCAL_STREAM.to_owned());
        let id: Option<CallId> = call.id.parse().ok().filter(|_| native && linked);
        call.remote_stream = id.map(|id| remote_stream(&id, &PeerId::from(&*call.peer)).to_string());
        let is = |silence| self.silences.contains(&silence);
        // The nearest cause: without sound from here, none can arrive there.
        let not_there = [
            (self.missing.audio, Unheard::NoMicrophone),
            (is(Silence::Microphone), Unheard::SilentMicrophone),
            (is(Silence::ToPeer), Unheard::OnTheWay),
        ];
        let not_there = not_there.into_iter().find_map(|(is_so, why)| is_so.then_some(why));
        // Where the connection is lost, that is what to tell.
        let not_here = call.phase == CallPhase::Active && is(Silence::FromPeer);
        call.unheard = not_there.filter(|_| flows && call.wanted.audio).or_else(|| not_here.then_some(Unheard::There));
    }

    fn lose(&mut self, device: Device, how: &str, what: &str, todo: &str) {
        match device {
            Device::Camera => self.missing.video = true,
            Device::Microphone => self.missing.audio = true,
            Device::Speaker => {}
        }
        self.add(Notice::sentences(format!("{}-{how}", word(&device)), what, todo));
    }

    fn find(&mut self, device: Device) {
        match device {
            Device::Camera => self.missing.video = false,
            Device::Microphone => self.missing.audio = false,
            Device::Speaker => {}
        }
        let codes = ["missing", "lost"].map(|how| format!("{}-{how}", word(&device)));
        self.call.notices.retain(|notice| !codes.contains(&notice.code));
    }

    fn add(&mut self, notice: Notice) {
        let notices = &mut self.call.notices;
        notices.retain(|other| other.code != notice.code);
        notices.push(notice);
        if notices.len() > MAX_NOTICES {
            notices.remove(0);
        }
    }
}

pub fn media_state(media: message::MediaState) -> MediaState {
    MediaState { audio: media.audio, video: media.video }
}

fn trouble(state: &NetworkState) -> Option<NetworkTrouble> {
    Some(NetworkTrouble { reason: state.reason?, flow: state.flow })
}

/// Video that is a little smaller, in a call that goes well, is nothing to tell.
fn adapted(state: &NetworkState) -> Option<Adapted> {
    match (state.video?, state.adapted) {
        (SentVideo::Paused, _) => Some(Adapted::Paused),
        (SentVideo::Sent(_), engine::Adapted::No) => None,
        (SentVideo::Sent(_), engine::Adapted::Network | engine::Adapted::Processor) => {
            (state.quality > Quality::Good).then_some(Adapted::Smaller)
        }
    }
}

/// The kebab-case word of an enum.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: UnixMs = UnixMs(1000);

    fn running(direction: Direction) -> Running {
        Running::new(&"c".parse().unwrap(), &"p".into(), "Ada".into(), direction, true, CallMode::Native)
    }

    fn peer() -> PeerId {
        "p".into()
    }

    fn ended(reason: HangupReason, by: Side) -> CallEvent {
        CallEvent::Ended { reason, by, text: "T.".into() }
    }

    #[test]
    fn phases_follow_the_events() {
        let mut running = running(Direction::Outgoing);
        for (event, phase) in [
            (CallEvent::Ringing { peer: peer() }, CallPhase::Ringing),
            (CallEvent::Connecting { peer: peer() }, CallPhase::Connecting),
            (CallEvent::Connected { peer: peer() }, CallPhase::Active),
            (CallEvent::Hold { peer: peer(), local: true, remote: false }, CallPhase::Held),
            (CallEvent::Hold { peer: peer(), local: false, remote: false }, CallPhase::Active),
            (CallEvent::Reconnecting { peer: peer() }, CallPhase::Reconnecting),
            (CallEvent::Hold { peer: peer(), local: false, remote: true }, CallPhase::Reconnecting),
            (CallEvent::Reconnected { peer: peer() }, CallPhase::Held),
            (CallEvent::Hold { peer: peer(), local: false, remote: false }, CallPhase::Active),
            (ended(HangupReason::Hangup, Side::Remote), CallPhase::Ended),
        ] {
            running.apply(&event, T);
            assert_eq!(running.call.phase, phase, "{event:?}");
        }
    }

    #[test]
    fn streams_are_there_while_there_is_a_link() {
        let mut running = running(Direction::Outgoing);
        let streams = |running: &Running| (running.call.remote_stream.is_some(), running.call.local_stream.is_some());
        assert_eq!(streams(&running), (false, false));
        running.apply(&CallEvent::Connecting { peer: peer() }, T);
        assert_eq!(streams(&running), (true, false));
        running.apply(&CallEvent::Connected { peer: peer() }, T);
        assert_eq!(streams(&running), (true, true));
        running.want(|wanted| wanted.video = false);
        assert_eq!(streams(&running), (true, false));
        running.apply(&ended(HangupReason::Hangup, Side::Local), T);
        assert_eq!(streams(&running), (false, false));
    }

    #[test]
    fn the_network_is_shown_with_its_reason_and_what_was_adapted() {
        use ahoy_call::quality::{Flow, NetworkReason};
        let mut running = running(Direction::Outgoing);
        running.apply(&CallEvent::Connected { peer: peer() }, T);
        let hd = Some(SentVideo::Sent(ahoy_media::units::VideoFormat::HD));
        let slow = (Some(NetworkReason::Bandwidth), Some(Flow::Sending));
        let (no, network) = (engine::Adapted::No, engine::Adapted::Network);
        for (quality, (reason, flow), video, by_engine, adapted) in [
            (Quality::Good, (None, None), hd, no, None),
            (Quality::Good, (None, None), hd, network, None),
            (Quality::Fair, slow, hd, network, Some(Adapted::Smaller)),
            (Quality::Poor, slow, Some(SentVideo::Paused), network, Some(Adapted::Paused)),
            (Quality::Lost, (Some(NetworkReason::Outage), None), None, no, None),
        ] {
            let trouble = reason.map(|reason| NetworkTrouble { reason, flow });
            let route = None;
            let network = NetworkState { quality, reason, flow, video, adapted: by_engine, route };
            running.apply(&CallEvent::Network { peer: peer(), network }, T);
            let call = &running.call;
            assert_eq!((call.trouble, call.adapted), (trouble, adapted), "{network:?}");
            assert_eq!(call.quality.map(|quality| word(&quality)), Some(word(&network.quality)));
        }
    }

    #[test]
    fn the_other_sides_paused_video_is_told_from_a_camera_that_is_off() {
        let mut running = running(Direction::Outgoing);
        running.apply(&CallEvent::Connected { peer: peer() }, T);
        let says = |video, paused| CallEvent::MediaState {
            peer: peer(),
            media: message::MediaState { audio: true, video },
            paused,
        };
        for (video, paused, there) in [
            (true, None, false),
            (false, Some(message::Paused::Bandwidth), true),
            (false, None, false),
            (false, Some(message::Paused::Other), true),
            (true, None, false),
        ] {
            running.apply(&says(video, paused), T);
            assert_eq!((running.call.receiving.video, running.call.paused_there), (video, there));
        }
    }

    #[test]
    fn a_lost_microphone_is_told_until_it_is_back() {
        let mut running = running(Direction::Outgoing);
        running.apply(&CallEvent::Connected { peer: peer() }, T);
        let lost =
            |what: &str| CallEvent::DeviceLost { device: Device::Microphone, what: what.into(), todo: "t".into() };
        running.apply(&lost("a"), T);
        running.apply(&lost("b"), T);
        assert_eq!((running.call.unheard, running.call.sending.audio), (Some(Unheard::NoMicrophone), false));
        assert_eq!(running.call.notices, [Notice::new("microphone-lost", "B.", "T.")]);
        running.apply(&CallEvent::DeviceBack { device: Device::Microphone }, T);
        assert_eq!((running.call.unheard, running.call.sending.audio), (None, true));
        assert!(running.call.notices.is_empty());
    }

    #[test]
    fn who_is_not_heard_is_shown_while_it_matters() {
        let unheard = |silence| CallEvent::Unheard { silence, what: "w".into(), todo: "t".into() };
        let mut running = running(Direction::Outgoing);
        running.apply(&CallEvent::Connected { peer: peer() }, T);
        for (silence, why) in [(Silence::Microphone, Unheard::SilentMicrophone), (Silence::ToPeer, Unheard::OnTheWay)] {
            running.apply(&unheard(silence), T);
            running.apply(&unheard(silence), T);
            assert_eq!((running.call.unheard, running.call.sending.audio), (Some(why), true), "{silence:?}");
            running.want(|wanted| wanted.audio = false);
            assert_eq!(running.call.unheard, None, "who is muted does not want to be heard");
            running.want(|wanted| wanted.audio = true);
            running.apply(&CallEvent::Heard { silence }, T);
            assert_eq!(running.call.unheard, None);
        }
        running.apply(&unheard(Silence::FromPeer), T);
        assert_eq!(running.call.unheard, Some(Unheard::There));
        running.apply(&CallEvent::Reconnecting { peer: peer() }, T);
        assert_eq!(running.call.unheard, None);
        running.apply(&CallEvent::Reconnected { peer: peer() }, T);
        running.apply(&unheard(Silence::ToPeer), T);
        assert_eq!(running.call.unheard, Some(Unheard::OnTheWay));
        running.apply(&unheard(Silence::Microphone), T);
        assert_eq!(running.call.unheard, Some(Unheard::SilentMicrophone), "what the user can mend comes first");
        let lost = CallEvent::DeviceLost { device: Device::Microphone, what: "w".into(), todo: "t".into() };
        running.apply(&lost, T);
        assert_eq!(running.call.unheard, Some(Unheard::NoMicrophone), "a microphone that is gone gives no silence");
    }

    #[test]
    fn what_is_written_down_tells_declined_from_hung_up() {
        let connecting = CallEvent::Connecting { peer: peer() };
        assert_eq!(running(Direction::Outgoing).apply(&connecting, T), Some(Note::Answered));
        let hang_up = ended(HangupReason::Hangup, Side::Local);
        let (incoming, outgoing) = (Note::Ended(HangupReason::Declined), Note::Ended(HangupReason::Hangup));
        assert_eq!(running(Direction::Incoming).apply(&hang_up, T), Some(incoming));
        assert_eq!(running(Direction::Outgoing).apply(&hang_up, T), Some(outgoing));
    }

    #[test]
    fn problems_do_not_pile_up() {
        let mut running = running(Direction::Outgoing);
        for number in 0..100 {
            let code = format!("code-{number}");
            running.add(Notice::new(code, "w", "t"));
        }
        assert_eq!(running.call.notices.len(), MAX_NOTICES);
        assert_eq!(running.call.notices.last().unwrap().code, "code-99");
    }
}
