//! Which RTP streams of the other side belong to which section.
//!
//! A section may declare its stream (`a=ssrc`, RFC 5576) or not: GStreamer, aiortc and gateways leave it out,
//! and so do browsers with simulcast. Then a stream is told by the payload type of its packets (RFC 8843
//! section 9.2). The stack only knows declared streams, so one that is learned from a packet is declared to
//! it after the fact.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::{Kind, read::Section};

/// A learned stream that is silent for so long may be followed by another: its sender began anew.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// Streams learned of one section in a call: each costs the stack memory for good. A sender begins anew when
/// its camera or its file does.
const MAX_LEARNED: u32 = 256;

/// The stream that a section declares: its first that is not another's repair (RFC 5576 section 4.2, RFC
/// 5956).
pub(super) fn declared(section: &Section) -> Option<u32> {
    let mut repairs = HashSet::new();
    for group in section.values("ssrc-group") {
        let mut words = group.split_whitespace();
        // FID, FEC-FR and SIM alike: the first is the stream.
        words.next();
        repairs.extend(words.skip(1).filter_map(|ssrc| ssrc.parse::<u32>().ok()));
    }
    let ssrcs = section.values("ssrc").filter_map(|value| value.split_whitespace().next()?.parse::<u32>().ok());
    ssrcs.into_iter().find(|ssrc| !repairs.contains(ssrc))
}

/// The streams of the two media.
#[derive(Debug, Default)]
pub(super) struct Streams {
    media: [Stream; 2],
}

#[derive(Debug, Default)]
struct Stream {
    /// Payload types of the section; none where it is not to be learned.
    payload_types: Vec<u8>,
    learned: Option<Learned>,
    count: u32,
}

#[derive(Debug)]
struct Learned {
    ssrc: u32,
    last: Instant,
    /// The stack knows it.
    declared: bool,
}

impl Streams {
    /// A description was agreed on: under which payload types the streams come that it does not declare.
    pub(super) fn expect(&mut self, kind: Kind, payload_types: Vec<u8>) {
        self.get(kind).payload_types = payload_types;
    }

    pub(super) fn learned(&self, kind: Kind) -> Option<u32> {
        let Self { media: [audio, video] } = self;
        let stream = match kind {
            Kind::Audio => audio,
            Kind::Video => video,
        };
        stream.learned.as_ref().map(|learned| learned.ssrc)
    }

    /// What was learned so far was declared to the stack.
    pub(super) fn declare(&mut self) {
        self.media.iter_mut().filter_map(|stream| stream.learned.as_mut()).for_each(|learned| learned.declared = true);
    }

    /// Looks at a packet. True: its stream is to be declared to the stack.
    pub(super) fn look(&mut self, now: Instant, ssrc: u32, payload_type: u8) -> bool {
        let mut expecting = Kind::ALL.into_iter().filter(|kind| self.has(*kind, payload_type));
        // Where both sections use the number nothing can be told.
        let (Some(kind), None) = (expecting.next(), expecting.next()) else { return false };
        let stream = self.get(kind);
        match &mut stream.learned {
            Some(learned) if learned.ssrc == ssrc => {
                learned.last = now;
                return !learned.declared;
            }
            // Two at once: the second is not mixed into the first.
            Some(learned) if now.saturating_duration_since(learned.last) < SILENT_AFTER => return false,
            Some(_) | None => {}
        }
        if stream.count >= MAX_LEARNED {
            return false;
        }
        stream.count += 1;
        stream.learned = Some(Learned { ssrc, last: now, declared: false });
        true
    }

    fn has(&mut self, kind: Kind, payload_type: u8) -> bool {
        self.get(kind).payload_types.contains(&payload_type)
    }

    fn get(&mut self, kind: Kind) -> &mut Stream {
        let Self { media: [audio, video] } = self;
        match kind {
            Kind::Audio => audio,
            Kind::Video => video,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_learned_once_and_a_second_one_beside_it_never() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut streams = Streams::default();
        assert!(!streams.look(now, 1, 111), "nothing is expected yet");
        streams.expect(Kind::Audio, vec![111, 63]);
        streams.expect(Kind::Video, vec![96]);
        for (ms, ssrc, payload_type, is_new) in [
            (0, 1, 111, true),
            // Until it is declared.
            (10, 1, 111, true),
            (20, 2, 96, true),
        ] {
            assert_eq!(streams.look(at(ms), ssrc, payload_type), is_new, "{ms} {ssrc}");
        }
        streams.declare();
        for (ms, ssrc, payload_type, is_new) in [
            (30, 1, 63, false),
            // Beside a stream that flows.
            (40, 3, 96, false),
            (500, 2, 96, false),
            (1499, 3, 96, false),
            // The first has ended.
            (1501, 3, 96, true),
            (1600, 2, 96, false),
            (1700, 9, 0, false),
        ] {
            assert_eq!(streams.look(at(ms), ssrc, payload_type), is_new, "{ms} {ssrc}");
        }
        assert_eq!((streams.learned(Kind::Audio), streams.learned(Kind::Video)), (Some(1), Some(3)));
        // A peer that begins anew without end is not followed.
        let learned = (0..100_000).filter(|n| streams.look(at(10_000 * (n + 1)), *n as u32 + 10, 96)).count();
        assert_eq!(learned, MAX_LEARNED as usize - 2);
        // Under a number of both nothing can be told.
        streams.expect(Kind::Audio, vec![96]);
        assert!(!streams.look(at(2_000_000_000), 7, 96));
    }
}
