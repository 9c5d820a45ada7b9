//! The seam between calls and whatever carries their messages.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::sync::mpsc;

use crate::{
    id::PeerId,
    message::{EncodeError, Envelope, ParseError},
};

/// Carries envelopes between peers: two directions, nothing else. It need not keep the order; it should not
/// lose.
#[async_trait]
pub trait Signaler: Send + Sync {
    /// Hands an envelope over for a peer.
    async fn send(&self, to: &PeerId, envelope: &Envelope) -> Result<(), SignalError>;

    /// The next message of anybody; none when no more can come. Dropping the future loses no message.
    async fn receive(&self) -> Option<Incoming>;

    /// Whether envelopes for one peer arrive in the order in which their sending began, however many are
    /// under way. Where it does not, each waits until the one before it was handed over.
    fn keeps_order(&self) -> bool {
        false
    }

    /// A call with a peer begins (true) or is over (false). While it runs, a lost connection with that peer
    /// is worth looking for all the time.
    fn set_in_call(&self, _peer: &PeerId, _in_call: bool) {}
}

/// What a [`Signaler`] received.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Who sent it, as the transport knows.
    pub from: PeerId,
    /// The envelope, or why it is none.
    pub message: Result<Envelope, ParseError>,
}

/// A message could not be handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// There is no way to the peer now.
    #[error("{peer} cannot be reached ({why}): check that both sides are online")]
    Unreachable {
        /// The peer.
        peer: PeerId,
        /// What the transport said.
        why: String,
    },
    /// The message is too large for any peer.
    #[error(transparent)]
    TooLarge(#[from] EncodeError),
}

/// What [`impaired_pair`] does to messages, the same for the same seed and order of sending.
#[derive(Clone, Copy, Debug)]
pub struct Impairment {
    /// Each message is late by up to this; so they overtake each other.
    pub max_delay: Duration,
    /// Share of the messages that come twice, 0 to 1.
    pub repeated: f64,
    /// Share of the messages that never come, 0 to 1.
    pub lost: f64,
    /// Seed of the chances.
    pub seed: u64,
}

/// One end of a pair of signalers in memory. What one end sends to the other's name, the other receives.
#[derive(Debug)]
pub struct PairedSignaler {
    me: PeerId,
    other: PeerId,
    to: mpsc::Sender<(PeerId, Vec<u8>)>,
    from: tokio::sync::Mutex<mpsc::Receiver<(PeerId, Vec<u8>)>>,
    chances: Option<(Impairment, Mutex<StdRng>)>,
}

/// Messages under way in one direction; a sender waits when there are more.
const PAIR_CAPACITY: usize = 256;

/// Two signalers that carry every message to each other, at once and in order.
pub fn pair(a: PeerId, b: PeerId) -> (PairedSignaler, PairedSignaler) {
    connect(a, b, None)
}

/// Two signalers that carry messages to each other late, in any order, twice, or never. Needs a tokio
/// runtime.
pub fn impaired_pair(a: PeerId, b: PeerId, impairment: Impairment) -> (PairedSignaler, PairedSignaler) {
    connect(a, b, Some(impairment))
}

fn connect(a: PeerId, b: PeerId, impairment: Option<Impairment>) -> (PairedSignaler, PairedSignaler) {
    let (to_a, at_a) = mpsc::channel(PAIR_CAPACITY);
    let (to_b, at_b) = mpsc::channel(PAIR_CAPACITY);
    let end = |me: &PeerId, other: &PeerId, to, from, stream| PairedSignaler {
        me: me.clone(),
        other: other.clone(),
        to,
        from: tokio::sync::Mutex::new(from),
        chances: impairment
            .map(|i| (i, Mutex::new(StdRng::seed_from_u64(i.seed.wrapping_mul(2).wrapping_add(stream))))),
    };
    (end(&a, &b, to_b, at_a, 0), end(&b, &a, to_a, at_b, 1))
}

impl PairedSignaler {
    /// How late each copy of the next message is.
    fn delays(impairment: &Impairment, chances: &Mutex<StdRng>) -> Vec<Duration> {
        let mut chances = chances.lock().unwrap_or_else(PoisonError::into_inner);
        let mut happens = |share: f64| chances.random_bool(share.clamp(0.0, 1.0));
        let copies = match (happens(impairment.lost), happens(impairment.repeated)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        (0..copies).map(|_| impairment.max_delay.mul_f64(chances.random_range(0.0..=1.0))).collect()
    }
}

#[async_trait]
impl Signaler for PairedSignaler {
    async fn send(&self, to: &PeerId, envelope: &Envelope) -> Result<(), SignalError> {
        let unreachable = |why: &str| SignalError::Unreachable { peer: to.clone(), why: why.to_owned() };
        if *to != self.other {
            return Err(unreachable("this pair does not lead there"));
        }
        let message = (self.me.clone(), envelope.to_json()?.into_bytes());
        match &self.chances {
            None => self.to.send(message).await.map_err(|_| unreachable("the other end is gone"))?,
            Some((impairment, chances)) => {
                for delay in Self::delays(impairment, chances) {
                    let (to, message) = (self.to.clone(), message.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        // An end that is gone receives nothing, as on any network.
                        let _ = to.send(message).await;
                    });
                }
            }
        }
        Ok(())
    }

    async fn receive(&self) -> Option<Incoming> {
        let (from, json) = self.from.lock().await.recv().await?;
        Some(Incoming { from, message: Envelope::parse(&json) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Payload;

    fn envelope(seq: u64) -> Envelope {
        Envelope::new("c".parse().unwrap(), seq, Payload::CallAck)
    }

    async fn received(signaler: &PairedSignaler) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some(incoming) = signaler.receive().await {
            seqs.push(incoming.message.unwrap().seq);
        }
        seqs
    }

    #[tokio::test]
    async fn a_pair_carries_messages_in_order_and_ends_with_its_other_end() {
        let (a, b) = pair("a".into(), "b".into());
        for seq in 0..3 {
            a.send(&"b".into(), &envelope(seq)).await.unwrap();
        }
        assert!(matches!(a.send(&"c".into(), &envelope(0)).await, Err(SignalError::Unreachable { .. })));
        drop(a);
        assert_eq!(received(&b).await, [0, 1, 2]);
        assert!(b.send(&"a".into(), &envelope(0)).await.is_err());
    }

    #[tokio::test]
    async fn an_impaired_pair_reorders_repeats_and_loses() {
        let impairment = Impairment { max_delay: Duration::from_millis(20), repeated: 0.3, lost: 0.3, seed: 7 };
        let (a, b) = impaired_pair("a".into(), "b".into(), impairment);
        for seq in 0..50 {
            a.send(&"b".into(), &envelope(seq)).await.unwrap();
        }
        drop(a);
        let seqs = received(&b).await;
        assert!(!seqs.is_sorted(), "nothing overtook anything: {seqs:?}");
        assert!((0..50).any(|seq| !seqs.contains(&seq)), "nothing was lost: {seqs:?}");
        assert!((0..50).any(|seq| seqs.iter().filter(|s| **s == seq).count() == 2), "nothing came twice: {seqs:?}");
    }
}
