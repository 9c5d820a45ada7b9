//! Opus for voice (RFC 6716, RFC 7587): 48 kHz, mono, with in-band FEC, DTX and concealment.

use std::fmt;

use opus::{Application, Channels, Signal, packet};

use super::SAMPLE_RATE;
use crate::{advice::Advice, units::Bitrate};

/// The largest packet that is sent or taken: one Opus frame at its largest (RFC 6716 section 3.2.1), which leaves an
/// RTP packet under every usual MTU. Voice needs a tenth of it.
pub const MAX_PACKET: usize = 1275;
/// The longest sound that one packet can hold: 120 ms (RFC 6716 section 3.2.5), in samples.
pub const MAX_PACKET_SAMPLES: usize = 5760;
/// Packets up to this size hold no sound: the encoder is in DTX, and the decoder makes comfort noise (libopus `opus_encode`).
pub const DTX_PACKET: usize = 2;
/// Concealment comes in steps of 2.5 ms (libopus `opus_decode`), here in samples.
pub const CONCEAL_STEP: usize = 120;

/// Of 0 to 10. From 7 on the encoder analyses what it hears; under that, DTX takes a steady tone or music for noise and
/// does not send it. From 9 on FEC fits into 32 kbit/s (both measured with libopus 1.6; 0.6 ms for 20 ms of sound).
const COMPLEXITY: i32 = 9;

/// What libopus refused, and what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpusError {
    /// No encoder or decoder, mostly for want of memory.
    Setup(#[source] opus::Error),
    /// The sound could not be encoded; the frame is lost, the next one is independent of it.
    Encode(#[source] opus::Error),
    /// The packet is damaged or not Opus at all; it is to be treated as lost.
    Decode(#[source] opus::Error),
}

impl OpusError {
    /// The error in two parts.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Setup(error) => {
                Advice::new(format!("Opus could not be set up ({error})"), "close other programs and try again")
            }
            Self::Encode(error) => Advice::new(
                format!("Opus could not encode a frame of sound ({error})"),
                "frames are 480 or 960 samples of 48 kHz mono",
            ),
            Self::Decode(error) => {
                Advice::new(format!("Opus could not decode a packet ({error})"), "it is damaged and counts as lost")
            }
        }
    }
}

impl fmt::Display for OpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice().fmt(f)
    }
}

/// A share in hundredths, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// `value` hundredths; over 100 is 100.
    pub const fn new(value: u8) -> Self {
        Self(if value > 100 { 100 } else { value })
    }

    /// 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// How much sound goes into one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpusFrame {
    /// 10 ms: the lowest delay, at the price of twice the packet headers.
    Ms10,
    /// 20 ms: what browsers send.
    Ms20,
}

impl OpusFrame {
    /// Samples a packet.
    pub const fn samples(self) -> usize {
        match self {
            Self::Ms10 => 480,
            Self::Ms20 => 960,
        }
    }
}

/// How an [`Encoder`] works. The default is voice at 32 kbit/s in packets of 20 ms with FEC and DTX.
#[derive(Clone, Copy, Debug)]
pub struct OpusSettings {
    /// Aim; a talker's pauses use less.
    pub bitrate: Bitrate,
    /// Sound in a packet.
    pub frame: OpusFrame,
    /// Each packet repeats the one before it coarsely, so that a single loss can be mended (RFC 6716 section 2.1.7).
    /// libopus does so for speech only: a steady tone is left to concealment.
    pub fec: bool,
    /// Silence is not sent (RFC 6716 section 2.1.9).
    pub dtx: bool,
    /// Loss to be ready for: the more, the more bits FEC gets. At 0 there is no FEC.
    pub expected_loss: Percent,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self {
            bitrate: Bitrate::from_kbps(32),
            frame: OpusFrame::Ms20,
            fec: true,
            dtx: true,
            // Until receiver reports tell the truth, so that the very first loss of a call can be mended already. Over
            // 5 % libopus narrows the audio band where FEC would not fit otherwise, as with packets of 10 ms.
            expected_loss: Percent::new(10),
        }
    }
}

/// Makes Opus packets of sound.
#[derive(Debug)]
pub struct Encoder {
    inner: opus::Encoder,
    in_dtx: bool,
}

