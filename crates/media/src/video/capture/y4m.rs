//! YUV4MPEG2 (`.y4m`) files: a line of parameters, then raw pictures, each after a `FRAME` line (yuv4mpeg(5) of
//! mjpegtools). Read are the 4:2:0 kinds with 8 bits a sample, which is what cameras, ffmpeg and Chromium's fake
//! camera use.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use crate::{
    units::VideoFormat,
    video::{I420Frame, convert},
};

/// A line longer than this is not a Y4M header: real ones have under 100 bytes, plus comments.
const MAX_LINE: u64 = 1024;
/// ffmpeg's rate for files that name none.
const DEFAULT_RATE: (u32, u32) = (25, 1);

/// Why a file cannot be played as Y4M.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Y4mError {
    /// The system cannot read it.
    #[error("{0}")]
    Io(String),
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It does not start as a Y4M file does.
    #[error("it is not a Y4M file (convert it: ffmpeg -i INPUT -pix_fmt yuv420p OUTPUT.y4m)")]
    NotY4m,
    /// A parameter of the header makes no sense.
    #[error("its header is damaged at {0:?}")]
    BadParameter(String),
    /// Another chroma subsampling or bit depth.
    #[error("its pictures are {0:?}, and only 4:2:0 with 8 bits is played (convert it with ffmpeg -pix_fmt yuv420p)")]
    UnsupportedColour(String),
    /// Too large or too small.
    #[error("its pictures are {width}x{height}; played are {min} to {max} a side", min = VideoFormat::MIN_SIDE, max = VideoFormat::MAX_SIDE)]
    UnsupportedSize {
        /// Pixels in a row; 0 where the header does not say.
        width: u32,
        /// Rows; 0 where the header does not say.
        height: u32,
    },
    /// What stands between two pictures is no frame header.
    #[error("it is damaged after picture {after}")]
    BadFrame {
        /// How many pictures came before.
        after: u64,
    },
    /// The header is good, but no whole picture follows.
    #[error("it holds no whole picture")]
    NoPictures,
}

impl From<io::Error> for Y4mError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// What the header of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second, as a fraction.
    pub rate: (u32, u32),
    /// Whether samples span 0 to 255 instead of 16 to 235 (ffmpeg's `XCOLORRANGE=FULL`).
    full_range: bool,
}

impl Header {
    /// Size and rate, the rate rounded to whole frames a second.
    pub fn format(&self) -> VideoFormat {
        let (frames, seconds) = self.rate;
        let fps = (f64::from(frames) / f64::from(seconds)).round() as u32;
        VideoFormat { width: self.width, height: self.height, fps: fps.clamp(1, VideoFormat::MAX_FPS) }
    }
}

/// Reads the pictures of a Y4M file one by one. Memory: one buffered block, whatever the header claims.
pub struct Reader<R> {
    input: BufReader<R>,
    header: Header,
    header_len: u64,
    frames: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    pub fn new(input: R) -> Result<Self, Y4mError> {
        let mut input = BufReader::new(input);
        let line = read_line(&mut input)?.ok_or(Y4mError::NotY4m)?;
        if line.is_empty() {
            return Err(Y4mError::Empty);
        }
        let header = parse_header(&line)?;
        Ok(Self { input, header, header_len: line.len() as u64, frames: 0 })
    }

    /// What the header says.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Reads the next picture into `frame`, giving it its size; false at the end of the file. A last picture that
    /// is cut off counts as the end.
    pub fn next_frame(&mut self, frame: &mut I420Frame) -> Result<bool, Y4mError> {
        let bad_frame = Y4mError::BadFrame { after: self.frames };
        let line = read_line(&mut self.input)?.ok_or_else(|| bad_frame.clone())?;
        if b"FRAME\n".starts_with(&line) && line.len() < b"FRAME\n".len() {
            return Ok(false);
        }
        match line.strip_prefix(b"FRAME") {
            Some([b'\n' | b' ', ..]) => {}
            _ => return Err(bad_frame),
        }
        frame.resize(self.header.width, self.header.height);
        let (y, u, v) = frame.planes_mut();
        for plane in [&mut *y, &mut *u, &mut *v] {
            match self.input.read_exact(plane) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                result => result?,
            }
        }
        if self.header.full_range {
            convert::luma_to_limited_range(y);
            convert::chroma_to_limited_range(u);
            convert::chroma_to_limited_range(v);
        }
        self.frames += 1;
        Ok(true)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Goes back to the first picture.
    pub fn rewind(&mut self) -> Result<(), Y4mError> {
        self.input.seek(SeekFrom::Start(self.header_len))?;
        self.frames = 0;
        Ok(())
    }
}

