//! The system's own signal that something about its networks has changed.

use std::io;

/// Waits for messages of the kernel about interfaces, addresses, routes and rules (rtnetlink(7)). Their
/// content is not read: [`Snapshot::take`](super::Snapshot::take) asks for what there is.
#[cfg(target_os = "linux")]
pub(super) struct Signal(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl Signal {
    #[expect(deprecated, reason = "unsound for types that give another descriptor each time; an OwnedFd does not")]
    pub(super) fn open() -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use nix::{
            libc,
            sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket},
        };

        /// RTNLGRP_IPV6_RULE, which libc has no mask for.
        const IPV6_RULE: u32 = 1 << 18;
        let groups = [
            libc::RTMGRP_LINK,
            libc::RTMGRP_IPV4_IFADDR,
            libc::RTMGRP_IPV4_ROUTE,
            libc::RTMGRP_IPV4_RULE,
            libc::RTMGRP_IPV6_IFADDR,
            libc::RTMGRP_IPV6_ROUTE,
        ];
        let groups = groups.iter().fold(IPV6_RULE, |all, group| all | group.cast_unsigned());
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        // The kernel chooses the id; a number of our own could be another thread's.
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self(tokio::io::unix::AsyncFd::new(socket)?))
    }

    /// Returns when there was a message since the last call, and forgets all that there were.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        use std::os::fd::AsRawFd;

        use nix::{
            errno::Errno,
            sys::socket::{MsgFlags, recv},
        };

        /// Messages may be cut off: nothing in them is read.
        const ROOM: usize = 64;
        /// A system that changes all the time must not keep this from returning.
        const MOST: usize = 10_000;
        let mut guard = self.0.readable_mut().await?;
        let socket = guard.get_inner().as_raw_fd();
        for _ in 0..MOST {
            match recv(socket, &mut [0; ROOM], MsgFlags::MSG_DONTWAIT) {
                // More came than the socket's queue takes: that is a change too.
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(Errno::EAGAIN) => {
                    guard.clear_ready();
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Elsewhere the networks are looked at each second.
#[cfg(not(target_os = "linux"))]
pub(super) struct Signal(tokio::time::Interval);

#[cfg(not(target_os = "linux"))]
impl Signal {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self(tokio::time::interval(std::time::Duration::from_secs(1))))
    }

    pub(super) async fn changed(&mut self) -> io::Result<()> {
        self.0.tick().await;
        Ok(())
    }
}
