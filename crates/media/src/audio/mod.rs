//! Sound: devices to Opus and back.

/// Samples a second everywhere between the devices.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples of one 10 ms mono frame.
pub const FRAME_SAMPLES: usize = 480;
/// 10 ms of mono sound, full scale 1.0.
pub type Frame = [f32; FRAME_SAMPLES];

pub mod microphone;
pub mod mixer;
pub mod opus;
pub mod process;
pub mod resample;
pub mod speaker;
pub mod tone;
pub mod wav;
