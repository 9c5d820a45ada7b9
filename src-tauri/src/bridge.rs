//! The page in a plain browser, for tests alone: built only with the feature `test-bridge`, bound to
//! loopback, behind a random token. It serves the page's folder, `/media/STREAM`, and `/bridge`: a WebSocket
//! with one JSON object a message, `{id, cmd, args}` answered by `{id, ok}` or `{id, error}`, and `{event}`
//! for each event.

mod dispatch;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use axum::{
    Router,
    extract::{
        Path as UrlPath, RawQuery, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc},
};

use crate::{
    api::AppEvent,
    core::{self, App},
    media,
    profile::Profile,
    settings::PlainFile,
};

/// Events that a slow page may be behind.
const EVENTS: usize = 1024;

#[derive(Clone)]
struct Bridge {
    app: Arc<App>,
    events: broadcast::Sender<AppEvent>,
    page: Arc<PathBuf>,
    token: Arc<str>,
}

/// Serves until stdin ends, which it does with whoever started this. The first line of stdout says where:
/// `{"port", "token", "url"}`.
pub fn run(profile: &Profile, page: &Path, loopback_only: bool) -> ExitCode {
    let options = core::Options { profile: profile.clone(), settings_file: Arc::new(PlainFile), loopback_only };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let ended = runtime.block_on(serve(options, page));
    // stdin cannot be interrupted: its reader would be waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("ahoy: {error}");
    ExitCode::FAILURE
}

async fn serve(options: core::Options, page: &Path) -> std::io::Result<()> {
    let (events, _) = broadcast::channel(EVENTS);
    let to_pages = events.clone();
    // Without a page nobody has to be told.
    let sink: core::Sink = Arc::new(move |event| drop(to_pages.send(event)));
    let app = App::start(options, sink).await;
    let app = app.map_err(|notice| std::io::Error::other(format!("{} {}", notice.what, notice.todo)))?;
    let token = format!("{:032x}", rand::random::<u128>());
    let bridge =
        Bridge { app: Arc::clone(&app), events, page: Arc::new(page.to_owned()), token: token.as_str().into() };
    let router = Router::new()
        .route("/bridge", get(connect))
        .route("/media/{stream}", get(read))
        .fallback(get(file))
        .with_state(bridge);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}/?bridge=ws://127.0.0.1:{port}/bridge&token={token}");
    println!("{}", json!({"port": port, "token": token, "url": url}));
    std::io::stdout().flush()?;
    let (mut stdin, mut nowhere) = (tokio::io::stdin(), tokio::io::sink());
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served?,
        _ = tokio::io::copy(&mut stdin, &mut nowhere) => {}
    }
    app.stop().await;
    Ok(())
}

impl Bridge {
    fn admits(&self, query: Option<&str>) -> bool {
        let given = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("token="));
        given == Some(&*self.token)
    }
}

async fn connect(State(bridge): State<Bridge>, RawQuery(query): RawQuery, upgrade: WebSocketUpgrade) -> Response {
    if !bridge.admits(query.as_deref()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade.on_upgrade(|socket| converse(bridge, socket))
}

async fn read(
    State(bridge): State<Bridge>,
    UrlPath(_): UrlPath<String>,
    RawQuery(query): RawQuery,
    uri: Uri,
) -> Response {
    if !bridge.admits(query.as_deref()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let stream = uri.path().strip_prefix("/media/").unwrap_or_default();
    let answer = media::read(bridge.app.hub(), stream, query.as_deref()).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        (header::CONTENT_TYPE, "video/webm"),
        (header::CACHE_CONTROL, "no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, media::CURSOR_HEADER),
    ];
    let cursor = answer.cursor.map(|cursor| [(media::CURSOR_HEADER, cursor)]);
    (status, headers, cursor.map(axum::response::AppendHeaders), answer.body).into_response()
}

/// A file of the page.
async fn file(State(bridge): State<Bridge>, uri: Uri) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let plain = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let kind = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    match tokio::fs::read(bridge.page.join(path)).await {
        Ok(body) if plain => {
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], body).into_response()
        }
        Ok(_) | Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Request {
    id: Value,
    cmd: String,
    #[serde(default)]
    args: Value,
}

/// Answers a page until it goes. Commands run beside each other, as the window's do.
async fn converse(bridge: Bridge, mut socket: WebSocket) {
    let mut events = bridge.events.subscribe();
    let (answer, mut answers) = mpsc::unbounded_channel::<Value>();
    loop {
        let message = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Ok(Request { id, cmd, args }) = serde_json::from_str(&text) {
                        let (app, answer) = (Arc::clone(&bridge.app), answer.clone());
                        tokio::spawn(async move {
                            let answered = match dispatch::run(&app, &cmd, args).await {
                                Ok(ok) => json!({"id": id, "ok": ok}),
                                Err(error) => json!({"id": id, "error": error}),
                            };
                            let _ = answer.send(answered);
                        });
                    }
                    continue;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            Some(answer) = answers.recv() => answer,
            event = events.recv() => match event {
                Ok(event) => json!({"event": event}),
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            },
        };
        if socket.send(Message::Text(message.to_string().into())).await.is_err() {
            return;
        }
    }
}
