//! What loss leaves of a voice: encodes a WAV file in several ways, loses packets of it, plays the rest by
//! the real jitter buffer, and writes what is heard, for a program that judges speech (PESQ, for instance).
//!
//!     cargo run --release -p ahoy-media --example voice_through_loss -- speech.wav OUTPUT_DIRECTORY
//!
//! Prints a line of CSV for each way and loss. Time is virtual and losses are seeded: each run gives the
//! same.

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ahoy_media::{
    audio::{
        FRAME_SAMPLES,
        jitter::{JitterBuffer, JitterSettings, JitterStats, Packet},
        opus::{DredDuration, Encoder, MAX_PACKET, OpusFrame, OpusSettings, Percent},
        wav,
    },
    units::Bitrate,
};

/// IPv4, UDP, SRTP with its tag, header extensions, as on a usual path.
const HEADERS: usize = 58;
/// Of a repeated block by RFC 2198, and of the last one.
const RED_HEADERS: usize = 5;
/// One way through the network.
const DELAY: Duration = Duration::from_millis(30);
const SEEDS: u64 = 3;

#[derive(Clone, Copy, PartialEq)]
enum Repair {
    Nothing,
    Fec,
    /// Copies of the packets that were sent so many before it.
    Red(&'static [usize]),
    Dred(u16),
    DredAndFec(u16),
}

impl Repair {
    fn settings(self, kbps: u64, frame: OpusFrame, loss: u8) -> OpusSettings {
        let (fec, dred) = match self {
            Self::Nothing | Self::Red(_) => (false, 0),
            Self::Fec => (true, 0),
            Self::Dred(ms) => (false, ms),
            Self::DredAndFec(ms) => (true, ms),
        };
        let (bitrate, expected_loss) = (Bitrate::from_kbps(kbps), Percent::new(loss));
        OpusSettings { bitrate, frame, fec, dtx: true, expected_loss, dred: DredDuration::from_ms(dred) }
    }

    fn copies(self) -> &'static [usize] {
        match self {
            Self::Red(copies) => copies,
            Self::Nothing | Self::Fec | Self::Dred(_) | Self::DredAndFec(_) => &[],
        }
    }

    fn name(self) -> String {
        match self {
            Self::Nothing => "nothing".into(),
            Self::Fec => "fec".into(),
            Self::Red(copies) => copies.iter().fold("red".into(), |name, copy| format!("{name}{copy}")),
            Self::Dred(ms) => format!("dred{ms}"),
            Self::DredAndFec(ms) => format!("dred{ms}+fec"),
        }
    }
}

/// Which packets get lost.
#[derive(Clone, Copy)]
struct Loss {
    percent: u8,
    /// Packets of 20 ms in a row: a burst is as long in time whatever the packets' length is.
    burst: u32,
}

struct Random(u64);

