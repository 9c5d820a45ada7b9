//! Packets that wait to be decoded: a ring of fixed slots, indexed by sequence number.

use super::admission::Place;
use crate::audio::opus::{DTX_PACKET, DredSpan, MAX_PACKET, fec_samples, packet_samples};

/// Slots of the ring, a power of two: 640 ms of the shortest packets in use (10 ms), over the largest default
/// delay.
pub const WINDOW: i64 = 64;

/// A packet as it waits. Sequence numbers and timestamps are unwrapped.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub place: Place,
    /// Samples it decodes to.
    pub length: i64,
    /// Samples of the sound before it that it repeats (FEC).
    pub fec: i64,
    /// Of the sound before it, what it describes (DRED).
    pub dred: DredSpan,
    /// In samples of our clock.
    pub arrival: i64,
    /// It came with a later packet only.
    pub redundant: bool,
    size: usize,
    bytes: [u8; MAX_PACKET],
}

impl Waiting {
    /// `None` if `payload` is not Opus, or larger than any packet is allowed to be.
    /// Its place is not known yet, nor whether it describes what was before it.
    pub fn new(arrival: i64, payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_PACKET];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        let length = i64::try_from(packet_samples(payload)?).ok()?;
        let fec = i64::try_from(fec_samples(payload)).ok()?;
        let place = Place { sequence: 0, timestamp: 0 };
        let dred = DredSpan::default();
        Some(Self { place, length, fec, dred, arrival, redundant: false, size: payload.len(), bytes })
    }

    pub fn payload(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or_default()
    }

    /// Tells that the sender fell silent, and has no sound in it.
    pub fn is_dtx(&self) -> bool {
        self.size <= DTX_PACKET
    }

    /// Media time right after it.
    pub fn end(&self) -> i64 {
        self.place.timestamp + self.length
    }
}

/// The packets from the next one to play on.
#[derive(Debug)]
pub struct Packets {
    slots: Box<[Option<Waiting>]>,
    /// The sequence number to be played next; everything before it is over.
    next: i64,
    newest: i64,
    count: usize,
}

/// What became of a packet that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    Stored,
    /// Its time is over.
    Late,
    Duplicate,
}

impl Packets {
    pub fn new() -> Self {
        Self { slots: (0..WINDOW).map(|_| None).collect(), next: 0, newest: -1, count: 0 }
    }

    /// Drops everything; `next` is the first packet of what comes.
    pub fn restart(&mut self, next: i64) {
        self.slots.fill(None);
        (self.next, self.newest, self.count) = (next, next - 1, 0);
    }

    /// Puts in a packet. One that does not fit into the window pushes the oldest ones out: the newest sound
    /// counts.
    pub fn insert(&mut self, packet: Waiting) -> Inserted {
        let sequence = packet.place.sequence;
        if sequence < self.next {
            return Inserted::Late;
        }
        while sequence >= self.next + WINDOW {
            self.take();
        }
        match self.slots.get_mut(slot_of(sequence)) {
            Some(slot @ None) => *slot = Some(packet),
            // Its own arrival tells of the network, and it may carry FEC.
            Some(Some(carried)) if carried.redundant && !packet.redundant => {
                *carried = packet;
                return Inserted::Stored;
            }
            _ => return Inserted::Duplicate,
        }
        self.newest = self.newest.max(sequence);
        self.count += 1;
        Inserted::Stored
    }

    /// The first packet that is there, and how many are missing before it.
    pub fn first(&self) -> Option<(&Waiting, u32)> {
        if self.count == 0 {
            return None;
        }
        (self.next..=self.newest)
            .zip(0..)
            .find_map(|(sequence, missing)| Some((self.slots.get(slot_of(sequence))?.as_ref()?, missing)))
    }

    /// Gives up on the missing ones before [`Self::first`].
    pub fn skip_missing(&mut self) {
        if let Some((first, _)) = self.first() {
            self.next = first.place.sequence;
        }
    }

    /// Takes the next packet out if it is there, and goes on to the one after it.
    pub fn take(&mut self) -> Option<Waiting> {
        let packet = self.slots.get_mut(slot_of(self.next)).and_then(Option::take);
        self.next += 1;
        self.newest = self.newest.max(self.next - 1);
        self.count -= usize::from(packet.is_some());
        packet
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// Media time from the start of the first waiting packet to the end of the last one.
    pub fn span(&self) -> i64 {
        let last = self.slots.get(slot_of(self.newest)).and_then(Option::as_ref);
        self.first().zip(last).map_or(0, |((first, _), last)| (last.end() - first.place.timestamp).max(0))
    }
}

fn slot_of(sequence: i64) -> usize {
    sequence.rem_euclid(WINDOW) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of contents byte of a single CELT frame of 20 ms.
    const TOC: u8 = 0xf8;

    fn packet(sequence: i64) -> Waiting {
        let place = Place { sequence, timestamp: sequence * 960 };
        Waiting { place, ..Waiting::new(0, &[TOC, sequence as u8]).unwrap() }
    }

    #[test]
    fn a_packet_replaces_its_copy_and_is_replaced_by_none() {
        let mut packets = Packets::new();
        packets.restart(10);
        let copy = |sequence| Waiting { redundant: true, ..packet(sequence) };
        assert_eq!(packets.insert(copy(10)), Inserted::Stored);
        assert_eq!(packets.insert(packet(10)), Inserted::Stored);
        assert_eq!(packets.insert(copy(10)), Inserted::Duplicate);
        assert_eq!(packets.len(), 1);
        assert!(!packets.take().unwrap().redundant);
    }

    #[test]
    fn packets_come_out_in_order_and_gaps_are_counted() {
        let mut packets = Packets::new();
        packets.restart(10);
        for sequence in [12, 10, 11, 15] {
            assert_eq!(packets.insert(packet(sequence)), Inserted::Stored);
        }
        assert_eq!(packets.span(), 6 * 960);
        for sequence in [10, 11, 12] {
            assert_eq!(packets.first().map(|(p, missing)| (p.place.sequence, missing)), Some((sequence, 0)));
            assert_eq!(packets.take().unwrap().payload(), [TOC, sequence as u8]);
        }
        assert_eq!(packets.first().map(|(p, missing)| (p.place.sequence, missing)), Some((15, 2)));
        assert_eq!(packets.insert(packet(14)), Inserted::Stored);
        assert_eq!(packets.insert(packet(14)), Inserted::Duplicate);
        assert_eq!(packets.insert(packet(12)), Inserted::Late);
        packets.skip_missing();
        assert_eq!(packets.take().map(|p| p.place.sequence), Some(14));
        assert_eq!(packets.take().map(|p| p.place.sequence), Some(15));
        assert!(packets.first().is_none() && packets.span() == 0 && packets.len() == 0);
    }

    #[test]
    fn a_full_window_keeps_the_newest() {
        let mut packets = Packets::new();
        for sequence in 0..WINDOW + 10 {
            assert_eq!(packets.insert(packet(sequence)), Inserted::Stored);
        }
        assert_eq!(packets.len(), WINDOW as usize);
        assert_eq!(packets.first().map(|(p, _)| p.place.sequence), Some(10));
    }

    #[test]
    fn oversized_and_senseless_payloads_are_refused() {
        assert!(Waiting::new(0, &[TOC; MAX_PACKET]).is_some());
        assert!(Waiting::new(0, &[TOC; MAX_PACKET + 1]).is_none());
        assert!(Waiting::new(0, &[]).is_none());
    }
}
