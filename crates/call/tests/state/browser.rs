//! A peer that speaks the six messages and nothing else, as a plain page does.

use ahoy_call::{
    message::{Envelope, MediaState},
    state::{CallStatus, Input, LinkEvent, Output},
};
use serde_json::{Value, json};

use crate::script::{BOB, Script};

/// The page's side of the wire, in its own JSON.
struct Page {
    native: Script,
    /// How it numbers its messages.
    seq: fn(u64) -> Option<u64>,
    sent: u64,
}

impl Page {
    fn with(native: Script, seq: fn(u64) -> Option<u64>) -> Self {
        Self { native, seq, sent: 0 }
    }

    fn sends(&mut self, payload: Value) -> &mut Self {
        self.sent += 1;
        let mut envelope = json!({ "v": 1, "channel": "call", "payload": payload });
        if let Some(seq) = (self.seq)(self.sent) {
            envelope["seq"] = json!(seq);
        }
        let envelope = Envelope::parse(envelope.to_string().as_bytes()).unwrap();
        self.native.board.receive(self.native.now, BOB.into(), envelope);
        self
    }

    fn candidate(&mut self, name: &str) -> &mut Self {
        let candidate = json!({ "candidate": name, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "u" });
        self.sends(json!({ "type": "ice-candidate", "candidate": candidate }))
    }

    /// What reaches the page and means something to it.
    fn understands(&mut self) -> Vec<String> {
        let six = ["call-request", "call-ack", "call-offer", "call-answer", "ice-candidate", "call-hangup"];
        std::iter::from_fn(|| self.native.board.poll_output())
            .filter_map(|(_, output)| match output {
                Output::Send { envelope, .. } => Some(envelope.to_json().unwrap()),
                Output::Event(_) | Output::Link { .. } => None,
            })
            .map(|json| serde_json::from_str::<Value>(&json).unwrap()["payload"]["type"].as_str().unwrap().to_owned())
            .filter(|name| six.contains(&name.as_str()))
            .collect()
    }
}

/// Rising, always the same, none at all.
const NUMBERINGS: [fn(u64) -> Option<u64>; 3] = [Some, |_| Some(1), |_| None];

#[test]
fn a_page_that_is_called() {
    for seq in NUMBERINGS {
        let mut native = Script::new();
        native.board.place(native.now, native.channel.clone(), BOB.into(), MediaState::BOTH).unwrap();
        let mut page = Page::with(native, seq);
        assert_eq!(page.understands(), ["call-request"]);
        page.native.link(LinkEvent::LocalOffer("o1".into()));
        page.sends(json!({ "type": "call-ack" }));
        assert_eq!(page.understands(), ["call-offer"]);
        page.candidate("early").sends(json!({ "type": "call-answer", "sdp": "a=ice-ufrag:u" })).candidate("late");
        page.native.expect(&["accept-answer a=ice-ufrag:u", "add early", "add late"]);
        page.native.link(LinkEvent::Connected);
        assert_eq!(page.native.status(), Some(CallStatus::Active));
        restart_by_both(&mut page);
        page.sends(json!({ "type": "call-hangup" }));
        page.native.expect(&["close", "event ended hangup Remote"]);
    }
}

#[test]
fn a_page_that_calls() {
    for seq in NUMBERINGS {
        let mut page = Page::with(Script::new(), seq);
        page.sends(json!({ "type": "call-request" }));
        page.native.expect(&["send ringing", "event incoming"]);
        page.native.user(Input::Accept { media: MediaState::BOTH });
        assert_eq!(page.understands(), ["call-ack"]);
        page.candidate("early").sends(json!({ "type": "call-offer", "sdp": "a=ice-ufrag:u" })).candidate("late");
        page.native.expect(&["accept-offer a=ice-ufrag:u", "add early", "add late"]);
        page.native.link(LinkEvent::LocalAnswer("a1".into()));
        assert_eq!(page.understands(), ["call-answer"]);
        page.native.link(LinkEvent::Connected);
        restart_by_both(&mut page);
        page.native.user(Input::Hold);
        assert_eq!(
            page.native.outputs(),
            ["send call-hold true", "sending -", "playing false", "event hold true false"]
        );
        page.native.user(Input::HangUp);
        assert_eq!(page.understands(), ["call-hangup"]);
    }
}

/// New offers on the same channel, the page's and ours.
fn restart_by_both(page: &mut Page) {
    page.native.drop_outputs();
    page.sends(json!({ "type": "call-offer", "sdp": "a=ice-ufrag:u2" }));
    page.native.expect(&["accept-offer a=ice-ufrag:u2"]);
    page.native.link(LinkEvent::LocalAnswer("a2".into())).expect(&["send call-answer a2"]);
    page.native.link(LinkEvent::Disconnected).after(ahoy_call::state::limits::RESTART_GRACE);
    page.native.expect(&["event reconnecting", "create-offer restart"]);
    page.native.link(LinkEvent::LocalOffer("o3".into())).expect(&["send call-offer o3"]);
    page.sends(json!({ "type": "call-answer", "sdp": "a=ice-ufrag:u3" }));
    page.native.expect(&["accept-answer a=ice-ufrag:u3"]);
    page.native.link(LinkEvent::Connected).expect(&["event reconnected"]);
}
