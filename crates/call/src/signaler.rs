//! The seam between calls and whatever carries their messages.

use async_trait::async_trait;

use crate::{
    id::PeerId,
    message::{EncodeError, Envelope, ParseError},
};

/// Carries envelopes between peers: two directions, nothing else. It need not keep the order; it should not lose.
#[async_trait]
pub trait Signaler: Send + Sync {
    /// Hands an envelope over for a peer.
    async fn send(&self, to: &PeerId, envelope: &Envelope) -> Result<(), SignalError>;

    /// The next message of anybody; none when no more can come. Dropping the future loses no message.
    async fn receive(&self) -> Option<Incoming>;
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
