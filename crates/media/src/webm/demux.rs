//! Reads back what [`super::mux`] writes: a small demuxer that is strict, so that tests can trust it, and
//! takes bytes in any portions from anywhere.

use std::ops::RangeInclusive;

use bytes::{Buf, Bytes, BytesMut};

use super::ebml::{
    CODEC_VP8, DOC_TYPE_WEBM, FLAG_KEY, Header, NoHeader, TIMESTAMP_SCALE_MS, TRACK_TYPE_VIDEO, children, id, unsigned,
};
use crate::units::VideoFormat;

/// The largest element that is taken whole, and with it the memory that a demuxer holds between two calls.
/// Far over a key frame of [`VideoFormat::MAX_SIDE`] at the coarsest quantizers that live video has.
const ELEMENT_MAX: u64 = 8 << 20;
/// Sides of a picture.
const SIDES: RangeInclusive<u64> = 1..=VideoFormat::MAX_SIDE as u64;

/// One VP8 frame out of a WebM stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Since the start of the stream.
    pub timestamp_ms: u64,
    /// Whether the container calls it a key frame.
    pub key: bool,
    /// The VP8 frame.
    pub data: Bytes,
}

/// Why bytes are not a WebM stream of one VP8 track.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DemuxError {
    /// Neither an id nor a size.
    #[error("no EBML element where one must start")]
    NotEbml,
    /// Known, but not allowed here.
    #[error("element {0:#X} is out of place")]
    OutOfPlace(u32),
    /// Larger than any frame, or than the element around it.
    #[error("element {id:#X} has an impossible size of {size:?} bytes")]
    ElementSize {
        /// The element.
        id: u32,
        /// What it says; `None` is "unknown".
        size: Option<u64>,
    },
    /// Another document type, or a version that asks for more than this reader knows.
    #[error("the EBML document is not WebM")]
    NotWebm,
    /// Not the one VP8 track with timestamps in milliseconds.
    #[error("the segment does not have exactly one VP8 track with a size and millisecond timestamps")]
    Track,
    /// A block with lacing, of another track, or without a frame.
    #[error("a block that holds not exactly one frame of the track")]
    Block,
    /// The first frame of a segment is no key frame.
    #[error("the segment does not start with a key frame")]
    NoKeyFrame,
    /// Time stood still or ran back.
    #[error("timestamp {now_ms} ms follows {before_ms} ms")]
    Timestamp {
        /// Of this frame.
        now_ms: u64,
        /// Of the one before.
        before_ms: u64,
    },
}

/// What must come next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The EBML header.
    Start,
    /// The segment's header.
    Segment,
    /// What describes the track.
    Track,
    /// Clusters, or another EBML header: a reader that starts anew appends another segment.
    Clusters,
    /// The inside of a cluster: bytes left of it, and its timestamp once known.
    Cluster { left: u64, timestamp_ms: Option<u64> },
}

/// A demuxer of live WebM with one VP8 track, as [`super::Muxer`] writes it, several segments in a row
/// included.
#[derive(Debug)]
pub struct Demuxer {
    buffer: BytesMut,
    /// Bytes yet to come of an element that is of no interest.
    skip: u64,
    state: State,
    /// The track's number.
    track: u8,
    key_seen: bool,
    last_timestamp_ms: Option<u64>,
}

