//! Calls: what the user does, and what comes of it.

use std::time::{Duration, Instant};

use ahoy_call::{
    engine::{EngineCommand, EngineEvent},
    event::{CallEvent, ProblemCode, Side},
    id::{CallId, PeerId},
    message::HangupReason,
};
use ahoy_store::{CallRecordId, EndReason, EndpointId, Media, NewCall};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    App,
    call::{Note, Running, media_state},
    choice, now,
    stats::{Measured, StatsMeter},
};
use crate::api::{AppEvent, Call, CallMode, CallPhase, Direction, Notice, SignalPayload};

/// Between two measurements of the stats.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

impl App {
    /// Calls a contact. Where that contact is ringing here, its call is taken.
    ///
    /// # Errors
    /// No such contact, a blocked one, calls disabled, or a call that runs.
    pub async fn call_start(&self, contact: &str, video: bool) -> Result<Call, Notice> {
        let peer = self.callable(contact).await?;
        // Until the engine has its command nobody puts another in its place.
        let _one = self.changing.lock().await;
        self.bring_up_to_date().await;
        match self.current_call().filter(|call| call.end.is_none()) {
            Some(call) if call.phase == CallPhase::Incoming && call.peer == peer.to_string() => {
                self.call_accept(&call.id, video)?;
                return self.current_call().ok_or_else(no_call);
            }
            Some(_) => return Err(busy()),
            None => {}
        }
        let peer_name = self.peer_name(peer).await;
        let record = self.begin(peer, ahoy_store::Direction::Outgoing, video).await;
        let Some(call) = self.place(peer, peer_name, record, video) else {
            // Somebody has called meanwhile.
            if let Some(record) = record {
                self.write_down(record, Note::Ended(HangupReason::Failed)).await;
            }
            return Err(busy());
        };
        self.publish_presence();
        Ok(call)
    }

    /// Notes the call and gives it to the engine, in one step: what the user does next finds both. None if a
    /// call runs.
    fn place(&self, peer: EndpointId, name: String, record: Option<CallRecordId>, video: bool) -> Option<Call> {
        let (peer, id) = (PeerId::from(peer.to_string()), CallId::random());
        let mut state = self.state();
        if state.is_busy() {
            return None;
        }
        let mut running = Running::new(&id, &peer, name, Direction::Outgoing, video, state.caller.mode());
        running.record = record;
        let call = running.call.clone();
        state.running = Some(running);
        state.tests.stop();
        state.caller.command(EngineCommand::SetAudio(true));
        state.caller.command(EngineCommand::SetVideo(video));
        state.caller.command(EngineCommand::Call { peer, id });
        Some(call)
    }

    /// Takes a call that rings.
    ///
    /// # Errors
    /// It does not ring any more; another one may.
    pub fn call_accept(&self, call: &str, video: bool) -> Result<(), Notice> {
        let accepted = self.with_call(
            |running| running.rings(call),
            |running| {
                running.want(|wanted| (wanted.audio, wanted.video) = (true, video));
                vec![EngineCommand::SetAudio(true), EngineCommand::SetVideo(video), EngineCommand::Accept]
            },
        );
        accepted.map_err(|_| not_ringing())
    }

    /// Does not take a call that rings.
    ///
    /// # Errors
    /// It does not ring any more; another one may.
    pub fn call_decline(&self, call: &str) -> Result<(), Notice> {
        self.with_call(|running| running.rings(call), |_| vec![EngineCommand::Decline]).map_err(|_| not_ringing())
    }

    /// Ends the call.
    ///
    /// # Errors
    /// There is none.
    pub fn call_hang_up(&self) -> Result<(), Notice> {
        self.with_call(|_| true, |_| vec![EngineCommand::HangUp])
    }

    /// Puts the call on hold, or takes it back.
    ///
    /// # Errors
    /// There is none.
    pub fn call_hold(&self, on: bool) -> Result<(), Notice> {
        self.with_call(|_| true, |_| vec![if on { EngineCommand::Hold } else { EngineCommand::Resume }])
    }

    /// Microphone on, or muted.
    ///
    /// # Errors
    /// There is no call.
    pub fn call_audio(&self, on: bool) -> Result<(), Notice> {
        self.with_call(
            |_| true,
            |running| {
                running.want(|wanted| wanted.audio = on);
                vec![EngineCommand::SetAudio(on)]
            },
        )
    }

