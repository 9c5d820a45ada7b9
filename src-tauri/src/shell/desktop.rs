//! What the desktop is told of: calls that ring or were missed, and whether to start us with it.

use tauri::{AppHandle, Manager, Wry, plugin::TauriPlugin};
use tauri_plugin_autostart::ManagerExt;
use tokio::sync::mpsc;

use super::{Shell, notification, window};
use crate::{
    api::{AppEvent, Call, CallPhase, Direction, Notice, Settings, View},
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
                        if is_missed(&call) && !window::is_watched(&tauri) {
                            tell(&app, notifications.missed(&call, &settings).await);
                        }
                    }
                }
                Some(AppEvent::Settings { settings, .. }) => tell(&app, set_autostart(&tauri, &settings)),
                Some(_) => {}
            },
            action = notifications.next() => {
                let done = match action {
                    notification::Action::Answer { video } => {
                        window::raise(&tauri);
                        app.call_accept(video)
                    }
                    notification::Action::Decline => app.call_decline(),
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

fn is_missed(call: &Call) -> bool {
    let ended = call.end.as_ref().is_some_and(|end| end.reason != "declined");
    call.direction == Direction::Incoming && call.started_at.is_none() && ended
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
