//! The quality ladder: how large and how often video is sent, by what the network and the processor can take.
//! Pure.
//!
//! Each rung needs a bitrate. The rung is the highest whose need is met: at once on the way down, and on the
//! way up only when there has been room to spare for a while, so that video does not change its size back and
//! forth. Under the lowest rung no video is sent at all, and sound has the path for itself.

use std::time::{Duration, Instant};

use ahoy_media::units::{Bitrate, VideoFormat};
use serde::{Deserialize, Serialize};

/// 1280x720@30 looks better than anything smaller from here on.
const HD_NEEDS_BPS: f64 = 800_000.0;
/// Pixels a second of that.
const HD_PIXELS: f64 = 1280.0 * 720.0 * 30.0;
/// Smaller frames have more detail a pixel, so the need falls slower than the pixels do.
const NEED_EXPONENT: f64 = 0.8;
/// So much more than its need has to be there before a rung is climbed to.
const ROOM: f64 = 1.25;
/// The lowest rung needs at least this: less is no video.
const LEAST_BPS: f64 = 15_000.0;
/// How long there has to be room before a rung is climbed: first, and after each rung that did not hold, up
/// to a limit.
const PATIENCE: Duration = Duration::from_secs(2);
const MOST_PATIENCE: Duration = Duration::from_secs(30);
/// While the first probes tell of the path, rungs are climbed as soon as it does.
const START: Duration = Duration::from_secs(5);
/// A rung that was left again within this time did not hold.
const HELD: Duration = Duration::from_secs(10);
/// A processor that takes more than this share of a frame's time to encode it is too slow for it...
const BUSY: f64 = 0.85;
/// ...when it does so for this long.
const BUSY_FOR: Duration = Duration::from_secs(2);
/// What [`Ladder::halvings`] says where no video is sent: more than any rung does.
const NO_VIDEO_HALVINGS: f64 = 10.0;
/// A larger size is tried again when it would take no more than this share.
const IDLE: f64 = 0.6;

/// Sides and rates of the rungs, by those of the camera. The last ones save frames as well as pixels.
const RUNGS: [(f64, f64); 7] =
    [(1.0, 1.0), (0.75, 1.0), (0.5, 1.0), (0.375, 1.0), (0.25, 1.0), (0.25, 0.5), (0.125, 0.25)];

/// Why video is less than the camera and the user's choice allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adapted {
    /// It is not.
    No,
    /// The network carries no more.
    Network,
    /// The processor does not encode any faster.
    Processor,
}

/// The most that may be sent of a camera, by the user's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoLimit {
    /// No frame has more pixels than this.
    pub format: VideoFormat,
    /// Ceiling of the encoder.
    pub bitrate: Bitrate,
    /// Limit of everything that is sent to a peer, sound and repairs included; none: no limit.
    pub total: Option<Bitrate>,
}

/// Decides what is sent of one camera.
#[derive(Debug)]
pub(super) struct Ladder {
    source: VideoFormat,
    limit: VideoLimit,
    /// The highest rung that the limit allows.
    top: usize,
    /// Index in [`RUNGS`]; their number: no video.
    at: usize,
    /// When the rung was reached, and whether by climbing.
    since: Instant,
    climbed: bool,
    began: Instant,
    /// Since when there has been room for a higher rung.
    room_since: Option<Instant>,
    patience: Duration,
    busy_since: Option<Instant>,
    adapted: Adapted,
}

/// What the ladder goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// For video, headers left out.
    pub(super) bitrate: Bitrate,
    /// How long a frame takes to encode, by the time between two; none where no frame was encoded.
    pub(super) load: Option<f64>,
}

impl Ladder {
    /// A ladder for a camera of this format, which begins at the rung that `bitrate` meets.
    pub(super) fn new(source: VideoFormat, limit: VideoLimit, bitrate: Bitrate, now: Instant) -> Self {
        let mut this = Self {
            source,
            limit,
            top: top(source, limit),
            at: 0,
            since: now,
            climbed: false,
            began: now,
            room_since: None,
            patience: PATIENCE,
            busy_since: None,
            adapted: Adapted::No,
        };
        this.at = this.highest(bitrate.bps() as f64, 1.0);
        this
    }

    /// What is sent now; none: no video.
    pub(super) fn format(&self) -> Option<VideoFormat> {
        rung(self.source, self.at)
    }

    /// Why that is less than the limit allows of what the camera gives.
    pub(super) fn adapted(&self) -> Adapted {
        if self.at <= self.top { Adapted::No } else { self.adapted }
    }

