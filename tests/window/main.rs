//! The app in real windows, driven by WebDriver as a person drives it: two people who meet and call each
//! other, the echo contact, the keyboard alone, an audit of every view, and what a desktop does to a window.

mod call;
mod desktop;
mod echo;
mod end;
mod keyboard;
mod steps;
mod views;

use tokio::sync::{Mutex, MutexGuard};

/// Two windows in a call, with cameras at 30 pictures a second and no graphics card, are work for a whole
/// small machine: one test at a time, or each waits for pictures that the others keep from it.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}
