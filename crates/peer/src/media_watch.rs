//! Whether what the other side says it sends arrives.

use std::time::Duration;

use ahoy_call::{
    event::{Problem, ProblemCode},
    message::MediaState,
};
use tokio::time::Instant;

/// Media of which nothing came for so long has stopped: lost packets, a change of network and a camera that
/// is being opened are over by then. (Silence is not without packets: Opus refreshes it every 400 ms.)
const MEDIA_LIMIT: Duration = Duration::from_secs(10);

/// Packets that came so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Of sound.
    pub audio: u64,
    /// Of picture.
    pub video: u64,
}

/// Follows sound and picture of the other side.
#[derive(Debug, Default)]
pub struct MediaWatch {
    /// What it said it sends; a plain browser says nothing.
    said: Option<MediaState>,
    audio: Stream,
    video: Stream,
    /// Both together, where nothing was said.
    any: Stream,
}

/// Packets of one kind.
#[derive(Debug, Default)]
struct Stream {
    packets: u64,
    /// Since when some have been due and none came.
    since: Option<Instant>,
    silent: bool,
}

impl Stream {
    /// True: they have just stopped, or have not begun in time.
    fn look(&mut self, now: Instant, packets: u64, due: bool) -> bool {
        if packets != self.packets || !due || self.since.is_none() {
            *self = Self { packets, since: due.then_some(now), silent: false };
        }
        let silent = self.since.is_some_and(|since| now - since >= MEDIA_LIMIT);
        !std::mem::replace(&mut self.silent, silent) && silent
    }

    fn has_stopped(&self) -> bool {
        self.silent && self.packets > 0
    }
}

impl MediaWatch {
    /// The other side says what it sends from now on.
    pub fn said(&mut self, media: MediaState) {
        self.said = Some(media);
    }

    /// Looks at what came so far; `due`: media flows in this stage of the call. Gives what is to be told,
    /// once for each time that something stops.
    pub fn look(&mut self, now: Instant, received: Received, due: bool) -> Option<Problem> {
        let Received { audio, video } = received;
        let said = self.said.unwrap_or(MediaState::NONE);
        let no_audio = self.audio.look(now, audio, due && said.audio);
        let no_video = self.video.look(now, video, due && said.video);
        let nothing = self.any.look(now, audio + video, due && self.said.is_none());
        let (what, todo) = match (no_audio, no_video, nothing) {
            (true, true, _) => ("nothing", "Hang up and call again."),
            (true, false, _) => ("no sound", "Ask the other side to check its microphone."),
            (false, true, _) => ("no picture", "Ask the other side to check its camera."),
            (false, false, true) => ("nothing", "If it has not switched everything off, hang up and call again."),
            (false, false, false) => return None,
        };
        let what = format!("{what} has come from the other side for {} s", MEDIA_LIMIT.as_secs());
        Some(Problem::new(ProblemCode::Media, what, todo))
    }

    /// At the last look, something was missing that had come before and that the other side says it sends.
    pub fn has_stopped(&self) -> bool {
        self.audio.has_stopped() || self.video.has_stopped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: MediaState = MediaState { audio: true, video: false };

    /// What happens in a second of a call.
    #[derive(Clone, Copy, Debug)]
    enum Second {
        /// Packets come.
        Audio,
        Video,
        Both,
        Nothing,
        /// On hold, with no packets.
        Held,
        Says(MediaState),
    }
    use Second::{Audio, Both, Held, Nothing, Says, Video};

    /// How often something was told, and whether it ended as stopped.
    fn told(timeline: &[(u32, Second)]) -> (usize, bool) {
        let (mut watch, mut received, mut now) = (MediaWatch::default(), Received::default(), Instant::now());
        let mut told = 0;
        for (seconds, what) in timeline {
            for _ in 0..*seconds {
                received.audio += u64::from(matches!(what, Audio | Both));
                received.video += u64::from(matches!(what, Video | Both));
                if let Says(media) = what {
                    watch.said(*media);
                }
                now += Duration::from_secs(1);
                told += usize::from(watch.look(now, received, !matches!(what, Held)).is_some());
            }
        }
        (told, watch.has_stopped())
    }

    #[test]
    fn what_was_said_has_to_come_until_the_end() {
        let both = (1, Says(MediaState::BOTH));
        for (timeline, expected) in [
            (&[both, (30, Both)][..], (0, false)),
            (&[both, (3, Both), (5, Nothing)], (0, false)),
            (&[both, (3, Both), (30, Nothing)], (1, true)),
            (&[both, (3, Both), (30, Audio)], (1, true)),
            (&[both, (3, Both), (30, Video)], (1, true)),
            // It comes back.
            (&[both, (3, Both), (30, Audio), (1, Both)], (1, false)),
            (&[both, (3, Both), (30, Audio), (1, Both), (30, Audio)], (2, true)),
            // One after the other.
            (&[both, (3, Both), (5, Audio), (30, Nothing)], (2, true)),
            // Never begun is told, but nothing has stopped.
            (&[both, (30, Audio)], (1, false)),
            (&[both, (30, Nothing)], (1, false)),
        ] {
            assert_eq!(told(timeline), expected, "{timeline:?}");
        }
    }

    #[test]
    fn what_is_off_or_held_is_not_missed() {
        let (both, sound) = ((1, Says(MediaState::BOTH)), (1, Says(SOUND)));
        for (timeline, expected) in [
            (&[both, (3, Both), sound, (30, Audio)][..], (0, false)),
            (&[both, (3, Both), (1, Says(MediaState::NONE)), (30, Nothing)], (0, false)),
            (&[both, (3, Both), (30, Held)], (0, false)),
            // Paused because of the network is said as off, and is back when it is said to be.
            (&[both, (3, Both), sound, (600, Audio), both, (30, Both)], (0, false)),
            // Each has to come again in time.
            (&[both, (3, Both), sound, (30, Audio), both, (5, Audio)], (0, false)),
            (&[both, (3, Both), sound, (30, Audio), both, (15, Audio)], (1, true)),
            (&[both, (3, Both), (30, Held), (5, Nothing)], (0, false)),
            (&[both, (3, Both), (30, Held), (15, Nothing)], (1, true)),
            // Said to be off after it had stopped.
            (&[both, (3, Both), (30, Audio), sound], (1, false)),
        ] {
            assert_eq!(told(timeline), expected, "{timeline:?}");
        }
    }

    #[test]
    fn of_a_side_that_says_nothing_only_silence_of_everything_is_told() {
        for (timeline, expected) in [
            (&[(3, Both), (30, Audio)][..], (0, false)),
            (&[(3, Both), (30, Nothing)], (1, false)),
            (&[(3, Both), (30, Held)], (0, false)),
        ] {
            assert_eq!(told(timeline), expected, "{timeline:?}");
        }
    }
}
