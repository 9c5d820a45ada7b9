//! Which of a camera's formats comes nearest to the wanted one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::VideoFormat;

/// How a camera packs its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PixelFormat {
    /// Planar 4:2:0: the test pattern and files.
    I420,
    /// A plane of Y, then U and V in turn: 4:2:0.
    Nv12,
    /// Packed 4:2:2.
    Yuyv,
    /// One JPEG a picture: cheap on the bus, dear to decode.
    Mjpeg,
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I420 => "I420",
            Self::Nv12 => "NV12",
            Self::Yuyv => "YUYV",
            Self::Mjpeg => "MJPEG",
        })
    }
}

/// One format that a camera offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CameraFormat {
    /// Size and rate.
    #[serde(flatten)]
    pub video: VideoFormat,
    /// How its pictures are packed.
    pub pixels: PixelFormat,
}

impl fmt::Display for CameraFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.video, self.pixels)
    }
}

/// The offered format nearest to `wanted`: the size first, unless it comes at less than half of the wanted
/// rate (uncompressed HD over USB 2 comes at 5 to 10 a second); then the rate, rather too high than too low;
/// then the packing that is cheapest to convert.
pub(super) fn nearest(offered: &[CameraFormat], wanted: VideoFormat) -> Option<CameraFormat> {
    let distance = |format: &CameraFormat| {
        let VideoFormat { width, height, fps } = format.video;
        let slide_show = 2 * u64::from(fps) < u64::from(wanted.fps);
        let size = u64::from(width.abs_diff(wanted.width)) + u64::from(height.abs_diff(wanted.height));
        let (missing, surplus) = (wanted.fps.saturating_sub(fps), fps.saturating_sub(wanted.fps));
        (slide_show, size, missing, surplus, format.pixels)
    };
    offered.iter().copied().min_by_key(distance)
}

/// Sorting key of a list for people: large before small, fast before slow.
pub(super) fn preference(format: &CameraFormat) -> impl Ord + use<> {
    let VideoFormat { width, height, fps } = format.video;
    (std::cmp::Reverse((u64::from(width) * u64::from(height), width, fps)), format.pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> CameraFormat {
        let (video, pixels) = text.split_once(' ').expect("two words");
        let pixels = match pixels {
            "NV12" => PixelFormat::Nv12,
            "YUYV" => PixelFormat::Yuyv,
            _ => PixelFormat::Mjpeg,
        };
        CameraFormat { video: video.parse().expect("a format"), pixels }
    }

    #[test]
    fn the_nearest_format_is_chosen() {
        for (offered, wanted, chosen) in [
            // Exactly the wanted one, in the cheapest packing.
            (&["1280x720@30 MJPEG", "1280x720@30 YUYV"][..], "1280x720@30", "1280x720@30 YUYV"),
            (&["1280x720@30 YUYV", "1280x720@30 NV12"], "1280x720@30", "1280x720@30 NV12"),
            // A USB 2 webcam: HD is fast enough only as MJPEG.
            (&["640x480@30 YUYV", "1280x720@10 YUYV", "1280x720@30 MJPEG"], "1280x720@30", "1280x720@30 MJPEG"),
            // The same without MJPEG: fluent and smaller before sharp and jerky.
            (&["640x480@30 YUYV", "1280x720@10 YUYV"], "1280x720@30", "640x480@30 YUYV"),
            (&["1280x720@10 YUYV"], "1280x720@30", "1280x720@10 YUYV"),
            // Half the rate is still the wanted size.
            (&["640x480@30 YUYV", "1280x720@15 YUYV"], "1280x720@30", "1280x720@15 YUYV"),
            // The nearest size, up or down.
            (&["640x480@30 YUYV", "1920x1080@30 YUYV"], "800x600@30", "640x480@30 YUYV"),
            (&["320x240@30 YUYV", "640x480@30 YUYV"], "600x400@30", "640x480@30 YUYV"),
            // The nearest rate that is enough, or else the highest.
            (&["640x480@15 YUYV", "640x480@60 YUYV", "640x480@120 YUYV"], "640x480@30", "640x480@60 YUYV"),
            (&["640x480@15 YUYV", "640x480@25 YUYV"], "640x480@30", "640x480@25 YUYV"),
        ] {
            let offered: Vec<_> = offered.iter().map(|text| format(text)).collect();
            let wanted = wanted.parse().expect("a format");
            assert_eq!(nearest(&offered, wanted), Some(format(chosen)), "wanted {wanted}");
        }
        assert_eq!(nearest(&[], VideoFormat::HD), None);
    }
}
