use std::io::Cursor;

use super::*;

/// A second of 440 Hz at half scale in every channel, by `hound`.
fn file(spec: hound::WavSpec) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..spec.sample_rate {
        let value = 0.5 * (std::f32::consts::TAU * 440.0 * n as f32 / spec.sample_rate as f32).sin();
        for _ in 0..spec.channels {
            match spec.sample_format {
                hound::SampleFormat::Float => writer.write_sample(value).unwrap(),
                hound::SampleFormat::Int => {
                    let full_scale = (1_u64 << (spec.bits_per_sample - 1)) as f32;
                    writer.write_sample((value * full_scale) as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn spec(sample_rate: u32, channels: u16, bits_per_sample: u16) -> hound::WavSpec {
    hound::WavSpec { sample_rate, channels, bits_per_sample, sample_format: hound::SampleFormat::Int }
}

const PCM: u16 = 1;
const FLOAT: u16 = 3;

/// A file built chunk by chunk, for what no library writes.
#[derive(Clone)]
struct Built {
    magic: [u8; 4],
    /// RIFF's own size; none for the right one.
    riff_size: Option<u32>,
    before_format: Vec<u8>,
    format: Vec<u8>,
    before_data: Vec<u8>,
    /// The size that `data` states; none for the right one.
    data_size: Option<u32>,
    data: Vec<u8>,
    after: Vec<u8>,
}

impl Built {
    /// At 48 kHz.
    fn new(tag: u16, channels: u16, container: u16, data: Vec<u8>) -> Self {
        let format = format(tag, channels, 48_000, channels * container, 8 * container);
        let nothing = Vec::new;
        Self {
            magic: *b"RIFF",
            riff_size: None,
            before_format: nothing(),
            format,
            before_data: nothing(),
            data_size: None,
            data,
            after: nothing(),
        }
    }

    /// 100 samples of 16 bits mono: 0, 1/128, 2/128 ...
    fn ramp() -> Self {
        Self::new(PCM, 1, 2, (0..100_i16).flat_map(|n| (n * 256).to_le_bytes()).collect())
    }

    fn bytes(&self) -> Vec<u8> {
        let mut body = b"WAVE".to_vec();
        body.extend(&self.before_format);
        body.extend(chunk(b"fmt ", &self.format));
        body.extend(&self.before_data);
        body.extend(b"data");
        body.extend(self.data_size.unwrap_or(self.data.len() as u32).to_le_bytes());
        body.extend(&self.data);
        body.extend(&self.after);
        let size = self.riff_size.unwrap_or(body.len() as u32);
        [&self.magic[..], &size.to_le_bytes(), &body].concat()
    }
}

fn format(tag: u16, channels: u16, rate: u32, block: u16, bits: u16) -> Vec<u8> {
    let mut format = Vec::new();
    format.extend([tag, channels].map(u16::to_le_bytes).concat());
    format.extend([rate, rate * u32::from(block)].map(u32::to_le_bytes).concat());
    format.extend([block, bits].map(u16::to_le_bytes).concat());
    format
}

/// `WAVEFORMATEXTENSIBLE`; `cb_size` is what it says of its own length.
fn extensible(subtype: u16, channels: u16, container: u16, valid_bits: u16, mask: u32, cb_size: u16) -> Vec<u8> {
    let mut format = format(0xfffe, channels, 48_000, channels * container, 8 * container);
    format.extend([cb_size, valid_bits].map(u16::to_le_bytes).concat());
    format.extend(mask.to_le_bytes());
    format.extend(subtype.to_le_bytes());
    format.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    format
}

/// A chunk with its pad byte.
fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let pad: &[u8] = if body.len() % 2 == 1 { &[0] } else { &[] };
    [unpadded(id, body), pad.to_vec()].concat()
}

fn unpadded(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&id[..], &(body.len() as u32).to_le_bytes(), body].concat()
}

fn ramp() -> Vec<f32> {
    (0..100).map(|n| n as f32 / 128.0).collect()
}

/// Gives one byte at a time, and is interrupted before each.
struct Trickle<'a> {
    bytes: &'a [u8],
    interrupted: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = to.len().min(1);
        self.bytes.read(&mut to[..len])
    }
}

fn trickle(bytes: &[u8]) -> Trickle<'_> {
    Trickle { bytes, interrupted: false }
}

