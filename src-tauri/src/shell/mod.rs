//! The window around the app.

mod commands;
mod desktop;
mod gl;
mod logs;
mod notification;
mod protocol;
mod settings_file;
mod tray;
mod window;

use std::{
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use tauri::{AppHandle, Manager, RunEvent, WindowEvent};
use tokio::sync::mpsc;

use crate::{
    api::{AppEvent, Notice, View},
    cli::{self, Options},
    core::{self, App},
};

/// The program's name on the D-Bus, and the window's for the desktop.
const APP_ID: &str = "io.github.ahoy_call.Ahoy";

/// What the window works with.
pub struct Shell {
    /// The app, or why it could not start: the page then says so.
    app: Result<Arc<App>, Notice>,
    /// An invite that was opened before the page could be told.
    pending: Mutex<Option<String>>,
    /// Whether closing the window leaves a way back to it.
    has_tray: AtomicBool,
}

impl Shell {
    /// The app.
    ///
    /// # Errors
    /// Why it could not start.
    pub fn app(&self) -> Result<&Arc<App>, Notice> {
        self.app.as_ref().map_err(Notice::clone)
    }

    fn take_pending(&self) -> Option<String> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Shows the window until the user quits.
pub fn run(options: Options) -> ExitCode {
    // A name's part must not begin with a digit.
    let id = format!("{APP_ID}.p_{}", options.profile.name().replace('-', "_"));
    let profile = options.profile.clone();
    let built = tauri::Builder::default()
        .plugin(
            tauri_plugin_single_instance::Builder::new()
                .callback(|app, arguments, _| open(app, cli::link(&arguments)))
                .dbus_id(id)
                .build(),
        )
        .plugin(logs::plugin(&profile))
        .plugin(tauri_plugin_store::Builder::new().build())
        .plugin(window::state_plugin(&profile))
        .plugin(desktop::autostart_plugin(&profile))
        .register_asynchronous_uri_scheme_protocol(protocol::SCHEME, protocol::answer)
        .invoke_handler(commands::handler())
        .on_window_event(|window, event| {
            if let WindowEvent::CloseRequested { api, .. } = event
                && window::stays_in_tray(window.app_handle())
            {
                api.prevent_close();
                let _ = window.hide();
            }
        })
        .setup(move |tauri| setup(tauri.handle(), options).map_err(Into::into))
        .build(tauri::generate_context!());
    match built {
        Ok(tauri) => {
            tauri.run(|tauri, event| {
                if let RunEvent::Exit = event
                    && let Some(Ok(app)) = tauri.try_state::<Shell>().as_ref().map(|shell| shell.app())
                {
                    tauri::async_runtime::block_on(app.stop());
                }
            });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!(
                "ahoy: the window could not be opened: {error}. Check that a desktop runs (DISPLAY or WAYLAND_DISPLAY)."
            );
            ExitCode::FAILURE
        }
    }
}

fn setup(tauri: &AppHandle, options: Options) -> tauri::Result<()> {
    let (to_desktop, events) = mpsc::unbounded_channel();
    let page = tauri.clone();
    let sink: core::Sink = Arc::new(move |event: AppEvent| {
        window::tell(&page, &event);
        // The desktop's side ends with the process.
        let _ = to_desktop.send(event);
    });
    let started = tauri::async_runtime::block_on(App::start(
        core::Options {
            profile: options.profile.clone(),
            settings_file: Arc::new(settings_file::PluginFile::new(tauri.clone())),
            loopback_only: options.loopback_only,
        },
        sink,
    ));
    if let Err(notice) = &started {
        eprintln!("ahoy: {} {}", notice.what, notice.todo);
    }
    tauri.manage(Shell { app: started, pending: Mutex::new(options.link), has_tray: AtomicBool::new(false) });
    window::open(tauri, &options.profile, options.hidden)?;
    tauri::async_runtime::spawn(desktop::serve(tauri.clone(), events));
    tauri::async_runtime::spawn(tray::add(tauri.clone()));
    Ok(())
}

/// The program was started again, perhaps to open an invite.
fn open(tauri: &AppHandle, link: Option<String>) {
    window::raise(tauri);
    if link.is_some() {
        window::tell(tauri, &AppEvent::Open { view: View::Invite, link });
    }
}