/// A line with its end, an unended or empty one at the end of the file; `None` where the line is too long.
fn read_line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, Y4mError> {
    let mut line = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut line)?;
    Ok((line.len() < MAX_LINE as usize || line.ends_with(b"\n")).then_some(line))
}

fn parse_header(line: &[u8]) -> Result<Header, Y4mError> {
    let line = line.strip_prefix(b"YUV4MPEG2").and_then(|rest| rest.strip_suffix(b"\n")).ok_or(Y4mError::NotY4m)?;
    let line = std::str::from_utf8(line).map_err(|_| Y4mError::NotY4m)?;
    let mut header = Header { width: 0, height: 0, rate: DEFAULT_RATE, full_range: false };
    for parameter in line.split_ascii_whitespace() {
        let bad = || Y4mError::BadParameter(parameter.to_owned());
        let mut rest = parameter.chars();
        let tag = rest.next();
        let value = rest.as_str();
        match tag {
            Some('W') => header.width = value.parse().map_err(|_| bad())?,
            Some('H') => header.height = value.parse().map_err(|_| bad())?,
            Some('F') => header.rate = parse_rate(value).ok_or_else(bad)?,
            Some('C') if !matches!(value, "420" | "420jpeg" | "420mpeg2" | "420paldv") => {
                return Err(Y4mError::UnsupportedColour(value.to_owned()));
            }
            Some('X') if value == "COLORRANGE=FULL" => header.full_range = true,
            // Interlacing (pictures are sent as they are), pixel aspect, comments, and what may be invented yet.
            _ => {}
        }
    }
    let sides = VideoFormat::MIN_SIDE..=VideoFormat::MAX_SIDE;
    if !(sides.contains(&header.width) && sides.contains(&header.height)) {
        return Err(Y4mError::UnsupportedSize { width: header.width, height: header.height });
    }
    Ok(header)
}

