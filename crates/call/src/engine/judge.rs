//! Judges how well the network carries the call with one peer, in both directions, and reports changes that a
//! person would notice. Pure: the time is a parameter.
//!
//! The mean of the last few seconds is compared with fixed limits. The quality gets worse as soon as a mean
//! reaches its limit. It gets better only when the mean has fallen well below it, because nobody reads a mark
//! that changes back and forth. An outage is reported at once.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    Adapted, PeerStats,
    interval::{between, since},
};
use crate::{
    link::Limit,
    message::{MediaState, Paused},
    quality::{Flow, NetworkReason, NetworkState, Quality},
};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Seconds that a quality goes by: one bad second in a good call is not worth a word.
const WINDOW: usize = 5;
/// The quality gets better only when each mean is under this share of its limit.
const BETTER: f64 = 0.7;
/// No feedback or no packets for so long, in an estimate or in what should arrive, is an outage.
const OUTAGE: Duration = Duration::from_secs(2);
/// At or above this share of lost incoming packets, loss explains concealed sound and late frames. Below it,
/// delay does.
const LOSSY: f64 = 0.01;
/// Under so many frames in a second, nothing is said of how many of them were sent.
const MANY_FRAMES: u64 = 5;
/// An encoder that takes more than this share of a frame's time is why frames are left out.
const BUSY: f64 = 0.85;

/// What is measured of a second; each is worse the larger it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stat {
    /// Percent of our packets that got lost.
    LossOut,
    /// Round trip and jitter buffer, in ms.
    Delay,
    /// Times that the incoming video stood still.
    Freezes,
    /// Incoming sound that was made up, in ms.
    Concealed,
    /// Percent of the camera's frames that were not sent.
    Unsent,
    /// How many times the network or the processor has halved the pixels a second of our video; see
    /// [`super::VideoEncoding`].
    Smaller,
    /// The same of the other side's video, as far as it says so: 10 where it is paused.
    SmallerThere,
}

/// The values at which a stat makes the quality fair and poor. Talkers begin to interrupt each other from
/// some 400 ms there and back on (ITU-T G.114: 150 ms one way are not noticed, 400 ms are too much);
/// concealment is heard from a few percent on. Of freezes, one in the window is fair and two are poor. Half
/// of the pixels (960x540 of 1280x720) are not noticed in a window; a quarter is, and under a twentieth a
/// face is hard to read.
const LIMITS: [(Stat, f64, f64); 7] = [
    (Stat::LossOut, 3.0, 10.0),
    (Stat::Delay, 300.0, 600.0),
    (Stat::Freezes, 0.2, 0.4),
    (Stat::Concealed, 30.0, 100.0),
    (Stat::Unsent, 25.0, 60.0),
    (Stat::Smaller, 1.5, 4.5),
    (Stat::SmallerThere, 1.5, 4.5),
];

/// One second of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Second {
    loss_out: f64,
    delay: f64,
    freezes: f64,
    concealed: f64,
    unsent: f64,
    smaller: f64,
    smaller_there: f64,
    /// Not judged by itself: share of incoming packets that got lost, repaired or not.
    loss_in: f64,
    /// Not judged by itself: time of the encoder for a frame, as a share of the time between two.
    load: f64,
}

impl Second {
    fn get(&self, stat: Stat) -> f64 {
        match stat {
            Stat::LossOut => self.loss_out,
            Stat::Delay => self.delay,
            Stat::Freezes => self.freezes,
            Stat::Concealed => self.concealed,
            Stat::Unsent => self.unsent,
            Stat::Smaller => self.smaller,
            Stat::SmallerThere => self.smaller_there,
        }
    }

    /// What happened between two looks. `paused`: the other side says that its video is.
    fn between(before: &PeerStats, now: &PeerStats, elapsed: Duration, paused: bool) -> Self {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let (_, received) = between(before, now, elapsed);
        let encoder = now.video.map(|video| video.encoder);
        let given = |stats: &PeerStats| {
            stats.video.map_or(0, |video| video.encoder.frames + video.encoder.dropped + video.encoder.held)
        };
        let given = since(given(now), given(before));
        let sent = since(now.link.video_out.frames, before.link.video_out.frames);
        // Of a camera that has just been opened there is nothing to tell.
        let unsent = if given < MANY_FRAMES { 0.0 } else { since(given, sent) as f64 * 100.0 / given as f64 };
        let fps = now.video.and_then(|video| video.format).map_or(0.0, |format| f64::from(format.fps));
        let jitter = &now.audio.jitter;
        Self {
            loss_out: now.loss_out() * 100.0,
            delay: now.round_trip_ms().unwrap_or_default() + f64::from(jitter.target_ms),
            freezes: received.freezes as f64 / seconds,
            concealed: received.concealed_ms / seconds,
            unsent,
            smaller: now.video.filter(|video| video.adapted != Adapted::No).map_or(0.0, |video| video.halvings),
            smaller_there: if paused { 10.0 } else { 0.0 },
            loss_in: loss_in(before, now),
            load: encoder.map_or(0.0, |encoder| encoder.encode_us / 1e6 * fps),
        }
    }

