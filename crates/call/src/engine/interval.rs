//! Stats of an interval, from the totals at its start and at its end.

use std::time::Duration;

use ahoy_media::audio::SAMPLE_RATE;
use serde::Serialize;

use super::{PeerStats, VideoEncoding};
use crate::{link::Limit, quality::SentVideo};

/// Two looks are at least this far apart, for what is told of a time.
const SHORTEST: Duration = Duration::from_millis(1);

/// What we send. Counts are of the time between two looks. Serialised under names that `ahoy-peer`'s readers
/// know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sent {
    /// Payload of picture and sound, kbit/s.
    pub kbps: f64,
    /// Frames of picture a second.
    pub fps: f64,
    /// Pixels in a row; 0 while the camera is off.
    pub width: u32,
    /// Rows; 0 while the camera is off.
    pub height: u32,
    /// Key frames.
    pub key_frames: u64,
    /// What the encoder aims at; 0 while the camera is off.
    pub target_kbps: u64,
    /// What keeps the estimate of the path from rising; none before feedback came.
    pub limit: Option<Limit>,
    /// What is sent of the camera, or that it is paused; none while the camera is off.
    pub video: Option<SentVideo>,
    /// NACK messages that came.
    pub nack: u64,
    /// PLI and FIR messages that came.
    pub pli: u64,
    /// Packets of sound.
    pub audio_packets: u64,
    /// Frames that our own encoder or link threw away.
    pub dropped: u64,
    /// Time of the encoder for one frame, moving average.
    pub encode_ms: f64,
}

/// What we receive. Counts are of the time between two looks, but for those named `total`. Serialised as
/// [`Sent`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Received {
    /// Payload of picture and sound, kbit/s.
    pub kbps: f64,
    /// Frames of picture a second, decodable and in order.
    pub fps: f64,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Key frames.
    pub key_frames: u64,
    /// Packets of picture that never came.
    pub lost: u64,
    /// Packets of picture that came on request.
    pub recovered: u64,
    /// NACK messages that we sent.
    pub nack: u64,
    /// Key frames that we asked for.
    pub pli: u64,
    /// Times that the picture stood still (W3C webrtc-stats `freezeCount`).
    pub freezes: u64,
    /// How long it did.
    pub freeze_ms: f64,
    /// Longest time between two pictures since the start.
    pub longest_gap_ms_total: f64,
    /// Sound waiting to be played.
    pub jitter_buffer_ms: f64,
    /// Delay that the jitter buffer aims at.
    pub jitter_target_ms: f64,
    /// Sound that was made up.
    pub concealed_ms: f64,
    /// Sound that was played, made up or not.
    pub played_ms: f64,
    /// How much later the sound is heard than its picture can be shown; negative: earlier.
    pub av_skew_ms: Option<f64>,
    /// Packets of sound.
    pub audio_packets: u64,
}

/// What happened between two looks at the same peer, which are `elapsed` apart.
pub fn between(before: &PeerStats, now: &PeerStats, elapsed: Duration) -> (Sent, Received) {
    let seconds = elapsed.max(SHORTEST).as_secs_f64();
    let kbps = |bytes: u64| rounded(bytes as f64 * 8.0 / 1000.0 / seconds);
    let per_second = |count: u64| rounded(count as f64 / seconds);
    let (old, new) = (&before.link, &now.link);
    let (old_out, new_out) = (&old.video_out, &new.video_out);
    let (old_in, new_in) = (&old.video_in, &new.video_in);
    let (old_rx, new_rx) = (&old_in.receive, &new_in.receive);
    let (old_jitter, new_jitter) = (&before.audio.jitter, &now.audio.jitter);
    let encoder = now.video.map(|video| video.encoder);
    let sent = Sent {
        kbps: kbps(since(new_out.bytes, old_out.bytes) + since(new.audio_out.bytes, old.audio_out.bytes)),
        fps: per_second(since(new_out.frames, old_out.frames)),
        width: encoder.map_or(0, |encoder| encoder.width),
        height: encoder.map_or(0, |encoder| encoder.height),
        key_frames: since(new_out.key_frames, old_out.key_frames),
        target_kbps: now.video.map_or(0, |video| video.target.kbps()),
        limit: now.estimate.map(|estimate| estimate.limit),
        video: now.video.as_ref().map(VideoEncoding::sent),
        nack: since(new_out.nacks, old_out.nacks),
        pli: since(new_out.key_requests, old_out.key_requests),
        audio_packets: since(new.audio_out.packets, old.audio_out.packets),
        dropped: since(new_out.dropped, old_out.dropped),
        encode_ms: rounded(encoder.map_or(0.0, |encoder| encoder.encode_us / 1e3)),
    };
    let received = Received {
        kbps: kbps(since(new_rx.bytes, old_rx.bytes) + since(new.audio_in_bytes, old.audio_in_bytes)),
        fps: per_second(since(new_rx.frames, old_rx.frames)),
        width: new_in.size.0,
        height: new_in.size.1,
        key_frames: since(new_rx.key_frames, old_rx.key_frames),
        lost: since(new_rx.lost, old_rx.lost),
        recovered: since(new_rx.recovered, old_rx.recovered),
        nack: since(new_rx.nacks, old_rx.nacks),
        pli: since(new_rx.key_requests, old_rx.key_requests),
        freezes: since(new_in.freezes, old_in.freezes),
        freeze_ms: rounded_ms(new_in.frozen.saturating_sub(old_in.frozen)),
        longest_gap_ms_total: rounded_ms(new_in.longest_gap),
        jitter_buffer_ms: rounded(f64::from(new_jitter.buffered_ms)),
        jitter_target_ms: rounded(f64::from(new_jitter.target_ms)),
        concealed_ms: sound_ms(since(new_jitter.concealed_samples, old_jitter.concealed_samples)),
        played_ms: sound_ms(since(new_jitter.total_samples, old_jitter.total_samples)),
        av_skew_ms: new_in.skew.map(|skew| rounded(skew * 1e3)),
        audio_packets: since(new.audio_in_packets, old.audio_in_packets),
    };
    (sent, received)
}

