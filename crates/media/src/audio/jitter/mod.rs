//! The jitter buffer of one stream: packets in whenever they come, 10 ms of sound out whenever it is asked for.
//!
//! ```text
//! insert -> admission (unwrap, probation) -> packets (ring by sequence number) -.
//!                 `-> delay (target)                                            |
//! pull   <- pcm (stretch towards the target) <- decoder <- decide (decode, restore, conceal, comfort)
//! ```
//!
//! Playout *trails* the network's fastest way by some time; that trail is what is steered towards the estimator's
//! target. It tells the delay exactly, unlike the filling of the buffer, which swings with packets, losses and silence.
//! Nothing here reads a clock or allocates after construction, so all of it may run inside an audio callback.

mod admission;
mod decide;
mod delay;
mod packets;
mod pcm;
mod stretch;

use std::time::{Duration, Instant};

use admission::{Admission, Header, Place, Verdict};
use decide::{Before, Next, Step, next_step};
use delay::{DelayEstimator, WindowMin};
use packets::{Inserted, Packets, Waiting};
use pcm::Pcm;
use stretch::{MAX_LAG, MIN_LAG, WINDOW, Wish};

use super::{
    FRAME_SAMPLES, Frame, SAMPLE_RATE,
    opus::{Decoder, OpusError},
};

/// Bounds of the delay that a [`JitterBuffer`] adds to the length of a packet. Within them it follows the network.
#[derive(Clone, Copy, Debug)]
pub struct JitterSettings {
    /// Delay on a perfect network. Playing takes 10 ms at once, so less than that leaves gaps.
    pub min_delay: Duration,
    /// Sound that would come later than this is dropped; at most 1 s.
    pub max_delay: Duration,
}

impl Default for JitterSettings {
    fn default() -> Self {
        // Over half a second people talk at the same time (ITU-T G.114 calls 400 ms one way the limit).
        Self { min_delay: Duration::from_millis(10), max_delay: Duration::from_millis(500) }
    }
}

/// An RTP packet of Opus as it came from the network.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The source (RFC 3550 section 5.1).
    pub ssrc: u32,
    /// Of the RTP header.
    pub sequence: u16,
    /// Of the RTP header, at 48 kHz.
    pub timestamp: u32,
    /// The Opus packet, of at most [`MAX_PACKET`](super::opus::MAX_PACKET) bytes.
    pub payload: &'a [u8],
    /// When it came, as near to the socket as possible.
    pub arrival: Instant,
}

/// What the frame from [`JitterBuffer::pull`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// The sender's sound.
    Sound,
    /// A guess at missing sound, at least at its end.
    Concealed,
    /// The sender is silent; this is its background noise.
    Comfort,
    /// Nothing came yet, or nothing for long.
    Silence,
}

/// What is being played, for lip sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Playing {
    /// The source.
    pub ssrc: u32,
    /// RTP timestamp of the first sample of the frame pulled last.
    pub timestamp: u32,
}

/// How the buffer is doing. Counts are totals since the buffer was made; samples are of 48 kHz.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JitterStats {
    /// Delay aimed at, from a packet's capture being complete to its first sample being played, in ms; a packet's own
    /// length is in it.
    pub target_ms: f32,
    /// Sound waiting, decoded or not, in ms.
    pub buffered_ms: f32,
    /// Samples played since the first packet.
    pub total_samples: u64,
    /// Of these, guesses at missing sound. Counted when a gap ends: only then loss can be told from the sender's silence.
    pub concealed_samples: u64,
    /// Samples left out by time-stretch.
    pub accelerated_samples: u64,
    /// Samples put in by time-stretch.
    pub decelerated_samples: u64,
    /// Packets not there when they were to be played, whether they came later or never.
    pub lost: u64,
    /// Of the lost ones, those that came later.
    pub late: u64,
    /// Of the lost ones, those restored from the packet after them.
    pub recovered: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets dropped because the delay had grown over its bound.
    pub dropped: u64,
    /// Packets that are too large, are not Opus, or seemed to be of another stream and were not confirmed.
    pub refused: u64,
    /// What is being played.
    pub playing: Option<Playing>,
}

