//! The pictures of one peer: put together, held for their sound, handed on.

use std::{
    collections::VecDeque,
    future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ahoy_media::video::vp8::frame_size;
use rtc::rtcp::{
    self,
    payload_feedbacks::picture_loss_indication::PictureLossIndication,
    transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers},
};
use tokio::sync::Notify;
use tracing::trace;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::{
    super::{LinkReport, rtx, stats::FreezeDetector},
    Handler, PlayoutOf, Shared, VideoSink, lock,
};
use crate::rtp::{
    VIDEO_CLOCK_HZ,
    playout::VideoPlayout,
    receive::{ReceiveOutput, ReceiveStats, ReceivedFrame, VideoPacket, VideoReceiver},
    sync::SoundHold,
};

/// Frames held for lip sync: more than the longest hold has at any rate a camera gives.
const MAX_HELD: usize = 64;

/// A picture waiting for its sound.
struct Held {
    release: Instant,
    frame: ReceivedFrame,
}

pub(super) struct IncomingVideo {
    shared: Shared,
    sink: Arc<Mutex<VideoSink>>,
    playout: PlayoutOf,
    hold_sound: Arc<dyn Fn(Duration) + Send + Sync>,
    sound_hold: SoundHold,
    key_request: Arc<Notify>,
    pause: Arc<Notify>,
    receiver: VideoReceiver,
    held: VecDeque<Held>,
    even: VideoPlayout,
    freezes: FreezeDetector,
    ssrc: u32,
    shown_any: bool,
    /// A picture was left out: nothing can be shown before the next key frame.
    skipping: bool,
    /// What was counted of streams before this SSRC.
    before: ReceiveStats,
}

impl IncomingVideo {
    /// For a track that has just begun, in the connection of `handler`.
    pub(super) fn new(handler: &Handler) -> Self {
        Self {
            shared: handler.shared.clone(),
            sink: Arc::clone(&handler.video),
            playout: Arc::clone(&handler.playout),
            hold_sound: Arc::clone(&handler.hold_sound),
            sound_hold: SoundHold::default(),
            key_request: Arc::clone(&handler.key_request),
            pause: Arc::clone(&handler.pause),
            receiver: VideoReceiver::default(),
            held: VecDeque::new(),
            even: VideoPlayout::default(),
            freezes: FreezeDetector::default(),
            ssrc: 0,
            shown_any: false,
            skipping: false,
            before: ReceiveStats::default(),
        }
    }

    pub(super) async fn run(mut self, track: Arc<dyn TrackRemote>) {
        loop {
            let held = self.held.front().map(|held| held.release);
            let due = [self.receiver.next_deadline(), held, self.sound_hold.deadline()];
            let due = due.into_iter().flatten().min();
            let alarm = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                event = track.poll() => match event {
                    Some(TrackRemoteEvent::OnRtpPacket(packet)) => self.take(packet),
                    Some(_) => continue,
                    None => return,
                },
                () = self.key_request.notified() => self.receiver.want_key_frame(Instant::now()),
                () = self.pause.notified() => {
                    // What is still held is of the time before.
                    let now = Instant::now();
                    self.held.iter_mut().for_each(|held| held.release = held.release.min(now));
                    self.show_due().await;
                    self.freezes.pause();
                }
                () = alarm => {
                    let now = Instant::now();
                    self.receiver.handle_timeout(now);
                    if self.sound_hold.expired(now) {
                        (self.hold_sound)(Duration::ZERO);
                    }
                }
            }
            self.carry_out(&*track).await;
            self.show_due().await;
        }
    }

    fn take(&mut self, packet: rtc::rtp::Packet) {
        let now = Instant::now();
        if self.ssrc != packet.header.ssrc {
            // The sender began a new stream: nothing of the old one continues in it.
            self.ssrc = packet.header.ssrc;
            self.before = self.before + self.receiver.stats();
            self.receiver = VideoReceiver::default();
            self.even = VideoPlayout::default();
        }
        let mut clocks = lock(&self.shared.clocks);
        clocks.video = Some(self.ssrc);
        if let Some(round_trip) = clocks.round_trip() {
            self.receiver.set_round_trip(round_trip);
        }
        drop(clocks);
        self.receiver.insert(
            now,
            VideoPacket {
                sequence: packet.header.sequence_number,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                repeated: rtx::is_repeat(&packet.header),
                payload: packet.payload,
            },
        );
    }

    async fn carry_out(&mut self, track: &dyn TrackRemote) {
        let sender_ssrc = self.shared.ssrcs.video;
        while let Some(output) = self.receiver.poll_output() {
            let feedback: Box<dyn rtcp::Packet> = match output {
                ReceiveOutput::Frame(frame) => {
                    self.hold(frame);
                    continue;
                }
                ReceiveOutput::Nack(sequences) => Box::new(TransportLayerNack {
                    sender_ssrc,
                    media_ssrc: self.ssrc,
                    nacks: nack_pairs_from_sequence_numbers(&sequences),
                }),
                ReceiveOutput::RequestKeyFrame => {
                    Box::new(PictureLossIndication { sender_ssrc, media_ssrc: self.ssrc })
                }
            };
            if let Err(error) = track.write_rtcp(vec![feedback]).await {
                trace!(%error, "feedback not sent");
            }
        }
        self.shared.stats.lock().video_in.receive = self.before + self.receiver.stats();
    }

    fn hold(&mut self, frame: ReceivedFrame) {
        let now = Instant::now();
        let playout = (self.playout)();
        let sync = lock(&self.shared.clocks).sync().hold(frame.timestamp, playout, now);
        // Late enough for its sound, and even.
        let hold = sync.max(self.even.hold(now, frame.timestamp, VIDEO_CLOCK_HZ));
        // In order, whatever the clocks say.
        let release = self.held.back().map_or(now + hold, |last| last.release.max(now + hold));
        if self.held.len() < MAX_HELD {
            self.held.push_back(Held { release, frame });
        } else {
            self.skipping = true;
        }
    }

    async fn show_due(&mut self) {
        let now = Instant::now();
        while self.held.front().is_some_and(|held| held.release <= now) {
            let Some(Held { frame, .. }) = self.held.pop_front() else { return };
            if !self.shared.playing.get() {
                self.freezes.pause();
                self.skipping = true;
                continue;
            }
            if self.skipping && !frame.key {
                self.receiver.want_key_frame(now);
                continue;
            }
            self.skipping = false;
            {
                let playout = (self.playout)();
                let mut stats = self.shared.stats.lock();
                let skew = lock(&self.shared.clocks).sync().skew(frame.timestamp, playout, now);
                stats.video_in.skew = skew;
                if let Some(hold) = self.sound_hold.shown(now, skew) {
                    (self.hold_sound)(hold);
                }
                self.freezes.shown(now, &mut stats.video_in);
                if let Some(size) = frame.key.then(|| frame_size(&frame.data)).flatten() {
                    stats.video_in.size = size;
                }
            }
            (lock(&self.sink))(frame);
            if !std::mem::replace(&mut self.shown_any, true) {
                self.shared.report(LinkReport::FirstVideo).await;
            }
        }
    }
}
