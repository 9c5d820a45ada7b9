//! What one peer and we have described to each other, from the first offer to the last answer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{
    Addresses, Kind, StackMids, codecs, normalise,
    ours::{self, Ours, Retransmission, Slot},
    read::{Description, Section, read},
    refusal::{NotCarried, Reason, Refusal},
    sections::{self, Choice},
    streams::{self, Streams},
    transport::{self, Setup, Side, Transport},
};
use crate::message::{IceCandidate, MediaState};

/// A description of the other side that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::link) struct Remote {
    /// For the stack.
    pub(in crate::link) sdp: String,
    /// What its author receives.
    pub(in crate::link) takes: MediaState,
    /// What is not part of the call and was not said before, in words.
    pub(in crate::link) not_carried: Vec<String>,
}

/// What one peer and we have described to each other so far. Its clones are one session.
#[derive(Clone, Debug)]
pub(in crate::link) struct Session(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    addresses: Addresses,
    /// The sections as of the last exchange that was completed.
    stable: Vec<Slot>,
    /// Those of the exchange that is open.
    open: Option<Open>,
    /// Our end of the DTLS handshake: it never changes in a connection (RFC 8842 section 5.2).
    setup: Option<Setup>,
    /// The last description of the other side, for streams that are learned after it.
    last: Option<Last>,
    /// Said already: once a call each, or a hostile peer could fill the page with them.
    told: Vec<NotCarried>,
    streams: Streams,
    mids: StackMids,
    /// As our newest description has it.
    retransmission: Option<Retransmission>,
}

#[derive(Debug)]
struct Open {
    slots: Vec<Slot>,
    /// By the other side's offer. None: the offer is ours.
    offer: Option<Answering>,
}

#[derive(Debug)]
struct Answering {
    bundled: bool,
    setup: Setup,
    last: Last,
}

#[derive(Clone, Debug)]
struct Last {
    description: Description,
    choice: Arc<Choice>,
    transport: Transport,
}

impl Last {
    fn write(&self, streams: &Streams, mids: &StackMids) -> String {
        normalise::write(&self.description, &self.choice, &self.transport, streams, mids)
    }

    fn section(&self, kind: Kind) -> Option<(&Section, &codecs::Codecs)> {
        let carried = self.choice.carried.iter().find(|carried| carried.kind == kind)?;
        Some((self.description.sections.get(carried.index)?, &carried.codecs))
    }

    fn takes(&self) -> MediaState {
        let takes = |kind| self.section(kind).is_some_and(|(section, _)| section.direction.receives());
        MediaState { audio: takes(Kind::Audio), video: takes(Kind::Video) }
    }
}

