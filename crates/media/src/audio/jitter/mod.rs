//! The jitter buffer of one stream: packets in whenever they come, 10 ms of sound out whenever it is asked
//! for.
//!
//! ```text
//! insert -> admission (unwrap, probation) -> packets (ring by sequence number) -.
//!                 `-> delay (target)                                            |
//! pull  <- pcm (stretch towards the target) <- decoder <- decide (decode, restore, revive, conceal, comfort)
//! ```
//!
//! Playout *trails* the network's fastest way by some time; that trail is what is steered towards the
//! estimator's target. It tells the delay exactly, unlike the filling of the buffer, which swings with
//! packets, losses and silence. Nothing here reads a clock or allocates after construction, so all of it may
//! run inside an audio callback.

mod admission;
mod calm;
mod decide;
mod delay;
mod fuzz;
mod packets;
mod pcm;
mod report;
mod steer;
mod stretch;

use std::time::{Duration, Instant};

use admission::{Admission, Header, Place, Verdict};
use decide::{Before, Next, Step, next_step};
use delay::DelayEstimator;
pub use fuzz::fuzz;
use packets::{Inserted, Packets, Waiting};
use pcm::Pcm;
pub use report::{JitterStats, Playing, Pulled};
use steer::{Correction, Steering};
use stretch::{MAX_LAG, WINDOW};

use super::{
    FRAME_SAMPLES, Frame, SAMPLE_RATE,
    opus::{Decoder, OpusError},
};

/// Bounds of the delay that a [`JitterBuffer`] adds to the length of a packet. Within them it follows the
/// network.
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
    /// It came once more within a later packet (RFC 2198), and is of use only if it did not come by itself.
    pub redundant: bool,
}

