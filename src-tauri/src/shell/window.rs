//! The main window.

use std::sync::atomic::Ordering;
#[cfg(target_os = "linux")]
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use tauri::{
    AppHandle, Emitter, Manager, UserAttentionType, WebviewUrl, WebviewWindow, WebviewWindowBuilder, Wry,
    plugin::TauriPlugin, webview::NewWindowResponse,
};
use tauri_plugin_window_state::StateFlags;

use super::{Shell, gl};
use crate::{
    api::AppEvent,
    cli::{Options, Pictures},
    profile::Profile,
};

/// The label of the one window that there is.
pub const MAIN: &str = "main";
/// The event by which the page is told everything.
const EVENT: &str = "ahoy";

/// Remembers where the window was, but not that it was hidden.
pub fn state_plugin(profile: &Profile) -> TauriPlugin<Wry> {
    tauri_plugin_window_state::Builder::new()
        .with_filename(profile.window_state().to_string_lossy())
        .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
        .build()
}

/// Opens the window.
pub fn open(tauri: &AppHandle, options: &Options, hidden: bool) -> tauri::Result<()> {
    let profile = &options.profile;
    let title = match profile.name() {
        Profile::DEFAULT => "Ahoy".to_owned(),
        name => format!("Ahoy ({name})"),
    };
    let window = WebviewWindowBuilder::new(tauri, MAIN, WebviewUrl::App("index.html".into()))
        .title(title)
        .inner_size(1080.0, 720.0)
        .min_inner_size(360.0, 480.0)
        .visible(!hidden)
        .data_directory(profile.webview())
        .disable_drag_drop_handler()
        // Nothing but the page itself: whatever a link says, it does not lead away.
        .on_navigation(|url| url.scheme() == "tauri" || url.host_str() == Some("tauri.localhost"))
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .build()?;
    prepare_webview(&window, options.pictures, profile);
    Ok(())
}

/// Without a graphics card, compositing by the CPU costs three times what plain painting does; and the page
/// does not paint pictures, see [`super::stage`].
#[cfg(target_os = "linux")]
fn prepare_webview(window: &WebviewWindow, pictures: Pictures, profile: &Profile) {
    use super::stage::Stage;
    use webkit2gtk::{HardwareAccelerationPolicy, SettingsExt, WebViewExt};

    let software = gl::is_software();
    if software {
        tracing::info!("graphics are computed by the CPU: the page is painted without compositing");
        let set = window.with_webview(|webview| {
            if let Some(settings) = webview.inner().settings() {
                settings.set_hardware_acceleration_policy(HardwareAccelerationPolicy::Never);
            }
        });
        if let Err(error) = set {
            tracing::warn!(%error, "the webview's settings could not be changed");
        }
    }
    let (tauri, vendors) = (window.app_handle().clone(), profile.egl());
    let revived = window.with_webview(move |webview| {
        let revivals = RefCell::new(Revivals::default());
        webview.inner().connect_web_process_terminated(move |page, reason| {
            tracing::error!(?reason, "the page's process has ended");
            // It may have wanted more of EGL than ours has.
            super::egl::forget(&vendors);
            if let Some(shell) = tauri.try_state::<Shell>() {
                shell.page_ended();
            }
            if revivals.borrow_mut().allow(Instant::now()) {
                page.reload();
            } else {
                // Nobody tells of a page that is not there.
                let page = page.clone();
                gtk::glib::timeout_add_local_once(Revivals::WITHIN, move || page.reload());
            }
        });
    });
    if let Err(error) = revived {
        tracing::warn!(%error, "a page that ends will not be loaded again");
    }
    if pictures.by_program(software) {
        let Some(shell) = window.try_state::<Shell>() else { return };
        let Ok(hub) = shell.app().map(|app| app.hub().clone()) else { return };
        let page = window.app_handle().clone();
        if let Some(stage) = Stage::set(window, hub, move |event| tell(&page, &event)) {
            let _ = shell.stage.set(stage);
        }
    }
}

/// A page whose process ends is loaded again, and a call of the engine goes on meanwhile. Some times at once,
/// then once a minute.
#[cfg(target_os = "linux")]
#[derive(Debug, Default)]
struct Revivals(Vec<Instant>);

#[cfg(target_os = "linux")]
impl Revivals {
    const MANY: usize = 3;
    const WITHIN: Duration = Duration::from_secs(60);

    fn allow(&mut self, now: Instant) -> bool {
        self.0.retain(|then| now.saturating_duration_since(*then) < Self::WITHIN);
        let allowed = self.0.len() < Self::MANY;
        if allowed {
            self.0.push(now);
        }
        allowed
    }
}

#[cfg(not(target_os = "linux"))]
fn prepare_webview(_: &WebviewWindow, _: Pictures, _: &Profile) {}

/// Tells the page something.
pub fn tell(tauri: &AppHandle, event: &AppEvent) {
    if let Err(error) = tauri.emit_to(MAIN, EVENT, event) {
        tracing::warn!(%error, "the page could not be told");
    }
}

/// Brings the window to the front: the user asked for it.
pub fn raise(tauri: &AppHandle) {
    if let Some(window) = tauri.get_webview_window(MAIN) {
        let _ = window.unminimize();
        let _ = window.show();
        let _ = window.set_focus();
    }
}

/// Asks for the user's attention, because it rings.
pub fn call_for_attention(tauri: &AppHandle) {
    show_quietly(tauri);
    if let Some(window) = tauri.get_webview_window(MAIN) {
        let _ = window.request_user_attention(Some(UserAttentionType::Critical));
    }
}

/// Shows the window without taking the keyboard from what the user is doing.
pub fn show_quietly(tauri: &AppHandle) {
    let Some(window) = tauri.get_webview_window(MAIN) else { return };
    let shown = tauri.run_on_main_thread(move || {
        if window.is_visible().unwrap_or(false) {
            return;
        }
        #[cfg(target_os = "linux")]
        if let Ok(window) = window.gtk_window() {
            gtk::prelude::GtkWindowExt::set_focus_on_map(&window, false);
        }
        let _ = window.show();
    });
    if let Err(error) = shown {
        tracing::warn!(%error, "the window could not be shown");
    }
}

/// Whether the user looks at the window.
pub fn is_watched(tauri: &AppHandle) -> bool {
    tauri.try_state::<Shell>().is_some_and(|shell| shell.watched.load(Ordering::Acquire))
}

/// Whether closing the window leaves the program in the tray.
pub fn stays_in_tray(tauri: &AppHandle) -> bool {
    let Some(shell) = tauri.try_state::<Shell>() else { return false };
    let wanted = shell.app().is_ok_and(|app| app.settings().close_to_tray);
    wanted && shell.has_tray.load(Ordering::Acquire)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_ends_each_time_is_left_alone_for_a_while() {
        let (start, mut revivals) = (Instant::now(), Revivals::default());
        let allowed = |revivals: &mut Revivals, seconds| revivals.allow(start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 2, 3, 59].map(|second| allowed(&mut revivals, second)), [true, true, true, false, false]);
        assert_eq!([60, 61, 62, 63].map(|second| allowed(&mut revivals, second)), [true, true, true, false]);
    }
}
