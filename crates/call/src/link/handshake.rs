//! A DTLS handshake that a lossy path does not hold up.
//!
//! The stack sends a flight of the handshake again after 1 s, then 2, and so on (RFC 6347 section 4.2.4.1),
//! and offers no setting for it. At 20 % loss both ways one of the six flights is lost more often than not,
//! and a call that is accepted stays silent for seconds. So a socket keeps the newest flight and sends its
//! datagrams again, soon, until the other side shows that it has gone on: by a message of the handshake that
//! is new, or by media. A message that it repeats says the opposite: it waits for our flight, which is sent
//! again at once (section 4.2.4). A repeated message also stops the stack's own timer for
//! good. A receiver drops what it has already (section 4.2.2).

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

/// First bytes of RTP and RTCP.
const MEDIA: RangeInclusive<u8> = 128..=191;
/// The records of a handshake: ChangeCipherSpec and Handshake (RFC 5246 section 6.2.1). Alerts are not sent
/// again.
const HANDSHAKE: [u8; 2] = [20, 22];
/// Alerts and application data: the other side has gone on.
const GONE_ON: [u8; 2] = [21, 23];
/// A record of the handshake (RFC 5246 section 6.2.1).
const MESSAGE: u8 = 22;
/// Bytes of a record's header, and of a message's until its number has ended (RFC 6347 sections 4.1 and
/// 4.2.2).
const RECORD_HEADER: usize = 13;
const NUMBER_END: usize = 6;
/// When a flight is sent again, each time after the time before. The first is more than the round trip of
/// most paths, so that a flight that was not lost is rarely sent again.
const WAITS: [Duration; 8] = [
    Duration::from_millis(150),
    Duration::from_millis(200),
    Duration::from_millis(300),
    Duration::from_millis(450),
    Duration::from_millis(700),
    Duration::from_millis(1000),
    Duration::from_millis(1000),
    Duration::from_millis(1000),
];
/// A flight that is asked for is sent again at most so often: one that was sent less long ago may just not
/// have come yet.
const ASKED_SPACING: Duration = Duration::from_millis(100);
/// A flight is not sent again for a message that is repeated more often than this: the handshake has failed
/// by then.
const MAX_ASKED: usize = 30;
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
    /// When it left last.
    left: Option<Instant>,
    /// The other side has gone on.
    answered: bool,
    /// The other side has repeated the flight before it.
    asked: bool,
    /// How often that was answered.
    asked_before: usize,
    /// The newest message that came, of all flights.
    heard: Option<Message>,
}

/// Position of a message in the handshake. An encrypted one is the last of its side, so it sorts last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    /// By its number.
    Plain(u16),
    /// Its number cannot be read.
    Encrypted,
}

/// The newest message of a handshake in these records; none where there is none.
fn newest_message(mut records: &[u8]) -> Option<Message> {
    let mut newest = None;
    while let Some((header, rest)) = records.split_first_chunk::<RECORD_HEADER>() {
        let [kind, _, _, epoch_high, epoch_low, .., length_high, length_low] = *header;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (body, next) = rest.split_at_checked(length)?;
        if kind == MESSAGE {
            let number = body.first_chunk::<NUMBER_END>().map(|[.., high, low]| u16::from_be_bytes([*high, *low]));
            let is_plain = [epoch_high, epoch_low] == [0, 0];
            newest = newest.max(if is_plain { number.map(Message::Plain) } else { Some(Message::Encrypted) });
        }
        records = next;
    }
    newest
}

impl Flight {
    /// A datagram leaves; true: when it is due has changed.
    fn sent(&mut self, now: Instant, to: SocketAddr, datagram: &[u8]) -> bool {
        if !datagram.first().is_some_and(|first| HANDSHAKE.contains(first)) {
            return false;
        }
        let follows = self.sent.is_some_and(|sent| now.saturating_duration_since(sent) < ONE_FLIGHT);
        if self.answered || !follows {
            *self = Self { heard: self.heard, ..Self::default() };
        }
        if self.datagrams.len() < MAX_DATAGRAMS {
            self.datagrams.push((to, datagram.to_vec()));
        }
        (self.sent, self.left) = (Some(now), Some(now));
        true
    }

    /// A datagram came from `from`; true: when the flight is due has changed.
    fn received(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let same = |to: &SocketAddr| (to.ip().to_canonical(), to.port()) == (from.ip().to_canonical(), from.port());
        // Nobody else has a say in this handshake.
        let is_stranger = !self.datagrams.is_empty() && !self.datagrams.iter().any(|(to, _)| same(to));
        let Some(first) = datagram.first().filter(|_| !is_stranger) else { return false };
        if MEDIA.contains(first) || GONE_ON.contains(first) {
            self.answered = true;
            return false;
        }
        let Some(message) = HANDSHAKE.contains(first).then(|| newest_message(datagram)).flatten() else { return false };
        if self.heard < Some(message) {
            (self.heard, self.answered) = (Some(message), true);
            return false;
        }
        let lately = self.left.is_none_or(|left| now.saturating_duration_since(left) < ASKED_SPACING);
        self.asked |= !self.answered && !lately && self.asked_before < MAX_ASKED;
        self.asked
    }

