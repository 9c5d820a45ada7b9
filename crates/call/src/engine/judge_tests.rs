use ahoy_media::{
    audio::SAMPLE_RATE,
    units::{Bitrate, VideoFormat},
    video::encode::EncoderStats,
};

use super::*;
use crate::{
    engine::{AudioIn, VideoEncoding},
    link::{Estimate, LinkStats, Route},
    quality::SentVideo,
};

/// What a second of a call is like; everything that is not said is as in a good call.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss: f64,
    round_trip: u64,
    freezes: u64,
    concealed_ms: u64,
    /// Of 100 packets in.
    lost_in: u64,
    /// Frames that the camera gave and the link was not given.
    unsent: u64,
    encode_ms: f64,
    video: Option<SentVideo>,
    adapted: Adapted,
    halvings: f64,
    limit: Limit,
    arrives: bool,
    connected: bool,
    held: bool,
    paused_there: bool,
    says: MediaState,
}

const HD: Option<SentVideo> = Some(SentVideo::Sent(VideoFormat::HD));

const FINE: Weather = Weather {
    loss: 0.0,
    round_trip: 20,
    freezes: 0,
    concealed_ms: 0,
    lost_in: 0,
    unsent: 0,
    encode_ms: 5.0,
    video: HD,
    adapted: Adapted::No,
    halvings: 0.0,
    limit: Limit::None,
    arrives: true,
    connected: true,
    held: false,
    paused_there: false,
    says: MediaState::BOTH,
};

/// Our video is paused.
const PAUSED: Weather = Weather { video: Some(SentVideo::Paused), adapted: Adapted::Network, halvings: 10.0, ..FINE };

fn smaller(side: u32, halvings: f64, adapted: Adapted) -> Weather {
    let format = VideoFormat { width: side * 16, height: side * 9, fps: 30 };
    Weather { video: Some(SentVideo::Sent(format)), adapted, halvings, ..FINE }
}

/// A call, second by second.
struct Call {
    judge: Judge,
    now: Instant,
    start: Instant,
    totals: PeerStats,
}

impl Call {
    fn new() -> Self {
        let now = Instant::now();
        let (link, audio) = (LinkStats { route: Some(Route::Direct), ..LinkStats::default() }, AudioIn::default());
        let totals = PeerStats { peer: "p".into(), link, estimate: None, audio, video: None };
        Self { judge: Judge::new(now), now, start: now, totals }
    }

    /// Feeds the judge one second of statistics. Returns the network state if it has changed.
    fn second(&mut self, weather: Weather) -> Option<NetworkState> {
        let Weather { connected, held, says, paused_there, .. } = weather;
        if connected || self.judge.connected.is_some() {
            self.judge.set_connected(connected);
        }
        self.judge.set_held(held);
        self.judge.set_says(says, paused_there.then_some(Paused::Bandwidth));
        let PeerStats { link, audio, estimate, video, .. } = &mut self.totals;
        link.round_trip = Some(Duration::from_millis(weather.round_trip));
        let loss = weather.loss;
        let (target, queue, limit) = (Bitrate::from_kbps(1000), Duration::ZERO, weather.limit);
        *estimate = Some(Estimate { target, loss, protection: loss, queue, limit });
        let frames = video.map_or(0, |video| video.encoder.frames) + 30;
        let format = weather.video.and_then(|video| match video {
            SentVideo::Paused => None,
            SentVideo::Sent(format) => Some(format),
        });
        let encode_us = weather.encode_ms * 1e3;
        let encoder = EncoderStats { frames, encode_us, ..EncoderStats::default() };
        let (adapted, halvings) = (weather.adapted, weather.halvings);
        *video = weather.video.map(|_| VideoEncoding { target, format, adapted, halvings, encoder });
        link.video_out.frames += 30 - weather.unsent;
        link.audio_out.packets += if held { 0 } else { 50 };
        if weather.arrives && connected && !held {
            link.audio_in_packets += 100 - weather.lost_in;
            link.video_in.receive.packets += 100 - weather.lost_in;
        }
        audio.jitter.lost += weather.lost_in;
        link.video_in.receive.lost += weather.lost_in;
        link.video_in.freezes += weather.freezes;
        let samples = |ms| ms * u64::from(SAMPLE_RATE) / 1000;
        audio.jitter.concealed_samples += samples(weather.concealed_ms);
        audio.jitter.total_samples += samples(1000);
        self.now += INTERVAL;
        assert!(self.judge.is_due(self.now));
        self.judge.look(self.now, self.totals.clone())
    }

    /// Feeds the judge one second each. Returns each change of the network state, with its second.
    fn passes(&mut self, seconds: u32, weather: Weather) -> Vec<(u64, NetworkState)> {
        (0..seconds)
            .filter_map(|_| {
                let told = self.second(weather);
                told.map(|told| ((self.now - self.start).as_secs(), told))
            })
            .collect()
    }