    /// How many times the pixels a second were halved, compared with the most that the limit allows.
    pub(super) fn halvings(&self) -> f64 {
        match (rung(self.source, self.top), self.format()) {
            (Some(top), Some(format)) => (pixels(top) / pixels(format).max(1.0)).log2().max(0.0),
            _ => NO_VIDEO_HALVINGS,
        }
    }

    /// The user chose another limit; true: the format has changed.
    pub(super) fn set_limit(&mut self, now: Instant, limit: VideoLimit) -> bool {
        let limited = self.at <= self.top;
        (self.limit, self.top) = (limit, top(self.source, limit));
        if limited {
            self.adapted = Adapted::No;
        }
        self.at < self.top && self.change(now, self.top, Adapted::No)
    }

    /// Looks at the means; true: the format has changed.
    pub(super) fn look(&mut self, now: Instant, means: Means) -> bool {
        let bps = means.bitrate.bps() as f64;
        let sustained = self.highest(bps, 1.0);
        if sustained > self.at {
            if self.climbed && now.saturating_duration_since(self.since) < HELD && now > self.began + START {
                self.patience = (self.patience * 2).min(MOST_PATIENCE);
            }
            return self.change(now, sustained, Adapted::Network);
        }
        if self.is_busy(now, means.load) && self.at + 1 < RUNGS.len() {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
            return self.change(now, self.at + 1, Adapted::Processor);
        }
        self.climb(now, bps, means.load)
    }

    fn climb(&mut self, now: Instant, bps: f64, load: Option<f64>) -> bool {
        // More than the limit never comes, so it is room enough.
        let room = if bps >= self.limit.bitrate.bps() as f64 { 1.0 } else { ROOM };
        let reachable = self.highest(bps, room);
        let light = load.is_none_or(|load| load * self.growth() < IDLE) || self.adapted != Adapted::Processor;
        if reachable >= self.at || !light {
            self.room_since = None;
            return false;
        }
        let since = *self.room_since.get_or_insert(now);
        let starting = now.saturating_duration_since(self.began) < START;
        if !starting && now.saturating_duration_since(since) < self.patience {
            return false;
        }
        if now.saturating_duration_since(self.since) > MOST_PATIENCE {
            self.patience = PATIENCE;
        }
        // By the processor one rung at a time: what the next one costs is known only when it is tried.
        let to = if self.adapted == Adapted::Processor { self.at - 1 } else { reachable };
        self.change(now, to, self.adapted)
    }

    /// By how much the next higher rung has more pixels a second.
    fn growth(&self) -> f64 {
        match (rung(self.source, self.at), self.at.checked_sub(1).and_then(|higher| rung(self.source, higher))) {
            (Some(now), Some(higher)) => pixels(higher) / pixels(now).max(1.0),
            _ => 1.0,
        }
    }

    fn is_busy(&mut self, now: Instant, load: Option<f64>) -> bool {
        let Some(_) = load.filter(|load| *load > BUSY) else {
            self.busy_since = None;
            return false;
        };
        now.saturating_duration_since(*self.busy_since.get_or_insert(now)) >= BUSY_FOR
    }

    fn change(&mut self, now: Instant, to: usize, why: Adapted) -> bool {
        self.climbed = to < self.at;
        (self.at, self.since, self.adapted) = (to, now, why);
        (self.room_since, self.busy_since) = (None, None);
        true
    }

    /// The highest rung whose need, times `room`, is met.
    fn highest(&self, bps: f64, room: f64) -> usize {
        highest(self.source, self.top, bps, room)
    }
}

/// The highest rung from `top` on whose need, times `room`, is met.
fn highest(source: VideoFormat, top: usize, bps: f64, room: f64) -> usize {
    let met = |index: &usize| rung(source, *index).is_some_and(|format| bps >= need(format) * room);
    (top..RUNGS.len()).find(met).unwrap_or(RUNGS.len())
}

/// The highest rung that a limit allows; the lowest one at least.
fn top(source: VideoFormat, limit: VideoLimit) -> usize {
    let fits = |index: &usize| rung(source, *index).is_some_and(|format| format.area() <= limit.format.area());
    let lowest = RUNGS.len() - 1;
    let largest = (0..RUNGS.len()).find(fits).unwrap_or(lowest);
    highest(source, largest, limit.bitrate.bps() as f64, 1.0).min(lowest)
}

fn rung(source: VideoFormat, index: usize) -> Option<VideoFormat> {
    let (side, rate) = RUNGS.get(index)?;
    // Even sides: chroma has half of them.
    let scaled = |length: u32| ((f64::from(length) * side / 2.0).round() as u32 * 2).clamp(2, length.max(2));
    let fps = ((f64::from(source.fps) * rate).floor() as u32).max(1);
    let (width, height) =
        if *side < 1.0 { (scaled(source.width), scaled(source.height)) } else { (source.width, source.height) };
    Some(VideoFormat { width, height, fps })
}

