//! Notifications by the Desktop Notifications Specification 1.2, directly over D-Bus: Answer and Decline are
//! buttons that work.

use std::{
    collections::{HashMap, VecDeque},
    future,
    time::Duration,
};

use futures_util::StreamExt;
use tokio::time::timeout;
use zbus::{Connection, zvariant::Value};

use crate::{
    api::{Call, HistoryEntry, Notice, Settings},
    words::words,
};

const ANSWER: &str = "answer";
const DECLINE: &str = "decline";
/// What a click on the notification itself is called.
const DEFAULT: &str = "default";
/// It stays as long as it rings.
const NEVER_EXPIRES: i32 = 0;
/// As long as the desktop thinks right.
const DESKTOPS_CHOICE: i32 = -1;
const NOBODY: u32 = 0;
/// A service that takes longer to answer has other troubles; what it is to show is late by then.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Notifications of missed calls that a click still leads from; nobody has more on the screen.
const MISSED_KEPT: usize = 16;

#[zbus::proxy(
    interface = "org.freedesktop.Notifications",
    default_service = "org.freedesktop.Notifications",
    default_path = "/org/freedesktop/Notifications",
    gen_blocking = false
)]
trait Desktop {
    #[allow(clippy::too_many_arguments)]
    fn notify(
        &self,
        app_name: &str,
        replaces: u32,
        icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Value<'_>>,
        expires: i32,
    ) -> zbus::Result<u32>;

    fn close_notification(&self, id: u32) -> zbus::Result<()>;

    #[zbus(signal)]
    fn action_invoked(&self, id: u32, action: &str) -> zbus::Result<()>;
}

/// What the user did with a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes the call.
    Answer {
        /// Its id.
        call: String,
        /// With pictures, as the caller does.
        video: bool,
    },
    /// Does not.
    Decline {
        /// Its id.
        call: String,
    },
    /// Wants to see the window.
    Show,
}

/// The notification of a call that rings.
struct Ringing {
    id: u32,
    call: String,
    video: bool,
}

/// The notifications of this program.
pub struct Notifications {
    desktop: Option<(DesktopProxy<'static>, ActionInvokedStream)>,
    /// The one that rings.
    ringing: Option<Ringing>,
    missed: VecDeque<u32>,
    /// That there is nobody to notify is told once.
    told: bool,
}

impl Notifications {
    pub fn new() -> Self {
        Self { desktop: None, ringing: None, missed: VecDeque::new(), told: false }
    }

    /// A call rings here.
    ///
    /// # Errors
    /// Nobody shows notifications; told once.
    pub async fn ring(&mut self, call: &Call, settings: &Settings) -> Result<(), Notice> {
        let words = words(settings.language);
        let body = if call.receiving.video { words.calls_you_with_video } else { words.calls_you };
        let actions = [DEFAULT, words.show, ANSWER, words.answer, DECLINE, words.decline];
        // Shown over full-screen windows, and by phones' conventions: somebody waits.
        let hints = HashMap::from([("urgency", Value::U8(2)), ("category", "x-gnome.call".into())]);
        let shown = self.show(&call.peer_name, body, &actions, hints, NEVER_EXPIRES).await;
        let ringing = |id: &u32| Ringing { id: *id, call: call.id.clone(), video: call.receiving.video };
        self.ringing = shown.as_ref().ok().map(ringing);
        self.tell_once(shown)
    }

    /// It does not ring any more.
    pub async fn silence(&mut self) {
        if let (Some((desktop, _)), Some(Ringing { id, .. })) = (&self.desktop, self.ringing.take()) {
            // It may be closed already.
            let _ = timeout(ANSWER_LIMIT, desktop.close_notification(id)).await;
        }
    }