    /// Camera on, or off.
    ///
    /// # Errors
    /// There is no call.
    pub fn call_video(&self, on: bool) -> Result<(), Notice> {
        self.with_call(
            |_| true,
            |running| {
                running.want(|wanted| wanted.video = on);
                vec![EngineCommand::SetVideo(on)]
            },
        )
    }

    /// The page's process has ended: devices under test were its own, and so is a call in its WebRTC.
    #[cfg(target_os = "linux")]
    pub fn page_ended(&self) {
        let mut state = self.state();
        state.tests.stop();
        if state.is_busy() && state.caller.mode() == CallMode::Browser {
            state.caller.command(EngineCommand::HangUp);
        }
    }

    /// The calls that run: one at most.
    pub fn calls(&self) -> Vec<Call> {
        self.current_call().into_iter().filter(|call| call.end.is_none()).collect()
    }

    /// What the page's own WebRTC made for a call.
    ///
    /// # Errors
    /// Not the call that runs, or one whose media run in the engine.
    pub fn signal_send(&self, call: &str, payload: SignalPayload) -> Result<(), Notice> {
        let id: CallId = call.parse().map_err(|_| no_call())?;
        let state = self.state();
        let runs = state.running.as_ref().is_some_and(|running| running.call.id == call && running.call.end.is_none());
        (runs && state.caller.signal(id, payload)).then_some(()).ok_or_else(no_call)
    }

    /// Whether the page wants the stats of the call, once a second.
    pub fn stats_watch(&self, on: bool) {
        self.state().watching = on;
    }

    /// Takes an event of the engine.
    pub(super) async fn on_event(&self, event: EngineEvent) {
        let EngineEvent { call: id, event } = event;
        let event = match event {
            CallEvent::Incoming { peer, media } => {
                if !self.on_incoming(&id, &peer, media_state(media).video).await {
                    return;
                }
                CallEvent::Incoming { peer, media }
            }
            CallEvent::Missed { peer } => return self.on_missed(&peer).await,
            // The engine has not taken our call: another came between. It will not say more of it.
            CallEvent::Problem(problem) if problem.code == ProblemCode::Busy => {
                CallEvent::Ended { reason: HangupReason::Failed, by: Side::Local, text: problem.what }
            }
            event => event,
        };
        let (call, note, record) = {
            let mut state = self.state();
            let Some(running) = state.running.as_mut().filter(|running| running.call.id == id.as_str()) else {
                tracing::debug!(%id, ?event, "an event of no call");
                return;
            };
            let note = running.apply(&event, now());
            let told = (running.call.clone(), note, running.record);
            if told.0.phase != CallPhase::Incoming {
                state.tests.silence();
            }
            told
        };
        match event {
            CallEvent::Connecting { peer } => {
                if let Ok(caller) = peer.as_str().parse() {
                    self.state().rings.welcome(caller);
                }
                self.publish_presence();
            }
            CallEvent::Connected { .. } => self.watch(),
            _ => {}
        }
        let ended = call.end.is_some();
        self.tell(AppEvent::Call { call });
        if let (Some(note), Some(record)) = (note, record) {
            self.write_down(record, note).await;
        }
        if ended {
            self.on_end(id.as_str()).await;
        }
    }

    /// Lets it ring, and says whether it does: not where calls are switched off, and not for somebody who
    /// calls all the time.
    async fn on_incoming(&self, id: &CallId, peer: &PeerId, video: bool) -> bool {
        let Ok(endpoint) = peer.as_str().parse::<EndpointId>() else { return false };
        let settings = self.settings();
        let admitted = self.state().rings.admits(endpoint, Instant::now());
        if !admitted || settings.video_disabled {
            self.state().caller.command(EngineCommand::Decline);
            if admitted {
                self.keep(endpoint, video, HangupReason::Declined).await;
            }
            return false;
        }
        let peer_name = self.peer_name(endpoint).await;
        let record = self.begin(endpoint, ahoy_store::Direction::Incoming, video).await;
        let (before, ringing) = {
            let mut state = self.state();
            let mode = state.caller.mode();
            let mut running = Running::new(id, peer, peer_name, Direction::Incoming, video, mode);
            running.record = record;
            let before = state.running.replace(running).filter(|before| before.call.end.is_none());
            state.tests.stop();
            let ringer = || choice::speaker(settings.ringer.as_deref());
            let ringing = (!settings.do_not_disturb).then(|| state.tests.ring(ringer()));
            (before, ringing)
        };
        if let Some(ringing) = ringing {
            self.follow_ringer(ringing);
        }
        // A call of ours that the engine got too late: it has one that rings, and refuses ours.
        if let Some(record) = before.and_then(|before| before.record) {
            self.write_down(record, Note::Ended(HangupReason::Failed)).await;
        }
        true
    }

