//! The window around the app.

mod commands;
mod desktop;
#[cfg(target_os = "linux")]
mod egl;
mod gl;
#[cfg(target_os = "linux")]
mod keyed;
mod logs;
mod notification;
mod protocol;
mod settings_file;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(all(test, target_os = "linux"))]
mod testing;
mod tray;
mod window;

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tauri::{AppHandle, Manager, RunEvent, WindowEvent};
use tokio::sync::mpsc;

use crate::{
    api::{AppEvent, Notice, View},
    cli::{self, Options},
    core::{self, App},
    profile::Profile,
};
use stage::Stage;

/// The program's name on the D-Bus, and the window's for the desktop.
const APP_ID: &str = "io.github.ahoy_call.Ahoy";

/// What the window works with.
pub struct Shell {
    /// The app, or why it could not start: the page then says so.
    app: Result<Arc<App>, Notice>,
    /// Where invites wait for the page.
    doorstep: Arc<Doorstep>,
    /// Whether closing the window leaves a way back to it.
    has_tray: AtomicBool,
    /// What paints the pictures of calls where the page does not.
    stage: OnceLock<Stage>,
    /// The user has the window before them.
    watched: AtomicBool,
}

/// Elsewhere the page paints.
#[cfg(not(target_os = "linux"))]
mod stage {
    pub enum Stage {}

    impl Stage {
        pub fn place(&self, _: Vec<crate::api::Hole>) {
            match *self {}
        }
    }
}

impl Shell {
    /// The app.
    ///
    /// # Errors
    /// Why it could not start.
    pub fn app(&self) -> Result<&Arc<App>, Notice> {
        self.app.as_ref().map_err(Notice::clone)
    }

    /// The page's process has ended. What it held ends with it, and the next page begins anew.
    #[cfg(target_os = "linux")]
    fn page_ended(&self) {
        self.doorstep.page_ended();
        // The next one has other holes, perhaps by the same names.
        if let Some(stage) = self.stage.get() {
            stage.place(Vec::new());
        }
        if let Ok(app) = &self.app {
            app.page_ended();
        }
    }
}

/// An invite that was opened waits here until the page can be told: it may come before there is a window.
#[derive(Debug, Default)]
struct Doorstep(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    page_listens: bool,
    link: Option<String>,
}

impl Doorstep {
    fn new(link: Option<String>) -> Self {
        Self(Mutex::new(Waiting { page_listens: false, link }))
    }

    /// An invite was opened. Gives it back if the page can be told at once; the latest of those that wait
    /// stays.
    fn leave(&self, link: String) -> Option<String> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.page_listens {
            return Some(link);
        }
        waiting.link = Some(link);
        None
    }

    /// The page listens from now on; what waits for it.
    fn page_listens(&self) -> Option<String> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.page_listens = true;
        waiting.link.take()
    }

    /// Nobody listens until the next page does.
    #[cfg(any(test, target_os = "linux"))]
    fn page_ended(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).page_listens = false;
    }
}

/// Shows the window until the user quits.
pub fn run(options: Options) -> ExitCode {
    #[cfg(target_os = "linux")]
    {
        let software = gl::is_software();
        gl::spare(software, options.pictures.by_program(software), &options.profile);
    }
    // The network of a call is 0.04 of a core. Of two threads each wakes the other up for half of it: 4 % of
    // all that an app takes in a call, measured. What blocks has threads of its own.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ahoy: the system gives no thread: {error}. Close other programs.");
            return ExitCode::FAILURE;
        }
    };
    tauri::async_runtime::set(runtime.handle().clone());
    let profile = options.profile.clone();
    let doorstep = Arc::new(Doorstep::new(options.link.clone()));
    let to_page = Arc::clone(&doorstep);
    let built = tauri::Builder::default()
        .plugin(
            tauri_plugin_single_instance::Builder::new()
                .callback(move |app, arguments, _| open(app, &to_page, cli::link(&arguments)))
                .dbus_id(bus_name(&profile))
                .build(),
        )
        .plugin(logs::plugin(&profile))
        .plugin(tauri_plugin_store::Builder::new().build())
        .plugin(window::state_plugin(&profile))
        .plugin(desktop::autostart_plugin(&profile))
        .register_asynchronous_uri_scheme_protocol(protocol::SCHEME, protocol::answer)
        .invoke_handler(commands::handler())
        .on_window_event(|window, event| {
            // Kept, because asking waits for the toolkit's thread.
            if let WindowEvent::Focused(focused) = event
                && let Some(shell) = window.app_handle().try_state::<Shell>()
            {
                shell.watched.store(*focused, Ordering::Release);
            }
            if let WindowEvent::CloseRequested { api, .. } = event
                && window::stays_in_tray(window.app_handle())
            {
                api.prevent_close();
                let _ = window.hide();
            }
        })
        .setup(move |tauri| setup(tauri.handle(), options, doorstep).map_err(Into::into))
        .build(tauri::generate_context!());
    let exit = match built {
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
    };
    // What still blocks is not waited for.
    runtime.shutdown_background();
    exit
}

/// By which a second start finds the first. A part of such a name must not begin with a digit, and may have a
/// hyphen; two profiles have two names.
fn bus_name(profile: &Profile) -> String {
    format!("{APP_ID}.p_{}", profile.name())
}

fn setup(tauri: &AppHandle, options: Options, doorstep: Arc<Doorstep>) -> tauri::Result<()> {
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
    // What could not start has something to say.
    let hidden = options.hidden && started.is_ok();
    let (has_tray, watched) = (AtomicBool::new(false), AtomicBool::new(false));
    tauri.manage(Shell { app: started, doorstep, has_tray, stage: OnceLock::new(), watched });
    // The page can ask for nothing before this returns.
    window::open(tauri, &options, hidden)?;
    tauri::async_runtime::spawn(desktop::serve(tauri.clone(), events));
    tauri::async_runtime::spawn(tray::add(tauri.clone()));
    #[cfg(unix)]
    tauri::async_runtime::spawn(quit_when_told(tauri.clone()));
    Ok(())
}

/// A session that ends, or Ctrl-C, is as good as the menu's Quit: the other side of a call is told.
#[cfg(unix)]
async fn quit_when_told(tauri: AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tauri.exit(0);
}

/// The program was started again, perhaps to open an invite.
fn open(tauri: &AppHandle, doorstep: &Doorstep, link: Option<String>) {
    window::raise(tauri);
    if let Some(link) = link.and_then(|link| doorstep.leave(link)) {
        window::tell(tauri, &AppEvent::Open { view: View::Invite, link: Some(link) });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_invite_waits_for_the_page_and_is_told_once() {
        let doorstep = Doorstep::new(Some("ahoy:first".to_owned()));
        assert_eq!(doorstep.leave("ahoy:second".to_owned()), None);
        assert_eq!(doorstep.page_listens().as_deref(), Some("ahoy:second"));
        assert_eq!(doorstep.page_listens(), None);
        assert_eq!(doorstep.leave("ahoy:third".to_owned()).as_deref(), Some("ahoy:third"));
        doorstep.page_ended();
        assert_eq!(doorstep.leave("ahoy:fourth".to_owned()), None);
        assert_eq!(doorstep.page_listens().as_deref(), Some("ahoy:fourth"));
    }

    #[test]
    fn profiles_do_not_take_each_other_for_a_second_start() {
        let name = |profile| bus_name(&Profile::named(profile, Path::new("/d"), Path::new("/c")).unwrap());
        assert_ne!(name("a-b"), name("a_b"));
    }
}
