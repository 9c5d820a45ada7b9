//! From video packets as they come to whole, decodable frames in order: reorder buffer, NACK, key-frame
//! requests.
//!
//! Sans-IO: packets and time go in by [`VideoReceiver::insert`] and [`VideoReceiver::handle_timeout`];
//! frames, NACKs and key-frame requests come out of [`VideoReceiver::poll_output`];
//! [`VideoReceiver::next_deadline`] says when to come back.
//!
//! What leaves is decodable: a frame goes out only if every frame since the last key frame went out before
//! it. A hole is first asked for again (NACK, RFC 4585 section 6.2.1); when that cannot be hoped to work any
//! more, a key frame is asked for (PLI, section 6.3.1) and everything up to it is dropped. A hole between two
//! frames whose numbers follow each other was padding, and is stepped over: libwebrtc does not send padding
//! again.
//!
//! ```text
//!             first packet of a key frame
//! AwaitingKey ───────────────────────────▶ Flowing
//!      ▲                                     │
//!      └─────────────────────────────────────┘
//!        a hole too old, too wide, or past the buffer
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use super::{
    clock::SequenceUnwrapper,
    vp8::{Descriptor, PictureId},
};

/// A packet this late is asked for: long enough that the ordinary reordering of two queues on one path costs
/// no NACK. Where packets are seen to come later than this by themselves, as much later is waited for.
const REORDER_TOLERANCE: Duration = Duration::from_millis(5);
/// No packet is waited for longer before it is asked for.
const MAX_REORDER_TOLERANCE: Duration = Duration::from_millis(100);
/// Of the lateness that was seen, this share is left after a second without any.
const LATENESS_KEPT: f64 = 0.8;
/// What is late by less than this share of the round trip was on its way all the time. (Later ones may have
/// been sent again, and not only because we asked: libwebrtc sends again what transport-wide feedback shows
/// to be lost, and fills its probes with what it sent before.)
const TOO_SOON: f64 = 0.9;
/// Between two rounds of asking for one packet: a round trip and a little, but never less than this.
const MIN_NACK_INTERVAL: Duration = Duration::from_millis(20);
/// Over a long path a round is this many NACKs, so that one more loss on either way does not cost a whole
/// further round trip: at 5 % loss both ways a single NACK fails once in ten, three once in a thousand.
const NACKS_PER_ROUND: u32 = 3;
/// Pauses before the second NACK of a round and before the third. Few packets travel back to the sender, so a
/// burst of four lost packets lasts some 30 ms there.
const NACK_SPACING: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(24)];
/// A path is long from here on: under this a further round is not seen.
const LONG_ROUND_TRIP: Duration = Duration::from_millis(40);
/// More packets missing than this at once: congestion, where asking thrice would feed it.
const SCATTERED_LOSS: usize = 24;
/// A hole is given up after so many round trips of asking...
const GIVE_UP_ROUND_TRIPS: u32 = 4;
/// ...plus this: at 50 ms one way and 5 % loss either way, a packet is still missing after four tries once in
/// 10^4.
const GIVE_UP_EXTRA: Duration = Duration::from_millis(60);
/// Waiting longer than this freezes the picture longer than a key frame takes.
const GIVE_UP_MAX: Duration = Duration::from_millis(800);
/// Round trip assumed before the first measurement.
const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(100);
/// While waiting for a key frame, ask again after a round trip, but never more often: a key frame is ten
/// times the size of another, and asking faster than it can come makes the loss worse.
const MIN_KEY_REQUEST_INTERVAL: Duration = Duration::from_millis(200);
/// Packets held back for order: 1.5 s of 6 Mbit/s. What is beyond is a hole that will not be mended.
const MAX_BUFFERED: usize = 1024;
/// More packets missing at once than this is an outage, not loss: asking for each would only feed it.
const MAX_MISSING: usize = 256;
/// A VP8 frame larger than this is not one of a call.
const MAX_FRAME_BYTES: usize = 4 << 20;

