//! YUV4MPEG2 (`.y4m`) files: a line of parameters, then raw frames, each after a `FRAME` line (yuv4mpeg(5) of
//! mjpegtools). Read are the 4:2:0 kinds with 8 bits a sample, which is what cameras, ffmpeg and Chromium's
//! fake camera use. A FIFO will do; only [`Reader::rewind`] needs a file.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use crate::{
    units::VideoFormat,
    video::{I420Frame, convert},
};

/// A line longer than this is not a Y4M header: real ones have under 100 bytes, plus comments (`X`).
const MAX_LINE: u64 = 4096;
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
    /// A FIFO that was read to its end: a file would start again now.
    #[error(
        "it is a pipe, and the program that wrote into it has ended (start that program again, or let it write a file)"
    )]
    PipeEnded,
    /// A FIFO without a writer.
    #[error("it is a pipe that no picture came out of (start the program that writes into it)")]
    PipeSilent,
}

impl From<io::Error> for Y4mError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::PipeSilent,
            io::ErrorKind::NotSeekable => Self::PipeEnded,
            _ => Self::Io(error.to_string()),
        }
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

    /// How many pictures were read since the beginning, or since [`Reader::rewind`].
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Reads the next picture into `frame`, giving it its size; false at the end of the file. A last picture
    /// that is cut off counts as the end.
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
    /// Goes back to the first picture. A FIFO cannot: [`Y4mError::PipeEnded`].
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
    // A comment may be in any encoding; parameters are ASCII.
    let line = &*String::from_utf8_lossy(line);
    if !line.is_empty() && !line.starts_with(|c: char| c.is_ascii_whitespace()) {
        return Err(Y4mError::NotY4m);
    }
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
            // Interlacing (pictures are sent as they are), pixel aspect (any, also 0:0), comments, and what
            // may be invented yet.
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
    fn parameters_come_in_any_order_and_unknown_ones_are_passed_over() {
        let pixels = [7; 16 * 16 * 3 / 2];
        for header in [
            "W16 H16",
            "H16 W16",
            "C420jpeg F30:1 H16 A0:0 It W16",
            "XCOMMENT=a W16 XYSCSS=420JPEG H16 X Q9 Z",
            "  W16   H16  ",
            "W16 H16 A128:117 Ib F0:0",
            "W16 H16 Im F30000:1001 Amad I",
        ] {
            for frame in ["FRAME", "FRAME Ippi", "FRAME X=1 Itpp  XQ", "FRAME "] {
                let bytes = [format!("YUV4MPEG2 {header}\n{frame}\n").as_bytes(), &pixels].concat();
                let mut reader = Reader::new(&*bytes).unwrap_or_else(|error| panic!("{header}: {error}"));
                assert_eq!((reader.header().width, reader.header().height), (16, 16), "{header}");
                let mut picture = picture();
                assert_eq!(reader.next_frame(&mut picture), Ok(true), "{header}, {frame}");
                assert!(picture.data().iter().all(|&byte| byte == 7));
                assert_eq!(reader.next_frame(&mut picture), Ok(false));
            }
        }
    }

    #[test]
    fn comments_may_be_long_and_in_any_encoding() {
        let pixels = [7; 16 * 16 * 3 / 2];
        let comment = [b"XCOMMENT=caf\xe9", &[b'x'; 3000][..]].concat();
        let bytes = [b"YUV4MPEG2 W16 ", &*comment, b" H16\nFRAME ", &comment, b"\n", &pixels].concat();
        let mut reader = Reader::new(&*bytes).expect("header");
        assert_eq!(reader.next_frame(&mut picture()), Ok(true));
    }

    #[test]
    fn lines_without_an_end_are_bounded() {
        // An endless reader: without a bound this test never ends.
        let endless = b"YUV4MPEG2 W16 H16 X".chain(io::repeat(b'x'));
        assert_eq!(Reader::new(endless).err(), Some(Y4mError::NotY4m));
        let endless = b"YUV4MPEG2 W16 H16\nFRAME X".chain(io::repeat(b'x'));
        let mut reader = Reader::new(endless).expect("header");
        assert_eq!(reader.next_frame(&mut picture()), Err(Y4mError::BadFrame { after: 0 }));
    }

    #[test]
    fn a_pipe_that_gives_one_byte_at_a_time_is_read_like_a_file() {
        struct Trickle(Cursor<Vec<u8>>);
        impl Read for Trickle {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                let len = to.len().min(1);
                self.0.read(&mut to[..len])
            }
        }
        let mut reader = Reader::new(Trickle(Cursor::new(file("F25:1", 17, 19, 3)))).expect("header");
        let mut frame = picture();
        for value in 0..3 {
            assert_eq!(reader.next_frame(&mut frame), Ok(true));
            assert!(frame.data().iter().all(|&byte| byte == value));
        }
        assert_eq!((reader.next_frame(&mut frame), reader.frames()), (Ok(false), 3));
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
        assert_eq!(refused(b"YUV4MPEG2X W16 H16\n"), Y4mError::NotY4m);
        assert_eq!(refused(b"YUV4MPEG2\n"), Y4mError::UnsupportedSize { width: 0, height: 0 });
        assert_eq!(refused(b"YUV4MPEG2 W-16 H16\n"), Y4mError::BadParameter("W-16".into()));
        for colour in ["mono", "411", "422", "444alpha", "420p12", "420JPEG", ""] {
            let header = format!("YUV4MPEG2 W16 H16 C{colour}\n");
            assert_eq!(refused(header.as_bytes()), Y4mError::UnsupportedColour(colour.into()));
        }
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