/// Steps of the window in which the smallest trail counts: half a second in all, several periods of any sound device,
/// because a device that takes 20 ms at once needs the second half of it early.
const TRAIL_STEP: i64 = 1200;
/// The trail has to be known over this much playing, 100 ms, before sound is left out.
const TRAIL_KNOWN: i64 = 4800;
/// Over the target by this, 3 ms, sound is left out: the shortest jump that stays over the target.
const ACCELERATE_FROM: i64 = MIN_LAG as i64 + 24;
/// Under the target by this, 2.5 ms, sound is put in.
const DECELERATE_FROM: i64 = 120;
/// Sound between two jumps, 30 ms: closer ones are heard as roughness.
const STRETCH_SPACING: i64 = 1440;
/// A seam is good from this likeness on ...
const LIKENESS: f32 = 0.9;
/// ... but the further the delay is off target, the less matters; at 20 ms any seam is better than the delay.
const LIKENESS_IRRELEVANT: f32 = 960.0;

/// Concealment is believable for 100 ms; comfort noise as long as the sender refreshes it, which Opus does every 400 ms.
const CONCEAL_HOLD: i64 = 4800;
const COMFORT_HOLD: i64 = 2 * SAMPLE_RATE as i64;
/// After that both fade to silence, over 100 ms.
const FILL_FADE: i64 = 4800;
/// Sound after silence, and what is left of a stream that ends, fade over 5 ms, so that nothing clicks.
const CLICK_FADE: usize = 240;

/// An adaptive jitter buffer for one Opus stream at a time.
#[derive(Debug)]
pub struct JitterBuffer {
    /// The instant that counts as 0.
    epoch: Option<Instant>,
    admission: Admission,
    /// A packet that may be the first of another stream.
    suspect: Option<Waiting>,
    packets: Packets,
    estimator: DelayEstimator,
    decoder: Decoder,
    pcm: Pcm,
    /// Media time right after the last decoded sample.
    end: i64,
    before: Before,
    /// Samples of the present gap that were filled so far; they do not move `end`.
    filled: i64,
    /// The last thing in `pcm` is digital silence.
    silent: bool,
    trail: WindowMin,
    trail_known: i64,
    since_stretch: i64,
    stats: JitterStats,
}

impl JitterBuffer {
    /// An empty buffer. Everything it will ever need is allocated here.
    pub fn new(settings: JitterSettings) -> Result<Self, OpusError> {
        Ok(Self {
            epoch: None,
            admission: Admission::default(),
            suspect: None,
            packets: Packets::new(),
            estimator: DelayEstimator::new(settings),
            decoder: Decoder::new()?,
            pcm: Pcm::new(),
            end: 0,
            before: Before::Nothing,
            filled: 0,
            silent: true,
            trail: WindowMin::new(TRAIL_STEP),
            trail_known: 0,
            since_stretch: 0,
            stats: JitterStats::default(),
        })
    }

    /// Takes in a packet. Whatever is in it, nothing worse happens than that it is refused.
    pub fn insert(&mut self, packet: Packet<'_>) {
        let Packet { ssrc, sequence, timestamp, payload, arrival } = packet;
        let header = Header { ssrc, sequence, timestamp, arrival: self.samples_at(arrival) };
        let Some(mut waiting) = Waiting::new(header.arrival, payload) else {
            self.stats.refused += 1;
            return;
        };
        match self.admission.admit(&header) {
            Verdict::Start(place) => {
                waiting.place = place;
                self.restart(place);
                self.store(waiting);
            }
            Verdict::Belongs(place) => {
                waiting.place = place;
                self.store(waiting);
            }
            Verdict::Suspect(place) => {
                waiting.place = place;
                self.stats.refused += u64::from(self.suspect.replace(waiting).is_some());
            }
            Verdict::Switch(place) => {
                waiting.place = place;
                let first = self.suspect.take();
                self.restart(first.as_ref().map_or(place, |first| first.place));
                first.into_iter().chain([waiting]).for_each(|packet| self.store(packet));
            }
        }
    }

    /// Plays 10 ms into `out`, all of it, as they have to sound at `now`.
    pub fn pull(&mut self, out: &mut Frame, now: Instant) -> Pulled {
        if self.admission.ssrc().is_none() {
            out.fill(0.0);
            return Pulled::Silence;
        }
        let now = self.samples_at(now);
        self.drop_stale(now);
        while self.pcm.available() < FRAME_SAMPLES {
            self.extend(now);
        }
        self.approach_target(now);
        self.stats.playing = self.playing();
        self.pcm.take(out);
        self.stats.total_samples += FRAME_SAMPLES as u64;
        match self.before {
            _ if self.silent => Pulled::Silence,
            Before::Nothing => Pulled::Silence,
            Before::Silence => Pulled::Comfort,
            Before::Sound if self.filled > 0 => Pulled::Concealed,
            Before::Sound => Pulled::Sound,
        }
    }

