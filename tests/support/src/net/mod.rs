//! Networks of a test's own: namespaces, and a path between them that is slow, lossy or late.
//!
//! The kernels of test machines often lack netem, and a path has to be the same for every program. So packets
//! cross from one namespace to another through a TUN device at each end, and a thread of the test decides
//! when, and whether, each one arrives ([`path`]). What it decides by is pure and seeded ([`conditions`]). A
//! TCP flow ([`tcp`]) can share a path with calls.
//!
//! Namespaces need root. [`available`] says whether a test can have them.

pub mod conditions;
pub mod namespace;
pub mod path;
pub mod tcp;

/// Whether this process may create network namespaces and TUN devices. Where it may not, the reason, for the
/// test to print.
///
/// # Errors
/// What is missing.
pub fn available() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("network namespaces need root".to_owned());
    }
    let devices = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    devices.map(drop).map_err(|error| format!("/dev/net/tun: {error}"))
}
