use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::{sync::mpsc, time::sleep};

use super::*;
use crate::{
    message::{HangupReason, IceCandidate, Payload},
    signaler::Incoming,
};

/// What is waited for here takes milliseconds; a busy machine gets more.
const LIMIT: Duration = Duration::from_secs(10);

/// What the transport does with an envelope for a peer, by the peer's name.
#[derive(Default)]
struct Wire {
    arrived: Mutex<Vec<(String, u64)>>,
    in_call: Mutex<Vec<(String, bool)>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    ordered: bool,
    tries: AtomicUsize,
}

/// One less under way, also where the try is given up.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Signaler for Wire {
    async fn send(&self, to: &PeerId, envelope: &Envelope) -> Result<(), SignalError> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        let _one = UnderWay(&self.under_way);
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        match to.as_str() {
            "never" => std::future::pending().await,
            "broken" => return Err(SignalError::Unreachable { peer: to.clone(), why: "broken".into() }),
            "second-try" if self.tries.load(Ordering::SeqCst) == 1 => {
                return Err(SignalError::Unreachable { peer: to.clone(), why: "not yet".into() });
            }
            // As a network: the later ones may be faster.
            "jittery" => sleep(Duration::from_millis(20 - envelope.seq % 20)).await,
            _ => {}
        }
        self.arrived.lock().unwrap().push((to.as_str().to_owned(), envelope.seq));
        Ok(())
    }

    async fn receive(&self) -> Option<Incoming> {
        std::future::pending().await
    }

    fn keeps_order(&self) -> bool {
        self.ordered
    }

    fn set_in_call(&self, peer: &PeerId, in_call: bool) {
        self.in_call.lock().unwrap().push((peer.as_str().to_owned(), in_call));
    }
}

impl Wire {
    fn arrived_at(&self, to: &str) -> Vec<u64> {
        self.arrived.lock().unwrap().iter().filter(|(peer, _)| peer == to).map(|(_, seq)| *seq).collect()
    }

