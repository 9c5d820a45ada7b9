//! When each packet leaves, sans-IO: a leaky bucket over sound, retransmissions, video and padding.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rtc::rtp::{self, header::Extension};

use super::{repair::Repairs, wire_size};
use crate::link::estimate::{ProbeOrder, ProbeSpan, SendControl};

/// Packets of video that may wait: more than any frame has. The encoder is told to wait long before.
const MAX_WAITING: usize = 1024;
/// A padding packet is at most this large.
const MAX_PADDING: usize = 1100;
/// A probe has at least so many packets, if padding has a say in it.
const PROBE_PACKETS: usize = 10;
/// A probe begins at most so long after the last video: twice the longest interval of the ladder's frames.
const PROBE_AFTER_VIDEO: Duration = Duration::from_millis(300);
/// Bytes of a padding packet without filling.
const PADDING_BASE: usize = 12 + 4 + 4 + super::WIRE_OVERHEAD;
/// Filling is made of header extension elements that no section has negotiated, which receivers skip (RFC
/// 8285 section 4.2). RTP's own padding would do, but the crate writes at most 4 bytes of it.
const FILLING_ID: u8 = 14;
/// An element's bytes, its head included.
const FILLING_BYTES: usize = 17;
/// One-byte extension headers (RFC 8285 section 4.2).
const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// What was released a moment too early is made up for; a timer is not more exact.
const TIMER_STEP: Duration = Duration::from_micros(500);

/// What leaves.
#[derive(Debug)]
pub(in crate::link) enum Released {
    /// Video for the first time.
    Media(rtp::Packet),
    /// Video once more.
    Repair(rtp::Packet),
    /// Nothing but bytes.
    Padding(rtp::Packet),
}

/// A probe that is being sent.
#[derive(Clone, Copy, Debug)]
struct Probing {
    order: ProbeOrder,
    began: Instant,
    last: Instant,
    bytes: usize,
}

/// The queue of one link.
pub(in crate::link) struct SendQueue {
    control: SendControl,
    video: VecDeque<(rtp::Packet, usize)>,
    /// Bytes in `video`.
    waiting: usize,
    repairs: Repairs,
    /// Bytes in the bucket at `updated`.
    level: f64,
    updated: Instant,
    probing: Option<Probing>,
    /// Padding packets sent so far: video behind them has numbers so much higher.
    padded: u16,
    /// The last packet of video that left, and when.
    last: Option<rtp::header::Header>,
    last_at: Instant,
    /// Bits a second of sound and video, copies and repairs left out.
    media: f64,
}

/// The rate of media follows within about so many seconds.
const MEDIA_S: f64 = 1.0;
/// Copies fill the target up to this share.
const COPY_ROOM: f64 = 0.95;

impl SendQueue {
    pub(in crate::link) fn new(control: SendControl, now: Instant) -> Self {
        Self {
            control,
            video: VecDeque::new(),
            waiting: 0,
            repairs: Repairs::new(now),
            level: 0.0,
            updated: now,
            probing: None,
            padded: 0,
            last: None,
            last_at: now,
            media: 0.0,
        }
    }

    /// Takes a packet of video.
    pub(in crate::link) fn push(&mut self, now: Instant, packet: rtp::Packet) {
        self.drain(now);
        if self.video.len() < MAX_WAITING {
            let bytes = wire_size(&packet);
            self.waiting += bytes;
            self.video.push_back((packet, bytes));
        }
        self.tell_backlog();
    }

    /// A packet of `bytes` has passed without waiting.
    pub(in crate::link) fn passed(&mut self, now: Instant, bytes: usize) {
        self.drain(now);
        self.level += bytes as f64;
        self.media += bytes as f64 * 8.0 / MEDIA_S;
        self.control.lock().left(now);
        if let Some(probing) = &mut self.probing {
            probing.bytes += bytes;
        }
    }

    /// Video that was asked for again.
    pub(in crate::link) fn repair(&mut self, now: Instant, numbers: impl Iterator<Item = u16>) {
        let round_trip = self.control.lock().round_trip;
        for number in numbers {
            self.repairs.request(now, number, round_trip);
        }
    }