    fn mean(window: &VecDeque<Self>) -> Self {
        let mean = |stat: fn(&Self) -> f64| window.iter().map(stat).sum::<f64>() / window.len().max(1) as f64;
        Self {
            loss_out: mean(|second| second.loss_out),
            delay: mean(|second| second.delay),
            freezes: mean(|second| second.freezes),
            concealed: mean(|second| second.concealed),
            unsent: mean(|second| second.unsent),
            smaller: mean(|second| second.smaller),
            smaller_there: mean(|second| second.smaller_there),
            loss_in: mean(|second| second.loss_in),
            load: mean(|second| second.load),
        }
    }

    /// The quality, where each limit is scaled by `share`.
    fn quality(&self, share: f64) -> Quality {
        let reaches = |limit: fn(f64, f64) -> f64| {
            LIMITS.iter().any(|(stat, fair, poor)| self.get(*stat) >= share * limit(*fair, *poor))
        };
        if reaches(|_, poor| poor) {
            Quality::Poor
        } else if reaches(|fair, _| fair) {
            Quality::Fair
        } else {
            Quality::Good
        }
    }

    /// The stat that is furthest over its limit for `quality`; `before` stays as long as it would keep the
    /// quality.
    fn worst(&self, quality: Quality, before: Option<Stat>) -> Option<Stat> {
        let share = |(stat, fair, poor): &(Stat, f64, f64)| {
            (*stat, self.get(*stat) / if quality == Quality::Poor { *poor } else { *fair })
        };
        let shares = || LIMITS.iter().map(share);
        shares()
            .find(|(stat, share)| Some(*stat) == before && *share >= BETTER)
            .or_else(|| shares().max_by(|(_, one), (_, other)| one.total_cmp(other)))
            .map(|(stat, _)| stat)
    }

    /// What a stat means to a person.
    fn reason(&self, stat: Stat, adapted: Adapted) -> (NetworkReason, Option<Flow>) {
        let late = if self.loss_in >= LOSSY { NetworkReason::Loss } else { NetworkReason::Delay };
        let few = if self.load > BUSY { NetworkReason::Processor } else { NetworkReason::Bandwidth };
        match stat {
            Stat::LossOut => (NetworkReason::Loss, Some(Flow::Sending)),
            Stat::Delay => (NetworkReason::Delay, None),
            Stat::Freezes | Stat::Concealed => (late, Some(Flow::Receiving)),
            Stat::Unsent => (few, Some(Flow::Sending)),
            Stat::Smaller if adapted == Adapted::Processor => (NetworkReason::Processor, Some(Flow::Sending)),
            Stat::Smaller => (NetworkReason::Bandwidth, Some(Flow::Sending)),
            Stat::SmallerThere => (NetworkReason::Bandwidth, Some(Flow::Receiving)),
        }
    }
}

/// The share of packets that did not come by themselves, of video or of sound, whichever is worse.
fn loss_in(before: &PeerStats, now: &PeerStats) -> f64 {
    let share = |missing: u64, came: u64| missing as f64 / (missing + came).max(1) as f64;
    let (old, new) = (&before.link.video_in.receive, &now.link.video_in.receive);
    let video = share(
        since(new.lost + new.recovered, old.lost + old.recovered),
        since(new.packets, old.packets).saturating_sub(since(new.recovered, old.recovered)),
    );
    let (old, new) = (&before.audio.jitter, &now.audio.jitter);
    let missing = |lost: u64, late: u64| lost.saturating_sub(late);
    let audio = share(
        since(missing(new.lost, new.late), missing(old.lost, old.late)),
        since(now.link.audio_in_packets, before.link.audio_in_packets),
    );
    video.max(audio)
}

/// Since when something that should come has not.
#[derive(Clone, Copy, Debug, Default)]
struct Silence(Option<Instant>);

impl Silence {
    /// True: for as long as an outage takes.
    fn look(&mut self, now: Instant, silent: bool) -> bool {
        self.0 = silent.then(|| self.0.unwrap_or(now));
        self.0.is_some_and(|since| now.saturating_duration_since(since) >= OUTAGE)
    }
}

