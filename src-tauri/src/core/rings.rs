//! How often somebody may make it ring here. Only contacts can; but a contact may be a broken program, or no
//! friend any more, and each call is a sound in the room, a window that comes up and a line in the history.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use ahoy_store::EndpointId;

/// Calls that nobody takes, at once: of somebody who is in a hurry, and dials again each time.
const BURST: u32 = 10;
/// From one further call to the next.
const EVERY: Duration = Duration::from_secs(20);

/// Counts the calls of each caller, of which there are at most as many as contacts.
#[derive(Debug, Default)]
pub struct Rings {
    /// When all of a caller's calls are forgotten.
    forgotten_at: HashMap<EndpointId, Instant>,
}

impl Rings {
    /// Whether the call that `caller` makes at `now` is to be noticed at all.
    pub fn admits(&mut self, caller: EndpointId, now: Instant) -> bool {
        let after = self.forgotten_at.get(&caller).map_or(now, |at| *at.max(&now)) + EVERY;
        let admitted = after <= now + EVERY * BURST;
        if admitted {
            self.forgotten_at.insert(caller, after);
        }
        admitted
    }

    /// The user has taken a call of `caller`, who is welcome then.
    pub fn welcome(&mut self, caller: EndpointId) {
        self.forgotten_at.remove(&caller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_never_stops_is_noticed_seldom_and_others_as_ever() {
        let start = Instant::now();
        let mut rings = Rings::default();
        let [eve, ada] = [1, 2].map(|number| EndpointId::new([number; 32]));
        let calls = |rings: &mut Rings, from: Instant| {
            (0..1000).filter(|step| rings.admits(eve, from + Duration::from_millis(10) * *step)).count()
        };
        assert_eq!(calls(&mut rings, start), 10);
        assert!(rings.admits(ada, start + EVERY));
        let later = start + EVERY * 100;
        assert_eq!(calls(&mut rings, later), 10, "a rest gives one burst, not more");
        rings.welcome(eve);
        assert_eq!(calls(&mut rings, later), 10);
    }
}