impl Encoder {
    /// An encoder for one stream.
    pub fn new(settings: OpusSettings) -> Result<Self, OpusError> {
        let configured = || {
            let mut inner = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Voip)?;
            inner.set_signal(Signal::Voice)?;
            inner.set_complexity(COMPLEXITY)?;
            inner.set_inband_fec(settings.fec)?;
            inner.set_dtx(settings.dtx)?;
            inner.set_packet_loss_perc(settings.expected_loss.get().into())?;
            inner.set_bitrate(opus_bitrate(settings.bitrate))?;
            Ok(inner)
        };
        Ok(Self { inner: configured().map_err(OpusError::Setup)?, in_dtx: false })
    }

    /// Encodes 480 or 960 samples into `out` ([`MAX_PACKET`] bytes suffice) and returns the packet's length.
    ///
    /// 0 means DTX: nothing is to be sent, though the RTP timestamp goes on. The first packet of such a silence does
    /// get sent (it has 1 or 2 bytes), because it tells the far end that what follows is silence and not loss.
    pub fn encode(&mut self, pcm: &[f32], out: &mut [u8]) -> Result<usize, OpusError> {
        let len = self.inner.encode_float(pcm, out).map_err(OpusError::Encode)?;
        let was_in_dtx = std::mem::replace(&mut self.in_dtx, len <= DTX_PACKET);
        Ok(if was_in_dtx && self.in_dtx { 0 } else { len })
    }

    /// Takes effect with the next frame.
    pub fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), OpusError> {
        self.inner.set_bitrate(opus_bitrate(bitrate)).map_err(OpusError::Setup)
    }

    /// Tells how much loss the far end reports, so that FEC gets as many bits as it needs.
    pub fn set_expected_loss(&mut self, loss: Percent) -> Result<(), OpusError> {
        self.inner.set_packet_loss_perc(loss.get().into()).map_err(OpusError::Setup)
    }
}

/// libopus takes 500 to 512 000 bit/s and clips what is outside (`OPUS_SET_BITRATE`).
fn opus_bitrate(bitrate: Bitrate) -> opus::Bitrate {
    opus::Bitrate::Bits(i32::try_from(bitrate.bps()).unwrap_or(i32::MAX))
}

/// Makes sound of Opus packets, and of missing ones. Nothing here allocates after [`Decoder::new`].
#[derive(Debug)]
pub struct Decoder {
    inner: opus::Decoder,
}

impl Decoder {
    /// A decoder for one stream; stereo packets come out mixed to mono.
    pub fn new() -> Result<Self, OpusError> {
        Ok(Self { inner: opus::Decoder::new(SAMPLE_RATE, Channels::Mono).map_err(OpusError::Setup)? })
    }

    /// Decodes `packet` and returns its samples; `out` holds up to [`MAX_PACKET_SAMPLES`].
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, OpusError> {
        self.inner.decode_float(packet, out, false).map_err(OpusError::Decode)
    }

    /// Fills `out`, which stands for the lost sound right before `packet`, with what `packet` repeats of it, and
    /// conceals as much as it does not repeat. `out` has a multiple of [`CONCEAL_STEP`] samples.
    pub fn decode_fec(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, OpusError> {
        self.inner.decode_float(packet, out, true).map_err(OpusError::Decode)
    }

    /// Fills `out` with a guess at what was lost, or with comfort noise after a DTX packet. `out` has a multiple of
    /// [`CONCEAL_STEP`] samples.
    pub fn conceal(&mut self, out: &mut [f32]) -> Result<usize, OpusError> {
        self.inner.decode_float(&[], out, false).map_err(OpusError::Decode)
    }

    /// Forgets the stream so far.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.inner.reset_state().map_err(OpusError::Setup)
    }
}

/// Samples (at 48 kHz) that `packet` decodes to, or nothing if it is not an Opus packet.
pub fn packet_samples(packet: &[u8]) -> Option<usize> {
    packet::get_nb_samples(packet, SAMPLE_RATE).ok().filter(|&samples| (1..=MAX_PACKET_SAMPLES).contains(&samples))
}

