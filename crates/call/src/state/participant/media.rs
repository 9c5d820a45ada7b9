//! What is sent to a participant, and what both sides are told of it: media, hold, and whose sound is heard.

use ahoy_media::audio::opus::DRED_VERSION;

use super::Participant;
use crate::{
    event::{CallEvent, Silence},
    message::{MediaState, Payload},
    state::{LinkCommand, ParticipantStatus, local::Local, outbox::Outbox},
};

impl Participant {
    /// Tells the link what is sent from now on. `is_news`: the participant is told, too.
    pub(in crate::state) fn update_media(&mut self, is_news: bool, local: Local, out: &mut Outbox) {
        if is_news && self.is_accepted() {
            self.say_media(local, out);
        }
        self.update_sending(local, out);
    }

    /// Tells the participant and the user whether its sound is heard here.
    pub(in crate::state) fn update_hearing(&mut self, hears: bool, local: Local, out: &mut Outbox) {
        if std::mem::replace(&mut self.hears, hears) != hears && self.is_accepted() {
            self.say_media(local, out);
            out.event(heard(Silence::FromPeer, hears));
        }
    }

    /// Tells the link and the participant whether we hold the call.
    pub(in crate::state) fn update_hold(&mut self, local: Local, out: &mut Outbox) {
        if !self.is_accepted() {
            return;
        }
        out.send(&self.peer, Payload::CallHold { held: local.held });
        self.update_sending(local, out);
        out.link(&self.peer, LinkCommand::SetPlaying(!local.held));
        self.tell_hold(local, out);
    }

    pub(super) fn update_sending(&mut self, local: Local, out: &mut Outbox) {
        let wanted = if local.held || self.holds { MediaState::NONE } else { local.media };
        if let Some(sending) = self.sending.as_mut().filter(|sending| **sending != wanted) {
            *sending = wanted;
            out.link(&self.peer, LinkCommand::SetSending(wanted));
        }
        self.offer_absent(local, out);
    }

    /// Offers a section for a medium that is to be sent and has none, because the other side began the call
    /// without it. If an exchange is still open, the link reports again after it.
    pub(super) fn offer_absent(&mut self, local: Local, out: &mut Outbox) {
        let given = if local.held { MediaState::NONE } else { local.given() };
        let lacks = (self.absent.audio && given.audio) || (self.absent.video && given.video);
        if lacks && self.status == ParticipantStatus::Connected && self.exchange.make_offer(false, out) {
            self.absent = MediaState::NONE;
        }
    }

    pub(super) fn say_media(&self, local: Local, out: &mut Outbox) {
        let (media, paused) = (local.given(), local.paused());
        out.send(&self.peer, Payload::MediaState { media, hears: self.hears, dred: Some(DRED_VERSION), paused });
    }

    pub(super) fn tell_hold(&self, local: Local, out: &mut Outbox) {
        out.event(CallEvent::Hold { peer: self.peer.clone(), local: local.held, remote: self.holds });
    }
}

pub(super) fn heard(silence: Silence, heard: bool) -> CallEvent {
    let (what, todo) = match silence {
        _ if heard => return CallEvent::Heard { silence },
        Silence::Microphone => ("the microphone gives nothing but silence", "check its switch, or choose another one"),
        Silence::ToPeer => (
            "your sound does not arrive at the other side",
            "it gets lost on the way; if it does not come back, hang up and call again",
        ),
        Silence::FromPeer => ("no sound comes from the other side", "ask in another way whether its microphone works"),
    };
    CallEvent::Unheard { silence, what: what.to_owned(), todo: todo.to_owned() }
}
