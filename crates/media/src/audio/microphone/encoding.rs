//! The wanted encoding, shared by a microphone's owner and its thread.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    audio::opus::{DredDuration, OpusFrame, Percent, VoiceEncoding},
    units::Bitrate,
};

/// A [`VoiceEncoding`] in one atomic, so that its parts change together and neither side waits.
#[derive(Debug)]
pub(super) struct SharedEncoding(AtomicU64);

impl SharedEncoding {
    pub fn new(encoding: VoiceEncoding) -> Self {
        Self(AtomicU64::new(to_bits(encoding)))
    }

    pub fn set(&self, encoding: VoiceEncoding) {
        self.0.store(to_bits(encoding), Ordering::Release);
    }

    pub fn get(&self) -> VoiceEncoding {
        from_bits(self.0.load(Ordering::Acquire))
    }
}

/// Bitrate (32 bits), duration of DRED in 10 ms, expected loss, FEC, packet length (8 bits each).
fn to_bits(encoding: VoiceEncoding) -> u64 {
    let VoiceEncoding { bitrate, packet, fec, expected_loss, dred } = encoding;
    // 4 Gbit/s is as good as any larger number: libopus stops at 512 kbit/s.
    let bitrate = u32::try_from(bitrate.bps()).unwrap_or(u32::MAX);
    let [a, b, c, d] = bitrate.to_le_bytes();
    let dred = (dred.ms() / 10) as u8;
    u64::from_le_bytes([a, b, c, d, dred, expected_loss.get(), fec.into(), packet.ms() as u8])
}

fn from_bits(bits: u64) -> VoiceEncoding {
    let [a, b, c, d, dred, expected_loss, fec, packet] = bits.to_le_bytes();
    VoiceEncoding {
        bitrate: Bitrate::from_bps(u32::from_le_bytes([a, b, c, d]).into()),
        packet: OpusFrame::ALL.into_iter().find(|frame| frame.ms() == u32::from(packet)).unwrap_or(OpusFrame::Ms20),
        fec: fec != 0,
        expected_loss: Percent::new(expected_loss),
        dred: DredDuration::from_ms(u16::from(dred) * 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_arrives_as_it_was_set() {
        for packet in OpusFrame::ALL {
            for (kbps, fec, loss, dred) in [
                (0, false, 0, DredDuration::NONE),
                (12, true, 100, DredDuration::MAX),
                (510, false, 7, DredDuration::from_ms(200)),
            ] {
                let (bitrate, expected_loss) = (Bitrate::from_kbps(kbps), Percent::new(loss));
                let encoding = VoiceEncoding { bitrate, packet, fec, expected_loss, dred };
                let shared = SharedEncoding::new(encoding);
                assert_eq!(shared.get(), encoding);
                shared.set(VoiceEncoding { fec: !fec, ..encoding });
                assert_eq!(shared.get(), VoiceEncoding { fec: !fec, ..encoding });
            }
        }
    }
}
