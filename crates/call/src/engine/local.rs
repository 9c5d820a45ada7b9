//! Our own devices during a call: opened when they are needed, closed when they are not, off the engine's task.
//!
//! Opening and closing wait for drivers, so both happen on blocking threads; each device is in one of four states:
//!
//! ```text
//! Off ──want──▶ Opening ──opened──▶ On
//!  ▲               │ failed          │ not wanted
//!  │               ▼                 │
//!  └───────────  Failed              │
//!  └─────────────────────────────────┘
//! ```

use ahoy_media::{
    audio::{
        microphone::{Microphone, MicrophoneEvent, MicrophoneSettings},
        mixer::{MixerHandle, mixer},
        opus::Percent,
        process::{EchoReference, echo_reference},
        speaker::{Speaker, SpeakerEvent},
    },
    units::Bitrate,
    video::{
        capture::{Camera, CameraEvent},
        encode::VideoEncoder,
        slot::slot,
    },
    webm::hub::Hub,
};
use tokio::{sync::mpsc, task::spawn_blocking};
use tracing::debug;

use super::{EngineConfig, VideoEncoding, actor::Notice, routes::Routes};
use crate::{
    event::{CallEvent, Device, explain},
    id::CallId,
    message::MediaState,
};

/// Opus prepares for at least this much loss: at 0 it leaves forward error correction out, and the first loss of a
/// good line would be heard.
const LOSS_FLOOR: Percent = Percent::new(5);

/// A device's handle, by its state.
enum Slot<T> {
    Off,
    /// Being opened; the number tells a late result from a current one.
    Opening(u64),
    On(T),
    /// Could not be opened. A camera is tried again when it is switched on again, a microphone with the next call.
    Failed,
}

/// An open camera and the encoder behind it. Dropped in this order: the camera first, so that the encoder ends by its
/// slot's end.
pub(super) struct Pictures {
    _camera: Camera,
    encoder: VideoEncoder,
}

/// A device that was opened, on its way to the engine.
pub(super) enum Opened {
    Camera(u64, Result<Pictures, String>),
    Microphone(u64, Result<Microphone, String>),
    Speaker(u64, Result<Speaker, String>),
}

impl Opened {
    /// Nobody waits for it any more: its call is over.
    pub(super) fn close(self) {
        match self {
            Self::Camera(_, Ok(pictures)) => close(Slot::On(pictures)),
            Self::Microphone(_, Ok(microphone)) => close(Slot::On(microphone)),
            Self::Speaker(_, Ok(speaker)) => close(Slot::On(speaker)),
            Self::Camera(_, Err(_)) | Self::Microphone(_, Err(_)) | Self::Speaker(_, Err(_)) => {}
        }
    }
}

/// Tells the engine of the devices of one call. A driver can take seconds: what it says then must not be taken for
/// news of the next call's devices.
#[derive(Clone)]
struct Teller {
    call: CallId,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Teller {
    fn opened(&self, opened: Opened) {
        // Where the engine has stopped, the device comes back in the error and is closed here, on its own thread.
        let _ = self.notices.send(Notice::Opened { call: self.call.clone(), opened });
    }

    fn event(&self, event: CallEvent) {
        let _ = self.notices.send(Notice::Device { call: self.call.clone(), event });
    }
}

/// Camera, microphone and speaker of the running call.
pub(super) struct LocalMedia {
    config: EngineConfig,
    tell: Teller,
    routes: Routes,
    hub: Hub,
    mixer: MixerHandle,
    camera: Slot<Pictures>,
    microphone: Slot<Microphone>,
    speaker: Slot<Speaker>,
    reference: Option<EchoReference>,
    muted: bool,
    target: Bitrate,
    openings: u64,
}

impl LocalMedia {
    /// Opens the speaker and, if there is one, the microphone. The camera waits for [`Self::want`].
    pub(super) fn start(
        call: CallId,
        config: &EngineConfig,
        hub: &Hub,
        routes: &Routes,
        notices: &mpsc::UnboundedSender<Notice>,
    ) -> Self {
        let tell = Teller { call, notices: notices.clone() };
        let (handle, mixer) = mixer();
        let (to_reference, reference) = echo_reference();
        let mut this = Self {
            config: config.clone(),
            tell,
            routes: routes.clone(),
            hub: hub.clone(),
            mixer: handle,
            camera: Slot::Off,
            microphone: Slot::Off,
            speaker: Slot::Off,
            reference: Some(reference),
            muted: false,
            target: config.bitrate,
            openings: 0,
        };
        let number = this.next_opening();
        this.speaker = Slot::Opening(number);
        let (spec, tell, events) = (config.speaker.clone(), this.tell.clone(), this.tell.clone());
        spawn_blocking(move || {
            let opened = Speaker::open(&spec, mixer, to_reference, move |event| tell_speaker(&events, event));
            tell.opened(Opened::Speaker(number, opened.map_err(|error| error.to_string())));
        });
        this
    }

