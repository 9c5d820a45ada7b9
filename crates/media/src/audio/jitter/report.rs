//! What a jitter buffer tells of itself.

/// What the frame from [`JitterBuffer::pull`](super::JitterBuffer::pull) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// The sender's sound.
    Sound,
    /// A guess at missing sound, at least at its end.
    Concealed,
    /// The sender is silent; this is its background noise.
    Comfort,
    /// Nothing came yet, or nothing for long.
    Silence,
}

/// What is being played, for lip sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Playing {
    /// The source.
    pub ssrc: u32,
    /// RTP timestamp of the first sample of the frame pulled last.
    pub timestamp: u32,
}

/// How the buffer is doing. Counts are totals since the buffer was made; samples are of 48 kHz.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JitterStats {
    /// Delay aimed at, from a packet's capture being complete to its first sample being played, in ms; a
    /// packet's own length is in it.
    pub target_ms: f32,
    /// Sound waiting, decoded or not, in ms.
    pub buffered_ms: f32,
    /// Samples played since the first packet.
    pub total_samples: u64,
    /// Of these, guesses at missing sound. Counted when a gap ends: only then loss can be told from the
    /// sender's silence.
    pub concealed_samples: u64,
    /// Samples left out by time-stretch.
    pub accelerated_samples: u64,
    /// Samples put in by time-stretch.
    pub decelerated_samples: u64,
    /// Packets not there when they were to be played, whether they came later or never.
    pub lost: u64,
    /// Of the lost ones, those that came later.
    pub late: u64,
    /// Of the lost ones, those restored, by half or more, from what a later packet repeated or described
    /// (FEC, DRED, or redundancy by RFC 2198).
    pub recovered: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets dropped because the delay had grown over its bound.
    pub dropped: u64,
    /// Packets that are too large, are not Opus, or seemed to be of another stream and were not confirmed.
    pub refused: u64,
    /// What is being played.
    pub playing: Option<Playing>,
}
