//! Either end of a call, and what arrives there.
//!
//! [`end::End`] is an `ahoy-peer`, a page in Chromium, or another program; [`side::Side`] is a person with the
//! app. [`recording`] reads what an `ahoy-peer` writes of the far end, [`ear`] hears what a window's speaker
//! plays. [`changes`] holds calls whose networks change. [`matrix`] notes what was seen to work, for `docs/interop.md`.
#![deny(missing_docs)]

pub mod changes;
pub mod devices;
pub mod ear;
pub mod end;
pub mod matrix;
pub mod recording;
pub mod side;
