//! From encoded media to packets on the stack.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Instant,
};

use ahoy_media::video::EncodedFrame;
use bytes::Bytes;
use rtc::rtp;
use tokio::sync::mpsc;
use tracing::trace;
use webrtc::{
    media_stream::track_local::{TrackLocal, static_rtp::TrackLocalStaticRTP},
    peer_connection::transport::IceTransport,
    rtp_transceiver::RtpSender,
};

use super::{
    stack::{Feedback, MIME_TYPE_RED, Switch},
    stats::{SharedStats, StreamOut},
};
use crate::{
    message::MediaState,
    rtp::{
        AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ,
        clock::MediaClock,
        red::RedWriter,
        report::{self, SenderReports},
        voice::Redundancy,
        vp8,
    },
};

/// Frames that may wait for their packets to leave: a quarter of a second. More is delay that nobody wants to
/// see.
const VIDEO_QUEUE: usize = 8;
/// Packets of sound that may wait: as much.
const AUDIO_QUEUE: usize = 16;
/// Sound whose capture time is off from its sample count by more than this has had a gap: a lost device, a
/// pause.
const AUDIO_GAP_TICKS: u32 = AUDIO_CLOCK_HZ / 10;
/// No payload type is negotiated. (0 is PCMU, which we never send.)
pub(super) const NO_PAYLOAD_TYPE: u8 = 0;

/// One packet of sound from the microphone.
#[derive(Clone, Debug)]
pub struct OutgoingAudio {
    /// The Opus packet; empty where there is nothing to send (DTX).
    pub payload: Bytes,
    /// Duration in samples at 48 kHz.
    pub samples: u32,
    /// When its first sample was captured.
    pub captured_at: Instant,
}

/// The link's end of the encoder.
#[derive(Debug)]
pub(super) struct VideoQueue {
    to: mpsc::Sender<EncodedFrame>,
    /// A frame was dropped: nothing decodes before the next key frame.
    broken: AtomicBool,
}

pub(super) type VideoSource = mpsc::Receiver<EncodedFrame>;

pub(super) fn video_queue() -> (VideoQueue, VideoSource) {
    let (to, from) = mpsc::channel(VIDEO_QUEUE);
    (VideoQueue { to, broken: AtomicBool::new(false) }, from)
}

impl VideoQueue {
    pub(super) fn push(&self, frame: &EncodedFrame) -> bool {
        if self.broken.load(Ordering::Relaxed) && !frame.key {
            return false;
        }
        let sent = self.to.try_send(frame.clone()).is_ok();
        self.broken.store(!sent, Ordering::Relaxed);
        sent
    }
}

/// The link's end of the microphone.
#[derive(Debug)]
pub(super) struct AudioQueue(mpsc::Sender<OutgoingAudio>);

pub(super) type AudioSource = mpsc::Receiver<OutgoingAudio>;

pub(super) fn audio_queue() -> (AudioQueue, AudioSource) {
    let (to, from) = mpsc::channel(AUDIO_QUEUE);
    (AudioQueue(to), from)
}

impl AudioQueue {
    pub(super) fn push(&self, packet: OutgoingAudio) {
        // Full: the link is stuck, and sound that late is of no use.
        let _ = self.0.try_send(packet);
    }
}

/// What may leave. Closed until the link is connected and the call state says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<GateState>);

#[derive(Debug, Default)]
struct GateState {
    connected: AtomicBool,
    audio: AtomicBool,
    video: AtomicBool,
}

impl Gate {
    pub(super) fn set_sending(&self, media: MediaState) {
        self.0.audio.store(media.audio, Ordering::Relaxed);
        self.0.video.store(media.video, Ordering::Relaxed);
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.0.connected.store(connected, Ordering::Relaxed);
    }

    pub(super) fn lets_video_out(&self) -> bool {
        self.0.connected.load(Ordering::Relaxed) && self.0.video.load(Ordering::Relaxed)
    }

    fn lets_audio_out(&self) -> bool {
        self.0.connected.load(Ordering::Relaxed) && self.0.audio.load(Ordering::Relaxed)
    }
}

/// How the voice on this link is sent, beside the encoding, which all links share.
#[derive(Clone, Debug, Default)]
pub(super) struct Voice {
    copies: Arc<AtomicU8>,
    /// The other side takes redundancy (RFC 2198).
    pub(super) takes_red: Switch,
    /// The other side reads the deep redundancy that we write.
    pub(super) takes_dred: Switch,
}

