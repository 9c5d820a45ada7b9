//! What the desktop is told of: calls that ring or were missed, and whether to start us with it.

use tauri::{AppHandle, Manager, Wry, plugin::TauriPlugin};
use tauri_plugin_autostart::ManagerExt;
use tokio::sync::mpsc;

use super::{Shell, notification, window};
use crate::{
    api::{AppEvent, CallPhase, HistoryEntry, Notice, Outcome, Settings, View},
    profile::Profile,
};

/// Starts this profile with the desktop, without its window.
pub fn autostart_plugin(profile: &Profile) -> TauriPlugin<Wry> {
    let name = match profile.name() {
        Profile::DEFAULT => "Ahoy".to_owned(),
        name => format!("Ahoy-{name}"),
    };
    let args = ["--hidden", "--profile", profile.name()];
    tauri_plugin_autostart::Builder::new().app_name(name).args(args).build()
}

/// Follows the app's events until it ends.
pub async fn serve(tauri: AppHandle, mut events: mpsc::UnboundedReceiver<AppEvent>) {
    let Some(app) = tauri.try_state::<Shell>().and_then(|shell| shell.app().ok().cloned()) else { return };
    let mut notifications = notification::Notifications::new();
    let mut rung: Option<String> = None;
    let mut missed = Missed::since(&app.history_list(None).await.unwrap_or_default());
    loop {
        tokio::select! {
            event = events.recv() => match event {
                None => return,
                Some(AppEvent::Call { call }) => {
                    let settings = app.settings();
                    let rings = call.phase == CallPhase::Incoming;
                    if rings && rung.as_deref() != Some(&*call.id) {
                        rung = Some(call.id.clone());
                        if !settings.do_not_disturb {
                            window::call_for_attention(&tauri);
                            tell(&app, notifications.ring(&call, &settings).await);
                        }
                    } else if !rings && rung.take_if(|id| *id == call.id).is_some() {
                        notifications.silence().await;
                    }
                }
                Some(AppEvent::History { entries }) => {
                    let new = missed.of(&entries);
                    if !new.is_empty() && !window::is_watched(&tauri) {
                        let settings = app.settings();
                        for call in new {
                            tell(&app, notifications.missed(call, &settings).await);
                        }
                    }
                }
                Some(AppEvent::Settings { settings, .. }) => tell(&app, set_autostart(&tauri, &settings)),
                Some(_) => {}
            },
            action = notifications.next() => {
                let done = match action {
                    notification::Action::Answer { call, video } => {
                        window::raise(&tauri);
                        app.call_accept(&call, video)
                    }
                    notification::Action::Decline { call } => app.call_decline(&call),
                    notification::Action::Show => {
                        window::raise(&tauri);
                        window::tell(&tauri, &AppEvent::Open { view: View::Call, link: None });
                        Ok(())
                    }
                };
                // The call may have ended while the notification was being clicked.
                if let Err(notice) = done {
                    tracing::info!(code = notice.code, "a notification came too late");
                }
            }
        }
    }
}

fn tell(app: &crate::core::App, done: Result<(), Notice>) {
    if let Err(notice) = done {
        app.notice(notice);
    }
}

/// Finds the calls that were missed since the last look: those that rang here, and those that came while
/// another ran.
struct Missed {
    last: i64,
}

impl Missed {
    fn since(entries: &[HistoryEntry]) -> Self {
        Self { last: newest(entries) }
    }

    /// The new ones, the first first.
    fn of<'a>(&mut self, entries: &'a [HistoryEntry]) -> Vec<&'a HistoryEntry> {
        let is_new = |entry: &&HistoryEntry| entry.id > self.last && entry.outcome == Outcome::Missed && !entry.seen;
        let new = entries.iter().rev().filter(is_new).collect();
        self.last = self.last.max(newest(entries));
        new
    }
}

fn newest(entries: &[HistoryEntry]) -> i64 {
    entries.iter().map(|entry| entry.id).max().unwrap_or(0)
}

fn set_autostart(tauri: &AppHandle, settings: &Settings) -> Result<(), Notice> {
    let autolaunch = tauri.autolaunch();
    if autolaunch.is_enabled().unwrap_or(false) == settings.autostart {
        return Ok(());
    }
    let done = if settings.autostart { autolaunch.enable() } else { autolaunch.disable() };
    done.map_err(|error| {
        Notice::new(
            "autostart",
            format!("Whether Ahoy starts with the desktop could not be changed ({error})."),
            "Change it in the desktop's own settings.",
        )
    })
}
