//! Pictures on their way to the page: one read of a stream, as an answer of HTTP.
//!
//! `STREAM?after=CURSOR` is a long poll: 200 with WebM and the next cursor in a header; 204 at the end of the
//! stream; 404 for a stream that is not there; 400 for what is no cursor. Where nothing comes for a while the
//! answer is an empty 200 with the reader's own cursor, so that no request of a page that was closed waits
//! for ever.

use std::time::Duration;

use ahoy_media::webm::hub::{Chunk, Cursor, Hub, HubError, StreamId};

/// Over any pause of a picture that is not switched off.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// The header with the next cursor.
pub const CURSOR_HEADER: &str = "x-ahoy-cursor";

/// An answer, whatever carries it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// Where to read on.
    pub cursor: Option<String>,
    /// WebM.
    pub body: Vec<u8>,
}

/// Reads a stream; `path` and `query` as they stand in the URL.
pub async fn read(hub: &Hub, path: &str, query: Option<&str>) -> Answer {
    read_within(hub, path, query, READ_LIMIT).await
}

async fn read_within(hub: &Hub, path: &str, query: Option<&str>, limit: Duration) -> Answer {
    let empty = |status| Answer { status, cursor: None, body: Vec::new() };
    let Some(stream) = decode(path.trim_start_matches('/')) else { return empty(400) };
    let after = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("after="));
    let Ok(after) = after.map(str::parse::<Cursor>).transpose() else { return empty(400) };
    let stream = StreamId::new(stream);
    match tokio::time::timeout(limit, hub.read(&stream, after)).await {
        Ok(Ok(Chunk::Media { body, next })) => {
            Answer { status: 200, cursor: Some(next.to_string()), body: body.into() }
        }
        Ok(Ok(Chunk::End)) => empty(204),
        Ok(Err(HubError::UnknownStream(_))) => empty(404),
        Ok(Err(_)) => empty(400),
        Err(_) => Answer { cursor: after.map(|after| after.to_string()), ..empty(200) },
    }
}

/// Percent-decoding (RFC 3986 section 2.1).
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ahoy_media::video::EncodedFrame;

    use super::*;

    fn frame(key: bool) -> EncodedFrame {
        EncodedFrame { data: vec![0; 10].into(), key, width: 64, height: 64, captured_at: Instant::now() }
    }

    #[tokio::test]
    async fn a_stream_is_read_to_its_end() {
        let hub = Hub::new();
        assert_eq!(read(&hub, "/a%2Fb", None).await.status, 404);
        let writer = hub.open(StreamId::new("a/b"), || {});
        writer.push(&frame(true), Duration::ZERO);
        let first = read(&hub, "/a%2Fb", None).await;
        assert_eq!(first.status, 200);
        writer.push(&frame(false), Duration::from_millis(33));
        let after = format!("token=x&after={}", first.cursor.unwrap());
        let second = read(&hub, "a%2fb", Some(&after)).await;
        assert!(second.status == 200 && second.body.len() < first.body.len());
        let after = format!("after={}", second.cursor.clone().unwrap());
        let nothing = read_within(&hub, "a%2Fb", Some(&after), Duration::from_millis(10)).await;
        assert_eq!(nothing, Answer { status: 200, cursor: second.cursor, body: vec![] });
        drop(writer);
        assert_eq!(read(&hub, "a/b", Some(&after)).await.status, 204);
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        for (path, query) in [("/%", None), ("/%zz", None), ("/%ff", None), ("/a", Some("after=x"))] {
            assert_eq!(read(&Hub::new(), path, query).await.status, 400, "{path} {query:?}");
        }
    }
}
