//! How a voice is encoded and protected: a table over what the path carries and loses.
//!
//! `plan` is the table, and [`VoicePolicy`] walks it with hysteresis, so that a path on a border does not
//! change the packets' length every second: each change of length is heard as a small gap.
//!
//! A voice comes before video at every rate, so the table goes by the rate of the whole path;
//! [`VoicePlan::wire_rate`] is what the voice takes of it.

use std::time::{Duration, Instant};

use ahoy_media::{
    audio::opus::{DredDuration, OpusFrame, Percent, VoiceEncoding},
    units::Bitrate,
};

use super::red::MAX_COPIES;

/// Bytes of one packet beside its Opus payload: IPv4, UDP, RTP with its extensions, the tag of SRTP.
pub const HEADERS: u64 = 58;
/// Bytes that RFC 2198 adds for each packet that is repeated (and one more for the packet's own sound).
const RED_HEADERS: u64 = 5;

/// What is known of the path to a peer, and what the peer takes.
#[derive(Clone, Copy, Debug)]
pub struct VoicePath {
    /// What the path carries in all, headers included.
    pub rate: Bitrate,
    /// Unknown at the start of a call.
    pub round_trip: Option<Duration>,
    /// No video is sent: the path is the voice's alone.
    pub alone: bool,
    /// Redundancy by RFC 2198 was negotiated.
    pub takes_red: bool,
    /// The peer reads deep redundancy of the version that we write.
    pub takes_dred: bool,
}

/// How lost packets are made up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redundancy {
    /// By in-band FEC at most.
    None,
    /// Each packet repeats so many of those before it (RFC 2198).
    Red {
        /// 1 to [`MAX_COPIES`].
        copies: u8,
    },
    /// Each packet describes the sound before it (DRED).
    Dred,
}

/// How a voice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoicePlan {
    /// For the encoder.
    pub encoding: VoiceEncoding,
    /// For the sender of its packets. The encoding has deep redundancy if and only if it is
    /// [`Redundancy::Dred`].
    pub redundancy: Redundancy,
}

impl VoicePlan {
    /// What the voice takes of the path, headers included, while it is talking.
    pub fn wire_rate(&self) -> Bitrate {
        wire_rate(self.encoding.bitrate, self.encoding.packet, self.redundancy)
    }
}

fn wire_rate(bitrate: Bitrate, packet: OpusFrame, redundancy: Redundancy) -> Bitrate {
    let copies = match redundancy {
        Redundancy::Red { copies } => copies.into(),
        Redundancy::None | Redundancy::Dred => 0,
    };
    let headers = HEADERS + copies * RED_HEADERS;
    Bitrate::from_bps((1 + copies) * bitrate.bps() + headers * 8 * 1000 / u64::from(packet.ms()))
}

/// The encoding of one encoder for two paths: what the slower can carry, with what the lossier needs.
pub fn for_both(a: VoiceEncoding, b: VoiceEncoding) -> VoiceEncoding {
    VoiceEncoding {
        bitrate: a.bitrate.min(b.bitrate),
        packet: a.packet.max(b.packet),
        fec: a.fec || b.fec,
        expected_loss: a.expected_loss.max(b.expected_loss),
        dred: a.dred.max(b.dred),
    }
}

/// How much a path carries, as far as a voice is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    Slowest,
    Slow,
    Medium,
    Fast,
}

impl Rung {
    const ALL: [Self; 4] = [Self::Slowest, Self::Slow, Self::Medium, Self::Fast];

    /// The least rate of a path on this rung.
    const fn from(self) -> Bitrate {
        Bitrate::from_kbps(match self {
            Self::Slowest => 0,
            Self::Slow => 60,
            Self::Medium => 150,
            Self::Fast => 400,
        })
    }

    fn of(rate: Bitrate) -> Self {
        Self::ALL.into_iter().rev().find(|rung| rate >= rung.from()).unwrap_or(Self::Slowest)
    }

