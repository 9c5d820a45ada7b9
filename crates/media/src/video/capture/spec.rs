//! What to capture from, as text: `pattern`, `file:F.y4m`, `device:NAME_OR_INDEX`.

use std::{fmt, path::PathBuf, str::FromStr};

/// Which source of pictures is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CameraSpec {
    /// The [test pattern](crate::video::pattern).
    Pattern,
    /// A Y4M file, played over and over at its own rate.
    File(PathBuf),
    /// A camera by its stable id, its name, or its index.
    Device(String),
}

/// A text that names no source of pictures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a camera like pattern, file:F.y4m or device:NAME_OR_INDEX")]
pub struct ParseCameraSpecError(String);

impl FromStr for CameraSpec {
    type Err = ParseCameraSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "pattern" => Ok(Self::Pattern),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("device", device)) if !device.is_empty() => Ok(Self::Device(device.to_owned())),
            _ => Err(ParseCameraSpecError(text.to_owned())),
        }
    }
}

impl fmt::Display for CameraSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern => f.write_str("pattern"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Device(device) => write!(f, "device:{device}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_round_trip() {
        for (text, spec) in [
            ("pattern", CameraSpec::Pattern),
            ("file:a:b.y4m", CameraSpec::File("a:b.y4m".into())),
            ("device:0", CameraSpec::Device("0".into())),
            ("device:USB Camera: HD", CameraSpec::Device("USB Camera: HD".into())),
        ] {
            assert_eq!(text.parse().as_ref(), Ok(&spec));
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "patterns", "file:", "device:", "pattern:", "video0"] {
            assert!(text.parse::<CameraSpec>().is_err(), "{text:?} was taken");
        }
    }
}
