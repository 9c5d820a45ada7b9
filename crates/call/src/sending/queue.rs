//! What waits to be sent to one peer, without sending it: envelopes and the time go in, the next envelope
//! comes out.
//!
//! The order of the envelopes is kept. An envelope that a newer one makes pointless is dropped:
//!
//! | new envelope | drops, of the same call |
//! |---|---|
//! | `call-hangup` | everything, also what is being sent |
//! | `call-offer` | an older offer that is not being sent yet |
//! | `call-answer` | an older answer, and an older offer (it was taken back), neither being sent yet |
//! | `media-state`, `call-hold` | an older one of the same type |
//! | `ice-candidate` | nothing; over [`MAX_CANDIDATES`] the oldest candidate |

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    id::CallId,
    message::{Envelope, HangupReason, Payload},
    state::limits::MAX_CANDIDATES,
};

/// Envelopes of one peer besides candidates and hang-ups. One call has at most seven that do not replace each
/// other.
pub(super) const MAX_MESSAGES: usize = 64;

/// Hang-ups of one peer. Each call has one; a peer that calls all the time gets a refusal for each.
pub(super) const MAX_HANGUPS: usize = 64;

/// How often a hang-up is tried: with the transport's ten seconds for each try, as long as a call rings
/// ([`RING_LIMIT`](crate::state::limits::RING_LIMIT)).
pub(super) const HANGUP_TRIES: u32 = 4;

/// Pause after a try that failed. A transport that fails at once is not asked more often than this.
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The queue has no room: the envelope was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Names an envelope among those of its queue.
pub(super) type Ticket = u64;

/// How a try to send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The transport has taken the envelope over.
    Sent,
    /// It failed, and may succeed later.
    Failed,
    /// It failed, and always will.
    Impossible,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Waiting,
    UnderWay,
    /// A try failed; the next one is due then.
    Resting(Instant),
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    envelope: Envelope,
    step: Step,
    tries: u32,
    /// A newer envelope has made this one pointless while it was being sent: it is not tried again.
    outdated: bool,
}

/// The envelopes for one peer.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    entries: VecDeque<Entry>,
    last: Ticket,
}

impl SendQueue {
    /// Takes an envelope, and drops those that it makes pointless. An envelope of a call whose hang-up is
    /// queued is itself pointless.
    pub(super) fn push(&mut self, envelope: Envelope) -> Result<(), Full> {
        let hung_up = |entry: &Entry| is_hangup(&entry.envelope.payload) && entry.envelope.channel == envelope.channel;
        if self.entries.iter().any(hung_up) {
            return Ok(());
        }
        self.drop_outdated(&envelope);
        self.make_room(&envelope.payload)?;
        self.last += 1;
        self.entries.push_back(Entry { ticket: self.last, envelope, step: Step::Waiting, tries: 0, outdated: false });
        Ok(())
    }

    /// The next envelope to send; it is being sent from then on. None while an earlier one rests.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Ticket, Envelope)> {
        let entry = self.entries.iter_mut().find(|entry| entry.step != Step::UnderWay)?;
        if let Step::Resting(until) = entry.step
            && until > now
        {
            return None;
        }
        entry.step = Step::UnderWay;
        entry.tries += 1;
        Some((entry.ticket, entry.envelope.clone()))
    }

    /// When [`Self::next`] has something again, if only time passes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self.entries.iter().find(|entry| entry.step != Step::UnderWay)?.step {
            Step::Resting(until) => Some(until),
            Step::Waiting | Step::UnderWay => None,
        }
    }

    /// A try has ended. What failed is tried again after a pause, unless `is_last`.
    pub(super) fn settle(&mut self, now: Instant, ticket: Ticket, outcome: Outcome, is_last: bool) {
        let Some(at) = self.entries.iter().position(|entry| entry.ticket == ticket) else { return };
        let Some(entry) = self.entries.get_mut(at) else { return };
        let given_up = is_hangup(&entry.envelope.payload) && entry.tries >= HANGUP_TRIES;
        let again = outcome == Outcome::Failed && !is_last && !given_up && !entry.outdated;
        if again {
            entry.step = Step::Resting(now + RETRY_PAUSE);
        } else {
            self.entries.remove(at);
        }
    }

    /// The call is over: only its hang-up is still to be sent.
    pub(super) fn end_call(&mut self, call: &CallId) {
        self.entries.retain(|entry| entry.envelope.channel != *call || is_hangup(&entry.envelope.payload));
    }

    /// What rests after a try that failed is due now.
    pub(super) fn wake(&mut self) {
        for entry in &mut self.entries {
            if let Step::Resting(_) = entry.step {
                entry.step = Step::Waiting;
            }
        }
    }

    /// Whether the envelope is still to be sent. False for one that was being sent: the try can be given up.
    pub(super) fn has(&self, ticket: Ticket) -> bool {
        self.entries.iter().any(|entry| entry.ticket == ticket)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn drop_outdated(&mut self, new: &Envelope) {
        self.entries.retain_mut(|entry| {
            if entry.envelope.channel != new.channel {
                return true;
            }
            match outdates(&new.payload, &entry.envelope.payload) {
                Outdates::Nothing => true,
                Outdates::EvenUnderWay => false,
                Outdates::Unsent => {
                    entry.outdated = true;
                    entry.step == Step::UnderWay
                }
            }
        });
    }

    fn make_room(&mut self, new: &Payload) -> Result<(), Full> {
        let kind = Kind::of(new);
        let count = self.entries.iter().filter(|entry| Kind::of(&entry.envelope.payload) == kind).count();
        let (limit, droppable): (_, fn(&Entry) -> bool) = match kind {
            Kind::Message => (MAX_MESSAGES, |_| false),
            // The newest belong to the newest ICE generation.
            Kind::Candidate => (MAX_CANDIDATES, |entry| is_candidate(&entry.envelope.payload)),
            // A call that was never taken misses its refusal least.
            Kind::Hangup => (MAX_HANGUPS, |entry| is_refusal(&entry.envelope.payload)),
        };
        if count < limit {
            return Ok(());
        }
        let dropped = self.entries.iter().position(|entry| entry.step != Step::UnderWay && droppable(entry));
        dropped.and_then(|at| self.entries.remove(at)).map(drop).ok_or(Full)
    }
}