    /// Where peers' sound is mixed.
    pub(super) fn mixer(&self) -> &MixerHandle {
        &self.mixer
    }

    /// What can be sent at all, as far as is known.
    pub(super) fn available(&self) -> MediaState {
        if self.config.echo {
            return MediaState::BOTH;
        }
        MediaState {
            audio: self.config.microphone.is_some() && !matches!(self.microphone, Slot::Failed),
            video: self.config.camera.is_some() && !matches!(self.camera, Slot::Failed),
        }
    }

    /// Some peer is to get this. A muted microphone stays open and gives silence; a camera that is off is closed.
    pub(super) fn want(&mut self, media: MediaState) {
        match (&self.camera, media.video) {
            (Slot::Off, true) => self.open_camera(),
            (Slot::On(_) | Slot::Opening(_), false) => close(std::mem::replace(&mut self.camera, Slot::Off)),
            (Slot::On(_) | Slot::Opening(_), true) | (Slot::Off, false) | (Slot::Failed, _) => {}
        }
        self.muted = !media.audio;
        match &self.microphone {
            Slot::Off if media.audio => self.open_microphone(),
            Slot::On(microphone) => microphone.set_muted(self.muted),
            Slot::Off | Slot::Opening(_) | Slot::Failed => {}
        }
    }

    /// A device is there, or could not be opened: the event that says so.
    pub(super) fn opened(&mut self, opened: Opened) -> Option<CallEvent> {
        match opened {
            Opened::Camera(number, result) => {
                let fresh = settle(&mut self.camera, number, result, Device::Camera);
                if let Slot::On(pictures) = &self.camera {
                    pictures.encoder.set_bitrate(self.target);
                }
                fresh
            }
            Opened::Microphone(number, result) => {
                let fresh = settle(&mut self.microphone, number, result, Device::Microphone);
                if let Slot::On(microphone) = &self.microphone {
                    microphone.set_muted(self.muted);
                    self.routes.open_microphone();
                }
                fresh
            }
            Opened::Speaker(number, result) => settle(&mut self.speaker, number, result, Device::Speaker),
        }
    }

    /// The camera is switched on by the user: one that could not be opened before is tried again.
    pub(super) fn retry_camera(&mut self) {
        if matches!(self.camera, Slot::Failed) {
            self.camera = Slot::Off;
        }
    }

    pub(super) fn request_key_frame(&self) {
        if let Slot::On(pictures) = &self.camera {
            pictures.encoder.request_key_frame();
        }
    }

    pub(super) fn set_bitrate(&mut self, target: Bitrate) {
        self.target = target;
        if let Slot::On(pictures) = &self.camera {
            pictures.encoder.set_bitrate(target);
        }
    }

    /// The share of packets that the worst path loses, which Opus protects against.
    pub(super) fn set_expected_loss(&self, loss: f64) {
        if let Slot::On(microphone) = &self.microphone {
            microphone.set_expected_loss(Percent::new((loss * 100.0).round() as u8).max(LOSS_FLOOR));
        }
    }

    pub(super) fn video_encoding(&self) -> Option<VideoEncoding> {
        match &self.camera {
            Slot::On(pictures) => Some(VideoEncoding { target: self.target, encoder: pictures.encoder.stats() }),
            Slot::Off | Slot::Opening(_) | Slot::Failed => None,
        }
    }

    fn open_camera(&mut self) {
        let Some(spec) = self.config.camera.clone() else { return };
        let number = self.next_opening();
        self.camera = Slot::Opening(number);
        let (format, target) = (self.config.video, self.target);
        let (sink, tell, events) = (self.routes.video_sink(&self.hub), self.tell.clone(), self.tell.clone());
        spawn_blocking(move || {
            let open = || {
                let (writer, reader) = slot();
                let camera = Camera::open(&spec, format, writer, move |event| tell_camera(&events, event))
                    .map_err(|error| error.to_string())?;
                let encoder =
                    VideoEncoder::spawn(reader, camera.format(), target, sink).map_err(|error| error.to_string())?;
                Ok(Pictures { _camera: camera, encoder })
            };
            tell.opened(Opened::Camera(number, open()));
        });
    }

