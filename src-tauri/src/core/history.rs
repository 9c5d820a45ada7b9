//! Calls that were.

use ahoy_store::{CallRecord, CallRecordId, Direction, Media};

use super::App;
use crate::api::{self, AppEvent, HistoryEntry, Notice, Outcome};

/// Calls that are told at once: some screens full.
const PAGE: usize = 100;

impl App {
    /// A page of the history, the latest call first: those before `before`, or the very latest.
    ///
    /// # Errors
    /// The database.
    pub async fn history_list(&self, before: Option<i64>) -> Result<Vec<HistoryEntry>, Notice> {
        let calls = self.database(move |store| store.calls(before.map(CallRecordId::from), PAGE)).await?;
        // What still runs is on the screen already.
        Ok(calls.into_iter().filter_map(|call| self.entry(call)).collect())
    }

    /// The user has seen the missed calls.
    ///
    /// # Errors
    /// The database.
    pub async fn history_seen(&self) -> Result<(), Notice> {
        self.database(|store| match store.calls(None, 1)?.first() {
            Some(last) => store.mark_calls_seen(last.id),
            None => Ok(()),
        })
        .await?;
        self.tell_history().await;
        Ok(())
    }

    /// Removes all calls but the one that runs.
    ///
    /// # Errors
    /// The database.
    pub async fn history_clear(&self) -> Result<(), Notice> {
        self.database(|store| store.delete_all_calls()).await?;
        self.tell_history().await;
        Ok(())
    }

    pub(super) async fn tell_history(&self) {
        match self.history_list(None).await {
            Ok(entries) => self.tell(AppEvent::History { entries }),
            Err(notice) => self.notice(notice),
        }
    }

    fn entry(&self, call: CallRecord) -> Option<HistoryEntry> {
        let outcome = outcome(&call)?;
        let peer_name = match &call.peer_name {
            Some(name) => name.to_string(),
            None => self.nameless(call.peer),
        };
        Some(HistoryEntry {
            id: call.id.get(),
            peer: call.peer.to_string(),
            peer_name,
            direction: match call.direction {
                Direction::Incoming => api::Direction::Incoming,
                Direction::Outgoing => api::Direction::Outgoing,
            },
            video: call.media == Media::Video,
            started_at: call.started_at.0,
            answered_at: call.answered_at.map(|at| at.0),
            ended_at: call.ended_at.map(|at| at.0),
            outcome,
            reason: call.reason.map(|reason| reason.as_str().to_owned()),
            seen: !call.unseen,
        })
    }
}

/// How a call ended; none while it runs.
fn outcome(call: &CallRecord) -> Option<Outcome> {
    let reason = call.reason.as_ref()?.as_str();
    Some(match (reason, call.answered_at.is_some(), call.direction) {
        ("interrupted", _, _) => Outcome::Interrupted,
        ("failed", true, _) => Outcome::Failed,
        (_, true, _) => Outcome::Answered,
        ("declined", false, _) => Outcome::Declined,
        (_, false, Direction::Incoming) => Outcome::Missed,
        ("busy", false, Direction::Outgoing) => Outcome::Busy,
        ("timeout", false, Direction::Outgoing) => Outcome::NoAnswer,
        ("hangup", false, Direction::Outgoing) => Outcome::Cancelled,
        (_, false, Direction::Outgoing) => Outcome::Failed,
    })
}

#[cfg(test)]
mod tests {
    use ahoy_store::{EndReason, EndpointId, UnixMs};

    use super::*;

    #[test]
    fn outcomes_go_by_reason_answer_and_direction() {
        let (there, here) = (Direction::Outgoing, Direction::Incoming);
        for (reason, answered, direction, expected) in [
            ("hangup", true, there, Outcome::Answered),
            ("another-peers-word", true, here, Outcome::Answered),
            ("failed", true, there, Outcome::Failed),
            ("interrupted", true, here, Outcome::Interrupted),
            ("interrupted", false, here, Outcome::Interrupted),
            ("hangup", false, here, Outcome::Missed),
            ("timeout", false, here, Outcome::Missed),
            ("busy", false, here, Outcome::Missed),
            ("declined", false, here, Outcome::Declined),
            ("declined", false, there, Outcome::Declined),
            ("busy", false, there, Outcome::Busy),
            ("timeout", false, there, Outcome::NoAnswer),
            ("hangup", false, there, Outcome::Cancelled),
            ("failed", false, there, Outcome::Failed),
        ] {
            let call = CallRecord {
                id: 1.into(),
                peer: EndpointId::new([1; 32]),
                peer_name: None,
                direction,
                media: Media::Audio,
                started_at: UnixMs(1),
                answered_at: answered.then_some(UnixMs(2)),
                ended_at: Some(UnixMs(3)),
                reason: Some(EndReason::new(reason)),
                unseen: false,
            };
            assert_eq!(outcome(&call), Some(expected), "{reason} {answered} {direction:?}");
            assert_eq!(outcome(&CallRecord { reason: None, ..call }), None);
        }
    }
}
