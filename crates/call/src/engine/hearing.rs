//! Whether what a peer says is heard here, pure.
//!
//! Sound is expected of a peer that has said that it sends some, in a call that is connected and that nobody
//! holds. Of a peer that says nothing of its media, as a browser's page, nothing is expected: it may be
//! muted.
//!
//! Silence alone is no sign: with DTX a pause in talking is one packet in 400 ms. No packet at all is, and so
//! are packets as of a voice with nothing in them. (Our own microphones notice that themselves.)

use std::time::{Duration, Instant};

/// A user notices within this that nobody is heard. A dozen packets of DTX.
const UNHEARD_AFTER: Duration = Duration::from_secs(5);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// So many packets between two looks are a voice; of DTX there are one to three.
const VOICE_PACKETS: u64 = 10;
/// Quieter than this is nothing: -75 dBFS, root mean square of full scale.
const NOTHING: f32 = 1.8e-4;

/// What is known of one peer's sound.
#[derive(Debug)]
pub(super) struct Hearing {
    says_sound: bool,
    connected: bool,
    held: bool,
    /// As of the last look.
    packets: u64,
    /// When sound came last, or was not expected.
    heard: Instant,
    unheard: bool,
    due: Instant,
}

impl Hearing {
    pub(super) fn new(now: Instant) -> Self {
        let (says_sound, connected, held) = (false, false, false);
        Self { says_sound, connected, held, packets: 0, heard: now, unheard: false, due: now + INTERVAL }
    }

    /// What the peer says that it sends.
    pub(super) fn set_says_sound(&mut self, says_sound: bool) {
        self.says_sound = says_sound;
    }

    pub(super) fn set_connected(&mut self, connected: bool) {
        self.connected = connected;
    }

    /// Somebody holds the call.
    pub(super) fn set_held(&mut self, held: bool) {
        self.held = held;
    }

    /// When to look next.
    pub(super) fn next_deadline(&self) -> Instant {
        self.due
    }

    /// Looks, if it is time: how many packets of sound have come so far, and how loud the speaker plays them.
    /// Gives whether the peer is heard where that has changed.
    pub(super) fn look(&mut self, now: Instant, packets: u64, level: f32) -> Option<bool> {
        if now < self.due {
            return None;
        }
        self.due = now + INTERVAL;
        let came = packets.saturating_sub(std::mem::replace(&mut self.packets, packets));
        let heard = came > 0 && (came < VOICE_PACKETS || level > NOTHING);
        let expected = self.says_sound && self.connected && !self.held;
        if heard || !expected {
            self.heard = now;
            return std::mem::take(&mut self.unheard).then_some(true);
        }
        let unheard = now.saturating_duration_since(self.heard) >= UNHEARD_AFTER;
        (unheard && !std::mem::replace(&mut self.unheard, unheard)).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call in which the peer says that it sends sound.
    struct Timeline {
        hearing: Hearing,
        start: Instant,
        now: Instant,
        packets: u64,
    }

    impl Timeline {
        fn new() -> Self {
            let now = Instant::now();
            let mut hearing = Hearing::new(now);
            hearing.set_connected(true);
            hearing.set_says_sound(true);
            Self { hearing, start: now, now, packets: 0 }
        }

        /// In each half of a second so many `packets` arrive, whose sound is as loud as `level`. Gives each
        /// report, and the second in which it was made.
        fn passes(&mut self, seconds: u32, packets: u64, level: f32) -> Vec<(u64, bool)> {
            let mut told = vec![];
            for _ in 0..2 * seconds {
                self.now += Duration::from_millis(500);
                self.packets += packets;
                let heard = self.hearing.look(self.now, self.packets, level);
                told.extend(heard.map(|heard| ((self.now - self.start).as_secs(), heard)));
            }
            told
        }
    }

    #[test]
    fn no_packet_for_five_seconds_is_told_once_and_so_is_the_next() {
        let mut line = Timeline::new();
        assert!(line.passes(10, 25, 0.1).is_empty());
        assert_eq!(line.passes(30, 0, 0.0), [(15, false)]);
        assert_eq!(line.passes(10, 25, 0.1), [(40, true)]);
    }

    #[test]
    fn a_voice_with_nothing_in_it_is_unheard_too() {
        assert_eq!(Timeline::new().passes(30, 25, 0.0), [(5, false)]);
    }

    #[test]
    fn a_pause_with_dtx_is_no_silence() {
        for packets in 1..=3 {
            assert!(Timeline::new().passes(60, packets, 0.0).is_empty(), "{packets}");
        }
    }

    #[test]
    fn what_is_not_expected_is_not_missed() {
        for change in [
            (|hearing| hearing.set_says_sound(false)) as fn(&mut Hearing),
            |hearing| hearing.set_held(true),
            |hearing| hearing.set_connected(false),
        ] {
            let mut line = Timeline::new();
            change(&mut line.hearing);
            assert!(line.passes(60, 0, 0.0).is_empty());
            // Its five seconds begin when it is expected again.
            line.hearing.set_says_sound(true);
            line.hearing.set_held(false);
            line.hearing.set_connected(true);
            assert_eq!(line.passes(30, 0, 0.0), [(65, false)]);
            change(&mut line.hearing);
            assert_eq!(line.passes(10, 0, 0.0), [(90, true)], "nobody is said to be unheard who says nothing");
        }
    }
}
