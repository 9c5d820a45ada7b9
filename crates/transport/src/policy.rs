//! What the transport asks of whoever remembers.

use async_trait::async_trait;
use iroh::EndpointId;

use crate::{InviteToken, Whereabouts};

/// Somebody who is no contact yet. The key is certain; the rest is what they said of themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Whose key it is.
    pub peer: EndpointId,
    /// What they call themselves: one line of at most [`crate::MAX_NAME_CHARS`] characters, none of them a
    /// control character.
    pub name: Option<String>,
    /// Where they can be looked for.
    pub whereabouts: Whereabouts,
}

/// What became of an attempt to use an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// The newcomer is a contact now. The same newcomer gets the same answer again, having perhaps missed the
    /// first.
    Accepted,
    /// Somebody used it before.
    Used,
    /// Too late.
    Expired,
    /// No such invite was issued, or it was withdrawn.
    Unknown,
}

/// Decides on people who are no contacts. Asked from async tasks: what blocks goes to a blocking thread.
#[async_trait]
pub trait Policy: Send + Sync {
    /// Uses an invite for somebody. With [`Redemption::Accepted`] the newcomer must be remembered as a
    /// contact: the transport then treats it as one, and says so by [`crate::Event::Introduced`].
    async fn redeem(&self, token: &InviteToken, newcomer: &Newcomer) -> Redemption;

    /// Keeps a contact request; `text` is one line of at most [`crate::MAX_REQUEST_CHARS`] characters. False
    /// when it could not be kept. The transport has seen to it that few of them come.
    async fn request(&self, newcomer: &Newcomer, text: Option<&str>) -> bool;
}
