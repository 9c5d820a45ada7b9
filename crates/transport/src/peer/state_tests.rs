use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use iroh::SecretKey;

use super::{
    Code, Down,
    io::{Input, LinkId, Output, Parcel},
    state::{GLARE_WINDOW, OFFLINE_AFTER, PeerState, SEND_LIMIT},
};
use crate::{
    DeliverError, MAX_MESSAGE_BYTES, Presence, Whereabouts,
    frame::{Frame, Hello, Status},
};

const SECOND: Duration = Duration::from_secs(1);

fn whereabouts(port: u16) -> Whereabouts {
    Whereabouts { relay: None, addresses: vec![([192, 0, 2, 1], port).into()] }
}

fn status() -> Status {
    Status { name: Some("Ben".into()), presence: Presence::Online, whereabouts: whereabouts(5) }
}

/// A peer's state, and the time.
struct Peer {
    state: PeerState,
    now: Instant,
    links: LinkId,
}

impl Peer {
    /// Of the side with the lower key, or the other.
    fn new(decides: bool, known: Whereabouts) -> Self {
        let mut keys = [1, 2].map(|n| SecretKey::from_bytes(&[n; 32]).public());
        keys.sort();
        let [lower, higher] = keys;
        let (me, them) = if decides { (lower, higher) } else { (higher, lower) };
        let now = Instant::now();
        let rng = fastrand::Rng::with_seed(1);
        Self { state: PeerState::new(me, them, known, Status::default(), rng, now), now, links: 0 }
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.state.handle(input, self.now);
        std::iter::from_fn(|| self.state.output()).collect()
    }

    fn up_with(&mut self, dialled: bool, instance: u64) -> (LinkId, Vec<Output>) {
        let link = self.links;
        self.links += 1;
        let hello = Hello { instance, status: status() };
        (link, self.handle(Input::LinkUp { link, dialled, remote: None, hello }))
    }

    fn up(&mut self, dialled: bool) -> (LinkId, Vec<Output>) {
        self.up_with(dialled, 1)
    }

    fn passes(&mut self, time: Duration) -> Vec<Output> {
        self.now += time;
        self.handle(Input::Tick)
    }

    fn send(&mut self, ticket: u64) -> Vec<Output> {
        self.handle(Input::Send { ticket, parcel: Parcel::Envelope(vec![b'x'; 10]) })
    }
}

fn closed(outputs: &[Output]) -> Vec<(LinkId, Code)> {
    let closed = |output: &Output| match output {
        Output::Close { link, code } => Some((*link, *code)),
        _ => None,
    };
    outputs.iter().filter_map(closed).collect()
}

/// Links and numbers of what was written to be acknowledged.
fn sent(outputs: &[Output]) -> Vec<(LinkId, u64)> {
    let sent = |output: &Output| match output {
        Output::Write { link, frame: Frame::Envelope { seq, .. } | Frame::Message { seq, .. } } => Some((*link, *seq)),
        _ => None,
    };
    outputs.iter().filter_map(sent).collect()
}

fn presence(outputs: &[Output]) -> Option<Presence> {
    outputs.iter().rev().find_map(|output| match output {
        Output::Presence { presence, .. } => Some(*presence),
        _ => None,
    })
}

fn dials(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Dial(_)))
}

#[test]
fn a_contact_is_dialled_at_once_and_then_less_and_less_often() {
    let mut peer = Peer::new(true, whereabouts(5));
    assert!(dials(&peer.handle(Input::Tick)) && !dials(&peer.handle(Input::Tick)));
    let mut waits = vec![];
    for _ in 0..12 {
        peer.handle(Input::DialFailed(Down::Lost));
        let next = peer.state.next_tick().unwrap();
        waits.push((next - peer.now).as_secs_f64());
        let early = (next - peer.now).mul_f64(0.99);
        assert!(!dials(&peer.passes(early)));
        peer.now = next;
        assert!(dials(&peer.handle(Input::Tick)));
    }
    assert!((0.5..=1.5).contains(&waits[0]) && (60.0..=180.0).contains(&waits[11]), "{waits:?}");
    // Seen on the network: the wait is over, and the next begins short.
    peer.handle(Input::DialFailed(Down::Lost));
    assert!(dials(&peer.handle(Input::Seen(vec![([192, 0, 2, 9], 9).into()]))));
    peer.handle(Input::DialFailed(Down::Lost));
    assert!(peer.state.next_tick().unwrap() - peer.now < SECOND * 2);
    assert!(dials(&peer.handle(Input::NetworkChanged)));
}

