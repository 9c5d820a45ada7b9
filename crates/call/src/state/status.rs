//! The states a call and its participants go through.

use std::fmt;

use crate::{
    event::Side,
    message::HangupReason,
    state::limits::{CONNECT_LIMIT, RECONNECT_LIMIT},
};

/// Where a call stands. It is the state of its most advanced participant.
///
/// ```text
///                ringing               call-ack               link connected
///  Initiating ------------> Ringing -----------> Connecting ----------------> Active
///      |      call-ack         |                     |                    hold | ^ resume,
///      +-----------------------|-------------------->|           by either side v | by all who held
///      |                       |                     |                        OnHold
///      |                       |                     |                           |
///      +-----------------------+----------+----------+---------------------------+
///                                         | hang-up, decline, busy, ring limit -> Ended
///                                         | connect or reconnect limit, errors -> Failed
/// ```
/// An incoming call starts at `Ringing` and goes on by being accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// The request is on its way.
    Initiating,
    /// It rings, at the other side or here.
    Ringing,
    /// Accepted; the connection is being made.
    Connecting,
    /// Connected.
    Active,
    /// Connected; nothing is sent.
    OnHold,
    /// Over, as somebody wished or after nobody answered.
    Ended {
        /// Why.
        reason: HangupReason,
        /// Who ended it.
        by: Side,
    },
    /// Over, against everybody's wish.
    Failed(CallError),
}

impl CallStatus {
    /// Whether the call is over: nothing follows.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Ended { .. } | Self::Failed(_) => true,
            Self::Initiating | Self::Ringing | Self::Connecting | Self::Active | Self::OnHold => false,
        }
    }
}

/// Where a participant of a call stands, as this side sees it.
///
/// ```text
///            ringing            call-ack / accept            link connected
///  Invited ----------> Ringing -------------------> Connecting -----------> Connected
///     |    call-ack       |                                            lost | ^ link connected
///     +-------------------|-------------------> Connecting                  v |
///     |                   |                                            Disconnected (ICE restarts)
///     +-------------------+--> Declined
/// ```
/// The participant leaves the call from any of these by hanging up, or when its limit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParticipantStatus {
    /// Was sent a request, and has said nothing yet.
    Invited,
    /// It rings at the participant; or here, on its behalf.
    Ringing,
    /// Accepted; the connection is being made.
    Connecting,
    /// Media can flow.
    Connected,
    /// The connection was lost and is being looked for.
    Disconnected,
    /// Said no, or said nothing.
    Declined,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No connection within [`CONNECT_LIMIT`].
    #[error(
        "No connection could be made within {} seconds. Check both sides' network; behind strict firewalls a relay (TURN server) is needed.",
        CONNECT_LIMIT.as_secs()
    )]
    ConnectTimeout,
    /// The connection was lost, and not found within [`RECONNECT_LIMIT`].
    #[error(
        "The connection was lost and did not come back within {} seconds. Check the network and call again.",
        RECONNECT_LIMIT.as_secs()
    )]
    ConnectionLost,
    /// The link broke for good.
    #[error("The connection broke ({0}). Call again.")]
    Link(String),
    /// The sides have no common ground.
    #[error("The other side's session description cannot be used ({0}). Bring both sides up to date.")]
    Negotiation(String),
    /// The other side could not be told.
    #[error("The other side could not be reached ({0}). Check that both sides are online and call again.")]
    Signaling(String),
}

/// In plain words, for a user.
impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, by) = match self {
            Self::Initiating => return f.write_str("Calling."),
            Self::Ringing => return f.write_str("Ringing."),
            Self::Connecting => return f.write_str("Connecting."),
            Self::Active => return f.write_str("Connected."),
            Self::OnHold => return f.write_str("On hold."),
            Self::Failed(error) => return error.fmt(f),
            Self::Ended { reason, by } => (reason, by),
        };
        f.write_str(match (reason, by) {
            (HangupReason::Hangup, Side::Local) => "You hung up.",
            (HangupReason::Hangup, Side::Remote) => "The other side hung up.",
            (HangupReason::Declined, Side::Local) => "You declined the call.",
            (HangupReason::Declined, Side::Remote) => "The other side declined the call.",
            (HangupReason::Busy, Side::Local) => "You are in another call.",
            (HangupReason::Busy, Side::Remote) => "The other side is in another call.",
            (HangupReason::Timeout, Side::Local) => "Nobody answered in time.",
            (HangupReason::Timeout, Side::Remote) => "The call was not answered in time.",
            (HangupReason::Failed, Side::Local) => "The call failed.",
            (HangupReason::Failed, Side::Remote) => "The call failed at the other side.",
            (HangupReason::Glare, Side::Local | Side::Remote) => {
                "You called each other at once; the other call goes on."
            }
            (HangupReason::Other(word), Side::Local | Side::Remote) => {
                return write!(f, "The call was ended ({word}).");
            }
        })
    }
}
