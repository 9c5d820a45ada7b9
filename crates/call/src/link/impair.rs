//! A bad network on purpose: a runtime whose UDP sockets lose, delay and slow down packets by a seed.
//!
//! The kernel here has no netem, and a test must be repeatable: so the impairment sits between the stack and
//! its sockets, and the same seed loses the same packets.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, TokioRuntime,
    Transmit,
};

use super::{handshake::HandshakeSocket, socket::PatientSocket};

/// The queue in front of a rate limit, as time: what a home router's is made for.
const QUEUE_LIMIT: Duration = Duration::from_millis(200);
/// Datagrams that wait for the stack to read them.
const INBOX: usize = 1024;
/// A UDP datagram is not larger.
const MAX_DATAGRAM: usize = 65_535;

/// What the network does to the packets of one peer, in each direction. Text form:
/// `loss=0.1,delay=50,jitter=10,rate=1000k,seed=1`, every part optional.
#[derive(Clone, Debug, PartialEq)]
pub struct Impairment {
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// One way.
    pub delay: Duration,
    /// Added to the delay, uniform from 0 to this; reorders.
    pub jitter: Duration,
    /// Bits a second, with a queue of 200 ms before it; none: no limit.
    pub rate: Option<ahoy_media::units::Bitrate>,
    /// Where the chances come from.
    pub seed: u64,
}

/// A text that is no impairment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network like loss=0.1,delay=50,jitter=10,rate=1000k,seed=1 (loss 0 to 1, times in ms)")]
pub struct ParseImpairmentError(String);

impl FromStr for Impairment {
    type Err = ParseImpairmentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseImpairmentError(text.to_owned());
        let mut net = Self { loss: 0.0, delay: Duration::ZERO, jitter: Duration::ZERO, rate: None, seed: 1 };
        // A minute is far over any path, and keeps sums from overflowing.
        let millis = |value: &str| {
            let ms: f64 = value.parse().ok()?;
            (0.0..=60_000.0).contains(&ms).then(|| Duration::from_secs_f64(ms / 1e3))
        };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(error)?;
            match key {
                "loss" => {
                    net.loss = value.parse().ok().filter(|loss| (0.0..=1.0).contains(loss)).ok_or_else(error)?;
                }
                "delay" => net.delay = millis(value).ok_or_else(error)?,
                "jitter" => net.jitter = millis(value).ok_or_else(error)?,
                "rate" => net.rate = Some(value.parse().map_err(|_| error())?),
                "seed" => net.seed = value.parse().map_err(|_| error())?,
                _ => return Err(error()),
            }
        }
        Ok(net)
    }
}

/// One direction of the network, pure: when a packet arrives, if it does.
#[derive(Debug)]
struct Path {
    net: Impairment,
    chance: fastrand::Rng,
    /// When the rate limit has let everything through that it took.
    free_at: Option<Instant>,
}

impl Path {
    fn new(net: Impairment, direction: u64) -> Self {
        let chance = fastrand::Rng::with_seed(net.seed.wrapping_mul(2).wrapping_add(direction));
        Self { net, chance, free_at: None }
    }

    fn arrival(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        // Drawn for every packet, so that one that is lost shifts no other's chance.
        let (loss, jitter) = (self.chance.f64(), self.chance.f64());
        if loss < self.net.loss {
            return None;
        }
        let mut at = now;
        if let Some(rate) = self.net.rate {
            let start = self.free_at.map_or(now, |free| free.max(now));
            if start - now > QUEUE_LIMIT {
                return None;
            }
            at = start + Duration::from_secs_f64(bytes as f64 * 8.0 / rate.bps() as f64);
            self.free_at = Some(at);
        }
        Some(at + self.net.delay + self.net.jitter.mul_f64(jitter))
    }
}

/// Tokio's runtime, with impaired sockets where that is wanted.
#[derive(Debug)]
pub(super) struct ImpairedRuntime {
    inner: TokioRuntime,
    net: Option<Impairment>,
}

impl ImpairedRuntime {
    pub(super) fn new(net: Option<Impairment>) -> Self {
        Self { inner: TokioRuntime, net }
    }
}

impl Runtime for ImpairedRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.inner.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = self.inner.wrap_udp_socket(socket)?;
        let socket: Arc<dyn AsyncUdpSocket> = match &self.net {
            Some(net) => Arc::new(ImpairedSocket::new(socket, net)),
            None => Arc::new(PatientSocket(socket)),
        };
        Ok(Arc::new(HandshakeSocket::new(socket)))
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.inner.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        self.inner.connect_tcp(remote)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.inner.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.inner.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.inner.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.inner.block_on(future);
    }

    fn name(&self) -> &'static str {
        "tokio"
    }
}

