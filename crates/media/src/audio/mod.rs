//! Sound: from the microphone to Opus, and from Opus packets to the speaker. Everything between the devices
//! is 48 kHz mono in frames of 10 ms; other rates and channel counts exist only at the devices.

pub mod jitter;
pub mod microphone;
pub mod mixer;
pub mod opus;
pub mod process;
pub mod resample;
pub mod speaker;
pub mod tone;
pub mod wav;

/// Samples a second, of every buffer of this module and of the RTP clock of Opus (RFC 7587 section 4.1).
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples of one [`Frame`]: 10 ms, the step in which sound is processed, mixed and played.
pub const FRAME_SAMPLES: usize = 480;
/// 10 ms of mono sound, full scale at -1 and 1.
pub type Frame = [f32; FRAME_SAMPLES];
