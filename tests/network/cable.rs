//! Two machines and a cable, with no addresses but those that machines give themselves.

use std::net::IpAddr;

use ahoy_tests::{
    changes::{
        call::Call,
        machines::{available, machine},
    },
    end::unix_ms,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_on_a_cable_call_by_their_link_local_addresses() {
    if !available() {
        return;
    }
    let (near, far) = (machine("n"), machine("f"));
    near.ip(["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far.name()]);
    for (machine, address) in [(&near, "169.254.7.7/16"), (&far, "169.254.9.9/16")] {
        machine.ip(["addr", "add", address, "dev", "eth0"]);
        machine.ip(["link", "set", "eth0", "up"]);
    }
    let mut call = Call::between(&near, &far).await;

    // Another pair of addresses: what RFC 3927 section 2.5 does after a conflict.
    let moment = unix_ms();
    near.ip(["addr", "flush", "dev", "eth0", "scope", "link"]);
    near.ip(["addr", "add", "169.254.3.3/16", "dev", "eth0"]);
    call.expect_sound("another link-local address", moment).await;

    for end in [&call.near, &call.far] {
        let payloads = end.native.peer.sent_payloads();
        let lines: Vec<_> = payloads.iter().filter_map(|payload| payload["candidate"]["candidate"].as_str()).collect();
        let offered: Vec<IpAddr> = lines.iter().filter_map(|line| line.split(' ').nth(4)?.parse().ok()).collect();
        // A machine whose only address is being checked for duplicates has nothing but loopback for that
        // moment.
        let link_local = |ip: &IpAddr| matches!(ip, IpAddr::V4(ip) if ip.is_link_local() || ip.is_loopback());
        assert!(!offered.is_empty() && offered.iter().all(link_local), "{offered:?}");
    }
}