    /// The next packet that may leave at `now`.
    pub(in crate::link) fn release(&mut self, now: Instant) -> Option<Released> {
        self.drain(now);
        self.begin_probe(now);
        let due = self.due()?;
        if due > now + TIMER_STEP {
            return None;
        }
        let repair = self.control.lock().repair;
        if let Some(packet) = self.repairs.take(now, repair) {
            // What is asked for once must not have to be asked for twice.
            let copies = self.control.lock().copies;
            self.repairs.copy(now, &packet.header, copies);
            self.count(now, wire_size(&packet));
            return Some(Released::Repair(packet));
        }
        if let Some((mut packet, bytes)) = self.video.pop_front() {
            self.waiting -= bytes;
            packet.header.sequence_number = packet.header.sequence_number.wrapping_add(self.padded);
            (self.last, self.last_at) = (Some(packet.header.clone()), now);
            self.repairs.sent(now, &packet);
            self.media += bytes as f64 * 8.0 / MEDIA_S;
            let copies = self.control.lock().copies;
            self.repairs.copy(now, &packet.header, copies);
            self.count(now, bytes);
            self.tell_backlog();
            return Some(Released::Media(packet));
        }
        let room = (self.control.lock().target * COPY_ROOM - self.media).max(0.0);
        if let Some(packet) = self.repairs.take_copy(now, room) {
            self.count(now, wire_size(&packet));
            return Some(Released::Repair(packet));
        }
        let packet = self.padding()?;
        // Its number is missed where it gets lost, and a receiver that waits for it shows nothing: it is sent
        // again, unfilled.
        let header = rtp::header::Header { extension: false, extensions: Vec::new(), ..packet.header.clone() };
        self.repairs.sent(now, &rtp::Packet { header, payload: Bytes::new() });
        self.count(now, wire_size(&packet));
        Some(Released::Padding(packet))
    }

    /// When [`Self::release`] has something to give; none while nothing waits.
    pub(in crate::link) fn next_release(&self) -> Option<Instant> {
        self.due()
    }

    fn due(&self) -> Option<Instant> {
        let (repair, pace, burst) = {
            let control = self.control.lock();
            (control.repair, control.pace, control.burst)
        };
        if let Some(probing) = self.probing {
            let waits = !self.video.is_empty() || self.can_pad();
            let at = Duration::from_secs_f64(probing.bytes as f64 * 8.0 / probing.order.rate.max(1000.0));
            return waits.then(|| probing.began + at);
        }
        let over = (self.level - burst).max(0.0);
        let paced = self.updated + Duration::from_secs_f64((over * 8.0 / pace.max(1000.0)).min(10.0));
        let video = (!self.video.is_empty()).then_some(paced);
        let again = self.repairs.due(repair).into_iter().chain(self.repairs.copy_due()).min();
        video.into_iter().chain(again.map(|due| due.max(paced))).min()
    }

    fn begin_probe(&mut self, now: Instant) {
        // Without video there is nothing that padding could follow; and where a camera is off, no packet of
        // video is to come.
        let is_sending = self.last.is_some() && now.saturating_duration_since(self.last_at) < PROBE_AFTER_VIDEO;
        if self.probing.is_some() || !is_sending {
            return;
        }
        let Some(order) = self.control.lock().order.take() else { return };
        self.probing = Some(Probing { order, began: now, last: now, bytes: 0 });
    }

    fn count(&mut self, now: Instant, bytes: usize) {
        self.level += bytes as f64;
        self.control.lock().left(now);
        let Some(probing) = &mut self.probing else { return };
        probing.bytes += bytes;
        probing.last = now;
        if probing.bytes >= probing.order.bytes {
            let span = ProbeSpan { order: probing.order, began: probing.began, ended: now };
            self.control.lock().sent = Some(span);
            self.probing = None;
        }
    }

