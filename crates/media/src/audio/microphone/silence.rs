//! Whether a microphone that should be heard gives nothing, pure.

use std::time::{Duration, Instant};

use super::MicrophoneEvent;
use crate::audio::{Frame, tone::dbfs};

/// A user notices within this that nobody hears them. Who pauses for longer still breathes, and their room
/// still hums.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// Peaks up to this count as nothing, in dBFS: five steps of a 16-bit sample, the dither of a converter whose
/// input is switched off. The quietest rooms come with -65 and more.
const NOTHING: f32 = -75.0;

/// Watches one microphone.
pub(super) struct Silence {
    /// When something came last, or was not expected.
    heard: Instant,
    told: bool,
}

impl Silence {
    pub fn new(now: Instant) -> Self {
        Self { heard: now, told: false }
    }

    /// Takes a frame as it came from the source, and says what has become of it: gone silent, or audible
    /// again.
    pub fn observe(&mut self, frame: &Frame, now: Instant) -> Option<MicrophoneEvent> {
        let peak = frame.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
        if dbfs(peak) > NOTHING {
            self.heard = now;
            return std::mem::take(&mut self.told).then_some(MicrophoneEvent::Audible);
        }
        let for_ = now.saturating_duration_since(self.heard);
        if for_ < SILENT_AFTER || self.told {
            return None;
        }
        self.told = true;
        Some(MicrophoneEvent::Silent { for_ })
    }

    /// Nobody is to hear it now. Its silence counts from the next frame on.
    pub fn pause(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The device is gone, which is told by itself.
    pub fn forget(&mut self, now: Instant) -> Option<MicrophoneEvent> {
        self.heard = now;
        std::mem::take(&mut self.told).then_some(MicrophoneEvent::Audible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::FRAME_SAMPLES;

    /// Frames of 10 ms, by the peak of each.
    struct Timeline {
        silence: Silence,
        now: Instant,
    }

    impl Timeline {
        fn new() -> Self {
            let now = Instant::now();
            Self { silence: Silence::new(now), now }
        }

        fn passes(&mut self, seconds: f32, peak: f32) -> Vec<&'static str> {
            let mut frame = [0.0; FRAME_SAMPLES];
            frame[7] = -peak;
            let frames = (seconds * 100.0) as usize;
            let events = (0..frames).filter_map(|_| {
                self.now += Duration::from_millis(10);
                self.silence.observe(&frame, self.now)
            });
            events.map(|event| word(&event)).collect()
        }
    }

    fn word(event: &MicrophoneEvent) -> &'static str {
        match event {
            MicrophoneEvent::Silent { .. } => "silent",
            MicrophoneEvent::Audible => "audible",
            _ => "else",
        }
    }

    #[test]
    fn silence_is_told_once_after_five_seconds_and_so_is_its_end() {
        for nothing in [0.0, 1.0 / 32768.0, 5.0 / 32768.0] {
            let mut line = Timeline::new();
            assert!(line.passes(4.9, nothing).is_empty());
            assert_eq!(line.passes(20.0, nothing), ["silent"]);
            assert_eq!(line.passes(1.0, 0.001), ["audible"]);
            assert!(line.passes(4.9, nothing).is_empty());
        }
    }

    #[test]
    fn a_quiet_room_is_not_silence() {
        assert!(Timeline::new().passes(60.0, 0.0004).is_empty(), "-68 dBFS");
    }

    #[test]
    fn a_muted_time_does_not_count() {
        let mut line = Timeline::new();
        assert!(line.passes(4.0, 0.0).is_empty());
        line.now += Duration::from_secs(60);
        line.silence.pause(line.now);
        assert!(line.passes(4.9, 0.0).is_empty());
        assert_eq!(line.passes(1.0, 0.0), ["silent"]);
    }

    #[test]
    fn a_device_that_goes_is_not_called_silent_as_well() {
        let mut line = Timeline::new();
        assert!(line.silence.forget(line.now).is_none());
        line.passes(6.0, 0.0);
        assert!(matches!(line.silence.forget(line.now), Some(MicrophoneEvent::Audible)));
    }
}