    /// How it is doing.
    pub fn stats(&self) -> JitterStats {
        JitterStats {
            target_ms: to_ms(self.estimator.target()),
            buffered_ms: to_ms(self.pcm.available() as i64 + self.packets.span()),
            ..self.stats
        }
    }

    fn samples_at(&mut self, instant: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(instant);
        let samples = |d: Duration| i64::try_from(d.as_micros() * 48 / 1000).unwrap_or(i64::MAX / 4);
        match instant.checked_duration_since(epoch) {
            Some(after) => samples(after),
            None => -samples(epoch.duration_since(instant)),
        }
    }

    fn playing(&self) -> Option<Playing> {
        let ssrc = self.admission.ssrc().filter(|_| self.before != Before::Nothing)?;
        // While a gap is filled the sender's time goes on.
        let timestamp = self.end + self.filled - self.pcm.available() as i64;
        Some(Playing { ssrc, timestamp: timestamp as u32 })
    }

    /// Another stream or another timeline, from `first` on.
    fn restart(&mut self, first: Place) {
        self.end_gap(0, false);
        self.packets.restart(first.sequence);
        self.estimator.restart_timeline();
        self.pcm.fade_out(CLICK_FADE);
        // A decoder that cannot be reset goes on with the old state: a moment of wrong sound, no more.
        let _ = self.decoder.reset();
        self.end = first.timestamp;
        self.before = Before::Nothing;
        self.silent = true;
    }

    fn store(&mut self, packet: Waiting) {
        let (arrival, timestamp, length, fec) = (packet.arrival, packet.place.timestamp, packet.length, packet.fec > 0);
        match self.packets.insert(packet) {
            Inserted::Duplicate => self.stats.duplicates += 1,
            inserted => {
                self.stats.late += u64::from(inserted == Inserted::Late);
                self.estimator.packet_arrived(arrival, timestamp, length, fec);
            }
        }
    }

    /// How far what is appended next would trail, if it had media time `timestamp`.
    fn trail_of(&self, timestamp: i64, now: i64) -> i64 {
        now + self.pcm.available() as i64 - self.estimator.base() - timestamp
    }

    /// Jumps to where playout should be if it has fallen behind beyond all bounds, as after a stall of the device.
    fn drop_stale(&mut self, now: i64) {
        let limit = self.estimator.limit();
        if self.first_trail(now) <= limit && self.packets.span() <= limit {
            return;
        }
        while self.packets.len() > 1 && (self.first_trail(now) > self.estimator.target() || self.packets.span() > limit)
        {
            self.packets.skip_missing();
            self.packets.take();
            self.stats.dropped += 1;
        }
        self.packets.skip_missing();
        if let Some((first, _)) = self.packets.first() {
            self.end = first.place.timestamp;
        }
        self.end_gap(0, false);
    }

    /// How far the first waiting packet would trail, if it were appended next.
    fn first_trail(&self, now: i64) -> i64 {
        self.packets.first().map_or(0, |(first, _)| self.trail_of(first.place.timestamp, now))
    }

    /// Appends the next piece of sound, whatever it has to be.
    fn extend(&mut self, now: i64) {
        let next = self.packets.first().map(|(first, missing)| Next {
            missing,
            gap: first.place.timestamp - self.end,
            fec: first.fec,
            wait: self.estimator.target() - self.trail_of(first.place.timestamp, now),
        });
        match next_step(self.before, self.filled, next) {
            Step::Decode => self.decode(),
            Step::Restore => self.restore(),
            Step::Fill(samples) => self.fill(samples),
        }
    }

    fn decode(&mut self) {
        let Some((first, missing)) = self.packets.first() else { return };
        let paused = missing == 0 && first.place.timestamp > self.end;
        self.end_gap(missing, paused);
        self.packets.skip_missing();
        let Some(packet) = self.packets.take() else { return };
        let length = usize::try_from(packet.length).unwrap_or(0);
        let (decoder, stats, fade_in) = (&mut self.decoder, &mut self.stats, self.silent);
        self.pcm.append(|space| {
            let decoded = decoder.decode(packet.payload(), space).unwrap_or_else(|_| {
                stats.lost += 1;
                stats.concealed_samples += length as u64;
                conceal(decoder, space.get_mut(..length).unwrap_or_default())
            });
            if fade_in {
                space.iter_mut().take(CLICK_FADE).zip(0..).for_each(|(s, i)| *s *= i as f32 / CLICK_FADE as f32);
            }
            decoded
        });
        self.estimator.packet_played();
        self.end = packet.end();
        self.before = if packet.is_dtx() { Before::Silence } else { Before::Sound };
        self.silent = false;
    }

