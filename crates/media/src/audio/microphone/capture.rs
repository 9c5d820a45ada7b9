//! An open input device: its callback fills a ring, its owner takes 10 ms frames of mono 48 kHz out of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use cpal::{
    BufferSize, Data, FromSample, InputCallbackInfo, SampleFormat, SizedSample, StreamConfig,
    traits::{DeviceTrait, StreamTrait},
};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::{
    audio::{FRAME_SAMPLES, Frame, SAMPLE_RATE, resample::Resampler},
    device::audio::{
        AudioDeviceError, AudioDirection, DeviceChoice, choose, ends_stream, names_own_rate, prefer,
        pulse::{Record, RecordForm},
    },
};

/// What is asked of the device, in parts of a second: 10 ms, one frame. PulseAudio splits it between the
/// source and the stream.
const PERIODS_A_SECOND: u32 = 100;
/// The ring holds this much. Its reader looks every few ms; if it is held up for longer, sound is lost and
/// counted.
const RING: Duration = Duration::from_millis(250);
/// More than this waiting means that the reader was held up. It drops the oldest down to one frame: better a
/// gap than a call that lags behind from then on.
const MAX_BACKLOG: Duration = Duration::from_millis(100);
/// Callbacks of a 10 ms period within [`RING`], with room for devices that call more often.
const RING_MARKS: usize = 256;

/// When the sample at a position of the stream was captured.
#[derive(Clone, Copy)]
struct Mark {
    position: u64,
    captured_at: Instant,
}

enum Stream {
    Server { _record: Record },
    Hardware { _stream: cpal::Stream },
}

pub(super) struct Capture {
    /// Keeps the device open.
    _stream: Stream,
    pub name: String,
    rate: u32,
    samples: Consumer<f32>,
    marks: Consumer<Mark>,
    /// Samples that found the ring full.
    overruns: Arc<AtomicU64>,
    errors: mpsc::Receiver<cpal::Error>,
    /// Samples taken from the ring.
    position: u64,
    clock: CaptureClock,
    resampler: Resampler,
    /// 48 kHz samples that do not fill a frame yet.
    pending: Vec<f32>,
}

impl Capture {
    pub fn open(choice: &DeviceChoice) -> Result<Self, AudioDeviceError> {
        let direction = AudioDirection::Input;
        let chosen = choose(direction, choice)?;
        let name = chosen.name;
        let error = |e: cpal::Error| AudioDeviceError::of_opening(direction, choice, &name, &e);
        let (config, format) = config(&chosen.device).map_err(error)?;
        let unsupported = |reason: String| AudioDeviceError::Unsupported { direction, device: name.clone(), reason };
        let resampler = Resampler::new(config.sample_rate, SAMPLE_RATE).map_err(|e| unsupported(e.to_string()))?;
        let (producer, samples) = RingBuffer::new(in_samples(RING, config.sample_rate));
        let (marks_in, marks) = RingBuffer::new(RING_MARKS);
        let overruns = Arc::new(AtomicU64::new(0));
        let writer = Writer { samples: producer, marks: marks_in, position: 0, overruns: Arc::clone(&overruns) };
        let (report, errors) = mpsc::channel();
        let stream = match &chosen.in_server {
            Some(source) => record(source, config.sample_rate, writer, report),
            None => build(&chosen.device, config, format, writer, report),
        }
        .map_err(error)?;
        Ok(Self {
            _stream: stream,
            rate: config.sample_rate,
            samples,
            marks,
            overruns,
            errors,
            position: 0,
            clock: CaptureClock::default(),
            resampler,
            pending: Vec::with_capacity(in_samples(MAX_BACKLOG, SAMPLE_RATE)),
            name,
        })
    }

    /// Why the device has gone, once it has.
    pub fn lost(&self) -> Option<AudioDeviceError> {
        let error = self.errors.try_iter().find(ends_stream)?;
        Some(AudioDeviceError::of(AudioDirection::Input, &self.name, &error))
    }

    /// Samples of the device that nobody took in time.
    pub fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// Takes the next frame if all of it has come, and says when its first sample was captured.
    pub fn read(&mut self, frame: &mut Frame) -> Option<Instant> {
        while let Ok(mark) = self.marks.pop() {
            self.clock.observe(mark, self.rate);
        }
        self.drop_backlog();
        while self.pending.len() < FRAME_SAMPLES {
            let wanted = in_samples(missing(&self.pending), self.rate).max(1);
            let chunk = self.samples.read_chunk(wanted.min(self.samples.slots())).ok()?;
            if chunk.is_empty() {
                return None;
            }
            let (first, second) = chunk.as_slices();
            for part in [first, second] {
                self.resampler.process(part, |samples| self.pending.extend_from_slice(samples));
            }
            self.position += chunk.len() as u64;
            chunk.commit_all();
        }
        let waiting = self.pending.len() + self.resampler.delay();
        let captured_at = self.clock.time_of(self.position, self.rate)? - in_time(waiting, SAMPLE_RATE);
        for (sample, value) in frame.iter_mut().zip(self.pending.drain(..FRAME_SAMPLES)) {
            *sample = value;
        }
        Some(captured_at)
    }