    fn open_microphone(&mut self) {
        // The reference can be read by one canceller only; a microphone that failed once has taken it with it.
        let (Some(spec), Some(reference)) = (self.config.microphone.clone(), self.reference.take()) else { return };
        let number = self.next_opening();
        self.microphone = Slot::Opening(number);
        let settings = MicrophoneSettings { processing: self.config.processing, opus: self.config.opus };
        let (sink, tell, events) = (self.routes.audio_sink(), self.tell.clone(), self.tell.clone());
        spawn_blocking(move || {
            let opened = Microphone::open(&spec, settings, reference, sink, move |event| {
                tell_microphone(&events, event);
            });
            tell.opened(Opened::Microphone(number, opened.map_err(|error| error.to_string())));
        });
    }

    fn next_opening(&mut self) -> u64 {
        self.openings += 1;
        self.openings
    }
}

impl Drop for LocalMedia {
    fn drop(&mut self) {
        close(std::mem::replace(&mut self.camera, Slot::Off));
        close(std::mem::replace(&mut self.microphone, Slot::Off));
        close(std::mem::replace(&mut self.speaker, Slot::Off));
    }
}

/// Takes the result of an opening over, if it is the one that is waited for.
fn settle<T: Send + 'static>(
    slot: &mut Slot<T>,
    number: u64,
    result: Result<T, String>,
    device: Device,
) -> Option<CallEvent> {
    match (&*slot, result) {
        (Slot::Opening(current), Ok(opened)) if *current == number => {
            *slot = Slot::On(opened);
            None
        }
        (Slot::Opening(current), Err(error)) if *current == number => {
            *slot = Slot::Failed;
            let (what, todo) = explain(&error);
            Some(CallEvent::DeviceMissing { device, what, todo })
        }
        (_, late) => {
            if let Ok(opened) = late {
                close(Slot::On(opened));
            }
            None
        }
    }
}

/// Closes a device where waiting for its driver hurts nobody.
fn close<T: Send + 'static>(slot: Slot<T>) {
    if let Slot::On(device) = slot {
        spawn_blocking(move || drop(device));
    }
}

fn tell_camera(tell: &Teller, event: CameraEvent) {
    let lost = |text: String| {
        let (what, todo) = explain(&text);
        CallEvent::DeviceLost { device: Device::Camera, what, todo }
    };
    let event = match event {
        CameraEvent::Stalled { device, silent_for } => lost(format!(
            "the camera {device:?} has sent no picture for {} s: check whether it is covered by another program, or unplug it and plug it in again",
            silent_for.as_secs()
        )),
        CameraEvent::Lost(error) => lost(error.to_string()),
        CameraEvent::Resumed { .. } | CameraEvent::Restored { .. } => CallEvent::DeviceBack { device: Device::Camera },
        other => {
            debug!(?other, "camera");
            return;
        }
    };
    tell.event(event);
}

fn tell_microphone(tell: &Teller, event: MicrophoneEvent) {
    let lost = |text: String| {
        let (what, todo) = explain(&text);
        CallEvent::DeviceLost { device: Device::Microphone, what, todo }
    };
    let event = match event {
        MicrophoneEvent::Lost(error) => lost(error.to_string()),
        MicrophoneEvent::Silent { for_ } => lost(format!(
            "the microphone has given nothing but silence for {} s: check its switch and the system's volume control",
            for_.as_secs()
        )),
        MicrophoneEvent::Restored { .. } | MicrophoneEvent::Audible => {
            CallEvent::DeviceBack { device: Device::Microphone }
        }
        other => {
            debug!(?other, "microphone");
            return;
        }
    };
    tell.event(event);
}

fn tell_speaker(tell: &Teller, event: SpeakerEvent) {
    let event = match event {
        SpeakerEvent::Lost(error) => {
            let (what, todo) = explain(&error.to_string());
            CallEvent::DeviceLost { device: Device::Speaker, what, todo }
        }
        SpeakerEvent::Restored { .. } => CallEvent::DeviceBack { device: Device::Speaker },
        _ => return,
    };
    tell.event(event);
}
