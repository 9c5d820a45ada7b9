//! The sources of a microphone: the test tone, a file, a device. Each gives one 10 ms frame after another, in
//! real time.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{MicrophoneEvent, MicrophoneSpec, capture::Capture};
use crate::{
    audio::{Frame, tone, wav},
    device::audio::{AudioDeviceError, AudioDirection, DeviceChoice, Reopening, open_within},
};

/// Duration of a [`Frame`].
const FRAME: Duration = Duration::from_millis(10);
/// A device that gives nothing for this long has stalled, and silence takes its place. Longer than any period
/// a sound server chooses for a stream that asked for 10 ms.
const STALL: Duration = Duration::from_millis(150);
/// After a longer sleep (a suspended computer) the clock starts anew instead of catching up.
const MAX_CATCH_UP: Duration = Duration::from_secs(1);
/// The longest sleep while waiting for a device, and so the time to notice that the microphone is to be
/// closed.
const MAX_SLEEP: Duration = Duration::from_millis(5);
/// The shortest: what a frame is late at most because it was looked for too early.
const MIN_SLEEP: Duration = Duration::from_micros(500);
pub(super) enum Source {
    Tone { generator: tone::Generator, pace: Pace, wall: WallClock },
    File { samples: Vec<f32>, next: usize, pace: Pace },
    Device(Box<Device>),
}

impl Source {
    pub fn open(spec: &MicrophoneSpec) -> Result<Self, AudioDeviceError> {
        match spec {
            MicrophoneSpec::Tone => {
                let now = Instant::now();
                Ok(Self::Tone { generator: tone::Generator::new(), pace: Pace::start(now), wall: WallClock::read(now) })
            }
            MicrophoneSpec::File(path) => {
                Ok(Self::File { samples: wav::open(path)?, next: 0, pace: Pace::start(Instant::now()) })
            }
            MicrophoneSpec::Device(name) => Device::open(DeviceChoice::Named(name.clone())),
            MicrophoneSpec::Default => Device::open(DeviceChoice::Default),
        }
    }

    /// Whether echo, noise and gain have a meaning for it.
    pub fn is_processed(&self) -> bool {
        !matches!(self, Self::Tone { .. })
    }

    /// Samples of the device that were lost because nobody took them in time.
    pub fn overruns(&self) -> u64 {
        match self {
            Self::Device(device) => device.overruns(),
            Self::Tone { .. } | Self::File { .. } => 0,
        }
    }

    /// Whether its device is gone, and silence stands in for it.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Device(device) => matches!(device.state, DeviceState::Lost(_)),
            Self::Tone { .. } | Self::File { .. } => false,
        }
    }

    /// Waits a few ms at most for the next frame; gives the capture time of its first sample, or nothing yet.
    pub fn next(&mut self, frame: &mut Frame, events: &impl Fn(MicrophoneEvent)) -> Option<Instant> {
        match self {
            Self::Tone { generator, pace, wall } => {
                let captured_at = pace.wait()?;
                generator.fill(frame, wall.unix_time(captured_at));
                Some(captured_at)
            }
            Self::File { samples, next, pace } => {
                let captured_at = pace.wait()?;
                for (sample, value) in frame.iter_mut().zip(samples.iter().cycle().skip(*next)) {
                    *sample = *value;
                }
                *next = (*next + frame.len()) % samples.len().max(1);
                Some(captured_at)
            }
            Self::Device(device) => device.next(frame, events),
        }
    }
}

/// The clock of a synthetic source: frame n is there when its last sample would have been captured, by
/// absolute deadlines, so that lateness never adds up.
pub(super) struct Pace {
    /// When the first sample of the next frame is captured.
    next: Instant,
}

impl Pace {
    fn start(now: Instant) -> Self {
        Self { next: now }
    }

    /// Sleeps towards the end of the frame, and gives its beginning once it is over.
    fn wait(&mut self) -> Option<Instant> {
        let end = self.next + FRAME;
        let now = Instant::now();
        if let Some(early) = end.checked_duration_since(now).filter(|early| !early.is_zero()) {
            thread::sleep(early.min(2 * FRAME));
            return self.wait_is_over(Instant::now());
        }
        self.wait_is_over(now)
    }

    fn wait_is_over(&mut self, now: Instant) -> Option<Instant> {
        if now < self.next + FRAME {
            return None;
        }
        if now - self.next > MAX_CATCH_UP {
            self.next = now - FRAME;
        }
        let captured_at = self.next;
        self.next += FRAME;
        Some(captured_at)
    }
}