#[test]
fn nobody_is_dialled_who_is_nowhere_and_nobody_twice_at_once() {
    let mut peer = Peer::new(true, Whereabouts::default());
    assert!(!dials(&peer.handle(Input::Tick)) && !dials(&peer.send(1)) && !dials(&peer.passes(SECOND)));
    peer.passes(SEND_LIMIT);
    assert!(!dials(&peer.handle(Input::Whereabouts(Whereabouts::default()))));
    assert_eq!(peer.state.next_tick(), None, "a task that wakes for nothing");
    assert!(dials(&peer.handle(Input::Seen(vec![([192, 0, 2, 9], 9).into()]))));
    assert!(!dials(&peer.handle(Input::NetworkChanged)) && !dials(&peer.send(2)));
    peer.up(true);
    assert!(!dials(&peer.handle(Input::NetworkChanged)) && !dials(&peer.passes(SECOND * 1000)));
}

#[test]
fn who_came_and_said_nothing_of_where_is_not_dialled() {
    let mut peer = Peer::new(true, Whereabouts::default());
    let hello = Hello { instance: 1, status: Status::default() };
    peer.handle(Input::LinkUp { link: 0, dialled: false, remote: None, hello });
    peer.handle(Input::LinkDown { link: 0, why: Down::Quit });
    assert!(!dials(&peer.passes(SECOND * 1000)));
    assert_eq!(peer.state.next_tick(), None, "a task that wakes for nothing");
}

#[test]
fn a_link_that_ends_is_dialled_again() {
    for why in [Down::Lost, Down::Quit] {
        let mut peer = Peer::new(true, whereabouts(5));
        peer.handle(Input::Tick);
        let (link, _) = peer.up(true);
        peer.now += SECOND * 60;
        peer.handle(Input::LinkDown { link, why });
        assert!(dials(&peer.passes(SECOND * 2)), "{why:?}");
    }
}

#[test]
fn presence_goes_with_the_links_but_not_at_once() {
    let mut peer = Peer::new(true, whereabouts(5));
    let (first, outputs) = peer.up(false);
    assert_eq!(presence(&outputs), Some(Presence::Online));
    let away = Status { presence: Presence::Away, ..status() };
    let said = peer.handle(Input::Frame { link: first, frame: Frame::Status(away.clone()) });
    assert_eq!(presence(&said), Some(Presence::Away));
    assert_eq!(peer.handle(Input::Frame { link: first, frame: Frame::Status(away) }), [], "told twice");
    peer.handle(Input::LinkDown { link: first, why: Down::Lost });
    assert_eq!(presence(&peer.passes(OFFLINE_AFTER - SECOND)), None);
    let (second, outputs) = peer.up(false);
    assert_eq!(presence(&outputs), Some(Presence::Online));
    assert_eq!(presence(&peer.passes(OFFLINE_AFTER * 2)), None);
    peer.handle(Input::LinkDown { link: second, why: Down::Lost });
    assert_eq!(presence(&peer.passes(OFFLINE_AFTER)), Some(Presence::Offline));
    let (third, _) = peer.up(false);
    assert_eq!(presence(&peer.handle(Input::LinkDown { link: third, why: Down::Quit })), Some(Presence::Offline));
}

#[test]
fn of_two_links_dialled_at_once_the_lower_keys_stays() {
    for dialled_first in [false, true] {
        let mut lower = Peer::new(true, whereabouts(5));
        let mut higher = Peer::new(false, whereabouts(5));
        let (mine, _) = lower.up(dialled_first);
        lower.now += GLARE_WINDOW / 2;
        let (other, outputs) = lower.up(!dialled_first);
        let superfluous = if dialled_first { other } else { mine };
        assert_eq!(closed(&outputs), [(superfluous, Code::Superseded)]);
        higher.up(dialled_first);
        assert_eq!(closed(&higher.up(!dialled_first).1), [], "only one side decides");
    }
}

#[test]
fn a_link_after_a_while_means_that_the_other_side_has_lost_the_first() {
    for dialled in [false, true] {
        let mut lower = Peer::new(true, whereabouts(5));
        let (old, _) = lower.up(true);
        lower.now += GLARE_WINDOW;
        assert_eq!(closed(&lower.up(dialled).1), [(old, Code::Superseded)]);
    }
}

