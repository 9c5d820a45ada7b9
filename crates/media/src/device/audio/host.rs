//! The connection to the sound system, and finding a device in it.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use cpal::{
    Host, SampleFormat, SupportedStreamConfig, SupportedStreamConfigRange,
    traits::{DeviceTrait, HostTrait},
};

use super::{AudioDeviceError, AudioDeviceInfo, AudioDirection, AudioFormat, DeviceChoice};

/// Opening a device takes milliseconds. A server that hangs, or a source that never delivers, holds its
/// opener for ever; after this the user is told.
pub(crate) const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// How often a device that went away is tried again. A person who plugs it in does not wait, and it costs
/// next to nothing.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// The process's connection to the sound server, by which devices are found; streams have their own. It costs
/// a thread and three descriptors which its library does not give back, so there must not be one a call.
static SERVER: Mutex<Option<Arc<Host>>> = Mutex::new(None);

/// The sound server where one answers, else ALSA.
fn host() -> Arc<Host> {
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    // A connection to a server that went away (or was started again) fails here, and is replaced.
    if let Some(host) = server.take_if(|host| host.devices().is_err()).is_none().then_some(server.as_ref()).flatten() {
        return Arc::clone(host);
    }
    let host = Arc::new(cpal::default_host());
    *server = is_server(&host).then(|| Arc::clone(&host));
    host
}

fn is_server(host: &Host) -> bool {
    host.id().name() == "PulseAudio"
}

fn default_device(host: &Host, direction: AudioDirection) -> Option<cpal::Device> {
    match direction {
        AudioDirection::Input => host.default_input_device(),
        AudioDirection::Output => host.default_output_device(),
    }
}

fn devices(host: &Host, direction: AudioDirection) -> Vec<cpal::Device> {
    match direction {
        AudioDirection::Input => host.input_devices().map(Iterator::collect),
        AudioDirection::Output => host.output_devices().map(Iterator::collect),
    }
    .unwrap_or_default()
}

/// The device's own name within its host; stable, unlike its index.
fn id(device: &cpal::Device) -> String {
    device.id().map(|id| id.id().to_owned()).unwrap_or_default()
}

fn name(device: &cpal::Device) -> String {
    device.description().map(|description| description.name().to_owned()).unwrap_or_default()
}

pub(super) fn list(direction: AudioDirection) -> Vec<AudioDeviceInfo> {
    let host = host();
    let default = default_device(&host, direction).map(|device| id(&device));
    devices(&host, direction)
        .iter()
        .map(|device| {
            let id = id(device);
            let config = match direction {
                AudioDirection::Input => device.default_input_config(),
                AudioDirection::Output => device.default_output_config(),
            };
            AudioDeviceInfo {
                name: name(device),
                default: default.as_ref() == Some(&id),
                id,
                formats: config
                    .map(|config| AudioFormat {
                        sample_rate: config.sample_rate(),
                        channels: config.channels(),
                        sample: config.sample_format().to_string(),
                    })
                    .into_iter()
                    .collect(),
            }
        })
        .collect()
}

/// A device of the system and what people call it.
pub(crate) struct Chosen {
    pub device: cpal::Device,
    pub name: String,
    /// Its name in the sound server, where there is one.
    pub in_server: Option<String>,
}

/// Finds the wanted device: by id, else by name, else by a part of its name in any case.
pub(crate) fn choose(direction: AudioDirection, choice: &DeviceChoice) -> Result<Chosen, AudioDeviceError> {
    let host = host();
    let device = match choice {
        DeviceChoice::Default => default_device(&host, direction).ok_or(AudioDeviceError::None { direction })?,
        DeviceChoice::Named(wanted) => {
            let mut devices = devices(&host, direction);
            let lower = wanted.to_lowercase();
            let found = devices
                .iter()
                .position(|device| id(device) == *wanted)
                .or_else(|| devices.iter().position(|device| name(device) == *wanted))
                .or_else(|| devices.iter().position(|device| name(device).to_lowercase().contains(&lower)));
            let Some(found) = found else {
                let known = devices.iter().map(name).collect();
                return Err(AudioDeviceError::Unknown { direction, device: wanted.clone(), known });
            };
            devices.swap_remove(found)
        }
    };
    let name = name(&device);
    let in_server = is_server(&host).then(|| id(&device));
    Ok(Chosen { device, name, in_server })
}

