//! Opus for voice (RFC 6716, RFC 7587): 48 kHz, mono, with in-band FEC, deep redundancy (DRED), DTX and
//! concealment.

mod decoder;
mod encoder;
mod libopus;

use std::fmt;

pub use decoder::{Decoder, DecoderEffort};
pub use encoder::Encoder;
pub use libopus::{DredSpan, LibopusError};

use crate::{advice::Advice, units::Bitrate};

/// The largest packet that is sent or taken: one Opus frame at its largest (RFC 6716 section 3.2.1), which
/// leaves an RTP packet under every usual MTU. Voice needs a tenth of it.
pub const MAX_PACKET: usize = 1275;
/// The longest sound that one packet can hold: 120 ms (RFC 6716 section 3.2.5), in samples.
pub const MAX_PACKET_SAMPLES: usize = 5760;
/// Packets up to this size hold no sound: the encoder is in DTX, and the decoder makes comfort noise (libopus
/// `opus_encode`).
pub const DTX_PACKET: usize = 2;
/// Concealment comes in steps of 2.5 ms (libopus `opus_decode`), here in samples.
pub const CONCEAL_STEP: usize = 120;
/// The version of deep redundancy that this program writes and reads (libopus 1.6
/// `DRED_EXPERIMENTAL_VERSION`). Its standard is a draft, draft-ietf-mlcodec-opus-dred, and a decoder of
/// another version ignores it.
pub const DRED_VERSION: u8 = 12;

