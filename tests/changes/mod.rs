//! Calls between two machines whose networks change, and how long their sound is missing. The machines are network
//! namespaces, which need root ([`machines::available`]).

pub mod call;
pub mod machines;

use std::{fmt, process::Command, time::Duration};

use ahoy_test_support::net::namespace::Namespace;
use tokio::time::sleep;

use self::{call::Call, machines::Machines};
use crate::end::unix_ms;

/// Signaling that used the same network comes back this much later: its connection has to notice first.
const SIGNALING_LATE: Duration = Duration::from_secs(3);
/// How long the machine sleeps.
const SLEEP: Duration = Duration::from_secs(10);
/// How long the cable is out.
const UNPLUGGED: Duration = Duration::from_secs(4);

/// What happens to a network in the middle of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The caller's cable is unplugged, and the cable of another network is plugged in.
    HandoverOfCaller,
    /// The same at the callee.
    HandoverOfCallee,
    /// Both at once.
    HandoverOfBoth,
    /// The caller gets another address, as after a restart of the router.
    Renumbering,
    /// A VPN comes up that drops packets from the old address.
    VpnUp,
    /// The VPN goes down.
    VpnDown,
    /// The caller's cable is unplugged for 4 s.
    CableOutAndIn,
    /// The router passes nothing on for so many seconds.
    Outage(u64),
    /// As [`Change::Outage`], and signaling comes back another 3 s later.
    OutageOfSignalingToo(u64),
    /// The caller's machine sleeps for 10 s.
    Sleep,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandoverOfCaller => f.write_str("another network for the caller"),
            Self::HandoverOfCallee => f.write_str("another network for the callee"),
            Self::HandoverOfBoth => f.write_str("other networks for both at once"),
            Self::Renumbering => f.write_str("another address"),
            Self::VpnUp => f.write_str("VPN up"),
            Self::VpnDown => f.write_str("VPN down"),
            Self::CableOutAndIn => write!(f, "cable out for {} s", UNPLUGGED.as_secs()),
            Self::Outage(seconds) => write!(f, "outage of {seconds} s"),
            Self::OutageOfSignalingToo(seconds) => write!(f, "outage of {seconds} s, of signaling 3 s longer"),
            Self::Sleep => write!(f, "the machine sleeps for {} s", SLEEP.as_secs()),
        }
    }
}

impl Change {
    /// Makes the change in a call of its own. Returns how long it takes until both sides hear each other again,
    /// from the end of an outage or sleep, and from the beginning of any other change.
    ///
    /// # Panics
    /// Where there is no call, or it has no sound within [`call::LIMIT`] after the change.
    pub async fn happens(self) -> Duration {
        let machines = Machines::new();
        let (near, far) = (&machines.near, &machines.far);
        let mut call = Call::between(near, far).await;
        let mut moment = unix_ms();
        match self {
            Self::HandoverOfCaller => machines.replug(near, "eth1", 2),
            Self::HandoverOfCallee => machines.replug(far, "eth1", 8),
            Self::HandoverOfBoth => {
                machines.replug(near, "eth1", 2);
                machines.replug(far, "eth1", 8);
            }
            Self::Renumbering => renumber(near, "10.1.0.77/24"),
            Self::VpnUp => machines.connect_vpn(),
            Self::VpnDown => {
                machines.connect_vpn();
                call.sound_is_back(moment).await;
                moment = unix_ms();
                machines.disconnect_vpn();
            }
            Self::CableOutAndIn => {
                // The address stays, as the system waits a while before it gives up an interface without a carrier.
                machines.router.ip(["link", "set", "to1", "down"]);
                sleep(UNPLUGGED).await;
                machines.router.ip(["link", "set", "to1", "up"]);
                machines.router.ip(["addr", "replace", "10.1.0.1/24", "dev", "to1"]);
                moment = unix_ms();
            }
            Self::Outage(seconds) | Self::OutageOfSignalingToo(seconds) => {
                machines.set_passing(false);
                call.signaling.send_replace(matches!(self, Self::Outage(_)));
                sleep(Duration::from_secs(seconds)).await;
                machines.set_passing(true);
                moment = unix_ms();
                let signaling = call.signaling.clone();
                tokio::spawn(async move {
                    sleep(SIGNALING_LATE).await;
                    signaling.send_replace(true);
                });
            }
            Self::Sleep => {
                let group = format!("-{}", call.near.native.processes.id());
                signal(&group, "-STOP");
                sleep(SLEEP).await;
                signal(&group, "-CONT");
                moment = unix_ms();
            }
        }
        call.sound_is_back(moment).await
    }
}

fn renumber(machine: &Namespace, to: &str) {
    machine.ip(["addr", "flush", "dev", "eth0", "scope", "global"]);
    machine.ip(["addr", "add", to, "dev", "eth0"]);
    machine.ip(["route", "replace", "default", "via", "10.1.0.1"]);
}

fn signal(group: &str, name: &str) {
    let sent = Command::new("kill").args([name, "--", group]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {name}");
}
