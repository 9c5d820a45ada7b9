//! A UDP socket that outlives the network it was bound to.

use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tracing::trace;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

/// Takes what the system cannot send for lost, as the network itself does with packets.
///
/// While the address or the route of a socket is gone, the system refuses every packet. The stack logs an
/// error for each, some hundred a second until the ICE restart; and gives up a socket for good after an error
/// in receiving.
#[derive(Debug)]
pub(super) struct PatientSocket(pub(super) Arc<dyn AsyncUdpSocket>);

impl AsyncUdpSocket for PatientSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_gso_segments(&self) -> usize {
        self.0.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.0.max_gro_segments()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(match ready!(self.0.poll_send(cx, transmit)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                trace!(%error, to = %transmit.destination, "a packet could not be sent");
                Ok(transmit.contents.len())
            }
            sent => sent,
        })
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(ready!(self.0.poll_recv(cx, bufs, meta)).map_err(|error| {
            trace!(%error, "receiving");
            // The stack tries again after an error of this kind.
            io::ErrorKind::ConnectionReset.into()
        }))
    }
}

#[cfg(test)]
mod tests {
    use webrtc::runtime::{Runtime, TokioRuntime};

    use super::*;

    #[tokio::test]
    async fn a_packet_that_the_system_refuses_is_lost_and_nothing_more() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = PatientSocket(TokioRuntime.wrap_udp_socket(socket).unwrap());
        // From loopback there is no way to anywhere else.
        let elsewhere = "192.0.2.1:9".parse().unwrap();
        assert!(socket.0.send_to(b"x", elsewhere).await.is_err(), "the system takes it: nothing is tested");
        assert_eq!(socket.send_to(b"x", elsewhere).await.unwrap(), 1);
        let own = socket.local_addr().unwrap();
        assert_eq!(socket.send_to(b"here", own).await.unwrap(), 4);
        let mut buffer = [0; 16];
        assert_eq!(socket.recv_from(&mut buffer).await.unwrap(), (4, own));
    }
}
