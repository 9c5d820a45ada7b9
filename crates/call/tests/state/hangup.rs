//! A hang-up at every moment of a call's life ends both sides.

use ahoy_call::event::CallEvent;

use crate::world::{Network, World};

/// Steps of a call after it is connected in which it is still cut off.
const STEPS_IN_CALL: usize = 12;

/// A call, cut off by `hang_up` after `steps` steps; false when it was connected well before.
fn cut_off(network: Network, steps: usize, context: &str, hang_up: impl Fn(&mut World)) -> bool {
    let mut world = World::new(network);
    world.place(0, "call");
    let mut in_call = 0;
    for _ in 0..steps {
        world.step();
        in_call += usize::from(world.ends.iter().all(|end| end.connected()));
    }
    hang_up(&mut world);
    world.run_to_rest();
    world.assert_over(context);
    for end in &world.ends {
        let failed =
            end.events.iter().any(|(_, event)| matches!(event, CallEvent::Ended { text, .. } if text.is_empty()));
        let problem = end.events.iter().any(|(_, event)| matches!(event, CallEvent::Problem(_)));
        assert!(!failed && !problem, "{context}: {:?}", end.events);
    }
    in_call < STEPS_IN_CALL
}

fn cut_off_at_every_step(network: Network, hang_up: impl Fn(&mut World)) {
    let mut steps = 0;
    while cut_off(network, steps, &format!("seed {} step {steps}", network.seed), &hang_up) {
        steps += 1;
    }
    assert!(steps > STEPS_IN_CALL + 10, "only {steps} steps were tried");
}

#[test]
fn by_the_caller() {
    cut_off_at_every_step(Network::good(), |world| world.hang_up(0));
    (0..40).for_each(|seed| cut_off_at_every_step(Network::bad(seed), |world| world.hang_up(0)));
}

#[test]
fn by_the_callee() {
    // Before the request is there, the callee has nothing to hang up: then the caller ends what it began.
    let hang_up = |world: &mut World| {
        world.hang_up(1);
        if world.ends[1].events.is_empty() {
            world.hang_up(0);
        }
    };
    cut_off_at_every_step(Network::good(), hang_up);
    (0..40).for_each(|seed| cut_off_at_every_step(Network::bad(seed), hang_up));
}

#[test]
fn by_both_at_once_and_twice() {
    let hang_up = |world: &mut World| {
        for at in [0, 1, 0, 1] {
            world.hang_up(at);
        }
    };
    cut_off_at_every_step(Network::good(), hang_up);
    (0..40).for_each(|seed| cut_off_at_every_step(Network::bad(seed), hang_up));
}