/// What libopus refused, and what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpusError {
    /// No encoder or decoder, mostly for want of memory.
    Setup(#[source] LibopusError),
    /// The sound could not be encoded; the frame is lost, the next one is independent of it.
    Encode(#[source] LibopusError),
    /// The packet is damaged or not Opus at all; it is to be treated as lost.
    Decode(#[source] LibopusError),
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
                "frames are 480, 960, 1920 or 2880 samples of 48 kHz mono",
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

/// How much sound goes into one packet. The longer, the fewer headers, and the later the sound is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpusFrame {
    /// 10 ms: the lowest delay, at the price of twice the packet headers.
    Ms10,
    /// 20 ms: what browsers send.
    Ms20,
    /// 40 ms: for slow paths.
    Ms40,
    /// 60 ms: for the slowest paths. The longest sound that SILK codes as one frame (RFC 6716 section 2.1.4).
    Ms60,
}

impl OpusFrame {
    /// All lengths, the shortest first.
    pub const ALL: [Self; 4] = [Self::Ms10, Self::Ms20, Self::Ms40, Self::Ms60];

    /// Samples a packet.
    pub const fn samples(self) -> usize {
        self.ms() as usize * 48
    }

    /// Milliseconds a packet.
    pub const fn ms(self) -> u32 {
        match self {
            Self::Ms10 => 10,
            Self::Ms20 => 20,
            Self::Ms40 => 40,
            Self::Ms60 => 60,
        }
    }
}

/// How far back the deep redundancy (DRED) of each packet reaches: a few hundred bits describe the sound
/// before the packet well enough for a neural network to say it again. 0 to 1040 ms, in steps of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DredDuration(u8);

impl DredDuration {
    /// No deep redundancy.
    pub const NONE: Self = Self(0);
    /// What libopus can describe at most (`DRED_MAX_FRAMES`).
    pub const MAX: Self = Self(104);

    /// `ms` milliseconds, rounded down to 10, at most [`Self::MAX`].
    pub const fn from_ms(ms: u16) -> Self {
        let steps = ms / 10;
        if steps > Self::MAX.0 as u16 { Self::MAX } else { Self(steps as u8) }
    }

    /// In milliseconds.
    pub const fn ms(self) -> u16 {
        self.0 as u16 * 10
    }

    /// Whether there is none.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What of an encoder can change from one packet to the next, as the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoiceEncoding {
    /// Aim, everything within the packets included; a talker's pauses use less.
    pub bitrate: Bitrate,
    /// Sound in a packet.
    pub packet: OpusFrame,
    /// In-band FEC: each packet holds a coarse copy of the one before it, which replaces it if it is lost
    /// (RFC 6716 section 2.1.7). libopus does so for speech only: a steady tone is left to concealment.
    pub fec: bool,
    /// Loss to be ready for: the more, the larger the part of the bits that FEC and DRED get. At 0 there is
    /// neither.
    pub expected_loss: Percent,
    /// Each packet describes this much sound before it.
    pub dred: DredDuration,
}

/// How an [`Encoder`] works. The default is voice at 32 kbit/s in packets of 20 ms with FEC and DTX.
#[derive(Clone, Copy, Debug)]
pub struct OpusSettings {
    /// As in [`VoiceEncoding`].
    pub bitrate: Bitrate,
    /// As in [`VoiceEncoding`].
    pub frame: OpusFrame,
    /// As in [`VoiceEncoding`].
    pub fec: bool,
    /// Silence is not sent (RFC 6716 section 2.1.9).
    pub dtx: bool,
    /// As in [`VoiceEncoding`].
    pub expected_loss: Percent,
    /// As in [`VoiceEncoding`].
    pub dred: DredDuration,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self {
            bitrate: Bitrate::from_kbps(32),
            frame: OpusFrame::Ms20,
            fec: true,
            dtx: true,
            // Assumed until receiver reports come, so that FEC covers the first loss of a call already. Over
            // 5 % libopus narrows the audio band where FEC would not fit otherwise, as with packets of 10 ms.
            expected_loss: Percent::new(10),
            dred: DredDuration::NONE,
        }
    }
}

impl OpusSettings {
    /// The part that can change while the encoder runs.
    pub fn encoding(&self) -> VoiceEncoding {
        let Self { bitrate, frame, fec, dtx: _, expected_loss, dred } = *self;
        VoiceEncoding { bitrate, packet: frame, fec, expected_loss, dred }
    }
}

/// Samples (at 48 kHz) that `packet` decodes to, or nothing if it is not an Opus packet.
pub fn packet_samples(packet: &[u8]) -> Option<usize> {
    libopus::packet_samples(packet).filter(|samples| (1..=MAX_PACKET_SAMPLES).contains(samples))
}

/// Samples of the lost sound before `packet` that it can restore: the length of its first frame if that
/// carries the low-bitrate redundancy of SILK (LBRR, RFC 6716 section 4.2.4), else 0.
pub fn fec_samples(packet: &[u8]) -> usize {
    if libopus::has_fec(packet) { libopus::frame_samples(packet).unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use ahoy_test_support::speech::speech;

    use super::*;
    use crate::audio::SAMPLE_RATE;

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
    fn a_tone_survives_all_packet_lengths() {
        for frame in OpusFrame::ALL {
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
        // (table of contents, samples): SILK 20 ms; SILK 60 ms; hybrid 10 ms; CELT 2.5 ms; CELT 20 ms twice;
        // 20 ms thrice
        for (packet, samples) in
            [(&[0x08][..], 960), (&[0x18], 2880), (&[0x60], 480), (&[0x80], 120), (&[0xf9], 1920), (&[0xfb, 3], 2880)]
        {
            assert_eq!(packet_samples(packet), Some(samples), "{packet:x?}");
        }
    }

    /// A voice with deep redundancy at `loss`, 20 ms a packet.
    fn with_dred(loss: u8, ms: u16) -> OpusSettings {
        let (expected_loss, dred) = (Percent::new(loss), DredDuration::from_ms(ms));
        OpusSettings { fec: false, dtx: false, expected_loss, dred, ..OpusSettings::default() }
    }

    /// Packets of a second of syllables.
    fn second(settings: OpusSettings) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(settings).unwrap();
        let samples = settings.frame.samples();
        let mut packet = [0; MAX_PACKET];
        let mut packets = Vec::new();
        for i in 0..48_000 / samples {
            let len = encoder.encode(&syllables(i, samples), &mut packet).unwrap();
            packets.push(packet[..len].to_vec());
        }
        packets
    }

    #[test]
    fn lost_speech_comes_back_by_deep_redundancy() {
        let speech = speech(3, 120.0, 3 * 48_000);
        let mut encoder = Encoder::new(with_dred(20, 1000)).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let (mut packet, mut out) = ([0; MAX_PACKET], [0.0; MAX_PACKET_SAMPLES]);
        let (mut lost, mut restored, mut gaps, mut described) = (Vec::new(), Vec::new(), 0, 0);
        // Of each twelve packets four are lost in a row.
        for (i, pcm) in speech.chunks_exact(960).enumerate() {
            let len = encoder.encode(pcm, &mut packet).unwrap();
            let packet = &packet[..len];
            if i < 24 || i % 12 > 4 {
                decoder.decode(packet, &mut out).unwrap();
                continue;
            }
            if i % 12 < 4 {
                lost.extend_from_slice(pcm);
                continue;
            }
            let span = decoder.dred_span(packet);
            described += usize::from(span.from >= 4 * 960 && span.to < 4 * 960);
            gaps += 1;
            decoder.load_dred(packet, 4 * 960).unwrap();
            for offset in [4, 3, 2, 1].map(|n| n * 960) {
                assert_eq!(decoder.decode_dred(offset, &mut out[..960]).unwrap(), 960);
                restored.extend_from_slice(&out[..960]);
            }
            decoder.decode(packet, &mut out).unwrap();
        }
        // In pauses there is nothing to describe.
        assert!(described * 3 > gaps * 2, "{described} of {gaps} gaps were described");
        // The waveform is another one; where it is loud is not. The encoder looks ahead by 6.5 ms.
        let pieces = |pcm: &[f32]| pcm.chunks_exact(960).map(|piece| energy(piece).sqrt()).collect::<Vec<_>>();
        let (lost, restored) = (pieces(&lost), pieces(&restored));
        let product: f32 = lost.iter().zip(&restored).map(|(a, b)| a * b).sum();
        let power = |pieces: &[f32]| pieces.iter().map(|a| a * a).sum::<f32>().sqrt();
        let likeness = product / (power(&lost) * power(&restored));
        assert!(likeness > 0.9, "loudness of what was lost and of what came back: {likeness}");
        assert!((0.5..1.5).contains(&(power(&restored) / power(&lost))));
    }

    #[test]
    fn deep_redundancy_of_our_version_is_what_packets_carry() {
        let packet = second(with_dred(20, 200)).pop().unwrap();
        assert!(packet.windows(2).any(|bytes| bytes == [b'D', DRED_VERSION]), "another version of DRED");
        // A packet of another version is as one without.
        let other: Vec<_> =
            packet.iter().map(|&byte| if byte == DRED_VERSION { DRED_VERSION + 1 } else { byte }).collect();
        assert_eq!(Decoder::new().unwrap().dred_span(&other), DredSpan::default());
    }

    #[test]
    fn without_deep_redundancy_no_packet_claims_to_have_it() {
        let mut decoder = Decoder::new().unwrap();
        for settings in [OpusSettings::default(), with_dred(20, 0), with_dred(0, 1000)] {
            for packet in second(settings) {
                assert_eq!(decoder.dred_span(&packet), DredSpan::default());
            }
        }
        for packet in [&[][..], &[0x03], &[0x03, 0x41], &[0x03, 0x41, 0xff], &[0x03, 0x41, 200, 0]] {
            assert_eq!(decoder.dred_span(packet), DredSpan::default(), "{packet:x?}");
        }
    }

    #[test]
    fn damaged_deep_redundancy_is_survived() {
        let packets = second(with_dred(20, 1000));
        let mut decoder = Decoder::new().unwrap();
        let mut out = [0.0; MAX_PACKET_SAMPLES];
        let mut seed = 1u32;
        let mut random = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as usize
        };
        for round in 0..2000 {
            let mut packet = packets[round % packets.len()].clone();
            for _ in 0..1 + random() % 4 {
                // The header of the padding and the description, rather than the sound.
                let at = packet.len() - 1 - random() % (packet.len() / 2);
                packet[if random() % 8 == 0 { 1 } else { at }] = random() as u8;
            }
            packet.truncate(packet.len() - random() % 3);
            let span = decoder.dred_span(&packet);
            assert!(span.from >= span.to, "{span:?}");
            if decoder.load_dred(&packet, random() % 60_000).is_ok() {
                for offset in [random() % 50_000, span.from, span.to, 0] {
                    out[..480].fill(f32::NAN);
                    decoder.decode_dred(offset, &mut out[..480]).unwrap();
                    assert!(out[..480].iter().all(|sample| sample.is_finite()), "round {round}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_revived_of_a_packet_that_was_not_read() {
        let mut decoder = Decoder::new().unwrap();
        assert!(decoder.decode_dred(960, &mut [0.0; 960]).is_err());
        assert!(decoder.load_dred(&[], 960).is_err());
        assert!(decoder.decode_dred(960, &mut [0.0; 960]).is_err());
    }

    #[test]
    fn the_encoding_changes_between_packets() {
        let mut encoder = Encoder::new(OpusSettings { dtx: false, ..OpusSettings::default() }).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let (mut packet, mut out, mut from) = ([0; MAX_PACKET], [0.0; MAX_PACKET_SAMPLES], 0);
        let mut bits = Vec::new();
        for (kbps, frame, dred) in [
            (32, OpusFrame::Ms10, 0),
            (12, OpusFrame::Ms60, 0),
            (24, OpusFrame::Ms20, 200),
            (16, OpusFrame::Ms40, 0),
            (32, OpusFrame::Ms10, 0),
        ] {
            let settings = OpusSettings {
                bitrate: Bitrate::from_kbps(kbps),
                frame,
                dred: DredDuration::from_ms(dred),
                ..OpusSettings::default()
            };
            encoder.configure(settings.encoding()).unwrap();
            let mut bytes = 0;
            for _ in 0..3000 / frame.ms() {
                let pcm = syllables(0, from + frame.samples()).split_off(from);
                from += frame.samples();
                let len = encoder.encode(&pcm, &mut packet).unwrap();
                bytes += len;
                assert_eq!(packet_samples(&packet[..len]), Some(frame.samples()));
                assert_eq!(decoder.decode(&packet[..len], &mut out).unwrap(), frame.samples());
                assert!(decoder.dred_span(&packet[..len]).from == 0 || dred > 0, "{kbps}: described as it was before");
            }
            bits.push(bytes as u64 * 8 / 3000);
        }
        let [first, slowest, .., last] = bits[..] else { panic!() };
        assert!(slowest <= 14 && (24..=38).contains(&first) && (24..=38).contains(&last), "{bits:?} kbit/s");
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