/// One video packet, without its RTP header.
#[derive(Clone, Debug)]
pub struct VideoPacket {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
    /// The marker bit: last packet of its frame (RFC 7741 section 4.1).
    pub marker: bool,
    /// Payload descriptor and VP8 bytes; empty for padding.
    pub payload: Bytes,
    /// It is a retransmission, so its late arrival says nothing about reordering.
    pub repeated: bool,
}

/// A whole VP8 frame, decodable after all that left before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
    /// Whether it is a key frame.
    pub key: bool,
    /// The VP8 bytes.
    pub data: Bytes,
}

/// What the receiver wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveOutput {
    /// A frame, in order.
    Frame(ReceivedFrame),
    /// Ask the sender for these packets again.
    Nack(Vec<u16>),
    /// Ask the sender for a key frame.
    RequestKeyFrame,
}

/// Totals since the stream began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveStats {
    /// Packets taken, late and repeated ones left out.
    pub packets: u64,
    /// Payload bytes in them.
    pub bytes: u64,
    /// Packets that did not come in time for use, whatever was done.
    pub lost: u64,
    /// Packets that came after they were asked for again.
    pub recovered: u64,
    /// Packets that came twice or too late.
    pub discarded: u64,
    /// Frames given out.
    pub frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// NACK messages written.
    pub nacks: u64,
    /// Key-frame requests written.
    pub key_requests: u64,
}

impl std::ops::Add for ReceiveStats {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            lost: self.lost + other.lost,
            recovered: self.recovered + other.recovered,
            discarded: self.discarded + other.discarded,
            frames: self.frames + other.frames,
            key_frames: self.key_frames + other.key_frames,
            nacks: self.nacks + other.nacks,
            key_requests: self.key_requests + other.key_requests,
        }
    }
}

/// How late packets come that were overtaken, not lost.
#[derive(Clone, Copy, Debug, Default)]
struct Lateness {
    seen: Duration,
    at: Option<Instant>,
}

impl Lateness {
    fn saw(&mut self, now: Instant, late: Duration) {
        self.seen = self.now(now).max(late);
        self.at = Some(now);
    }

    fn now(&self, now: Instant) -> Duration {
        let age = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.seen.mul_f64(LATENESS_KEPT.powf(age.as_secs_f64()))
    }

    /// How long a missing packet may still be on its way.
    fn tolerance(&self, now: Instant) -> Duration {
        self.now(now).mul_f64(1.2).clamp(REORDER_TOLERANCE, MAX_REORDER_TOLERANCE)
    }
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Instant,
    /// When this round of asking began.
    round: Instant,
    /// When it was asked for last.
    asked: Option<Instant>,
    times: u32,
}

/// The reorder buffer of one video stream.
#[derive(Debug)]
pub struct VideoReceiver {
    unwrapper: SequenceUnwrapper,
    /// The packet that continues the stream. None while awaiting a key frame.
    next: Option<i64>,
    /// The number of the frame that was given out last.
    picture: Option<PictureId>,
    /// Everything below is settled: given out or given up.
    floor: Option<i64>,
    highest: Option<i64>,
    buffer: BTreeMap<i64, VideoPacket>,
    missing: BTreeMap<i64, Missing>,
    /// When to ask for a key frame, while awaiting one.
    key_due: Option<Instant>,
    key_requested: Option<Instant>,
    round_trip: Duration,
    lateness: Lateness,
    outputs: VecDeque<ReceiveOutput>,
    stats: ReceiveStats,
}

impl Default for VideoReceiver {
    fn default() -> Self {
        Self {
            unwrapper: SequenceUnwrapper::default(),
            next: None,
            picture: None,
            floor: None,
            highest: None,
            buffer: BTreeMap::new(),
            missing: BTreeMap::new(),
            key_due: None,
            key_requested: None,
            round_trip: INITIAL_ROUND_TRIP,
            lateness: Lateness::default(),
            outputs: VecDeque::new(),
            stats: ReceiveStats::default(),
        }
    }
}

