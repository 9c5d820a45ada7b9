//! Retransmissions of video: what was sent lately, what was asked for again, and how much of that may leave.
//!
//! On a path that loses packets and has room, each packet is also sent a second time without being asked for,
//! between its frame and the next: at 100 ms round trip a packet that has to be asked for stops video for
//! longer than is not noticed. Where there is not room for all copies, each packet gets one before any gets a
//! second.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rtc::rtp;

use super::wire_size;

/// Packets kept for retransmission: 1.5 s of 6 Mbit/s.
const KEPT: usize = 1024;
/// A receiver has given up by then.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Packets that may wait to be sent again. What is asked for beyond that is asked for again, or is not needed
/// any more.
const MAX_WAITING: usize = 128;
/// Retransmissions may come in bursts of so much of their budget: losses do.
const BURST: Duration = Duration::from_millis(250);
/// At least so many bytes at once: two packets.
const LEAST_BURST: f64 = 2500.0;
/// A request is dropped when it has waited for a round trip, but not before it has waited this long. If the
/// receiver still misses the packet, it asks again.
const LEAST_WAIT: Duration = Duration::from_millis(50);
/// Under this round trip a packet is not sent again sooner than after so long.
const LEAST_SPACING: Duration = Duration::from_millis(10);

/// A copy leaves this long after its packet: behind its frame, whose packets leave at once on a path with
/// room, and so behind a short burst of loss.
const COPY_AFTER: Duration = Duration::from_millis(4);
/// A copy that could not leave by then is of no more use than a retransmission.
const COPY_LIMIT: Duration = Duration::from_millis(60);
/// Copies that may wait: those of a large frame.
const MAX_COPIES: usize = 64;
/// Second and later copies leave so much of what may leave at once to the first ones.
const COPY_RESERVE: f64 = 0.5;

/// Copies of one packet that are to follow.
#[derive(Clone, Copy)]
struct Copies {
    /// When it left, or the copy before.
    left: Instant,
    number: u16,
    count: u8,
    /// The next one is the first.
    first: bool,
}

/// A packet that was asked for.
#[derive(Clone, Copy)]
struct Request {
    number: u16,
    until: Instant,
}

struct Sent {
    packet: rtp::Packet,
    at: Instant,
    repaired: Option<Instant>,
    waiting: bool,
}

/// Keeps sent packets, and gives out those that were asked for again, within a budget.
pub(super) struct Repairs {
    /// By sequence number modulo [`KEPT`].
    sent: Vec<Option<Sent>>,
    waiting: VecDeque<Request>,
    copies: VecDeque<Copies>,
    /// Bytes that may leave now.
    tokens: f64,
    /// Bytes of copies that may leave now.
    copy_tokens: f64,
    updated: Instant,
    copies_updated: Instant,
}