impl Session {
    pub(in crate::link) fn new(addresses: Addresses) -> Self {
        Self(Arc::new(Mutex::new(State {
            addresses,
            stable: vec![],
            open: None,
            setup: None,
            last: None,
            told: vec![],
            streams: Streams::default(),
            mids: StackMids::new(),
            retransmission: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stack made an offer; gives it as the other side gets it.
    pub(in crate::link) fn our_offer(&self, stack: &str) -> Option<String> {
        let mut state = self.lock();
        let slots = ours::slots_of_offer(&state.stable, |kind| !state.is_refused_by_us(kind));
        let retransmission = Retransmission::of(stack, state.retransmission.map(|known| known.rtx));
        let sdp = ours::write(stack, &slots, Ours::Offer { setup: state.setup }, retransmission)?;
        state.retransmission = retransmission;
        state.mids.learn(stack);
        state.open = Some(Open { slots, offer: None });
        Some(sdp)
    }

    /// The other side offers.
    pub(in crate::link) fn remote_offer(&self, sdp: &str) -> Result<Remote, String> {
        self.lock().remote_offer(sdp).map_err(|refusal| refusal.to_string())
    }

    /// The stack made the answer to the last offer; gives it as the other side gets it.
    pub(in crate::link) fn our_answer(&self, stack: &str) -> Option<String> {
        self.lock().our_answer(stack)
    }

    /// The other side answers our last offer.
    pub(in crate::link) fn remote_answer(&self, sdp: &str) -> Result<Remote, String> {
        self.lock().remote_answer(sdp).map_err(|refusal| refusal.to_string())
    }

    /// The exchange that is open was given up: what was agreed before holds.
    pub(in crate::link) fn rolled_back(&self) {
        self.lock().open = None;
    }

    /// The media that have no section and that neither side has refused: the other side began without them.
    pub(in crate::link) fn absent(&self) -> MediaState {
        let state = self.lock();
        let has_section = |kind| state.stable.iter().any(|slot| slot.carried == Some(kind) || slot.ours == Some(kind));
        let is_agreed = state.open.is_none() && state.last.is_some();
        let is_absent = |kind| is_agreed && !has_section(kind) && !state.is_refused_by_us(kind);
        MediaState { audio: is_absent(Kind::Audio), video: is_absent(Kind::Video) }
    }

    /// Whether a candidate belongs to a section that is carried; one that names none does.
    pub(in crate::link) fn has_section_of(&self, candidate: &IceCandidate) -> bool {
        let state = self.lock();
        let slots = state.slots();
        let mid = candidate.sdp_mid.as_deref().filter(|mid| !mid.is_empty());
        match (mid, candidate.sdp_m_line_index) {
            (Some(mid), _) => {
                slots.iter().any(|slot| slot.carried.is_some() && slot.mid.as_deref() == Some(mid))
                    // A section without a name.
                    || (slots.iter().all(|slot| slot.mid.is_none()) && slots.iter().any(|slot| slot.carried.is_some()))
            }
            (None, Some(index)) => slots.get(usize::from(index)).is_some_and(|slot| slot.carried.is_some()),
            (None, None) => true,
        }
    }

    /// A candidate for the stack. None: nothing can be sent to it, which is no news to anybody.
    pub(in crate::link) fn candidate(&self, line: &str) -> Option<String> {
        let value = line.strip_prefix("a=").unwrap_or(line);
        let value = value.strip_prefix("candidate:").unwrap_or(value);
        match transport::usable(value, self.lock().addresses) {
            Some(usable) => Some(format!("candidate:{usable}")),
            None if transport::is_candidate(value) => None,
            // The stack says what is wrong with it.
            None => Some(line.to_owned()),
        }
    }

    /// The place of the section that our candidates are for: the first one that is carried (RFC 8843 section
    /// 9.1).
    pub(in crate::link) fn place_of_transport(&self) -> u16 {
        let place = self.lock().slots().iter().position(|slot| slot.carried.is_some());
        place.and_then(|place| u16::try_from(place).ok()).unwrap_or(0)
    }

    /// A packet came. True: it belongs to a stream that has to be declared to the stack, see
    /// [`Session::redeclared`].
    pub(in crate::link) fn packet_came(&self, now: Instant, ssrc: u32, payload_type: u8) -> bool {
        self.lock().streams.look(now, ssrc, payload_type)
    }

    /// Under which payload types retransmissions of video come.
    pub(in crate::link) fn retransmission(&self) -> Option<Retransmission> {
        self.lock().retransmission
    }

    /// The last description of the other side, with the streams that were learned since. None: an exchange is
    /// open, and its description will have them.
    pub(in crate::link) fn redeclared(&self) -> Option<String> {
        let mut state = self.lock();
        if state.open.is_some() {
            return None;
        }
        state.streams.declare();
        state.last.as_ref().map(|last| last.write(&state.streams, &state.mids))
    }
}

impl State {
    fn slots(&self) -> &[Slot] {
        self.open.as_ref().map_or(&self.stable, |open| &open.slots)
    }

    /// The other side has sections for a medium. Where none of them is carried, we refused them.
    fn is_refused_by_us(&self, kind: Kind) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| last.description.sections.iter().any(|section| section.kind == Some(kind)))
    }

    fn remote_offer(&mut self, sdp: &str) -> Result<Remote, Refusal> {
        let description = read(sdp)?;
        let carried = self.stable.iter().filter_map(|slot| Some((slot.carried?, slot.mid.clone()?)));
        let choice = sections::of_offer(&description, &carried.collect::<Vec<_>>())?;
        let transport = self.transport(&description, &choice, Side::Offer)?;
        let of = |index| choice.carried.iter().find(|carried| carried.index == index).map(|carried| carried.kind);
        let all = description.sections.iter().enumerate();
        let slots = all.map(|(index, section)| Slot::of(section, of(index))).collect();
        let (bundled, setup) = (choice.bundled, transport.setup);
        let last = Last { description, choice: Arc::new(choice), transport };
        let remote = self.remote(&last);
        self.open = Some(Open { slots, offer: Some(Answering { bundled, setup, last }) });
        Ok(remote)
    }

    fn our_answer(&mut self, stack: &str) -> Option<String> {
        let Open { slots, offer } = self.open.take()?;
        let Answering { bundled, setup: offered, last } = offer?;
        let setup = self.setup.or_else(|| offered.opposite()).or_else(|| setup_of(stack));
        let rtx = last.section(Kind::Video).and_then(|(_, codecs)| codecs.rtx);
        let retransmission = rtx.and_then(|rtx| Retransmission::of(stack, Some(rtx)));
        let sdp = ours::write(stack, &slots, Ours::Answer { setup, bundled }, retransmission)?;
        self.retransmission = retransmission;
        self.setup = setup;
        self.agreed(slots, last);
        Some(sdp)
    }

    fn remote_answer(&mut self, sdp: &str) -> Result<Remote, Refusal> {
        let description = read(sdp)?;
        let mut slots = self.slots().to_vec();
        let named = |mid: &str| description.sections.iter().position(|section| section.mid.as_deref() == Some(mid));
        let all = slots.iter().enumerate();
        let asked =
            all.filter_map(|(index, slot)| Some((slot.mid.as_deref().and_then(named).unwrap_or(index), slot.carried?)));
        let choice = sections::of_answer(&description, &asked.collect::<Vec<_>>())?;
        let mut transport = self.transport(&description, &choice, Side::Answer)?;
        if let Some(setup) = self.setup.and_then(Setup::opposite) {
            transport.setup = setup;
        }
        for slot in &mut slots {
            slot.carried = slot.carried.filter(|kind| choice.carried.iter().any(|carried| carried.kind == *kind));
        }
        let setup = self.setup.or_else(|| transport.setup.opposite());
        let last = Last { description, choice: Arc::new(choice), transport };
        let remote = self.remote(&last);
        self.setup = setup;
        self.agreed(slots, last);
        Ok(remote)
    }

    /// The transport is that of the group that is carried, wherever in it that stands.
    fn transport(&self, description: &Description, choice: &Choice, side: Side) -> Result<Transport, Refusal> {
        let carried = choice.carried.iter().filter_map(|carried| description.sections.get(carried.index));
        let group = choice.carried.first().and_then(|first| sections::group_of(description, first.index));
        let others = group
            .into_iter()
            .flatten()
            .filter_map(|mid| description.sections.iter().find(|section| section.mid.as_ref() == Some(mid)));
        let all: Vec<&Section> = carried.chain(others).collect();
        transport::find(description, &all, side, self.addresses)
    }

    fn remote(&mut self, last: &Last) -> Remote {
        let MediaState { audio, video } = last.takes();
        // An end that receives nothing at all holds the call.
        let some = audio || video;
        let unreceived = [(Kind::Audio, audio), (Kind::Video, video)].into_iter();
        let unreceived = unreceived.filter(|(kind, takes)| some && !takes && last.section(*kind).is_some());
        let unreceived = unreceived.map(|(kind, _)| NotCarried { kind, reason: Reason::NotReceived });
        let mut news = vec![];
        for one in last.choice.not_carried.iter().copied().chain(unreceived) {
            if !self.told.contains(&one) {
                self.told.push(one);
                news.extend(one.text());
            }
        }
        Remote { sdp: last.write(&self.streams, &self.mids), takes: last.takes(), not_carried: news }
    }

    fn agreed(&mut self, slots: Vec<Slot>, last: Last) {
        for kind in Kind::ALL {
            let undeclared = last.section(kind).filter(|(section, _)| streams::declared(section).is_none());
            let payload_types = undeclared.map(|(_, codecs)| codecs.numbers().collect()).unwrap_or_default();
            self.streams.expect(kind, payload_types);
        }
        self.streams.declare();
        self.stable = slots;
        self.open = None;
        self.last = Some(last);
    }
}

/// The role that the stack took in an answer.
fn setup_of(stack: &str) -> Option<Setup> {
    let description = read(stack).ok()?;
    let setup = description.sections.iter().find_map(|section| section.value("setup"))?;
    [Setup::Active, Setup::Passive].into_iter().find(|known| known.name() == setup)
}