/// Whether the device's default is the hardware's own rate; what ALSA names is only what it would convert to.
pub(crate) fn names_own_rate(device: &cpal::Device) -> bool {
    device.id().is_ok_and(|id| id.host().name() != "ALSA")
}

/// The device's default channels at `rate`, in floating point where it takes that; else its default as it is.
///
/// Floating point also keeps out of cpal 0.18.2's 24-bit samples of PulseAudio, whose sign it does not
/// extend.
pub(crate) fn prefer(
    default: SupportedStreamConfig,
    rate: u32,
    supported: impl Iterator<Item = SupportedStreamConfigRange>,
) -> SupportedStreamConfig {
    supported
        .filter(|range| range.channels() == default.channels())
        .filter(|range| [SampleFormat::F32, default.sample_format()].contains(&range.sample_format()))
        .filter_map(|range| range.try_with_sample_rate(rate))
        .max_by_key(|config| config.sample_format() == SampleFormat::F32)
        .unwrap_or(default)
}

/// Opens a device on a thread of its own, so that one that hangs does not hang the caller.
pub(crate) fn open_within<T: Send + 'static>(
    direction: AudioDirection,
    choice: &DeviceChoice,
    open: impl FnOnce(&DeviceChoice) -> Result<T, AudioDeviceError> + Send + 'static,
) -> Result<T, AudioDeviceError> {
    let (opened, result) = mpsc::channel();
    let wanted = choice.clone();
    thread::Builder::new()
        .name("sound-open".into())
        .spawn(move || {
            // Nobody waits any more: then the device is closed again here.
            let _ = opened.send(open(&wanted));
        })
        .map_err(|e| AudioDeviceError::Thread { direction, reason: e.to_string() })?;
    result.recv_timeout(OPEN_LIMIT).unwrap_or_else(|_| {
        let device = match choice {
            DeviceChoice::Default => "default".to_owned(),
            DeviceChoice::Named(name) => name.clone(),
        };
        Err(AudioDeviceError::TimedOut { direction, device, limit: OPEN_LIMIT })
    })
}

/// Tries to open a device again and again, beside its user, until it comes back or this is dropped.
pub(crate) struct Reopening<T> {
    opened: mpsc::Receiver<T>,
    /// Its drop ends the thread's wait.
    _cancel: mpsc::Sender<()>,
}

impl<T: Send + 'static> Reopening<T> {
    pub(crate) fn start(open: impl Fn() -> Result<T, AudioDeviceError> + Send + 'static) -> Self {
        Self::after(RETRY_INTERVAL, open)
    }

    /// The same of a device that is there.
    pub(crate) fn at_once(open: impl Fn() -> Result<T, AudioDeviceError> + Send + 'static) -> Self {
        Self::after(Duration::ZERO, open)
    }

    fn after(first: Duration, open: impl Fn() -> Result<T, AudioDeviceError> + Send + 'static) -> Self {
        let (send, opened) = mpsc::channel();
        let (cancel, cancelled) = mpsc::channel::<()>();
        // No thread: then the device stays away, as its user was told when it went.
        let _ = thread::Builder::new().name("sound-reopen".into()).spawn(move || {
            let mut wait = first;
            while let Err(mpsc::RecvTimeoutError::Timeout) = cancelled.recv_timeout(wait) {
                wait = RETRY_INTERVAL;
                if let Ok(device) = open() {
                    let _ = send.send(device);
                    return;
                }
            }
        });
        Self { opened, _cancel: cancel }
    }

    /// The device, once it is back.
    pub(crate) fn poll(&self) -> Option<T> {
        self.opened.try_recv().ok()
    }
}
