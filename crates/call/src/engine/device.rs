//! One device of the running call, by its state.
//!
//! ```text
//! Off ──begin──▶ Opening ──opened──▶ On
//!  ▲ ▲            │    │ failed       │ close
//!  │ │      close ▼    ▼              │
//!  │ └opened── GivenUp │              │
//!  ├──────retry───── Failed           │
//!  └──────────────────────────────────┘
//! ```
//! Many devices cannot be opened twice, so an opening that was given up is waited for as well: nothing begins
//! before it is over.
//!
//! Beside it stands whether the device gives anything. That changes by what is known of it alone: one that
//! was lost and then closed is given up for lost until it is open again.

use std::time::Duration;

use ahoy_media::advice::Advice;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use crate::event::{CallEvent, Device, Silence};

/// A device that is closed is free again within milliseconds. A driver that takes longer has stalled, and
/// says so itself when it is opened.
const CLOSING_LIMIT: Duration = Duration::from_secs(2);

/// What befell a device.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It could not be opened.
    Missing(Advice),
    /// It is open and gives nothing now.
    Lost(Advice),
    /// It gives nothing worth sending, though nothing is wrong with it as far as can be seen.
    Silent(Advice),
    /// It is no longer silent.
    Audible,
    /// It gives again.
    Back,
}

impl News {
    /// As the user is told.
    pub(super) fn event(self, device: Device) -> CallEvent {
        match self {
            Self::Missing(Advice { what, todo }) => CallEvent::DeviceMissing { device, what, todo },
            Self::Lost(Advice { what, todo }) => CallEvent::DeviceLost { device, what, todo },
            Self::Silent(Advice { what, todo }) => CallEvent::Unheard { silence: Silence::Microphone, what, todo },
            Self::Audible => CallEvent::Heard { silence: Silence::Microphone },
            Self::Back => CallEvent::DeviceBack { device },
        }
    }
}

/// Which opening of a device is meant: a driver can take seconds, and what it says then must not be taken for
/// news of a later opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening(u64);

/// A device's handle.
#[derive(Debug)]
pub(super) struct Slot<T> {
    state: State<T>,
    /// The newest one.
    opening: Opening,
    /// It was not there when it was last looked for.
    missing: bool,
    /// It is open, or being opened, and has gone away since.
    away: bool,
    /// Its last handle, or what became of an opening that was given up, on the way to be closed.
    closing: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum State<T> {
    Off,
    Opening,
    /// It is still being opened, and is not wanted any more.
    GivenUp,
    On(T),
    Failed,
}

impl<T: Send + 'static> Slot<T> {
    pub(super) fn new() -> Self {
        Self { state: State::Off, opening: Opening(0), missing: false, away: false, closing: None }
    }

    /// The device, where it is open.
    pub(super) fn on(&self) -> Option<&T> {
        match &self.state {
            State::On(device) => Some(device),
            State::Off | State::Opening | State::GivenUp | State::Failed => None,
        }
    }

    /// Whether it may be opened.
    pub(super) fn is_off(&self) -> bool {
        matches!(self.state, State::Off)
    }

    /// Whether it gives what it is for, or would when opened, as far as is known.
    pub(super) fn gives(&self) -> bool {
        !self.missing && !self.away
    }

    /// It is being opened from now on, by `open` on a thread of its own. Many devices cannot be opened twice,
    /// so one that is still being closed is waited for.
    pub(super) fn begin(&mut self, open: impl FnOnce(Opening) + Send + 'static) {
        let opening = self.next_opening();
        match self.closing.take().filter(|closing| !closing.is_finished()) {
            Some(closing) => drop(tokio::spawn(async move {
                let _ = timeout(CLOSING_LIMIT, closing).await;
                spawn_blocking(move || open(opening));
            })),
            None => drop(spawn_blocking(move || open(opening))),
        }
    }

    fn next_opening(&mut self) -> Opening {
        self.opening.0 += 1;
        self.state = State::Opening;
        self.opening
    }

    /// The opening that is under way is over: the news that it makes. One that was given up makes none, and
    /// another may begin.
    pub(super) fn opened(&mut self, result: Result<T, Advice>) -> Option<News> {
        if !matches!(self.state, State::Opening) {
            self.closing = close(result.ok());
            self.state = State::Off;
            return None;
        }
        match result {
            Ok(device) => {
                self.state = State::On(device);
                let was_missing = std::mem::take(&mut self.missing);
                (was_missing && !self.away).then_some(News::Back)
            }
            Err(advice) => {
                self.state = State::Failed;
                (self.missing, self.away) = (true, false);
                Some(News::Missing(advice))
            }
        }
    }

    /// The device itself says something, perhaps before it is known to be open; gives it back if it is to be
    /// told.
    pub(super) fn hear(&mut self, opening: Opening, news: News) -> Option<News> {
        if opening != self.opening || !matches!(self.state, State::Opening | State::On(_)) {
            return None;
        }
        match news {
            News::Missing(_) | News::Lost(_) => self.away = true,
            News::Back => self.away = false,
            News::Silent(_) | News::Audible => {}
        }
        Some(news)
    }

    /// One that could not be opened may be tried again.
    pub(super) fn retry(&mut self) {
        if matches!(self.state, State::Failed) {
            self.state = State::Off;
        }
    }