#[test]
fn every_sample_format_channel_count_and_rate_becomes_mono_48k() {
    let float = hound::WavSpec { sample_format: hound::SampleFormat::Float, ..spec(48_000, 1, 32) };
    for spec in [
        spec(48_000, 1, 16),
        spec(48_000, 2, 8),
        spec(44_100, 2, 24),
        spec(8_000, 1, 16),
        spec(96_000, 6, 32),
        spec(192_000, 2, 24),
        spec(384_000, 1, 32),
        spec(11_025, 1, 8),
        spec(22_050, 1, 16),
        float,
    ] {
        let samples = read(file(spec).as_slice(), "tone.wav").unwrap();
        assert_eq!(samples.len(), 48_000, "{spec:?}");
        let rms = (samples.iter().map(|s| s * s).sum::<f32>() / 48_000.0).sqrt();
        assert!((rms - 0.5 / 2_f32.sqrt()).abs() < 0.01, "{spec:?}: {rms}");
    }
}

#[test]
fn every_coding_in_1_to_8_channels_has_its_values() {
    let codings: [(u16, u16, [Vec<u8>; 3]); 6] = [
        (PCM, 1, [vec![0], vec![128], vec![192]]),
        (PCM, 2, [-32_768_i16, 0, 16_384].map(|v| v.to_le_bytes().to_vec())),
        (PCM, 3, [vec![0, 0, 0x80], vec![0, 0, 0], vec![0, 0, 0x40]]),
        (PCM, 4, [i32::MIN, 0, 1 << 30].map(|v| v.to_le_bytes().to_vec())),
        (FLOAT, 4, [-1.0_f32, 0.0, 0.5].map(|v| v.to_le_bytes().to_vec())),
        (FLOAT, 8, [-1.0_f64, 0.0, 0.5].map(|v| v.to_le_bytes().to_vec())),
    ];
    for (tag, container, values) in codings {
        for channels in 1..=8_u16 {
            let data = values.iter().flat_map(|value| value.repeat(channels.into())).collect();
            let mut built = Built::new(tag, channels, container, data);
            let case = format!("{tag} {container} {channels}");
            assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), [-1.0, 0.0, 0.5], "{case}");
            built.format = extensible(tag, channels, container, 8 * container, 0x3f, 22);
            assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), [-1.0, 0.0, 0.5], "extensible {case}");
        }
    }
}

#[test]
fn every_valid_layout_of_the_extensible_format_is_read() {
    // 24 valid bits in a container of 32 are the upper ones.
    let upper: Vec<u8> = [0x4000_0000_i32, -0x4000_0000].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (case, valid_bits, mask, cb_size, more) in [
        ("all bits valid", 32, 4, 22, 0),
        ("24 of 32 bits", 24, 4, 22, 0),
        ("20 of 32 bits", 20, 4, 22, 0),
        ("valid bits not stated", 0, 4, 22, 0),
        ("more valid bits than there are", 64, 4, 22, 0),
        ("no speaker named", 32, 0, 22, 0),
        ("more speakers named than channels", 32, u32::MAX, 22, 0),
        ("a longer structure", 24, 4, 26, 4),
        ("a much longer structure", 24, 4, 1000, 1001),
        ("a length that was forgotten", 24, 4, 0, 0),
    ] {
        let mut built = Built::new(PCM, 1, 4, upper.clone());
        built.format = extensible(PCM, 1, 4, valid_bits, mask, cb_size);
        built.format.extend(vec![0xee; more]);
        assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), [0.5, -0.5], "{case}");
    }
    // 20 bits in 3 bytes, as the plain format may have them too.
    let mut built = Built::new(PCM, 1, 3, vec![0, 0, 0x40]);
    for format in [extensible(PCM, 1, 3, 20, 4, 22), format(PCM, 1, 48_000, 3, 20), format(PCM, 1, 48_000, 0, 20)] {
        built.format = format;
        assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), [0.5]);
    }
}

