//! Sound packets as they come from a peer, in the form that [`ahoy_media::audio::jitter::fuzz`] reads.

use ahoy_media::audio::opus::{Encoder, MAX_PACKET, OpusSettings};

/// A second of sound.
const PACKETS: usize = 50;
/// Another stream, sequence number, timestamp and arrival: what the flags make use of.
const WILD: [u8; 8] = [0; 8];
/// What the middle of every ten packets does: nothing; begin another stream with other numbers; come after a
/// pause.
const FLAGS: [u8; 3] = [0, 7, 8];

/// A stream for each of the [`FLAGS`].
pub(crate) fn packets() -> Vec<Vec<u8>> {
    let settings = OpusSettings::default();
    let samples = settings.frame.samples();
    let mut encoder = Encoder::new(settings).expect("encoder");
    let mut payload = |index: usize| {
        let pcm: Vec<f32> = (0..samples).map(|at| ((index * samples + at) as f32 * 0.06).sin() * 0.3).collect();
        let mut packet = [0; MAX_PACKET];
        let len = encoder.encode(&pcm, &mut packet).expect("encodes");
        packet[..len].to_vec()
    };
    let payloads: Vec<_> = (0..PACKETS).map(&mut payload).collect();
    let stream = |flags: u8| {
        let record = |(index, payload): (usize, &Vec<u8>)| {
            let flags = if index % 10 == 5 { flags } else { 0 };
            let [l0, l1] = (payload.len() as u16).to_be_bytes();
            [&[flags][..], &WILD, &[1, l0, l1], payload].concat()
        };
        payloads.iter().enumerate().map(record).collect::<Vec<_>>().concat()
    };
    FLAGS.map(stream).into()
}
