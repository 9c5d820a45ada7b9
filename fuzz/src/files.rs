//! Files somebody chose as camera or microphone, and a camera's JPEG pictures.

use std::{io::Cursor, time::Instant};

use ahoy_media::{
    audio::{SAMPLE_RATE, wav},
    video::{
        I420Frame,
        capture::{MjpegDecoder, y4m},
    },
};

/// Sides of the pictures in the corpus.
const WIDTH: u32 = 48;
const HEIGHT: u32 = 32;
/// The lowest rate that is taken from a WAV file; its samples become the most.
const WAV_RATE_MIN: u32 = 4_000;

/// There is a picture for no fewer bytes than it has, before and after going back to the first.
pub(crate) fn y4m(data: &[u8]) {
    let Ok(mut reader) = y4m::Reader::new(Cursor::new(data)) else { return };
    let header = reader.header();
    assert!(header.format().fps > 0);
    let mut picture = I420Frame::black(0, 0, Instant::now());
    let mut pictures = || {
        let mut count = 0;
        while let Ok(true) = reader.next_frame(&mut picture) {
            count += 1;
            assert_eq!((picture.width(), picture.height()), (header.width, header.height));
        }
        reader.rewind().expect("memory can be read from its start");
        count
    };
    let count = pictures();
    assert_eq!(pictures(), count, "the second time round");
    let pixels = header.width as usize * header.height as usize;
    assert!(count * pixels <= data.len(), "{count} pictures of {header:?} out of {} bytes", data.len());
}

/// Pictures in limited and full range, with and without parameters of their own.
pub(crate) fn y4m_corpus() -> Vec<Vec<u8>> {
    let pixels: Vec<u8> = (0..WIDTH * HEIGHT * 3 / 2).map(|at| (at * 7) as u8).collect();
    let file = |header: &str, frame: &str| {
        let mut file = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} {header}\n").into_bytes();
        for _ in 0..2 {
            file.extend_from_slice(frame.as_bytes());
            file.extend_from_slice(&pixels);
        }
        file
    };
    vec![
        file("F30:1 Ip A1:1 C420jpeg", "FRAME\n"),
        file("F30000:1001 C420mpeg2 XCOLORRANGE=FULL XYSCSS=420", "FRAME Ippi\n"),
        file("F0:0", "FRAME\n"),
    ]
}

/// Sound as long as the samples there are, and only numbers.
pub(crate) fn wav(data: &[u8]) {
    let Ok(samples) = wav::read(data, "fuzz") else { return };
    let most = data.len() * (SAMPLE_RATE / WAV_RATE_MIN) as usize;
    assert!(samples.len() <= most, "{} samples out of {} bytes", samples.len(), data.len());
    assert!(samples.iter().all(|sample| sample.is_finite()));
}

/// PCM of several widths, float, several rates and channels (Microsoft, "Multimedia Programming Interface
/// 1.0").
pub(crate) fn wav_corpus() -> Vec<Vec<u8>> {
    const PCM: u16 = 1;
    const FLOAT: u16 = 3;
    let file = |format: u16, channels: u16, rate: u32, bits: u16| {
        let frame = channels * bits / 8;
        let data: Vec<u8> = (0..usize::from(frame) * 96).map(|at| (at * 37) as u8).collect();
        let mut file = b"RIFF".to_vec();
        file.extend((36 + data.len() as u32).to_le_bytes());
        file.extend(b"WAVEfmt ");
        file.extend(16_u32.to_le_bytes());
        [format, channels].iter().for_each(|field| file.extend(field.to_le_bytes()));
        [rate, rate * u32::from(frame)].iter().for_each(|field| file.extend(field.to_le_bytes()));
        [frame, bits].iter().for_each(|field| file.extend(field.to_le_bytes()));
        file.extend(b"data");
        file.extend((data.len() as u32).to_le_bytes());
        [file, data].concat()
    };
    vec![
        file(PCM, 1, 48_000, 16),
        file(PCM, 2, 44_100, 24),
        file(PCM, 1, 8_000, 8),
        file(PCM, 6, 16_000, 32),
        file(FLOAT, 2, 48_000, 32),
    ]
}

/// A picture, or an error, and the decoder is good for the next one.
pub(crate) fn mjpeg(data: &[u8]) {
    let mut decoder = MjpegDecoder::new().expect("decoder");
    let mut picture = I420Frame::black(0, 0, Instant::now());
    for _ in 0..2 {
        if decoder.decode(data, WIDTH, HEIGHT, &mut picture).is_ok() {
            assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
        }
    }
}

/// One picture in each subsampling that cameras use.
pub(crate) fn mjpeg_corpus() -> Vec<Vec<u8>> {
    let (width, height) = (WIDTH as usize, HEIGHT as usize);
    let pixels: Vec<u8> = (0..3 * width * height).map(|at| (at * at / 50) as u8).collect();
    let image =
        turbojpeg::Image { pixels: &*pixels, width, pitch: 3 * width, height, format: turbojpeg::PixelFormat::RGB };
    [turbojpeg::Subsamp::Sub2x2, turbojpeg::Subsamp::Sub2x1, turbojpeg::Subsamp::None, turbojpeg::Subsamp::Gray]
        .map(|subsampling| turbojpeg::compress(image, 80, subsampling).expect("compresses").to_vec())
        .into()
}