    async fn has(&self, to: &str, count: usize) -> Vec<u64> {
        let all = async {
            loop {
                let seqs = self.arrived_at(to);
                if seqs.len() >= count {
                    return seqs;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(LIMIT, all).await.unwrap_or_else(|_| panic!("{count} for {to} never came"))
    }
}

fn sender(wire: &Arc<Wire>) -> (EnvelopeSender, mpsc::UnboundedReceiver<SendFailure>) {
    let (report, failures) = mpsc::unbounded_channel();
    let signaler = Arc::clone(wire) as Arc<dyn Signaler>;
    (EnvelopeSender::new(signaler, move |failure| drop(report.send(failure))), failures)
}

fn envelope(call: &str, seq: u64) -> Envelope {
    let candidate = IceCandidate { candidate: seq.to_string(), ..IceCandidate::end() };
    Envelope::new(call.parse().unwrap(), seq, Payload::IceCandidate { candidate: Some(candidate) })
}

fn hangup(call: &str, seq: u64) -> Envelope {
    Envelope::new(call.parse().unwrap(), seq, Payload::CallHangup { reason: Some(HangupReason::Hangup) })
}

#[tokio::test]
async fn a_peer_that_never_acknowledges_holds_up_nobody_else() {
    let wire = Arc::new(Wire::default());
    let (mut sender, mut failures) = sender(&wire);
    for seq in 0..100_000 {
        sender.send("never".into(), envelope("stuck", seq));
    }
    let start = Instant::now();
    sender.send("good".into(), envelope("call", 1));
    wire.has("good", 1).await;
    println!("another peer was reached after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(1));
    let queued: usize = sender.peers.values().map(|peer| peer.lock().queue.len()).sum();
    let under_way = wire.under_way.load(Ordering::SeqCst);
    println!("100,000 candidates for a peer that never acknowledges: {queued} queued, {under_way} under way");
    assert!(queued <= 260, "{queued}");
    assert!(failures.try_recv().is_err());
}

#[tokio::test]
async fn the_order_is_kept_over_a_transport_that_keeps_none() {
    let wire = Arc::new(Wire::default());
    let (mut sender, _failures) = sender(&wire);
    (0..40).for_each(|seq| sender.send("jittery".into(), envelope("call", seq)));
    assert_eq!(wire.has("jittery", 40).await, (0..40).collect::<Vec<_>>());
    assert_eq!(wire.most_under_way.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn over_a_transport_that_keeps_the_order_several_are_under_way() {
    let wire = Arc::new(Wire { ordered: true, ..Wire::default() });
    let (mut sender, _failures) = sender(&wire);
    (0..40).for_each(|seq| sender.send("jittery".into(), envelope("call", seq)));
    wire.has("jittery", 40).await;
    assert_eq!(wire.most_under_way.load(Ordering::SeqCst), WINDOW);
}

#[tokio::test]
async fn a_hang_up_does_not_wait_for_what_it_makes_pointless() {
    for ordered in [false, true] {
        let wire = Arc::new(Wire { ordered, ..Wire::default() });
        let (mut sender, _failures) = sender(&wire);
        (0..20).for_each(|seq| sender.send("never".into(), envelope("call", seq)));
        let started = async {
            while wire.under_way.load(Ordering::SeqCst) == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, started).await.unwrap();
        let tries = wire.tries.load(Ordering::SeqCst);
        sender.send("never".into(), hangup("call", 21));
        let tried = async {
            while wire.tries.load(Ordering::SeqCst) == tries {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, tried).await.expect("the hang-up is sent");
        assert_eq!(wire.under_way.load(Ordering::SeqCst), 1, "what it made pointless is still being sent");
    }
}

#[tokio::test]
async fn what_failed_is_told_and_sent_again() {
    let wire = Arc::new(Wire::default());
    let (mut sender, mut failures) = sender(&wire);
    sender.send("second-try".into(), envelope("call", 1));
    sender.send("second-try".into(), envelope("call", 2));
    assert_eq!(wire.has("second-try", 2).await, [1, 2]);
    let failure = failures.recv().await.unwrap();
    assert_eq!((failure.call.as_str(), failure.to.as_str()), ("call", "second-try"));
    assert!(failure.error.contains("not yet"), "{failure:?}");
    assert!(failures.try_recv().is_err());
}

#[tokio::test]
async fn a_transport_that_never_answers_is_told_as_a_failure() {
    let wire = Arc::new(Wire::default());
    let (mut sender, mut failures) = sender(&wire);
    sender.try_limit = Duration::from_millis(50);
    sender.send("never".into(), envelope("call", 1));
    let failure = timeout(LIMIT, failures.recv()).await.unwrap().unwrap();
    assert!(failure.error.contains("no acknowledgement"), "{failure:?}");
    // The call ends: nothing is tried any more.
    let before = wire.tries.load(Ordering::SeqCst);
    sender.end_call(&"call".parse().unwrap());
    sleep(2 * queue::RETRY_PAUSE).await;
    assert_eq!(wire.tries.load(Ordering::SeqCst), before);
    assert!(sender.peers.values().all(|peer| !peer.lock().served), "a task that has nothing to do");
}

#[tokio::test]
async fn a_transport_that_fails_at_once_is_not_asked_all_the_time() {
    let wire = Arc::new(Wire::default());
    let (mut sender, _failures) = sender(&wire);
    sender.send("broken".into(), envelope("call", 1));
    sleep(2 * queue::RETRY_PAUSE + queue::RETRY_PAUSE / 2).await;
    let tries = wire.tries.load(Ordering::SeqCst);
    assert!((2..=3).contains(&tries), "{tries} tries in two and a half pauses");
}

#[tokio::test]
async fn only_the_call_that_has_no_room_is_told() {
    let wire = Arc::new(Wire::default());
    let (mut sender, mut failures) = sender(&wire);
    let message = |call: &str| Envelope::new(call.parse().unwrap(), 1, Payload::Ringing);
    (0..=queue::MAX_MESSAGES).for_each(|n| sender.send("never".into(), message(&format!("call-{n}"))));
    let failure = failures.recv().await.unwrap();
    assert_eq!(failure.call.as_str(), format!("call-{}", queue::MAX_MESSAGES));
    sender.send("good".into(), message("other"));
    wire.has("good", 1).await;
    assert!(failures.try_recv().is_err());
}

#[tokio::test]
async fn only_so_many_peers_are_waited_for_and_served_ones_make_room() {
    let wire = Arc::new(Wire::default());
    let (mut sender, mut failures) = sender(&wire);
    for n in 0..3 * MAX_PEERS {
        sender.send(format!("good-{n}").as_str().into(), envelope("call", 1));
        wire.has(&format!("good-{n}"), 1).await;
    }
    assert!(failures.try_recv().is_err());
    assert!(sender.peers.len() <= MAX_PEERS);
    // Only "never" never takes anything: all these names are it.
    let wire = Arc::new(Stuck);
    let (report, mut failures) = mpsc::unbounded_channel();
    let mut sender = EnvelopeSender::new(wire, move |failure| drop(report.send(failure)));
    for n in 0..MAX_PEERS + 2 {
        sender.send(format!("peer-{n}").as_str().into(), envelope("call", 1));
    }
    assert_eq!(failures.recv().await.unwrap().to.as_str(), format!("peer-{MAX_PEERS}"));
    assert_eq!(sender.peers.len(), MAX_PEERS);
}

struct Stuck;

#[async_trait]
impl Signaler for Stuck {
    async fn send(&self, _: &PeerId, _: &Envelope) -> Result<(), SignalError> {
        std::future::pending().await
    }

    async fn receive(&self) -> Option<Incoming> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn the_end_hands_over_what_is_queued_and_does_not_wait_for_who_takes_nothing() {
    let wire = Arc::new(Wire::default());
    let (mut sender, mut failures) = sender(&wire);
    for peer in ["never", "jittery", "good", "broken"] {
        (0..20).for_each(|seq| sender.send(peer.into(), envelope("call", seq)));
        sender.send(peer.into(), hangup("other", 99));
    }
    let (start, limit) = (Instant::now(), Duration::from_secs(2));
    sender.finish(limit).await;
    println!("the end took {:?}", start.elapsed());
    assert!(start.elapsed() < limit + Duration::from_millis(500));
    assert_eq!((wire.has("jittery", 21).await.len(), wire.has("good", 21).await.len()), (21, 21));
    assert_eq!(wire.under_way.load(Ordering::SeqCst), 0, "a try outlasts the end");
    assert!(failures.try_recv().is_ok());
}

#[tokio::test]
async fn the_end_takes_no_time_where_everybody_answers() {
    let wire = Arc::new(Wire::default());
    let (mut sender, _failures) = sender(&wire);
    sender.send("good".into(), envelope("call", 1));
    let start = Instant::now();
    sender.finish(LIMIT).await;
    assert!(start.elapsed() < LIMIT / 2);
    assert_eq!(wire.has("good", 1).await, [1]);
}

#[tokio::test]
async fn the_transport_is_told_once_when_a_call_begins_and_when_it_is_over() {
    let wire = Arc::new(Wire::default());
    let (mut sender, _failures) = sender(&wire);
    let (anna, ben): (PeerId, PeerId) = ("anna".into(), "ben".into());
    for peers in [vec![], vec![&anna], vec![&anna], vec![&anna, &ben], vec![&ben], vec![]] {
        sender.set_in_call(peers.into_iter());
    }
    sender.set_in_call([&anna].into_iter());
    drop(sender);
    let told = |peer: &str, on| (peer.to_owned(), on);
    let all = [
        told("anna", true),
        told("ben", true),
        told("anna", false),
        told("ben", false),
        told("anna", true),
        told("anna", false),
    ];
    assert_eq!(*wire.in_call.lock().unwrap(), all);
}