    /// A call that is over already gets its line in the history.
    async fn keep(&self, peer: EndpointId, video: bool, reason: HangupReason) {
        if let Some(record) = self.begin(peer, ahoy_store::Direction::Incoming, video).await {
            self.write_down(record, Note::Ended(reason)).await;
        }
        self.tell_history().await;
    }

    async fn on_missed(&self, peer: &PeerId) {
        let Ok(endpoint) = peer.as_str().parse::<EndpointId>() else { return };
        if self.state().rings.admits(endpoint, Instant::now()) {
            self.keep(endpoint, false, HangupReason::Busy).await;
        }
    }

    async fn on_end(&self, id: &str) {
        {
            let mut state = self.state();
            if state.running.as_ref().is_some_and(|running| running.call.id == id) {
                state.running = None;
                if let Some(ticking) = state.ticking.take() {
                    ticking.abort();
                }
            }
        }
        self.publish_presence();
        self.tell_history().await;
        self.refresh().await;
    }

    async fn begin(&self, peer: EndpointId, direction: ahoy_store::Direction, video: bool) -> Option<CallRecordId> {
        let media = if video { Media::Video } else { Media::Audio };
        let begun = self.database(move |store| store.begin_call(NewCall { peer, direction, media }, now())).await;
        // A call is worth more than its line in the history.
        begun.map_err(|notice| self.notice(notice)).ok()
    }

    async fn write_down(&self, record: CallRecordId, note: Note) {
        let written = self.database(move |store| match note {
            Note::Answered => store.answer_call(record, now()),
            Note::Ended(reason) => store.end_call(record, now(), &EndReason::new(reason.as_str())),
        });
        if let Err(notice) = written.await {
            self.notice(notice);
        }
    }

    /// Measures the call once a second, for its route and for a page that shows the statistics.
    fn watch(&self) {
        let this = self.this.clone();
        let ticking = tokio::spawn(async move {
            let mut ticks = interval(STATS_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut meter = StatsMeter::default();
            loop {
                ticks.tick().await;
                let Some(app) = this.upgrade() else { return };
                let caller = app.state().caller.clone();
                let Some(stats) = caller.stats().await else { continue };
                if let Some(measured) = meter.next(stats, now()) {
                    app.on_measured(measured);
                }
            }
        });
        if let Some(before) = self.state().ticking.replace(ticking) {
            before.abort();
        }
    }

    fn on_measured(&self, Measured { stats, route }: Measured) {
        let (watching, changed) = {
            let mut state = self.state();
            let watching = state.watching;
            let changed = state.running.as_mut().and_then(|running| {
                let call = &mut running.call;
                let changed = std::mem::replace(&mut call.route, route) != route;
                changed.then(|| call.clone())
            });
            (watching, changed)
        };
        if watching {
            self.tell(AppEvent::Stats { stats });
        }
        if let Some(call) = changed {
            self.tell(AppEvent::Call { call });
        }
    }

    /// Does something with the call that runs, if it is in the right phase, and tells what it is now.
    fn with_call(
        &self,
        fits: impl FnOnce(&Running) -> bool,
        act: impl FnOnce(&mut Running) -> Vec<EngineCommand>,
    ) -> Result<(), Notice> {
        let call = {
            let mut state = self.state();
            let running = state.running.as_mut().filter(|running| running.call.end.is_none() && fits(running));
            let running = running.ok_or_else(no_call)?;
            let commands = act(running);
            let call = running.call.clone();
            commands.into_iter().for_each(|command| state.caller.command(command));
            call
        };
        self.tell(AppEvent::Call { call });
        Ok(())
    }

    fn current_call(&self) -> Option<Call> {
        self.state().running.as_ref().map(|running| running.call.clone())
    }
}

fn no_call() -> Notice {
    Notice::new("no-call", "There is no such call any more.", "Call again, if you like.")
}

fn not_ringing() -> Notice {
    let todo = "See in the history who it was, and call back.";
    Notice::new("not-ringing", "This call does not ring any more.", todo)
}

fn busy() -> Notice {
    Notice::new("busy", "You are in a call already.", "Hang up first.")
}
