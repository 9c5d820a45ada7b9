//! Where somebody can be looked for.

use std::net::SocketAddr;

use iroh::{EndpointAddr, EndpointId, RelayUrl, TransportAddr};
use serde::{Deserialize, Serialize};

/// Addresses that are kept of one peer: a machine has a few interfaces with an address or two of each family.
pub const MAX_ADDRESSES: usize = 16;

/// Longest relay address, in bytes: a host name has at most 253, the rest is a scheme, a port and a short
/// path.
pub(crate) const MAX_RELAY_BYTES: usize = 512;

/// Where a peer can be looked for. All of it is a hint: the peer is known by its key alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The relay that it is at home at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayUrl>,
    /// Addresses that it has, or had; at most [`MAX_ADDRESSES`].
    #[serde(default)]
    pub addresses: Vec<SocketAddr>,
}

impl Whereabouts {
    /// What may be believed of whereabouts that somebody sent: addresses that can be sent to, each once, not
    /// too many; a web address as a relay.
    pub(crate) fn checked(self) -> Self {
        let relay = self.relay.filter(is_relay);
        let mut addresses = Vec::new();
        for address in self.addresses {
            if addresses.len() < MAX_ADDRESSES && is_dialable(&address) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Self { relay, addresses }
    }

    /// Puts addresses before the others; the last ones give way. True when one was new.
    pub(crate) fn prefer(&mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> bool {
        let known = std::mem::take(&mut self.addresses);
        let preferred = addresses.into_iter().chain(known.iter().copied()).collect();
        self.addresses = Self { relay: None, addresses: preferred }.checked().addresses;
        self.addresses.iter().any(|address| !known.contains(address))
    }

    /// Whether there is nothing to try.
    pub(crate) fn is_empty(&self) -> bool {
        self.relay.is_none() && self.addresses.is_empty()
    }

    pub(crate) fn of(address: &EndpointAddr) -> Self {
        let relay = address.relay_urls().next().cloned();
        Self { relay, addresses: address.ip_addrs().copied().collect() }.checked()
    }

    pub(crate) fn to_address(&self, peer: EndpointId) -> EndpointAddr {
        let relay = self.relay.iter().cloned().map(TransportAddr::Relay);
        EndpointAddr::from_parts(peer, relay.chain(self.addresses.iter().copied().map(TransportAddr::Ip)))
    }
}

fn is_relay(relay: &RelayUrl) -> bool {
    matches!(relay.scheme(), "https" | "http") && relay.as_str().len() <= MAX_RELAY_BYTES
}

/// A peer could name any address; packets to these would be a nuisance to a whole network or go nowhere.
fn is_dialable(address: &SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_dialled_are_believed_and_few() {
        let bad = ["0.0.0.0:5", "192.0.2.1:0", "224.0.0.251:5353", "255.255.255.255:9", "[ff02::fb]:5353", "[::]:1"];
        let good = (1..100).map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let addresses = bad.iter().map(|a| a.parse().unwrap()).chain(good).collect();
        let relay = Some("ftp://relay.example".parse().unwrap());
        let checked = Whereabouts { relay, addresses }.checked();
        assert_eq!(checked.relay, None);
        let ports: Vec<_> = checked.addresses.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, (1..=16).collect::<Vec<u16>>());
        let mut preferring = checked;
        let (known, new) = ("192.0.2.1:3".parse().unwrap(), "192.0.2.2:1".parse().unwrap());
        assert!(!preferring.prefer([known]) && preferring.prefer([new]));
        assert_eq!(preferring.addresses[..3], [new, known, "192.0.2.1:1".parse().unwrap()]);
        assert_eq!(preferring.addresses.len(), 16);
    }
}
