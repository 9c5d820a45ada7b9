//! Random inputs in random order: nothing panics, what is over stays over, no deadline spins.

use std::time::Duration;

use ahoy_call::{
    id::CallId,
    message::{Envelope, HangupReason, IceCandidate, MediaState, Paused, Payload},
    state::{CallState, Input, LinkEvent, Output, Path},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::script::{Script, answer, id, offer, trickle};

fn payload(chances: &mut StdRng) -> Payload {
    match chances.random_range(0..12) {
        0 => Payload::CallRequest { media: None },
        1 | 2 => Payload::CallAck,
        3 => offer(&format!("a=ice-ufrag:{}", chances.random_range(0..3))),
        4 => answer(&format!("a=ice-ufrag:{}", chances.random_range(0..3))),
        5 => trickle("c"),
        6 => Payload::IceCandidate { candidate: Some(IceCandidate::end()) },
        7 => Payload::Ringing,
        8 => Payload::MediaState {
            media: media(chances),
            hears: chances.random(),
            dred: Some(chances.random_range(11..14)),
            paused: chances.random::<bool>().then_some(Paused::Bandwidth),
        },
        9 => Payload::CallHold { held: chances.random() },
        10 => Payload::Unknown,
        _ => Payload::CallHangup { reason: Some(HangupReason::Busy) },
    }
}

fn media(chances: &mut StdRng) -> MediaState {
    MediaState { audio: chances.random(), video: chances.random() }
}

fn link_event(chances: &mut StdRng) -> LinkEvent {
    match chances.random_range(0..15) {
        0 | 1 => LinkEvent::LocalOffer("o".into()),
        2 | 3 => LinkEvent::LocalAnswer("a".into()),
        4 => LinkEvent::LocalCandidate(IceCandidate::default()),
        5 => LinkEvent::LocalCandidatesDone,
        6 | 7 => LinkEvent::Connected,
        8 => LinkEvent::Disconnected,
        9 => LinkEvent::CandidateRefused("x".into()),
        10 => LinkEvent::RemoteDescriptionRefused("x".into()),
        11 => LinkEvent::MediumRefused("x".into()),
        12 | 13 => LinkEvent::Absent(media(chances)),
        _ => LinkEvent::Failed("x".into()),
    }
}

fn input(chances: &mut StdRng, channel: &CallId, peer: &str) -> Input {
    match chances.random_range(0..20) {
        0 | 1 => Input::Accept { media: MediaState::BOTH },
        2 => Input::Decline,
        3 => Input::HangUp,
        4 => Input::Hold,
        5 => Input::Resume,
        6 => Input::SetMedia(media(chances)),
        7 => Input::SendFailed { to: peer.into(), error: "x".into() },
        8 => Input::Tick,
        9 => Input::SetAvailable(media(chances)),
        10 => Input::SetPaused(chances.random::<bool>().then_some(Paused::Bandwidth)),
        11 => Input::Hears { peer: peer.into(), hears: chances.random() },
        12 => {
            let path = [Path::Gone, Path::Moved, Path::Joined][chances.random_range(0..3)];
            Input::NetworkChanged { peer: peer.into(), path }
        }
        13..16 => Input::Link { peer: peer.into(), event: link_event(chances) },
        _ => {
            let envelope = Envelope::new(channel.clone(), chances.random_range(0..20), payload(chances));
            Input::Received { from: peer.into(), envelope }
        }
    }
}

#[test]
fn a_switchboard_stands_any_input() {
    for seed in 0..2_000 {
        let mut chances = StdRng::seed_from_u64(seed);
        let mut script = Script::new();
        for _ in 0..60 {
            script.now += Duration::from_millis(chances.random_range(0..8_000));
            let channel = id(["a", "b", "c"][chances.random_range(0..3)]);
            let peer = ["bob", "carol"][chances.random_range(0..2)];
            match (chances.random_range(0..8), input(&mut chances, &channel, peer)) {
                (0, _) => drop(script.board.place(script.now, channel, peer.into(), MediaState::BOTH)),
                (_, Input::Received { from, envelope }) => script.board.receive(script.now, from, envelope),
                (_, input) => script.board.handle(script.now, &channel, input),
            }
            script.board.tick(script.now);
            let next = script.board.next_deadline();
            assert!(next.is_none_or(|next| next > script.now), "seed {seed}: a deadline in the past would spin");
            script.drop_outputs();
        }
    }
}

#[test]
fn a_call_that_is_over_stays_over() {
    for seed in 0..2_000 {
        let mut chances = StdRng::seed_from_u64(seed);
        let (mut now, channel) = (std::time::Instant::now(), id("call"));
        let mut call = if chances.random() {
            CallState::outgoing(now, channel.clone(), "bob".into(), MediaState::BOTH)
        } else {
            CallState::incoming(now, channel.clone(), "bob".into(), MediaState::BOTH)
        };
        let mut over = None;
        for _ in 0..100 {
            now += Duration::from_millis(chances.random_range(0..3_000));
            call.handle(now, input(&mut chances, &channel, "bob"));
            let outputs: Vec<Output> = std::iter::from_fn(|| call.poll_output()).collect();
            match &over {
                None if call.status().is_over() => over = Some(call.status().clone()),
                None => {}
                Some(status) => {
                    assert_eq!(call.status(), status, "seed {seed}");
                    assert!(outputs.is_empty() && call.next_deadline().is_none(), "seed {seed}: {outputs:?}");
                }
            }
        }
    }
}
