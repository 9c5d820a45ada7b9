//! Where a peer's media goes: pictures into its hub stream, sound into the mixer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ahoy_media::{
    audio::{
        jitter::Packet,
        mixer::{AudioStream, MixerHandle, StreamStats},
    },
    video::{EncodedFrame, vp8::frame_size},
    webm::hub::{Hub, StreamId},
};
use tokio::sync::mpsc;

use super::actor::Notice;
use crate::{
    id::PeerId,
    link::Sinks,
    rtp::{VIDEO_CLOCK_HZ, receive::ReceivedFrame, sync::Playout},
};

/// One peer's place in the mixer, shared by the link that fills it and the engine that reads its figures.
#[derive(Clone)]
pub(super) struct RemoteSound(Arc<Mutex<AudioStream>>);

impl RemoteSound {
    pub(super) fn new(mixer: &MixerHandle) -> Self {
        Self(Arc::new(Mutex::new(mixer.add_stream())))
    }

    pub(super) fn stats(&self) -> StreamStats {
        self.lock().stats()
    }

    fn playout(&self) -> Option<Playout> {
        let playing = self.stats().playing?;
        Some(Playout { timestamp: playing.timestamp, at: playing.at })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, AudioStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns RTP timestamps into time since the stream's first picture, over any number of wraps.
#[derive(Debug, Default)]
struct StreamTime {
    last: Option<u32>,
    ticks: u64,
}

impl StreamTime {
    fn at(&mut self, timestamp: u32) -> Duration {
        let step = self.last.map_or(0, |last| timestamp.wrapping_sub(last) as i32);
        // Backwards: a sender that started anew. The muxer keeps timestamps rising; the picture just goes on.
        self.ticks = self.ticks.saturating_add_signed(i64::from(step.max(0)));
        self.last = Some(timestamp);
        Duration::from_nanos(self.ticks.saturating_mul(1_000_000_000) / u64::from(VIDEO_CLOCK_HZ))
    }
}

/// The sinks of a peer's link.
pub(super) fn sinks(
    hub: &Hub,
    stream: StreamId,
    sound: &RemoteSound,
    peer: PeerId,
    notices: mpsc::UnboundedSender<Notice>,
) -> Sinks {
    let pictures = hub.open(stream, move || drop(notices.send(Notice::RemoteKeyFrameWanted(peer.clone()))));
    let (mut time, mut size) = (StreamTime::default(), (0, 0));
    let (playing, hearing) = (sound.clone(), sound.clone());
    Sinks {
        audio: Box::new(move |audio| {
            hearing.lock().push(Packet {
                ssrc: audio.ssrc,
                sequence: audio.sequence,
                timestamp: audio.timestamp,
                payload: audio.payload,
                arrival: audio.arrival,
            });
        }),
        video: Box::new(move |frame: ReceivedFrame| {
            if frame.key {
                size = frame_size(&frame.data).unwrap_or(size);
            }
            let (timestamp, (width, height)) = (time.at(frame.timestamp), size);
            let captured_at = Instant::now();
            pictures.push(&EncodedFrame { data: frame.data, key: frame.key, width, height, captured_at }, timestamp);
        }),
        playout: Box::new(move || playing.playout()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_time_rises_over_wraps_and_restarts() {
        let mut time = StreamTime::default();
        for (timestamp, ms) in [(u32::MAX - 8999, 0), (0, 100), (90_000, 1100), (5, 1100), (90_005, 2100)] {
            assert_eq!(time.at(timestamp), Duration::from_millis(ms));
        }
    }
}