impl Voice {
    pub(super) fn set_copies(&self, redundancy: Redundancy) {
        let copies = match redundancy {
            Redundancy::Red { copies } => copies,
            Redundancy::None | Redundancy::Dred => 0,
        };
        self.copies.store(copies, Ordering::Relaxed);
    }

    /// Packets that each packet repeats.
    pub(super) fn copies(&self) -> usize {
        self.copies.load(Ordering::Relaxed).into()
    }
}

/// An outgoing track and what its packets' headers need.
pub(super) struct OutgoingTrack {
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    pub(super) ssrc: u32,
    mime_type: String,
    payload_type: AtomicU8,
    /// Of redundancy (RFC 2198); for sound only.
    red_payload_type: AtomicU8,
}

impl OutgoingTrack {
    pub(super) fn new(
        track: Arc<TrackLocalStaticRTP>,
        sender: Arc<dyn RtpSender>,
        ssrc: u32,
        mime_type: String,
    ) -> Self {
        let none = || AtomicU8::new(NO_PAYLOAD_TYPE);
        Self { track, sender, ssrc, mime_type, payload_type: none(), red_payload_type: none() }
    }

    /// Takes over the payload types that both sides agreed on; none where the other side does not receive
    /// this medium: the stack gives its own preference then. Whether there is one.
    pub(super) async fn learn_payload_type(&self, received: bool) -> bool {
        let agreed = self.sender.get_parameters().await.ok().filter(|_| received);
        let codecs = agreed.map(|parameters| parameters.rtp_parameters.codecs).unwrap_or_default();
        for (mime_type, number) in [(&*self.mime_type, &self.payload_type), (MIME_TYPE_RED, &self.red_payload_type)] {
            let codec = codecs.iter().find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(mime_type));
            number.store(codec.map_or(NO_PAYLOAD_TYPE, |codec| codec.payload_type), Ordering::Relaxed);
        }
        self.payload_type().is_some()
    }

    /// What the track's packets go through; none before it is negotiated.
    pub(super) async fn ice_transport(&self) -> Option<Arc<dyn IceTransport>> {
        Some(self.sender.transport().await.ok()??.ice_transport())
    }

    fn payload_type(&self) -> Option<u8> {
        agreed(&self.payload_type)
    }

    /// Whether the other side takes redundancy (RFC 2198).
    pub(super) fn takes_red(&self) -> bool {
        self.red_payload_type().is_some()
    }

    fn red_payload_type(&self) -> Option<u8> {
        agreed(&self.red_payload_type)
    }

    async fn write(&self, header: Header, payload: Bytes) -> bool {
        let packet = rtp::Packet {
            header: rtp::header::Header {
                version: 2,
                marker: header.marker,
                payload_type: header.payload_type,
                sequence_number: header.sequence,
                timestamp: header.timestamp,
                ssrc: self.ssrc,
                ..Default::default()
            },
            payload,
        };
        match self.track.write_rtp(packet).await {
            Ok(()) => true,
            Err(error) => {
                trace!(%error, "packet not sent");
                false
            }
        }
    }

    async fn report(&self, reports: &mut SenderReports, feedback: &Feedback) {
        if let Some(report) = reports.report(Instant::now(), &feedback.wall)
            && let Err(error) = self.track.write_rtcp(vec![Box::new(report)]).await
        {
            trace!(%error, "sender report not sent");
        }
    }
}

fn agreed(payload_type: &AtomicU8) -> Option<u8> {
    Some(payload_type.load(Ordering::Relaxed)).filter(|payload_type| *payload_type != NO_PAYLOAD_TYPE)
}

struct Header {
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
}

