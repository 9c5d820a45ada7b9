//! Where a peer's media goes: pictures into its hub stream, sound into the mixer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use ahoy_media::{
    audio::{
        jitter::Packet,
        mixer::{AudioStream, MixerError, MixerHandle, StreamStats},
        opus::packet_samples,
    },
    video::{EncodedFrame, vp8::frame_size},
    webm::hub::{Hub, StreamId},
};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{actor::Notice, routes::Routes};
use crate::{
    id::PeerId,
    link::{OutgoingAudio, ReceivedAudio, Sinks},
    rtp::{VIDEO_CLOCK_HZ, media_time::MediaTime, receive::ReceivedFrame, sync::Playout},
};

/// One peer's place in the mixer, shared by the link that fills it and the engine that reads its stats.
#[derive(Clone)]
pub(super) struct RemoteSound(Arc<Mutex<AudioStream>>);

impl RemoteSound {
    pub(super) fn new(mixer: &MixerHandle) -> Result<Self, MixerError> {
        Ok(Self(Arc::new(Mutex::new(mixer.add_stream()?))))
    }

    pub(super) fn stats(&self) -> StreamStats {
        self.lock().stats()
    }

    /// How loud it is played now, 0 to 1.
    pub(super) fn level(&self) -> f32 {
        self.lock().level()
    }

    fn playout(&self) -> Option<Playout> {
        let playout = self.stats().playout?;
        Some(Playout { timestamp: playout.playing.timestamp, at: playout.at })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, AudioStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sinks of a peer's link.
pub(super) fn sinks(
    hub: &Hub,
    stream: StreamId,
    sound: Option<&RemoteSound>,
    peer: PeerId,
    notices: mpsc::UnboundedSender<Notice>,
    echo: Option<Routes>,
) -> Sinks {
    let (video_echo, audio_echo) = (echo.clone().map(|to| (to, peer.clone())), echo.map(|to| (to, peer.clone())));
    let pictures = hub.open(stream, move || drop(notices.send(Notice::RemoteKeyFrameWanted(peer.clone()))));
    let (mut media_time, mut size) = (MediaTime::new(VIDEO_CLOCK_HZ), (0, 0));
    let (playing, hearing, holding) = (sound.cloned(), sound.cloned(), sound.cloned());
    Sinks {
        audio: Box::new(move |audio| {
            if let Some((routes, peer)) = &audio_echo
                && !audio.redundant
            {
                routes.echo_audio(peer, echoed(&audio));
            }
            if let Some(hearing) = &hearing {
                hearing.lock().push(Packet {
                    ssrc: audio.ssrc,
                    sequence: audio.sequence,
                    timestamp: audio.timestamp,
                    payload: audio.payload,
                    arrival: audio.arrival,
                    redundant: audio.redundant,
                });
            }
        }),
        video: Box::new(move |frame: ReceivedFrame| {
            if frame.key {
                size = frame_size(&frame.data).unwrap_or(size);
            }
            let (captured_at, (width, height)) = (Instant::now(), size);
            let timestamp = media_time.at(frame.timestamp, captured_at);
            let frame = EncodedFrame { data: frame.data, key: frame.key, width, height, captured_at };
            pictures.push(&frame, timestamp);
            if let Some((routes, peer)) = &video_echo {
                routes.echo_video(peer, &frame);
            }
        }),
        playout: Box::new(move || playing.as_ref()?.playout()),
        hold_sound: Box::new(move |delay| {
            if let Some(sound) = &holding {
                sound.lock().set_extra_delay(delay);
            }
        }),
    }
}

/// A packet as it came, to be sent back. Its capture is now: the echo's sender reports are its own.
fn echoed(audio: &ReceivedAudio<'_>) -> OutgoingAudio {
    let samples = packet_samples(audio.payload).unwrap_or(0) as u32;
    OutgoingAudio { payload: Bytes::copy_from_slice(audio.payload), samples, captured_at: Instant::now() }
}
