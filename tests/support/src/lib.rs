//! Fixtures that the tests of several crates use: what a machine without hardware lacks.
#![deny(missing_docs)]

pub mod sound;
