//! From Opus packets, and missing ones, to sound.

use super::{
    OpusError,
    libopus::{DredSpan, RawDecoder, RawDred},
};

/// How much work a [`Decoder`] does beyond decoding (libopus 1.6 `OPUS_SET_COMPLEXITY` of the decoder). Times
/// are for a second of speech (`cargo bench -p ahoy-media --bench jitter`, with AVX2); all of it is done in
/// the speaker's callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecoderEffort {
    /// As RFC 6716 describes it; what is lost is concealed by repeating pitch periods. 1.4 ms.
    Plain,
    /// A neural network conceals what is lost. 1.4 ms while nothing is lost, 6.7 ms with each fourth packet
    /// lost.
    DeepConcealment,
    /// Besides, another one (NoLACE) changes speech that SILK coded with few bits. 6.4 to 10.7 ms. By PESQ it
    /// made speech worse by 0.1 at 12 and at 24 kbit/s (docs/decisions/voice.md).
    Enhancement,
}

impl DecoderEffort {
    fn complexity(self) -> i32 {
        match self {
            Self::Plain => 0,
            Self::DeepConcealment => 5,
            Self::Enhancement => 7,
        }
    }
}

/// The packet has a frame count byte (code 3, RFC 6716 section 3.2.5) ...
const CODE_3: u8 = 3;
/// ... and that says that the packet is padded. Deep redundancy lies in the padding.
const PADDED: u8 = 0x40;

/// Makes sound of Opus packets, and of missing ones. Nothing here allocates after [`Decoder::new`].
#[derive(Debug)]
pub struct Decoder {
    inner: RawDecoder,
    /// Looks for deep redundancy in packets as they come.
    scanner: RawDred,
    /// Holds that of the packet after the present gap.
    dred: RawDred,
}

impl Decoder {
    /// A decoder for one stream; stereo packets come out mixed to mono. Its effort is
    /// [`DecoderEffort::DeepConcealment`].
    pub fn new() -> Result<Self, OpusError> {
        Self::with_effort(DecoderEffort::DeepConcealment)
    }

    /// As [`Self::new`], with more or less work.
    pub fn with_effort(effort: DecoderEffort) -> Result<Self, OpusError> {
        let configured = || {
            let inner = RawDecoder::new(effort.complexity())?;
            Ok(Self { inner, scanner: RawDred::new()?, dred: RawDred::new()? })
        };
        configured().map_err(OpusError::Setup)
    }

    /// Decodes `packet` and returns its samples; `out` holds up to
    /// [`MAX_PACKET_SAMPLES`](super::MAX_PACKET_SAMPLES).
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, OpusError> {
        self.inner.decode(packet, out).map_err(OpusError::Decode)
    }

    /// Fills `out`, which stands for the lost sound right before `packet`, with what `packet` repeats of it,
    /// and conceals as much as it does not repeat. `out` has a multiple of
    /// [`CONCEAL_STEP`](super::CONCEAL_STEP) samples.
    pub fn decode_fec(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, OpusError> {
        self.inner.decode_fec(packet, out).map_err(OpusError::Decode)
    }

    /// Tells which sound before `packet` its deep redundancy describes; an empty span where there is none.
    pub fn dred_span(&mut self, packet: &[u8]) -> DredSpan {
        match packet {
            [toc, count, ..] if toc & CODE_3 == CODE_3 && count & PADDED != 0 => {
                self.scanner.span(packet).unwrap_or_default()
            }
            _ => DredSpan::default(),
        }
    }

    /// Reads the deep redundancy of `packet` about the `samples` before it, for [`Self::decode_dred`].
    pub fn load_dred(&mut self, packet: &[u8], samples: usize) -> Result<DredSpan, OpusError> {
        self.dred.read(packet, samples).map_err(OpusError::Decode)
    }

    /// Fills `out`, which stands for lost sound that begins `offset` samples before the packet of
    /// [`Self::load_dred`], with what that packet tells of it, and conceals what it does not tell. `out` has
    /// a multiple of [`CONCEAL_STEP`](super::CONCEAL_STEP) samples.
    pub fn decode_dred(&mut self, offset: usize, out: &mut [f32]) -> Result<usize, OpusError> {
        self.inner.decode_dred(&self.dred, offset, out).map_err(OpusError::Decode)
    }

    /// Fills `out` with a guess at what was lost, or with comfort noise after a DTX packet. `out` has a
    /// multiple of [`CONCEAL_STEP`](super::CONCEAL_STEP) samples.
    pub fn conceal(&mut self, out: &mut [f32]) -> Result<usize, OpusError> {
        self.inner.conceal(out).map_err(OpusError::Decode)
    }

    /// Forgets the stream so far.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.inner.reset().map_err(OpusError::Setup)
    }
}
