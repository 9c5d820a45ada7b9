//! What happened in the last call, kept in memory so that a fault can be looked for afterwards. Pure.
//!
//! It holds state changes, the network reports, what ICE did, and a summary of the statistics every few
//! seconds. It holds no address: candidates are kept by their type alone, peers by a number, problems by
//! their code.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    engine::{PeerStats, interval::between},
    event::CallEvent,
    id::{CallId, PeerId},
    message::{HangupReason, IceCandidate},
    state::LinkEvent,
};

/// Entries that are kept: almost three hours of summaries. The oldest ones go first.
const MOST_ENTRIES: usize = 2000;
/// Entries that are taken in one second, so that a peer that keeps changing its state does not push out
/// everything else.
const MOST_A_SECOND: u32 = 50;
/// Peers that are told apart; further ones share the last number.
const MOST_PEERS: usize = 64;
/// Between two summaries.
const SUMMARY: Duration = Duration::from_secs(5);

/// The timeline of one call; it is kept until the next one begins.
#[derive(Debug, Default)]
pub struct Timeline {
    call: Option<Call>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    began: Instant,
    began_unix_ms: u64,
    entries: VecDeque<Entry>,
    /// Entries that were not kept.
    left_out: u64,
    /// The second that entries are counted in, and how many it has.
    second: (u64, u32),
    peers: Vec<PeerId>,
    /// Totals at the last summary.
    before: Vec<(Instant, PeerStats)>,
    due: Option<Instant>,
}

#[derive(Clone, Debug, Serialize)]
struct Entry {
    /// Milliseconds since the call began.
    t: u64,
    peer: Option<usize>,
    #[serde(flatten)]
    what: Value,
}

impl Timeline {
    /// A call begins. What was known of the one before is forgotten.
    pub fn begin(&mut self, now: Instant, id: CallId) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.call = Some(Call {
            id,
            began: now,
            began_unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            entries: VecDeque::new(),
            left_out: 0,
            second: (0, 0),
            peers: Vec::new(),
            before: Vec::new(),
            due: None,
        });
    }

    /// Takes an event of a call. An incoming call begins its timeline.
    pub fn event(&mut self, now: Instant, id: &CallId, event: &CallEvent) {
        if matches!(event, CallEvent::Incoming { .. }) {
            self.begin(now, id.clone());
        }
        let Some(call) = self.of(id) else { return };
        let (peer, what) = told(event);
        call.add(now, peer, what);
        match event {
            CallEvent::Connected { .. } => call.due = Some(now),
            CallEvent::Ended { .. } => call.due = None,
            CallEvent::Replaced { by } => call.id = by.clone(),
            _ => {}
        }
    }

    /// Takes what a link did.
    pub fn link(&mut self, now: Instant, id: &CallId, peer: &PeerId, event: &LinkEvent) {
        let Some(call) = self.of(id) else { return };
        let what = match event {
            LinkEvent::LocalOffer(_) => json!({"ice": "offer"}),
            LinkEvent::LocalAnswer(_) => json!({"ice": "answer"}),
            LinkEvent::LocalCandidate(candidate) => json!({"ice": "local-candidate", "type": type_of(candidate)}),
            LinkEvent::LocalCandidatesDone => json!({"ice": "local-candidates-done"}),
            LinkEvent::Connected => json!({"ice": "connected"}),
            LinkEvent::Disconnected => json!({"ice": "disconnected"}),
            // The error may name addresses.
            LinkEvent::Failed(_) => json!({"ice": "failed"}),
            LinkEvent::RemoteDescriptionRefused(_) => json!({"ice": "description-refused"}),
            LinkEvent::MediumRefused(_) => json!({"ice": "medium-refused"}),
            LinkEvent::Absent(_) => json!({"ice": "medium-absent"}),
            LinkEvent::CandidateRefused(_) => json!({"ice": "candidate-refused"}),
        };
        call.add(now, Some(peer), what);
    }

    /// The other side named a candidate.
    pub fn remote_candidate(&mut self, now: Instant, id: &CallId, peer: &PeerId, candidate: &IceCandidate) {
        if let Some(call) = self.of(id) {
            call.add(now, Some(peer), json!({"ice": "remote-candidate", "type": type_of(candidate)}));
        }
    }

    /// When the next summary is due; none where no call is connected.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.call.as_ref()?.due
    }

    /// Takes the totals of each peer, if a summary is due.
    pub fn stats(&mut self, now: Instant, totals: impl FnOnce() -> Vec<PeerStats>) {
        let Some(call) = self.call.as_mut().filter(|call| call.due.is_some_and(|due| due <= now)) else { return };
        call.due = Some(now + SUMMARY);
        let totals = totals();
        for stats in &totals {
            let before = call.before.iter().find(|(_, before)| before.peer == stats.peer);
            let Some((at, before)) = before else { continue };
            let (sent, received) = between(before, stats, now.saturating_duration_since(*at));
            let what = json!({
                "stats": {
                    "rtt_ms": stats.round_trip_ms(),
                    "loss_out": stats.loss_out(),
                    "queue_ms": stats.queue_ms(),
                    "estimate_kbps": stats.estimate.map(|estimate| estimate.target.kbps()),
                    "out": sent,
                    "in": received,
                }
            });
            call.add(now, Some(&stats.peer), what);
        }
        call.before = totals.into_iter().map(|stats| (now, stats)).collect();
    }

    /// Returns the timeline as JSON; null where there was no call. `entries` have `t` (ms since `began`,
    /// which is unix ms), `peer` (a number, or null) and one of `event`, `ice` and `stats`.
    pub fn to_json(&self) -> Value {
        let Some(Call { id, began_unix_ms, entries, left_out, .. }) = &self.call else { return Value::Null };
        json!({"version": 1, "call": id, "began": began_unix_ms, "left_out": left_out, "entries": entries})
    }

    fn of(&mut self, id: &CallId) -> Option<&mut Call> {
        self.call.as_mut().filter(|call| call.id == *id)
    }
}