    /// What a path gets that loses nothing, where `best` is what the fastest gets.
    fn clean(self, best: VoiceEncoding) -> (Bitrate, OpusFrame) {
        let (bitrate, packet) = match self {
            Self::Fast => return (best.bitrate, best.packet),
            Self::Medium => (Bitrate::from_kbps(24), OpusFrame::Ms20),
            Self::Slow => (Bitrate::from_kbps(16), OpusFrame::Ms40),
            Self::Slowest => (Bitrate::from_kbps(12), OpusFrame::Ms60),
        };
        (bitrate.min(best.bitrate), packet.max(best.packet))
    }
}

/// From this share of lost packets on they are made up for ...
const LOSSY_FROM: f64 = 0.02;
/// ... until less than this is lost: under it concealment is hardly ever heard.
const LOSSY_UNTIL: f64 = 0.005;
/// From this share on deep redundancy serves better than in-band FEC, where copies are not taken
/// (docs/decisions/voice.md).
const DRED_FROM: f64 = 0.2;
/// Deep redundancy gets only what is over 12 kbit/s (libopus 1.6 `compute_dred_bitrate`), and needs some of
/// it.
const DRED_BITRATE: Bitrate = Bitrate::from_kbps(24);
/// How far back it reaches: as far as a receiver waits, and two packets.
const DRED_REACH: DredDuration = DredDuration::from_ms(160);
/// Loss that copies may leave: more is heard. As many copies are sent as bring it under this, were losses
/// independent.
const LOSS_LEFT: f64 = 0.01;
/// Weight of a report that is worse than what was known, and of one that is better. A path that has lost once
/// will lose again; reports come once a second.
const WORSE_WEIGHT: f64 = 0.5;
const BETTER_WEIGHT: f64 = 0.1;
/// In-band FEC prepares for at least this much loss: at 0 libopus leaves it out, and the first loss of a good
/// path would be heard.
const EXPECTED_LOSS_FLOOR: u8 = 5;
/// Shares of the path, in hundredths, that a voice may take: with one copy or without video, and with more
/// copies beside video. A voice that can be understood comes before video; a perfect voice does not.
const FIRST_COPY_SHARE: u64 = 80;
const FURTHER_COPIES_SHARE: u64 = 50;
/// From this round trip on each further 20 ms are a burden: 150 ms one way is where talkers begin to notice
/// (ITU-T G.114).
const LONG_ROUND_TRIP: Duration = Duration::from_millis(300);
/// What packets of 40 ms need at least on a path with a long round trip: twice their 12 kbit/s with headers.
const SHORTER_FROM: Bitrate = Bitrate::from_kbps(48);
/// A path has to carry this much of a rung's rate, in hundredths, for so long, before the rung is taken: a
/// probe that proves wrong must not change the packets' length twice.
const CLIMB_SHARE: u64 = 120;
const CLIMB_AFTER: Duration = Duration::from_secs(5);
/// An estimate begins low and finds 3 Mbit/s within this time; until then a path that carries video at all
/// gets the best.
const SETTLING: Duration = Duration::from_secs(4);
/// Without video, so many times the rate.
const ALONE: u64 = 2;