/// `30000:1001`; 0:0 means unknown. Rates that no display shows are refused.
fn parse_rate(text: &str) -> Option<(u32, u32)> {
    let (frames, seconds) = text.split_once(':')?;
    match (frames.parse().ok()?, seconds.parse().ok()?) {
        (0, 0) => Some(DEFAULT_RATE),
        (frames, seconds) => {
            let fps = f64::from(frames) / f64::from(seconds);
            // One picture in 100 s: slower than any slide show.
            (0.01..=f64::from(VideoFormat::MAX_FPS)).contains(&fps).then_some((frames, seconds))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Cursor, time::Instant};

    fn picture() -> I420Frame {
        I420Frame::black(0, 0, Instant::now())
    }

    /// A file of `frames` pictures; picture n has n everywhere.
    fn file(parameters: &str, width: usize, height: usize, frames: u8) -> Vec<u8> {
        let mut bytes = format!("YUV4MPEG2 W{width} H{height} {parameters}\n").into_bytes();
        let len = width * height + 2 * width.div_ceil(2) * height.div_ceil(2);
        for value in 0..frames {
            bytes.extend_from_slice(b"FRAME\n");
            bytes.extend(std::iter::repeat_n(value, len));
        }
        bytes
    }

    fn refused(bytes: &[u8]) -> Y4mError {
        Reader::new(bytes).err().unwrap_or_else(|| panic!("{:?} was taken", String::from_utf8_lossy(bytes)))
    }

    #[test]
    fn every_8_bit_420_kind_is_read() {
        for colour in ["", "C420", "C420jpeg", "C420mpeg2", "C420paldv"] {
            let bytes = file(&format!("F30:1 Ip A1:1 {colour} XYSCSS=420JPEG"), 32, 16, 2);
            let mut reader = Reader::new(&*bytes).expect(colour);
            assert_eq!(reader.header().format(), VideoFormat { width: 32, height: 16, fps: 30 });
            let mut frame = picture();
            for value in 0..2 {
                assert_eq!(reader.next_frame(&mut frame), Ok(true));
                assert_eq!((frame.width(), frame.height()), (32, 16));
                assert!(frame.data().iter().all(|&byte| byte == value));
            }
            assert_eq!(reader.next_frame(&mut frame), Ok(false));
        }
    }

    #[test]
    fn odd_sizes_have_rounded_up_chroma() {
        let bytes = file("F25:1", 17, 19, 3);
        let mut reader = Reader::new(&*bytes).expect("header");
        let mut frame = picture();
        let mut frames = 0;
        while reader.next_frame(&mut frame).expect("frame") {
            frames += 1;
        }
        assert_eq!(frames, 3);
        assert_eq!(frame.planes().1.len(), 9 * 10);
    }

    #[test]
    fn rates_are_fractions() {
        let rate = |text: &str| Reader::new(&*file(text, 16, 16, 0)).map(|reader| reader.header().rate);
        assert_eq!(rate("F30000:1001"), Ok((30000, 1001)));
        assert_eq!(rate(""), Ok((25, 1)));
        assert_eq!(rate("F0:0"), Ok((25, 1)));
        for text in ["F0:1", "F1:0", "F30", "F-1:1", "F1:1000", "F4000:1", "Fx:y"] {
            assert_eq!(rate(text), Err(Y4mError::BadParameter(text.to_owned())));
        }
    }

    #[test]
    fn a_truncated_last_picture_is_dropped() {
        let whole = file("F25:1", 16, 16, 2);
        let second = whole.len() - (whole.len() - b"YUV4MPEG2 W16 H16 F25:1\n".len()) / 2;
        for cut in [second + 1, second + 5, second + 6, second + 300, whole.len() - 1] {
            let mut reader = Reader::new(&whole[..cut]).expect("header");
            let mut frame = picture();
            assert_eq!(reader.next_frame(&mut frame), Ok(true), "cut at {cut}");
            assert_eq!(reader.next_frame(&mut frame), Ok(false), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_y4m_is_refused_with_its_reason() {
        assert_eq!(refused(b""), Y4mError::Empty);
        assert_eq!(refused(b"RIFF....AVI "), Y4mError::NotY4m);
        assert_eq!(refused(&[0xff; 5000]), Y4mError::NotY4m);
        assert_eq!(refused(b"YUV4MPEG2 W16 H16"), Y4mError::NotY4m);
        assert_eq!(refused(b"YUV4MPEG2 W16 Hx\n"), Y4mError::BadParameter("Hx".into()));
        assert_eq!(refused(b"YUV4MPEG2 W16 H16 C444\n"), Y4mError::UnsupportedColour("444".into()));
        assert_eq!(refused(b"YUV4MPEG2 W16 H16 C420p10\n"), Y4mError::UnsupportedColour("420p10".into()));
        assert_eq!(refused(b"YUV4MPEG2 W16\n"), Y4mError::UnsupportedSize { width: 16, height: 0 });
        let size = Y4mError::UnsupportedSize { width: 100_000, height: 100_000 };
        assert_eq!(refused(b"YUV4MPEG2 W100000 H100000\n"), size);
    }

    #[test]
    fn garbage_between_pictures_is_an_error() {
        let mut bytes = file("F25:1", 16, 16, 1);
        bytes.extend_from_slice(b"FRAMEX\n");
        let mut reader = Reader::new(&*bytes).expect("header");
        assert_eq!(reader.next_frame(&mut picture()), Ok(true));
        assert_eq!(reader.next_frame(&mut picture()), Err(Y4mError::BadFrame { after: 1 }));
    }

    #[test]
    fn full_range_is_brought_to_limited_range() {
        let mut bytes = file("F25:1 XCOLORRANGE=FULL", 16, 16, 1);
        let luma = bytes.len() - 16 * 16 * 3 / 2;
        bytes[luma..].fill(255);
        let mut frame = picture();
        assert_eq!(Reader::new(&*bytes).expect("header").next_frame(&mut frame), Ok(true));
        assert_eq!((frame.planes().0[0], frame.planes().1[0]), (235, 240));
    }

    #[test]
    fn rewinding_starts_over() {
        let mut reader = Reader::new(Cursor::new(file("F25:1", 16, 16, 2))).expect("header");
        let mut frame = picture();
        for _ in 0..3 {
            for value in 0..2 {
                assert_eq!(reader.next_frame(&mut frame), Ok(true));
                assert_eq!(frame.data()[0], value);
            }
            assert_eq!(reader.next_frame(&mut frame), Ok(false));
            reader.rewind().expect("rewind");
        }
    }
}