/// Unix time of an [`Instant`]. Read again when the two clocks have come apart, as they do when the system's
/// time is set.
pub(super) struct WallClock {
    at: Instant,
    unix: Duration,
}

/// Half the precision of the beep's detector: less cannot be measured, and steps of the tone's phase are
/// avoided.
const WALL_TOLERANCE: Duration = Duration::from_millis(1);

impl WallClock {
    fn read(now: Instant) -> Self {
        Self { at: now, unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    fn at(&self, instant: Instant) -> Duration {
        match instant.checked_duration_since(self.at) {
            Some(later) => self.unix + later,
            None => self.unix.saturating_sub(self.at - instant),
        }
    }

    fn unix_time(&mut self, instant: Instant) -> Duration {
        let fresh = Self::read(Instant::now());
        if fresh.unix.abs_diff(self.at(fresh.at)) > WALL_TOLERANCE {
            *self = fresh;
        }
        self.at(instant)
    }
}

/// A device, through its losses and returns.
pub(super) struct Device {
    choice: DeviceChoice,
    state: DeviceState,
    /// Capture time of the end of the last frame given, real or silent.
    end: Instant,
    /// Silence has been given since the last real frame.
    filling: bool,
    /// Overruns of the streams before this one.
    earlier_overruns: u64,
}

enum DeviceState {
    Open(Box<Capture>),
    Lost(Reopening<Capture>),
}

impl Device {
    fn open(choice: DeviceChoice) -> Result<Source, AudioDeviceError> {
        let capture = open_within(AudioDirection::Input, &choice, Capture::open)?;
        let now = Instant::now();
        Ok(Source::Device(Box::new(Self {
            choice,
            state: DeviceState::Open(Box::new(capture)),
            end: now,
            filling: false,
            earlier_overruns: 0,
        })))
    }

    fn next(&mut self, frame: &mut Frame, events: &impl Fn(MicrophoneEvent)) -> Option<Instant> {
        self.follow(events);
        let wait = match &mut self.state {
            DeviceState::Open(capture) => {
                if let Some(captured_at) = capture.read(frame) {
                    return self.accept(captured_at);
                }
                capture.missing() / 2
            }
            DeviceState::Lost(_) => Duration::ZERO,
        };
        let now = Instant::now();
        let patience = if matches!(self.state, DeviceState::Open(_)) && !self.filling { STALL } else { FRAME };
        if now >= self.end + patience {
            return Some(self.silence(now, frame));
        }
        // Half of what is missing each time: a few looks a frame find it within half a millisecond, without a
        // wake-up from the callback, which would be a system call there.
        thread::sleep(wait.clamp(MIN_SLEEP, MAX_SLEEP));
        None
    }

    fn overruns(&self) -> u64 {
        self.earlier_overruns
            + match &self.state {
                DeviceState::Open(capture) => capture.overruns(),
                DeviceState::Lost(_) => 0,
            }
    }

    /// Goes from open to lost and back.
    fn follow(&mut self, events: &impl Fn(MicrophoneEvent)) {
        match &self.state {
            DeviceState::Open(capture) => {
                if let Some(error) = capture.lost() {
                    self.earlier_overruns += capture.overruns();
                    let choice = self.choice.clone();
                    self.state = DeviceState::Lost(Reopening::start(move || Capture::open(&choice)));
                    events(MicrophoneEvent::Lost(error));
                }
            }
            DeviceState::Lost(reopening) => {
                if let Some(capture) = reopening.poll() {
                    let device = capture.name.clone();
                    self.state = DeviceState::Open(Box::new(capture));
                    events(MicrophoneEvent::Restored { device });
                }
            }
        }
    }

    fn accept(&mut self, captured_at: Instant) -> Option<Instant> {
        // After a stall the device may bring what it held back. Silence went out for that time already.
        if self.filling && captured_at + FRAME / 2 < self.end {
            return None;
        }
        self.filling = false;
        self.end = captured_at + FRAME;
        Some(captured_at)
    }

    fn silence(&mut self, now: Instant, frame: &mut Frame) -> Instant {
        if now.saturating_duration_since(self.end) > MAX_CATCH_UP {
            self.end = now - FRAME;
        }
        frame.fill(0.0);
        self.filling = true;
        let captured_at = self.end;
        self.end += FRAME;
        captured_at
    }
}
