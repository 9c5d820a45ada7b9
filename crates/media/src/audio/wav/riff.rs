//! The head of a WAV file: its chunks up to the samples.
//!
//! Sources: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF);
//! Microsoft, "Multiple Channel Audio Data and WAVE Files" (WAVE_FORMAT_EXTENSIBLE); EBU Tech 3306 (RF64);
//! ITU-R BS.2088 (BW64). Files in the field break these rules in ways that every player forgives; each such
//! way is named where it is forgiven.

use std::io::{self, Read};

use super::sample::Coding;

/// `wFormatTag` of integer samples.
const TAG_PCM: u16 = 1;
/// `wFormatTag` of IEEE floats.
const TAG_FLOAT: u16 = 3;
/// `wFormatTag` that refers to a GUID.
const TAG_EXTENSIBLE: u16 = 0xfffe;
/// What follows the format tag in a GUID of `KSDATAFORMAT_SUBTYPE_*`.
const SUBTYPE_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
/// Bytes of the format chunk that mean something: a whole `WAVEFORMATEXTENSIBLE`.
const FORMAT_LEN: usize = 40;
/// The shortest format chunk: a `PCMWAVEFORMAT`.
const FORMAT_LEN_MIN: usize = 16;

/// Programs that write into a pipe cannot go back to fill in the size. They leave 0, 0xFFFFFFFF (ffmpeg),
/// 0x7FFFF000 (sox), or 2 GiB less or plus a header (arecord). From here on a size promises nothing: sound
/// that really is that large is over ten minutes in any usual format.
const OPEN_FROM: u32 = 0x7fff_0000;
/// A 64-bit size that promises nothing: RF64 leaves the field at 0 or at all ones.
const OPEN_FROM_64: u64 = 1 << 62;
/// Bytes before the samples: cover pictures and edit lists have a few MB; an endless pipe that is no WAV ends
/// here.
const MAX_HEAD: u64 = 64 << 20;

/// Chunks that stand beside the samples in files in the field. By these names a chunk without its pad byte is
/// told from one with it, and an empty `data` chunk from one whose size was never filled in.
const KNOWN_CHUNKS: [&[u8; 4]; 26] = [
    b"fmt ", b"data", b"LIST", b"fact", b"bext", b"JUNK", b"junk", b"PEAK", b"cue ", b"smpl", b"inst", b"plst",
    b"id3 ", b"ID3 ", b"iXML", b"_PMX", b"afsp", b"FLLR", b"PAD ", b"ds64", b"minf", b"elm1", b"umid", b"chna",
    b"axml", b"DISP",
];

/// What stands before the samples, and how many bytes of them were promised.
#[derive(Debug)]
pub(super) struct Head {
    pub format: Format,
    pub data: DataLength,
    /// Bytes read already that belong to the samples.
    pub lead: Vec<u8>,
}

/// How long the samples are, by the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataLength {
    /// So many bytes.
    Bytes(u64),
    /// The size was left open: up to the end of the file.
    Open,
}

/// How the samples are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub channels: u16,
    pub sample_rate: u32,
    pub coding: Coding,
}

/// Why there is no [`Head`].
#[derive(Debug)]
pub(super) enum HeadError {
    Io(io::Error),
    /// No byte at all.
    Empty,
    /// What is wrong with the file.
    Format(String),
}

impl From<io::Error> for HeadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<&str> for HeadError {
    fn from(reason: &str) -> Self {
        Self::Format(reason.to_owned())
    }
}

const ENDS_EARLY: &str = "it ends before its sound begins";

/// Reads up to the first sample.
pub(super) fn read_head(input: &mut impl Read) -> Result<Head, HeadError> {
    let mut start = [0; 12];
    let read = fill(input, &mut start)?;
    let (magic, kind) = (start.first_chunk::<4>(), start.last_chunk::<4>());
    match magic {
        _ if read == 0 => return Err(HeadError::Empty),
        Some(b"RIFF" | b"RF64" | b"BW64") if read < start.len() => return Err(ENDS_EARLY.into()),
        Some(b"RIFF" | b"RF64" | b"BW64") => {}
        Some(b"RIFX") => return Err("it is RIFX, whose numbers are big-endian".into()),
        _ => return Err("it does not begin with RIFF".into()),
    }
    if kind != Some(b"WAVE") {
        return Err("it is a RIFF file of another kind than WAVE".into());
    }
    let mut chunks = Chunks { input, read: 0, odd: false };
    let (mut format, mut long_data) = (None, None);
    loop {
        let (id, size) = chunks.next()?.ok_or(ENDS_EARLY)?;
        match &id {
            b"ds64" => {
                let mut sizes = [0; 16];
                chunks.take(&mut sizes, size)?;
                long_data = sizes.last_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
            }
            // A second one would contradict the first.
            b"fmt " if format.is_none() => {
                let mut chunk = [0; FORMAT_LEN];
                let len = chunks.take(&mut chunk, size)?;
                format = Some(parse_format(chunk.get(..len).unwrap_or_default())?);
            }
            b"data" => {
                let format = format.ok_or("its samples come before their format")?;
                return chunks.data(format, size, long_data);
            }
            _ => chunks.skip(u64::from(size))?,
        }
    }
}

/// Walks the chunks of a file that need not be seekable.
struct Chunks<'a, R> {
    input: &'a mut R,
    read: u64,
    /// The chunk just read has an odd size, so a pad byte should follow.
    odd: bool,
}

