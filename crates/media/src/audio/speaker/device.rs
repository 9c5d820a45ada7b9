//! An open output device: one source that never ends, played by the sound server, or by rodio where there is
//! none.

use std::{
    num::NonZero,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use cpal::{SupportedBufferSize, traits::DeviceTrait};
use rodio::{ChannelCount, DeviceSinkBuilder, DeviceSinkError, MixerDeviceSink, SampleRate, Source};

use super::{
    playout::{Playout, Puller},
    supervisor::Signal,
};
use crate::{
    audio::{FRAME_SAMPLES, Frame, SAMPLE_RATE, resample::Resampler},
    device::audio::{
        AudioDeviceError, AudioDirection, Chosen, DeviceChoice, choose, prefer,
        pulse::{Playback, PlaybackForm},
    },
};

/// Periods that are tried, in frames of 48 kHz: 5 ms, and 10 and 20 ms for hardware that refuses it or a
/// machine that does not keep up. PulseAudio keeps two of them, so that the first is played while the second
/// is asked for. Each has to hold or halve a mixer frame: 7.5 ms delay sound more than 10 ms do (63.9 and
/// 62.1 ms from microphone to speaker, 56.4 with 5 ms).
const PERIODS: [u32; 3] = [240, 480, 960];

/// Closing takes a millisecond, but for ever where a driver does not answer any more.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Device {
    sink: Option<Sink>,
    pub name: String,
    pub puller: Puller,
    /// What it really plays at once, in frames of 48 kHz.
    period: u32,
}

/// What keeps the stream open.
enum Sink {
    Server(Playback),
    Hardware(MixerDeviceSink),
}

/// Periods under this, 10 ms, are given up where the machine does not keep up with them.
const RELAXED: u32 = 480;

