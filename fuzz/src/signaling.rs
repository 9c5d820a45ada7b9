//! Signaling messages, as bytes from whoever is at the other end of the transport.

use ahoy_call::message::{Envelope, MAX_ENVELOPE_BYTES};

/// What is taken says the same when it is written and read again.
pub(crate) fn parse(data: &[u8]) {
    let Ok(envelope) = Envelope::parse(data) else { return };
    assert!(data.len() <= MAX_ENVELOPE_BYTES);
    // Fields that were left out are written out: only a message near the limit may grow beyond it.
    if let Ok(json) = envelope.to_json() {
        assert_eq!(Envelope::parse(json.as_bytes()), Ok(envelope), "{json}");
    }
}

/// Every message of the schema.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let sdp = r"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n";
    [
        r#"{"type":"call-request"}"#,
        r#"{"type":"call-request","media":{"audio":true,"video":false}}"#,
        r#"{"type":"call-ack"}"#,
        &format!(r#"{{"type":"call-offer","sdp":"{sdp}"}}"#),
        &format!(r#"{{"type":"call-answer","sdp":"{sdp}"}}"#),
        concat!(
            r#"{"type":"ice-candidate","candidate":{"candidate":"candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host","#,
            r#""sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}"#
        ),
        r#"{"type":"ice-candidate","candidate":null}"#,
        r#"{"type":"call-hangup"}"#,
        r#"{"type":"call-hangup","reason":"hangup"}"#,
        r#"{"type":"call-hangup","reason":"\u00e4\ud83d\ude00"}"#,
        r#"{"type":"ringing"}"#,
        r#"{"type":"media-state","audio":false,"video":true}"#,
        r#"{"type":"call-hold","held":true}"#,
        r#"{"type":"of-tomorrow","field":[1,2,{}]}"#,
    ]
    .iter()
    .map(|payload| format!(r#"{{"v":1,"channel":"a-call","seq":7,"payload":{payload}}}"#).into_bytes())
    .collect()
}