/// Judges the call with one peer.
#[derive(Debug)]
pub(super) struct Judge {
    due: Instant,
    /// None before it was connected for the first time.
    connected: Option<bool>,
    held: bool,
    /// What the other side says that it sends.
    says: MediaState,
    paused_there: bool,
    before: Option<(Instant, PeerStats)>,
    no_feedback: Silence,
    no_packets: Silence,
    window: VecDeque<Second>,
    /// Not that of an outage, which does not last beyond it.
    quality: Option<Quality>,
    worst: Option<Stat>,
    told: Option<NetworkState>,
}

impl Judge {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now + INTERVAL,
            connected: None,
            held: false,
            says: MediaState::NONE,
            paused_there: false,
            before: None,
            no_feedback: Silence::default(),
            no_packets: Silence::default(),
            window: VecDeque::new(),
            quality: None,
            worst: None,
            told: None,
        }
    }

    pub(super) fn set_connected(&mut self, connected: bool) {
        self.connected = Some(connected);
    }

    /// Somebody holds the call: nothing is sent, and nothing is judged.
    pub(super) fn set_held(&mut self, held: bool) {
        self.held = held;
    }

    /// What the other side says that it sends, and whether its video is paused.
    pub(super) fn set_says(&mut self, media: MediaState, paused: Option<Paused>) {
        (self.says, self.paused_there) = (media, paused.is_some());
    }

    pub(super) fn next_deadline(&self) -> Instant {
        self.due
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// Looks at the totals of now; what to tell, if anything is to be told.
    pub(super) fn look(&mut self, now: Instant, totals: PeerStats) -> Option<NetworkState> {
        self.due = now + INTERVAL;
        let connected = self.connected?;
        let before = self.before.replace((now, totals.clone()));
        if self.held {
            (self.no_feedback, self.no_packets) = Default::default();
            return None;
        }
        let (at, before) = before?;
        let (quality, reason, flow) = if let Some(flow) = self.outage(now, connected, &before, &totals) {
            self.window.clear();
            (Quality::Lost, Some(NetworkReason::Outage), flow)
        } else {
            let elapsed = now.saturating_duration_since(at);
            self.take(Second::between(&before, &totals, elapsed, self.paused_there));
            let mean = Second::mean(&self.window);
            let paused = self.paused_there || totals.video.is_some_and(|video| video.format.is_none());
            let quality = self.judge(&mean, paused)?;
            self.worst = (quality > Quality::Good).then(|| mean.worst(quality, self.worst)).flatten();
            let adapted = totals.video.map_or(Adapted::No, |video| video.adapted);
            let reason = self.worst.map(|stat| mean.reason(stat, adapted));
            (quality, reason.map(|(reason, _)| reason), reason.and_then(|(_, flow)| flow))
        };
        let video = totals.video.as_ref();
        let state = NetworkState {
            quality,
            reason,
            flow,
            video: video.map(super::VideoEncoding::sent),
            adapted: video.map_or(Adapted::No, |video| video.adapted),
            route: totals.link.route,
        };
        (self.told.replace(state) != Some(state)).then_some(state)
    }

    fn take(&mut self, second: Second) {
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(second);
    }

    /// The quality; none while too little is known. Once one was told, and where video is paused, less is
    /// enough.
    fn judge(&mut self, mean: &Second, paused: bool) -> Option<Quality> {
        if self.window.len() < WINDOW && self.told.is_none() && !paused {
            return None;
        }
        let before = self.quality.unwrap_or(Quality::Good);
        let (worse, better) = (mean.quality(1.0), mean.quality(BETTER));
        let quality = if worse > before { worse } else { better.min(before) };
        self.quality = Some(quality);
        Some(quality)
    }

    /// Which direction is interrupted, or both (none); no outage where the outer option is none.
    fn outage(
        &mut self,
        now: Instant,
        connected: bool,
        before: &PeerStats,
        totals: &PeerStats,
    ) -> Option<Option<Flow>> {
        let sends = |stats: &PeerStats| stats.link.audio_out.packets + stats.link.video_out.packets;
        let came = |stats: &PeerStats| stats.link.audio_in_packets + stats.link.video_in.receive.packets;
        let no_feedback = totals.estimate.is_some_and(|estimate| estimate.limit == Limit::Outage);
        let sending = since(sends(totals), sends(before)) > 0;
        // With DTX a pause in talking is one packet in 400 ms. Sound that never came has other causes.
        let expected = self.says.audio && totals.link.audio_in_packets > 0;
        let out = self.no_feedback.look(now, sending && no_feedback);
        let incoming = self.no_packets.look(now, expected && since(came(totals), came(before)) == 0);
        match (connected, out, incoming) {
            (false, _, _) | (true, true, true) => Some(None),
            (true, true, false) => Some(Some(Flow::Sending)),
            (true, false, true) => Some(Some(Flow::Receiving)),
            (true, false, false) => None,
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
