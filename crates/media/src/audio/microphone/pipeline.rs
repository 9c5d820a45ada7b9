//! The thread of a microphone: takes frames from the source, processes, mutes, encodes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{Controls, EncodedAudio, MicrophoneEvent, MicrophoneSettings, silence::Silence, source::Source};
use crate::audio::{
    FRAME_SAMPLES, Frame,
    opus::{DTX_PACKET, Encoder, MAX_PACKET, OpusError, OpusFrame},
    process::{EchoReference, ProcessingSettings, Processor},
    tone::dbfs,
};

/// Sound over this is told as voice: above a quiet room, under a talker at arm's length.
const VOICE_DBFS: f32 = -50.0;
/// How much of the meter's level is left after a frame: it falls by 20 dB in a quarter of a second and rises
/// at once.
const METER_RELEASE: f32 = 0.83;

pub(super) struct Pipeline {
    source: Source,
    processor: Processor,
    reference: EchoReference,
    controls: Arc<Controls>,
    encoder: Encoder,
    /// Processed samples that do not fill a packet yet.
    pcm: Vec<f32>,
    /// Samples of the packet that is being filled.
    packet_samples: usize,
    captured_at: Option<Instant>,
    voice: bool,
    packet: [u8; MAX_PACKET],
    meter: f32,
}

impl Pipeline {
    pub fn new(
        source: Source,
        settings: MicrophoneSettings,
        reference: EchoReference,
        controls: Arc<Controls>,
    ) -> Result<Self, OpusError> {
        Ok(Self {
            source,
            processor: Processor::new(settings.processing),
            reference,
            controls,
            encoder: Encoder::new(settings.opus)?,
            pcm: Vec::with_capacity(OpusFrame::Ms60.samples()),
            packet_samples: settings.opus.frame.samples(),
            captured_at: None,
            voice: false,
            packet: [0; MAX_PACKET],
            meter: 0.0,
        })
    }

    pub fn run(mut self, mut sink: impl FnMut(EncodedAudio<'_>), events: impl Fn(MicrophoneEvent)) {
        let mut frame: Frame = [0.0; FRAME_SAMPLES];
        let mut silence = Silence::new(Instant::now());
        self.reference.clear();
        while !self.controls.stop.load(Ordering::Acquire) {
            let Some(captured_at) = self.source.next(&mut frame, &events) else { continue };
            let (now, muted) = (Instant::now(), self.controls.muted.load(Ordering::Acquire));
            let change = if self.source.is_away() {
                silence.forget(now)
            } else if muted {
                silence.pause(now);
                None
            } else {
                silence.observe(&frame, now)
            };
            if let Some(change) = change {
                events(change);
            }
            self.process(&mut frame);
            // Looked at again: it may have been muted in between.
            if self.controls.muted.load(Ordering::Acquire) {
                frame.fill(0.0);
            }
            self.encode(&frame, captured_at, &mut sink);
            self.controls.overruns.store(self.source.overruns(), Ordering::Relaxed);
        }
    }

    fn process(&mut self, frame: &mut Frame) {
        let wanted = ProcessingSettings::from_bits(self.controls.processing.load(Ordering::Acquire));
        self.processor.set(if self.source.is_processed() { wanted } else { ProcessingSettings::OFF });
        // What was played goes first: the canceller has to know it before the microphone hears it.
        while let Some(played) = self.reference.pop() {
            self.processor.far_end(&played);
        }
        self.processor.near_end(frame);
        self.meter = rms(frame).max(self.meter * METER_RELEASE);
        self.controls.level.store(dbfs(self.meter).to_bits(), Ordering::Relaxed);
    }

    fn encode(&mut self, frame: &Frame, captured_at: Instant, sink: &mut impl FnMut(EncodedAudio<'_>)) {
        let captured_at = *self.captured_at.get_or_insert(captured_at);
        self.voice |= dbfs(rms(frame)) > VOICE_DBFS;
        if self.pcm.is_empty() {
            self.configure();
        }
        self.pcm.extend_from_slice(frame);
        if self.pcm.len() < self.packet_samples {
            return;
        }
        let written = self.encoder.encode(&self.pcm, &mut self.packet).unwrap_or_else(|error| {
            // The frames around it are not touched, and the far end conceals this one.
            tracing::warn!(%error, "a frame of sound is lost");
            0
        });
        let dtx = written <= DTX_PACKET;
        sink(EncodedAudio {
            payload: self.packet.get(..written).unwrap_or_default(),
            samples: self.packet_samples as u32,
            captured_at,
            voice: self.voice && !dtx,
            dtx,
        });
        self.pcm.clear();
        self.captured_at = None;
        self.voice = false;
    }

    /// A packet begins: it is encoded as is wanted now.
    fn configure(&mut self) {
        let encoding = self.controls.encoding.get();
        self.packet_samples = encoding.packet.samples();
        if let Err(error) = self.encoder.configure(encoding) {
            tracing::warn!(%error, "the encoder keeps some of its old settings");
        }
    }
}

fn rms(frame: &Frame) -> f32 {
    (frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME_SAMPLES as f32).sqrt()
}
