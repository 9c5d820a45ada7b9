//! `media://localhost/STREAM?after=CURSOR`.
//!
//! The webview hands over whole answers, so reading is a long poll; each waits in a task of its own, which
//! costs no thread.

use tauri::{
    Manager, Runtime, UriSchemeContext, UriSchemeResponder,
    http::{Request, Response, header},
};

use super::{Shell, window};
use crate::media::{self, Answer, CURSOR_HEADER};

/// The scheme's name; the page's policy names it too (`connect-src`).
pub const SCHEME: &str = "media";

/// Answers a request of the page.
pub fn answer<R: Runtime>(context: UriSchemeContext<'_, R>, request: Request<Vec<u8>>, responder: UriSchemeResponder) {
    let shell = context.app_handle().try_state::<Shell>();
    let hub = shell.and_then(|shell| shell.app().ok().map(|app| app.hub().clone()));
    let Some(hub) = hub.filter(|_| context.webview_label() == window::MAIN) else {
        responder.respond(response(Answer { status: 404, cursor: None, body: Vec::new() }));
        return;
    };
    tauri::async_runtime::spawn(async move {
        let (path, query) = (request.uri().path(), request.uri().query());
        responder.respond(response(media::read(&hub, path, query).await));
    });
}

fn response(Answer { status, cursor, body }: Answer) -> Response<Vec<u8>> {
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "video/webm")
        .header(header::CACHE_CONTROL, "no-store")
        // To the webview the page's own scheme is another origin.
        .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        .header(header::ACCESS_CONTROL_EXPOSE_HEADERS, CURSOR_HEADER);
    if let Some(cursor) = cursor {
        response = response.header(CURSOR_HEADER, cursor);
    }
    // The parts are constants and numbers: they always make a response.
    response.body(body).unwrap_or_default()
}
