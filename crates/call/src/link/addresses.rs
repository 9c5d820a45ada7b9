//! The addresses that a link's sockets are bound to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    vec,
};

use crate::network::Snapshot;

/// Where the stack binds its sockets. The stack asks again at each ICE restart, and gets what there is at
/// that moment.
///
/// A wildcard address would leave the choice to the stack, which then offers `::` or `0.0.0.0` as a candidate
/// where it finds no address (`webrtc` 0.21.1; seen in its candidates), and never a link-local one.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalAddresses {
    /// Only this machine.
    pub(super) loopback_only: bool,
}

impl ToSocketAddrs for LocalAddresses {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let found = if self.loopback_only { Vec::new() } else { Snapshot::take().addresses };
        let mut found: Vec<_> = found.into_iter().map(|one| one.ip).filter(|ip| is_there(*ip)).collect();
        if found.is_empty() {
            // The stack ends where it cannot bind anything. And a machine without a network can still call
            // itself.
            found.push(Ipv4Addr::LOCALHOST.into());
        }
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>().into_iter())
    }
}

/// Whether a socket can be bound to this address. It cannot while the system still checks that no other
/// machine has the address (RFC 4862 section 5.4), and not any more when the address is gone.
pub(super) fn is_there(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(loopback_only: bool) -> Vec<SocketAddr> {
        LocalAddresses { loopback_only }.to_socket_addrs().unwrap().collect()
    }

    #[test]
    fn there_is_always_an_address_and_never_a_wildcard() {
        assert_eq!(addresses(true), ["127.0.0.1:0".parse::<SocketAddr>().unwrap()]);
        let all = addresses(false);
        assert!(!all.is_empty() && all.iter().all(|one| !one.ip().is_unspecified() && one.port() == 0), "{all:?}");
    }

    #[test]
    fn an_address_of_another_machine_is_not_there() {
        assert!(is_there(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_there("192.0.2.1".parse().unwrap()));
    }
}