    /// A call was missed. Without a sound where the user does not want to be disturbed.
    ///
    /// # Errors
    /// Nobody shows notifications; told once.
    pub async fn missed(&mut self, call: &HistoryEntry, settings: &Settings) -> Result<(), Notice> {
        let words = words(settings.language);
        let quiet = settings.do_not_disturb;
        let urgency = Value::U8(u8::from(!quiet));
        let hints = HashMap::from([
            ("category", "call.unanswered".into()),
            ("urgency", urgency),
            ("suppress-sound", quiet.into()),
        ]);
        let shown = self.show(&call.peer_name, words.missed, &[DEFAULT, words.show], hints, DESKTOPS_CHOICE).await;
        if let Ok(id) = &shown {
            self.missed.push_back(*id);
            if self.missed.len() > MISSED_KEPT {
                self.missed.pop_front();
            }
        }
        self.tell_once(shown)
    }

    /// What the user does with one of them. May be cancelled at any time.
    pub async fn next(&mut self) -> Action {
        loop {
            let Some((_, actions)) = &mut self.desktop else { return future::pending().await };
            let Some(signal) = actions.next().await else {
                self.desktop = None;
                continue;
            };
            let Ok(args) = signal.args() else { continue };
            let ringing = self.ringing.as_ref().filter(|ringing| ringing.id == args.id);
            match (args.action, ringing, self.missed.contains(&args.id)) {
                (ANSWER, Some(Ringing { call, video, .. }), _) => {
                    return Action::Answer { call: call.clone(), video: *video };
                }
                (DECLINE, Some(Ringing { call, .. }), _) => return Action::Decline { call: call.clone() },
                (DEFAULT, Some(_), _) | (DEFAULT, _, true) => return Action::Show,
                _ => {}
            }
        }
    }

    async fn show(
        &mut self,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Value<'_>>,
        expires: i32,
    ) -> zbus::Result<u32> {
        let showing = async {
            if self.desktop.is_none() {
                self.connect(&Connection::session().await?).await?;
            }
            let Some((desktop, _)) = &self.desktop else { return Ok(NOBODY) };
            desktop.notify("Ahoy", NOBODY, super::APP_ID, summary, body, actions, hints, expires).await
        };
        timeout(ANSWER_LIMIT, showing).await.unwrap_or_else(|_| Err(zbus::Error::Failure("no answer".to_owned())))
    }

    async fn connect(&mut self, bus: &Connection) -> zbus::Result<()> {
        let desktop = DesktopProxy::new(bus).await?;
        let actions = desktop.receive_action_invoked().await?;
        self.desktop = Some((desktop, actions));
        Ok(())
    }

