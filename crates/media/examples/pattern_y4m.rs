//! Writes the test pattern as a Y4M file to standard output, for other programs to play, encode or measure:
//! `cargo run -p ahoy-media --example pattern_y4m -- 1280x720@30 10 > pattern.y4m` (format, seconds).

use std::{
    error::Error,
    io::{BufWriter, Write, stdout},
    time::Instant,
};

use ahoy_media::{
    units::VideoFormat,
    video::{I420Frame, pattern},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let format: VideoFormat = arguments.next().ok_or("a format like 1280x720@30 is missing")?.parse()?;
    let seconds: u32 = arguments.next().ok_or("a number of seconds is missing")?.parse()?;

    let mut out = BufWriter::new(stdout().lock());
    writeln!(out, "YUV4MPEG2 W{} H{} F{}:1 Ip A1:1 C420jpeg", format.width, format.height, format.fps)?;
    let mut frame = I420Frame::black(format.width, format.height, Instant::now());
    for counter in 0..seconds * format.fps {
        pattern::draw(&mut frame, u64::from(counter) * 1000 / u64::from(format.fps), counter);
        out.write_all(b"FRAME\n")?;
        out.write_all(frame.data())?;
    }
    Ok(out.flush()?)
}
