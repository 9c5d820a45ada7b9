//! In place of `pulse` where no system has such a server: cpal never finds one there.

use std::time::Instant;

pub(crate) struct PlaybackForm<'a> {
    pub sink: &'a str,
    pub rate: u32,
    pub period: u32,
}

pub(crate) struct Playback;

impl Playback {
    pub fn start(
        _: &PlaybackForm<'_>,
        _: impl Iterator<Item = f32> + Send + 'static,
        _: impl FnOnce(cpal::Error) + Send + 'static,
    ) -> Result<Self, cpal::Error> {
        Err(cpal::ErrorKind::HostUnavailable.into())
    }
}

pub(crate) struct RecordForm<'a> {
    pub source: &'a str,
    pub rate: u32,
    pub period: u32,
}

pub(crate) struct Record;

impl Record {
    pub fn start(
        _: &RecordForm<'_>,
        _: impl FnMut(&mut dyn ExactSizeIterator<Item = f32>, Instant) + Send + 'static,
        _: impl FnOnce(cpal::Error) + Send + 'static,
    ) -> Result<Self, cpal::Error> {
        Err(cpal::ErrorKind::HostUnavailable.into())
    }
}
