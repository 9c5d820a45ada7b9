//! Pictures: from a camera to VP8, and the test pattern that lets any two programs be compared.

pub mod capture;
pub mod convert;
pub mod encode;
pub mod frame;
pub mod pattern;
pub mod scale;
pub mod screen;
pub mod slot;
pub mod small;
pub mod vp8;

pub use frame::{EncodedFrame, I420Frame, I420View};
