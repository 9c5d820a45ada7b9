//! The networks of this machine during a call, and what their changes mean for each peer.

use std::net::IpAddr;

use tokio::sync::mpsc;
use tracing::info;

use super::actor::Notice;
use crate::{
    id::{CallId, PeerId},
    network::{Change, Monitor, Observation, Path, Snapshot},
};

/// Something that the monitor saw, and in which call.
pub(super) struct Watched {
    pub(super) call: CallId,
    pub(super) observation: Observation,
}

/// The networks as they were known last.
pub(super) struct Networks {
    known: Snapshot,
    /// None on a machine that calls only itself.
    _monitor: Option<Monitor>,
}

impl Networks {
    /// Watches them for the length of a call.
    pub(super) fn watch(call: CallId, loopback_only: bool, notices: mpsc::UnboundedSender<Notice>) -> Self {
        if loopback_only {
            return Self { known: Snapshot::default(), _monitor: None };
        }
        let known = Snapshot::take();
        let tell = move |observation| {
            // The engine may have ended.
            let _ = notices.send(Notice::Networks(Watched { call: call.clone(), observation }));
        };
        Self { _monitor: Some(Monitor::start(known.clone(), tell)), known }
    }

    /// Takes what there is now, and says whose path that changes. `used` are the peers and the addresses of
    /// this machine that their connections use.
    pub(super) fn change(
        &mut self,
        observation: Observation,
        used: impl Iterator<Item = (PeerId, Option<IpAddr>)>,
    ) -> Vec<(PeerId, Path)> {
        let Observation { networks, woke } = observation;
        let known = std::mem::replace(&mut self.known, networks);
        let path = |(peer, used): (PeerId, Option<IpAddr>)| match known.change_to(&self.known, used) {
            Some(Change { path, lost, gained }) => {
                info!(?path, ?lost, ?gained, "the network has changed");
                Some((peer, path))
            }
            // Connections that were lost while the machine slept are looked for at once.
            None => woke.then_some((peer, Path::Joined)),
        };
        used.filter_map(path).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Address;

    fn networks(ips: &[&str]) -> Snapshot {
        let address = |ip: &&str| Address { interface: "eth0".into(), ip: ip.parse().unwrap() };
        Snapshot { addresses: ips.iter().map(address).collect(), ..Snapshot::default() }
    }

    #[test]
    fn a_change_is_told_once_and_to_those_whom_it_concerns() {
        let mut known = Networks { known: networks(&["10.0.0.1", "10.0.1.1"]), _monitor: None };
        let used = || {
            let used = |ip: &str| Some(ip.parse().unwrap());
            [("one".into(), used("10.0.0.1")), ("two".into(), used("10.0.1.1"))].into_iter()
        };
        let seen = |ips, woke| Observation { networks: networks(ips), woke };
        assert_eq!(known.change(seen(&["10.0.0.1", "10.0.1.1"], false), used()), []);
        assert_eq!(known.change(seen(&["10.0.1.1"], false), used()), [("one".into(), Path::Gone)]);
        assert_eq!(known.change(seen(&["10.0.1.1"], false), used()), []);
        let all = |path| vec![("one".into(), path), ("two".into(), path)];
        assert_eq!(known.change(seen(&["10.0.1.1"], true), used()), all(Path::Joined));
        assert_eq!(known.change(seen(&["10.0.0.2"], true), used()).pop(), all(Path::Gone).pop());
    }
}