#[test]
fn the_plain_format_may_state_its_extension() {
    for extension in [&[][..], &[0, 0], &[2, 0, 7, 7], &[22, 0]] {
        let mut built = Built::ramp();
        built.format.extend_from_slice(extension);
        assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), ramp(), "{extension:?}");
    }
}

#[test]
fn sizes_that_a_pipe_left_open_reach_to_the_end_of_the_file() {
    let open = [0, u32::MAX, u32::MAX - 36, 0x7fff_f000, 0x7fff_ffff, 0x7fff_ffff - 36, 0x8000_0000, 0x8000_0024];
    for data_size in open {
        for riff_size in [0, 36, data_size, data_size.wrapping_add(36), u32::MAX] {
            let built = Built { data_size: Some(data_size), riff_size: Some(riff_size), ..Built::ramp() };
            let case = format!("{data_size:#x} {riff_size:#x}");
            assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), ramp(), "{case}");
            assert_eq!(read(trickle(&built.bytes()), "x.wav").unwrap(), ramp(), "{case}, byte by byte");
        }
    }
}

#[test]
fn a_stated_size_ends_the_sound_before_what_follows() {
    let after = [chunk(b"LIST", b"INFOINAM\x05\0\0\0title"), chunk(b"id3 ", &[7; 33])].concat();
    let built = Built { after: after.clone(), ..Built::ramp() };
    assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), ramp());
    // Nothing was recorded, and the rest is no sound.
    let empty = Built { data: Vec::new(), after, ..Built::ramp() };
    assert!(matches!(read(empty.bytes().as_slice(), "x.wav"), Err(WavError::Empty { .. })));
}

#[test]
fn chunks_before_the_samples_are_passed_over_with_their_pad_byte_or_without() {
    let odd = b"INFOISFT\x01\0\0\0a";
    let nonzero_pad = [unpadded(b"LIST", odd), vec![b'x']].concat();
    for (case, chunks) in [
        ("nothing", Vec::new()),
        ("an odd chunk and its pad byte", chunk(b"LIST", odd)),
        ("an odd chunk and a pad byte that is not zero", nonzero_pad),
        ("an odd chunk without its pad byte", unpadded(b"LIST", odd)),
        ("two of them", [unpadded(b"LIST", odd), unpadded(b"fact", &[1; 5])].concat()),
        ("an unknown odd chunk after a known one", [chunk(b"LIST", odd), chunk(b"zzzz", &[9; 7])].concat()),
        ("a broadcast extension", chunk(b"bext", &[0x20; 603])),
        ("room for a later RF64", chunk(b"JUNK", &[0; 28])),
        ("the number of samples", chunk(b"fact", &100_u32.to_le_bytes())),
        ("an empty chunk", chunk(b"PEAK", &[])),
        ("a cover picture", chunk(b"id3 ", &vec![1; 3_000_001])),
        ("a second format", chunk(b"fmt ", &format(PCM, 7, 8000, 7, 8))),
    ] {
        for first in [false, true] {
            let mut built = Built::ramp();
            let place = if first { &mut built.before_format } else { &mut built.before_data };
            place.extend(&chunks);
            if case == "a second format" && first {
                continue;
            }
            assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), ramp(), "{case}");
            assert_eq!(read(trickle(&built.bytes()), "x.wav").unwrap(), ramp(), "{case}, byte by byte");
        }
    }
}