impl Repairs {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sent: (0..KEPT).map(|_| None).collect(),
            waiting: VecDeque::new(),
            copies: VecDeque::new(),
            tokens: LEAST_BURST,
            copy_tokens: 0.0,
            updated: now,
            copies_updated: now,
        }
    }

    /// Keeps a packet that leaves now.
    pub(super) fn sent(&mut self, now: Instant, packet: &rtp::Packet) {
        let number = packet.header.sequence_number;
        if let Some(place) = self.sent.get_mut(usize::from(number) % KEPT) {
            *place = Some(Sent { packet: packet.clone(), at: now, repaired: None, waiting: false });
        }
    }

    /// Somebody asks for `number` again. Whatever is asked, a packet leaves at most once in half a round
    /// trip.
    pub(super) fn request(&mut self, now: Instant, number: u16, round_trip: Duration) {
        if self.waiting.len() >= MAX_WAITING {
            return;
        }
        let spacing = (round_trip / 2).max(LEAST_SPACING);
        let Some(sent) = self.find(number) else { return };
        let recently = sent.repaired.is_some_and(|at| now.saturating_duration_since(at) < spacing);
        if recently || sent.waiting || now.saturating_duration_since(sent.at) > MAX_AGE {
            return;
        }
        sent.waiting = true;
        self.waiting.push_back(Request { number, until: now + round_trip.max(LEAST_WAIT) });
        // It leaves sooner than the copies that are still to follow, and has copies of its own.
        self.copies.retain(|copy| copy.number != number);
    }

    /// The next packet to send again, if the budget of `rate` bits a second has room for it.
    pub(super) fn take(&mut self, now: Instant, rate: f64) -> Option<rtp::Packet> {
        let passed = now.saturating_duration_since(self.updated).as_secs_f64();
        let most = (rate / 8.0 * BURST.as_secs_f64()).max(LEAST_BURST);
        self.tokens = (self.tokens + passed * rate / 8.0).min(most);
        self.updated = now;
        while let Some(Request { number, until }) = self.waiting.front().copied() {
            let tokens = self.tokens;
            let Some(sent) = self.find(number).filter(|sent| now.saturating_duration_since(sent.at) <= MAX_AGE) else {
                self.waiting.pop_front();
                continue;
            };
            if now > until {
                sent.waiting = false;
                self.waiting.pop_front();
                continue;
            }
            let bytes = wire_size(&sent.packet) as f64;
            if bytes > tokens {
                return None;
            }
            (sent.repaired, sent.waiting) = (Some(now), false);
            let packet = sent.packet.clone();
            self.tokens -= bytes;
            self.waiting.pop_front();
            return Some(packet);
        }
        None
    }

    /// When the budget has room for the next packet; none where none waits.
    pub(super) fn due(&self, rate: f64) -> Option<Instant> {
        let request = self.waiting.front()?;
        let place = self.sent.get(usize::from(request.number) % KEPT)?.as_ref();
        let bytes = place.map_or(0, |sent| wire_size(&sent.packet)) as f64;
        let missing = (bytes - self.tokens).max(0.0);
        Some(self.updated + Duration::from_secs_f64((missing * 8.0 / rate.max(1000.0)).min(10.0)))
    }

    /// So many copies of a packet that leaves now are to follow, one after the other, and one more of the
    /// last packet of a frame: where that is lost, nobody knows before the next frame.
    pub(super) fn copy(&mut self, now: Instant, header: &rtp::header::Header, copies: u8) {
        if copies > 0 {
            let count = copies + u8::from(header.marker);
            self.follow(Copies { left: now, number: header.sequence_number, count, first: true });
        }
    }

    fn follow(&mut self, copies: Copies) {
        if copies.count > 0 && self.copies.len() < MAX_COPIES {
            self.copies.push_back(copies);
        }
    }

    /// The next copy that is due, if `rate` bits a second have room for it.
    pub(super) fn take_copy(&mut self, now: Instant, rate: f64) -> Option<rtp::Packet> {
        let passed = now.saturating_duration_since(self.copies_updated).as_secs_f64();
        let most = (rate / 8.0 * BURST.as_secs_f64()).max(LEAST_BURST);
        self.copy_tokens = (self.copy_tokens + passed * rate / 8.0).min(most);
        self.copies_updated = now;
        while let Some(copies) = self.copies.front().copied() {
            let age = now.saturating_duration_since(copies.left);
            if age < COPY_AFTER {
                return None;
            }
            self.copies.pop_front();
            let tokens = self.copy_tokens;
            let Some(sent) = self.find(copies.number) else { continue };
            let bytes = wire_size(&sent.packet) as f64;
            let reserve = if copies.first || sent.packet.header.marker { 0.0 } else { most * COPY_RESERVE };
            if age > COPY_LIMIT || bytes > tokens - reserve {
                continue;
            }
            // Who asks for the packet may have lost the copy as well, so a copy holds up no retransmission.
            let packet = sent.packet.clone();
            self.copy_tokens -= bytes;
            self.follow(Copies { left: now, count: copies.count - 1, first: false, ..copies });
            return Some(packet);
        }
        None
    }

    /// When the next copy is due; none where none waits.
    pub(super) fn copy_due(&self) -> Option<Instant> {
        self.copies.front().map(|copies| copies.left + COPY_AFTER)
    }

    fn find(&mut self, number: u16) -> Option<&mut Sent> {
        let place = self.sent.get_mut(usize::from(number) % KEPT)?.as_mut();
        place.filter(|sent| sent.packet.header.sequence_number == number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn packet(number: u16) -> rtp::Packet {
        let header = rtp::header::Header { version: 2, sequence_number: number, ..Default::default() };
        rtp::Packet { header, payload: vec![0; 1000].into() }
    }

    /// With as much room for copies as there can be.
    fn rested(now: Instant, packet: &rtp::Packet) -> Repairs {
        let mut repairs = Repairs::new(now.checked_sub(MAX_AGE).expect("the machine has run for a second"));
        repairs.sent(now, packet);
        repairs
    }

    fn repairs(now: Instant, numbers: impl IntoIterator<Item = u16>) -> Repairs {
        let mut repairs = Repairs::new(now);
        numbers.into_iter().for_each(|number| repairs.sent(now, &packet(number)));
        repairs
    }

    #[test]
    fn a_packet_leaves_again_once_in_half_a_round_trip_however_often_it_is_asked_for() {
        let start = Instant::now();
        let mut repairs = repairs(start, [7]);
        let mut left = vec![];
        for step in 0..200 {
            let now = start + ms(step);
            for _ in 0..10 {
                repairs.request(now, 7, ROUND_TRIP);
            }
            while let Some(packet) = repairs.take(now, 1e6) {
                left.push((step, packet.header.sequence_number));
            }
        }
        assert_eq!(left, [(0, 7), (50, 7), (100, 7), (150, 7)]);
    }

    #[test]
    fn a_request_that_has_waited_for_a_round_trip_is_dropped_and_may_come_again() {
        let start = Instant::now();
        let mut repairs = repairs(start, 0..100);
        (0..100).for_each(|number| repairs.request(start, number, ROUND_TRIP));
        let mut left = vec![];
        for step in 0..400 {
            // A packet takes 20 ms.
            left.extend(repairs.take(start + ms(step), 420_000.0).map(|packet| packet.header.sequence_number));
            if step == 200 {
                repairs.request(start + ms(step), 99, ROUND_TRIP);
            }
        }
        assert!((5..10).contains(&left.len()), "{left:?}");
        assert_eq!(left.last(), Some(&99));
    }

    #[test]
    fn a_flood_of_requests_gets_the_budget_and_no_more() {
        let start = Instant::now();
        let mut repairs = repairs(start, 0..1000);
        let mut bytes = 0;
        for step in 0..900 {
            let now = start + ms(step);
            for number in 0..1000 {
                repairs.request(now, number, ms(1));
            }
            assert!(repairs.waiting.len() <= MAX_WAITING);
            while let Some(packet) = repairs.take(now, 100_000.0) {
                bytes += wire_size(&packet);
            }
        }
        // 100 kbit/s for 0.9 s, and the burst.
        assert!(bytes as f64 <= 11_250.0 + 3125.0, "{bytes}");
        assert!(bytes > 9000, "{bytes}");
    }

    #[test]
    fn copies_follow_their_packets_within_their_rate_unless_they_were_asked_for() {
        let start = Instant::now();
        let mut repairs = repairs(start, 0..10);
        (0..10).for_each(|number| repairs.copy(start, &packet(number).header, 1));
        assert_eq!(repairs.take_copy(start + COPY_AFTER - ms(1), 4e6), None, "too soon");
        repairs.request(start + ms(2), 0, ROUND_TRIP);
        assert!(repairs.take(start + ms(2), 10e6).is_some());
        let first = repairs.take_copy(start + COPY_AFTER, 4e6).expect("a copy");
        assert_eq!(first.header.sequence_number, 1, "number 0 was asked for");
        assert_eq!(repairs.take_copy(start + COPY_AFTER, 4e6), None, "4 ms at 4 Mbit/s are not two packets");
        repairs.request(start + ms(20), 1, ROUND_TRIP);
        assert!(repairs.take(start + ms(20), 10e6).is_some(), "its copy may be lost too");
    }

    #[test]
    fn two_copies_follow_one_after_the_other() {
        let start = Instant::now();
        let mut repairs = rested(start, &packet(7));
        repairs.copy(start, &packet(7).header, 2);
        let left: Vec<u64> = (0..100).filter(|step| repairs.take_copy(start + ms(*step), 10e6).is_some()).collect();
        assert_eq!(left, [4, 8]);
    }

    #[test]
    fn the_last_packet_of_a_frame_has_one_copy_more() {
        let start = Instant::now();
        let mut last = packet(7);
        last.header.marker = true;
        let mut repairs = rested(start, &last);
        repairs.copy(start, &last.header, 2);
        let left: Vec<u64> = (0..100).filter(|step| repairs.take_copy(start + ms(*step), 10e6).is_some()).collect();
        assert_eq!(left, [4, 8, 12]);
    }

    #[test]
    fn a_retransmission_has_copies_as_well() {
        let start = Instant::now();
        let mut repairs = rested(start, &packet(7));
        repairs.copy(start, &packet(7).header, 2);
        repairs.request(start + ms(1), 7, ROUND_TRIP);
        assert!(repairs.take(start + ms(1), 10e6).is_some());
        repairs.copy(start + ms(1), &packet(7).header, 2);
        let left: Vec<u64> = (0..100).filter(|step| repairs.take_copy(start + ms(*step), 10e6).is_some()).collect();
        assert_eq!(left, [5, 9], "in place of those that were to follow before");
    }

    #[test]
    fn where_room_is_short_each_packet_has_one_copy_before_any_has_two() {
        let start = Instant::now();
        let mut repairs = Repairs::new(start);
        let mut copies = BTreeMap::<u16, u8>::new();
        // A frame of 5 packets every 40 ms for 4 s: 1 Mbit/s, and 1.3 Mbit/s of room for copies.
        for step in 0..4000 {
            let now = start + ms(step);
            if step % 40 == 0 {
                for number in (step / 8) as u16..(step / 8) as u16 + 5 {
                    repairs.sent(now, &packet(number));
                    repairs.copy(now, &packet(number).header, 2);
                }
            }
            while let Some(copy) = repairs.take_copy(now, 1.4e6) {
                *copies.entry(copy.header.sequence_number).or_default() += 1;
            }
        }
        let some = (50..490).filter(|number| copies.get(number).is_some_and(|count| *count >= 1)).count();
        let twice = (50..490).filter(|number| copies.get(number) == Some(&2)).count();
        assert_eq!(some, 440);
        assert!((80..220).contains(&twice), "{twice}");
    }

    #[test]
    fn unknown_old_and_overwritten_packets_are_not_sent() {
        let start = Instant::now();
        let mut repairs = repairs(start, [1, 2]);
        repairs.request(start, 3, ROUND_TRIP);
        repairs.sent(start, &packet(1 + KEPT as u16));
        repairs.request(start, 1, ROUND_TRIP);
        repairs.request(start + MAX_AGE + ms(1), 2, ROUND_TRIP);
        assert_eq!(repairs.take(start + ms(1), 1e6), None);
        repairs.request(start, 2, ROUND_TRIP);
        assert_eq!(repairs.take(start + MAX_AGE + ms(1), 1e6), None, "it waited too long");
    }
}
