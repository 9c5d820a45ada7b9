//! Our own devices during a call: opened when they are needed, closed when they are not, off the engine's
//! task. Opening and closing wait for drivers, so both happen on blocking threads.

use std::{sync::Arc, time::Instant};

use ahoy_media::{
    advice::Advice,
    audio::{
        microphone::{Microphone, MicrophoneEvent, MicrophoneSettings},
        mixer::{MixerHandle, mixer},
        opus::VoiceEncoding,
        process::{EchoReference, echo_reference},
        speaker::{Speaker, SpeakerEvent, SpeakerSpec},
    },
    units::Bitrate,
    video::{
        capture::{Camera, CameraEvent},
        encode::VideoEncoder,
        slot::slot,
        vp8::Vp8Error,
    },
    webm::hub::Hub,
};
use tokio::sync::mpsc;
use tracing::debug;

use super::{
    Devices, EngineConfig, VideoEncoding, VideoLimit,
    actor::Notice,
    device::{News, Opening, Slot, close},
    ladder::{Ladder, Means},
    routes::Routes,
};
use crate::{
    event::{CallEvent, Device},
    id::CallId,
    message::{MediaState, Paused},
};

/// What video may take before the path is known: the estimate's start without sound.
const FIRST_TARGET: Bitrate = Bitrate::from_kbps(220);

/// An open camera and the encoder behind it. Dropped in this order: the camera first, so that the encoder
/// ends by its slot's end.
pub(super) struct Pictures {
    camera: Camera,
    encoder: VideoEncoder,
}

/// A device that was opened, on its way to the engine.
pub(super) enum Opened {
    Camera(Result<Pictures, Advice>),
    Microphone(Result<Microphone, Advice>),
    Speaker(Result<(), Advice>),
}

impl Opened {
    /// Nobody waits for it any more: its call is over.
    pub(super) fn close(self) {
        match self {
            Self::Camera(pictures) => drop(close(pictures.ok())),
            Self::Microphone(microphone) => drop(close(microphone.ok())),
            Self::Speaker(_) => {}
        }
    }
}