impl Random {
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

struct Sent {
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

fn encode(speech: &[f32], settings: OpusSettings) -> Result<Vec<Sent>, Box<dyn Error>> {
    let (mut encoder, samples) = (Encoder::new(settings)?, settings.frame.samples());
    let (mut sent, mut packet) = (Vec::new(), [0; MAX_PACKET]);
    for (n, pcm) in speech.chunks_exact(samples).enumerate() {
        let len = encoder.encode(pcm, &mut packet)?;
        if len > 0 {
            let (sequence, timestamp) = (sent.len() as u16, (n * samples) as u32);
            sent.push(Sent { sequence, timestamp, payload: packet.get(..len).unwrap_or_default().to_vec() });
        }
    }
    Ok(sent)
}

/// Plays what is not lost, and gives what is heard and the bytes on the wire.
fn play(
    sent: &[Sent],
    length: usize,
    frame: OpusFrame,
    copies: &[usize],
    loss: Loss,
    seed: u64,
) -> Result<(Vec<f32>, JitterStats, usize), Box<dyn Error>> {
    let mut buffer = JitterBuffer::new(JitterSettings::default())?;
    let (base, mut random) = (Instant::now(), Random(seed * 7919 + 1));
    // Time, and not packets, is drawn: so two ways meet the same network.
    let slots = length / 960 + 1;
    let mut lost = vec![false; slots + 1];
    let mut slot = 0;
    while slot < slots {
        let start = f64::from(loss.percent) / 100.0 / f64::from(loss.burst) / (1.0 - f64::from(loss.percent) / 100.0);
        if loss.percent > 0 && random.share() < if loss.burst == 1 { f64::from(loss.percent) / 100.0 } else { start } {
            (slot..(slot + loss.burst as usize).min(slots)).for_each(|slot| lost[slot] = true);
            slot += loss.burst as usize;
        } else {
            slot += 1;
        }
    }
    let (mut heard, mut bytes, mut next, mut now) = (Vec::new(), 0, 0, Duration::from_millis(4));
    let mut by_packet = Random(seed * 104_729 + 3);
    let until = Duration::from_millis(length as u64 / 48 + 500);
    while now < until {
        while let Some(own) = sent.get(next) {
            let captured = own.timestamp as u64 + frame.samples() as u64;
            let arrival = Duration::from_micros(captured * 1000 / 48) + DELAY;
            if arrival > now {
                break;
            }
            let copies: Vec<&Sent> = copies.iter().filter_map(|copy| sent.get(next.checked_sub(*copy)?)).collect();
            bytes += HEADERS + own.payload.len();
            bytes += copies.iter().map(|copy| RED_HEADERS + copy.payload.len()).sum::<usize>();
            // Random loss takes packets, bursts take time.
            let gone = match loss.burst {
                1 => by_packet.share() < f64::from(loss.percent) / 100.0,
                _ => lost.get((captured / 960) as usize).copied().unwrap_or(false),
            };
            if !gone {
                let packet = |packet: &Sent, redundant| {
                    let (sequence, timestamp) = (packet.sequence, packet.timestamp);
                    (sequence, timestamp, packet.payload.clone(), redundant)
                };
                for (sequence, timestamp, payload, redundant) in
                    [packet(own, false)].into_iter().chain(copies.into_iter().map(|copy| packet(copy, true)))
                {
                    let arrival = base + arrival;
                    buffer.insert(Packet { ssrc: 1, sequence, timestamp, payload: &payload, arrival, redundant });
                }
            }
            next += 1;
        }
        let mut out = [0.0; FRAME_SAMPLES];
        buffer.pull(&mut out, base + now);
        heard.extend_from_slice(&out);
        now += Duration::from_millis(10);
    }
    Ok((heard, buffer.stats(), bytes))
}

fn write(path: &Path, samples: &[f32]) -> Result<(), Box<dyn Error>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
    }
    Ok(writer.finalize()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [speech, directory, chosen @ ..] = &arguments[..] else { return Err("speech.wav OUTPUT_DIRECTORY".into()) };
    let (speech, chosen) = (wav::open(speech)?, chosen.first().map(|name| name.display().to_string()));
    std::fs::create_dir_all(directory)?;
    let losses = [(0, 1), (5, 1), (10, 1), (20, 1), (30, 1), (10, 4), (20, 4)];
    let rates = [
        (OpusFrame::Ms10, 32),
        (OpusFrame::Ms20, 32),
        (OpusFrame::Ms20, 24),
        (OpusFrame::Ms40, 24),
        (OpusFrame::Ms40, 16),
        (OpusFrame::Ms60, 12),
        (OpusFrame::Ms60, 16),
        (OpusFrame::Ms40, 20),
        (OpusFrame::Ms20, 40),
    ];
    let repairs = [
        Repair::Nothing,
        Repair::Fec,
        Repair::Red(&[1]),
        Repair::Red(&[2]),
        Repair::Red(&[4]),
        Repair::Red(&[1, 2]),
        Repair::Red(&[1, 2, 3]),
        Repair::Dred(200),
        Repair::Dred(500),
        Repair::DredAndFec(200),
    ];
    println!("file,packet_ms,kbps,repair,loss,burst,seed,wire_kbps,concealed,lost,recovered,target_ms");
    for (frame, kbps) in rates {
        for repair in repairs {
            for (percent, burst) in losses {
                let name = format!("{}ms-{kbps}k-{}", frame.ms(), repair.name());
                if chosen.as_ref().is_some_and(|chosen| !name.contains(chosen)) {
                    continue;
                }
                let sent = encode(&speech, repair.settings(kbps, frame, percent.max(5)))?;
                for seed in 1..=SEEDS {
                    let loss = Loss { percent, burst };
                    let (heard, stats, bytes) = play(&sent, speech.len(), frame, repair.copies(), loss, seed)?;
                    let file = format!("{name}-{percent}x{burst}-{seed}.wav");
                    write(&directory.join(&file), &heard)?;
                    let seconds = speech.len() as f64 / 48_000.0;
                    println!(
                        "{file},{},{kbps},{},{percent},{burst},{seed},{:.1},{:.4},{},{},{:.0}",
                        frame.ms(),
                        repair.name(),
                        bytes as f64 * 8.0 / seconds / 1000.0,
                        stats.concealed_samples as f64 / stats.total_samples as f64,
                        stats.lost,
                        stats.recovered,
                        stats.target_ms,
                    );
                    if percent == 0 {
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}
