//! How long and how much, with the reasons.

use std::time::Duration;

/// How long it rings: a phone's voice mail takes over at 20 to 30 s, and walking to a desk takes longer.
pub const RING_LIMIT: Duration = Duration::from_secs(45);

/// From acceptance to media: a relayed path over a bad line takes 5 s; after 20 s nobody believes in it any
/// more.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// How long a lost connection is looked for: a change of network takes 5 to 15 s until there are addresses
/// again.
pub const RECONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How long the callee leaves the first ICE restart to the caller, so that their offers do not cross each
/// time. Longer than an offer takes over good signaling; where they cross all the same, the caller's wins.
pub const RESTART_GRACE: Duration = Duration::from_millis(500);

/// Time between ICE restarts of one side: gathering and checking over a bad line must fit in.
pub const RESTART_INTERVAL: Duration = Duration::from_secs(5);

/// Until a restart that an open exchange held up is tried again.
pub const RESTART_RETRY: Duration = Duration::from_millis(200);

/// Candidates taken from one peer in one ICE generation, kept early ones included. An honest peer with many
/// interfaces and relays has 30.
pub const MAX_CANDIDATES: usize = 256;

/// Messages of one peer that are remembered to recognise repeated ones: all candidates of a generation fit
/// in.
pub const REMEMBERED_MESSAGES: usize = 512;

/// Ended calls that are remembered, so that late and repeated messages do not ring again or count as strange.
pub const REMEMBERED_CALLS: usize = 256;

/// Ended calls that are remembered of one peer. A peer that makes more while a message can still be late is
/// flooding.
pub const REMEMBERED_CALLS_OF_ONE: usize = 16;

/// Offers of one peer that are answered at once. A peer that changes its media a few times in a row has
/// fewer.
pub const OFFERS_AT_ONCE: u32 = 10;

/// Time between further offers that are answered. Each costs both sides some milliseconds of work.
pub const OFFER_EVERY: Duration = Duration::from_secs(1);

/// An offer without an answer is sent again after this: an answer takes some 20 ms and the way there and
/// back, and three packets in a row that get lost cost QUIC two to three seconds.
pub const OFFER_REPEAT_INTERVAL: Duration = Duration::from_secs(4);

/// How often it is sent again: until any of the limits above ends the call.
pub const MAX_OFFER_REPEATS: u32 = 6;

/// Candidates that are sent again with a description. An honest side has 30, and [`MAX_CANDIDATES`] of the
/// other side must last for all repetitions.
pub const REPEATED_CANDIDATES: usize = 32;
