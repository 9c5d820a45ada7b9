//! Two endpoints, wired.

use ahoy_call::{
    event::CallEvent,
    message::MediaState,
    state::{CallStatus, Input},
};

use crate::world::{Network, World};

#[test]
fn a_call_connects_over_any_network() {
    for seed in 0..300 {
        let mut world = World::new(Network::bad(seed));
        world.place(0, "call");
        world.run_until_connected();
        for end in &world.ends {
            let problems = end.events.iter().any(|(_, event)| matches!(event, CallEvent::Problem(_)));
            assert!(!problems, "seed {seed}: {:?}", end.events);
        }
    }
}

#[test]
fn a_broken_path_is_mended_over_any_network() {
    for seed in 0..300 {
        let mut world = World::new(Network::bad(seed));
        world.place(0, "call");
        world.run_until_connected();
        for _ in 0..3 {
            world.break_path();
            world.step();
            world.run_until_reconnected();
        }
        world.hang_up((seed % 2) as usize);
        world.run_to_rest();
        world.assert_over(&format!("seed {seed}"));
    }
}

#[test]
fn hold_and_media_arrive_as_they_were_last_set() {
    for seed in 0..100 {
        let mut world = World::new(Network::bad(seed));
        world.place(0, "call");
        world.run_until_connected();
        let muted = MediaState { audio: false, video: true };
        for input in [
            Input::Hold,
            Input::SetMedia(MediaState::NONE),
            Input::Resume,
            Input::Hold,
            Input::SetMedia(muted),
            Input::Resume,
            Input::Hold,
        ] {
            world.user(0, input);
        }
        world.run_to_rest();
        let events = &world.ends[1].events;
        let held = events.iter().rev().find_map(|(_, event)| match event {
            CallEvent::Hold { remote, .. } => Some(*remote),
            _ => None,
        });
        let media = events.iter().rev().find_map(|(_, event)| match event {
            CallEvent::MediaState { media, .. } => Some(*media),
            _ => None,
        });
        assert_eq!((held, media), (Some(true), Some(muted)), "seed {seed}");
        assert_eq!(*world.ends[1].board.current().unwrap().status(), CallStatus::OnHold);
    }
}

#[test]
fn an_unanswered_call_ends_at_both_sides() {
    let mut world = World::new(Network::bad(1));
    world.accepts = false;
    world.place(0, "call");
    world.run_to_rest();
    world.assert_over("unanswered");
}
