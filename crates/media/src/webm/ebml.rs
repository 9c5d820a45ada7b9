//! What muxer and demuxer share: element ids, and EBML's variable-length integers (RFC 8794 sections 4 and
//! 5).

/// Element ids with their length marker (RFC 8794 section 11, RFC 9559 section 5.1).
pub(super) mod id {
    pub const EBML: u32 = 0x1A45_DFA3;
    pub const EBML_VERSION: u32 = 0x4286;
    pub const EBML_READ_VERSION: u32 = 0x42F7;
    pub const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
    pub const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
    pub const DOC_TYPE: u32 = 0x4282;
    pub const DOC_TYPE_VERSION: u32 = 0x4287;
    pub const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const INFO: u32 = 0x1549_A966;
    pub const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
    pub const MUXING_APP: u32 = 0x4D80;
    pub const WRITING_APP: u32 = 0x5741;
    pub const TRACKS: u32 = 0x1654_AE6B;
    pub const TRACK_ENTRY: u32 = 0xAE;
    pub const TRACK_NUMBER: u32 = 0xD7;
    pub const TRACK_UID: u32 = 0x73C5;
    pub const TRACK_TYPE: u32 = 0x83;
    pub const FLAG_LACING: u32 = 0x9C;
    pub const CODEC_ID: u32 = 0x86;
    pub const VIDEO: u32 = 0xE0;
    pub const PIXEL_WIDTH: u32 = 0xB0;
    pub const PIXEL_HEIGHT: u32 = 0xBA;
    pub const CLUSTER: u32 = 0x1F43_B675;
    pub const TIMESTAMP: u32 = 0xE7;
    pub const SIMPLE_BLOCK: u32 = 0xA3;
}

/// The document type of WebM.
pub(super) const DOC_TYPE_WEBM: &[u8] = b"webm";
/// The codec id of VP8.
pub(super) const CODEC_VP8: &[u8] = b"V_VP8";
/// The track type of video (RFC 9559 section 5.1.4.1.3).
pub(super) const TRACK_TYPE_VIDEO: u64 = 1;
/// Nanoseconds of one tick of a timestamp: timestamps are in milliseconds.
pub(super) const TIMESTAMP_SCALE_MS: u64 = 1_000_000;
/// SimpleBlock's flag for a frame that needs no other (RFC 9559 section 10.2).
pub(super) const FLAG_KEY: u8 = 0x80;

/// The start of an element: its id, and its size or `None` where that is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub id: u32,
    pub size: Option<u64>,
    /// Bytes that id and size took.
    pub len: usize,
}

/// Why there is no header at the start of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// More bytes are needed.
    Incomplete,
    /// No further bytes can make it one.
    Invalid,
}

/// The longest id (RFC 8794 section 11.2.4: as EBMLMaxIDLength is written by everybody).
const ID_LEN_MAX: usize = 4;
/// The longest size.
const SIZE_LEN_MAX: usize = 8;

impl Header {
    /// Reads the header at the start of `data`.
    pub fn parse(data: &[u8]) -> Result<Self, NoHeader> {
        let (id, id_len) = vint(data, ID_LEN_MAX)?;
        let (size, size_len) = vint(data.get(id_len..).unwrap_or_default(), SIZE_LEN_MAX)?;
        let marker = 1 << (7 * size_len);
        // All bits set: unknown (RFC 8794 section 6.2).
        let size = (size != 2 * marker - 1).then_some(size & (marker - 1));
        Ok(Self { id: u32::try_from(id).map_err(|_| NoHeader::Invalid)?, size, len: id_len + size_len })
    }
}

/// A variable-length integer with its marker bit, and its length.
fn vint(data: &[u8], len_max: usize) -> Result<(u64, usize), NoHeader> {
    let first = data.first().ok_or(NoHeader::Incomplete)?;
    let len = first.leading_zeros() as usize + 1;
    if len > len_max {
        return Err(NoHeader::Invalid);
    }
    let bytes = data.get(..len).ok_or(NoHeader::Incomplete)?;
    Ok((unsigned(bytes), len))
}