#[test]
fn rf64_and_bw64_have_their_size_in_a_chunk_of_its_own() {
    let ds64 = |data: u64| {
        let sizes = [0_u64, data, 100].map(u64::to_le_bytes).concat();
        chunk(b"ds64", &[&sizes[..], &[0; 4]].concat())
    };
    for magic in [*b"RF64", *b"BW64"] {
        for long in [200, 0, u64::MAX, u64::MAX - 1] {
            let after = if long == 200 { chunk(b"LIST", b"INFO") } else { Vec::new() };
            let built = Built { magic, data_size: Some(u32::MAX), riff_size: Some(u32::MAX), after, ..Built::ramp() };
            let built = Built { before_format: ds64(long), ..built };
            assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), ramp(), "{long:#x}");
        }
    }
    let built = Built { magic: *b"RF64", data_size: Some(u32::MAX), before_format: ds64(1 << 40), ..Built::ramp() };
    assert!(matches!(read(built.bytes().as_slice(), "x.wav"), Err(WavError::TooLong { .. })));
    // A chunk that is too short to state a size.
    let built = Built { magic: *b"RF64", data_size: Some(u32::MAX), before_format: chunk(b"ds64", &[1; 6]), ..built };
    assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), ramp());
}

#[test]
fn a_file_that_ends_inside_a_sample_is_played_up_to_it() {
    let stereo = |data: Vec<u8>| Built::new(PCM, 2, 2, data);
    let data: Vec<u8> = [[16_384_i16; 2]; 3].concat().into_iter().flat_map(i16::to_le_bytes).collect();
    for len in 4..=data.len() {
        let whole = stereo(data[..len].to_vec());
        for (case, data_size) in
            [("stated", None), ("left open", Some(0)), ("left open", Some(u32::MAX)), ("too large", Some(12_000))]
        {
            let built = Built { data_size, ..whole.clone() };
            assert_eq!(read(built.bytes().as_slice(), "x.wav").unwrap(), vec![0.5; len / 4], "{len} {case}");
        }
    }
    for len in 0..4 {
        for data_size in [None, Some(u32::MAX), Some(12)] {
            let built = Built { data_size, ..stereo(data[..len].to_vec()) };
            assert!(matches!(read(built.bytes().as_slice(), "x.wav"), Err(WavError::Empty { .. })), "{len}");
        }
    }
}

#[test]
fn bad_files_get_an_error_that_names_them_and_says_what_to_do() {
    let good = file(spec(48_000, 1, 16));
    let with_format = |format: Vec<u8>| Built { format, ..Built::ramp() }.bytes();
    let plain = |tag, channels, block, bits| with_format(format(tag, channels, 48_000, block, bits));
    let mut foreign = extensible(PCM, 1, 2, 16, 4, 22);
    foreign[30] ^= 0xff;
    let no_format = [b"RIFF\0\0\0\0WAVE".to_vec(), chunk(b"data", &[0; 8])].concat();
    let refused = |reason: &str| format!("x.wav is not a WAV file that can be played ({reason}");
    for (bytes, wanted) in [
        (Vec::new(), "x.wav holds no sound".to_owned()),
        (write::header(0).to_vec(), "x.wav holds no sound".to_owned()),
        (good[..20].to_vec(), refused("it ends before its sound begins)")),
        (good[..7].to_vec(), refused("it ends before its sound begins)")),
        (good[..40].to_vec(), refused("it ends before its sound begins)")),
        (b"<html>not found</html>".to_vec(), refused("it does not begin with RIFF)")),
        (b"RIFF\x24\0\0\0AVI LIST".to_vec(), refused("it is a RIFF file of another kind than WAVE)")),
        (Built { magic: *b"RIFX", ..Built::ramp() }.bytes(), refused("it is RIFX, whose numbers are big-endian)")),
        (no_format, refused("its samples come before their format)")),
        (file(spec(1_000, 1, 16)), refused("a sample rate of 1000 Hz)")),
        (with_format(vec![1, 0, 1, 0]), refused("its format has 4 bytes instead of 16 or more)")),
        (with_format(extensible(PCM, 1, 2, 16, 4, 22)[..38].to_vec()), refused("its extensible format is cut off)")),
        (with_format(foreign), refused("its samples are neither integers nor floats)")),
        (plain(PCM, 0, 2, 16), refused("it has no channels)")),
        (plain(PCM, 1000, 2000, 16), refused("1000 channels)")),
        (plain(PCM, 1, 2, 0), refused("its samples have no bits)")),
        (plain(PCM, 1, 8, 64), refused("integers of 64 bits a sample)")),
        (plain(FLOAT, 1, 2, 16), refused("floats of 16 bits a sample)")),
        (plain(2, 1, 256, 4), refused("its samples are compressed, by Microsoft ADPCM)")),
        (plain(6, 1, 1, 8), refused("its samples are compressed, by A-law)")),
        (plain(0x1234, 1, 1, 8), refused("its samples are compressed, format 0x1234)")),
    ] {
        let error = read(bytes.as_slice(), "x.wav").unwrap_err();
        assert!(error.to_string().starts_with(&wanted), "{error} instead of {wanted}");
        assert!(!error.advice().todo.is_empty(), "{error}");
    }
    let error = open(Path::new("/nonexistent/x.wav")).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/x.wav: No such file"), "{error}");
}