impl Call {
    fn add(&mut self, now: Instant, peer: Option<&PeerId>, what: Value) {
        let since = now.saturating_duration_since(self.began);
        let (second, count) = self.second;
        let count = if second == since.as_secs() { count + 1 } else { 1 };
        self.second = (since.as_secs(), count);
        if count > MOST_A_SECOND {
            self.left_out += 1;
            return;
        }
        if self.entries.len() == MOST_ENTRIES {
            self.entries.pop_front();
            self.left_out += 1;
        }
        let peer = peer.map(|peer| self.number(peer));
        self.entries.push_back(Entry { t: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), peer, what });
    }

    fn number(&mut self, peer: &PeerId) -> usize {
        if let Some(number) = self.peers.iter().position(|known| known == peer) {
            return number;
        }
        if self.peers.len() < MOST_PEERS {
            self.peers.push(peer.clone());
        }
        self.peers.len() - 1
    }
}

/// What of an event is kept. Texts are not: they may name addresses.
fn told(event: &CallEvent) -> (Option<&PeerId>, Value) {
    match event {
        CallEvent::Incoming { peer, media } => (Some(peer), json!({"event": "incoming", "media": media})),
        CallEvent::Missed { peer } => (Some(peer), json!({"event": "missed"})),
        CallEvent::Ringing { peer } => (Some(peer), json!({"event": "ringing"})),
        CallEvent::Connecting { peer } => (Some(peer), json!({"event": "connecting"})),
        CallEvent::Connected { peer } => (Some(peer), json!({"event": "connected"})),
        CallEvent::Reconnecting { peer } => (Some(peer), json!({"event": "reconnecting"})),
        CallEvent::Reconnected { peer } => (Some(peer), json!({"event": "reconnected"})),
        CallEvent::MediaState { peer, media, paused } => {
            (Some(peer), json!({"event": "media-state", "media": media, "paused": paused}))
        }
        CallEvent::Network { peer, network } => (Some(peer), json!({"event": "network", "network": network})),
        CallEvent::Hold { peer, local, remote } => {
            (Some(peer), json!({"event": "hold", "local": local, "remote": remote}))
        }
        CallEvent::FirstVideo { peer } => (Some(peer), json!({"event": "first-video"})),
        CallEvent::FirstAudio { peer } => (Some(peer), json!({"event": "first-audio"})),
        CallEvent::DeviceMissing { device, .. } => (None, json!({"event": "device-missing", "device": device})),
        CallEvent::DeviceLost { device, .. } => (None, json!({"event": "device-lost", "device": device})),
        CallEvent::DeviceBack { device } => (None, json!({"event": "device-back", "device": device})),
        CallEvent::Unheard { silence, .. } => (None, json!({"event": "unheard", "silence": silence})),
        CallEvent::Heard { silence } => (None, json!({"event": "heard", "silence": silence})),
        CallEvent::Replaced { .. } => (None, json!({"event": "replaced"})),
        CallEvent::Problem(problem) => (None, json!({"event": "problem", "code": problem.code})),
        CallEvent::Ended { reason, by, .. } => {
            // Any other word is the other side's own text.
            let reason = if matches!(reason, HangupReason::Other(_)) { "other" } else { reason.as_str() };
            (None, json!({"event": "ended", "reason": reason, "by": by}))
        }
    }
}