/// An unsigned integer of up to 8 bytes (RFC 8794 section 7.2).
pub(super) fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The children of an element that is wholly there: id and body of each. Ends at the first that is not whole.
pub(super) fn children(mut data: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let header = Header::parse(data).ok()?;
        let rest = data.get(header.len..)?;
        let (body, rest) = rest.split_at_checked(usize::try_from(header.size?).ok()?)?;
        data = rest;
        Some((header.id, body))
    })
}

/// Appends an element.
pub(super) fn write(out: &mut Vec<u8>, id: u32, body: &[u8]) {
    write_header(out, id, body.len() as u64);
    out.extend_from_slice(body);
}

/// Appends an element that holds an unsigned integer.
pub(super) fn write_unsigned(out: &mut Vec<u8>, id: u32, value: u64) {
    let skip = (value.leading_zeros() as usize / 8).min(7);
    write(out, id, value.to_be_bytes().get(skip..).unwrap_or_default());
}

/// Appends id and size of an element whose body follows.
pub(super) fn write_header(out: &mut Vec<u8>, id: u32, size: u64) {
    write_id(out, id);
    // The shortest length whose bits are not all set by the value, since that means "unknown".
    let len = (1..SIZE_LEN_MAX).find(|len| size < (1 << (7 * len)) - 1).unwrap_or(SIZE_LEN_MAX);
    let marked = size | 1 << (7 * len);
    out.extend_from_slice(marked.to_be_bytes().get(8 - len..).unwrap_or_default());
}

/// Appends id and the size "unknown" of an element that ends with the stream.
pub(super) fn write_unknown_header(out: &mut Vec<u8>, id: u32) {
    write_id(out, id);
    // Eight bytes, which is what live muxers write; some readers know no other form.
    out.extend_from_slice(&[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
}

fn write_id(out: &mut Vec<u8>, id: u32) {
    let skip = id.leading_zeros() as usize / 8;
    out.extend_from_slice(id.to_be_bytes().get(skip..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_at_every_length() {
        for size in [0, 1, 126, 127, 128, 16_382, 16_383, 1 << 21, 1 << 28, (1 << 35) - 1, 1 << 49, (1 << 56) - 2] {
            for id in [id::VIDEO, id::DOC_TYPE, id::TIMESTAMP_SCALE, id::CLUSTER] {
                let mut out = Vec::new();
                write_header(&mut out, id, size);
                assert_eq!(Header::parse(&out), Ok(Header { id, size: Some(size), len: out.len() }));
                for cut in 0..out.len() {
                    assert_eq!(Header::parse(&out[..cut]), Err(NoHeader::Incomplete));
                }
            }
        }
    }

    #[test]
    fn unknown_sizes_are_told_from_known_ones_and_overlong_integers_are_refused() {
        let mut out = Vec::new();
        write_unknown_header(&mut out, id::SEGMENT);
        assert_eq!(Header::parse(&out), Ok(Header { id: id::SEGMENT, size: None, len: 12 }));
        assert_eq!(Header::parse(&[0xA3, 0xFF]).map(|header| header.size), Ok(None));
        assert_eq!(Header::parse(&[0x08, 0, 0, 0, 0, 0x80]), Err(NoHeader::Invalid));
        assert_eq!(Header::parse(&[0xA3, 0x00]), Err(NoHeader::Invalid));
    }

    #[test]
    fn unsigned_integers_are_written_in_the_fewest_bytes() {
        for (value, body) in [(0, &[0][..]), (255, &[255]), (256, &[1, 0]), (1_000_000, &[0x0F, 0x42, 0x40])] {
            let mut out = Vec::new();
            write_unsigned(&mut out, id::TIMESTAMP, value);
            assert_eq!(children(&out).collect::<Vec<_>>(), [(id::TIMESTAMP, body)]);
            assert_eq!(unsigned(body), value);
        }
    }
}