/// A datagram on its way. Ordered by arrival, then by order of sending.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    at: Instant,
    number: u64,
    address: SocketAddr,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct ImpairedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    outgoing: Mutex<Path>,
    departures: mpsc::UnboundedSender<Flying>,
    arrivals: Mutex<mpsc::Receiver<Flying>>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl ImpairedSocket {
    fn new(inner: Arc<dyn AsyncUdpSocket>, net: &Impairment) -> Self {
        let (departures, queue) = mpsc::unbounded_channel();
        let (deliver, arrivals) = mpsc::channel(INBOX);
        let tasks = [
            tokio::spawn(fly_out(Arc::clone(&inner), queue)),
            tokio::spawn(fly_in(Arc::clone(&inner), Path::new(net.clone(), 1), deliver)),
        ];
        Self {
            inner,
            outgoing: Mutex::new(Path::new(net.clone(), 0)),
            departures,
            arrivals: Mutex::new(arrivals),
            tasks,
        }
    }
}

impl Drop for ImpairedSocket {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl AsyncUdpSocket for ImpairedSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let bytes = transmit.contents;
        let arrival = lock(&self.outgoing).arrival(Instant::now(), bytes.len());
        if let Some(at) = arrival {
            // The task lives as long as the socket does.
            let _ =
                self.departures.send(Flying { at, number: 0, address: transmit.destination, bytes: bytes.to_vec() });
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let Some(datagram) = ready!(lock(&self.arrivals).poll_recv(cx)) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else { return Poll::Ready(Ok(0)) };
        let len = datagram.bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), datagram.bytes.get(..len)) {
            to.copy_from_slice(from);
        }
        *meta = RecvMeta::default();
        (meta.addr, meta.len, meta.stride) = (datagram.address, len, len);
        Poll::Ready(Ok(1))
    }
}

/// Sends each datagram when its time has come.
async fn fly_out(socket: Arc<dyn AsyncUdpSocket>, mut queue: mpsc::UnboundedReceiver<Flying>) {
    let mut air = Air::default();
    loop {
        tokio::select! {
            flying = queue.recv() => match flying {
                Some(flying) => air.take_off(flying),
                None => return,
            },
            Some(landed) = air.landing() => {
                // As with the real network, what cannot be sent is lost.
                let _ = socket.send_to(&landed.bytes, landed.address).await;
            }
        }
    }
}

/// Hands each datagram that comes on when its time has come.
async fn fly_in(socket: Arc<dyn AsyncUdpSocket>, mut path: Path, deliver: mpsc::Sender<Flying>) {
    let (mut air, mut buffer) = (Air::default(), vec![0; MAX_DATAGRAM]);
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let Ok((len, address)) = received else { return };
                if let (Some(at), Some(bytes)) = (path.arrival(Instant::now(), len), buffer.get(..len)) {
                    air.take_off(Flying { at, number: 0, address, bytes: bytes.to_vec() });
                }
            }
            Some(landed) = air.landing() => {
                if deliver.send(landed).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Everything that is on its way in one direction.
#[derive(Default)]
struct Air {
    flying: BinaryHeap<Reverse<Flying>>,
    count: u64,
}

impl Air {
    fn take_off(&mut self, mut flying: Flying) {
        flying.number = self.count;
        self.count += 1;
        self.flying.push(Reverse(flying));
    }

    /// Waits for the next arrival; none, at once, when nothing flies.
    async fn landing(&mut self) -> Option<Flying> {
        let Reverse(next) = self.flying.peek()?;
        tokio::time::sleep_until(next.at.into()).await;
        self.flying.pop().map(|Reverse(landed)| landed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Impairment {
        text.parse().unwrap()
    }

    #[test]
    fn impairments_are_read_and_nonsense_is_refused() {
        let all = net("loss=0.1,delay=50,jitter=10,rate=1000k,seed=7");
        assert_eq!(
            (all.loss, all.delay, all.jitter, all.seed),
            (0.1, Duration::from_millis(50), Duration::from_millis(10), 7)
        );
        assert_eq!(all.rate.map(|rate| rate.kbps()), Some(1000));
        assert_eq!(net("").loss, 0.0);
        for bad in ["loss=2", "loss=NaN", "delay=-1", "delay=1e99", "rate=0", "x=1", "loss", "seed=-1"] {
            assert!(bad.parse::<Impairment>().is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn the_same_seed_loses_the_same_packets_at_the_wanted_rate() {
        let now = Instant::now();
        let fate = |seed| {
            let mut path = Path::new(net(&format!("loss=0.05,seed={seed}")), 0);
            (0..20_000).map(|_| path.arrival(now, 1200).is_none()).collect::<Vec<_>>()
        };
        assert_eq!(fate(1), fate(1));
        assert_ne!(fate(1), fate(2));
        let lost = fate(1).iter().filter(|lost| **lost).count();
        assert!((900..1100).contains(&lost), "{lost}");
    }

    #[test]
    fn a_rate_limit_queues_and_then_drops() {
        let now = Instant::now();
        let mut path = Path::new(net("rate=1000k,delay=10"), 0);
        let arrivals: Vec<_> = (0..100).filter_map(|_| path.arrival(now, 1250)).collect();
        // 10 ms each; the queue takes 200 ms of them
        assert_eq!(arrivals.len(), 21);
        assert_eq!(arrivals[0] - now, Duration::from_millis(20));
        assert_eq!(arrivals[20] - now, Duration::from_millis(220));
    }
}
