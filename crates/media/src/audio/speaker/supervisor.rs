//! The thread of a speaker: keeps the mixer running, by the device while it plays and by the clock while it
//! does not.

use std::{
    sync::{Arc, mpsc},
    thread,
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
/// A device that asks for nothing for this long (a suspended sink) has stalled, and the clock pulls in its
/// place. Longer than any period a device has here.
const STALL: Duration = Duration::from_millis(150);
/// So many late frames within [`LATENESS`] mean that the machine does not keep up with the device's period:
/// another program that starts makes one or two, and each is a click.
const MANY_LATE: u64 = 5;
/// The time in which they are counted.
const LATENESS: Duration = Duration::from_secs(10);
/// After a longer sleep (a suspended computer) the clock starts anew instead of catching up.
const MAX_CATCH_UP: Duration = Duration::from_millis(200);

/// Is told what happens to the output.
pub(super) type Events = Box<dyn Fn(SpeakerEvent) + Send>;
/// Is told whether another output could be opened.
pub(super) type Answer = mpsc::Sender<Result<(), AudioDeviceError>>;

/// What the supervisor is woken by.
pub(super) enum Signal {
    /// A device's stream says something.
    Failed { puller: Puller, error: cpal::Error },
    /// Another output is chosen.
    Choose { spec: SpeakerSpec, events: Events, answer: Answer },
    /// The speaker is closed.
    Stop,
}

enum Output {
    Null,
    File(wav::Writer),
    Playing(Box<Playing>),
    /// The device is gone, or being opened anew because its period was too short.
    Away {
        choice: DeviceChoice,
        reopening: Reopening<Device>,
        relaxing: bool,
    },
    /// Another output was chosen. The one before is being closed, then this one opened.
    Changing {
        opened: mpsc::Receiver<Result<Opened, AudioDeviceError>>,
        answer: Answer,
    },
}

/// An output that was opened, and nobody plays on yet.
enum Opened {
    Null,
    File(wav::Writer),
    Device(DeviceChoice, Device),
}

impl Opened {
    /// Blocks as long as a driver takes, with a limit.
    fn open(
        spec: &SpeakerSpec,
        playout: &Arc<Playout>,
        signals: &mpsc::Sender<Signal>,
    ) -> Result<Self, AudioDeviceError> {
        let device = |choice: DeviceChoice| {
            let (opened, signals) = (Arc::clone(playout), signals.clone());
            let open = move |choice: &DeviceChoice| Device::open(choice, 0, &opened, &signals);
            let device = open_within(AudioDirection::Output, &choice, open)?;
            Ok(Self::Device(choice, device))
        };
        match spec {
            SpeakerSpec::None => Ok(Self::Null),
            SpeakerSpec::File(path) => Ok(Self::File(wav::Writer::create(path)?)),
            SpeakerSpec::Device(name) => device(DeviceChoice::Named(name.clone())),
            SpeakerSpec::Default => device(DeviceChoice::Default),
        }
    }

    fn play(self, playout: &Playout) -> Output {
        match self {
            Self::Null => Output::Null,
            Self::File(writer) => Output::File(writer),
            Self::Device(choice, device) => Output::Playing(Box::new(Playing::start(choice, device, playout))),
        }
    }
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
    events: Events,
    /// Periods up to this, in frames of 48 kHz, have been too short for this machine.
    beyond: u32,
    /// A stream that ended while none was played on. A device says its end once.
    early: Option<(Puller, cpal::Error)>,
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
        events: Events,
    ) -> Result<Self, AudioDeviceError> {
        let playout = Arc::new(Playout::new(mixer, reference));
        let output = Opened::open(spec, &playout, &signals)?.play(&playout);
        let (due, frame) = (Instant::now() + FRAME, [0.0; FRAME_SAMPLES]);
        Ok(Self { playout, output, signals, events, beyond: 0, early: None, due, frame })
    }

    pub fn run(mut self, signals: &mpsc::Receiver<Signal>) {
        loop {
            let wait = match &self.output {
                Output::Playing(playing) if !playing.stalled => STALL,
                _ => self.due.saturating_duration_since(Instant::now()),
            };
            match signals.recv_timeout(wait) {
                Ok(Signal::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Ok(Signal::Failed { puller, error }) => self.failed(puller, error),
                Ok(Signal::Choose { spec, events, answer }) => self.change(spec, events, answer),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            self.follow();
            if matches!(self.output, Output::Playing(_))
                && let Some((puller, error)) = self.early.take()
            {
                self.failed(puller, error);
            }
            self.pull();
        }
    }

    fn failed(&mut self, puller: Puller, error: cpal::Error) {
        if !ends_stream(&error) {
            return;
        }
        let Output::Playing(playing) = &self.output else {
            // Of a device that was opened and is not played on yet, perhaps.
            self.early = Some((puller, error));
            return;
        };
        if playing.device.puller != puller {
            return;
        }
        let error = AudioDeviceError::of(AudioDirection::Output, &playing.device.name, &error);
        let (choice, beyond) = (playing.choice.clone(), self.beyond);
        let (playout, signals) = (Arc::clone(&self.playout), self.signals.clone());
        let reopening = Reopening::start(move || Device::open(&choice, beyond, &playout, &signals));
        if let Some(playing) = self.go_away(reopening, false) {
            playing.device.abandon();
        }
        (self.events)(SpeakerEvent::Lost(error));
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
            let _ = give.send(*playing);
        }
    }

    /// Leaves the turn to the clock until the device is open again; gives what was there.
    fn go_away(&mut self, reopening: Reopening<Device>, relaxing: bool) -> Option<Box<Playing>> {
        let Output::Playing(playing) = &self.output else { return None };
        let away = Output::Away { choice: playing.choice.clone(), reopening, relaxing };
        self.playout.give_turn(Puller::CLOCK);
        self.due = Instant::now();
        match std::mem::replace(&mut self.output, away) {
            Output::Playing(playing) => Some(playing),
            Output::Null | Output::File(_) | Output::Away { .. } | Output::Changing { .. } => None,
        }
    }

    /// Notices that a device has come back, or stalls, or plays again.
    fn follow(&mut self) {
        match &mut self.output {
            Output::Away { choice, reopening, relaxing } => {
                let Some(device) = reopening.poll() else { return };
                let (name, relaxing) = (device.name.clone(), *relaxing);
                self.output = Output::Playing(Box::new(Playing::start(choice.clone(), device, &self.playout)));
                (self.events)(match relaxing {
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
            Output::Changing { opened, answer } => {
                let result = match opened.try_recv() {
                    Ok(result) => result,
                    Err(mpsc::TryRecvError::Empty) => return,
                    Err(mpsc::TryRecvError::Disconnected) => Err(no_thread("the opening broke off")),
                };
                let answer = answer.clone();
                let (output, result) = match result {
                    Ok(opened) => (opened.play(&self.playout), Ok(())),
                    Err(error) => (Output::Null, Err(error)),
                };
                self.output = output;
                // Whoever does not wait any more has stopped.
                let _ = answer.send(result);
            }
            Output::Null | Output::File(_) => {}
        }
    }

    /// Plays on another output. The one before is closed first, where waiting for it hurts nobody: not all
    /// hardware plays two, and both may be the same.
    fn change(&mut self, spec: SpeakerSpec, events: Events, answer: Answer) {
        self.events = events;
        self.beyond = 0;
        self.playout.give_turn(Puller::CLOCK);
        if matches!(self.output, Output::Playing(_)) {
            self.due = Instant::now();
        }
        let old = std::mem::replace(&mut self.output, Output::Null);
        let (playout, signals) = (Arc::clone(&self.playout), self.signals.clone());
        let (give, opened) = mpsc::channel();
        let opening = thread::Builder::new().name("speaker-change".into()).spawn(move || {
            drop(old);
            let _ = give.send(Opened::open(&spec, &playout, &signals));
        });
        match opening {
            Ok(_) => self.output = Output::Changing { opened, answer },
            Err(error) => drop(answer.send(Err(no_thread(&error.to_string())))),
        }
    }

    /// Pulls what is due, if it is the clock's turn, by absolute deadlines: so a late wake-up never adds up.
    fn pull(&mut self) {
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
                (self.events)(SpeakerEvent::Lost(error.into()));
            }
        }
    }
}

fn no_thread(reason: &str) -> AudioDeviceError {
    AudioDeviceError::Thread { direction: AudioDirection::Output, reason: reason.to_owned() }
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