impl Default for Demuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl Demuxer {
    /// A demuxer at the start of a stream.
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            skip: 0,
            state: State::Start,
            track: 0,
            key_seen: false,
            last_timestamp_ms: None,
        }
    }

    /// Takes the next bytes of the stream, in portions of any size, and gives the frames that are whole with
    /// them. After an error the stream cannot be read on.
    pub fn push(&mut self, data: &[u8]) -> Result<Vec<Frame>, DemuxError> {
        self.buffer.extend_from_slice(data);
        let mut frames = Vec::new();
        while self.element(&mut frames)? {}
        Ok(frames)
    }

    /// Enters, reads or skips one element; false when more bytes are needed for that.
    fn element(&mut self, frames: &mut Vec<Frame>) -> Result<bool, DemuxError> {
        let skipped = self.buffer.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.buffer.advance(skipped);
        self.skip -= skipped as u64;
        let header = match Header::parse(&self.buffer) {
            Ok(header) => header,
            Err(NoHeader::Incomplete) => return Ok(false),
            Err(NoHeader::Invalid) => return Err(DemuxError::NotEbml),
        };
        match (header.id, self.state) {
            (id::SEGMENT, State::Segment) => {
                self.buffer.advance(header.len);
                self.state = State::Track;
                Ok(true)
            }
            (id::CLUSTER, State::Clusters) => {
                let left = header.size.filter(|&size| size > 0).ok_or(impossible(header))?;
                self.buffer.advance(header.len);
                self.state = State::Cluster { left, timestamp_ms: None };
                Ok(true)
            }
            _ => self.leaf(header, frames),
        }
    }

    /// Reads or skips an element that nothing is entered for.
    fn leaf(&mut self, header: Header, frames: &mut Vec<Frame>) -> Result<bool, DemuxError> {
        let size = header.size.ok_or(impossible(header))?;
        let whole = size.saturating_add(header.len as u64);
        if matches!(self.state, State::Cluster { left, .. } if left < whole) {
            return Err(impossible(header));
        }
        let state = self.state;
        match (header.id, state) {
            (id::EBML, State::Start | State::Clusters)
            | (id::INFO | id::TRACKS, State::Track)
            | (id::TIMESTAMP | id::SIMPLE_BLOCK, State::Cluster { .. }) => {
                if size > ELEMENT_MAX {
                    return Err(impossible(header));
                }
                if (self.buffer.len() as u64) < whole {
                    return Ok(false);
                }
                self.buffer.advance(header.len);
                let body = self.buffer.split_to(size as usize).freeze();
                self.read(header.id, body, frames)?;
            }
            (id::EBML | id::SEGMENT | id::INFO | id::TRACKS | id::CLUSTER | id::TIMESTAMP | id::SIMPLE_BLOCK, _)
            | (_, State::Start | State::Segment) => return Err(DemuxError::OutOfPlace(header.id)),
            (_, State::Track | State::Clusters | State::Cluster { .. }) => {
                self.buffer.advance(header.len);
                self.skip = size;
            }
        }
        if let State::Cluster { left, .. } = &mut self.state {
            *left -= whole;
            if *left == 0 {
                self.state = State::Clusters;
            }
        }
        Ok(true)
    }

    fn read(&mut self, id: u32, body: Bytes, frames: &mut Vec<Frame>) -> Result<(), DemuxError> {
        match (id, &mut self.state) {
            (id::EBML, _) => {
                check_document(&body)?;
                self.state = State::Segment;
            }
            (id::INFO, _) => {
                let scale = child(&body, id::TIMESTAMP_SCALE).map_or(TIMESTAMP_SCALE_MS, unsigned);
                if scale != TIMESTAMP_SCALE_MS {
                    return Err(DemuxError::Track);
                }
            }
            (id::TRACKS, _) => {
                self.track = track(&body).ok_or(DemuxError::Track)?;
                (self.key_seen, self.last_timestamp_ms) = (false, None);
                self.state = State::Clusters;
            }
            (id::TIMESTAMP, State::Cluster { timestamp_ms, .. }) => *timestamp_ms = Some(unsigned(&body)),
            (_, State::Cluster { timestamp_ms, .. }) => {
                let cluster_ms = timestamp_ms.ok_or(DemuxError::OutOfPlace(id))?;
                frames.push(self.block(cluster_ms, body)?);
            }
            _ => return Err(DemuxError::OutOfPlace(id)),
        }
        Ok(())
    }

    /// A SimpleBlock: track number, timestamp relative to the cluster, flags, frame (RFC 9559 section 10.2).
    fn block(&mut self, cluster_ms: u64, mut body: Bytes) -> Result<Frame, DemuxError> {
        const LACING: u8 = 0x06;
        let &[track, high, low, flags] = body.first_chunk().ok_or(DemuxError::Block)?;
        body.advance(4);
        if track != 0x80 | self.track || flags & LACING != 0 || body.is_empty() {
            return Err(DemuxError::Block);
        }
        let offset = i16::from_be_bytes([high, low]);
        let timestamp_ms = cluster_ms.checked_add_signed(offset.into()).ok_or(DemuxError::Block)?;
        if let Some(before_ms) = self.last_timestamp_ms.replace(timestamp_ms).filter(|&last| last >= timestamp_ms) {
            return Err(DemuxError::Timestamp { now_ms: timestamp_ms, before_ms });
        }
        let key = flags & FLAG_KEY != 0;
        self.key_seen |= key;
        match self.key_seen {
            true => Ok(Frame { timestamp_ms, key, data: body }),
            false => Err(DemuxError::NoKeyFrame),
        }
    }
}