impl<R: Read> Chunks<'_, R> {
    /// The name and size of the next chunk; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<([u8; 4], u32)>, HeadError> {
        let mut id = [0; 4];
        if self.fill(&mut id)? < id.len() {
            return Ok(None);
        }
        // Some writers forget the pad byte.
        if std::mem::take(&mut self.odd) && !KNOWN_CHUNKS.contains(&&id) {
            id.rotate_left(1);
            if self.fill(id.last_mut().map(std::slice::from_mut).unwrap_or_default())? == 0 {
                return Ok(None);
            }
        }
        let mut size = [0; 4];
        if self.fill(&mut size)? < size.len() {
            return Ok(None);
        }
        let size = u32::from_le_bytes(size);
        self.odd = size % 2 == 1;
        Ok(Some((id, size)))
    }

    /// Reads the beginning of a chunk of `size` bytes into `to`, as far as both go, and skips the rest.
    fn take(&mut self, to: &mut [u8], size: u32) -> Result<usize, HeadError> {
        let wanted = to.len().min(usize::try_from(size).unwrap_or(usize::MAX));
        let read = self.fill(to.get_mut(..wanted).unwrap_or_default())?;
        if read < wanted {
            return Err(ENDS_EARLY.into());
        }
        self.skip(u64::from(size) - read as u64)?;
        Ok(read)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), HeadError> {
        if bytes > MAX_HEAD || self.read > MAX_HEAD {
            return Err(HeadError::Format(format!("no sound comes within its first {} MiB", MAX_HEAD >> 20)));
        }
        self.read += io::copy(&mut self.input.by_ref().take(bytes), &mut io::sink())?;
        Ok(())
    }

    fn fill(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = fill(self.input, to)?;
        self.read += read as u64;
        Ok(read)
    }

    /// The samples begin here.
    fn data(mut self, format: Format, size: u32, long: Option<u64>) -> Result<Head, HeadError> {
        let mut lead = Vec::new();
        let data = match (size, long) {
            (u32::MAX, Some(long)) if (1..OPEN_FROM_64).contains(&long) => DataLength::Bytes(long),
            (OPEN_FROM.., _) => DataLength::Open,
            (1.., _) => DataLength::Bytes(u64::from(size)),
            // Empty, or never filled in. An empty one is followed by nothing, or by another chunk.
            (0, _) => {
                let mut next = [0; 4];
                let read = self.fill(&mut next)?;
                lead.extend(next.into_iter().take(read));
                if KNOWN_CHUNKS.contains(&&next) { DataLength::Bytes(0) } else { DataLength::Open }
            }
        };
        Ok(Head { format, data, lead })
    }
}

/// Fills `to` as far as the input goes: a pipe may give one byte at a time.
pub(super) fn fill(input: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = to.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What a format chunk says. `cbSize` is not looked at: the chunk's own size says as much, and writers get it
/// wrong.
fn parse_format(chunk: &[u8]) -> Result<Format, HeadError> {
    if chunk.len() < FORMAT_LEN_MIN {
        return Err(HeadError::Format(format!("its format has {} bytes instead of 16 or more", chunk.len())));
    }
    let number =
        |at: usize| chunk.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_le_bytes(*bytes));
    let (tag, channels, block, bits) = (number(0), number(2), number(12), number(14));
    let sample_rate = u32::from(number(4)) | u32::from(number(6)) << 16;
    let tag = match tag {
        TAG_EXTENSIBLE if chunk.len() < FORMAT_LEN => {
            return Err("its extensible format is cut off".into());
        }
        TAG_EXTENSIBLE if chunk.get(26..FORMAT_LEN) != Some(&SUBTYPE_TAIL) => {
            return Err("its samples are neither integers nor floats".into());
        }
        TAG_EXTENSIBLE => number(24),
        tag => tag,
    };
    // A sample's container is what the frame leaves for it; where the frame size is nonsense, what the bits
    // need.
    let needed = bits.div_ceil(8);
    let container = block.checked_div(channels).filter(|bytes| bytes * channels == block && *bytes >= needed);
    let coding = match (tag, container.unwrap_or(needed)) {
        _ if channels == 0 => return Err("it has no channels".into()),
        _ if bits == 0 => return Err("its samples have no bits".into()),
        (TAG_PCM, 1) => Coding::Unsigned8,
        (TAG_PCM, 2) => Coding::Signed16,
        (TAG_PCM, 3) => Coding::Signed24,
        (TAG_PCM, 4) => Coding::Signed32,
        (TAG_FLOAT, 4) => Coding::Float32,
        (TAG_FLOAT, 8) => Coding::Float64,
        (TAG_PCM, _) => return Err(HeadError::Format(format!("integers of {bits} bits a sample"))),
        (TAG_FLOAT, _) => return Err(HeadError::Format(format!("floats of {bits} bits a sample"))),
        (tag, _) => return Err(HeadError::Format(format!("its samples are compressed, {}", compression(tag)))),
    };
    Ok(Format { channels, sample_rate, coding })
}

/// The usual name of a compressed format (`mmreg.h`).
fn compression(tag: u16) -> String {
    match tag {
        0x0002 => "by Microsoft ADPCM".into(),
        0x0006 => "by A-law".into(),
        0x0007 => "by \u{b5}-law".into(),
        0x0011 => "by IMA ADPCM".into(),
        0x0055 => "by MP3".into(),
        tag => format!("format {tag:#06x}"),
    }
}