impl VideoReceiver {
    /// The newest measurement, on which waiting depends.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Totals.
    pub fn stats(&self) -> ReceiveStats {
        self.stats
    }

    /// Takes a packet that arrived at `now`.
    pub fn insert(&mut self, now: Instant, packet: VideoPacket) {
        let sequence = self.unwrapper.unwrap(packet.sequence);
        if self.floor.is_some_and(|floor| sequence < floor) || self.buffer.contains_key(&sequence) {
            self.stats.discarded += 1;
            self.handle_timeout(now);
            return;
        }
        if self.highest.is_none() {
            // The packets of the first key frame may come in any order.
            self.key_due = Some(now + REORDER_TOLERANCE);
        }
        self.note_arrival(now, sequence, packet.repeated);
        // Padding keeps the numbers together, and is no video.
        self.stats.packets += u64::from(!packet.payload.is_empty());
        self.stats.bytes += packet.payload.len() as u64;
        self.buffer.insert(sequence, packet);
        if self.buffer.len() > MAX_BUFFERED || self.missing.len() > MAX_MISSING {
            self.give_up(now);
        }
        self.advance(now);
        self.handle_timeout(now);
    }

    /// Time has passed: asks again for what is missing, gives up what is hopeless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let patience = self.patience();
        if self.missing.values().next().is_some_and(|oldest| now.saturating_duration_since(oldest.since) >= patience) {
            self.give_up(now);
            self.advance(now);
        }
        self.ask_again(now);
        if self.key_due.is_some_and(|due| due <= now) {
            self.key_requested = Some(now);
            self.key_due = Some(now + self.key_request_interval());
            self.stats.key_requests += 1;
            self.outputs.push_back(ReceiveOutput::RequestKeyFrame);
        }
    }

    /// Whoever gets the frames cannot go on without a key frame: asks for one, as often as is reasonable.
    pub fn want_key_frame(&mut self, now: Instant) {
        if self.key_due.is_none() {
            self.key_due = Some(self.key_request_allowed(now));
        }
        self.handle_timeout(now);
    }

    /// What to do now, if anything.
    pub fn poll_output(&mut self) -> Option<ReceiveOutput> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let asking = self.missing.values().map(|missing| self.due(missing)).min();
        let hopeless = self.missing.values().next().map(|oldest| oldest.since + self.patience());
        [asking, hopeless, self.key_due].into_iter().flatten().min()
    }

    /// Keeps the list of missing packets up to date with the arrival of `sequence`.
    fn note_arrival(&mut self, now: Instant, sequence: i64, repeated: bool) {
        match self.highest {
            Some(highest) if sequence > highest => {
                // A jump wider than the buffer is a new stream for all that matters; do not list it packet by
                // packet.
                let first = (highest + 1).max(sequence - MAX_BUFFERED as i64);
                for hole in first..sequence {
                    self.missing.insert(hole, Missing { since: now, round: now, asked: None, times: 0 });
                }
                self.highest = Some(sequence);
            }
            Some(_) => {
                let Some(missing) = self.missing.remove(&sequence) else { return };
                self.stats.recovered += u64::from(missing.asked.is_some());
                let late = now.saturating_duration_since(missing.since);
                if !repeated && late < self.round_trip.mul_f64(TOO_SOON) {
                    self.lateness.saw(now, late);
                }
            }
            None => self.highest = Some(sequence),
        }
    }

    /// Gives out every frame that is whole and in turn.
    fn advance(&mut self, now: Instant) {
        loop {
            let next = match self.next {
                Some(next) => next,
                None => {
                    let Some(start) = self.newest_whole_key_frame().or_else(|| self.newest_key_frame_start()) else {
                        return;
                    };
                    self.continue_at(start);
                    self.key_due = None;
                    start
                }
            };
            match self.frame_at(next) {
                FrameAt::Whole { end, key } => self.give_out(next, end, key),
                FrameAt::Padding => self.continue_at(next + 1),
                FrameAt::Broken => {
                    // The sender lost the thread: frames of other shapes than RFC 7741 allows.
                    self.settle_below(next + 1);
                    self.await_key_frame(now);
                }
                FrameAt::Incomplete => {
                    if let Some(start) = self.behind_padding(next) {
                        // Nothing was lost there.
                        self.missing = self.missing.split_off(&start);
                        self.continue_at(start);
                        continue;
                    }
                    // A whole key frame behind the hole makes the hole irrelevant.
                    match self.newest_whole_key_frame() {
                        Some(start) if start > next => self.continue_at(start),
                        Some(_) | None => return,
                    }
                }
            }
        }
    }

    /// What stands in the buffer from `start` on.
    fn frame_at(&self, start: i64) -> FrameAt {
        let Some(first) = self.buffer.get(&start) else { return FrameAt::Incomplete };
        if first.payload.is_empty() {
            return FrameAt::Padding;
        }
        let Some(descriptor) = Descriptor::parse(&first.payload) else { return FrameAt::Broken };
        if !descriptor.starts_frame {
            return FrameAt::Broken;
        }
        let key = descriptor.starts_key_frame(&first.payload);
        let mut bytes = 0;
        for sequence in start.. {
            let Some(packet) = self.buffer.get(&sequence) else { return FrameAt::Incomplete };
            bytes += packet.payload.len();
            let continues = packet.timestamp == first.timestamp
                && bytes <= MAX_FRAME_BYTES
                && Descriptor::parse(&packet.payload).is_some_and(|d| sequence == start || !d.starts_frame);
            if !continues {
                return FrameAt::Broken;
            }
            if packet.marker {
                return FrameAt::Whole { end: sequence, key };
            }
        }
        FrameAt::Incomplete
    }

    /// The start of the next frame, if there is a hole before it that was nothing but padding.
    fn behind_padding(&self, next: i64) -> Option<i64> {
        if self.buffer.contains_key(&next) {
            return None;
        }
        let (start, first) = self.buffer.range(next..).find(|(_, packet)| !packet.payload.is_empty())?;
        let descriptor = Descriptor::parse(&first.payload).filter(|descriptor| descriptor.starts_frame)?;
        descriptor.picture?.follows(self.picture?).then_some(*start)
    }

    fn newest_whole_key_frame(&self) -> Option<i64> {
        self.key_frame_starts().find(|start| matches!(self.frame_at(*start), FrameAt::Whole { .. }))
    }

    fn newest_key_frame_start(&self) -> Option<i64> {
        self.key_frame_starts().next()
    }

    /// Newest first.
    fn key_frame_starts(&self) -> impl Iterator<Item = i64> + '_ {
        let starts_key = |packet: &VideoPacket| {
            Descriptor::parse(&packet.payload).is_some_and(|d| d.starts_key_frame(&packet.payload))
        };
        self.buffer.iter().rev().filter(move |(_, packet)| starts_key(packet)).map(|(sequence, _)| *sequence)
    }

    fn give_out(&mut self, start: i64, end: i64, key: bool) {
        let packets = self.buffer.range(start..=end).map(|(_, packet)| packet);
        let timestamp = packets.clone().next().map_or(0, |packet| packet.timestamp);
        let descriptor = packets.clone().next().and_then(|first| Descriptor::parse(&first.payload));
        self.picture = descriptor.and_then(|descriptor| descriptor.picture);
        let mut data = BytesMut::with_capacity(packets.clone().map(|packet| packet.payload.len()).sum());
        for packet in packets {
            if let Some(vp8) = Descriptor::parse(&packet.payload).and_then(|d| packet.payload.get(d.len..)) {
                data.extend_from_slice(vp8);
            }
        }
        self.stats.frames += 1;
        self.stats.key_frames += u64::from(key);
        if key {
            self.key_due = None;
        }
        self.outputs.push_back(ReceiveOutput::Frame(ReceivedFrame { timestamp, key, data: data.freeze() }));
        self.continue_at(end + 1);
    }

    fn continue_at(&mut self, next: i64) {
        self.settle_below(next);
        self.next = Some(next);
    }

    /// Nothing can be shown before the next key frame: asks for it now, or as soon as the rate limit allows.
    fn await_key_frame(&mut self, now: Instant) {
        self.next = None;
        let allowed = self.key_request_allowed(now);
        self.key_due = Some(self.key_due.map_or(allowed, |due| due.min(allowed)));
    }

    fn key_request_allowed(&self, now: Instant) -> Instant {
        self.key_requested.map_or(now, |at| (at + self.key_request_interval()).max(now))
    }

    /// Forgets everything below `floor`; what is still missing there is lost.
    fn settle_below(&mut self, floor: i64) {
        self.buffer = self.buffer.split_off(&floor);
        let still_missing = self.missing.split_off(&floor);
        self.stats.lost += self.missing.len() as u64;
        self.missing = still_missing;
        self.floor = Some(self.floor.map_or(floor, |old| old.max(floor)));
    }

    /// The oldest hole will not be mended: on to the next key frame.
    fn give_up(&mut self, now: Instant) {
        // Keep what follows the last hole: it may be the key frame that is on its way already.
        let floor = self.missing.keys().next_back().map_or(0, |last| last + 1);
        self.settle_below(floor.max(self.highest.unwrap_or(0) - MAX_BUFFERED as i64 / 2));
        self.await_key_frame(now);
    }

    fn ask_again(&mut self, now: Instant) {
        let due: Vec<i64> = self
            .missing
            .iter()
            .filter(|(_, missing)| self.due(missing) <= now)
            .map(|(sequence, _)| *sequence)
            .collect();
        if due.is_empty() {
            return;
        }
        let repeatedly = self.asks_repeatedly();
        for sequence in &due {
            if let Some(missing) = self.missing.get_mut(sequence) {
                if missing.times.is_multiple_of(NACKS_PER_ROUND) || !repeatedly {
                    missing.round = now;
                }
                missing.asked = Some(now);
                missing.times += 1;
            }
        }
        self.stats.nacks += 1;
        self.outputs.push_back(ReceiveOutput::Nack(due.into_iter().map(|sequence| sequence as u16).collect()));
    }

    fn due(&self, missing: &Missing) -> Instant {
        match missing.asked {
            None => missing.since + self.lateness.tolerance(missing.since),
            Some(asked) => match missing.times % NACKS_PER_ROUND {
                1 if self.asks_repeatedly() => asked + NACK_SPACING[0],
                2 if self.asks_repeatedly() => asked + NACK_SPACING[1],
                _ => {
                    let interval = (self.round_trip + REORDER_TOLERANCE).max(MIN_NACK_INTERVAL);
                    (missing.round + interval).max(asked + NACK_SPACING[0])
                }
            },
        }
    }

    fn asks_repeatedly(&self) -> bool {
        self.round_trip >= LONG_ROUND_TRIP && self.missing.len() <= SCATTERED_LOSS
    }

    fn patience(&self) -> Duration {
        (self.round_trip * GIVE_UP_ROUND_TRIPS + GIVE_UP_EXTRA).min(GIVE_UP_MAX)
    }

    fn key_request_interval(&self) -> Duration {
        (self.round_trip * 3 / 2).max(MIN_KEY_REQUEST_INTERVAL)
    }
}

enum FrameAt {
    Whole { end: i64, key: bool },
    Padding,
    Incomplete,
    Broken,
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
