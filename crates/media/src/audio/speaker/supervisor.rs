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
/// So many late frames within [`LATENESS`] mean that the machine does not keep up with the device's period: another
/// program that starts makes one or two, and each is a click.
const MANY_LATE: u64 = 5;
/// The time in which they are counted.
const LATENESS: Duration = Duration::from_secs(10);
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
    /// The device is gone, or being opened anew because its period was too short.
    Away {
        choice: DeviceChoice,
        reopening: Reopening<Device>,
        relaxing: bool,
    },
}

struct Playing {
    choice: DeviceChoice,
    device: Device,
    asked: u64,
    asked_at: Instant,
    /// Late frames when the present [`LATENESS`] began, and when that was.
    late: (u64, Instant),
    /// The clock has taken its turn.
    stalled: bool,
}

pub(super) struct Supervisor {
    playout: Arc<Playout>,
    output: Output,
    signals: mpsc::Sender<Signal>,
    /// Periods up to this, in frames of 48 kHz, have been too short for this machine.
    beyond: u32,
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
            let open = move |choice: &DeviceChoice| Device::open(choice, 0, &opened, &signals);
            let device = open_within(AudioDirection::Output, &choice, open)?;
            Ok::<_, AudioDeviceError>(Output::Playing(Playing::start(choice, device, &playout)))
        };
        let output = match spec {
            SpeakerSpec::None => Output::Null,
            SpeakerSpec::File(path) => Output::File(wav::Writer::create(path)?),
            SpeakerSpec::Device(name) => playing(DeviceChoice::Named(name.clone()))?,
            SpeakerSpec::Default => playing(DeviceChoice::Default)?,
        };
        Ok(Self { playout, output, signals, beyond: 0, due: Instant::now() + FRAME, frame: [0.0; FRAME_SAMPLES] })
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
        let (choice, beyond) = (playing.choice.clone(), self.beyond);
        let (playout, signals) = (Arc::clone(&self.playout), self.signals.clone());
        let reopening = Reopening::start(move || Device::open(&choice, beyond, &playout, &signals));
        if let Some(playing) = self.go_away(reopening, false) {
            playing.device.abandon();
        }
        events(SpeakerEvent::Lost(error));
    }

    /// Opens the device with a longer period: later sound is better than sound with holes.
    fn relax(&mut self) {
        let Output::Playing(playing) = &self.output else { return };
        let (choice, beyond) = (playing.choice.clone(), self.beyond);
        let (playout, signals) = (Arc::clone(&self.playout), self.signals.clone());
        let (give, old) = mpsc::channel::<Playing>();
        // The old stream is closed first, where waiting for it hurts nobody: not all hardware plays two.
        let reopening = Reopening::at_once(move || {
            // Nothing is left of it at a second try.
            drop(old.recv());
            Device::open(&choice, beyond, &playout, &signals)
        });
        if let Some(playing) = self.go_away(reopening, true) {
            let _ = give.send(playing);
        }
    }

    /// Leaves the turn to the clock until the device is open again; gives what was there.
    fn go_away(&mut self, reopening: Reopening<Device>, relaxing: bool) -> Option<Playing> {
        let Output::Playing(playing) = &self.output else { return None };
        let away = Output::Away { choice: playing.choice.clone(), reopening, relaxing };
        self.playout.give_turn(Puller::CLOCK);
        self.due = Instant::now();
        match std::mem::replace(&mut self.output, away) {
            Output::Playing(playing) => Some(playing),
            Output::Null | Output::File(_) | Output::Away { .. } => None,
        }
    }

    /// Notices that a device has come back, or stalls, or plays again.
    fn follow(&mut self, events: &dyn Fn(SpeakerEvent)) {
        match &mut self.output {
            Output::Away { choice, reopening, relaxing } => {
                let Some(device) = reopening.poll() else { return };
                let (name, relaxing) = (device.name.clone(), *relaxing);
                self.output = Output::Playing(Playing::start(choice.clone(), device, &self.playout));
                events(match relaxing {
                    true => SpeakerEvent::Relaxed { device: name },
                    false => SpeakerEvent::Restored { device: name },
                });
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
                if let Some(period) = playing.cannot_keep_up(self.playout.late()) {
                    self.beyond = period;
                    self.relax();
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
    /// The period that is too short for this machine, if there were too many late frames.
    fn cannot_keep_up(&mut self, late: u64) -> Option<u32> {
        let (before, since) = self.late;
        if late - before >= MANY_LATE {
            self.late = (late, Instant::now());
            return self.device.short_period();
        }
        if since.elapsed() >= LATENESS {
            self.late = (late, Instant::now());
        }
        None
    }

    fn start(choice: DeviceChoice, device: Device, playout: &Playout) -> Self {
        playout.give_turn(device.puller);
        let now = Instant::now();
        Self { choice, device, asked: playout.asked(), asked_at: now, late: (playout.late(), now), stalled: false }
    }
}