#[test]
fn a_program_that_restarted_has_no_old_links() {
    for decides in [false, true] {
        let mut peer = Peer::new(decides, whereabouts(5));
        let (old, _) = peer.up_with(true, 1);
        let (new, outputs) = peer.up_with(false, 2);
        assert_eq!(closed(&outputs), [(old, Code::Superseded)]);
        assert_eq!(sent(&peer.send(1)), [(new, 1)]);
    }
}

#[test]
fn a_peer_never_holds_more_than_two_links() {
    let mut higher = Peer::new(false, whereabouts(5));
    let mut open = vec![];
    for _ in 0..100 {
        let (link, outputs) = higher.up(false);
        open.push(link);
        open.retain(|link| !closed(&outputs).iter().any(|(closed, _)| closed == link));
        assert!(open.len() <= 2);
    }
}

#[test]
fn what_was_sent_is_settled_by_its_acknowledgement_or_the_limit() {
    let mut peer = Peer::new(true, whereabouts(5));
    peer.send(1);
    let late = peer.passes(SEND_LIMIT);
    assert!(late.contains(&Output::Settle { ticket: 1, result: Err(DeliverError::Offline) }));
    let (link, _) = peer.up(false);
    assert_eq!(sent(&peer.send(2)), [(link, 2)]);
    peer.send(3);
    let acknowledged = peer.handle(Input::Frame { link, frame: Frame::Ack { seq: 3 } });
    assert_eq!(acknowledged, [Output::Settle { ticket: 3, result: Ok(()) }]);
    assert_eq!(peer.handle(Input::Frame { link, frame: Frame::Ack { seq: 3 } }), []);
    assert_eq!(peer.passes(SEND_LIMIT), [Output::Settle { ticket: 2, result: Err(DeliverError::NotAcknowledged) }]);
    let parcel = Parcel::Message { id: 1, body: vec![0; MAX_MESSAGE_BYTES + 1] };
    let large = peer.handle(Input::Send { ticket: 4, parcel });
    assert_eq!(large, [Output::Settle { ticket: 4, result: Err(DeliverError::TooLarge) }]);
}

#[test]
fn what_is_not_acknowledged_goes_again_over_the_next_link() {
    let mut peer = Peer::new(false, whereabouts(5));
    peer.send(1);
    let (first, outputs) = peer.up(false);
    assert_eq!(sent(&outputs), [(first, 1)]);
    peer.send(2);
    peer.handle(Input::Frame { link: first, frame: Frame::Ack { seq: 1 } });
    peer.handle(Input::LinkDown { link: first, why: Down::Lost });
    let (second, outputs) = peer.up(false);
    assert_eq!(sent(&outputs), [(second, 2)]);
}

#[test]
fn what_is_under_way_and_what_waits_have_limits() {
    let mut peer = Peer::new(true, whereabouts(5));
    let (link, _) = peer.up(true);
    let outputs: Vec<_> = (0..1000).flat_map(|ticket| peer.send(ticket)).collect();
    assert_eq!(sent(&outputs).len(), 32);
    let refused = outputs.iter().filter(|o| matches!(o, Output::Settle { result: Err(DeliverError::TooMany), .. }));
    assert_eq!(refused.count(), 1000 - 256);
    let next = peer.handle(Input::Frame { link, frame: Frame::Ack { seq: 0 } });
    assert_eq!(sent(&next), [(link, 32)]);
}

#[test]
fn envelopes_that_come_twice_are_taken_once() {
    let mut peer = Peer::new(true, whereabouts(5));
    let (link, _) = peer.up(true);
    let envelope = |link| Input::Frame { link, frame: Frame::Envelope { seq: 7, json: vec![1] } };
    let acknowledged = |link| Output::Write { link, frame: Frame::Ack { seq: 7 } };
    assert_eq!(peer.handle(envelope(link)), [Output::Envelope(vec![1]), acknowledged(link)]);
    assert_eq!(peer.handle(envelope(link)), [acknowledged(link)]);
    // Another run of the program has other envelopes.
    let (link, _) = peer.up_with(true, 2);
    assert_eq!(peer.handle(envelope(link)), [Output::Envelope(vec![1]), acknowledged(link)]);
}