    /// The newest quality and its reason after some seconds of this.
    fn after(weather: Weather) -> (Quality, Option<NetworkReason>, Option<Flow>) {
        let mut call = Self::new();
        let told = call.passes(12, weather);
        let (_, state) = told.last().expect("something is told");
        (state.quality, state.reason, state.flow)
    }
}

#[test]
fn each_stat_has_its_quality_and_its_reason() {
    use Flow::{Receiving, Sending};
    use NetworkReason::{Bandwidth, Delay, Loss, Processor};
    use Quality::{Fair, Good, Poor};
    let limited = Adapted::Network;
    for (weather, quality, reason) in [
        (FINE, Good, None),
        (Weather { loss: 0.029, round_trip: 299, concealed_ms: 29, unsent: 7, ..FINE }, Good, None),
        (Weather { loss: 0.03, ..FINE }, Fair, Some((Loss, Some(Sending)))),
        (Weather { loss: 0.2, ..FINE }, Poor, Some((Loss, Some(Sending)))),
        (Weather { round_trip: 300, ..FINE }, Fair, Some((Delay, None))),
        (Weather { round_trip: 600, ..FINE }, Poor, Some((Delay, None))),
        (Weather { concealed_ms: 30, ..FINE }, Fair, Some((Delay, Some(Receiving)))),
        (Weather { concealed_ms: 30, lost_in: 5, ..FINE }, Fair, Some((Loss, Some(Receiving)))),
        (Weather { concealed_ms: 100, lost_in: 5, ..FINE }, Poor, Some((Loss, Some(Receiving)))),
        // Loss that is repaired is not noticed.
        (Weather { lost_in: 10, ..FINE }, Good, None),
        (Weather { freezes: 1, ..FINE }, Poor, Some((Delay, Some(Receiving)))),
        (Weather { unsent: 15, ..FINE }, Fair, Some((Bandwidth, Some(Sending)))),
        (Weather { unsent: 15, encode_ms: 32.0, ..FINE }, Fair, Some((Processor, Some(Sending)))),
        (Weather { unsent: 30, ..FINE }, Poor, Some((Bandwidth, Some(Sending)))),
        (smaller(60, 0.83, limited), Good, None),
        (smaller(40, 2.0, limited), Fair, Some((Bandwidth, Some(Sending)))),
        (smaller(40, 2.0, Adapted::Processor), Fair, Some((Processor, Some(Sending)))),
        // By the user's choice: no reason to complain.
        (smaller(40, 2.0, Adapted::No), Good, None),
        (smaller(20, 5.0, limited), Poor, Some((Bandwidth, Some(Sending)))),
        (PAUSED, Poor, Some((Bandwidth, Some(Sending)))),
        (Weather { paused_there: true, ..FINE }, Poor, Some((Bandwidth, Some(Receiving)))),
        // What is furthest over its limit is the reason.
        (Weather { loss: 0.05, round_trip: 590, ..FINE }, Fair, Some((Delay, None))),
    ] {
        let (reason, flow) = reason.map_or((None, None), |(reason, flow)| (Some(reason), flow));
        assert_eq!(Call::after(weather), (quality, reason, flow), "{weather:?}");
    }
}

#[test]
fn a_good_call_is_told_once_when_that_is_known() {
    let mut call = Call::new();
    let told = call.passes(600, FINE);
    assert_eq!(told.len(), 1, "{told:?}");
    let (second, state) = told[0];
    // One look for the first totals, and a whole window.
    assert_eq!(second, 1 + WINDOW as u64);
    let network = NetworkState {
        quality: Quality::Good,
        reason: None,
        flow: None,
        video: HD,
        adapted: Adapted::No,
        route: Some(Route::Direct),
    };
    assert_eq!(state, network);
}

#[test]
fn nothing_is_told_before_the_call_is_connected() {
    let mut call = Call::new();
    assert!(call.passes(20, Weather { connected: false, ..FINE }).is_empty());
    assert_eq!(call.passes(20, FINE).len(), 1);
}

#[test]
fn a_stat_about_its_limit_is_told_once() {
    for (below, above) in [
        (Weather { loss: 0.025, ..FINE }, Weather { loss: 0.036, ..FINE }),
        (Weather { round_trip: 250, ..FINE }, Weather { round_trip: 360, ..FINE }),
        (Weather { concealed_ms: 25, ..FINE }, Weather { concealed_ms: 36, ..FINE }),
    ] {
        let mut call = Call::new();
        let mut told = vec![];
        for _ in 0..100 {
            told.extend(call.passes(4, below));
            told.extend(call.passes(4, above));
        }
        let qualities: Vec<_> = told.iter().map(|(_, state)| state.quality).collect();
        assert_eq!(qualities, [Quality::Good, Quality::Fair], "{below:?}");
    }
}