    /// How long it takes at least until the next frame is whole.
    pub fn missing(&self) -> Duration {
        missing(&self.pending).saturating_sub(in_time(self.samples.slots(), self.rate))
    }

    fn drop_backlog(&mut self) {
        let waiting = self.samples.slots();
        if waiting <= in_samples(MAX_BACKLOG, self.rate) {
            return;
        }
        let late = waiting.saturating_sub(in_samples(missing(&[]), self.rate));
        if let Ok(chunk) = self.samples.read_chunk(late) {
            chunk.commit_all();
            self.position += late as u64;
            self.overruns.fetch_add(late as u64, Ordering::Relaxed);
        }
    }
}

/// What a frame lacks beyond `pending`, in time.
fn missing(pending: &[f32]) -> Duration {
    in_time(FRAME_SAMPLES.saturating_sub(pending.len()), SAMPLE_RATE)
}

fn in_samples(time: Duration, rate: u32) -> usize {
    (time.as_micros() as u64 * u64::from(rate)).div_ceil(1_000_000) as usize
}

fn in_time(samples: usize, rate: u32) -> Duration {
    Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(rate.max(1)))
}

/// The device's own rate, for our filter is better than a sound server's; 48 kHz where nobody names it.
fn config(device: &cpal::Device) -> Result<(StreamConfig, SampleFormat), cpal::Error> {
    let default = device.default_input_config()?;
    let rate = if names_own_rate(device) { default.sample_rate() } else { SAMPLE_RATE };
    let config = prefer(default, rate, device.supported_input_configs()?);
    let mut stream = config.config();
    stream.buffer_size = BufferSize::Fixed((config.sample_rate() / PERIODS_A_SECOND).max(1));
    Ok((stream, config.sample_format()))
}

/// A source of the sound server, which makes one channel of the device's.
fn record(
    source: &str,
    rate: u32,
    mut writer: Writer,
    report: mpsc::Sender<cpal::Error>,
) -> Result<Stream, cpal::Error> {
    let form = RecordForm { source, rate, period: (rate / PERIODS_A_SECOND).max(1) };
    let failed = move |error| drop(report.send(error));
    let record = Record::start(&form, move |samples, captured_at| writer.write(samples, captured_at), failed)?;
    Ok(Stream::Server { _record: record })
}

fn build(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    mut writer: Writer,
    report: mpsc::Sender<cpal::Error>,
) -> Result<Stream, cpal::Error> {
    let channels = usize::from(config.channels.max(1));
    let callback = move |data: &Data, info: &InputCallbackInfo| match data.sample_format() {
        SampleFormat::F32 => writer.write_data::<f32>(data, channels, info),
        SampleFormat::I16 => writer.write_data::<i16>(data, channels, info),
        SampleFormat::I24 => writer.write_data::<cpal::I24>(data, channels, info),
        SampleFormat::I32 => writer.write_data::<i32>(data, channels, info),
        SampleFormat::U8 => writer.write_data::<u8>(data, channels, info),
        SampleFormat::I8 => writer.write_data::<i8>(data, channels, info),
        SampleFormat::U16 => writer.write_data::<u16>(data, channels, info),
        SampleFormat::F64 => writer.write_data::<f64>(data, channels, info),
        // Refused before the stream was built.
        _ => {}
    };
    use SampleFormat::{F32, F64, I8, I16, I24, I32, U8, U16};
    if !matches!(format, F32 | F64 | I8 | I16 | I24 | I32 | U8 | U16) {
        return Err(cpal::Error::with_message(cpal::ErrorKind::UnsupportedConfig, format!("samples of {format}")));
    }
    let errors = move |error| {
        // Nobody listens any more: the stream is being closed.
        let _ = report.send(error);
    };
    let stream = device.build_input_stream_raw(config, format, callback, errors, None)?;
    stream.play()?;
    Ok(Stream::Hardware { _stream: stream })
}

/// The callback's end of the ring: no lock, no allocation, no system call.
struct Writer {
    samples: Producer<f32>,
    marks: Producer<Mark>,
    /// Samples written to the ring.
    position: u64,
    overruns: Arc<AtomicU64>,
}