/// The encoding for a path that stays on `rung` and loses `loss` of its packets, 0 to 1, which is to be made
/// up for if it is `lossy`; `best` is what a fast and clean path gets.
fn plan(best: VoiceEncoding, path: &VoicePath, loss: f64, rung: Rung, lossy: bool) -> VoicePlan {
    let (bitrate, mut packet) = rung.clean(best);
    let far = path.round_trip.is_some_and(|round_trip| round_trip >= LONG_ROUND_TRIP);
    if rung == Rung::Slowest && far && path.rate >= SHORTER_FROM {
        packet = OpusFrame::Ms40.max(best.packet);
    }
    let expected_loss = Percent::new((loss * 100.0).round() as u8);
    let encoding = VoiceEncoding {
        bitrate,
        packet,
        fec: true,
        expected_loss: expected_loss.max(Percent::new(EXPECTED_LOSS_FLOOR)),
        dred: DredDuration::NONE,
    };
    let plain = VoicePlan { encoding, redundancy: Redundancy::None };
    if !lossy {
        return plain;
    }
    if path.takes_red {
        // What copies bring back needs no second protection, and the voice is better for its bits.
        let encoding = VoiceEncoding { fec: false, ..encoding };
        let with = |copies| VoicePlan { encoding, redundancy: Redundancy::Red { copies } };
        let fits = |copies: u8| {
            let share = if copies == 1 || path.alone { FIRST_COPY_SHARE } else { FURTHER_COPIES_SHARE };
            with(copies).wire_rate().bps() <= path.rate.bps() / 100 * share
        };
        let wanted = (1..=MAX_COPIES as u8).find(|copies| loss.powi(i32::from(*copies) + 1) <= LOSS_LEFT);
        let wanted = wanted.unwrap_or(MAX_COPIES as u8);
        if let Some(copies) = (1..=wanted).rev().find(|copies| fits(*copies)) {
            return with(copies);
        }
    } else if path.takes_dred && loss >= DRED_FROM && bitrate >= DRED_BITRATE {
        // With packets of 10 ms it would take most of the bits.
        let packet = packet.max(OpusFrame::Ms20);
        let encoding = VoiceEncoding { fec: false, dred: DRED_REACH, packet, ..encoding };
        return VoicePlan { encoding, redundancy: Redundancy::Dred };
    }
    plain
}

/// Follows a path.
#[derive(Debug)]
pub struct VoicePolicy {
    /// For a fast and clean path.
    best: VoiceEncoding,
    /// When the path was first looked at.
    started: Option<Instant>,
    /// Smoothed; a path is thought to be clean until it is known.
    loss: f64,
    rung: Rung,
    lossy: bool,
    /// Since when the path has carried enough for a higher rung.
    climbing_since: Option<Instant>,
}

impl VoicePolicy {
    /// Begins with `best`, which is for a fast and clean path: most are.
    pub fn new(best: VoiceEncoding) -> Self {
        Self { best, started: None, loss: 0.0, rung: Rung::Fast, lossy: false, climbing_since: None }
    }

    /// Takes in the share of packets, 0 to 1, that the other side missed since its last report.
    pub fn reported(&mut self, lost: f64) {
        let lost = if lost.is_finite() { lost.clamp(0.0, 1.0) } else { 0.0 };
        let weight = if lost > self.loss { WORSE_WEIGHT } else { BETTER_WEIGHT };
        self.loss += weight * (lost - self.loss);
    }

    /// How to send a voice from `now` on.
    pub fn plan(&mut self, now: Instant, path: VoicePath) -> VoicePlan {
        self.rung = self.next_rung(now, &path);
        self.lossy = self.loss >= if self.lossy { LOSSY_UNTIL } else { LOSSY_FROM };
        plan(self.best, &path, self.loss, self.rung, self.lossy)
    }

    /// Falls at once, and climbs once the path has carried enough for long enough.
    fn next_rung(&mut self, now: Instant, path: &VoicePath) -> Rung {
        // What video does not take is as good as a faster path.
        let rate = if path.alone { path.rate.bps().saturating_mul(ALONE) } else { path.rate.bps() };
        let started = *self.started.get_or_insert(now);
        let sure = Rung::of(Bitrate::from_bps(rate.saturating_mul(100) / CLIMB_SHARE));
        if sure <= self.rung {
            self.climbing_since = None;
            let reached = Rung::of(Bitrate::from_bps(rate));
            let settling = now.saturating_duration_since(started) < SETTLING && reached >= Rung::Medium;
            return if settling { self.rung } else { self.rung.min(reached) };
        }
        let since = *self.climbing_since.get_or_insert(now);
        if now.saturating_duration_since(since) < CLIMB_AFTER {
            return self.rung;
        }
        self.climbing_since = None;
        sure
    }
}