    /// Padding continues the numbers of video, so it must not come into the middle of a frame.
    fn can_pad(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.marker)
    }

    fn padding(&mut self) -> Option<rtp::Packet> {
        let probing = self.probing.filter(|_| self.can_pad())?;
        let last = self.last.as_mut()?;
        let bytes = (probing.order.bytes / PROBE_PACKETS).clamp(PADDING_BASE, MAX_PADDING);
        let elements = (bytes - PADDING_BASE) / FILLING_BYTES;
        let filling = Extension { id: FILLING_ID, payload: Bytes::from_static(&[0; FILLING_BYTES - 1]) };
        self.padded = self.padded.wrapping_add(1);
        last.sequence_number = last.sequence_number.wrapping_add(1);
        let header = rtp::header::Header {
            version: 2,
            padding: true,
            extension: elements > 0,
            extension_profile: ONE_BYTE_PROFILE,
            extensions: vec![filling; elements],
            marker: false,
            payload_type: last.payload_type,
            sequence_number: last.sequence_number,
            timestamp: last.timestamp,
            ssrc: last.ssrc,
            ..Default::default()
        };
        Some(rtp::Packet { header, payload: Bytes::new() })
    }

    fn drain(&mut self, now: Instant) {
        let pace = self.control.lock().pace;
        let passed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.level = (self.level - passed * pace / 8.0).max(0.0);
        self.media *= (-passed / MEDIA_S).exp();
        self.updated = self.updated.max(now);
    }

    fn tell_backlog(&self) {
        let mut control = self.control.lock();
        control.backlog = Duration::from_secs_f64((self.waiting as f64 * 8.0 / control.pace.max(1000.0)).min(60.0));
    }
}

#[cfg(test)]
mod tests {
    use rtc::shared::marshal::{Marshal, Unmarshal};

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn video(number: u16, marker: bool) -> rtp::Packet {
        let header = rtp::header::Header {
            version: 2,
            sequence_number: number,
            ssrc: 5,
            payload_type: 96,
            marker,
            ..Default::default()
        };
        rtp::Packet { header, payload: vec![1; 1000].into() }
    }

    /// What leaves from `start` on for `span`, by ms, with its number and kind.
    fn leaves(queue: &mut SendQueue, start: Instant, span: u64) -> Vec<(u64, u16, char)> {
        let mut left = vec![];
        for step in 0..span {
            while let Some(released) = queue.release(start + ms(step)) {
                left.push(match released {
                    Released::Media(packet) => (step, packet.header.sequence_number, 'm'),
                    Released::Repair(packet) => (step, packet.header.sequence_number, 'r'),
                    Released::Padding(packet) => (step, packet.header.sequence_number, 'p'),
                });
            }
        }
        left
    }

    fn queue(pace: f64, burst: f64) -> (SendQueue, SendControl, Instant) {
        let (control, now) = (SendControl::default(), Instant::now());
        {
            let mut control = control.lock();
            (control.pace, control.burst, control.repair) = (pace, burst, pace);
        }
        (SendQueue::new(control.clone(), now), control, now)
    }

    #[test]
    fn video_leaves_at_the_pace_and_sound_takes_from_it() {
        // A packet of 1058 bytes on the wire takes 10 ms.
        let (mut queue, _, start) = queue(1058.0 * 800.0, 0.0);
        (0..3).for_each(|number| queue.push(start, video(number, number == 2)));
        let times = |left: Vec<(u64, u16, char)>| left.into_iter().map(|(at, ..)| at).collect::<Vec<_>>();
        assert_eq!(times(leaves(&mut queue, start, 100)), [0, 10, 20]);
        let start = start + ms(1000);
        queue.passed(start, 1058);
        queue.push(start, video(3, true));
        assert_eq!(times(leaves(&mut queue, start, 100)), [10]);
    }

    #[test]
    fn a_burst_leaves_at_once() {
        let (mut queue, control, start) = queue(1e6, 5000.0);
        (0..4).for_each(|number| queue.push(start, video(number, number == 3)));
        assert!(control.lock().backlog > ms(30));
        assert!(leaves(&mut queue, start, 1).len() == 4);
        assert_eq!(control.lock().backlog, Duration::ZERO);
    }

