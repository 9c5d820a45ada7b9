//! One sample, from the bytes of a WAV file to full scale 1.0.

/// How a sample is stored. Numbers are little-endian. Where fewer bits are valid than the container has, they
/// are the upper ones (Microsoft, "Multiple Channel Audio Data and WAVE Files"), so the container alone gives
/// the scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
}

impl Coding {
    /// Bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// The sample in `bytes`, -1 to 1; 0 where the bytes are too few.
    pub fn decode(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::Unsigned8, &[a]) => (f32::from(a) - 128.0) / 128.0,
            (Self::Signed16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            (Self::Signed24, &[a, b, c]) => signed(i32::from_le_bytes([0, a, b, c])),
            (Self::Signed32, &[a, b, c, d]) => signed(i32::from_le_bytes([a, b, c, d])),
            (Self::Float32, &[a, b, c, d]) => finite(f64::from(f32::from_le_bytes([a, b, c, d]))),
            (Self::Float64, bytes) => bytes.first_chunk().map_or(0.0, |bytes| finite(f64::from_le_bytes(*bytes))),
            _ => 0.0,
        }
    }
}

fn signed(value: i32) -> f32 {
    value as f32 / 2_147_483_648.0
}

/// Float files may hold anything, and one NaN would stay in every filter after it.
fn finite(value: f64) -> f32 {
    if value.is_finite() { value.clamp(-1.0, 1.0) as f32 } else { 0.0 }
}
