//! ICE restarts that keep the path they have until there is another one ("make before break").
//!
//! Setting an offer with new ICE credentials takes the selected pair away at once (RFC 8445 section 9 would
//! let media go on over it), and nothing flows until the answer is here. Where the path still works, or comes
//! back by itself after an outage, that is a gap as long as the signaling takes, or a lost call where
//! signaling is lost too. So the offer is sent first, and set when its answer comes.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use webrtc::peer_connection::RTCSessionDescription;

/// After this time without a pair, an ICE restart that the other side asked for counts as a lost connection.
/// As long as silence on a pair does (`ICE_DISCONNECTED`): what the user sees is the same.
pub(super) const PATIENCE: Duration = Duration::from_millis(2500);

/// What a link knows of its path and of its restarts. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The address of this machine that the selected pair uses.
    used: Mutex<Option<IpAddr>>,
    /// An offer that was sent and not set.
    unset: Mutex<Option<RTCSessionDescription>>,
    /// Counts changes of the connection's state, so that a timer knows whether its state is over.
    states: AtomicU64,
    /// The newest of them is "connected".
    connected: AtomicBool,
}

impl Restarts {
    pub(super) fn used(&self) -> Option<IpAddr> {
        *lock(&self.0.used)
    }

    pub(super) fn set_used(&self, ip: Option<IpAddr>) {
        *lock(&self.0.used) = ip;
    }

    /// Keeps an offer until its answer comes.
    pub(super) fn keep(&self, offer: RTCSessionDescription) {
        *lock(&self.0.unset) = Some(offer);
    }

    /// The offer that was kept: the caller sets it now, or it is given up.
    pub(super) fn take(&self) -> Option<RTCSessionDescription> {
        lock(&self.0.unset).take()
    }

    /// The connection's state has changed. Returns the new state's number, and whether it was connected
    /// before.
    pub(super) fn state_changed(&self, connected: bool) -> (u64, bool) {
        let number = self.0.states.fetch_add(1, Ordering::Relaxed) + 1;
        (number, self.0.connected.swap(connected, Ordering::Relaxed))
    }

    /// Whether the state of this number is still the connection's.
    pub(super) fn is_current(&self, state: u64) -> bool {
        self.0.states.load(Ordering::Relaxed) == state
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_kept_once_and_the_newest_one() {
        let restarts = Restarts::default();
        assert!(restarts.take().is_none());
        for sdp in ["one", "two"] {
            let mut offer = RTCSessionDescription::default();
            offer.sdp = sdp.into();
            restarts.keep(offer);
        }
        assert_eq!(restarts.clone().take().map(|offer| offer.sdp).as_deref(), Some("two"));
        assert!(restarts.take().is_none());
    }

    #[test]
    fn a_timer_of_an_old_state_is_known() {
        let restarts = Restarts::default();
        let (first, before) = restarts.state_changed(true);
        assert!(restarts.is_current(first) && !before);
        let (second, before) = restarts.state_changed(false);
        assert!(restarts.is_current(second) && !restarts.is_current(first) && before);
    }
}
