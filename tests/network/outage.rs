//! A network that carries nothing for a while, and a machine that sleeps.

use std::{process::Command, time::Duration};

use ahoy_tests::end::unix_ms;
use tokio::time::sleep;

use crate::{
    call::{Call, repeats},
    machines::{Machines, available},
};

/// Signaling that goes through the same network is back later: its connection has to notice.
const SIGNALING_LATE: Duration = Duration::from_secs(3);

async fn outage(seconds: u64, signaling_too: bool) {
    if !available() {
        return;
    }
    for _ in 0..repeats() {
        let machines = Machines::new();
        let mut call = Call::between(&machines.near, &machines.far).await;
        machines.set_passing(false);
        call.signaling.send_replace(!signaling_too);
        sleep(Duration::from_secs(seconds)).await;
        machines.set_passing(true);
        let moment = unix_ms();
        let signaling = call.signaling.clone();
        tokio::spawn(async move {
            sleep(SIGNALING_LATE).await;
            signaling.send_replace(true);
        });
        let what = if signaling_too { "of all" } else { "of media" };
        call.expect_sound(&format!("outage {what} of {seconds} s"), moment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_an_outage_of_5_s() {
    outage(5, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_an_outage_of_20_s() {
    outage(20, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes 35 s; as the one of 20 s, to the end of what a call waits"]
async fn sound_is_back_after_an_outage_of_29_s() {
    outage(29, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_an_outage_of_20_s_before_signaling_is() {
    outage(20, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_a_cable_was_out_and_in_again() {
    if !available() {
        return;
    }
    for _ in 0..repeats() {
        let machines = Machines::new();
        let mut call = Call::between(&machines.near, &machines.far).await;
        // The address stays, as the system waits a while before it gives an interface without a carrier up.
        machines.router.ip(["link", "set", "to1", "down"]);
        sleep(Duration::from_secs(4)).await;
        machines.router.ip(["link", "set", "to1", "up"]);
        machines.router.ip(["addr", "replace", "10.1.0.1/24", "dev", "to1"]);
        call.expect_sound("cable out and in", unix_ms()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_back_after_a_machine_slept_for_10_s() {
    if !available() {
        return;
    }
    for _ in 0..repeats() {
        let machines = Machines::new();
        let mut call = Call::between(&machines.near, &machines.far).await;
        let group = format!("-{}", call.near.native.processes.id());
        let signal = |name: &str| {
            let sent = Command::new("kill").args([name, "--", &group]).status();
            assert!(sent.is_ok_and(|status| status.success()), "kill {name}");
        };
        signal("-STOP");
        sleep(Duration::from_secs(10)).await;
        signal("-CONT");
        call.expect_sound("a sleep of 10 s", unix_ms()).await;
    }
}