/// Samples of the lost sound before `packet` that it can restore: the length of its first frame if that carries the
/// low-bitrate redundancy of SILK (LBRR, RFC 6716 section 4.2.4), else 0. Packets of several frames with their own
/// lengths (codes 2 and 3), which no sender of voice uses, are taken to have none.
pub fn fec_samples(packet: &[u8]) -> usize {
    let (Some(&toc), Some(&first)) = (packet.first(), packet.get(1)) else { return 0 };
    // The table of contents byte, RFC 6716 section 3.1: configurations 16 to 31 are CELT, which has no LBRR.
    let (celt, stereo, code) = (toc & 0x80 != 0, toc & 0x04 != 0, toc & 0x03);
    let Ok(frame) = packet::get_samples_per_frame(packet, SAMPLE_RATE) else { return 0 };
    if celt || stereo || code > 1 {
        return 0;
    }
    // The SILK header starts with one voice activity bit per 20 ms, then comes the LBRR bit (section 4.2.3).
    let silk_frames = frame.div_ceil(960).min(3);
    if first >> (7 - silk_frames) & 1 == 1 { frame } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frame: usize, samples: usize) -> Vec<f32> {
        let step = std::f32::consts::TAU * 440.0 / SAMPLE_RATE as f32;
        (0..samples).map(|i| 0.3 * ((frame * samples + i) as f32 * step).sin()).collect()
    }

    /// Like speech to the encoder: the tone at syllable rate.
    fn syllables(frame: usize, samples: usize) -> Vec<f32> {
        let step = std::f32::consts::TAU * 4.0 / SAMPLE_RATE as f32;
        let tone = tone(frame, samples);
        tone.iter().zip(frame * samples..).map(|(s, i)| s * (0.5 - 0.5 * (i as f32 * step).cos())).collect()
    }

    fn energy(pcm: &[f32]) -> f32 {
        pcm.iter().map(|s| s * s).sum::<f32>() / pcm.len() as f32
    }

    #[test]
    fn a_tone_survives_both_packet_lengths() {
        for frame in [OpusFrame::Ms10, OpusFrame::Ms20] {
            let mut encoder = Encoder::new(OpusSettings { frame, ..OpusSettings::default() }).unwrap();
            let mut decoder = Decoder::new().unwrap();
            let (mut packet, mut out) = ([0; MAX_PACKET], [0.0; MAX_PACKET_SAMPLES]);
            for i in 0..20 {
                let len = encoder.encode(&tone(i, frame.samples()), &mut packet).unwrap();
                assert_eq!(packet_samples(&packet[..len]), Some(frame.samples()));
                assert_eq!(decoder.decode(&packet[..len], &mut out).unwrap(), frame.samples());
            }
            let energy = energy(&out[..frame.samples()]);
            assert!((0.03..0.06).contains(&energy), "{frame:?}: {energy}");
        }
    }

    #[test]
    fn a_lost_packet_is_restored_from_the_next_one() {
        for frame in [OpusFrame::Ms10, OpusFrame::Ms20] {
            let mut encoder = Encoder::new(OpusSettings { frame, ..OpusSettings::default() }).unwrap();
            let mut decoder = Decoder::new().unwrap();
            let (mut packet, mut out) = ([0; MAX_PACKET], [0.0; MAX_PACKET_SAMPLES]);
            // In the middle of the fourth syllable.
            let lost = 42_000 / frame.samples();
            for i in 0..=lost + 1 {
                let len = encoder.encode(&syllables(i, frame.samples()), &mut packet).unwrap();
                if i < lost {
                    decoder.decode(&packet[..len], &mut out).unwrap();
                } else if i > lost {
                    assert_eq!(fec_samples(&packet[..len]), frame.samples());
                    decoder.decode_fec(&packet[..len], &mut out[..frame.samples()]).unwrap();
                }
            }
            let energy = energy(&out[..frame.samples()]);
            assert!((0.02..0.07).contains(&energy), "{frame:?}: {energy}");
        }
    }

    #[test]
    fn a_steady_tone_is_not_taken_for_silence() {
        let mut encoder = Encoder::new(OpusSettings::default()).unwrap();
        let mut packet = [0; MAX_PACKET];
        for i in 0..500 {
            assert!(encoder.encode(&tone(i, 960), &mut packet).unwrap() > DTX_PACKET, "packet {i}");
        }
    }

    #[test]
    fn without_fec_no_packet_claims_to_have_it() {
        let mut encoder = Encoder::new(OpusSettings { fec: false, ..OpusSettings::default() }).unwrap();
        let mut packet = [0; MAX_PACKET];
        for i in 0..50 {
            let len = encoder.encode(&syllables(i, 960), &mut packet).unwrap();
            assert_eq!(fec_samples(&packet[..len]), 0);
        }
    }

    #[test]
    fn silence_is_announced_once_and_then_not_sent() {
        let mut encoder = Encoder::new(OpusSettings::default()).unwrap();
        let mut packet = [0; MAX_PACKET];
        for i in 0..50 {
            assert!(encoder.encode(&tone(i, 960), &mut packet).unwrap() > DTX_PACKET);
        }
        let lens: Vec<_> = (0..100).map(|_| encoder.encode(&[0.0; 960], &mut packet).unwrap()).collect();
        let announced = lens.iter().position(|&len| len <= DTX_PACKET).expect("silence within 2 s");
        assert!(lens[announced] > 0, "the far end was not told");
        let sent = lens[announced..].iter().filter(|&&len| len > 0).count();
        // A refresh every 400 ms, with an announcement after each.
        assert!(sent <= 10, "{sent} packets of {} sent in silence", lens.len() - announced);
    }

    #[test]
    fn packets_tell_their_length() {
        // (table of contents, samples): SILK 20 ms; SILK 60 ms; hybrid 10 ms; CELT 2.5 ms; CELT 20 ms twice; 20 ms thrice
        for (packet, samples) in
            [(&[0x08][..], 960), (&[0x18], 2880), (&[0x60], 480), (&[0x80], 120), (&[0xf9], 1920), (&[0xfb, 3], 2880)]
        {
            assert_eq!(packet_samples(packet), Some(samples), "{packet:x?}");
        }
    }

    #[test]
    fn what_is_not_opus_is_refused() {
        let mut decoder = Decoder::new().unwrap();
        let mut out = [0.0; MAX_PACKET_SAMPLES];
        // Code 3 with no frame count; code 3 with more than 120 ms.
        for packet in [&[0x03][..], &[0x1b, 0x3f, 0, 0]] {
            assert!(decoder.decode(packet, &mut out).is_err());
        }
        assert_eq!(packet_samples(&[]), None);
        assert_eq!(packet_samples(&[0x1b, 0x3f]), None);
        assert_eq!(fec_samples(&[]), 0);
    }
}