/// Concealment is believable for 100 ms; comfort noise as long as the sender refreshes it, which Opus does
/// every 400 ms.
const CONCEAL_HOLD: i64 = 4800;
const COMFORT_HOLD: i64 = 2 * SAMPLE_RATE as i64;
/// After that both fade to silence, over 100 ms.
const FILL_FADE: i64 = 4800;
/// The network that revives sound begins with what is before the gap, 20 ms and the step in which it is
/// described, 40 ms.
const DRED_LEAD: usize = 2880;
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
    /// Samples of the present gap that were restored from what a later packet says of them; they do.
    restored: i64,
    /// Packets in a row until now that did not come by themselves.
    lost_run: u32,
    /// Sequence number of the packet whose description the decoder holds.
    described_by: Option<i64>,
    /// The last thing in `pcm` is digital silence.
    silent: bool,
    steering: Steering,
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
            restored: 0,
            lost_run: 0,
            described_by: None,
            silent: true,
            steering: Steering::new(),
            stats: JitterStats::default(),
        })
    }

    /// Takes in a packet. Whatever is in it, nothing worse happens than that it is refused.
    pub fn insert(&mut self, packet: Packet<'_>) {
        let Packet { ssrc, sequence, timestamp, payload, arrival, redundant } = packet;
        let header = Header { ssrc, sequence, timestamp, arrival: self.samples_at(arrival) };
        let Some(mut waiting) = Waiting::new(header.arrival, payload) else {
            self.stats.refused += 1;
            return;
        };
        waiting.dred = self.decoder.dred_span(payload);
        if redundant {
            if let Some(place) = self.admission.place(&header) {
                (waiting.place, waiting.redundant) = (place, true);
                self.packets.insert(waiting);
                let newest = self.admission.newest().map_or(place.timestamp, |newest| newest.timestamp);
                self.estimator.redundancy_seen(newest - place.timestamp);
            }
            return;
        }
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

    /// Trails by so many samples more than the network asks for.
    pub fn set_extra_delay(&mut self, samples: i64) {
        self.estimator.set_extra(samples);
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
        (self.restored, self.lost_run, self.described_by) = (0, 0, None);
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
        let (arrival, timestamp, length) = (packet.arrival, packet.place.timestamp, packet.length);
        let reach = packet.fec.max(packet.dred.from as i64);
        match self.packets.insert(packet) {
            Inserted::Duplicate => self.stats.duplicates += 1,
            inserted => {
                self.stats.late += u64::from(inserted == Inserted::Late);
                self.estimator.packet_arrived(arrival, timestamp, length, reach);
            }
        }
    }

    /// How far what is appended next would trail, if it had media time `timestamp`.
    fn trail_of(&self, timestamp: i64, now: i64) -> i64 {
        now + self.pcm.available() as i64 - self.estimator.base() - timestamp
    }

    /// Jumps to where playout should be if it has fallen behind beyond all bounds, as after a stall of the
    /// device.
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
            dred_from: first.dred.from as i64,
            dred_to: first.dred.to as i64,
            copy: first.redundant,
            length: first.length,
            wait: self.estimator.target() - self.trail_of(first.place.timestamp, now),
        });
        match next_step(self.before, self.filled, next) {
            Step::Decode => self.decode(),
            Step::Restore => self.restore(),
            Step::Revive { offset, samples } => self.revive(offset, samples),
            Step::Fill(samples) => self.fill(samples),
            Step::Skip => self.skip(),
        }
    }

    /// Leaves out the first waiting packet, whose time was filled.
    fn skip(&mut self) {
        let Some((_, missing)) = self.packets.first() else { return };
        self.packets.skip_missing();
        let Some(packet) = self.packets.take() else { return };
        let covered = packet.end() - self.end;
        self.stats.concealed_samples += u64::try_from(covered.min(self.filled)).unwrap_or(0);
        self.stats.lost += u64::from(missing) + 1;
        self.lost_run += missing + 1;
        self.filled = (self.filled - covered).max(0);
        self.end = packet.end();
    }

    fn decode(&mut self) {
        let Some((first, missing)) = self.packets.first() else { return };
        let paused = missing == 0 && first.place.timestamp > self.end;
        self.end_gap(missing, paused);
        self.packets.skip_missing();
        let Some(packet) = self.packets.take() else { return };
        let length = usize::try_from(packet.length).unwrap_or(0);
        let (decoder, stats, fade_in) = (&mut self.decoder, &mut self.stats, self.silent);
        // One that does not decode is lost, however it came.
        let lost_before = stats.lost;
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
        if packet.redundant {
            let decoded = self.stats.lost == lost_before;
            self.stats.lost += u64::from(decoded);
            self.stats.recovered += u64::from(decoded);
            self.lost_run += 1;
        } else if self.lost_run > 0 {
            self.estimator.packets_lost(std::mem::take(&mut self.lost_run));
        }
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
        self.restored += first.fec;
        self.end_gap(missing, false);
        self.packets.skip_missing();
        self.silent = false;
    }

    /// Appends `samples` of what the first waiting packet describes, from `offset` samples before it on.
    fn revive(&mut self, offset: i64, samples: usize) {
        let Some((first, _)) = self.packets.first() else { return };
        let (place, before) = (first.place, usize::try_from(offset).unwrap_or(0));
        if self.described_by != Some(place.sequence) {
            // What cannot be read is concealed: decoding says so again.
            let _ = self.decoder.load_dred(first.payload(), before + DRED_LEAD);
            self.described_by = Some(place.sequence);
        }
        let decoder = &mut self.decoder;
        self.pcm.append(|space| {
            let space = space.get_mut(..samples).unwrap_or_default();
            decoder.decode_dred(before, space).unwrap_or_else(|_| conceal(decoder, space))
        });
        // What was concealed until now is loss for certain.
        self.end_gap(0, false);
        self.end = place.timestamp - offset + samples as i64;
        self.restored += samples as i64;
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
            self.steering.restart();
        }
        if missing > 0 {
            // A packet that was restored by half or more counts.
            let length = self.packets.first().map_or(1, |(first, _)| first.length.max(1));
            let restored = (std::mem::take(&mut self.restored) + length / 2) / length;
            self.stats.recovered += u64::try_from(restored).unwrap_or(0).min(missing.into());
            self.stats.lost += u64::from(missing);
            self.lost_run += missing;
        }
    }

    /// Stretches what comes next if playout trails by more or less than it should.
    fn approach_target(&mut self, now: i64) {
        if self.filled > 0 || self.before == Before::Nothing {
            self.steering.pass();
            return;
        }
        match self.steering.observe(now, self.trail_of(self.end, now), self.estimator.target()) {
            Correction::None => {}
            Correction::Accelerate(wish) => {
                self.decode_ahead();
                let lag = self.pcm.accelerate(wish);
                self.stats.accelerated_samples += lag as u64;
                self.steering.jumped(-(lag as i64));
            }
            Correction::Decelerate(wish) => {
                let lag = self.pcm.decelerate(wish);
                self.stats.decelerated_samples += lag as u64;
                self.steering.jumped(lag as i64);
            }
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