/// What a new envelope does to an older one of its call.
enum Outdates {
    Nothing,
    Unsent,
    EvenUnderWay,
}

fn outdates(new: &Payload, old: &Payload) -> Outdates {
    match (new, old) {
        (Payload::CallHangup { .. }, _) => Outdates::EvenUnderWay,
        (Payload::CallOffer { .. }, Payload::CallOffer { .. })
        | (Payload::CallAnswer { .. }, Payload::CallOffer { .. } | Payload::CallAnswer { .. })
        | (Payload::MediaState { .. }, Payload::MediaState { .. })
        | (Payload::CallHold { .. }, Payload::CallHold { .. }) => Outdates::Unsent,
        _ => Outdates::Nothing,
    }
}

/// Envelopes that share a limit.
#[derive(PartialEq, Eq)]
enum Kind {
    Message,
    Candidate,
    Hangup,
}

impl Kind {
    fn of(payload: &Payload) -> Self {
        match payload {
            Payload::CallHangup { .. } => Self::Hangup,
            Payload::IceCandidate { .. } => Self::Candidate,
            Payload::CallRequest { .. }
            | Payload::CallAck
            | Payload::CallOffer { .. }
            | Payload::CallAnswer { .. }
            | Payload::Ringing
            | Payload::MediaState { .. }
            | Payload::CallHold { .. }
            | Payload::Unknown => Self::Message,
        }
    }
}

fn is_hangup(payload: &Payload) -> bool {
    Kind::of(payload) == Kind::Hangup
}

fn is_candidate(payload: &Payload) -> bool {
    Kind::of(payload) == Kind::Candidate
}

