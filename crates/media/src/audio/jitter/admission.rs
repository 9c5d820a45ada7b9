//! Which packets belong to the stream that is playing: unwraps sequence numbers and timestamps, and holds
//! back packets of another source or another timeline until a second one confirms them (the probation of RFC
//! 3550 appendix A.1). So a single forged, damaged or misrouted packet cannot make playout jump.

use super::packets::WINDOW;
use crate::audio::SAMPLE_RATE;

/// Media time and arrival time between two packets may differ by this, 1 s: more is no jitter but another
/// timeline.
const MAX_SKEW: i64 = SAMPLE_RATE as i64;
/// Sequence numbers ahead of the newest that still count as loss; a longer outage starts anew.
const MAX_AHEAD: i64 = WINDOW - 1;
/// Sequence numbers behind the newest that still count as late (RFC 3550 appendix A.1, `MAX_MISORDER`).
const MAX_BEHIND: i64 = 100;
/// The second packet of a stream confirms the first, though some between them be lost.
const MAX_CONFIRMING: i64 = 3;

/// What a packet says of its place.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    /// In samples of our clock.
    pub arrival: i64,
}

/// A place in the stream, unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub sequence: i64,
    pub timestamp: i64,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It starts the first stream.
    Start(Place),
    /// It belongs to the stream.
    Belongs(Place),
    /// It may be the first of another stream: to be kept apart, in place of an earlier such one.
    Suspect(Place),
    /// It is the second of another stream, which starts with the packet kept apart, then this one.
    Switch(Place),
}

/// The newest packet of the stream, and the one on probation.
#[derive(Debug, Default)]
pub struct Admission {
    newest: Option<Seen>,
    suspect: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    ssrc: u32,
    place: Place,
    arrival: i64,
}

impl Seen {
    fn first(header: &Header) -> Self {
        let place = Place { sequence: header.sequence.into(), timestamp: header.timestamp.into() };
        Self { ssrc: header.ssrc, place, arrival: header.arrival }
    }

    /// `header` seen as part of this one's stream, if its timestamp goes with its sequence number and
    /// arrival, and how many packets it is ahead.
    fn relative(&self, header: &Header) -> Option<(Self, i64)> {
        // Differences modulo 2^16 and 2^32, taken as signed, carry over the wrap-around.
        let ahead = i64::from(header.sequence.wrapping_sub(self.place.sequence as u16) as i16);
        let later = i64::from(header.timestamp.wrapping_sub(self.place.timestamp as u32) as i32);
        let waited = header.arrival - self.arrival;
        let belongs = header.ssrc == self.ssrc && ahead.signum() == later.signum() && (later - waited).abs() < MAX_SKEW;
        let place = Place { sequence: self.place.sequence + ahead, timestamp: self.place.timestamp + later };
        belongs.then_some((Self { ssrc: self.ssrc, place, arrival: header.arrival }, ahead))
    }
}

impl Admission {
    /// Judges a packet.
    pub fn admit(&mut self, header: &Header) -> Verdict {
        let Some(newest) = &self.newest else {
            let first = Seen::first(header);
            self.newest = Some(first);
            return Verdict::Start(first.place);
        };
        if let Some((seen, ahead)) = newest.relative(header)
            && (-MAX_BEHIND..=MAX_AHEAD).contains(&ahead)
        {
            // While the stream goes on, nothing takes its place: two sources by turns would make a storm of
            // clicks.
            self.suspect = None;
            if ahead > 0 {
                self.newest = Some(seen);
            }
            return Verdict::Belongs(seen.place);
        }
        if let Some((seen, ahead)) = self.suspect.and_then(|suspect| suspect.relative(header))
            && (1..=MAX_CONFIRMING).contains(&ahead)
        {
            (self.newest, self.suspect) = (Some(seen), None);
            return Verdict::Switch(seen.place);
        }
        let suspect = Seen::first(header);
        self.suspect = Some(suspect);
        Verdict::Suspect(suspect.place)
    }

