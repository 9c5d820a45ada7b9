//! Signaling messages and session descriptions, as bytes from a hostile peer.

use ahoy_call::{
    link::read_offer,
    message::{Envelope, MAX_ENVELOPE_BYTES},
};

/// What is taken says the same when it is written and read again.
pub(crate) fn parse(data: &[u8]) {
    let Ok(envelope) = Envelope::parse(data) else { return };
    assert!(data.len() <= MAX_ENVELOPE_BYTES);
    // Fields that were left out are written out: only a message near the limit may grow beyond it.
    if let Ok(json) = envelope.to_json() {
        assert_eq!(Envelope::parse(json.as_bytes()), Ok(envelope), "{json}");
    }
}

/// What the WebRTC stack is shown of a description is in the form that descriptions are brought into.
pub(crate) fn describe(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(shown) = read_offer(&text) {
        assert_eq!(read_offer(&shown).as_ref(), Ok(&shown), "{text}");
    }
}

/// Offers of a browser: one with all that is usual, and one with all that is rare.
pub(crate) fn descriptions() -> Vec<Vec<u8>> {
    let digest = vec!["1F"; 32].join(":");
    let usual = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2113937151 192.0.2.1 5000 typ srflx raddr 10.0.0.1 rport 7\r\n\
         a=ice-ufrag:user\r\na=ice-pwd:a-password-of-22-letters\r\na=fingerprint:sha-256 {digest}\r\n\
         a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
         a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n\
         a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=ssrc:1 cname:x\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n\
         a=ssrc-group:FID 2 3\r\na=ssrc:2 cname:x\r\na=ssrc:3 cname:x\r\n"
    );
    let rare = format!(
        "v=0\no=x 1 2 IN IP6 ::1\ns=x\nc=IN IP6 ::1\nt=0 0\na=ice-lite\na=ice-ufrag:u\na=ice-pwd:p\n\
         a=fingerprint:sha-1 AB\na=fingerprint:SHA-256 {digest}\na=setup:passive\na=inactive\na=group:LS 0\n\
         a=group:BUNDLE d 0 1 2\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:d\na=sctp-port:5000\n\
         m=video 0 RTP/SAVPF 96\na=bundle-only\na=mid:0\na=rtpmap:96 vp8/90000\na=rid:l send\n\
         a=simulcast:send l\nm=video 0 RTP/SAVPF 96\na=mid:1\nm=hologram 9 X 1\na=mid:2\n"
    );
    vec![usual.into_bytes(), rare.into_bytes()]
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
