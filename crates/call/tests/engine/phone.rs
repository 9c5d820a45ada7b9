//! An engine with a name, on an exchange: what a user has, and what one does with it.

use std::{sync::Arc, time::Duration};

use ahoy_call::{
    engine::{Engine, EngineCommand, EngineConfig, EngineEvent, Events, PeerStats},
    event::CallEvent,
    id::{CallId, PeerId},
    message::MediaState,
};
use ahoy_media::{
    audio::{microphone::MicrophoneSpec, opus::OpusSettings, process::ProcessingSettings, speaker::SpeakerSpec},
    units::{Bitrate, VideoFormat},
    video::capture::CameraSpec,
    webm::hub::Hub,
};
use tokio::time::{Instant, sleep, timeout};

use super::exchange::Exchange;

/// What is waited for here takes a second or two; a busy machine gets fifteen times that.
pub const LIMIT: Duration = Duration::from_secs(30);
/// How often stats are polled.
const GLANCE: Duration = Duration::from_millis(50);

/// Test pattern and test tone, small enough for a dozen engines on two cores.
pub fn both() -> EngineConfig {
    EngineConfig {
        camera: Some(CameraSpec::Pattern),
        microphone: Some(MicrophoneSpec::Tone),
        speaker: SpeakerSpec::None,
        video: VideoFormat { width: 320, height: 180, fps: 15 },
        bitrate: Bitrate::from_kbps(300),
        total: None,
        processing: ProcessingSettings::OFF,
        opus: OpusSettings::default(),
        ice_servers: vec![],
        relay_only: false,
        same_machine: None,
        loopback_only: true,
        impairment: None,
        own_picture: true,
        largest: None,
        probe_turn: ahoy_call::link::ProbeTurn::default(),
        echo: false,
    }
}

pub fn no_camera() -> EngineConfig {
    EngineConfig { camera: None, ..both() }
}

pub fn nothing() -> EngineConfig {
    EngineConfig { camera: None, microphone: None, ..both() }
}

/// One user's end.
pub struct Phone {
    pub name: PeerId,
    pub engine: Engine,
    pub hub: Hub,
    events: Events,
    /// All events so far, waited for or not.
    pub seen: Vec<EngineEvent>,
}

impl Phone {
    pub fn on(exchange: &Exchange, name: &str, config: EngineConfig) -> Self {
        let (name, hub) = (PeerId::from(name), Hub::new());
        let (engine, events) = Engine::start(config, Arc::new(exchange.line(&name)), hub.clone());
        Self { name, engine, hub, events, seen: vec![] }
    }

    pub fn does(&self, command: EngineCommand) {
        self.engine.command(command);
    }

    pub fn calls(&self, other: &Phone) -> CallId {
        let id = CallId::random();
        self.does(EngineCommand::Call { peer: other.name.clone(), id: id.clone() });
        id
    }

    /// Waits for an event; others before it are passed over.
    pub async fn until<T>(&mut self, what: &str, wanted: impl Fn(&CallEvent) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            match tokio::time::timeout_at(end, self.events.recv()).await {
                Ok(Some(event)) => {
                    let found = wanted(&event.event);
                    self.seen.push(event);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Ok(None) => panic!("{}: the engine stopped before {what}; seen: {:#?}", self.name, self.seen),
                Err(_) => panic!("{}: {what} never came; seen: {:#?}", self.name, self.seen),
            }
        }
    }

    pub async fn until_incoming(&mut self) -> PeerId {
        self.until("a call", |event| match event {
            CallEvent::Incoming { peer, .. } => Some(peer.clone()),
            _ => None,
        })
        .await
    }

    pub async fn until_connected(&mut self) {
        self.until("the connection", |event| matches!(event, CallEvent::Connected { .. }).then_some(())).await;
    }

    pub async fn until_ended(&mut self) -> CallEvent {
        self.until("the end", |event| matches!(event, CallEvent::Ended { .. }).then(|| event.clone())).await
    }

    /// Takes what has come, without waiting.
    pub fn catch_up(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
    }