impl Writer {
    /// Takes samples of one channel, the first of them captured then.
    fn write(&mut self, samples: impl ExactSizeIterator<Item = f32>, captured_at: Instant) {
        // A full ring of marks only makes the clock a little less exact.
        let _ = self.marks.push(Mark { position: self.position, captured_at });
        let frames = samples.len();
        let room = frames.min(self.samples.slots());
        if let Ok(chunk) = self.samples.write_chunk_uninit(room) {
            self.position += chunk.fill_from_iter(samples) as u64;
        }
        self.overruns.fetch_add((frames - room) as u64, Ordering::Relaxed);
    }

    fn write_data<T: SizedSample>(&mut self, data: &Data, channels: usize, info: &InputCallbackInfo)
    where
        f32: FromSample<T>,
    {
        let Some(data) = data.as_slice::<T>() else { return };
        let timestamp = info.timestamp();
        let age = timestamp.callback.checked_duration_since(timestamp.capture).unwrap_or_default();
        let captured_at = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        let scale = 1.0 / channels as f32;
        let mono = data
            .chunks_exact(channels)
            .map(|frame| frame.iter().map(|sample| f32::from_sample_(*sample)).sum::<f32>() * scale);
        self.write(mono, captured_at);
    }
}

/// How much one callback's time moves the clock: callbacks jitter by ms, crystals differ by 0.1 ms a second.
const CLOCK_GAIN: f64 = 0.02;
/// A larger step is no jitter: the stream has stood still.
const CLOCK_STEP: f64 = 0.04;

/// Tells capture times from positions: the device's own clock, smoothed over the jitter of its callbacks.
#[derive(Default)]
struct CaptureClock {
    /// A time, and how many seconds after it position 0 was (or would have been) captured.
    origin: Option<(Instant, f64)>,
}

impl CaptureClock {
    fn observe(&mut self, mark: Mark, rate: u32) {
        let stream_time = mark.position as f64 / f64::from(rate);
        let Some((base, offset)) = &mut self.origin else {
            self.origin = Some((mark.captured_at, -stream_time));
            return;
        };
        let since_base = if mark.captured_at >= *base {
            (mark.captured_at - *base).as_secs_f64()
        } else {
            -(*base - mark.captured_at).as_secs_f64()
        };
        let error = since_base - stream_time - *offset;
        *offset += if error.abs() > CLOCK_STEP { error } else { CLOCK_GAIN * error };
    }

    fn time_of(&self, position: u64, rate: u32) -> Option<Instant> {
        let (base, offset) = self.origin?;
        let seconds = offset + position as f64 / f64::from(rate);
        if seconds >= 0.0 {
            base.checked_add(Duration::from_secs_f64(seconds))
        } else {
            base.checked_sub(Duration::from_secs_f64(-seconds))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn jitter_of_callbacks_does_not_shake_the_capture_times() {
        let start = Instant::now();
        let mut clock = CaptureClock::default();
        let mut worst = 0.0_f64;
        for n in 0..1000_u32 {
            let jitter = MS * (n * 7 % 5);
            clock.observe(Mark { position: u64::from(n) * 480, captured_at: start + 10 * MS * n + jitter }, 48_000);
            if n > 200 {
                let time = clock.time_of(u64::from(n) * 480, 48_000).unwrap();
                let error = (time - start).as_secs_f64() - f64::from(n) * 0.01 - 0.002;
                worst = worst.max(error.abs());
            }
        }
        assert!(worst < 0.0005, "{worst} s");
    }

    #[test]
    fn a_fast_crystal_is_followed() {
        let start = Instant::now();
        let mut clock = CaptureClock::default();
        // 200 ppm fast over a minute: 12 ms.
        for n in 0..6000_u32 {
            let at = start + Duration::from_secs_f64(f64::from(n) * 0.01 * 0.9998);
            clock.observe(Mark { position: u64::from(n) * 480, captured_at: at }, 48_000);
        }
        let error = (clock.time_of(6000 * 480, 48_000).unwrap() - start).as_secs_f64() - 60.0 * 0.9998;
        assert!(error.abs() < 0.001, "{error} s");
    }

    #[test]
    fn after_a_standstill_the_times_are_right_at_once() {
        let start = Instant::now();
        let mut clock = CaptureClock::default();
        clock.observe(Mark { position: 0, captured_at: start }, 48_000);
        clock.observe(Mark { position: 480, captured_at: start + 500 * MS }, 48_000);
        assert_eq!(clock.time_of(480, 48_000).map(|t| (t - start).as_millis()), Some(500));
    }
}
