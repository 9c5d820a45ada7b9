//! The thread of a speaker: keeps the mixer running, by the device while it plays and by the clock while it does not.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use super::{
    SpeakerEvent, SpeakerSpec,
    device::Device,
    playout::{Playout, Puller},
};
use crate::{
    audio::{FRAME_SAMPLES, Frame, mixer::Mixer, process::EchoReferenceWriter, wav},
    device::audio::{AudioDeviceError, AudioDirection, DeviceChoice, Reopening, ends_stream, open_within},
};

/// Duration of a [`Frame`].
const FRAME: Duration = Duration::from_millis(10);
/// A device that asks for nothing for this long (a suspended sink) has stalled, and the clock pulls in its place. Longer
/// than any period a device has here.
const STALL: Duration = Duration::from_millis(150);
/// After a longer sleep (a suspended computer) the clock starts anew instead of catching up.
const MAX_CATCH_UP: Duration = Duration::from_millis(200);

/// What the supervisor is woken by.
pub(super) enum Signal {
    /// A device's stream says something.
    Failed { puller: Puller, error: cpal::Error },
    /// The speaker is closed.
    Stop,
}

enum Output {
    Null,
    File(wav::Writer),
    Playing(Playing),
    Away { choice: DeviceChoice, reopening: Reopening<Device> },
}

struct Playing {
    choice: DeviceChoice,
    device: Device,
    asked: u64,
    asked_at: Instant,
    /// The clock has taken its turn.
    stalled: bool,
}

pub(super) struct Supervisor {
    playout: Arc<Playout>,
    output: Output,
    signals: mpsc::Sender<Signal>,
    /// When the clock's next frame is due.
    due: Instant,
    frame: Frame,
}

impl Supervisor {
    pub fn open(
        spec: &SpeakerSpec,
        mixer: Mixer,
        reference: EchoReferenceWriter,
        signals: mpsc::Sender<Signal>,
    ) -> Result<Self, AudioDeviceError> {
        let playout = Arc::new(Playout::new(mixer, reference));
        let playing = |choice: DeviceChoice| {
            let (opened, signals) = (Arc::clone(&playout), signals.clone());
            let open = move |choice: &DeviceChoice| Device::open(choice, &opened, &signals);
            let device = open_within(AudioDirection::Output, &choice, open)?;
            Ok::<_, AudioDeviceError>(Output::Playing(Playing::start(choice, device, &playout)))
        };
        let output = match spec {
            SpeakerSpec::None => Output::Null,
            SpeakerSpec::File(path) => Output::File(wav::Writer::create(path)?),
            SpeakerSpec::Device(name) => playing(DeviceChoice::Named(name.clone()))?,
            SpeakerSpec::Default => playing(DeviceChoice::Default)?,
        };
        Ok(Self { playout, output, signals, due: Instant::now() + FRAME, frame: [0.0; FRAME_SAMPLES] })
    }

    pub fn run(mut self, signals: &mpsc::Receiver<Signal>, events: &dyn Fn(SpeakerEvent)) {
        loop {
            let wait = match &self.output {
                Output::Playing(playing) if !playing.stalled => STALL,
                _ => self.due.saturating_duration_since(Instant::now()),
            };
            match signals.recv_timeout(wait) {
                Ok(Signal::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Ok(Signal::Failed { puller, error }) => self.failed(puller, &error, events),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            self.follow(events);
            self.pull(events);
        }
    }

    fn failed(&mut self, puller: Puller, error: &cpal::Error, events: &dyn Fn(SpeakerEvent)) {
        let Output::Playing(playing) = &self.output else { return };
        if playing.device.puller != puller || !ends_stream(error) {
            return;
        }
        let error = AudioDeviceError::of(AudioDirection::Output, &playing.device.name, error);
        let choice = playing.choice.clone();
        self.playout.give_turn(Puller::CLOCK);
        self.due = Instant::now();
        let (playout, signals, wanted) = (Arc::clone(&self.playout), self.signals.clone(), choice.clone());
        let reopening = Reopening::start(move || Device::open(&wanted, &playout, &signals));
        if let Output::Playing(playing) = std::mem::replace(&mut self.output, Output::Away { choice, reopening }) {
            playing.device.abandon();
        }
        events(SpeakerEvent::Lost(error));
    }

    /// Notices that a device has come back, or stalls, or plays again.
    fn follow(&mut self, events: &dyn Fn(SpeakerEvent)) {
        match &mut self.output {
            Output::Away { choice, reopening } => {
                let Some(device) = reopening.poll() else { return };
                let name = device.name.clone();
                self.output = Output::Playing(Playing::start(choice.clone(), device, &self.playout));
                events(SpeakerEvent::Restored { device: name });
            }
            Output::Playing(playing) => {
                let asked = self.playout.asked();
                if std::mem::replace(&mut playing.asked, asked) != asked {
                    playing.asked_at = Instant::now();
                    if std::mem::take(&mut playing.stalled) {
                        self.playout.give_turn(playing.device.puller);
                    }
                } else if !playing.stalled && playing.asked_at.elapsed() >= STALL {
                    playing.stalled = true;
                    self.playout.give_turn(Puller::CLOCK);
                    self.due = Instant::now();
                }
            }
            Output::Null | Output::File(_) => {}
        }
    }

    /// Pulls what is due, if it is the clock's turn, by absolute deadlines: so a late wake-up never adds up.
    fn pull(&mut self, events: &dyn Fn(SpeakerEvent)) {
        if matches!(&self.output, Output::Playing(playing) if !playing.stalled) {
            return;
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.due) > MAX_CATCH_UP {
            self.due = now;
        }
        while self.due <= now {
            self.due += FRAME;
            self.playout.pull(Puller::CLOCK, &mut self.frame);
            if let Output::File(writer) = &mut self.output
                && let Err(error) = writer.write(&self.frame)
            {
                self.output = Output::Null;
                events(SpeakerEvent::Lost(error.into()));
            }
        }
    }
}

impl Playing {
    fn start(choice: DeviceChoice, device: Device, playout: &Playout) -> Self {
        playout.give_turn(device.puller);
        Self { choice, device, asked: playout.asked(), asked_at: Instant::now(), stalled: false }
    }
}