impl PeerStats {
    /// Round trip in ms, to a hundredth; none before it is known.
    pub fn round_trip_ms(&self) -> Option<f64> {
        self.link.round_trip.map(rounded_ms)
    }

    /// Share of our packets that were lost lately, 0 to 1, to a hundredth of a percent: by the estimate, else
    /// by receiver reports.
    pub fn loss_out(&self) -> f64 {
        let loss = self.estimate.map_or(self.link.loss_out, |estimate| estimate.loss);
        (loss * 1e4).round() / 1e4
    }

    /// How long our packets wait in the path's queue, in ms; none before feedback came.
    pub fn queue_ms(&self) -> Option<f64> {
        self.estimate.map(|estimate| rounded_ms(estimate.queue))
    }
}

/// What came to a total. With a new call or stream it starts anew; then nothing is known of the time between.
pub fn since(now: u64, before: u64) -> u64 {
    now.saturating_sub(before)
}

/// To a hundredth: more digits would claim more than is measured.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn rounded_ms(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3)
}

fn sound_ms(samples: u64) -> f64 {
    rounded(samples as f64 * 1e3 / f64::from(SAMPLE_RATE))
}

#[cfg(test)]
mod tests {
    use ahoy_media::{units::Bitrate, video::encode::EncoderStats};

    use super::*;
    use crate::{
        engine::{Adapted, AudioIn},
        link::LinkStats,
    };

    fn nothing() -> PeerStats {
        let (link, audio) = (LinkStats::default(), AudioIn::default());
        PeerStats { peer: "p".into(), link, estimate: None, audio, video: None }
    }

    /// Totals after some seconds like this one.
    fn after(seconds: u32) -> PeerStats {
        let mut stats = nothing();
        let (times, link) = (u64::from(seconds), &mut stats.link);
        link.round_trip = Some(Duration::from_micros(12_346));
        (link.video_out.bytes, link.audio_out.bytes) = (times * 100_000, times * 25_000);
        (link.video_out.frames, link.video_out.key_frames, link.video_out.nacks) = (times * 30, times, times * 2);
        (link.video_in.receive.bytes, link.audio_in_bytes) = (times * 50_000, times * 12_500);
        (link.video_in.receive.frames, link.video_in.receive.lost) = (times * 29, times * 3);
        link.video_in.size = (640, 360);
        (link.video_in.freezes, link.video_in.frozen) = (times, Duration::from_millis(200) * seconds);
        link.video_in.skew = Some(-0.0123456);
        stats.audio.jitter.concealed_samples = times * 480;
        stats.audio.jitter.total_samples = times * 48_000;
        stats
    }

    #[test]
    fn stats_are_of_the_time_between_two_looks() {
        for (elapsed, share) in [(1000, 1.0), (500, 2.0), (2000, 0.5)] {
            let (sent, received) = between(&after(7), &after(8), Duration::from_millis(elapsed));
            assert_eq!((sent.kbps, sent.fps), (1000.0 * share, 30.0 * share), "{elapsed} ms");
            assert_eq!((received.kbps, received.fps), (500.0 * share, 29.0 * share), "{elapsed} ms");
            assert_eq!((sent.key_frames, sent.nack, received.lost, received.freezes), (1, 2, 3, 1));
            assert_eq!((received.freeze_ms, received.concealed_ms, received.played_ms), (200.0, 10.0, 1000.0));
            assert_eq!((received.width, received.height), (640, 360));
        }
    }

    #[test]
    fn nobody_reads_more_digits_than_are_measured() {
        let (_, received) = between(&after(1), &after(2), Duration::from_secs(3));
        assert_eq!((received.fps, received.av_skew_ms), (9.67, Some(-12.35)));
        assert_eq!((after(1).round_trip_ms(), nothing().round_trip_ms()), (Some(12.35), None));
    }

    #[test]
    fn totals_that_start_anew_count_nothing() {
        let (sent, received) = between(&after(9), &nothing(), Duration::from_secs(1));
        assert_eq!((sent, received), (Sent::default(), Received::default()));
    }

    #[test]
    fn two_looks_at_once_give_stats_that_can_be_shown() {
        let (sent, received) = between(&after(1), &after(2), Duration::ZERO);
        assert!(sent.kbps.is_finite() && sent.fps.is_finite() && received.kbps.is_finite() && received.fps.is_finite());
    }

    #[test]
    fn the_encoder_is_told_of_while_it_runs() {
        let encoder = EncoderStats { width: 1280, height: 720, encode_us: 4567.8, ..EncoderStats::default() };
        let target = Bitrate::from_kbps(1500);
        let video = VideoEncoding { target, format: None, adapted: Adapted::Network, halvings: 10.0, encoder };
        let filming = PeerStats { video: Some(video), ..nothing() };
        let (sent, _) = between(&nothing(), &filming, Duration::from_secs(1));
        assert_eq!((sent.width, sent.height, sent.target_kbps, sent.encode_ms), (1280, 720, 1500, 4.57));
        assert_eq!(sent.video, Some(SentVideo::Paused));
        let (sent, _) = between(&filming, &nothing(), Duration::from_secs(1));
        assert_eq!((sent.width, sent.target_kbps), (0, 0));
    }
}
