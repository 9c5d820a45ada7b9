//! Interfaces that come and go beside the one that the call uses.

use ahoy_tests::{
    changes::{
        call::Call,
        machines::{Machines, available},
    },
    end::unix_ms,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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