    /// The place of a packet that another one carried along, which came before it. It starts nothing, and
    /// confirms nothing.
    pub fn place(&self, header: &Header) -> Option<Place> {
        let (seen, ahead) = self.newest.as_ref()?.relative(header)?;
        (-MAX_BEHIND..0).contains(&ahead).then_some(seen.place)
    }

    /// The newest packet of the stream.
    pub fn newest(&self) -> Option<Place> {
        self.newest.map(|newest| newest.place)
    }

    /// The source that is playing.
    pub fn ssrc(&self) -> Option<u32> {
        self.newest.map(|newest| newest.ssrc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, n: i64) -> Header {
        Header { ssrc, sequence: n as u16, timestamp: (n * 960) as u32, arrival: n * 960 }
    }

    fn place(n: i64) -> Place {
        Place { sequence: n, timestamp: n * 960 }
    }

    #[test]
    fn numbers_are_unwrapped_in_both_directions() {
        let mut admission = Admission::default();
        let start = Header { ssrc: 1, sequence: 65_535, timestamp: u32::MAX - 959, arrival: 0 };
        let Verdict::Start(first) = admission.admit(&start) else { panic!() };
        let next = Header { ssrc: 1, sequence: 1, timestamp: 960, arrival: 1920 };
        let expected = Place { sequence: first.sequence + 2, timestamp: first.timestamp + 1920 };
        assert_eq!(admission.admit(&next), Verdict::Belongs(expected));
        let late = Header { ssrc: 1, sequence: 0, timestamp: 0, arrival: 1920 };
        let expected = Place { sequence: first.sequence + 1, timestamp: first.timestamp + 960 };
        assert_eq!(admission.admit(&late), Verdict::Belongs(expected));
    }

    #[test]
    fn another_source_takes_over_with_its_second_packet() {
        let mut admission = Admission::default();
        admission.admit(&header(1, 0));
        assert_eq!(admission.admit(&header(2, 1)), Verdict::Suspect(place(1)));
        assert_eq!(admission.ssrc(), Some(1));
        assert_eq!(admission.admit(&header(2, 2)), Verdict::Switch(place(2)));
        assert_eq!(admission.ssrc(), Some(2));
        assert_eq!(admission.admit(&header(2, 3)), Verdict::Belongs(place(3)));
    }

    #[test]
    fn a_carried_packet_has_a_place_in_the_stream_that_plays_and_in_no_other() {
        let mut admission = Admission::default();
        assert_eq!(admission.place(&header(1, 0)), None);
        admission.admit(&header(1, 5));
        for (ssrc, n, expected) in [(1, 4, Some(place(4))), (1, 5, None), (1, 6, None), (2, 4, None)] {
            assert_eq!(admission.place(&header(ssrc, n)), expected, "{ssrc} {n}");
        }
        assert!(matches!(admission.admit(&header(2, 5)), Verdict::Suspect(_)), "the carried one confirmed nothing");
    }

    #[test]
    fn two_sources_by_turns_never_switch() {
        let mut admission = Admission::default();
        admission.admit(&header(1, 0));
        for n in 1..100 {
            assert!(matches!(admission.admit(&header(2, n)), Verdict::Suspect(_)));
            assert_eq!(admission.admit(&header(1, n)), Verdict::Belongs(place(n)));
        }
    }

    #[test]
    fn a_lone_wild_packet_is_suspect_and_forgotten() {
        let mut admission = Admission::default();
        admission.admit(&header(1, 0));
        for wild in [
            Header { sequence: 30_000, ..header(1, 1) },
            Header { timestamp: 1 << 30, ..header(1, 1) },
            Header { timestamp: 0u32.wrapping_sub(960), ..header(1, 1) },
        ] {
            assert!(matches!(admission.admit(&wild), Verdict::Suspect(_)), "{wild:?}");
            assert!(matches!(admission.admit(&header(1, 1)), Verdict::Belongs(_)));
        }
    }
}