    /// Closes it, if it is open or being opened.
    pub(super) fn close(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Off) {
            State::Opening => State::GivenUp,
            State::On(device) => {
                self.closing = close(Some(device));
                State::Off
            }
            other @ (State::Off | State::GivenUp | State::Failed) => other,
        };
        self.missing |= std::mem::take(&mut self.away);
    }

    /// Another device takes its place: closes this one, whatever became of it.
    pub(super) fn replace(&mut self) {
        self.close();
        self.retry();
    }
}

/// Closes a device where waiting for its driver hurts nobody.
pub(super) fn close<T: Send + 'static>(device: Option<T>) -> Option<JoinHandle<()>> {
    device.map(|device| spawn_blocking(move || drop(device)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> News {
        News::Lost(Advice::new("it went", "bring it back"))
    }

    fn failed() -> Result<u8, Advice> {
        Err(Advice::new("there is none", "connect one"))
    }

    #[test]
    fn a_lost_device_gives_nothing_and_stays_open() {
        let mut slot = Slot::new();
        let opening = slot.next_opening();
        assert!(slot.gives(), "nothing is known against it");
        assert_eq!(slot.opened(Ok(1)), None);
        assert_eq!(slot.hear(opening, lost()), Some(lost()));
        assert_eq!((slot.gives(), slot.on()), (false, Some(&1)));
        assert_eq!(slot.hear(opening, News::Back), Some(News::Back));
        assert!(slot.gives());
    }

    #[test]
    fn a_silent_device_is_told_and_gives() {
        let mut slot = Slot::new();
        let opening = slot.next_opening();
        slot.opened(Ok(1));
        let silent = || News::Silent(Advice::new("silence", "check its switch"));
        assert_eq!(slot.hear(opening, silent()), Some(silent()));
        assert!(slot.gives());
    }

    #[test]
    fn a_device_that_failed_is_opened_again_after_a_retry_only() {
        let mut slot = Slot::new();
        slot.next_opening();
        assert!(matches!(slot.opened(failed()), Some(News::Missing(_))));
        assert!(!slot.gives() && !slot.is_off());
        slot.retry();
        assert!(slot.is_off() && !slot.gives(), "a wish alone brings no device back");
        slot.next_opening();
        assert_eq!(slot.opened(Ok(1)), Some(News::Back));
        assert!(slot.gives());
    }

    #[test]
    fn news_that_overtakes_the_opening_is_not_forgotten() {
        let mut slot = Slot::new();
        let opening = slot.next_opening();
        assert_eq!(slot.hear(opening, lost()), Some(lost()));
        assert_eq!(slot.opened(Ok(1)), None);
        assert!(!slot.gives());
    }

    #[tokio::test]
    async fn a_device_closed_while_away_is_missing_until_it_is_open_again() {
        let mut slot = Slot::new();
        let opening = slot.next_opening();
        slot.opened(Ok(1));
        slot.hear(opening, lost());
        slot.close();
        assert!(slot.is_off() && !slot.gives());
        slot.next_opening();
        assert_eq!(slot.opened(Ok(2)), Some(News::Back));
        slot.close();
        assert!(slot.gives(), "a device that was closed in health is thought to be there");
    }

    #[tokio::test]
    async fn a_device_is_opened_when_it_has_been_closed() {
        struct Busy(std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<&'static str>);
        impl Drop for Busy {
            fn drop(&mut self) {
                let _ = self.0.recv();
                let _ = self.1.send("closed");
            }
        }
        let (driver, held) = std::sync::mpsc::channel();
        let (say, said) = std::sync::mpsc::channel();
        let mut slot = Slot::new();
        slot.next_opening();
        slot.opened(Ok(Busy(held, say.clone())));
        slot.close();
        slot.begin(move |_| say.send("opened").unwrap());
        tokio::task::yield_now().await;
        driver.send(()).unwrap();
        let said = spawn_blocking(move || said.into_iter().take(2).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(said, ["closed", "opened"]);
    }

    #[tokio::test]
    async fn late_news_of_an_earlier_opening_is_ignored() {
        let mut slot = Slot::new();
        let early = slot.next_opening();
        slot.opened(Ok(1));
        slot.close();
        slot.next_opening();
        assert_eq!(slot.hear(early, lost()), None);
        assert_eq!(slot.opened(Ok(2)), None);
        assert_eq!(slot.hear(early, lost()), None);
        assert_eq!((slot.on(), slot.gives()), (Some(&2), true));
    }

    #[tokio::test]
    async fn an_opening_that_was_given_up_is_over_before_another_begins() {
        let mut slot = Slot::new();
        let early = slot.next_opening();
        slot.replace();
        assert!(!slot.is_off(), "the driver is still at it");
        assert_eq!(slot.hear(early, lost()), None);
        assert_eq!(slot.opened(failed()), None);
        assert!(slot.is_off() && slot.gives(), "nothing is known against the other device");
        slot.next_opening();
        slot.close();
        assert_eq!(slot.opened(Ok(1)), None);
        assert!(slot.is_off() && slot.closing.is_some());
    }

    #[tokio::test]
    async fn a_device_in_the_place_of_one_that_is_gone_is_told_as_back() {
        for fate in [failed(), Ok(1)] {
            let mut slot = Slot::new();
            let opening = slot.next_opening();
            slot.opened(fate);
            slot.hear(opening, lost());
            slot.replace();
            assert!(slot.is_off() && !slot.gives());
            slot.next_opening();
            assert_eq!(slot.opened(Ok(2)), Some(News::Back));
        }
    }
}
