//! Units as types: a bare number never crosses a function boundary where its unit could be mistaken.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bitrate(u64);

impl Bitrate {
    /// A rate of `bps` bits per second.
    pub const fn from_bps(bps: u64) -> Self {
        Self(bps)
    }

    /// A rate of `kbps` thousand bits per second.
    pub const fn from_kbps(kbps: u64) -> Self {
        Self(kbps * 1000)
    }

    /// In bits per second.
    pub const fn bps(self) -> u64 {
        self.0
    }

    /// In thousand bits per second, rounded down.
    pub const fn kbps(self) -> u64 {
        self.0 / 1000
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.kbps())
    }
}

/// A text that does not say a quantity: what was read, and what would have been understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct ParseUnitError {
    text: String,
    wanted: &'static str,
}

impl FromStr for Bitrate {
    type Err = ParseUnitError;

    /// Reads `1500k`, `1.5M` or `1500000`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseUnitError { text: text.to_owned(), wanted: "a bit rate like 1500k, 1.5M or 1500000" };
        let (number, factor) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (text.get(..text.len() - 1), 1e3),
            Some(b'm' | b'M') => (text.get(..text.len() - 1), 1e6),
            _ => (Some(text), 1.0),
        };
        let number: f64 = number.and_then(|n| n.parse().ok()).ok_or_else(error)?;
        let bps = number * factor;
        // 1 Gbit/s: far over any video call, far under where f64 or libvpx lose exactness.
        if !(1.0..=1e9).contains(&bps) {
            return Err(error());
        }
        Ok(Self(bps as u64))
    }
}

/// Size in pixels and nominal rate of a video, as in `1280x720@30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VideoFormat {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Nominal frames a second.
    pub fps: u32,
}

impl VideoFormat {
    /// VP8 carries 14 bits a side (RFC 6386 section 9.1); smaller limits keep one hostile number from asking
    /// for gigabytes.
    pub const MAX_SIDE: u32 = 4096;
    /// Under this the test pattern has no room for its cells, and no camera offers it.
    pub const MIN_SIDE: u32 = 16;
    /// Over any camera's rate.
    pub const MAX_FPS: u32 = 240;

    /// 1280x720 at 30 frames a second: what a call starts with.
    pub const HD: Self = Self { width: 1280, height: 720, fps: 30 };

    /// Pixels of a frame.
    pub fn area(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl fmt::Display for VideoFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}@{}", self.width, self.height, self.fps)
    }
}

impl FromStr for VideoFormat {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (size, fps) = text.split_once('@')?;
            let (width, height) = size.split_once('x')?;
            let format = Self { width: width.parse().ok()?, height: height.parse().ok()?, fps: fps.parse().ok()? };
            let sides = Self::MIN_SIDE..=Self::MAX_SIDE;
            (sides.contains(&format.width)
                && sides.contains(&format.height)
                && (1..=Self::MAX_FPS).contains(&format.fps))
            .then_some(format)
        };
        parse().ok_or_else(|| ParseUnitError { text: text.to_owned(), wanted: "a video format like 1280x720@30" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates_are_read_in_three_spellings() {
        for (text, bps) in [("1500k", 1_500_000), ("1.5M", 1_500_000), ("1500000", 1_500_000)] {
            assert_eq!(text.parse::<Bitrate>().map(Bitrate::bps), Ok(bps));
        }
        for text in ["", "k", "-1k", "NaN", "inf", "0", "1e12", "1500kk", "é"] {
            assert!(text.parse::<Bitrate>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn video_formats_round_trip_and_absurd_ones_are_refused() {
        assert_eq!("1280x720@30".parse(), Ok(VideoFormat::HD));
        assert_eq!(VideoFormat::HD.to_string(), "1280x720@30");
        for text in ["", "1280x720", "0x0@30", "99999x10@30", "640x480@0", "640x480@1000", "axb@c", "-1x5@30"] {
            assert!(text.parse::<VideoFormat>().is_err(), "{text:?} was taken");
        }
    }
}