#[test]
fn a_message_is_acknowledged_when_it_is_kept_and_told_again_when_not() {
    let mut peer = Peer::new(true, whereabouts(5));
    let (link, _) = peer.up(true);
    let message = |seq, body| Input::Frame { link, frame: Frame::Message { seq, id: 5, body } };
    let told = |outputs: &[Output]| match outputs {
        [Output::Message { key, .. }] => *key,
        other => panic!("{other:?}"),
    };
    let key = told(&peer.handle(message(1, vec![1])));
    assert_eq!(peer.handle(message(2, vec![1])), [], "it is being kept");
    assert_eq!(peer.handle(Input::Received { key, kept: false }), []);
    let key = told(&peer.handle(message(3, vec![1])));
    let outputs = peer.handle(Input::Received { key, kept: true });
    assert_eq!(outputs, [Output::Write { link, frame: Frame::Ack { seq: 3 } }]);
    assert_eq!(peer.handle(message(4, vec![1])), [Output::Write { link, frame: Frame::Ack { seq: 4 } }]);
    // The outbox was lost, and counts from the beginning.
    assert_ne!(told(&peer.handle(message(5, vec![2]))), key);
}

#[test]
fn messages_that_nobody_confirms_are_bounded() {
    let mut peer = Peer::new(true, whereabouts(5));
    let (link, _) = peer.up(true);
    let outputs = (0..1000)
        .flat_map(|id| peer.handle(Input::Frame { link, frame: Frame::Message { seq: id, id, body: vec![] } }));
    assert_eq!(outputs.filter(|output| matches!(output, Output::Message { .. })).count(), 256);
}

#[test]
fn who_does_not_have_us_is_told_once_and_seldom_dialled() {
    let mut peer = Peer::new(true, whereabouts(5));
    peer.handle(Input::Tick);
    assert_eq!(peer.handle(Input::DialFailed(Down::Refused)), [Output::Refused]);
    assert!(!dials(&peer.send(1)) && !dials(&peer.passes(SECOND * 400)));
    assert!(dials(&peer.passes(SECOND * 1200)));
    assert_eq!(peer.handle(Input::DialFailed(Down::Refused)), []);
    let (link, _) = peer.up(false);
    let outputs = peer.handle(Input::LinkDown { link, why: Down::Refused });
    assert!(outputs.contains(&Output::Refused) && presence(&outputs) == Some(Presence::Offline));
}

