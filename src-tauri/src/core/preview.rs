//! Trying devices without a call: the camera's picture, the microphone's meter, a sound from the speaker; and
//! the ringing.
//!
//! Each runs on a thread of its own, which opens the device, and closes it when its handle is dropped.

use std::{
    f32::consts::TAU,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ahoy_media::{
    audio::{
        SAMPLE_RATE,
        microphone::{Microphone, MicrophoneSettings, MicrophoneSpec},
        mixer::{PcmStream, mixer},
        process::{ProcessingSettings, echo_reference},
        speaker::{Speaker, SpeakerSpec},
    },
    units::{Bitrate, VideoFormat},
    video::{
        capture::{Camera, CameraSpec},
        encode::VideoEncoder,
        slot::slot,
    },
    webm::hub::{Hub, StreamId},
};
use tokio::sync::oneshot;

use super::{App, Sink, choice};
use crate::api::{AppEvent, DeviceKind, Notice};

/// Name of the hub stream with the picture of the camera under test.
const PREVIEW_STREAM: &str = "preview";
/// The preview is small on the page; its bit rate costs nothing.
const PREVIEW_FORMAT: VideoFormat = VideoFormat { width: 640, height: 360, fps: 30 };
const PREVIEW_BITRATE: Bitrate = Bitrate::from_kbps(1500);
/// Between two levels: as often as an eye follows a meter.
const LEVEL_INTERVAL: Duration = Duration::from_millis(50);
/// What a meter shows as nothing: a quiet room behind a quiet microphone, in dBFS.
const LEVEL_FLOOR: f32 = -60.0;
/// Code of what is told where calls ring on another speaker than the chosen one.
const RINGER_MISSING: &str = "ringer-missing";
/// The same where they cannot be heard at all.
const SPEAKER_MISSING: &str = "speaker-missing";
/// How often a camera under test looks whether it is to end, or owes a key frame.
const CAMERA_TICK: Duration = Duration::from_millis(20);

/// A running thread, told to end when this is dropped.
#[derive(Debug)]
pub struct Handle(Arc<AtomicBool>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The devices under test.
#[derive(Debug, Default)]
pub struct Tests {
    camera: Option<Handle>,
    microphone: Option<Handle>,
    speaker: Option<Handle>,
    ringer: Option<Handle>,
    ringing: Option<Handle>,
}

impl Tests {
    /// Lets go of all devices under test: a call needs them. Ringing goes on.
    pub fn stop(&mut self) {
        *self = Self { ringing: self.ringing.take(), ..Self::default() };
    }

    /// A call rings here. Where the chosen ringer is not there, the system's speaker rings, and that is told
    /// as an error.
    pub fn ring(&mut self, ringer: SpeakerSpec) -> Opening {
        let (handle, opening) = spawn("ringing", move |stop, opened| ring(&ringer, stop, opened));
        self.ringing = Some(handle);
        opening
    }

    /// It rings no more.
    pub fn silence(&mut self) {
        self.ringing = None;
    }

    fn slot(&mut self, kind: DeviceKind) -> &mut Option<Handle> {
        match kind {
            DeviceKind::Camera => &mut self.camera,
            DeviceKind::Microphone => &mut self.microphone,
            DeviceKind::Speaker => &mut self.speaker,
            DeviceKind::Ringer => &mut self.ringer,
        }
    }
}

impl App {
    /// Begins or ends to try the chosen device of a kind: the camera's picture is the stream `preview`, sound
    /// is told as levels.
    ///
    /// # Errors
    /// A call runs, or the device cannot be opened.
    pub async fn device_test(&self, kind: DeviceKind, on: bool) -> Result<(), Notice> {
        let opening = {
            let mut state = self.state();
            // The old one first: a device is opened once.
            *state.tests.slot(kind) = None;
            if !on {
                return Ok(());
            }
            if state.is_busy() {
                return Err(Notice::new("in-call", "The devices are in use by your call.", "Try them after the call."));
            }
            let (handle, opening) = self.begin_test(kind);
            *state.tests.slot(kind) = Some(handle);
            opening
        };
        let opened = opening.await.unwrap_or(Ok(()));
        if opened.is_err() {
            *self.state().tests.slot(kind) = None;
        }
        opened
    }

    /// Another device was chosen: where one of the kind is being tried, this one is from now on.
    pub(super) async fn retry_test(&self, kind: DeviceKind) -> Result<(), Notice> {
        let trying = self.state().tests.slot(kind).is_some();
        if trying { self.device_test(kind, true).await } else { Ok(()) }
    }

    /// Waits for what it rings on.
    pub(super) fn follow_ringer(&self, ringing: Opening) {
        let this = self.this.clone();
        tokio::spawn(async move {
            if let (Ok(opened), Some(app)) = (ringing.await, this.upgrade()) {
                app.on_ringer(opened);
            }
        });
    }

    /// Tells of a ringer that is missing, once until it is there again: many calls may ring meanwhile.
    pub(super) fn on_ringer(&self, opened: Result<(), Notice>) {
        match opened {
            Ok(()) => self.state().notices.retain(|notice| ![RINGER_MISSING, SPEAKER_MISSING].contains(&&*notice.code)),
            Err(notice) => {
                let known = self.state().notices.contains(&notice);
                if !known {
                    self.notice(notice);
                }
            }
        }
    }

    fn begin_test(&self, kind: DeviceKind) -> (Handle, Opening) {
        let (settings, sink, hub) = (self.settings(), Arc::clone(&self.sink), self.hub.clone());
        let level = move |peak: f32| sink(AppEvent::Level { kind, peak });
        match kind {
            DeviceKind::Camera => {
                let chosen = settings.camera;
                let lost = Arc::clone(&self.sink);
                spawn("camera-test", move |stop, opened| show(chosen.as_deref(), &hub, &lost, stop, opened))
            }
            DeviceKind::Microphone => {
                let spec = choice::microphone(settings.microphone.as_deref());
                let processing = choice::processing(&settings);
                spawn("microphone-test", move |stop, opened| listen(&spec, processing, stop, opened, level))
            }
            DeviceKind::Speaker => {
                let spec = choice::speaker(settings.speaker.as_deref());
                spawn("speaker-test", move |stop, opened| play(&spec, CHIME, stop, opened, level))
            }
            DeviceKind::Ringer => {
                let spec = choice::speaker(settings.ringer.as_deref());
                spawn("ringer-test", move |stop, opened| play(&spec, RINGTONE, stop, opened, level))
            }
        }
    }
}

/// Becomes whether the device could be opened.
pub type Opening = oneshot::Receiver<Result<(), Notice>>;
type Opened = oneshot::Sender<Result<(), Notice>>;

fn spawn(name: &str, run: impl FnOnce(&AtomicBool, Opened) + Send + 'static) -> (Handle, Opening) {
    let stop = Arc::new(AtomicBool::new(false));
    let (opened, opening) = oneshot::channel();
    let stopped = Arc::clone(&stop);
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(move || run(&stopped, opened)) {
        tracing::warn!(%error, name, "no thread");
    }
    (Handle(stop), opening)
}

fn failed(kind: &str, error: &impl std::fmt::Display) -> Notice {
    Notice::explain(format!("{kind}-missing"), &error.to_string())
}

fn show(chosen: Option<&str>, hub: &Hub, sink: &Sink, stop: &AtomicBool, opened: Opened) {
    let Some(spec): Option<CameraSpec> = choice::camera(chosen) else {
        let todo = "Plug one in, or choose the test pattern. You can also call without a camera.";
        let _ = opened.send(Err(Notice::new("camera-missing", "There is no camera.", todo)));
        return;
    };
    let key_frame = Arc::new(AtomicBool::new(false));
    let wanted = Arc::clone(&key_frame);
    let open = || {
        let (writer, reader) = slot();
        let camera = Camera::open(&spec, PREVIEW_FORMAT, writer, |event| tracing::debug!(?event, "camera"))
            .map_err(|error| failed("camera", &error))?;
        let stream = hub.open(StreamId::new(PREVIEW_STREAM), move || wanted.store(true, Ordering::Release));
        let mut first = None;
        let push = move |frame: ahoy_media::video::EncodedFrame| {
            let start = *first.get_or_insert(frame.captured_at);
            stream.push(&frame, frame.captured_at.saturating_duration_since(start));
        };
        let encoder = VideoEncoder::spawn(reader, camera.format(), PREVIEW_BITRATE, push)
            .map_err(|error| failed("camera", &error))?;
        Ok((camera, encoder))
    };
    let (camera, encoder) = match open() {
        Ok(open) => open,
        Err(notice) => {
            // Whoever does not wait any more has chosen another one meanwhile.
            if let Err(Err(notice)) = opened.send(Err(notice)) {
                sink(AppEvent::Notice { notice });
            }
            return;
        }
    };
    let _ = opened.send(Ok(()));
    while !stop.load(Ordering::Acquire) {
        if key_frame.swap(false, Ordering::AcqRel) {
            encoder.request_key_frame();
        }
        thread::sleep(CAMERA_TICK);
    }
    // The camera first, so that the encoder ends by its slot's end.
    drop(camera);
    drop(encoder);
}

fn listen(
    spec: &MicrophoneSpec,
    processing: ProcessingSettings,
    stop: &AtomicBool,
    opened: Opened,
    level: impl Fn(f32),
) {
    let settings = MicrophoneSettings { processing, opus: choice::opus() };
    let events = |event| tracing::debug!(?event, "microphone");
    match Microphone::open(spec, settings, echo_reference().1, |_| {}, events) {
        Err(error) => drop(opened.send(Err(failed("microphone", &error)))),
        Ok(microphone) => {
            let _ = opened.send(Ok(()));
            while !stop.load(Ordering::Acquire) {
                level(meter(microphone.level()));
                thread::sleep(LEVEL_INTERVAL);
            }
        }
    }
}

/// A level in dBFS on a meter that is linear in decibels, 0 to 1.
fn meter(dbfs: f32) -> f32 {
    ((dbfs - LEVEL_FLOOR) / -LEVEL_FLOOR).clamp(0.0, 1.0)
}

/// A tone of a tune: its pitch in Hz, and when it begins in seconds.
type Tune = (&'static [(f32, f32)], f32);

/// Three rising tones, every two seconds.
const CHIME: Tune = (&[(523.25, 0.0), (659.25, 0.18), (783.99, 0.36)], 2.0);
/// Two pairs of tones and a pause: known as ringing everywhere.
const RINGTONE: Tune = (&[(659.25, 0.0), (880.0, 0.16), (659.25, 0.5), (880.0, 0.66)], 2.4);
/// Seconds after which a struck tone has faded to a third.
const FADE: f32 = 0.18;
/// Of full scale: clear, and no fright.
const LOUDNESS: f32 = 0.25;

/// The tune's sample at a time in seconds since its beginning.
fn sample((tones, _): Tune, at: f32) -> f32 {
    let tone = |&(pitch, begin): &(f32, f32)| {
        let age = at - begin;
        let attack = (age / 0.005).min(1.0);
        if age < 0.0 { 0.0 } else { attack * (-age / FADE).exp() * (TAU * pitch * age).sin() }
    };
    LOUDNESS * tones.iter().map(tone).sum::<f32>()
}

/// An open speaker, and what is heard of it.
fn output(spec: &SpeakerSpec) -> Result<(Speaker, PcmStream), Notice> {
    let (handle, mixer) = mixer();
    let stream = handle.add_pcm_stream().map_err(|error| failed("speaker", &error))?;
    let speaker = Speaker::open(spec, mixer, echo_reference().0, |event| tracing::debug!(?event, "speaker"));
    Ok((speaker.map_err(|error| failed("speaker", &error))?, stream))
}

fn play(spec: &SpeakerSpec, tune: Tune, stop: &AtomicBool, opened: Opened, level: impl Fn(f32)) {
    match output(spec) {
        Err(notice) => drop(opened.send(Err(notice))),
        Ok((_speaker, stream)) => {
            let _ = opened.send(Ok(()));
            repeat(stream, tune, stop, level);
        }
    }
}

fn ring(ringer: &SpeakerSpec, stop: &AtomicBool, opened: Opened) {
    let (output, told) = chosen_or_default(ringer, output);
    let _ = opened.send(told);
    if let Some((_speaker, stream)) = output {
        repeat(stream, RINGTONE, stop, |_| {});
    }
}

/// Opens the chosen ringer, or else the system's speaker: who calls is to be heard. Says so where it is not
/// the chosen one.
fn chosen_or_default<T>(
    ringer: &SpeakerSpec,
    open: impl Fn(&SpeakerSpec) -> Result<T, Notice>,
) -> (Option<T>, Result<(), Notice>) {
    let missing = match open(ringer) {
        Ok(output) => return (Some(output), Ok(())),
        Err(missing) => missing,
    };
    if !matches!(ringer, SpeakerSpec::Device(_)) {
        return (None, Err(missing));
    }
    match open(&SpeakerSpec::Default) {
        Ok(output) => {
            let todo =
                "Calls ring on the system's speaker instead. Connect it again, or choose another one to ring on.";
            (Some(output), Err(Notice::new(RINGER_MISSING, missing.what, todo)))
        }
        Err(nothing) => (None, Err(nothing)),
    }
}

/// Plays a tune again and again.
fn repeat(mut stream: PcmStream, tune: Tune, stop: &AtomicBool, level: impl Fn(f32)) {
    let mut position = 0;
    while !stop.load(Ordering::Acquire) {
        fill(&mut stream, tune, &mut position);
        level(stream.level());
        thread::sleep(LEVEL_INTERVAL);
    }
}

/// Keeps a stream a few turns ahead of the speaker.
fn fill(stream: &mut PcmStream, tune: Tune, position: &mut usize) {
    let ahead = SAMPLE_RATE as usize / 5;
    let missing = ahead.saturating_sub(stream.queued());
    let length = (tune.1 * SAMPLE_RATE as f32) as usize;
    let at = |index: usize| (index % length) as f32 / SAMPLE_RATE as f32;
    let samples: Vec<f32> = (*position..*position + missing).map(|index| sample(tune, at(index))).collect();
    *position = (*position + stream.push(&samples)) % length;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_is_linear_in_decibels() {
        for (dbfs, shown) in [(f32::NEG_INFINITY, 0.0), (-60.0, 0.0), (-30.0, 0.5), (0.0, 1.0), (3.0, 1.0)] {
            assert_eq!(meter(dbfs), shown);
        }
    }

    #[test]
    fn who_calls_is_heard_where_the_chosen_ringer_is_missing() {
        let desk = SpeakerSpec::Device("desk".into());
        let missing = |spec: &SpeakerSpec| Notice::new("speaker-missing", format!("No {spec}."), "Connect it.");
        for (ringer, there, rings, told) in [
            (&desk, vec![&desk, &SpeakerSpec::Default], Some(&desk), None),
            (
                &desk,
                vec![&SpeakerSpec::Default],
                Some(&SpeakerSpec::Default),
                Some((RINGER_MISSING, "No device:desk.")),
            ),
            (&desk, vec![], None, Some(("speaker-missing", "No default."))),
            (&SpeakerSpec::Default, vec![], None, Some(("speaker-missing", "No default."))),
        ] {
            let open = |spec: &SpeakerSpec| there.contains(&spec).then(|| spec.clone()).ok_or_else(|| missing(spec));
            let (output, notice) = chosen_or_default(ringer, open);
            assert_eq!(output.as_ref(), rings, "{ringer} of {there:?}");
            assert_eq!(notice.as_ref().err().map(|notice| (&*notice.code, &*notice.what)), told);
            assert!(notice.err().is_none_or(|notice| !notice.todo.is_empty()));
        }
    }

    #[test]
    fn tunes_are_heard_and_never_clip() {
        for tune in [CHIME, RINGTONE] {
            let samples = (0..(tune.1 * 48_000.0) as usize).map(|index| sample(tune, index as f32 / 48_000.0).abs());
            let loudest = samples.fold(0.0, f32::max);
            assert!((0.15..0.8).contains(&loudest), "{loudest}");
            assert!(sample(tune, tune.1).abs() < 1e-3, "a repetition would click");
        }
    }
}