/// Packetizes frames and hands them to the stack, whose send queue paces them, until the encoder's end is
/// dropped.
pub(super) async fn video(
    mut source: VideoSource,
    track: Arc<OutgoingTrack>,
    gate: Gate,
    stats: SharedStats,
    feedback: Feedback,
) {
    let clock = MediaClock::new(VIDEO_CLOCK_HZ, Instant::now(), fastrand::u32(..));
    let mut reports = SenderReports::new(track.ssrc, VIDEO_CLOCK_HZ);
    // RFC 3550 section 5.1 and RFC 7741 section 4.2 want random starts; half of the range leaves a wrap for
    // later.
    let (mut sequence, mut picture_id) = (fastrand::u16(..0x8000), fastrand::u16(..0x8000));
    let mut report_due = tokio::time::interval(report::INTERVAL);
    report_due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let frame = tokio::select! {
            frame = source.recv() => frame,
            _ = report_due.tick() => {
                track.report(&mut reports, &feedback).await;
                continue;
            }
        };
        let Some(frame) = frame else { return };
        let (Some(payload_type), true) = (track.payload_type(), gate.lets_video_out()) else { continue };
        let timestamp = clock.timestamp(frame.captured_at);
        let payloads = vp8::packetize(&frame.data, picture_id);
        let (packets, mut sent) = (payloads.len(), true);
        for (index, payload) in payloads.enumerate() {
            let bytes = payload.len();
            let header = Header { marker: index + 1 == packets, payload_type, sequence, timestamp };
            if track.write(header, payload).await {
                reports.sent(bytes, timestamp, frame.captured_at);
            } else {
                sent = false;
            }
            sequence = sequence.wrapping_add(1);
        }
        picture_id = picture_id.wrapping_add(1);
        count(&mut stats.lock().video_out, packets, frame.data.len(), frame.key, sent);
        if reports.first_is_due() {
            track.report(&mut reports, &feedback).await;
        }
    }
}

fn count(out: &mut StreamOut, packets: usize, bytes: usize, key: bool, sent: bool) {
    if sent {
        out.packets += packets as u64;
        out.bytes += bytes as u64;
        out.frames += 1;
        out.key_frames += u64::from(key);
    } else {
        out.dropped += 1;
    }
}

/// Sends packets of sound until the microphone's end is dropped.
pub(super) async fn audio(
    mut source: AudioSource,
    track: Arc<OutgoingTrack>,
    gate: Gate,
    stats: SharedStats,
    feedback: Feedback,
) {
    let clock = MediaClock::new(AUDIO_CLOCK_HZ, Instant::now(), fastrand::u32(..));
    let mut reports = SenderReports::new(track.ssrc, AUDIO_CLOCK_HZ);
    let (mut sequence, mut repeating) = (fastrand::u16(..0x8000), RedWriter::default());
    let mut next_timestamp: Option<u32> = None;
    // The first packet after silence, or a gap, is marked: a receiver may change its playout delay there (RFC
    // 3551 section 4.1).
    let mut silent = true;
    let mut report_due = tokio::time::interval(report::INTERVAL);
    report_due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let packet = tokio::select! {
            packet = source.recv() => packet,
            _ = report_due.tick() => {
                track.report(&mut reports, &feedback).await;
                continue;
            }
        };
        let Some(packet) = packet else { return };
        // Timestamps count samples, so that a receiver sees no jitter that the capture clock did not have;
        // they jump only where capture had a gap.
        let by_clock = clock.timestamp(packet.captured_at);
        let timestamp = match next_timestamp {
            Some(next) if (by_clock.wrapping_sub(next) as i32).unsigned_abs() <= AUDIO_GAP_TICKS => next,
            Some(_) => {
                silent = true;
                by_clock
            }
            None => by_clock,
        };
        next_timestamp = Some(timestamp.wrapping_add(packet.samples));
        let open = gate.lets_audio_out();
        let (Some(payload_type), true, false) = (track.payload_type(), open, packet.payload.is_empty()) else {
            silent = true;
            continue;
        };
        let (payload_type, payload) = match track.red_payload_type() {
            Some(red) if feedback.voice.copies() > 0 => {
                (red, repeating.write(payload_type, timestamp, &packet.payload, feedback.voice.copies()))
            }
            Some(_) | None => (payload_type, packet.payload.clone()),
        };
        repeating.sent(timestamp, packet.payload);
        let bytes = payload.len();
        let header = Header { marker: silent, payload_type, sequence, timestamp };
        silent = false;
        let sent = track.write(header, payload).await;
        if sent {
            reports.sent(bytes, timestamp, packet.captured_at);
        }
        sequence = sequence.wrapping_add(1);
        count(&mut stats.lock().audio_out, 1, bytes, false, sent);
        if reports.first_is_due() {
            track.report(&mut reports, &feedback).await;
        }
    }
}