    /// Appends what the first waiting packet repeats of the one before it.
    fn restore(&mut self) {
        let Some((first, missing)) = self.packets.first() else { return };
        let (decoder, length) = (&mut self.decoder, usize::try_from(first.fec).unwrap_or(0));
        self.pcm.append(|space| {
            let space = space.get_mut(..length).unwrap_or_default();
            decoder.decode_fec(first.payload(), space).unwrap_or_else(|_| conceal(decoder, space))
        });
        self.end = first.place.timestamp;
        self.end_gap(missing, false);
        self.packets.skip_missing();
        self.stats.recovered += 1;
        self.silent = false;
    }

    /// Appends `samples` in place of sound that is not there.
    fn fill(&mut self, samples: usize) {
        let hold = match self.before {
            Before::Nothing => -FILL_FADE,
            Before::Sound => CONCEAL_HOLD,
            Before::Silence => COMFORT_HOLD,
        };
        let gain = |filled: i64| (1.0 - (filled - hold) as f32 / FILL_FADE as f32).clamp(0.0, 1.0);
        let (from, to) = (gain(self.filled), gain(self.filled + samples as i64));
        let decoder = &mut self.decoder;
        self.pcm.append(|space| {
            let space = space.get_mut(..samples).unwrap_or_default();
            if from > 0.0 {
                conceal(decoder, space);
                let step = (to - from) / samples as f32;
                space.iter_mut().zip(0..).for_each(|(s, i)| *s *= from + i as f32 * step);
            } else {
                space.fill(0.0);
            }
            samples
        });
        self.filled += samples as i64;
        self.silent = to == 0.0;
    }

    /// What was filled in can be told apart now: loss, or a pause of the sender.
    fn end_gap(&mut self, missing: u32, paused: bool) {
        if self.filled > 0 {
            if self.before == Before::Sound && !paused {
                self.stats.concealed_samples += self.filled as u64;
            }
            self.filled = 0;
            self.trail.clear();
            self.trail_known = 0;
        }
        if missing > 0 {
            self.stats.lost += u64::from(missing);
            self.estimator.packets_lost(missing);
        }
    }

    /// Stretches what comes next if playout trails by more or less than it should.
    fn approach_target(&mut self, now: i64) {
        self.since_stretch += FRAME_SAMPLES as i64;
        if self.filled > 0 || self.before == Before::Nothing {
            return;
        }
        self.trail_known += FRAME_SAMPLES as i64;
        self.trail.insert(now, self.trail_of(self.end, now));
        let excess = self.trail.min().unwrap_or(0) - self.estimator.target();
        if self.since_stretch < STRETCH_SPACING {
            return;
        }
        let wish = Wish {
            samples: usize::try_from(excess.abs()).unwrap_or(0),
            likeness: LIKENESS * (1.0 - excess.abs() as f32 / LIKENESS_IRRELEVANT).max(-1.0),
        };
        let moved = if excess >= ACCELERATE_FROM && self.trail_known >= TRAIL_KNOWN {
            self.decode_ahead();
            let lag = self.pcm.accelerate(wish);
            self.stats.accelerated_samples += lag as u64;
            -(lag as i64)
        } else if excess <= -DECELERATE_FROM {
            let lag = self.pcm.decelerate(wish);
            self.stats.decelerated_samples += lag as u64;
            lag as i64
        } else {
            0
        };
        if moved != 0 {
            self.trail.shift(moved);
            self.since_stretch = 0;
        }
    }

    /// Decodes what follows without a gap, as far as a jump ahead wants to see.
    fn decode_ahead(&mut self) {
        while self.pcm.available() < WINDOW + MAX_LAG
            && let Some((first, 0)) = self.packets.first()
            && first.place.timestamp == self.end
        {
            self.decode();
        }
    }
}

/// Fills `space`, a multiple of 2.5 ms, with concealment, or with silence should the decoder refuse.
fn conceal(decoder: &mut Decoder, space: &mut [f32]) -> usize {
    if decoder.conceal(space).is_err() {
        space.fill(0.0);
    }
    space.len()
}

fn to_ms(samples: i64) -> f32 {
    samples as f32 / (SAMPLE_RATE / 1000) as f32
}

#[cfg(test)]
mod tests;