fn pixels(format: VideoFormat) -> f64 {
    f64::from(format.width) * f64::from(format.height) * f64::from(format.fps)
}

/// The bitrate from which this format looks better than a smaller one.
fn need(format: VideoFormat) -> f64 {
    (HD_NEEDS_BPS * (pixels(format) / HD_PIXELS).powf(NEED_EXPONENT)).max(LEAST_BPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: VideoFormat = VideoFormat::HD;

    fn kbps(kbps: u64) -> Means {
        Means { bitrate: Bitrate::from_kbps(kbps), load: Some(0.2) }
    }

    const ANY: VideoLimit = VideoLimit {
        format: VideoFormat { width: VideoFormat::MAX_SIDE, height: VideoFormat::MAX_SIDE, fps: 30 },
        bitrate: Bitrate::from_kbps(100_000),
        total: None,
    };

    fn text(ladder: &Ladder) -> String {
        ladder.format().map_or("none".to_owned(), |format| format.to_string())
    }

    #[test]
    fn each_bitrate_has_its_rung() {
        for (rate, format) in [
            (5000, "1280x720@30"),
            (800, "1280x720@30"),
            (799, "960x540@30"),
            (500, "640x360@30"),
            (300, "640x360@30"),
            (250, "480x270@30"),
            (150, "320x180@30"),
            (80, "320x180@15"),
            (49, "160x90@7"),
            (15, "160x90@7"),
            (14, "none"),
            (0, "none"),
        ] {
            let ladder = Ladder::new(HD, ANY, Bitrate::from_kbps(rate), Instant::now());
            assert_eq!(text(&ladder), format, "{rate} kbit/s");
        }
    }

    #[test]
    fn cameras_of_every_shape_have_rungs_with_even_sides() {
        for source in ["640x480@30", "1920x1080@60", "176x144@15", "321x241@5", "16x16@1"] {
            let source: VideoFormat = source.parse().unwrap();
            for index in 0..RUNGS.len() {
                let format = rung(source, index).unwrap();
                assert!(format.width <= source.width && format.height <= source.height && format.fps >= 1, "{format}");
                assert!(index == 0 || (format.width.is_multiple_of(2) && format.height.is_multiple_of(2)), "{format}");
            }
        }
    }

    #[test]
    fn a_rung_is_left_at_once_and_climbed_only_with_room_for_a_while() {
        let start = Instant::now();
        let mut ladder = Ladder::new(HD, ANY, Bitrate::from_kbps(1500), start);
        let at = |s: f64| start + Duration::from_secs_f64(s);
        assert!(ladder.look(at(10.0), kbps(300)));
        assert_eq!((text(&ladder).as_str(), ladder.adapted()), ("640x360@30", Adapted::Network));
        // Enough for 960x540, but no room to spare.
        for tenth in 0..100 {
            assert!(!ladder.look(at(11.0 + f64::from(tenth) / 10.0), kbps(520)));
        }
        assert!(!ladder.look(at(30.0), kbps(1100)));
        assert!(!ladder.look(at(31.9), kbps(1100)));
        assert!(ladder.look(at(32.1), kbps(1100)));
        assert_eq!((text(&ladder).as_str(), ladder.adapted()), ("1280x720@30", Adapted::No));
    }

    #[test]
    fn a_rung_that_does_not_hold_is_climbed_to_ever_later() {
        let start = Instant::now();
        let mut ladder = Ladder::new(HD, ANY, Bitrate::from_kbps(700), start);
        let mut changes = vec![];
        // The rate allows 1280x720 except once in 5 s.
        for tenth in 100..2000u32 {
            let rate = if tenth % 50 == 0 { 700 } else { 1100 };
            if ladder.look(start + Duration::from_millis(u64::from(tenth) * 100), kbps(rate)) {
                changes.push(tenth);
            }
        }
        assert!(changes.len() < 12, "{changes:?}");
    }

    #[test]
    fn at_the_start_rungs_are_climbed_as_fast_as_the_path_is_found() {
        let start = Instant::now();
        let mut ladder = Ladder::new(HD, ANY, Bitrate::from_kbps(230), start);
        assert_eq!(text(&ladder), "480x270@30");
        assert!(ladder.look(start + Duration::from_millis(300), kbps(1500)));
        assert_eq!(text(&ladder), "1280x720@30");
    }

    #[test]
    fn video_stops_when_nothing_is_left_for_it_and_comes_back_by_itself() {
        let start = Instant::now();
        let mut ladder = Ladder::new(HD, ANY, Bitrate::from_kbps(700), start);
        let at = |s: f64| start + Duration::from_secs_f64(s);
        assert!(ladder.look(at(10.0), kbps(5)));
        assert_eq!(ladder.format(), None);
        assert!(!ladder.look(at(11.0), kbps(18)), "more than the lowest rung needs, but not enough more");
        ladder.look(at(12.0), kbps(30));
        assert!(ladder.look(at(14.5), kbps(30)));
        assert_eq!(text(&ladder), "160x90@7");
    }

    #[test]
    fn a_slow_processor_is_given_smaller_frames_and_larger_ones_when_it_has_time() {
        let start = Instant::now();
        let mut ladder = Ladder::new(HD, ANY, Bitrate::from_kbps(2000), start);
        let means = |load| Means { bitrate: Bitrate::from_kbps(2000), load: Some(load) };
        let at = |s: f64| start + Duration::from_secs_f64(s);
        assert!(!ladder.look(at(10.0), means(0.95)));
        assert!(ladder.look(at(12.1), means(0.95)));
        assert_eq!((text(&ladder).as_str(), ladder.adapted()), ("960x540@30", Adapted::Processor));
        // 1280x720 would take 0.5 x 1.78 of the time.
        for second in 13..60 {
            assert!(!ladder.look(at(f64::from(second)), means(0.5)));
        }
        assert!(!ladder.look(at(61.0), means(0.2)));
        assert!(ladder.look(at(66.0), means(0.2)));
        assert_eq!(text(&ladder), "1280x720@30");
    }

    #[test]
    fn the_users_limit_is_no_adaptation() {
        let start = Instant::now();
        let saver = VideoLimit { format: "640x360@30".parse().unwrap(), bitrate: Bitrate::from_kbps(425), total: None };
        for (source, limit, rate, format, adapted) in [
            (HD, saver, 425, "640x360@30", Adapted::No),
            (HD, saver, 200, "480x270@30", Adapted::Network),
            // A camera of another shape: no more pixels than the limit has.
            ("640x480@30".parse().unwrap(), saver, 425, "480x360@30", Adapted::No),
            ("1920x1080@30".parse().unwrap(), saver, 425, "480x270@30", Adapted::No),
            // A ceiling that the camera's size does not fit into.
            (HD, VideoLimit { bitrate: Bitrate::from_kbps(400), ..ANY }, 400, "640x360@30", Adapted::No),
            (HD, VideoLimit { bitrate: Bitrate::from_kbps(1), ..ANY }, 1, "none", Adapted::Network),
            (HD, ANY, 300, "640x360@30", Adapted::Network),
        ] {
            // From above, so that the reason is known.
            let mut ladder = Ladder::new(source, limit, Bitrate::from_kbps(100_000), start);
            ladder.look(start + Duration::from_secs(10), kbps(rate));
            assert_eq!((text(&ladder).as_str(), ladder.adapted()), (format, adapted), "{source} {limit:?} {rate}");
        }
    }

    #[test]
    fn a_lower_limit_holds_at_once_and_a_higher_one_is_climbed_to() {
        let start = Instant::now();
        let saver = VideoLimit { format: "640x360@30".parse().unwrap(), bitrate: Bitrate::from_kbps(425), total: None };
        let mut ladder = Ladder::new(HD, ANY, Bitrate::from_kbps(1500), start);
        let at = |s: f64| start + Duration::from_secs_f64(s);
        assert!(ladder.set_limit(at(10.0), saver));
        assert!(!ladder.set_limit(at(10.0), saver), "nothing is new");
        assert_eq!((text(&ladder).as_str(), ladder.adapted(), ladder.halvings()), ("640x360@30", Adapted::No, 0.0));
        assert!(!ladder.look(at(11.0), kbps(425)));
        assert!(!ladder.set_limit(at(20.0), ANY));
        assert_eq!((ladder.adapted(), ladder.halvings()), (Adapted::No, 2.0));
        ladder.look(at(20.1), kbps(1500));
        assert!(ladder.look(at(22.2), kbps(1500)));
        assert_eq!(text(&ladder), "1280x720@30");
    }

    #[test]
    fn a_rung_that_takes_all_of_the_ceiling_is_climbed_to() {
        let start = Instant::now();
        let limit = VideoLimit { bitrate: Bitrate::from_kbps(900), ..ANY };
        let mut ladder = Ladder::new(HD, limit, Bitrate::from_kbps(300), start);
        let at = |s: f64| start + Duration::from_secs_f64(s);
        for tenth in 0..30 {
            ladder.look(at(10.0 + f64::from(tenth) / 10.0), kbps(900));
        }
        assert_eq!((text(&ladder).as_str(), ladder.adapted()), ("1280x720@30", Adapted::No));
    }
}
