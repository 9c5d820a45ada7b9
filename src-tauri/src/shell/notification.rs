//! Notifications by the Desktop Notifications Specification 1.2, directly over D-Bus: Answer and Decline are buttons that work.

use std::{collections::HashMap, future};

use futures_util::StreamExt;
use zbus::zvariant::Value;

use crate::{
    api::{Call, Notice, Settings},
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes the call.
    Answer {
        /// With pictures, as the caller does.
        video: bool,
    },
    /// Does not.
    Decline,
    /// Wants to see the window.
    Show,
}

/// The notifications of this program.
pub struct Notifications {
    desktop: Option<(DesktopProxy<'static>, ActionInvokedStream)>,
    /// The one that rings, and whether with pictures.
    ringing: Option<(u32, bool)>,
    missed: Option<u32>,
    /// That there is nobody to notify is told once.
    told: bool,
}

impl Notifications {
    pub fn new() -> Self {
        Self { desktop: None, ringing: None, missed: None, told: false }
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
        self.ringing = shown.as_ref().ok().map(|id| (*id, call.receiving.video));
        self.tell_once(shown)
    }

    /// It does not ring any more.
    pub async fn silence(&mut self) {
        if let (Some((desktop, _)), Some((id, _))) = (&self.desktop, self.ringing.take()) {
            // It may be closed already.
            let _ = desktop.close_notification(id).await;
        }
    }

    /// A call was missed.
    ///
    /// # Errors
    /// Nobody shows notifications; told once.
    pub async fn missed(&mut self, call: &Call, settings: &Settings) -> Result<(), Notice> {
        let words = words(settings.language);
        let hints = HashMap::from([("category", "call.unanswered".into())]);
        let shown = self.show(&call.peer_name, words.missed, &[DEFAULT, words.show], hints, DESKTOPS_CHOICE).await;
        self.missed = shown.as_ref().ok().copied();
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
            let ringing = self.ringing.filter(|(id, _)| *id == args.id);
            match (args.action, ringing, self.missed == Some(args.id)) {
                (ANSWER, Some((_, video)), _) => return Action::Answer { video },
                (DECLINE, Some(_), _) => return Action::Decline,
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
        if self.desktop.is_none() {
            let desktop = DesktopProxy::new(&zbus::Connection::session().await?).await?;
            let actions = desktop.receive_action_invoked().await?;
            self.desktop = Some((desktop, actions));
        }
        let Some((desktop, _)) = &self.desktop else { return Ok(NOBODY) };
        desktop.notify("Ahoy", NOBODY, super::APP_ID, summary, body, actions, hints, expires).await
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
