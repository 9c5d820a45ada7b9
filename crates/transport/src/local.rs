//! What all tasks of one transport share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_call::signaler::Incoming;
use iroh::{Endpoint, EndpointId, Watcher};
use tokio::sync::{mpsc, watch};

use crate::{
    Contact, Event, Policy, Whereabouts,
    frame::{Hello, Status},
    peer::Actor,
    roster::Registry,
};

/// This side.
pub(crate) struct Local {
    pub(crate) endpoint: Endpoint,
    pub(crate) me: EndpointId,
    /// Of this run of the program.
    pub(crate) instance: u64,
    /// Whether relays may be used at all.
    pub(crate) relayed: bool,
    /// What contacts are told of this side.
    pub(crate) status: watch::Sender<Status>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) envelopes: mpsc::Sender<Incoming>,
    pub(crate) policy: Arc<dyn Policy>,
    /// Held for a look or a change, never over an await.
    pub(crate) registry: Mutex<Registry>,
}

impl Local {
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello { instance: self.instance, status: self.status.borrow().clone() }
    }

    /// Whereabouts without what this side cannot or may not use.
    pub(crate) fn reachable(&self, whereabouts: Whereabouts) -> Whereabouts {
        Whereabouts { relay: whereabouts.relay.filter(|_| self.relayed), ..whereabouts }
    }

    pub(crate) fn add(self: &Arc<Self>, contact: Contact) {
        self.registry().add(contact, |peer, whereabouts| Actor::start(self.clone(), peer, whereabouts));
    }

    pub(crate) fn unblock(self: &Arc<Self>, peer: EndpointId) {
        self.registry().unblock(peer, |peer, whereabouts| Actor::start(self.clone(), peer, whereabouts));
    }

    /// Tells contacts where this side is, whenever that changes, and has those dialled that were out of
    /// reach.
    pub(crate) async fn watch_addresses(self: Arc<Self>) {
        let mut addresses = self.endpoint.watch_addr();
        loop {
            let whereabouts = Whereabouts::of(&addresses.get());
            let changed = self.status.send_if_modified(|status| {
                let changed = status.whereabouts != whereabouts;
                status.whereabouts = whereabouts;
                changed
            });
            if changed {
                self.registry().network_changed();
            }
            tokio::select! {
                updated = addresses.updated() => if updated.is_err() { return },
                () = self.endpoint.closed() => return,
            }
        }
    }
}
