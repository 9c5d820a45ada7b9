//! Another network in the middle of a call.

use ahoy_test_support::net::namespace::Namespace;
use ahoy_tests::end::unix_ms;

use crate::{
    call::{Call, repeats},
    machines::{Machines, available},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_a_handover_to_another_network() {
    if !available() {
        return;
    }
    for _ in 0..repeats() {
        let machines = Machines::new();
        let mut call = Call::between(&machines.near, &machines.far).await;
        let moment = unix_ms();
        machines.unplug(&machines.near, "eth0");
        machines.plug(&machines.near, "eth1", 2);
        call.expect_sound("handover of the caller", moment).await;
        let moment = unix_ms();
        machines.unplug(&machines.far, "eth0");
        machines.plug(&machines.far, "eth1", 8);
        call.expect_sound("handover of the callee", moment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_a_handover_of_both_sides_at_once() {
    if !available() {
        return;
    }
    for _ in 0..repeats() {
        let machines = Machines::new();
        let mut call = Call::between(&machines.near, &machines.far).await;
        let moment = unix_ms();
        machines.unplug(&machines.near, "eth0");
        machines.unplug(&machines.far, "eth0");
        machines.plug(&machines.near, "eth1", 2);
        machines.plug(&machines.far, "eth1", 8);
        call.expect_sound("handover of both", moment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_renumbering() {
    if !available() {
        return;
    }
    for _ in 0..repeats() {
        let machines = Machines::new();
        let mut call = Call::between(&machines.near, &machines.far).await;
        let moment = unix_ms();
        renumber(&machines.near, "10.1.0.77/24");
        call.expect_sound("renumbering of the caller", moment).await;
    }
}

/// As a router does that begins anew with another pool of addresses.
fn renumber(machine: &Namespace, to: &str) {
    machine.ip(["addr", "flush", "dev", "eth0", "scope", "global"]);
    machine.ip(["addr", "add", to, "dev", "eth0"]);
    machine.ip(["route", "replace", "default", "via", "10.1.0.1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_a_vpn_came_up() {
    if !available() {
        return;
    }
    for _ in 0..repeats() {
        let machines = Machines::new();
        let mut call = Call::between(&machines.near, &machines.far).await;
        let moment = unix_ms();
        // The old address stays, and a VPN does not carry what comes from it.
        machines.plug(&machines.near, "tun0", 3);
        machines.refuse_strangers(3);
        call.expect_sound("a VPN came up", moment).await;
        let moment = unix_ms();
        machines.unplug(&machines.near, "tun0");
        machines.near.ip(["route", "replace", "default", "via", "10.1.0.1"]);
        call.expect_sound("the VPN went down", moment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "sound goes on, but ICE is restarted once: the cause is not known yet"]
async fn a_call_goes_on_untouched_where_containers_come_and_go() {
    if !available() {
        return;
    }
    let machines = Machines::new();
    let mut call = Call::between(&machines.near, &machines.far).await;
    let (near, moment) = (&machines.near, unix_ms());
    near.ip(["link", "add", "docker0", "type", "bridge"]);
    near.ip(["addr", "add", "172.17.0.1/16", "dev", "docker0"]);
    near.ip(["link", "set", "docker0", "up"]);
    near.ip(["link", "add", "veth7", "type", "veth", "peer", "name", "veth8"]);
    near.ip(["link", "set", "veth7", "master", "docker0"]);
    near.ip(["link", "set", "veth7", "up"]);
    near.ip(["link", "set", "veth8", "up"]);
    call.expect_sound("containers", moment).await;
    near.ip(["link", "del", "veth7"]);
    near.ip(["link", "del", "docker0"]);
    call.expect_sound("no containers", unix_ms()).await;
    for end in [&call.near, &call.far] {
        let offers = end.native.peer.sent_payloads().iter().filter(|payload| payload["type"] == "call-offer").count();
        assert!(offers <= 1, "ICE was restarted{}", end.native.peer.recent());
    }
}