fn impossible(header: Header) -> DemuxError {
    DemuxError::ElementSize { id: header.id, size: header.size }
}

/// The first child of that id.
fn child(body: &[u8], id: u32) -> Option<&[u8]> {
    children(body).find_map(|(child, body)| (child == id).then_some(body))
}

fn check_document(body: &[u8]) -> Result<(), DemuxError> {
    // SimpleBlock came with version 2, and later versions changed nothing that is read here.
    const READ_VERSION_MAX: u64 = 2;
    let webm = child(body, id::DOC_TYPE) == Some(DOC_TYPE_WEBM);
    let readable = child(body, id::DOC_TYPE_READ_VERSION).map_or(1, unsigned) <= READ_VERSION_MAX;
    if webm && readable { Ok(()) } else { Err(DemuxError::NotWebm) }
}

/// The number of the one track, if it is VP8 of a sound size.
fn track(body: &[u8]) -> Option<u8> {
    /// Numbers that take one byte in a block; muxers count from 1.
    const NUMBERS: RangeInclusive<u64> = 1..=126;
    let mut entries = children(body).filter(|&(child, _)| child == id::TRACK_ENTRY);
    let ((_, entry), None) = (entries.next()?, entries.next()) else { return None };
    let number = unsigned(child(entry, id::TRACK_NUMBER)?);
    let video = child(entry, id::VIDEO)?;
    let (width, height) = (unsigned(child(video, id::PIXEL_WIDTH)?), unsigned(child(video, id::PIXEL_HEIGHT)?));
    let vp8 = child(entry, id::CODEC_ID)? == CODEC_VP8 && unsigned(child(entry, id::TRACK_TYPE)?) == TRACK_TYPE_VIDEO;
    let sound = vp8 && NUMBERS.contains(&number) && SIDES.contains(&width) && SIDES.contains(&height);
    sound.then_some(number as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webm::{Muxer, ebml};

    fn stream() -> Vec<u8> {
        let mut muxer = Muxer::new(640, 360);
        let mut stream = muxer.init_segment().to_vec();
        for index in 0..4 {
            stream.extend_from_slice(&muxer.cluster(&[index; 300], index == 0, 33 * u64::from(index)));
        }
        stream
    }

    fn init() -> Vec<u8> {
        Muxer::new(640, 360).init_segment().to_vec()
    }

    fn cluster(children: &[(u32, &[u8])]) -> Vec<u8> {
        let (mut body, mut out) = (Vec::new(), Vec::new());
        children.iter().for_each(|(id, data)| ebml::write(&mut body, *id, data));
        ebml::write(&mut out, id::CLUSTER, &body);
        out
    }

    /// The error that a stream of these parts ends with.
    fn error(parts: &[&[u8]]) -> DemuxError {
        Demuxer::new().push(&parts.concat()).expect_err("an error")
    }

    #[test]
    fn a_stream_in_any_portions_gives_the_same_frames() {
        let stream = stream();
        let whole = Demuxer::new().push(&stream).expect("frames");
        assert_eq!(whole.len(), 4);
        for portion in [1, 2, 7, 64, 1000] {
            let mut demuxer = Demuxer::new();
            let frames = stream.chunks(portion).flat_map(|part| demuxer.push(part).expect("frames"));
            assert_eq!(frames.collect::<Vec<_>>(), whole, "in portions of {portion}");
        }
    }

    #[test]
    fn elements_of_no_interest_are_skipped() {
        const VOID: u32 = 0xEC;
        let mut void = Vec::new();
        ebml::write(&mut void, VOID, &[0; 1000]);
        let block = cluster(&[(VOID, &[0; 9]), (id::TIMESTAMP, &[7]), (id::SIMPLE_BLOCK, &[0x81, 0, 1, 0x80, 42])]);
        let frames = Demuxer::new().push(&[init(), void.clone(), block, void].concat()).expect("frames");
        assert_eq!(frames.iter().map(|frame| frame.timestamp_ms).collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn what_breaks_the_format_is_named() {
        let key = |timestamp: u8, track: u8, flags: u8| {
            cluster(&[(id::TIMESTAMP, &[timestamp]), (id::SIMPLE_BLOCK, &[track, 0, 0, flags, 42])])
        };
        let (init, good) = (init(), key(9, 0x81, 0x80));
        let with = |from: &[u8], to: &[u8]| {
            let at = init.windows(from.len()).position(|window| window == from).expect("found in the init segment");
            [&init[..at], to, &init[at + from.len()..]].concat()
        };
        let before_timestamp = cluster(&[(id::SIMPLE_BLOCK, &[0x81, 0, 0, 0x80, 42])]);
        let too_large = [&[0x1F, 0x43, 0xB6, 0x75, 0x82][..], &[0xE7, 0x83]].concat();
        let table: [(&[&[u8]], DemuxError); 13] = [
            (&[&[0; 4]], DemuxError::NotEbml),
            (&[&good], DemuxError::OutOfPlace(id::CLUSTER)),
            (&[&with(b"webm", b"mkvx")], DemuxError::NotWebm),
            (&[&with(&[0x42, 0x85, 0x81, 2], &[0x42, 0x85, 0x81, 9])], DemuxError::NotWebm),
            (&[&with(b"V_VP8", b"V_VP9")], DemuxError::Track),
            (&[&with(&[0x0F, 0x42, 0x40], &[0x0F, 0x42, 0x41])], DemuxError::Track),
            (&[&with(&[0xB0, 0x82, 2, 128], &[0xB0, 0x82, 255, 255])], DemuxError::Track),
            (&[&init, &key(0, 0x81, 0)], DemuxError::NoKeyFrame),
            (&[&init, &key(0, 0x82, 0x80)], DemuxError::Block),
            (&[&init, &key(0, 0x81, 0x82)], DemuxError::Block),
            (&[&init, &before_timestamp], DemuxError::OutOfPlace(id::SIMPLE_BLOCK)),
            (&[&init, &good, &good], DemuxError::Timestamp { now_ms: 9, before_ms: 9 }),
            (&[&init, &too_large], DemuxError::ElementSize { id: id::TIMESTAMP, size: Some(3) }),
        ];
        for (index, (parts, expected)) in table.into_iter().enumerate() {
            assert_eq!(error(parts), expected, "row {index}");
        }
    }

    #[test]
    fn memory_stays_bounded_whatever_sizes_are_stated() {
        let huge = |id: u32, size: u64| {
            let mut out = Vec::new();
            ebml::write_header(&mut out, id, size);
            out
        };
        let block = [init(), huge(id::CLUSTER, 1 << 40), huge(id::SIMPLE_BLOCK, ELEMENT_MAX + 1)].concat();
        let size = Some(ELEMENT_MAX + 1);
        assert_eq!(error(&[&block]), DemuxError::ElementSize { id: id::SIMPLE_BLOCK, size });

        let mut demuxer = Demuxer::new();
        demuxer.push(&[init(), huge(0xEC, 1 << 50)].concat()).expect("void");
        for _ in 0..100 {
            demuxer.push(&[0; 100_000]).expect("more void");
            assert!(demuxer.buffer.len() < 100_000, "what is skipped should not be kept");
        }
    }
}