    fn tell_once(&mut self, shown: zbus::Result<u32>) -> Result<(), Notice> {
        let Err(error) = shown else { return Ok(()) };
        tracing::warn!(%error, "no notification");
        if std::mem::replace(&mut self.told, true) {
            return Ok(());
        }
        Err(Notice::new(
            "no-notifications",
            "This desktop shows no notifications.",
            "Keep the window where you see it, or install a notification service.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc;
    use zbus::object_server::SignalEmitter;

    use super::{super::testing::Bus, *};
    use crate::{
        api::{CallMode, Direction, Outcome},
        core::ringing_call,
    };

    const LIMIT: Duration = Duration::from_secs(20);

    /// A notification service: what it shows, and what it was told to close.
    #[derive(Clone)]
    struct Service {
        shown: mpsc::UnboundedSender<(String, String, Vec<String>)>,
        closed: mpsc::UnboundedSender<u32>,
        last: Arc<Mutex<u32>>,
        deaf: bool,
    }

    #[zbus::interface(name = "org.freedesktop.Notifications")]
    impl Service {
        #[allow(clippy::too_many_arguments)]
        async fn notify(
            &self,
            _app_name: String,
            _replaces: u32,
            _icon: String,
            summary: String,
            body: String,
            actions: Vec<String>,
            _hints: HashMap<String, zbus::zvariant::OwnedValue>,
            _expires: i32,
        ) -> u32 {
            if self.deaf {
                future::pending::<()>().await;
            }
            let _ = self.shown.send((summary, body, actions));
            let mut last = self.last.lock().unwrap();
            *last += 1;
            *last
        }

        fn close_notification(&self, id: u32) {
            let _ = self.closed.send(id);
        }

        #[zbus(signal)]
        async fn action_invoked(emitter: &SignalEmitter<'_>, id: u32, action: &str) -> zbus::Result<()>;
    }

    struct Desk {
        notifications: Notifications,
        shown: mpsc::UnboundedReceiver<(String, String, Vec<String>)>,
        closed: mpsc::UnboundedReceiver<u32>,
        service: Connection,
        _bus: Bus,
    }

    impl Desk {
        async fn new(deaf: bool) -> Self {
            let bus = Bus::start();
            let (shown, showing) = mpsc::unbounded_channel();
            let (closed, closing) = mpsc::unbounded_channel();
            let service = Service { shown, closed, last: Arc::default(), deaf };
            let serve = bus.builder().name("org.freedesktop.Notifications").unwrap();
            let serve = serve.serve_at("/org/freedesktop/Notifications", service).unwrap();
            let service = serve.build().await.unwrap();
            let mut notifications = Notifications::new();
            notifications.connect(&bus.connect().await).await.unwrap();
            Self { notifications, shown: showing, closed: closing, service, _bus: bus }
        }

        async fn click(&self, id: u32, action: &str) {
            let emitter = SignalEmitter::new(&self.service, "/org/freedesktop/Notifications").unwrap();
            Service::action_invoked(&emitter, id, action).await.unwrap();
        }

        async fn next(&mut self) -> Action {
            timeout(LIMIT, self.notifications.next()).await.expect("the click came to nothing")
        }
    }

    fn missed(id: i64, name: &str) -> HistoryEntry {
        HistoryEntry {
            id,
            peer: "p".into(),
            peer_name: name.into(),
            direction: Direction::Incoming,
            video: false,
            started_at: 1,
            answered_at: None,
            ended_at: Some(2),
            outcome: Outcome::Missed,
            reason: Some("timeout".into()),
            seen: false,
        }
    }

    #[tokio::test]
    async fn a_ringing_call_is_answered_declined_and_shown_by_its_notification() {
        let mut desk = Desk::new(false).await;
        // The body may have markup by the specification, the summary may not: a name is never in the body.
        let call = ringing_call("<b>Ada</b>", CallMode::Native);
        desk.notifications.ring(&call, &Settings::default()).await.unwrap();
        let (summary, body, actions) = desk.shown.recv().await.unwrap();
        assert_eq!((&*summary, actions.len()), ("<b>Ada</b>", 6));
        assert!(!body.contains(['<', '&']) && !body.contains("Ada"), "{body}");
        desk.click(9, DECLINE).await;
        for (action, expected) in [
            (ANSWER, Action::Answer { call: call.id.clone(), video: call.receiving.video }),
            (DECLINE, Action::Decline { call: call.id.clone() }),
            (DEFAULT, Action::Show),
        ] {
            desk.click(1, action).await;
            assert_eq!(desk.next().await, expected);
        }
        desk.notifications.silence().await;
        assert_eq!(timeout(LIMIT, desk.closed.recv()).await.unwrap(), Some(1));
        // What does not ring any more cannot be answered by a click that comes too late.
        desk.click(1, ANSWER).await;
        desk.notifications.missed(&missed(1, "Ada"), &Settings::default()).await.unwrap();
        desk.notifications.missed(&missed(2, "Bob"), &Settings::default()).await.unwrap();
        desk.click(2, DEFAULT).await;
        assert_eq!(desk.next().await, Action::Show, "of two missed calls only the last can be clicked");
    }

    #[tokio::test]
    async fn a_service_that_does_not_answer_holds_up_nothing() {
        let mut desk = Desk::new(true).await;
        let call = ringing_call("Ada", CallMode::Native);
        let shown =
            timeout(LIMIT, desk.notifications.ring(&call, &Settings::default())).await.expect("it is waited for");
        assert_eq!(shown.unwrap_err().code, "no-notifications");
        assert_eq!(desk.notifications.ring(&call, &Settings::default()).await, Ok(()), "told twice");
    }
}
