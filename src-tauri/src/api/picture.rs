//! Pictures that the shell paints into the page's.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A place in the page where a picture is seen. In pixels of the page, from its upper left corner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Hole {
    /// Tells it from others, and from the same one as it was before.
    pub id: u32,
    /// The stream whose picture is seen there.
    pub stream: String,
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// To the right.
    pub width: f64,
    /// Down.
    pub height: f64,
    /// The colour in whose place the picture is seen, 0xRRGGBB.
    pub key: u32,
    /// The picture fills the hole, and its edges are cut off.
    pub cover: bool,
    /// Left and right change places.
    pub mirrored: bool,
}

/// What became of the picture in a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum PictureNews {
    /// It can be seen.
    Playing,
    /// Its stream is over.
    Ended,
    /// It cannot be shown.
    Failed,
}
