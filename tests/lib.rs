//! Either end of a call, an `ahoy-peer` or a page in Chromium, and what arrives there.
//!
//! [`end::End`] is what a test holds; [`recording`] reads what an `ahoy-peer` writes of the far end, [`ear`]
//! hears what a window's speaker plays; [`matrix`] notes what was seen to work, for `docs/interop.md`.
#![deny(missing_docs)]

pub mod ear;
pub mod end;
pub mod matrix;
pub mod recording;
