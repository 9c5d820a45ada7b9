//! Video on its way to the page: VP8 in WebM, one frame a cluster, kept by a hub for whoever reads.
//!
//! The format is Matroska (RFC 9559) in EBML (RFC 8794), as restricted by WebM. What is written is a live
//! stream: a segment of unknown size, no duration, no cues.

pub mod demux;
mod ebml;
pub mod hub;
pub mod mux;

pub use demux::{DemuxError, Demuxer};
pub use hub::{Chunk, Cursor, Hub, HubError, StreamId, StreamWriter};
pub use mux::Muxer;