/// Tells the engine of the devices of one call.
#[derive(Clone)]
struct Teller {
    call: CallId,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Teller {
    fn opened(&self, opened: Opened) {
        // Where the engine has stopped, the device comes back in the error and is closed here, on its own
        // thread.
        let _ = self.notices.send(Notice::Opened { call: self.call.clone(), opened });
    }

    fn news(&self, device: Device, opening: Opening, news: News) {
        let _ = self.notices.send(Notice::Device { call: self.call.clone(), device, opening, news });
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
    /// It gives nothing but silence.
    silent: bool,
    /// Somebody was to hear it: it stays open.
    microphone_used: bool,
    /// Keeps the mixer running, whatever plays it. None once the call is over.
    output: Option<Arc<Result<Speaker, Advice>>>,
    /// What plays it.
    speaker: Slot<()>,
    reference: EchoReference,
    /// What somebody is to get.
    wanted: MediaState,
    target: Bitrate,
    voice: VoiceEncoding,
    /// What is sent of the camera that is open.
    ladder: Option<Ladder>,
}

impl LocalMedia {
    /// Opens the speaker. Camera and microphone wait for [`Self::want`].
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
        // The device can change, and the mixer must outlast it.
        let output = Speaker::open(&SpeakerSpec::None, mixer, to_reference, |_| {}).map_err(|error| error.advice());
        let mut this = Self {
            config: config.clone(),
            tell,
            routes: routes.clone(),
            hub: hub.clone(),
            mixer: handle,
            camera: Slot::new(),
            microphone: Slot::new(),
            silent: false,
            microphone_used: false,
            output: Some(Arc::new(output)),
            speaker: Slot::new(),
            reference,
            wanted: MediaState::NONE,
            target: config.bitrate.min(FIRST_TARGET),
            voice: config.opus.encoding(),
            ladder: None,
        };
        this.settle();
        this
    }

    /// Where peers' sound is mixed.
    pub(super) fn mixer(&self) -> &MixerHandle {
        &self.mixer
    }

    /// What the devices give, as far as is known.
    pub(super) fn available(&self) -> MediaState {
        MediaState { audio: self.microphone.gives(), video: self.camera.gives() }
    }

    /// Some peer is to get this. A muted microphone stays open and gives silence; a camera that is off is
    /// closed.
    pub(super) fn want(&mut self, media: MediaState) {
        self.wanted = media;
        self.microphone_used |= media.audio;
        if !media.video {
            self.camera.close();
            self.routes.end_preview();
        }
        self.settle();
        if let Some(microphone) = self.microphone.on() {
            microphone.set_muted(!media.audio);
        }
    }

    /// Goes on with these devices. Of one that is another than before, the old is closed and the new opened.
    /// The event to tell, if there is one.
    pub(super) fn set_devices(&mut self, devices: Devices) -> Option<CallEvent> {
        let mut news = None;
        let config = self.config.clone().with_devices(devices);
        let old = std::mem::replace(&mut self.config, config);
        if old.camera != self.config.camera {
            self.camera.replace();
        }
        if old.microphone != self.config.microphone {
            self.microphone.replace();
            news = std::mem::take(&mut self.silent).then_some(News::Audible);
        }
        if old.speaker != self.config.speaker {
            self.speaker.replace();
        }
        if let Some(microphone) = self.microphone.on() {
            microphone.set_processing(self.config.processing);
        }
        self.settle();
        news.map(|news| news.event(Device::Microphone))
    }

    /// Opens what is wanted and closed.
    fn settle(&mut self) {
        if self.wanted.video && self.camera.is_off() {
            self.open_camera();
        }
        if self.microphone_used && self.microphone.is_off() {
            self.open_microphone();
        }
        if self.speaker.is_off() {
            self.open_speaker();
        }
    }

    /// A device is there, or could not be opened: the event to tell, if there is one.
    pub(super) fn opened(&mut self, opened: Opened) -> Option<CallEvent> {
        let event = match opened {
            Opened::Camera(result) => {
                let news = self.camera.opened(result);
                match self.camera.on() {
                    Some(pictures) => {
                        // The path is as it was before the camera was opened, or another one.
                        let format = pictures.camera.format();
                        let ladder = Ladder::new(format, self.config.limit(), self.target, Instant::now());
                        let ladder = self.ladder.insert(ladder);
                        pictures.encoder.set_bitrate(self.target);
                        pictures.encoder.set_format(ladder.format());
                    }
                    None => self.routes.end_preview(),
                }
                news.map(|news| news.event(Device::Camera))
            }
            Opened::Microphone(result) => {
                let news = self.microphone.opened(result);
                if let Some(microphone) = self.microphone.on() {
                    microphone.set_muted(!self.wanted.audio);
                    microphone.set_processing(self.config.processing);
                    microphone.set_encoding(self.voice);
                    self.routes.open_microphone();
                }
                news.map(|news| news.event(Device::Microphone))
            }
            Opened::Speaker(result) => self.speaker.opened(result).map(|news| news.event(Device::Speaker)),
        };
        // Something else may be wanted by now.
        self.settle();
        event
    }

    /// A device says something: the event to tell, if there is one.
    pub(super) fn hear(&mut self, device: Device, opening: Opening, news: News) -> Option<CallEvent> {
        let news = match device {
            Device::Camera => self.camera.hear(opening, news),
            Device::Microphone => self.microphone.hear(opening, news),
            Device::Speaker => self.speaker.hear(opening, news),
        };
        match news {
            Some(News::Silent(_)) => self.silent = true,
            Some(News::Audible) => self.silent = false,
            Some(News::Missing(_) | News::Lost(_) | News::Back) | None => {}
        }
        news.map(|news| news.event(device))
    }

    /// The user switches a device on: one that could not be opened before may be tried again.
    pub(super) fn retry(&mut self, device: Device) {
        match device {
            Device::Camera => self.camera.retry(),
            Device::Microphone => self.microphone.retry(),
            Device::Speaker => self.speaker.retry(),
        }
    }

    pub(super) fn request_key_frame(&self) {
        if let Some(pictures) = self.camera.on() {
            pictures.encoder.request_key_frame();
        }
    }

    /// What video may take from now on, headers left out. Its size and rate follow.
    pub(super) fn set_bitrate(&mut self, now: Instant, target: Bitrate) {
        self.target = target;
        let Some(pictures) = self.camera.on() else { return };
        pictures.encoder.set_bitrate(target);
        let Some(ladder) = &mut self.ladder else { return };
        let stats = pictures.encoder.stats();
        let interval = ladder.format().map(|format| 1e6 / f64::from(format.fps.max(1)));
        let load = interval.filter(|_| stats.frames > 0).map(|interval| stats.encode_us / interval);
        if ladder.look(now, Means { bitrate: target, load }) {
            debug!(format = ?ladder.format(), %target, "video adapts");
            pictures.encoder.set_format(ladder.format());
        }
    }

    /// Limits the camera's video from now on. Where the limit asks the camera for another size, the camera is
    /// opened anew.
    pub(super) fn set_limit(&mut self, now: Instant, limit: VideoLimit) {
        let config = self.config.clone().with_limit(limit);
        let reopens = config.camera_format() != self.config.camera_format();
        self.config = config;
        if reopens {
            self.camera.replace();
            self.settle();
        }
        let (Some(pictures), Some(ladder)) = (self.camera.on(), &mut self.ladder) else { return };
        if ladder.set_limit(now, limit) {
            pictures.encoder.set_format(ladder.format());
        }
    }

    /// Returns why the video of an open camera is not sent; `None` while it is sent, or no camera is open.
    pub(super) fn paused(&self) -> Option<Paused> {
        self.video_encoding()?.format.is_none().then_some(Paused::Bandwidth)
    }

    /// How a voice is encoded from its next packet on.
    pub(super) fn set_voice(&mut self, encoding: VoiceEncoding) {
        self.voice = encoding;
        if let Some(microphone) = self.microphone.on() {
            microphone.set_encoding(encoding);
        }
    }

    pub(super) fn video_encoding(&self) -> Option<VideoEncoding> {
        let pictures = self.camera.on()?;
        let ladder = self.ladder.as_ref()?;
        let (format, adapted, halvings) = (ladder.format(), ladder.adapted(), ladder.halvings());
        Some(VideoEncoding { target: self.target, format, adapted, halvings, encoder: pictures.encoder.stats() })
    }

    fn open_camera(&mut self) {
        let Some(spec) = self.config.camera.clone() else { return };
        let (format, target) = (self.config.camera_format(), self.target);
        let (routes, tell, events) = (self.routes.clone(), self.tell.clone(), self.tell.clone());
        if self.config.own_picture {
            routes.begin_preview(&self.hub);
        }
        self.camera.begin(move |opening| {
            let open = || {
                let (writer, reader) = slot();
                let tell_news = move |event| tell_camera(&events, opening, event);
                let camera = Camera::open(&spec, format, writer, tell_news).map_err(|error| error.advice())?;
                let (sink, tap) = (routes.video_sink(), routes.preview_tap(camera.format().fps));
                let encoder = VideoEncoder::spawn_with_tap(reader, camera.format(), target, routes.ready(), sink, tap);
                let encoder = encoder.map_err(|error| unencodable(&error))?;
                Ok(Pictures { camera, encoder })
            };
            tell.opened(Opened::Camera(open()));
        });
    }

    fn open_microphone(&mut self) {
        let Some(spec) = self.config.microphone.clone() else { return };
        let settings = MicrophoneSettings { processing: self.config.processing, opus: self.config.opus };
        let (sink, tell, events) = (self.routes.audio_sink(), self.tell.clone(), self.tell.clone());
        let reference = self.reference.clone();
        // Until it is known to be muted or not.
        self.routes.close_microphone();
        self.microphone.begin(move |opening| {
            let tell_news = move |event| tell_microphone(&events, opening, event);
            let opened = Microphone::open(&spec, settings, reference, sink, tell_news);
            tell.opened(Opened::Microphone(opened.map_err(|error| error.advice())));
        });
    }

    fn open_speaker(&mut self) {
        let Some(output) = self.output.clone() else { return };
        let (spec, tell, events) = (self.config.speaker.clone(), self.tell.clone(), self.tell.clone());
        self.speaker.begin(move |opening| {
            let tell_news = move |event| tell_speaker(&events, opening, event);
            let opened = match &*output {
                Ok(output) => output.choose(&spec, tell_news).map_err(|error| error.advice()),
                Err(advice) => Err(advice.clone()),
            };
            // Before the answer: the call may be over with it, and the last one to let go closes the device.
            drop(output);
            tell.opened(Opened::Speaker(opened));
        });
    }
}

impl Drop for LocalMedia {
    fn drop(&mut self) {
        self.camera.close();
        self.microphone.close();
        self.routes.end_preview();
        drop(close(self.output.take()));
    }
}

fn unencodable(error: &Vp8Error) -> Advice {
    Advice::new(
        format!("the camera's pictures cannot be encoded ({error})"),
        "choose another size of pictures, or another camera",
    )
}

fn tell_camera(tell: &Teller, opening: Opening, event: CameraEvent) {
    let news = match event {
        CameraEvent::Stalled { device, silent_for } => News::Lost(Advice::new(
            format!("the camera {device:?} has sent no picture for {} s", silent_for.as_secs()),
            "check whether it is covered by another program, or unplug it and plug it in again",
        )),
        CameraEvent::Lost(error) => News::Lost(error.advice()),
        CameraEvent::Resumed { .. } | CameraEvent::Restored { .. } => News::Back,
        other => {
            debug!(?other, "camera");
            return;
        }
    };
    tell.news(Device::Camera, opening, news);
}

fn tell_microphone(tell: &Teller, opening: Opening, event: MicrophoneEvent) {
    let news = match event {
        MicrophoneEvent::Lost(error) => News::Lost(error.advice()),
        MicrophoneEvent::Silent { for_ } => News::Silent(Advice::new(
            format!("the microphone has given nothing but silence for {} s", for_.as_secs()),
            "check its switch and the system's volume control",
        )),
        MicrophoneEvent::Audible => News::Audible,
        MicrophoneEvent::Restored { .. } => News::Back,
        other => {
            debug!(?other, "microphone");
            return;
        }
    };
    tell.news(Device::Microphone, opening, news);
}

fn tell_speaker(tell: &Teller, opening: Opening, event: SpeakerEvent) {
    let news = match event {
        SpeakerEvent::Lost(error) => News::Lost(error.advice()),
        SpeakerEvent::Restored { .. } => News::Back,
        _ => return,
    };
    tell.news(Device::Speaker, opening, news);
}