#[cfg(test)]
mod tests {
    use OpusFrame::{Ms10, Ms20, Ms40, Ms60};
    use ahoy_media::audio::opus::OpusSettings;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn path(kbps: u64) -> VoicePath {
        let round_trip = Some(Duration::from_millis(40));
        let rate = Bitrate::from_kbps(kbps);
        VoicePath { rate, round_trip, alone: false, takes_red: true, takes_dred: false }
    }

    fn best() -> VoiceEncoding {
        OpusSettings { frame: Ms10, ..OpusSettings::default() }.encoding()
    }

    /// A policy that has settled on a fast path.
    fn policy() -> (VoicePolicy, Instant) {
        let (mut policy, start) = (VoicePolicy::new(best()), Instant::now() + 10 * SECOND);
        policy.plan(start - SETTLING, path(5000));
        (policy, start)
    }

    /// The plan after a while of `loss`.
    fn settled(path: VoicePath, loss: f64) -> VoicePlan {
        let (mut policy, start) = policy();
        for second in 0..100 {
            policy.reported(loss);
            policy.plan(start + SECOND * second, path);
        }
        policy.plan(start + 100 * SECOND, path)
    }

    /// Its bitrate in kbit/s, packet, and copies.
    fn short(plan: VoicePlan) -> (u64, OpusFrame, u8) {
        let copies = match plan.redundancy {
            Redundancy::Red { copies } => copies,
            Redundancy::None => 0,
            Redundancy::Dred => panic!("deep redundancy"),
        };
        (plan.encoding.bitrate.kbps(), plan.encoding.packet, copies)
    }

    #[test]
    fn a_voice_follows_what_the_path_carries_and_loses() {
        let table = [
            // (kbit/s, loss, round trip in ms, plan)
            (10_000, 0.0, 40, (32, Ms10, 0)),
            (400, 0.0, 40, (32, Ms10, 0)),
            (399, 0.0, 40, (24, Ms20, 0)),
            (150, 0.0, 40, (24, Ms20, 0)),
            (149, 0.0, 40, (16, Ms40, 0)),
            (60, 0.0, 40, (16, Ms40, 0)),
            (59, 0.0, 40, (12, Ms60, 0)),
            (0, 0.0, 40, (12, Ms60, 0)),
            // A long round trip has shorter packets, where there is room for them.
            (59, 0.0, 400, (12, Ms40, 0)),
            (47, 0.0, 400, (12, Ms60, 0)),
            // Loss is made up for by copies ...
            (10_000, 0.015, 40, (32, Ms10, 0)),
            (10_000, 0.03, 40, (32, Ms10, 1)),
            (10_000, 0.09, 40, (32, Ms10, 1)),
            (10_000, 0.2, 40, (32, Ms10, 2)),
            (10_000, 0.3, 40, (32, Ms10, 3)),
            (10_000, 0.9, 40, (32, Ms10, 3)),
            (10_000, 1.0, 40, (32, Ms10, 3)),
            // ... as far as they fit.
            (400, 0.3, 40, (32, Ms10, 3)),
            (300, 0.2, 40, (24, Ms20, 2)),
            (300, 0.3, 40, (24, Ms20, 3)),
            (150, 0.2, 40, (24, Ms20, 1)),
            (100, 0.2, 40, (16, Ms40, 1)),
            (60, 0.2, 40, (16, Ms40, 1)),
            (59, 0.2, 40, (12, Ms60, 1)),
            (30, 0.2, 40, (12, Ms60, 0)),
        ];
        for (kbps, loss, round_trip, expected) in table {
            let round_trip = Some(Duration::from_millis(round_trip));
            let plan = settled(VoicePath { round_trip, ..path(kbps) }, loss);
            assert_eq!(short(plan), expected, "{kbps} kbit/s, {loss} lost, {round_trip:?}");
            assert!(plan.encoding.fec != (expected.2 > 0), "either in-band FEC or copies");
            assert!(plan.wire_rate() <= path(kbps.max(20)).rate, "{kbps} kbit/s: the voice alone is too much");
        }
    }