#[test]
fn names_and_whereabouts_of_others_are_cut_and_checked() {
    let mut peer = Peer::new(true, Whereabouts::default());
    let addresses = (0..1000).map(|port| ([192, 0, 2, 1], port).into()).collect();
    let status = Status {
        name: Some(format!("a\n\u{7}{}", "b".repeat(10_000))),
        presence: Presence::Busy,
        whereabouts: Whereabouts { relay: None, addresses },
    };
    let remote = Some(([192, 0, 2, 7], 7).into());
    let hello = Hello { instance: 1, status };
    let outputs = peer.handle(Input::LinkUp { link: 0, dialled: false, remote, hello });
    let [Output::Moved(moved), Output::Presence { name: Some(name), .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((moved.addresses.len(), Some(moved.addresses[0])), (16, remote));
    assert_eq!(*name, format!("a {}", "b".repeat(98)));
}

#[test]
fn frames_of_another_place_in_the_protocol_close_the_link() {
    let mut peer = Peer::new(true, whereabouts(5));
    let (link, _) = peer.up(true);
    assert_eq!(peer.handle(Input::Frame { link, frame: Frame::Unknown }), []);
    let hello = Frame::Hello(Hello { instance: 9, status: status() });
    assert_eq!(closed(&peer.handle(Input::Frame { link, frame: hello })), [(link, Code::Protocol)]);
    assert_eq!(peer.handle(Input::Frame { link: 99, frame: Frame::Ack { seq: 0 } }), []);
}

/// Something happens, and time passes in small steps, each dial failing after `fails_after`; gives when dials
/// began.
fn dials_begun(peer: &mut Peer, first: Input, time: Duration, fails_after: Duration) -> Vec<Duration> {
    let (start, step) = (peer.now, Duration::from_millis(50));
    let mut running = VecDeque::new();
    let note = |outputs: Vec<Output>, now: Instant, running: &mut VecDeque<Instant>| {
        let count = outputs.iter().filter(|output| matches!(output, Output::Dial(_))).count();
        running.extend(std::iter::repeat_n(now + fails_after, count));
        vec![now - start; count]
    };
    let mut begun = note(peer.handle(first), start, &mut running);
    while peer.now < start + time {
        begun.extend(note(peer.passes(step), peer.now, &mut running));
        while running.front().is_some_and(|at| *at <= peer.now) {
            running.pop_front();
            begun.extend(note(peer.handle(Input::DialFailed(Down::Lost)), peer.now, &mut running));
        }
        let next = peer.state.next_tick();
        assert!(next.is_none_or(|next| next > peer.now), "a deadline in the past would spin");
    }
    running.into_iter().for_each(|_| drop(peer.handle(Input::DialFailed(Down::Lost))));
    begun
}

/// A contact that nobody has reached for an hour: it is dialled every two minutes.
fn long_away() -> Peer {
    let mut peer = Peer::new(true, whereabouts(5));
    dials_begun(&mut peer, Input::Tick, SECOND * 3600, SECOND * 10);
    peer
}

fn longest_gap(begun: &[Duration], until: Duration) -> Duration {
    let ends = begun.iter().skip(1).copied().chain([until]);
    begun.iter().zip(ends).map(|(begin, end)| end - *begin).max().unwrap()
}

#[test]
fn with_a_call_somebody_who_is_away_is_dialled_every_second() {
    // Where nobody answers a dial takes ten seconds; where the network is down it fails at once.
    for fails_after in [SECOND * 10, Duration::ZERO] {
        let mut peer = long_away();
        let begun = dials_begun(&mut peer, Input::InCall(true), SECOND * 30, fails_after);
        let gap = longest_gap(&begun, SECOND * 30);
        println!("in 30 s of a call: {} dials, the longest wait {gap:?}", begun.len());
        assert!(gap <= SECOND + Duration::from_millis(100), "{gap:?} between dials");
        assert!(begun.len() <= 61, "{} dials", begun.len());
        // After the call the waits are as long as before.
        let later = dials_begun(&mut peer, Input::InCall(false), SECOND * 600, fails_after);
        assert!((2..=20).contains(&later.len()), "{} dials in ten minutes", later.len());
    }
}

#[test]
fn something_to_send_ends_the_wait_and_keeps_it_short() {
    let mut peer = long_away();
    peer.passes(SECOND);
    let envelope = Input::Send { ticket: 1, parcel: Parcel::Envelope(vec![1]) };
    let begun = dials_begun(&mut peer, envelope, SEND_LIMIT, SECOND);
    let gap = longest_gap(&begun, SEND_LIMIT);
    assert!(gap <= SECOND * 2 + Duration::from_millis(100), "{gap:?} between dials");
    // Nobody waits any more.
    assert!(dials_begun(&mut peer, Input::Tick, SECOND * 60, SECOND).len() <= 2);
}

#[test]
fn a_link_ends_the_dials_beside_it() {
    let mut peer = long_away();
    peer.handle(Input::InCall(true));
    assert!(dials(&peer.passes(SECOND)) && dials(&peer.passes(SECOND)));
    let (_, outputs) = peer.up(true);
    assert!(outputs.contains(&Output::GiveUpDials), "{outputs:?}");
    assert!(dials_begun(&mut peer, Input::Tick, SECOND * 60, SECOND).is_empty());
    // One that had failed by then changes nothing.
    assert!(!dials(&peer.handle(Input::DialFailed(Down::Lost))));
}

#[test]
fn an_envelope_that_is_not_acknowledged_has_another_link_dialled_beside_the_first() {
    let mut peer = Peer::new(true, whereabouts(5));
    let (old, _) = peer.up(true);
    peer.now += SECOND * 60;
    peer.send(1);
    assert!(!dials(&peer.passes(SECOND * 2)), "an acknowledgement takes a moment");
    assert!(dials(&peer.passes(SECOND)));
    let (new, outputs) = peer.up(true);
    assert_eq!((closed(&outputs), sent(&outputs)), (vec![(old, Code::Superseded)], vec![(new, 1)]));
    peer.handle(Input::Frame { link: new, frame: Frame::Ack { seq: 1 } });
    assert!(!dials(&peer.passes(SECOND * 60)));
}

#[test]
fn a_contact_that_never_acknowledges_is_not_dialled_all_the_time() {
    let mut peer = Peer::new(true, whereabouts(5));
    peer.up(true);
    let mut begun = 0;
    for ticket in 0..60 {
        begun += peer.send(ticket).iter().filter(|output| matches!(output, Output::Dial(_))).count();
        begun += dials_begun(&mut peer, Input::Tick, SECOND, SECOND).len();
    }
    assert!((10..=20).contains(&begun), "{begun} dials in a minute");
}

#[test]
fn a_message_that_waits_for_its_reader_has_no_other_link_dialled() {
    let mut peer = Peer::new(true, whereabouts(5));
    peer.up(true);
    let message = Input::Send { ticket: 1, parcel: Parcel::Message { id: 1, body: vec![] } };
    assert!(dials_begun(&mut peer, message, SECOND * 9, SECOND).is_empty());
}
