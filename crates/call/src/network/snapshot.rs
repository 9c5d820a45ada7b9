//! What networks this machine has at one moment, and whether another moment differs in a way that matters.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags, sys::socket::SockaddrStorage};

use super::is_usable;

/// Addresses on the internet that the kernel is asked a route to. Nothing is sent: connecting a UDP socket
/// only looks the route up. They are a root server's, which no network treats as its own (RFC 7720).
const FAR: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4)), 53),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 0x2, 0x30)), 53),
];

/// Interfaces of containers and virtual machines, by the beginnings of their names. They come and go without
/// any change of a network that a peer is in.
const VIRTUAL: [&str; 8] = ["docker", "br-", "veth", "virbr", "vnet", "lxc", "cni", "podman"];

/// An address, and the interface that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) interface: String,
    pub(crate) ip: IpAddr,
}

/// The networks of this machine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Usable addresses ([`is_usable`]) of interfaces that are up and have a carrier, sorted.
    pub(crate) addresses: Vec<Address>,
    /// The address that traffic to the internet leaves from, IPv4 and IPv6; none where there is no such
    /// route. All kinds of routes and rules count in it, since the kernel decides.
    pub(crate) sources: [Option<IpAddr>; 2],
}

/// What a change of networks did to the path of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The address that the connection uses is gone: nothing arrives any more.
    Gone,
    /// The address is there, and the system now prefers another way: the path may be dead, or a detour.
    Moved,
    /// The path is as it was, and there may be another one.
    Joined,
}

/// A change that matters to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: Path,
    /// Addresses that are gone, or that traffic no longer leaves from.
    pub(crate) lost: Vec<IpAddr>,
    /// Addresses that are new, or that traffic leaves from now.
    pub(crate) gained: Vec<IpAddr>,
}

impl Snapshot {
    /// Asks the system. Takes some 0.1 ms.
    pub(crate) fn take() -> Self {
        let mut addresses: Vec<_> = getifaddrs()
            .into_iter()
            .flatten()
            .filter(|one| one.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING))
            .filter_map(|one| {
                let ip = one.address.as_ref().and_then(ip)?;
                is_usable(ip).then_some(Address { interface: one.interface_name, ip })
            })
            .collect();
        addresses.sort();
        addresses.dedup();
        Self { addresses, sources: FAR.map(source) }
    }

    /// What is different in `new` for a connection that uses the address `used`; none, if it uses none yet.
    /// Nothing where the connection need not care.
    pub(crate) fn change_to(&self, new: &Self, used: Option<IpAddr>) -> Option<Change> {
        let moved = moved_sources(self, new);
        let gone = |ip: IpAddr| !new.has(ip);
        // Without a used address, every address that was offered counts.
        let offered = || self.addresses.iter().filter(|one| self.is_ours(one)).map(|one| one.ip);
        let used_one = used.filter(|used| self.has(*used));
        let mut lost: Vec<IpAddr> = match used_one {
            Some(used) => [used].into_iter().filter(|used| gone(*used)).collect(),
            None => offered().filter(|ip| gone(*ip) && !new.has_network(*ip)).collect(),
        };
        let mut path = if lost.is_empty() { Path::Joined } else { Path::Gone };
        let mut gained: Vec<IpAddr> = new
            .addresses
            .iter()
            .filter(|one| new.is_ours(one) && !self.has_network(one.ip))
            .map(|one| one.ip)
            .collect();
        for (from, to) in moved {
            let concerned = used_one.is_none_or(|used| is_same_network(used, from));
            if concerned && !lost.contains(&from) {
                lost.push(from);
                if path == Path::Joined {
                    path = Path::Moved;
                }
            }
            if !gained.contains(&to) {
                gained.push(to);
            }
        }
        (!lost.is_empty() || !gained.is_empty()).then_some(Change { path, lost, gained })
    }

    /// Whether any interface has exactly this address.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|one| one.ip == ip)
    }

    fn has_network(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|one| is_same_network(one.ip, ip))
    }

    /// Whether a peer may be reached from this address at all. A machine with a way to the internet has no
    /// use for the link-local address of another interface; and a bridge of containers is no way to anybody.
    fn is_ours(&self, one: &Address) -> bool {
        let is_source = self.sources.iter().flatten().any(|source| is_same_network(*source, one.ip));
        let link_local = matches!(one.ip, IpAddr::V4(ip) if ip.is_link_local());
        let has_source = self.sources.iter().any(Option::is_some);
        let virtual_one = VIRTUAL.iter().any(|name| one.interface.starts_with(name));
        is_source || !(virtual_one || link_local && has_source)
    }
}

