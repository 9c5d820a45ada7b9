//! What passes between the page's own WebRTC and the other side.

use ahoy_call::message::IceCandidate;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A payload of the signaling that the page makes or takes, field for field; and how the page's link is,
/// which stays here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SignalPayload {
    /// A session description to answer.
    CallOffer {
        /// The description.
        sdp: String,
    },
    /// The answer to an offer.
    CallAnswer {
        /// The description.
        sdp: String,
    },
    /// A trickled candidate; one with an empty line: there are no more.
    IceCandidate {
        /// The candidate.
        #[ts(type = "RTCIceCandidateInit")]
        candidate: IceCandidate,
    },
    /// From the page alone: its connection state.
    Link {
        /// How it is.
        state: LinkState,
    },
}

/// Whether media can flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// It can.
    Connected,
    /// It cannot now; another way is being looked for.
    Lost,
}
