//! From sound to Opus packets.

use super::{
    DTX_PACKET, OpusError, OpusSettings, VoiceEncoding,
    libopus::{LibopusError, RawEncoder, Set},
};
use crate::units::Bitrate;

/// Of 0 to 10. From 7 on the encoder analyses what it hears; under that, DTX takes a steady tone or music for
/// noise and does not send it. From 9 on FEC fits into 32 kbit/s (both measured with libopus 1.6; 0.6 ms for
/// 20 ms of sound).
const COMPLEXITY: i32 = 9;

/// Under this bitrate all bits go to the frequencies up to 8 kHz. libopus spends some on higher ones from
/// 13.5 kbit/s on, and speech at 16 kbit/s was worse for it than at 12 (PESQ 2.5 and 3.0,
/// docs/decisions/voice.md).
const WIDEBAND_UNDER: Bitrate = Bitrate::from_kbps(20);

/// Makes Opus packets of sound.
#[derive(Debug)]
pub struct Encoder {
    inner: RawEncoder,
    encoding: VoiceEncoding,
    in_dtx: bool,
}

impl Encoder {
    /// An encoder for one stream.
    pub fn new(settings: OpusSettings) -> Result<Self, OpusError> {
        let configured = || {
            let mut inner = RawEncoder::new()?;
            inner.set(Set::VoiceSignal)?;
            inner.set(Set::Complexity(COMPLEXITY))?;
            inner.set(Set::Dtx(settings.dtx))?;
            apply(&mut inner, settings.encoding())?;
            Ok(inner)
        };
        let inner = configured().map_err(OpusError::Setup)?;
        Ok(Self { inner, encoding: settings.encoding(), in_dtx: false })
    }

    /// Encodes 10, 20, 40 or 60 ms of sound into `out` ([`MAX_PACKET`](super::MAX_PACKET) bytes suffice) and
    /// returns the packet's length.
    ///
    /// 0 means DTX: nothing is to be sent, though the RTP timestamp goes on. The first packet of such a
    /// silence does get sent (it has 1 or 2 bytes), because it tells the far end that what follows is silence
    /// and not loss.
    pub fn encode(&mut self, pcm: &[f32], out: &mut [u8]) -> Result<usize, OpusError> {
        let len = self.inner.encode(pcm, out).map_err(OpusError::Encode)?;
        let was_in_dtx = std::mem::replace(&mut self.in_dtx, len <= DTX_PACKET);
        Ok(if was_in_dtx && self.in_dtx { 0 } else { len })
    }

    /// Takes effect with the next packet. The caller cuts the sound: `encoding.packet` is how much of it
    /// [`Self::encode`] is to be given.
    pub fn configure(&mut self, encoding: VoiceEncoding) -> Result<(), OpusError> {
        if std::mem::replace(&mut self.encoding, encoding) == encoding {
            return Ok(());
        }
        apply(&mut self.inner, encoding).map_err(OpusError::Setup)
    }
}

fn apply(encoder: &mut RawEncoder, encoding: VoiceEncoding) -> Result<(), LibopusError> {
    let VoiceEncoding { bitrate, packet: _, fec, expected_loss, dred } = encoding;
    encoder.set(Set::Bitrate(opus_bitrate(bitrate)))?;
    encoder.set(Set::WidebandOnly(bitrate < WIDEBAND_UNDER))?;
    encoder.set(Set::InbandFec(fec))?;
    encoder.set(Set::ExpectedLoss(expected_loss.get().into()))?;
    encoder.set(Set::DredDuration(i32::from(dred.ms()) / 10))
}

/// libopus takes 500 to 512 000 bit/s and clips what is outside (`OPUS_SET_BITRATE`), but for 0 and less,
/// which have meanings of their own.
fn opus_bitrate(bitrate: Bitrate) -> i32 {
    i32::try_from(bitrate.bps()).unwrap_or(i32::MAX).max(1)
}