#[test]
fn more_than_ten_minutes_are_refused_before_they_fill_the_memory() {
    let seconds = MAX_DURATION.as_secs() as u32 + 1;
    for size in [seconds * SAMPLE_RATE * 2, 0, u32::MAX] {
        let endless = [&write::header(0)[..40], &size.to_le_bytes()].concat();
        let error = read(endless.as_slice().chain(io::repeat(0)), "x.wav").unwrap_err();
        assert!(matches!(error, WavError::TooLong { .. }), "{error}");
    }
}

#[test]
fn an_endless_head_is_refused() {
    let start = b"RIFF\0\0\0\0WAVE".as_slice();
    let endless = read(start.chain(io::repeat(0)), "x.wav").unwrap_err().to_string();
    assert!(endless.contains("no sound comes within its first 64 MiB"), "{endless}");
    let huge = [start, b"JUNK", &u32::MAX.to_le_bytes()].concat();
    let huge = read(huge.as_slice().chain(io::repeat(0)), "x.wav").unwrap_err().to_string();
    assert!(huge.contains("no sound comes within its first 64 MiB"), "{huge}");
}

#[test]
fn not_a_number_becomes_silence() {
    let data = [f32::NAN, f32::INFINITY, 0.5, 7.0, -7.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let samples = read(Built::new(FLOAT, 1, 4, data).bytes().as_slice(), "x.wav").unwrap();
    assert_eq!(samples, [0.0, 0.0, 0.5, 1.0, -1.0]);
    let data = [f64::NAN, f64::NEG_INFINITY, 0.5, 1e300].iter().flat_map(|v| v.to_le_bytes()).collect();
    let samples = read(Built::new(FLOAT, 1, 8, data).bytes().as_slice(), "x.wav").unwrap();
    assert_eq!(samples, [0.0, 0.0, 0.5, 1.0]);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_fifo_is_read_to_its_end_and_not_waited_for_longer_than_its_limit() {
    let path = std::env::temp_dir().join(format!("ahoy-wav-fifo-{}", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is in coreutils");
    assert!(made.success());
    let refused = |limit| open_within(&path, Duration::from_millis(limit)).unwrap_err().to_string();
    let error = refused(10);
    assert!(error.starts_with(&format!("{} is a pipe that did not end within", path.display())), "{error}");
    assert!(error.ends_with("start the program that writes into it, or let it write a file first"), "{error}");
    // A writer that stops in the middle.
    let begun = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut &begun, &Built::ramp().bytes()[..100]).unwrap();
    assert_eq!(refused(10), error);
    drop(begun);
    // A failed attempt leaves no reader behind that would take a part of the next one's bytes.
    for _ in 0..3 {
        let (writer, bytes) = (path.clone(), Built::ramp().bytes());
        let writer = std::thread::spawn(move || std::fs::write(writer, bytes).unwrap());
        assert_eq!(open(&path).unwrap(), ramp());
        writer.join().unwrap();
    }
    std::fs::remove_file(&path).unwrap();
}
