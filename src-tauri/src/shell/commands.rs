//! What the page can ask for. The same names stand in `build.rs`, and only the main window may use them.

use tauri::{AppHandle, State, Wry, ipc::Invoke};

use super::{Shell, window};
use crate::{
    api::{
        AppEvent, Call, Contact, DeviceKind, Devices, HistoryEntry, Hole, Invite, MediaMode, Notice, Presence,
        Settings, SignalPayload, Start, View,
    },
    settings::Values,
};

type Answer<T> = Result<T, Notice>;

/// All of them.
pub fn handler() -> impl Fn(Invoke<Wry>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        start,
        media_mode,
        call_start,
        call_accept,
        call_decline,
        call_hang_up,
        call_hold,
        call_audio,
        call_video,
        calls_list,
        signal_send,
        devices_list,
        device_choose,
        device_test,
        settings_get,
        settings_set,
        contacts_add,
        contacts_rename,
        contacts_remove,
        contacts_block,
        request_answer,
        nearby_add,
        invite_create,
        presence_set,
        history_list,
        history_seen,
        history_clear,
        stats_watch,
        holes_set,
    ]
}

#[tauri::command]
async fn start(tauri: AppHandle, shell: State<'_, Shell>) -> Answer<Start> {
    let start = Start { paints: shell.stage.get().is_some(), ..shell.app()?.overview().await? };
    if let Some(link) = shell.doorstep.page_listens() {
        window::tell(&tauri, &AppEvent::Open { view: View::Invite, link: Some(link) });
    }
    Ok(start)
}

#[tauri::command]
async fn media_mode(shell: State<'_, Shell>, rtc_peer_connection: bool) -> Answer<MediaMode> {
    shell.app()?.media_mode(rtc_peer_connection).await
}

#[tauri::command]
async fn call_start(shell: State<'_, Shell>, contact: String, video: bool) -> Answer<Call> {
    shell.app()?.call_start(&contact, video).await
}

#[tauri::command]
async fn call_accept(shell: State<'_, Shell>, call: String, video: bool) -> Answer<()> {
    shell.app()?.call_accept(&call, video)
}

#[tauri::command]
async fn call_decline(shell: State<'_, Shell>, call: String) -> Answer<()> {
    shell.app()?.call_decline(&call)
}

#[tauri::command]
async fn call_hang_up(shell: State<'_, Shell>) -> Answer<()> {
    shell.app()?.call_hang_up()
}

#[tauri::command]
async fn call_hold(shell: State<'_, Shell>, on: bool) -> Answer<()> {
    shell.app()?.call_hold(on)
}

#[tauri::command]
async fn call_audio(shell: State<'_, Shell>, on: bool) -> Answer<()> {
    shell.app()?.call_audio(on)
}

#[tauri::command]
async fn call_video(shell: State<'_, Shell>, on: bool) -> Answer<()> {
    shell.app()?.call_video(on)
}

#[tauri::command]
async fn calls_list(shell: State<'_, Shell>) -> Answer<Vec<Call>> {
    Ok(shell.app()?.calls())
}

#[tauri::command]
async fn signal_send(shell: State<'_, Shell>, call: String, payload: SignalPayload) -> Answer<()> {
    shell.app()?.signal_send(&call, payload)
}

#[tauri::command]
async fn devices_list(shell: State<'_, Shell>) -> Answer<Devices> {
    shell.app()?.devices_list().await
}

#[tauri::command]
async fn device_choose(shell: State<'_, Shell>, kind: DeviceKind, id: Option<String>) -> Answer<()> {
    shell.app()?.device_choose(kind, id).await
}

#[tauri::command]
async fn device_test(shell: State<'_, Shell>, kind: DeviceKind, on: bool) -> Answer<()> {
    shell.app()?.device_test(kind, on).await
}

#[tauri::command]
async fn settings_get(shell: State<'_, Shell>) -> Answer<Settings> {
    Ok(shell.app()?.settings())
}

#[tauri::command]
async fn settings_set(shell: State<'_, Shell>, patch: Values) -> Answer<Settings> {
    shell.app()?.settings_set(patch).await
}

#[tauri::command]
async fn contacts_add(shell: State<'_, Shell>, link: String) -> Answer<Contact> {
    shell.app()?.contacts_add(&link).await
}

#[tauri::command]
async fn contacts_rename(shell: State<'_, Shell>, id: String, name: String) -> Answer<()> {
    shell.app()?.contacts_rename(&id, &name).await
}

#[tauri::command]
async fn contacts_remove(shell: State<'_, Shell>, id: String) -> Answer<()> {
    shell.app()?.contacts_remove(&id).await
}

#[tauri::command]
async fn contacts_block(shell: State<'_, Shell>, id: String, blocked: bool) -> Answer<()> {
    shell.app()?.contacts_block(&id, blocked).await
}

#[tauri::command]
async fn request_answer(shell: State<'_, Shell>, id: String, accept: bool) -> Answer<()> {
    shell.app()?.request_answer(&id, accept).await
}

#[tauri::command]
async fn nearby_add(shell: State<'_, Shell>, id: String) -> Answer<()> {
    shell.app()?.nearby_add(&id).await
}

#[tauri::command]
async fn invite_create(shell: State<'_, Shell>) -> Answer<Invite> {
    shell.app()?.invite_create().await
}

#[tauri::command]
async fn presence_set(shell: State<'_, Shell>, presence: Presence) -> Answer<()> {
    shell.app()?.presence_set(presence).await
}

#[tauri::command]
async fn history_list(shell: State<'_, Shell>, before: Option<i64>) -> Answer<Vec<HistoryEntry>> {
    shell.app()?.history_list(before).await
}

#[tauri::command]
async fn history_seen(shell: State<'_, Shell>) -> Answer<()> {
    shell.app()?.history_seen().await
}

#[tauri::command]
async fn history_clear(shell: State<'_, Shell>) -> Answer<()> {
    shell.app()?.history_clear().await
}

#[tauri::command]
async fn stats_watch(shell: State<'_, Shell>, on: bool) -> Answer<()> {
    shell.app()?.stats_watch(on);
    Ok(())
}

#[tauri::command]
async fn holes_set(shell: State<'_, Shell>, holes: Vec<Hole>) -> Answer<()> {
    if let Some(stage) = shell.stage.get() {
        stage.place(holes);
    }
    Ok(())
}
