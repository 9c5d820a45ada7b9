//! VP8 frames into live WebM: one initialisation segment, then one cluster a frame, so that every frame can
//! be handed on the moment it is there, and a reader can start at any cluster whose frame is a key frame.

use bytes::Bytes;

use super::ebml::{
    CODEC_VP8, DOC_TYPE_WEBM, FLAG_KEY, TIMESTAMP_SCALE_MS, TRACK_TYPE_VIDEO, id, write, write_header,
    write_unknown_header, write_unsigned,
};

/// The number of the one track.
const TRACK: u64 = 1;
/// Track number as a variable-length integer (0x81), timestamp relative to the cluster, flags (RFC 9559
/// section 10.2).
const BLOCK_HEADER_LEN: usize = 4;
/// More than id, size and timestamp elements of a cluster ever take, so that a cluster is one allocation.
const CLUSTER_OVERHEAD: usize = 48;

/// A muxer of one VP8 track.
#[derive(Clone, Debug)]
pub struct Muxer {
    init: Bytes,
    width: u32,
    height: u32,
    last_timestamp_ms: Option<u64>,
}

impl Muxer {
    /// A muxer of pictures of `width` x `height`.
    pub fn new(width: u32, height: u32) -> Self {
        Self { init: init_segment(width, height), width, height, last_timestamp_ms: None }
    }

    /// EBML header, and the start of a segment of unknown size with its track: what a reader needs before any
    /// cluster.
    pub fn init_segment(&self) -> Bytes {
        self.init.clone()
    }

    /// Pixels in a row, and rows, that the initialisation segment states.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Goes on with pictures of another size, from the next frame on, which must be a key frame. Only for
    /// readers yet to come: those before need no new initialisation segment, since a VP8 key frame states its
    /// own size.
    pub fn resize(&mut self, width: u32, height: u32) {
        *self = Self { last_timestamp_ms: self.last_timestamp_ms, ..Self::new(width, height) };
    }

    /// One frame as a cluster. Timestamps in the stream rise strictly: one that does not is moved to 1 ms
    /// after the one before.
    pub fn cluster(&mut self, data: &[u8], key: bool, timestamp_ms: u64) -> Bytes {
        let earliest = self.last_timestamp_ms.map_or(0, |last| last.saturating_add(1));
        let timestamp_ms = timestamp_ms.max(earliest);
        self.last_timestamp_ms = Some(timestamp_ms);

        let mut body = Vec::with_capacity(data.len() + CLUSTER_OVERHEAD);
        let mut head = Vec::with_capacity(CLUSTER_OVERHEAD);
        write_unsigned(&mut head, id::TIMESTAMP, timestamp_ms);
        write_header(&mut head, id::SIMPLE_BLOCK, (BLOCK_HEADER_LEN + data.len()) as u64);
        head.extend_from_slice(&[0x80 | TRACK as u8, 0, 0, if key { FLAG_KEY } else { 0 }]);
        write_header(&mut body, id::CLUSTER, (head.len() + data.len()) as u64);
        body.extend_from_slice(&head);
        body.extend_from_slice(data);
        body.into()
    }
}

fn init_segment(width: u32, height: u32) -> Bytes {
    let mut ebml = Vec::new();
    write_unsigned(&mut ebml, id::EBML_VERSION, 1);
    write_unsigned(&mut ebml, id::EBML_READ_VERSION, 1);
    write_unsigned(&mut ebml, id::EBML_MAX_ID_LENGTH, 4);
    write_unsigned(&mut ebml, id::EBML_MAX_SIZE_LENGTH, 8);
    write(&mut ebml, id::DOC_TYPE, DOC_TYPE_WEBM);
    // SimpleBlock came with version 2.
    write_unsigned(&mut ebml, id::DOC_TYPE_VERSION, 2);
    write_unsigned(&mut ebml, id::DOC_TYPE_READ_VERSION, 2);

    let mut info = Vec::new();
    write_unsigned(&mut info, id::TIMESTAMP_SCALE, TIMESTAMP_SCALE_MS);
    write(&mut info, id::MUXING_APP, b"Ahoy");
    write(&mut info, id::WRITING_APP, b"Ahoy");

    let mut video = Vec::new();
    write_unsigned(&mut video, id::PIXEL_WIDTH, width.into());
    write_unsigned(&mut video, id::PIXEL_HEIGHT, height.into());
    let mut track = Vec::new();
    write_unsigned(&mut track, id::TRACK_NUMBER, TRACK);
    write_unsigned(&mut track, id::TRACK_UID, TRACK);
    write_unsigned(&mut track, id::TRACK_TYPE, TRACK_TYPE_VIDEO);
    write_unsigned(&mut track, id::FLAG_LACING, 0);
    write(&mut track, id::CODEC_ID, CODEC_VP8);
    write(&mut track, id::VIDEO, &video);
    let mut tracks = Vec::new();
    write(&mut tracks, id::TRACK_ENTRY, &track);

    let mut out = Vec::new();
    write(&mut out, id::EBML, &ebml);
    write_unknown_header(&mut out, id::SEGMENT);
    write(&mut out, id::INFO, &info);
    write(&mut out, id::TRACKS, &tracks);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webm::{Demuxer, demux::Frame};

    #[test]
    fn muxed_frames_come_back_out_of_the_demuxer() {
        let mut muxer = Muxer::new(1280, 720);
        let mut demuxer = Demuxer::new();
        assert_eq!(demuxer.push(&muxer.init_segment()), Ok(vec![]));
        // Lengths around those where an element's size takes a byte more.
        for (index, len) in [1, 115, 116, 117, 125, 16_370, 16_380, 2_200_000].into_iter().enumerate() {
            let (data, key) = (vec![index as u8; len], index % 3 == 0);
            let timestamp_ms = [0, 33, 255, 256, 65_536, 1 << 24, 1 << 32, 1 << 40][index];
            let frame = Frame { timestamp_ms, key, data: data.clone().into() };
            assert_eq!(demuxer.push(&muxer.cluster(&data, key, timestamp_ms)), Ok(vec![frame]));
        }
    }

    #[test]
    fn a_cluster_is_one_allocation() {
        let mut muxer = Muxer::new(16, 16);
        for (len, timestamp_ms) in [(1, 0), (200, 1 << 14), (1 << 21, u64::MAX - 1)] {
            let cluster = muxer.cluster(&vec![0; len], true, timestamp_ms);
            assert!(cluster.len() <= len + CLUSTER_OVERHEAD, "{} bytes around {len}", cluster.len() - len);
        }
    }

    #[test]
    fn timestamps_rise_strictly_whatever_comes_and_across_a_change_of_size() {
        let mut muxer = Muxer::new(640, 360);
        let mut stream = muxer.init_segment().to_vec();
        for timestamp_ms in [10, 10, 5, 43] {
            stream.extend_from_slice(&muxer.cluster(b"frame", true, timestamp_ms));
        }
        muxer.resize(320, 180);
        stream.extend_from_slice(&muxer.cluster(b"frame", true, 43));
        let frames = Demuxer::new().push(&stream).expect("a WebM stream");
        assert_eq!(frames.iter().map(|frame| frame.timestamp_ms).collect::<Vec<_>>(), [10, 11, 12, 43, 44]);
    }
}