    /// How many events of a kind have come so far.
    pub fn count(&mut self, kind: impl Fn(&CallEvent) -> bool) -> usize {
        self.catch_up();
        self.seen.iter().filter(|seen| kind(&seen.event)).count()
    }

    /// The stats of the one other peer.
    pub async fn stats(&self) -> PeerStats {
        let [stats] = <[PeerStats; 1]>::try_from(self.engine.stats().await).expect("a call with one peer runs");
        stats
    }

    /// Waits until the stats are as wanted.
    pub async fn until_stats(&self, what: &str, wanted: impl Fn(&PeerStats) -> bool) -> PeerStats {
        let settled = async {
            loop {
                let stats = self.stats().await;
                if wanted(&stats) {
                    return stats;
                }
                sleep(GLANCE).await;
            }
        };
        match timeout(LIMIT, settled).await {
            Ok(stats) => stats,
            Err(_) => panic!("{}: {what} never came; stats: {:#?}", self.name, self.stats().await),
        }
    }

    /// Waits until a stat has stood still for `still`; gives the time until it did.
    pub async fn until_still(&self, what: &str, still: Duration, stat: impl Fn(&PeerStats) -> u64) -> Duration {
        let start = Instant::now();
        let (mut last, mut since) = (stat(&self.stats().await), start);
        while since.elapsed() < still {
            assert!(start.elapsed() < LIMIT, "{}: {what} went on", self.name);
            sleep(GLANCE).await;
            let now = stat(&self.stats().await);
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        since - start
    }

    /// Waits until no more sound than DTX's is sent: one packet in 400 ms, and one that announces silence
    /// again after it (libopus, `MAX_CONSECUTIVE_DTX`), where a voice has 50 a second. Gives the time until
    /// then.
    pub async fn until_silent(&self) -> Duration {
        let start = Instant::now();
        loop {
            let (since, before) = (Instant::now(), sound_out(&self.stats().await));
            sleep(Duration::from_millis(800)).await;
            let packets = sound_out(&self.stats().await) - before;
            if packets as f64 / since.elapsed().as_secs_f64() < 10.0 {
                return since - start;
            }
            assert!(start.elapsed() < LIMIT, "{}: sound went on", self.name);
        }
    }

    /// Waits until a stat has grown by some.
    pub async fn until_grown(&self, what: &str, by: u64, stat: impl Fn(&PeerStats) -> u64) {
        let start = stat(&self.stats().await);
        self.until_stats(what, |stats| stat(stats) >= start + by).await;
    }
}

/// Two phones in a call.
pub struct Call {
    pub exchange: Exchange,
    pub id: CallId,
    pub caller: Phone,
    pub callee: Phone,
}

impl Call {
    /// Calls, is accepted, and waits for both sides' connection.
    pub async fn connect(caller: EngineConfig, callee: EngineConfig) -> Self {
        Self::connect_by(Exchange::default(), caller, callee).await
    }

    pub async fn connect_by(exchange: Exchange, caller: EngineConfig, callee: EngineConfig) -> Self {
        let mut caller = Phone::on(&exchange, "anna", caller);
        let mut callee = Phone::on(&exchange, "ben", callee);
        let id = caller.calls(&callee);
        assert_eq!(callee.until_incoming().await, caller.name);
        callee.does(EngineCommand::Accept);
        callee.until_connected().await;
        caller.until_connected().await;
        Self { exchange, id, caller, callee }
    }
}

/// Waits until the newest that the other side is said to send is this.
pub async fn told(phone: &mut Phone, media: MediaState) {
    let wanted = |event: &CallEvent| match event {
        CallEvent::MediaState { media: now, .. } => Some(*now == media),
        _ => None,
    };
    phone.catch_up();
    if phone.seen.iter().rev().find_map(|seen| wanted(&seen.event)) != Some(true) {
        phone.until(&format!("{media:?}"), |event| wanted(event).filter(|wanted| *wanted)).await;
    }
}

/// Packets of sound that left.
pub fn sound_out(stats: &PeerStats) -> u64 {
    stats.link.audio_out.packets
}

/// Packets of pictures that left.
pub fn pictures_out(stats: &PeerStats) -> u64 {
    stats.link.video_out.packets
}