/// Sources that became others, old and new: the system's way to the internet leads through another network. A
/// way that ends, or begins where there was none, moves nothing.
fn moved_sources(old: &Snapshot, new: &Snapshot) -> Vec<(IpAddr, IpAddr)> {
    let pairs = old.sources.iter().zip(&new.sources);
    pairs.filter_map(|(old, new)| (*old).zip(*new)).filter(|(old, new)| !is_same_network(*old, *new)).collect()
}

/// For IPv4 the address; for IPv6 its first 64 bits, since temporary addresses (RFC 8981) change within them
/// all day.
fn is_same_network(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() >> 64 == b.to_bits() >> 64,
        (a, b) => a == b,
    }
}

fn source(far: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if far.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(far).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| is_usable(*ip))
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"wlan0 192.168.1.5, docker0 172.17.0.1; 192.168.1.5"`: addresses, then where traffic leaves from.
    fn snapshot(text: &str) -> Snapshot {
        let (addresses, sources) = text.split_once(';').unwrap_or((text, ""));
        let mut addresses: Vec<_> = addresses
            .split(',')
            .filter_map(|one| one.trim().split_once(' '))
            .map(|(interface, ip)| Address { interface: interface.into(), ip: ip.parse().unwrap() })
            .collect();
        addresses.sort();
        let sources: Vec<IpAddr> = sources.split_ascii_whitespace().map(|ip| ip.parse().unwrap()).collect();
        let first = |v4: bool| sources.iter().copied().find(|ip| ip.is_ipv4() == v4);
        Snapshot { addresses, sources: [first(true), first(false)] }
    }

    /// `"gone -192.168.1.5 +10.0.0.7"`.
    fn words(change: Option<Change>) -> String {
        let Some(Change { path, lost, gained }) = change else { return "nothing".into() };
        let mut words = vec![format!("{path:?}").to_lowercase()];
        words.extend(lost.iter().map(|ip| format!("-{ip}")));
        words.extend(gained.iter().map(|ip| format!("+{ip}")));
        words.join(" ")
    }

    const WIFI: &str = "wlan0 192.168.1.5; 192.168.1.5";

    #[test]
    fn a_change_matters_to_a_connection_only_where_its_path_changes() {
        let used = Some("192.168.1.5");
        for (what, old, new, used, expected) in [
            ("the same", WIFI, WIFI, used, "nothing"),
            ("Wi-Fi goes, mobile comes", WIFI, "wwan0 10.0.0.7; 10.0.0.7", used, "gone -192.168.1.5 +10.0.0.7"),
            ("Wi-Fi goes, nothing comes", WIFI, "", used, "gone -192.168.1.5"),
            ("a network comes where there was none", "", WIFI, None, "joined +192.168.1.5"),
            (
                "new address in the same network",
                WIFI,
                "wlan0 192.168.1.6; 192.168.1.6",
                used,
                "gone -192.168.1.5 +192.168.1.6",
            ),
            (
                "a cable beside Wi-Fi that takes over",
                WIFI,
                "wlan0 192.168.1.5, eth0 192.168.2.9; 192.168.2.9",
                used,
                "moved -192.168.1.5 +192.168.2.9",
            ),
            (
                "a cable beside Wi-Fi that does not",
                WIFI,
                "wlan0 192.168.1.5, eth0 192.168.2.9; 192.168.1.5",
                used,
                "joined +192.168.2.9",
            ),
            ("VPN up", WIFI, "wlan0 192.168.1.5, tun0 10.8.0.2; 10.8.0.2", used, "moved -192.168.1.5 +10.8.0.2"),
            (
                "VPN down, used",
                "wlan0 192.168.1.5, tun0 10.8.0.2; 10.8.0.2",
                WIFI,
                Some("10.8.0.2"),
                "gone -10.8.0.2 +192.168.1.5",
            ),
            ("VPN down, not used", "wlan0 192.168.1.5, tun0 10.8.0.2; 10.8.0.2", WIFI, used, "joined +192.168.1.5"),
            (
                "a tunnel with a network of its own",
                WIFI,
                "wlan0 192.168.1.5, wg0 10.9.0.2; 192.168.1.5",
                used,
                "joined +10.9.0.2",
            ),
            ("that tunnel goes", "wlan0 192.168.1.5, wg0 10.9.0.2; 192.168.1.5", WIFI, used, "nothing"),
            (
                "that tunnel goes, used",
                "wlan0 192.168.1.5, wg0 10.9.0.2; 192.168.1.5",
                WIFI,
                Some("10.9.0.2"),
                "gone -10.9.0.2",
            ),
            ("the route goes, the address stays", WIFI, "wlan0 192.168.1.5", used, "nothing"),
            ("the route comes back", "wlan0 192.168.1.5", WIFI, used, "nothing"),
            ("containers begin", WIFI, "wlan0 192.168.1.5, docker0 172.17.0.1; 192.168.1.5", used, "nothing"),
            ("containers end", "wlan0 192.168.1.5, docker0 172.17.0.1; 192.168.1.5", WIFI, used, "nothing"),
            (
                "containers begin without a route",
                "eth0 169.254.1.1",
                "eth0 169.254.1.1, docker0 172.17.0.1",
                Some("169.254.1.1"),
                "nothing",
            ),
            ("link-local beside a network", WIFI, "wlan0 192.168.1.5, eth0 169.254.1.1; 192.168.1.5", used, "nothing"),
            ("link-local goes", "wlan0 192.168.1.5, eth0 169.254.1.1; 192.168.1.5", WIFI, used, "nothing"),
            ("link-local alone", "", "eth0 169.254.1.1", None, "joined +169.254.1.1"),
            (
                "link-local alone is renumbered",
                "eth0 169.254.1.1",
                "eth0 169.254.2.2",
                Some("169.254.1.1"),
                "gone -169.254.1.1 +169.254.2.2",
            ),
            (
                "a temporary address comes",
                "wlan0 2001:db8::1; 2001:db8::1",
                "wlan0 2001:db8::1, wlan0 2001:db8::abcd; 2001:db8::abcd",
                Some("2001:db8::1"),
                "nothing",
            ),
            (
                "a temporary address goes",
                "wlan0 2001:db8::1, wlan0 2001:db8::2; 2001:db8::2",
                "wlan0 2001:db8::1; 2001:db8::1",
                Some("2001:db8::1"),
                "nothing",
            ),
            (
                "a temporary address goes, used",
                "wlan0 2001:db8::1, wlan0 2001:db8::2; 2001:db8::2",
                "wlan0 2001:db8::1; 2001:db8::1",
                Some("2001:db8::2"),
                "gone -2001:db8::2",
            ),
            (
                "the prefix changes",
                "wlan0 2001:db8::1; 2001:db8::1",
                "wlan0 2001:db8:1::1; 2001:db8:1::1",
                Some("2001:db8::1"),
                "gone -2001:db8::1 +2001:db8:1::1",
            ),
            (
                "IPv6 comes beside IPv4",
                WIFI,
                "wlan0 192.168.1.5, wlan0 2001:db8::1; 192.168.1.5 2001:db8::1",
                used,
                "joined +2001:db8::1",
            ),
            (
                "IPv6 moves, IPv4 is used",
                "wlan0 192.168.1.5, wlan0 2001:db8::1; 192.168.1.5 2001:db8::1",
                "wlan0 192.168.1.5, wlan0 2001:db8::1, tun0 fd00::2; 192.168.1.5 fd00::2",
                used,
                "joined +fd00::2",
            ),
            ("nothing is used yet", WIFI, "wwan0 10.0.0.7; 10.0.0.7", None, "gone -192.168.1.5 +10.0.0.7"),
            (
                "a used address that was never ours",
                WIFI,
                "wwan0 10.0.0.7; 10.0.0.7",
                Some("203.0.113.1"),
                "gone -192.168.1.5 +10.0.0.7",
            ),
        ] {
            let used = used.map(|ip| ip.parse().unwrap());
            assert_eq!(words(snapshot(old).change_to(&snapshot(new), used)), expected, "{what}");
        }
    }

    #[test]
    fn the_system_is_asked_without_a_failure_and_twice_alike() {
        let now = Snapshot::take();
        assert!(now.addresses.iter().all(|one| is_usable(one.ip)), "{now:?}");
        assert!(now.addresses.is_sorted());
        assert_eq!(now.change_to(&Snapshot::take(), None), None);
    }
}
