//! RTP as this engine speaks it: VP8 payloads, clocks and reports, loss recovery. All of it sans-IO.

pub mod clock;
pub mod media_time;
pub mod playout;
pub mod receive;
pub mod red;
pub mod report;
pub mod sync;
pub mod voice;
pub mod vp8;

/// RTP clock of every video stream (RFC 7741 section 6.1).
pub const VIDEO_CLOCK_HZ: u32 = 90_000;
/// RTP clock of every Opus stream (RFC 7587 section 4.1).
pub const AUDIO_CLOCK_HZ: u32 = 48_000;
