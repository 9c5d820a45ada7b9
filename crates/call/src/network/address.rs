//! Addresses that a peer can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a peer elsewhere can reach `ip`, if the networks between allow it.
///
/// IPv6 link-local addresses are left out: they mean nothing without the number of an interface, which a
/// candidate does not carry (RFC 8839 section 5.1), and the stack tells its sockets apart by the address in
/// the candidate. IPv4 link-local addresses (169.254.0.0/16, RFC 3927) are in: two machines and a cable often
/// have nothing else.
pub(crate) fn is_usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, ..] = ip.octets();
            // 0.0.0.0/8, "this network" (RFC 1122 section 3.2.1.3).
            !(first == 0 || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast())
        }
        IpAddr::V6(ip) => {
            let [first, ..] = ip.segments();
            let link_local = first & 0xffc0 == 0xfe80;
            let mapped = ip.to_ipv4_mapped().is_some();
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local || mapped)
        }
    }
}

/// Whether the candidate line may be sent to a peer, or taken from one: its address is not a wildcard, a
/// group or a broadcast, and its port is not 0. Such a candidate connects nothing at best; at worst it makes
/// a machine send checks to a whole network. A name in place of the address passes.
pub(crate) fn is_offerable(candidate: &str) -> bool {
    // candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE … (RFC 8839 section 5.1)
    let mut fields = candidate.split_ascii_whitespace().skip(4);
    let (address, port) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let offerable = match address.parse() {
        Ok(IpAddr::V4(ip)) => ip != Ipv4Addr::UNSPECIFIED && !ip.is_multicast() && !ip.is_broadcast(),
        Ok(IpAddr::V6(ip)) => ip != Ipv6Addr::UNSPECIFIED && !ip.is_multicast(),
        Err(_) => true,
    };
    offerable && port.parse() != Ok(0_u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_a_peer_can_reach_are_usable() {
        for (text, usable) in [
            ("192.168.1.5", true),
            ("10.0.0.1", true),
            ("169.254.7.7", true),
            ("100.64.0.1", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("127.0.0.1", false),
            ("224.0.0.251", false),
            ("239.255.255.250", false),
            ("255.255.255.255", false),
            ("2001:db8::1", true),
            ("fd00::1", true),
            ("::", false),
            ("::1", false),
            ("fe80::1", false),
            ("febf::1", false),
            ("ff02::fb", false),
            ("::ffff:192.168.1.5", false),
        ] {
            assert_eq!(is_usable(text.parse().unwrap()), usable, "{text}");
        }
    }

    #[test]
    fn wildcards_groups_and_port_zero_are_never_candidates() {
        let line = |address: &str, port: &str| format!("candidate:1 1 udp 2130706431 {address} {port} typ host");
        for (address, port, offerable) in [
            ("192.168.1.5", "5000", true),
            ("127.0.0.1", "5000", true),
            ("2001:db8::1", "5000", true),
            ("d1c6a9f0.local", "5000", true),
            ("0.0.0.0", "5000", false),
            ("::", "5000", false),
            ("0:0:0:0:0:0:0:0", "5000", false),
            ("224.0.0.251", "5000", false),
            ("255.255.255.255", "5000", false),
            ("ff02::1", "5000", false),
            ("192.168.1.5", "0", false),
            ("192.168.1.5", "000", false),
        ] {
            assert_eq!(is_offerable(&line(address, port)), offerable, "{address} {port}");
        }
        // What cannot be read is for the stack to refuse, aloud.
        assert!(is_offerable("") && is_offerable("candidate:1 1 udp"));
    }
}
