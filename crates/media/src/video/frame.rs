//! The two forms a picture has on its way: planes before the encoder, VP8 after it.

use std::time::Instant;

use bytes::Bytes;

/// A picture as planar YUV 4:2:0, limited range BT.601: the Y plane of `width * height` bytes, then U, then V
/// of `ceil(width / 2) * ceil(height / 2)` bytes each, rows without padding.
#[derive(Clone, Debug)]
pub struct I420Frame {
    width: u32,
    height: u32,
    /// When the sensor (or the pattern) made the picture.
    pub captured_at: Instant,
    data: Vec<u8>,
}

impl I420Frame {
    /// A black picture.
    pub fn black(width: u32, height: u32, captured_at: Instant) -> Self {
        let mut frame = Self { width: 0, height: 0, captured_at, data: Vec::new() };
        frame.resize(width, height);
        let luma = frame.luma_len();
        let (y, chroma) = frame.data.split_at_mut(luma);
        y.fill(16);
        chroma.fill(128);
        frame
    }

    /// Gives the buffer the size of a `width` x `height` picture; its content is then unspecified until
    /// written. Allocates only when the picture grows.
    pub fn resize(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        let len = self.luma_len() + 2 * self.chroma_len();
        self.data.resize(len, 0);
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes in a row of U or V.
    pub fn chroma_width(&self) -> usize {
        self.width.div_ceil(2) as usize
    }

    /// Rows of U or V.
    pub fn chroma_height(&self) -> usize {
        self.height.div_ceil(2) as usize
    }

    fn luma_len(&self) -> usize {
        self.width as usize * self.height as usize
    }

    fn chroma_len(&self) -> usize {
        self.chroma_width() * self.chroma_height()
    }

    /// The three planes: Y, U, V.
    pub fn planes(&self) -> (&[u8], &[u8], &[u8]) {
        let (y, chroma) = self.data.split_at(self.luma_len());
        let (u, v) = chroma.split_at(self.chroma_len());
        (y, u, v)
    }

    /// The three planes, to be written.
    pub fn planes_mut(&mut self) -> (&mut [u8], &mut [u8], &mut [u8]) {
        let (luma, chroma) = (self.luma_len(), self.chroma_len());
        let (y, rest) = self.data.split_at_mut(luma);
        let (u, v) = rest.split_at_mut(chroma);
        (y, u, v)
    }

    /// The picture where it is.
    pub fn view(&self) -> I420View<'_> {
        let (y, u, v) = self.planes();
        let strides = [self.width as usize, self.chroma_width()];
        I420View { width: self.width, height: self.height, planes: [y, u, v], strides }
    }

    /// All planes in one slice, Y then U then V.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// A picture in somebody else's memory, as [`I420Frame`] but that its rows may have padding.
#[derive(Clone, Copy, Debug)]
pub struct I420View<'a> {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Y, U and V: each with as many whole rows, padding included, as it has; the last one may end without.
    pub planes: [&'a [u8]; 3],
    /// Bytes from one row to the next: of Y, and of U and V.
    pub strides: [usize; 2],
}

impl I420View<'_> {
    /// Bytes in a row of U or V.
    pub fn chroma_width(&self) -> usize {
        self.width.div_ceil(2) as usize
    }

    /// Rows of U or V.
    pub fn chroma_height(&self) -> usize {
        self.height.div_ceil(2) as usize
    }
}

/// One VP8 frame (RFC 6386), as the encoder gave it or as it was put together again from RTP.
#[derive(Clone, Debug)]
pub struct EncodedFrame {
    /// The whole VP8 frame. Cheap to clone: all peers and the preview share it.
    pub data: Bytes,
    /// A key frame decodes without any earlier one.
    pub key: bool,
    /// Pixels in a row; known from the last key frame where this is none.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// When the picture was captured: on the sending side the sensor's time, on the receiving side the
    /// sender's capture time mapped into this machine's clock.
    pub captured_at: Instant,
}