impl Device {
    /// Opens a device with the shortest period it takes that is longer than `beyond`, in frames of 48 kHz.
    pub fn open(
        choice: &DeviceChoice,
        beyond: u32,
        playout: &Arc<Playout>,
        signals: &mpsc::Sender<Signal>,
    ) -> Result<Self, AudioDeviceError> {
        let direction = AudioDirection::Output;
        let chosen = choose(direction, choice)?;
        let mut result = Err(AudioDeviceError::None { direction });
        for period in PERIODS.into_iter().filter(|period| *period > beyond) {
            let opened = match &chosen.in_server {
                Some(sink) => Self::of_server(choice, &chosen, sink, period, playout, signals.clone()),
                None => Self::of_hardware(choice, &chosen, period, playout, signals.clone()),
            };
            match opened {
                Ok(device) => return Ok(device),
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// A sink of the sound server, which converts from our form of sound to the device's.
    fn of_server(
        choice: &DeviceChoice,
        chosen: &Chosen,
        sink: &str,
        period: u32,
        playout: &Arc<Playout>,
        signals: mpsc::Sender<Signal>,
    ) -> Result<Self, AudioDeviceError> {
        let puller = playout.device();
        let source = source(playout, puller, SAMPLE_RATE, &chosen.name)?;
        let form = PlaybackForm { sink, rate: SAMPLE_RATE, period };
        // Nobody listens any more: the stream is being closed.
        let failed = move |error| drop(signals.send(Signal::Failed { puller, error }));
        let playback = Playback::start(&form, source, failed)
            .map_err(|error| AudioDeviceError::of_opening(AudioDirection::Output, choice, &chosen.name, &error))?;
        Ok(Self { sink: Some(Sink::Server(playback)), name: chosen.name.clone(), puller, period })
    }

    fn of_hardware(
        choice: &DeviceChoice,
        chosen: &Chosen,
        period: u32,
        playout: &Arc<Playout>,
        signals: mpsc::Sender<Signal>,
    ) -> Result<Self, AudioDeviceError> {
        let config = chosen
            .device
            .default_output_config()
            .and_then(|default| Ok(prefer(default, SAMPLE_RATE, chosen.device.supported_output_configs()?)))
            .map_err(|e| AudioDeviceError::of_opening(AudioDirection::Output, choice, &chosen.name, &e))?;
        let frames = in_range(period, &config);
        let puller = playout.device();
        let source = source(playout, puller, config.sample_rate(), &chosen.name)?;
        let mut sink = DeviceSinkBuilder::default()
            .with_device(chosen.device.clone())
            .with_supported_config(&config)
            .with_buffer_size(cpal::BufferSize::Fixed(frames))
            .with_error_callback(move |error| {
                // Nobody listens any more: the stream is being closed.
                let _ = signals.send(Signal::Failed { puller, error });
            })
            .open_stream()
            .map_err(|error| of_rodio(choice, &chosen.name, error))?;
        sink.log_on_drop(false);
        sink.mixer().add(source);
        let period = in_frames_of_48_khz(frames, &config);
        Ok(Self { sink: Some(Sink::Hardware(sink)), name: chosen.name.clone(), puller, period })
    }

    /// Its period, if it is one that a busy machine may not keep up with.
    pub fn short_period(&self) -> Option<u32> {
        (self.period < RELAXED).then_some(self.period)
    }

    /// Gives up a device that is gone, without waiting: its driver may not answer any more.
    pub fn abandon(mut self) {
        self.close();
    }

    /// Closes the stream on a thread of its own, which tells when it has.
    fn close(&mut self) -> Option<mpsc::Receiver<()>> {
        let sink = self.sink.take()?;
        let (closed, told) = mpsc::channel();
        thread::Builder::new()
            .name("speaker-close".into())
            .spawn(move || {
                match sink {
                    Sink::Server(playback) => drop(playback),
                    Sink::Hardware(sink) => drop(sink),
                }
                let _ = closed.send(());
            })
            .ok()
            .map(|_| told)
    }
}

impl Drop for Device {
    /// Waits until it is closed: not all hardware plays two streams, and the next one may be opened now.
    fn drop(&mut self) {
        if let Some(closed) = self.close() {
            let _ = closed.recv_timeout(CLOSE_LIMIT);
        }
    }
}

/// The mixer for a device of that rate.
fn source(playout: &Arc<Playout>, puller: Puller, rate: u32, device: &str) -> Result<MixerSource, AudioDeviceError> {
    MixerSource::new(Arc::clone(playout), puller, rate).ok_or_else(|| AudioDeviceError::Unsupported {
        direction: AudioDirection::Output,
        device: device.to_owned(),
        reason: format!("a sample rate of {rate} Hz"),
    })
}

fn of_rodio(choice: &DeviceChoice, name: &str, error: DeviceSinkError) -> AudioDeviceError {
    let direction = AudioDirection::Output;
    match error {
        DeviceSinkError::PlayError(e)
        | DeviceSinkError::DefaultSinkConfigError(e)
        | DeviceSinkError::BuildError(e)
        | DeviceSinkError::SupportedConfigsError(e) => AudioDeviceError::of_opening(direction, choice, name, &e),
        DeviceSinkError::NoDevice => AudioDeviceError::None { direction },
        DeviceSinkError::UnsupportedSampleFormat => {
            AudioDeviceError::Unsupported { direction, device: name.to_owned(), reason: error.to_string() }
        }
    }
}

fn in_range(period: u32, config: &cpal::SupportedStreamConfig) -> u32 {
    let frames = u64::from(period) * u64::from(config.sample_rate()) / u64::from(SAMPLE_RATE);
    let frames = u32::try_from(frames).unwrap_or(period).max(1);
    match config.buffer_size() {
        SupportedBufferSize::Range { min, max } => frames.clamp(*min, (*max).max(*min)),
        SupportedBufferSize::Unknown => frames,
    }
}

fn in_frames_of_48_khz(frames: u32, config: &cpal::SupportedStreamConfig) -> u32 {
    let frames = u64::from(frames) * u64::from(SAMPLE_RATE) / u64::from(config.sample_rate().max(1));
    u32::try_from(frames).unwrap_or(u32::MAX)
}

/// The mixer as rodio wants it: one sample after another, for ever, in mono and at the device's rate.
struct MixerSource {
    playout: Arc<Playout>,
    puller: Puller,
    rate: SampleRate,
    resampler: Resampler,
    /// Samples at the device's rate; its capacity is never outgrown.
    ready: Vec<f32>,
    next: usize,
}

impl MixerSource {
    fn new(playout: Arc<Playout>, puller: Puller, rate: u32) -> Option<Self> {
        let resampler = Resampler::new(SAMPLE_RATE, rate).ok()?;
        // What one frame becomes, and as much again for what the filter held back before it.
        let capacity = 2 * (FRAME_SAMPLES * rate as usize).div_ceil(SAMPLE_RATE as usize) + FRAME_SAMPLES;
        Some(Self {
            playout,
            puller,
            rate: NonZero::new(rate)?,
            resampler,
            ready: Vec::with_capacity(capacity),
            next: 0,
        })
    }
}

impl Iterator for MixerSource {
    type Item = f32;

    /// Called in the device's callback: no lock, no allocation, no system call.
    fn next(&mut self) -> Option<f32> {
        while self.next >= self.ready.len() {
            let mut frame: Frame = [0.0; FRAME_SAMPLES];
            self.playout.pull(self.puller, &mut frame);
            self.ready.clear();
            self.next = 0;
            self.resampler.process(&frame, |samples| self.ready.extend_from_slice(samples));
        }
        let sample = self.ready.get(self.next).copied();
        self.next += 1;
        sample
    }
}

impl Source for MixerSource {
    fn current_span_len(&self) -> Option<usize> {
        None
    }

    fn channels(&self) -> ChannelCount {
        ChannelCount::MIN
    }

    fn sample_rate(&self) -> SampleRate {
        self.rate
    }

    fn total_duration(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{mixer::mixer, process::echo_reference};

    #[test]
    fn the_source_never_ends_and_never_allocates_beyond_its_start() {
        for rate in [8_000, 44_100, 48_000, 192_000] {
            let (_, mixer) = mixer();
            let playout = Arc::new(Playout::new(mixer, echo_reference().0));
            let puller = playout.device();
            let mut source = MixerSource::new(Arc::clone(&playout), puller, rate).unwrap();
            let capacity = source.ready.capacity();
            assert_eq!(source.by_ref().take(rate as usize).count(), rate as usize);
            assert_eq!(source.ready.capacity(), capacity, "{rate} Hz");
            // A second of output takes a second of the mixer, and a frame that is under way.
            assert!((100..=102).contains(&playout.asked()), "{rate} Hz: {}", playout.asked());
        }
    }
}
