//! The commands by their names.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    api::{DeviceKind, Notice, Presence, SignalPayload},
    core::App,
    settings::Values,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webview {
    rtc_peer_connection: bool,
}

#[derive(Deserialize)]
struct CallTo {
    contact: String,
    video: bool,
}

#[derive(Deserialize)]
struct Answer {
    call: String,
    video: bool,
}

#[derive(Deserialize)]
struct Ringing {
    call: String,
}

#[derive(Deserialize)]
struct On {
    on: bool,
}

#[derive(Deserialize)]
struct Signal {
    call: String,
    payload: SignalPayload,
}

#[derive(Deserialize)]
struct Choice {
    kind: DeviceKind,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Test {
    kind: DeviceKind,
    on: bool,
}

#[derive(Deserialize)]
struct Patch {
    patch: Values,
}

#[derive(Deserialize)]
struct Link {
    link: String,
}

#[derive(Deserialize)]
struct Name {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Block {
    id: String,
    blocked: bool,
}

#[derive(Deserialize)]
struct Verdict {
    id: String,
    accept: bool,
}

#[derive(Deserialize)]
struct SeenAs {
    presence: Presence,
}

#[derive(Deserialize)]
struct Before {
    before: Option<i64>,
}

/// Runs a command as the window's page would.
pub async fn run(app: &App, command: &str, args: Value) -> Result<Value, Notice> {
    match command {
        "start" => answer(app.overview().await?),
        "media_mode" => answer(app.media_mode(read::<Webview>(args)?.rtc_peer_connection).await?),
        "call_start" => {
            let CallTo { contact, video } = read(args)?;
            answer(app.call_start(&contact, video).await?)
        }
        "call_accept" => {
            let Answer { call, video } = read(args)?;
            answer(app.call_accept(&call, video)?)
        }
        "call_decline" => answer(app.call_decline(&read::<Ringing>(args)?.call)?),
        "call_hang_up" => answer(app.call_hang_up()?),
        "call_hold" => answer(app.call_hold(read::<On>(args)?.on)?),
        "call_audio" => answer(app.call_audio(read::<On>(args)?.on)?),
        "call_video" => answer(app.call_video(read::<On>(args)?.on)?),
        "calls_list" => answer(app.calls()),
        "signal_send" => {
            let Signal { call, payload } = read(args)?;
            answer(app.signal_send(&call, payload)?)
        }
        "devices_list" => answer(app.devices_list().await?),
        "device_choose" => {
            let Choice { kind, id } = read(args)?;
            answer(app.device_choose(kind, id).await?)
        }
        "device_test" => {
            let Test { kind, on } = read(args)?;
            answer(app.device_test(kind, on).await?)
        }
        "settings_get" => answer(app.settings()),
        "settings_set" => answer(app.settings_set(read::<Patch>(args)?.patch).await?),
        "contacts_add" => answer(app.contacts_add(&read::<Link>(args)?.link).await?),
        "contacts_rename" => {
            let Name { id, name } = read(args)?;
            answer(app.contacts_rename(&id, &name).await?)
        }
        "contacts_remove" => answer(app.contacts_remove(&read::<Id>(args)?.id).await?),
        "contacts_block" => {
            let Block { id, blocked } = read(args)?;
            answer(app.contacts_block(&id, blocked).await?)
        }
        "request_answer" => {
            let Verdict { id, accept } = read(args)?;
            answer(app.request_answer(&id, accept).await?)
        }
        "nearby_add" => answer(app.nearby_add(&read::<Id>(args)?.id).await?),
        "invite_create" => answer(app.invite_create().await?),
        "presence_set" => answer(app.presence_set(read::<SeenAs>(args)?.presence).await?),
        "history_list" => answer(app.history_list(read::<Before>(args)?.before).await?),
        "history_seen" => answer(app.history_seen().await?),
        "history_clear" => answer(app.history_clear().await?),
        "stats_watch" => {
            app.stats_watch(read::<On>(args)?.on);
            answer(())
        }
        _ => Err(Notice::new("bad-command", format!("There is no command {command:?}."), "Correct the page.")),
    }
}

fn read<T: DeserializeOwned>(args: Value) -> Result<T, Notice> {
    serde_json::from_value(args)
        .map_err(|error| Notice::new("bad-command", format!("The arguments are wrong ({error})."), "Correct the page."))
}

fn answer(value: impl Serialize) -> Result<Value, Notice> {
    serde_json::to_value(value).map_err(|error| Notice::new("internal", error.to_string(), ""))
}
