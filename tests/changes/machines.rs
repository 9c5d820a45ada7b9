//! Machines, each with a network of its own, and a router between them.

use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use ahoy_test_support::net::{self, namespace::Namespace};

/// Two machines and the router that joins all their networks.
///
/// ```text
/// near eth0 10.1.0.2 ─┐          ┌─ 10.9.0.2 eth0 far
/// near eth1 10.2.0.2 ─┤  router  ├─ 10.8.0.2 eth1 far
/// near tun0 10.3.0.2 ─┘          │
/// ```
/// At first only the `eth0`s are there.
pub struct Machines {
    /// The caller's machine.
    pub near: Namespace,
    /// The callee's machine.
    pub far: Namespace,
    /// The router between them.
    pub router: Namespace,
}

/// Whether the calling test can have machines; says so if it cannot.
pub fn available() -> bool {
    let available = net::available();
    if let Err(reason) = &available {
        println!("SKIPPED: {reason}");
    }
    available.is_ok()
}

/// A namespace of a name that nobody else has.
pub fn machine(what: &str) -> Namespace {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Namespace::new(format!("ahoy-net{}-{number}{what}", std::process::id()))
}

impl Machines {
    /// Creates the machines and their first networks.
    ///
    /// # Panics
    /// Where they are not [`available`].
    #[expect(clippy::new_without_default, reason = "it makes namespaces")]
    pub fn new() -> Self {
        let this = Self { near: machine("n"), far: machine("f"), router: machine("r") };
        this.router.enter(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("the router may forward"));
        this.plug(&this.near, "eth0", 1);
        this.plug(&this.far, "eth0", 9);
        this.near.until_up("eth0");
        this.far.until_up("eth0");
        this
    }

    /// Gives a machine another interface, with the network 10.`number`.0.0/24, and makes it the default
    /// route.
    pub fn plug(&self, machine: &Namespace, device: &str, number: u8) {
        let other = format!("to{number}");
        machine.ip(["link", "add", device, "type", "veth", "peer", "name", &other, "netns", self.router.name()]);
        self.router.ip(["addr", "add", &format!("10.{number}.0.1/24"), "dev", &other]);
        self.router.ip(["link", "set", &other, "up"]);
        machine.ip(["addr", "add", &format!("10.{number}.0.2/24"), "dev", device]);
        machine.ip(["link", "set", device, "up"]);
        machine.ip(["route", "replace", "default", "via", &format!("10.{number}.0.1")]);
    }

    /// Takes the first interface away from a machine, and gives it another one.
    pub fn replug(&self, machine: &Namespace, device: &str, number: u8) {
        self.unplug(machine, "eth0");
        self.plug(machine, device, number);
    }

    /// Routes all traffic of the near machine through a VPN. The old address stays, but the VPN drops packets that
    /// come from it.
    pub fn connect_vpn(&self) {
        self.plug(&self.near, "tun0", 3);
        self.refuse_strangers(3);
    }

    /// Removes the VPN.
    pub fn disconnect_vpn(&self) {
        self.unplug(&self.near, "tun0");
        self.near.ip(["route", "replace", "default", "via", "10.1.0.1"]);
    }

    /// Lets the router drop what comes from network `number` with an address of another (RFC 3704).
    ///
    /// # Panics
    /// Where the kernel cannot.
    pub fn refuse_strangers(&self, number: u8) {
        let file = format!("/proc/sys/net/ipv4/conf/to{number}/rp_filter");
        self.router.enter(|| fs::write(file, "1").expect("the router may filter"));
    }

    /// Takes an interface away from a machine.
    pub fn unplug(&self, machine: &Namespace, device: &str) {
        machine.ip(["link", "del", device]);
    }

    /// Whether the router passes anything on. No machine gets a signal of it.
    pub fn set_passing(&self, passing: bool) {
        for number in [1, 2, 8, 9] {
            let (verb, to) = (if passing { "del" } else { "add" }, format!("10.{number}.0.2/32"));
            self.router.ip(["route", verb, "blackhole", &to]);
        }
    }
}