/// Returns the type of a candidate: `host`, `srflx`, `prflx` or `relay` (RFC 8839 section 5.1). Other words
/// are not repeated, since they could be an address.
fn type_of(candidate: &IceCandidate) -> &'static str {
    let mut words = candidate.candidate.split_ascii_whitespace().skip_while(|word| *word != "typ").skip(1);
    match words.next() {
        Some("host") => "host",
        Some("srflx") => "srflx",
        Some("prflx") => "prflx",
        Some("relay") => "relay",
        Some(_) => "unknown",
        None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::AudioIn,
        event::{Problem, ProblemCode, Side},
        link::LinkStats,
        message::MediaState,
    };

    fn id(text: &str) -> CallId {
        text.parse().unwrap()
    }

    fn peer() -> PeerId {
        "192.0.2.77".into()
    }

    fn entries(timeline: &Timeline) -> Vec<Value> {
        timeline.to_json()["entries"].as_array().unwrap().clone()
    }

    fn ended() -> CallEvent {
        CallEvent::Ended { reason: HangupReason::Hangup, by: Side::Local, text: "192.0.2.9".into() }
    }

    #[test]
    fn a_call_is_kept_until_the_next_one_begins() {
        let (mut timeline, start) = (Timeline::default(), Instant::now());
        assert_eq!(timeline.to_json(), Value::Null);
        timeline.event(start, &id("a"), &ended());
        assert_eq!(timeline.to_json(), Value::Null, "of a call that never began");
        timeline.event(start, &id("a"), &CallEvent::Incoming { peer: peer(), media: MediaState::BOTH });
        timeline.event(start + Duration::from_millis(1500), &id("a"), &ended());
        // Somebody else was sent away.
        timeline.event(start, &id("b"), &CallEvent::Missed { peer: peer() });
        let kept = entries(&timeline);
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[1], json!({"t": 1500, "peer": null, "event": "ended", "reason": "hangup", "by": "local"}));
        timeline.begin(start, id("c"));
        assert!(entries(&timeline).is_empty());
        timeline.event(start, &id("c"), &CallEvent::Replaced { by: id("d") });
        timeline.event(start, &id("d"), &CallEvent::Connecting { peer: peer() });
        assert_eq!(entries(&timeline).len(), 2);
    }

    #[test]
    fn no_address_is_in_it() {
        let (mut timeline, now, call) = (Timeline::default(), Instant::now(), id("a"));
        timeline.begin(now, call.clone());
        let line = "candidate:1 1 udp 2122260223 192.0.2.1 5000 typ srflx raddr 192.0.2.2 rport 9";
        let candidate = |line: &str| IceCandidate { candidate: line.into(), ..IceCandidate::default() };
        for event in [
            LinkEvent::LocalOffer("c=IN IP4 192.0.2.3".into()),
            LinkEvent::LocalCandidate(candidate(line)),
            LinkEvent::CandidateRefused("192.0.2.4".into()),
            LinkEvent::Failed("192.0.2.5".into()),
        ] {
            timeline.link(now, &call, &peer(), &event);
        }
        for line in [line, "", "typ", "candidate:1 1 udp 1 192.0.2.6 1 typ 192.0.2.7"] {
            timeline.remote_candidate(now, &call, &peer(), &candidate(line));
        }
        let problem = Problem::new(ProblemCode::Media, "192.0.2.8", "192.0.2.8");
        timeline.event(now, &call, &CallEvent::Problem(problem));
        timeline.event(now, &call, &ended());
        let text = timeline.to_json().to_string();
        assert!(!text.contains("192.0.2"), "{text}");
        assert!(text.contains(r#""type":"srflx""#) && text.contains(r#""peer":0"#), "{text}");
    }

    #[test]
    fn the_newest_entries_are_kept_and_a_flood_is_counted() {
        let (mut timeline, start, call) = (Timeline::default(), Instant::now(), id("a"));
        timeline.begin(start, call.clone());
        let at = |ms| start + Duration::from_millis(ms);
        for number in 0..100_000u64 {
            // A hundred a second.
            timeline.event(at(number * 10), &call, &CallEvent::Ringing { peer: format!("p{number}").as_str().into() });
        }
        let json = timeline.to_json();
        assert_eq!(json["entries"].as_array().unwrap().len(), MOST_ENTRIES);
        assert_eq!(json["left_out"], 100_000 - MOST_ENTRIES as u64);
        let newest = json["entries"][MOST_ENTRIES - 1].clone();
        assert_eq!((&newest["t"], &newest["peer"]), (&json!(999_490), &json!(MOST_PEERS - 1)));
    }

    #[test]
    fn a_summary_comes_each_five_seconds_while_connected() {
        let (mut timeline, start, call) = (Timeline::default(), Instant::now(), id("a"));
        let stats = |seconds: u64| {
            let mut link = LinkStats::default();
            link.video_out.frames = seconds * 30;
            vec![PeerStats { peer: peer(), link, estimate: None, audio: AudioIn::default(), video: None }]
        };
        let mut asked = 0;
        let mut pass = |timeline: &mut Timeline, from: u64, to: u64| {
            for second in from..to {
                timeline.stats(start + Duration::from_secs(second), || {
                    asked += 1;
                    stats(second)
                });
            }
        };
        timeline.begin(start, call.clone());
        pass(&mut timeline, 0, 10);
        timeline.event(start + Duration::from_secs(10), &call, &CallEvent::Connected { peer: peer() });
        pass(&mut timeline, 10, 31);
        timeline.event(start + Duration::from_secs(31), &call, &ended());
        pass(&mut timeline, 31, 60);
        assert_eq!((asked, timeline.next_deadline()), (5, None));
        let summaries: Vec<_> = entries(&timeline).into_iter().filter(|entry| entry["stats"].is_object()).collect();
        assert_eq!(summaries.len(), 4);
        assert_eq!((&summaries[0]["t"], &summaries[0]["stats"]["out"]["fps"]), (&json!(15_000), &json!(30.0)));
    }
}
