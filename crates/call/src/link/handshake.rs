//! A DTLS handshake that a lossy path does not hold up.
//!
//! The stack sends a flight of the handshake again after 1 s, then 2, and so on (RFC 6347 section 4.2.4.1), and offers no
//! setting for it. At 20 % loss both ways one of the six flights is lost more often than not, and a call that is accepted
//! stays silent for seconds. So a socket keeps the newest flight and sends its datagrams again, soon, until the other side
//! shows that it has gone on: by a datagram of the handshake, or by media. A receiver drops what it has already
//! (section 4.2.2).

use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

/// First bytes of DTLS records (RFC 7983 section 7).
const DTLS: RangeInclusive<u8> = 20..=63;
/// First bytes of RTP and RTCP.
const MEDIA: RangeInclusive<u8> = 128..=191;
/// The records of a handshake: ChangeCipherSpec and Handshake (RFC 5246 section 6.2.1). Alerts are not sent again.
const HANDSHAKE: [u8; 2] = [20, 22];
/// When a flight is sent again, each time after the time before. The first is more than the round trip of most paths, so
/// that a flight that was not lost is rarely sent again; from the last one on the stack's own timer is faster.
const WAITS: [Duration; 5] = [
    Duration::from_millis(150),
    Duration::from_millis(200),
    Duration::from_millis(300),
    Duration::from_millis(450),
    Duration::from_millis(700),
];
/// Datagrams of one flight: a certificate chain in fragments has fewer.
const MAX_DATAGRAMS: usize = 8;
/// Datagrams that follow each other within this time are of one flight.
const ONE_FLIGHT: Duration = Duration::from_millis(60);

/// Decides what is sent again, and when. Sans-IO.
#[derive(Debug, Default)]
struct Flight {
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    sent: Option<Instant>,
    repeats: usize,
    /// The other side has gone on.
    answered: bool,
}

impl Flight {
    /// A datagram leaves; true: when it is due has changed.
    fn sent(&mut self, now: Instant, to: SocketAddr, datagram: &[u8]) -> bool {
        if !datagram.first().is_some_and(|first| HANDSHAKE.contains(first)) {
            return false;
        }
        let follows = self.sent.is_some_and(|sent| now.saturating_duration_since(sent) < ONE_FLIGHT);
        if self.answered || !follows {
            *self = Self::default();
        }
        if self.datagrams.len() < MAX_DATAGRAMS {
            self.datagrams.push((to, datagram.to_vec()));
        }
        self.sent = Some(now);
        true
    }

    /// A datagram that begins with `first` came.
    fn received(&mut self, first: u8) {
        self.answered |= DTLS.contains(&first) || MEDIA.contains(&first);
    }

    /// When the flight is to be sent again, if it is.
    fn due(&self) -> Option<Instant> {
        let wait: Duration = WAITS.get(..=self.repeats)?.iter().sum();
        Some(self.sent.filter(|_| !self.answered)? + wait)
    }

    /// What is to be sent again at `now`.
    fn take(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.repeats += 1;
        self.datagrams.clone()
    }
}

/// A socket that sends the flights of a handshake again.
#[derive(Debug)]
pub(super) struct HandshakeSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    flight: Mutex<Flight>,
    changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Flight> {
        // Whatever a panic left of a flight, the stack's own timer is there.
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandshakeSocket {
    /// Around `inner`, on the current tokio runtime.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>) -> Self {
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(repeat(Arc::clone(&inner), Arc::clone(&shared)));
        Self { inner, shared, task }
    }
}

impl Drop for HandshakeSocket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn repeat(socket: Arc<dyn AsyncUdpSocket>, shared: Arc<Shared>) {
    loop {
        let due = shared.lock().due();
        let Some(due) = due else {
            shared.changed.notified().await;
            continue;
        };
        tokio::select! {
            () = shared.changed.notified() => continue,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let again = shared.lock().take(Instant::now());
        for (to, datagram) in again {
            // What cannot be sent is lost, as on the way.
            let _ = socket.send_to(&datagram, to).await;
        }
    }
}

impl AsyncUdpSocket for HandshakeSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let sent = ready!(self.inner.poll_send(cx, transmit));
        if sent.is_ok() && self.shared.lock().sent(Instant::now(), transmit.destination, transmit.contents) {
            self.shared.changed.notify_one();
        }
        Poll::Ready(sent)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        let mut flight = self.shared.lock();
        // Segments that came as one are of one kind.
        bufs.iter().take(count).filter_map(|buffer| buffer.first()).for_each(|first| flight.received(*first));
        Poll::Ready(Ok(count))
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);
    const RECORD: [u8; 3] = [22, 254, 253];

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// When a flight that was sent at 0 is sent again within 3 s, in ms.
    fn repeats(flight: &mut Flight, start: Instant) -> Vec<u64> {
        (0..3000).filter(|step| !flight.take(start + ms(*step)).is_empty()).collect()
    }

    #[test]
    fn a_flight_without_an_answer_is_sent_again_some_times() {
        let (mut flight, start) = (Flight::default(), Instant::now());
        assert!(flight.sent(start, TO, &RECORD) && flight.sent(start, TO, &[20, 254, 253]));
        assert_eq!(flight.datagrams.len(), 2);
        assert_eq!(repeats(&mut flight, start), [150, 350, 650, 1100, 1800]);
        assert_eq!(flight.due(), None);
    }

    #[test]
    fn an_answer_ends_it_and_a_check_of_the_path_does_not() {
        for (first, ends) in [(22, true), (23, true), (128, true), (191, true), (0, false), (1, false), (64, false)] {
            let (mut flight, start) = (Flight::default(), Instant::now());
            flight.sent(start, TO, &RECORD);
            flight.received(first);
            assert_eq!(repeats(&mut flight, start).is_empty(), ends, "{first}");
        }
    }

    #[test]
    fn a_new_flight_takes_the_place_of_the_last_one() {
        let (mut flight, start) = (Flight::default(), Instant::now());
        flight.sent(start, TO, &RECORD);
        // The stack's own timer.
        flight.sent(start + ms(1000), TO, &[22, 1]);
        assert_eq!(flight.datagrams, [(TO, vec![22, 1])]);
        flight.received(22);
        flight.sent(start + ms(1001), TO, &[22, 2]);
        assert_eq!(flight.datagrams, [(TO, vec![22, 2])]);
    }

    #[test]
    fn neither_media_nor_alerts_nor_floods_are_kept() {
        let (mut flight, start) = (Flight::default(), Instant::now());
        for first in [0, 1, 21, 23, 64, 128, 200] {
            assert!(!flight.sent(start, TO, &[first]), "{first}");
        }
        assert!(!flight.sent(start, TO, &[]));
        for _ in 0..100 {
            flight.sent(start, TO, &RECORD);
        }
        assert_eq!(flight.datagrams.len(), MAX_DATAGRAMS);
    }
}