    #[test]
    fn a_path_that_is_not_known_yet_gets_the_plain_encoding() {
        let start = Instant::now();
        let mut policy = VoicePolicy::new(best());
        let low = VoicePath { round_trip: None, ..path(300) };
        for after in [Duration::ZERO, SETTLING / 2] {
            let plan = policy.plan(start + after, low);
            let encoding = VoiceEncoding { fec: true, expected_loss: Percent::new(5), ..best() };
            assert_eq!((plan.encoding, plan.redundancy), (encoding, Redundancy::None));
        }
        assert_eq!(short(policy.plan(start + SETTLING, low)), (24, Ms20, 0), "it is as slow as it seemed");
        assert_eq!(short(VoicePolicy::new(best()).plan(start, path(149))).1, Ms40, "too slow to wait");
    }

    #[test]
    fn a_voice_alone_does_with_half_of_the_rate() {
        for (kbps, expected) in
            [(200, (32, Ms10)), (199, (24, Ms20)), (75, (24, Ms20)), (30, (16, Ms40)), (29, (12, Ms60))]
        {
            let plan = settled(VoicePath { alone: true, ..path(kbps) }, 0.0);
            assert_eq!((plan.encoding.bitrate.kbps(), plan.encoding.packet), expected, "{kbps} kbit/s");
            assert!(plan.wire_rate() <= path(kbps).rate);
        }
    }

    #[test]
    fn nothing_is_better_than_the_best() {
        let best = VoiceEncoding { bitrate: Bitrate::from_kbps(14), packet: Ms40, ..best() };
        for (kbps, loss, packet) in [(5000, 0.0, Ms40), (5000, 0.2, Ms40), (200, 0.0, Ms40), (20, 0.0, Ms60)] {
            let (mut policy, now) = (VoicePolicy::new(best), Instant::now());
            policy.plan(now, path(kbps));
            let now = now + 10 * SECOND;
            (0..20).for_each(|_| policy.reported(loss));
            let plan = policy.plan(now, path(kbps));
            assert_eq!(plan.encoding.packet, packet, "{kbps} {loss}");
            assert!(plan.encoding.bitrate <= best.bitrate);
        }
    }

    #[test]
    fn the_wire_rate_counts_headers_and_copies() {
        // 32 kbit/s and 100 times 58 bytes a second.
        assert_eq!(settled(path(1000), 0.0).wire_rate(), Bitrate::from_bps(32_000 + 46_400));
        // Twice 24 kbit/s and 50 times 63 bytes.
        assert_eq!(settled(path(150), 0.1).wire_rate(), Bitrate::from_bps(48_000 + 25_200));
        assert_eq!(settled(path(20), 0.0).wire_rate(), Bitrate::from_bps(12_000 + 7_733));
    }

    #[test]
    fn a_path_falls_at_once_and_climbs_once_it_is_sure() {
        let (mut policy, start) = policy();
        let mut at = |second: u32, kbps| short(policy.plan(start + SECOND * second, path(kbps))).1;
        assert_eq!(at(0, 1000), Ms10);
        assert_eq!(at(1, 100), Ms40);
        assert_eq!(at(2, 1000), Ms40, "one look proves nothing");
        assert_eq!(at(6, 1000), Ms40);
        assert_eq!(at(7, 1000), Ms10, "five seconds do");
        assert_eq!(at(8, 50), Ms60);
        assert_eq!(at(9, 160), Ms60);
        // Enough for 40 ms, and too near the border of 20 ms.
        assert_eq!(at(14, 160), Ms40);
        assert_eq!(at(100, 179), Ms40);
        assert_eq!(at(101, 180), Ms40);
        assert_eq!(at(105, 170), Ms40, "it fell back before it was sure");
        assert_eq!(at(106, 180), Ms40);
        assert_eq!(at(111, 180), Ms20);
        assert_eq!(at(112, 151), Ms20, "what it has it keeps");
        assert_eq!(at(113, 149), Ms40);
    }