/// Whether it ends a call that never was one here.
fn is_refusal(payload: &Payload) -> bool {
    matches!(payload, Payload::CallHangup { reason: Some(HangupReason::Busy | HangupReason::Glare) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{IceCandidate, MediaState};

    fn payload(word: &str) -> Payload {
        let (kind, mark) = word.split_once('-').unwrap_or((word, ""));
        match kind {
            "request" => Payload::CallRequest { media: None },
            "ack" => Payload::CallAck,
            "ringing" => Payload::Ringing,
            "offer" => Payload::CallOffer { sdp: mark.into() },
            "answer" => Payload::CallAnswer { sdp: mark.into() },
            "media" => {
                Payload::MediaState { media: MediaState::BOTH, hears: mark == "hears", dred: None, paused: None }
            }
            "hold" => Payload::CallHold { held: mark == "on" },
            "candidate" => {
                let candidate = IceCandidate { candidate: mark.into(), ..IceCandidate::end() };
                Payload::IceCandidate { candidate: Some(candidate) }
            }
            "hangup" => Payload::CallHangup { reason: Some(HangupReason::from(mark.to_owned())) },
            other => panic!("no payload {other}"),
        }
    }

    /// `call/word`, or the word alone for the call `a`.
    fn envelope(word: &str) -> Envelope {
        let (call, word) = word.split_once('/').unwrap_or(("a", word));
        Envelope::new(call.parse().unwrap(), 1, payload(word))
    }

    fn word(envelope: &Envelope) -> String {
        let word = match &envelope.payload {
            Payload::CallRequest { .. } => "request".to_owned(),
            Payload::CallAck => "ack".to_owned(),
            Payload::Ringing => "ringing".to_owned(),
            Payload::CallOffer { sdp } => format!("offer-{sdp}"),
            Payload::CallAnswer { sdp } => format!("answer-{sdp}"),
            Payload::MediaState { hears, .. } => format!("media-{}", if *hears { "hears" } else { "" }),
            Payload::CallHold { held } => format!("hold-{}", if *held { "on" } else { "off" }),
            Payload::IceCandidate { candidate } => format!("candidate-{}", candidate.clone().unwrap().candidate),
            Payload::CallHangup { reason } => format!("hangup-{}", reason.clone().unwrap().as_str()),
            Payload::Unknown => "unknown".to_owned(),
        };
        if envelope.channel.as_str() == "a" { word } else { format!("{}/{word}", envelope.channel) }
    }

    fn queue_of(words: &str) -> SendQueue {
        let mut queue = SendQueue::default();
        words.split_whitespace().for_each(|word| queue.push(envelope(word)).unwrap());
        queue
    }

    fn words(queue: &SendQueue) -> String {
        queue.entries.iter().map(|entry| word(&entry.envelope)).collect::<Vec<_>>().join(" ")
    }

    /// Each row: what is pushed, how many of it are being sent before the last one is pushed, what is left.
    #[test]
    fn what_is_pointless_is_dropped_as_the_table_says() {
        let table: &[(&str, usize, &str)] = &[
            ("request ringing ack offer-1 candidate-x", 0, "request ringing ack offer-1 candidate-x"),
            ("request hangup-hangup", 0, "hangup-hangup"),
            ("request hangup-hangup", 1, "hangup-hangup"),
            ("b/request offer-1 candidate-x media-hears hangup-failed", 2, "b/request hangup-failed"),
            ("hangup-hangup hangup-failed", 0, "hangup-hangup"),
            ("hangup-hangup offer-1", 0, "hangup-hangup"),
            ("hangup-hangup offer-1", 1, "hangup-hangup"),
            ("b/hangup-busy offer-1", 0, "b/hangup-busy offer-1"),
            ("offer-1 candidate-x offer-2", 0, "candidate-x offer-2"),
            ("offer-1 candidate-x offer-2", 1, "offer-1 candidate-x offer-2"),
            ("b/offer-1 offer-2", 0, "b/offer-1 offer-2"),
            ("offer-1 answer-2", 0, "answer-2"),
            ("offer-1 answer-2", 1, "offer-1 answer-2"),
            ("answer-1 answer-2", 0, "answer-2"),
            ("answer-1 offer-2", 0, "answer-1 offer-2"),
            ("media-hears hold-on media- hold-off", 0, "media- hold-off"),
            ("media-hears ack media-", 1, "media-hears ack media-"),
        ];
        for (pushed, under_way, left) in table {
            let (before, last) = pushed.rsplit_once(' ').unwrap();
            let mut queue = queue_of(before);
            (0..*under_way).for_each(|_| drop(queue.next(Instant::now()).unwrap()));
            queue.push(envelope(last)).unwrap();
            assert_eq!(words(&queue), *left, "{pushed}, {under_way} under way");
        }
    }

    #[test]
    fn a_queue_gives_each_envelope_once_in_order_and_is_empty_when_all_are_sent() {
        let now = Instant::now();
        let mut queue = queue_of("request ack offer-1");
        let given: Vec<_> = std::iter::from_fn(|| queue.next(now)).collect();
        assert_eq!(given.iter().map(|(_, envelope)| word(envelope)).collect::<Vec<_>>(), ["request", "ack", "offer-1"]);
        assert_eq!((queue.len(), queue.next_due()), (3, None));
        for (ticket, _) in given.iter().rev() {
            queue.settle(now, *ticket, Outcome::Sent, false);
        }
        assert!(queue.is_empty());
        // Twice is once.
        queue.settle(now, given[0].0, Outcome::Failed, false);
        assert!(queue.is_empty() && queue.next(now).is_none());
    }

    #[test]
    fn what_failed_is_tried_again_in_its_place_after_a_pause() {
        let now = Instant::now();
        let mut queue = queue_of("offer-1 candidate-x");
        let (ticket, _) = queue.next(now).unwrap();
        queue.settle(now, ticket, Outcome::Failed, false);
        assert!(queue.next(now).is_none(), "a candidate overtook its offer");
        let due = queue.next_due().unwrap();
        assert_eq!(due, now + RETRY_PAUSE);
        assert!(queue.next(due - Duration::from_millis(1)).is_none());
        for word_due in ["offer-1", "candidate-x"] {
            assert_eq!(word(&queue.next(due).unwrap().1), word_due);
        }
    }

    #[test]
    fn what_rests_can_be_woken() {
        let now = Instant::now();
        let mut queue = queue_of("offer-1");
        let (ticket, _) = queue.next(now).unwrap();
        queue.settle(now, ticket, Outcome::Failed, false);
        queue.wake();
        assert!(queue.next(now).is_some());
    }

    #[test]
    fn an_offer_that_a_newer_one_followed_is_not_tried_again() {
        let now = Instant::now();
        let mut queue = queue_of("offer-1");
        let (ticket, _) = queue.next(now).unwrap();
        queue.push(envelope("offer-2")).unwrap();
        queue.settle(now, ticket, Outcome::Failed, false);
        assert_eq!(words(&queue), "offer-2");
    }

    #[test]
    fn what_can_never_be_sent_is_not_tried_again_and_at_the_end_nothing_is() {
        for (outcome, is_last) in [(Outcome::Impossible, false), (Outcome::Failed, true)] {
            let mut queue = queue_of("offer-1");
            let (ticket, _) = queue.next(Instant::now()).unwrap();
            queue.settle(Instant::now(), ticket, outcome, is_last);
            assert!(queue.is_empty(), "{outcome:?}");
        }
    }

    #[test]
    fn a_hang_up_is_tried_a_few_times_and_a_message_as_long_as_its_call_lives() {
        for (word, tries) in [("hangup-hangup", HANGUP_TRIES), ("media-hears", 1000)] {
            let mut now = Instant::now();
            let mut queue = queue_of(word);
            let mut tried = 0;
            while let Some((ticket, _)) = queue.next(now)
                && tried < 1000
            {
                tried += 1;
                queue.settle(now, ticket, Outcome::Failed, false);
                now += RETRY_PAUSE;
            }
            assert_eq!(tried, tries, "{word}");
        }
    }

    #[test]
    fn the_end_of_a_call_leaves_its_hang_up_and_other_calls_alone() {
        let mut queue = queue_of("b/offer-1 hangup-hangup ");
        queue.push(envelope("c/ringing")).unwrap();
        let (ticket, _) = queue.next(Instant::now()).unwrap();
        for call in ["a", "b", "never"] {
            queue.end_call(&call.parse().unwrap());
        }
        assert_eq!(words(&queue), "hangup-hangup c/ringing");
        assert!(!queue.has(ticket), "an envelope of a call that is over is still being sent");
    }

    #[test]
    fn a_million_envelopes_of_any_kind_take_no_more_room_than_a_few() {
        let mut queue = SendQueue::default();
        let (mut full, mut most) = (0, 0);
        for n in 0..1_000_000 {
            let pushed = match n % 4 {
                0 => queue.push(envelope(&format!("call-{n}/ringing"))),
                1 => queue.push(envelope(&format!("candidate-{n}"))),
                2 => queue.push(envelope(&format!("call-{n}/hangup-busy"))),
                _ => queue.push(envelope(&format!("offer-{n}"))),
            };
            full += usize::from(pushed == Err(Full));
            most = most.max(queue.len());
        }
        println!("a million envelopes: {most} queued at most, {full} refused");
        assert!(most <= MAX_MESSAGES + MAX_HANGUPS + MAX_CANDIDATES, "{most} queued");
        // The newest candidate and the newest offer are the ones that count.
        assert!(words(&queue).contains("candidate-999997"));
        assert!(!words(&queue).contains(" candidate-1 "));
    }

    #[test]
    fn a_full_queue_refuses_messages_and_still_takes_the_hang_up() {
        let mut queue = SendQueue::default();
        for n in 0..MAX_MESSAGES {
            queue.push(envelope(&format!("call-{n}/ringing"))).unwrap();
        }
        assert_eq!(queue.push(envelope("offer-1")), Err(Full));
        for n in 0..10 * MAX_HANGUPS {
            queue.push(envelope(&format!("refused-{n}/hangup-busy"))).unwrap();
        }
        queue.push(envelope("hangup-hangup")).unwrap();
        queue.push(envelope("call-0/hangup-hangup")).unwrap();
        assert!(words(&queue).contains(" hangup-hangup"));
        assert!(!words(&queue).contains("call-0/ringing"));
        queue.push(envelope("offer-1")).unwrap();
        assert!(!words(&queue).contains("offer-1"), "an offer after the hang-up of its call");
    }
}