#[test]
fn two_reasons_that_are_as_bad_as_each_other_do_not_take_turns() {
    let (one, other) =
        (Weather { loss: 0.05, round_trip: 480, ..FINE }, Weather { loss: 0.048, round_trip: 500, ..FINE });
    let mut call = Call::new();
    let told: usize = (0..50).map(|_| call.passes(4, one).len() + call.passes(4, other).len()).sum();
    assert_eq!(told, 1);
}

#[test]
fn one_freeze_is_fair_for_its_window_and_two_are_poor() {
    let frozen = Weather { freezes: 1, ..FINE };
    let qualities = |told: Vec<(u64, NetworkState)>| told.iter().map(|(_, state)| state.quality).collect::<Vec<_>>();
    let mut call = Call::new();
    call.passes(10, FINE);
    assert_eq!(qualities(call.passes(1, frozen)), [Quality::Fair]);
    assert_eq!(
        call.passes(20, FINE).iter().map(|(at, state)| (*at, state.quality)).collect::<Vec<_>>(),
        [(16, Quality::Good)]
    );
    let told = [call.passes(1, frozen), call.passes(1, FINE), call.passes(1, frozen), call.passes(20, FINE)].concat();
    assert_eq!(qualities(told), [Quality::Fair, Quality::Poor, Quality::Fair, Quality::Good]);
}

#[test]
fn paused_video_is_told_within_a_second_and_so_is_its_end() {
    let mut call = Call::new();
    call.passes(10, FINE);
    let told = call.passes(6, PAUSED);
    assert_eq!((told[0].0, told[0].1.video, told[0].1.adapted), (11, Some(SentVideo::Paused), Adapted::Network));
    let poor = told.iter().find(|(_, state)| state.quality == Quality::Poor).expect("it becomes poor");
    assert_eq!((poor.0, poor.1.reason), (13, Some(NetworkReason::Bandwidth)));
    let told = call.passes(10, FINE);
    assert_eq!((told[0].0, told[0].1.video), (17, HD));
    assert_eq!(told.last().map(|(_, state)| (state.quality, state.reason)), Some((Quality::Good, None)));
}

#[test]
fn video_that_is_paused_from_the_start_is_told_before_the_window_is_full() {
    let mut call = Call::new();
    assert_eq!(call.passes(10, PAUSED)[0].0, 2);
}

#[test]
fn a_call_that_begins_small_while_its_path_is_found_is_a_good_one() {
    let mut call = Call::new();
    let told = [call.passes(2, smaller(30, 2.83, Adapted::Network)), call.passes(10, FINE)].concat();
    assert_eq!(told.iter().map(|(_, state)| state.quality).collect::<Vec<_>>(), [Quality::Good]);
}

#[test]
fn an_outage_is_told_at_once_where_the_connection_is_lost_and_after_two_seconds_where_packets_stop() {
    let silent = Weather { arrives: false, ..FINE };
    let deaf = Weather { limit: Limit::Outage, ..FINE };
    for (weather, second, flow) in [
        (Weather { connected: false, ..FINE }, 11, None),
        (silent, 13, Some(Flow::Receiving)),
        (deaf, 13, Some(Flow::Sending)),
        (Weather { arrives: false, ..deaf }, 13, None),
    ] {
        let mut call = Call::new();
        call.passes(10, FINE);
        let told = call.passes(10, weather);
        let lost: Vec<_> = told.iter().map(|(at, state)| (*at, state.quality, state.reason, state.flow)).collect();
        assert_eq!(lost, [(second, Quality::Lost, Some(NetworkReason::Outage), flow)], "{weather:?}");
        let told = call.passes(10, FINE);
        assert_eq!(told[0].0, 21);
        assert!(told.iter().all(|(_, state)| state.quality == Quality::Good), "{told:?}");
    }
}

#[test]
fn silence_that_nobody_has_to_fill_is_no_outage() {
    let silent = Weather { arrives: false, ..FINE };
    for weather in [
        Weather { says: MediaState::NONE, ..silent },
        Weather { says: MediaState { audio: false, video: true }, ..silent },
        Weather { held: true, limit: Limit::Outage, ..silent },
    ] {
        let mut call = Call::new();
        call.passes(10, FINE);
        assert!(call.passes(60, weather).is_empty(), "{weather:?}");
        assert!(call.passes(10, FINE).is_empty(), "{weather:?}");
    }
}

#[test]
fn a_look_that_comes_late_counts_by_the_second() {
    let mut call = Call::new();
    call.passes(10, FINE);
    // A freeze in ten seconds, seen at once.
    call.now += Duration::from_secs(9);
    let told = call.second(Weather { freezes: 1, ..FINE });
    assert_eq!(told, None);
}