    #[test]
    fn a_rate_that_swings_around_a_border_changes_the_packets_once() {
        let (mut policy, start) = policy();
        let mut packets = Vec::new();
        for n in 0..1000 {
            let kbps = [410, 390, 405, 430, 395][n as usize % 5];
            packets.push(short(policy.plan(start + SECOND * n, path(kbps))).1);
        }
        packets.dedup();
        assert_eq!(packets, [Ms10, Ms20]);
    }

    #[test]
    fn loss_that_swings_does_not_change_the_packets() {
        let (mut policy, start) = policy();
        let mut packets = Vec::new();
        for n in 0..1000 {
            policy.reported([0.02, 0.12, 0.05, 0.0, 0.1][n as usize % 5]);
            packets.push(short(policy.plan(start + SECOND * n, path(2000))).1);
        }
        packets.dedup();
        assert_eq!(packets, [Ms10]);
        let clean = (0..100).map(|n| {
            policy.reported(0.0);
            short(policy.plan(start + SECOND * (1000 + n), path(2000)))
        });
        let clean: Vec<_> = clean.collect();
        assert_eq!(clean.last(), Some(&(32, Ms10, 0)));
        let on = clean.iter().filter(|plan| plan.2 > 0).count();
        assert!((5..60).contains(&on), "copies for {on} s after the last loss");
    }

    #[test]
    fn a_voice_that_is_alone_takes_more_of_its_path_for_copies() {
        // Two copies of 24 kbit/s are 102 kbit/s on the wire.
        assert_eq!(short(settled(VoicePath { alone: true, ..path(132) }, 0.2)), (24, Ms20, 2));
        assert_eq!(short(settled(path(180), 0.2)).2, 1, "beside video");
        assert_eq!(short(settled(VoicePath { alone: true, ..path(200) }, 0.2)).2, 2, "as many as are wanted");
    }

    #[test]
    fn one_lost_packet_in_500_is_no_reason_for_copies() {
        let (mut policy, start) = policy();
        for n in 0..200 {
            policy.reported(f64::from(n % 5 / 4) / 100.0);
            assert_eq!(short(policy.plan(start + SECOND * n, path(2000))).2, 0);
        }
        policy.reported(0.06);
        assert_eq!(short(policy.plan(start + 200 * SECOND, path(2000))).2, 1, "a bad second is one");
    }

    #[test]
    fn without_copies_there_is_in_band_fec_or_deep_redundancy() {
        for (kbps, loss, takes_dred, deep) in [
            (2000, 0.19, true, false),
            (2000, 0.21, true, true),
            (200, 0.21, true, true),
            (2000, 0.21, false, false),
            // At 16 kbit/s it would have nothing.
            (100, 0.21, true, false),
        ] {
            let plan = settled(VoicePath { takes_red: false, takes_dred, ..path(kbps) }, loss);
            let expected = if deep { Redundancy::Dred } else { Redundancy::None };
            assert_eq!(plan.redundancy, expected, "{kbps} {loss} {takes_dred}");
            let VoiceEncoding { packet, fec, expected_loss, dred, .. } = plan.encoding;
            assert_eq!((fec, dred.is_none()), (!deep, !deep));
            assert!(expected_loss.get() >= 19 && (!deep || packet >= Ms20), "{plan:?}");
        }
        let both = settled(VoicePath { takes_dred: true, ..path(2000) }, 0.3);
        assert_eq!(both.redundancy, Redundancy::Red { copies: 3 }, "copies are better where they are taken");
    }

    #[test]
    fn reports_that_cannot_be_change_nothing() {
        for lost in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert_eq!(short(settled(path(2000), lost)), (32, Ms10, 0), "{lost}");
        }
        assert_eq!(short(settled(path(2000), 1e300)), (32, Ms10, 3));
        let endless = VoicePath { rate: Bitrate::from_bps(u64::MAX), ..path(0) };
        assert_eq!(short(settled(endless, 0.3)).0, 32);
        // The clock stands still, and goes back.
        let (mut policy, now) = policy();
        policy.plan(now, path(20));
        policy.plan(now, path(2000));
        assert_eq!(short(policy.plan(now - 5 * SECOND, path(2000))).1, Ms60);
    }
}