    /// When the flight is to be sent again, if it is.
    fn due(&self) -> Option<Instant> {
        if self.asked {
            return self.left;
        }
        let wait: Duration = WAITS.get(..=self.repeats)?.iter().sum();
        let left = self.left.filter(|_| !self.answered)?;
        let soonest = if self.asked_before > 0 { left + ASKED_SPACING } else { left };
        Some(soonest.max(self.sent? + wait))
    }

    /// What is to be sent again at `now`.
    fn take(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        match std::mem::take(&mut self.asked) {
            true => self.asked_before += 1,
            false => self.repeats += 1,
        }
        self.left = Some(now);
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
        let now = Instant::now();
        let mut flight = self.shared.lock();
        // Segments that came as one are of one kind, and records follow each other in one as in several.
        let came = bufs
            .iter()
            .zip(meta.iter())
            .take(count)
            .filter_map(|(buffer, meta)| Some((meta.addr, buffer.get(..meta.len)?)));
        if came.fold(false, |changed, (from, datagram)| flight.received(now, from, datagram) || changed) {
            self.shared.changed.notify_one();
        }
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

    /// A record of kind `kind` in `epoch` with a handshake message of this number.
    fn record(kind: u8, epoch: u8, number: u8) -> Vec<u8> {
        let body = [1, 0, 0, 0, 0, number, 0, 0];
        [&[kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 0, 0, body.len() as u8], &body[..]].concat()
    }

    #[test]
    fn a_flight_without_an_answer_is_sent_again_some_times() {
        let (mut flight, start) = (Flight::default(), Instant::now());
        assert!(flight.sent(start, TO, &RECORD) && flight.sent(start, TO, &[20, 254, 253]));
        assert_eq!(flight.datagrams.len(), 2);
        assert_eq!(repeats(&mut flight, start), [150, 350, 650, 1100, 1800, 2800]);
    }

    #[test]
    fn an_answer_ends_it_and_a_check_of_the_path_does_not() {
        for (first, ends) in [(23, true), (128, true), (191, true), (0, false), (1, false), (22, false), (64, false)] {
            let (mut flight, start) = (Flight::default(), Instant::now());
            flight.sent(start, TO, &RECORD);
            flight.received(start, TO, &[first]);
            assert_eq!(repeats(&mut flight, start).is_empty(), ends, "{first}");
        }
    }

    #[test]
    fn a_message_that_is_new_is_an_answer_and_one_that_is_repeated_asks_for_the_flight_again() {
        let (mut flight, start) = (Flight::default(), Instant::now());
        let hello = record(22, 0, 1);
        assert!(!flight.received(start, TO, &hello));
        flight.sent(start, TO, &RECORD);
        assert!(!flight.received(start + ms(50), TO, &hello), "ours may just not have come yet");
        assert!(flight.received(start + ms(110), TO, &hello));
        assert!(flight.take(start + ms(110)).len() == 1 && flight.take(start + ms(110)).is_empty());
        assert!(!flight.received(start + ms(150), TO, &hello), "not so soon again");
        // Several records in one datagram: the newest counts. Encrypted is newer than any number.
        let finished = [record(22, 0, 2), record(20, 0, 0), record(22, 1, 77)].concat();
        assert!(!flight.received(start + ms(220), TO, &finished));
        assert_eq!(flight.due(), None, "answered");
        flight.sent(start + ms(221), TO, &RECORD);
        assert!(flight.received(start + ms(400), TO, &record(22, 1, 3)), "the last flight is asked for as well");
    }

    #[test]
    fn a_stranger_and_a_flood_of_repeats_do_not_make_us_send() {
        let (mut flight, start) = (Flight::default(), Instant::now());
        let hello = record(22, 0, 1);
        flight.received(start, TO, &hello);
        flight.sent(start, TO, &RECORD);
        let stranger = SocketAddr::new(TO.ip(), 10);
        for datagram in [&hello[..], &[23], &[128]] {
            assert!(!flight.received(start + ms(140), stranger, datagram));
        }
        assert!(flight.due().is_some(), "not answered");
        let mut sent = 0;
        for step in 0..20_000 {
            flight.received(start + ms(step), TO, &hello);
            sent += flight.take(start + ms(step)).len();
        }
        assert!((MAX_ASKED..=MAX_ASKED + WAITS.len()).contains(&sent), "{sent}");
    }

    #[test]
    fn records_that_are_cut_off_or_lie_about_their_length_are_no_messages() {
        let whole = record(22, 0, 9);
        assert_eq!(newest_message(&whole), Some(Message::Plain(9)));
        assert!((0..whole.len()).all(|length| newest_message(&whole[..length]).is_none()));
        let mut lies = whole.clone();
        lies[11] = 255;
        assert_eq!(newest_message(&lies), None);
        assert_eq!(newest_message(&record(22, 0, 9)[..RECORD_HEADER]), None);
    }

    #[test]
    fn a_new_flight_takes_the_place_of_the_last_one() {
        let (mut flight, start) = (Flight::default(), Instant::now());
        flight.sent(start, TO, &RECORD);
        // The stack's own timer.
        flight.sent(start + ms(1000), TO, &[22, 1]);
        assert_eq!(flight.datagrams, [(TO, vec![22, 1])]);
        flight.received(start + ms(1001), TO, &record(22, 0, 2));
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