    #[test]
    fn a_probe_fills_up_with_padding_behind_a_whole_frame_and_later_video_is_renumbered() {
        let (mut queue, control, start) = queue(1e6, 5000.0);
        control.lock().order = Some(ProbeOrder { rate: 2e6, bytes: 4000 });
        assert!(leaves(&mut queue, start, 20).is_empty(), "nothing that padding could follow");
        queue.push(start + ms(20), video(10, false));
        let begun = leaves(&mut queue, start + ms(20), 20);
        assert_eq!(begun, [(0, 10, 'm')], "not into the middle of a frame");
        queue.push(start + ms(40), video(11, true));
        let rest = leaves(&mut queue, start + ms(40), 40);
        let kinds: String = rest.iter().map(|(.., kind)| *kind).collect();
        assert!(kinds.starts_with("mp") && kinds.len() > 4, "{rest:?}");
        assert!(rest.iter().map(|(_, number, _)| *number).eq(11..11 + rest.len() as u16), "{rest:?}");
        let span = control.lock().sent.expect("the probe was sent");
        assert_eq!(span.order.rate, 2e6);
        let next = 11 + rest.len() as u16;
        queue.push(start + ms(100), video(12, true));
        assert_eq!(leaves(&mut queue, start + ms(100), 1), [(0, next, 'm')]);
    }

    #[test]
    fn padding_is_as_large_as_it_was_planned_and_a_receiver_reads_it_as_empty() {
        let (mut queue, control, start) = queue(1e6, 5000.0);
        queue.push(start, video(1, true));
        leaves(&mut queue, start, 1);
        control.lock().order = Some(ProbeOrder { rate: 5e6, bytes: 8000 });
        let mut sizes = vec![];
        for step in 0..50 {
            while let Some(released) = queue.release(start + ms(step)) {
                let Released::Padding(packet) = released else { panic!("{released:?}") };
                sizes.push(wire_size(&packet));
                let bytes = packet.marshal().expect("it can be written");
                let read = rtp::Packet::unmarshal(&mut bytes.as_ref()).expect("it can be read");
                assert!(read.payload.is_empty() && read.header.padding);
            }
        }
        assert!(sizes.iter().all(|size| (760..=800).contains(size)), "{sizes:?}");
        assert_eq!(sizes.len(), 11);
    }

    #[test]
    fn padding_that_was_lost_is_sent_again_without_its_filling() {
        let (mut queue, control, start) = queue(1e6, 5000.0);
        queue.push(start, video(1, true));
        leaves(&mut queue, start, 1);
        control.lock().order = Some(ProbeOrder { rate: 5e6, bytes: 8000 });
        assert!(leaves(&mut queue, start + ms(1), 50).contains(&(0, 2, 'p')));
        queue.repair(start + ms(100), [2].into_iter());
        let Some(Released::Repair(packet)) = queue.release(start + ms(100)) else { panic!("nothing is sent again") };
        assert_eq!(packet.header.sequence_number, 2);
        assert!(packet.header.padding && wire_size(&packet) < 100);
    }

    #[test]
    fn nothing_is_probed_while_no_video_is_sent() {
        let (mut queue, control, start) = queue(1e6, 5000.0);
        queue.push(start, video(1, true));
        leaves(&mut queue, start, 1);
        control.lock().order = Some(ProbeOrder { rate: 2e6, bytes: 4000 });
        assert_eq!(leaves(&mut queue, start + PROBE_AFTER_VIDEO, 3000), []);
    }

    #[test]
    fn a_retransmission_goes_before_new_video() {
        let (mut queue, _, start) = queue(1058.0 * 800.0, 0.0);
        queue.push(start, video(1, true));
        leaves(&mut queue, start, 1);
        queue.push(start + ms(20), video(2, true));
        queue.push(start + ms(20), video(3, true));
        queue.repair(start + ms(20), [1].into_iter());
        assert_eq!(leaves(&mut queue, start + ms(20), 40), [(0, 1, 'r'), (10, 2, 'm'), (20, 3, 'm')]);
    }
}
