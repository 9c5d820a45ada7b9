//! Files and pipes that the real ffmpeg writes are read as microphone and camera.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use ahoy_media::{
    audio::wav,
    video::{
        I420Frame,
        capture::y4m::{Reader, Y4mError},
    },
};

/// A directory that is gone when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ahoy-ffmpeg-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("temporary directory");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.file(name);
        let status = Command::new("mkfifo").arg(&path).status().expect("mkfifo is in coreutils");
        assert!(status.success());
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A shell that runs `ffmpeg` with `arguments`, and with what follows it there.
fn ffmpeg(arguments: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("ffmpeg -nostdin -loglevel error -y {arguments}")])
        .stdin(Stdio::null())
        .spawn()
        .expect("sh")
}

fn wait(mut child: Child, arguments: &str) {
    let status = child.wait().expect("ends");
    assert!(status.success(), "ffmpeg {arguments}: {status}; it is in the package ffmpeg");
}

/// A second of 1 kHz at an eighth of full scale, which is what ffmpeg's source gives.
fn tone(rate: u32, channels: u16) -> String {
    let pan = format!("pan={channels}c|{}", (0..channels).map(|c| format!("c{c}=c0")).collect::<Vec<_>>().join("|"));
    format!("-f lavfi -i sine=frequency=1000:sample_rate={rate}:duration=1 -af '{pan}'")
}

fn assert_tone(samples: &[f32], case: &str) {
    assert!(samples.len().abs_diff(48_000) <= 1, "{case}: {} samples", samples.len());
    let rms = (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt();
    assert!((rms - 0.125 / 2_f32.sqrt()).abs() < 0.005, "{case}: {rms}");
    let crossings = samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    assert!((997..=1001).contains(&crossings), "{case}: {crossings} Hz");
}

#[test]
fn every_wav_that_ffmpeg_writes_is_read_from_a_file_and_through_a_pipe() {
    let scratch = Scratch::new("wav");
    let kinds = [
        ("pcm_u8", 8_000, 1),
        ("pcm_s16le", 48_000, 1),
        ("pcm_s16le", 44_100, 2),
        ("pcm_s16le", 16_000, 3),
        ("pcm_s24le", 96_000, 6),
        ("pcm_s32le", 48_000, 8),
        ("pcm_f32le", 22_050, 2),
        ("pcm_f64le", 48_000, 1),
        ("pcm_f64le", 192_000, 5),
    ];
    let options = ["", "-metadata title=odd", "-write_bext 1 -metadata description=x", "-rf64 always", "-bitexact"];
    for (n, (codec, rate, channels)) in kinds.into_iter().enumerate() {
        // Two of them with each kind, so that every one is tried, and the test stays short.
        for options in [options[n % options.len()], options[(n + 2) % options.len()]] {
            let sound = format!("{} -c:a {codec} {options} -f wav", tone(rate, channels));
            let (file, piped) = (scratch.file("file.wav"), scratch.file("piped.wav"));
            let (file, piped) = (file.as_path(), piped.as_path());
            for (to, path) in [(file.display().to_string(), file), (format!("- | cat > {}", piped.display()), piped)] {
                let arguments = format!("{sound} {to}");
                wait(ffmpeg(&arguments), &arguments);
                let samples = wav::open(path).unwrap_or_else(|error| panic!("{arguments}: {error}"));
                assert_tone(&samples, &arguments);
            }
        }
    }
}

#[test]
fn sound_that_ffmpeg_writes_into_a_fifo_is_read_to_its_end() {
    let scratch = Scratch::new("wav-fifo");
    let fifo = scratch.fifo("sound");
    for through in ["| cat", "| dd bs=1 status=none", ""] {
        let arguments = format!("{} -f wav - {through} > {}", tone(48_000, 2), fifo.display());
        let writer = ffmpeg(&arguments);
        assert_tone(&wav::open(&fifo).expect(&arguments), &arguments);
        wait(writer, &arguments);
    }
}

/// Reads every picture of a file or FIFO: size, nominal rate, count, and average luma of the last one.
fn pictures(path: &Path) -> Result<(u32, u32, u32, u32, f64), Y4mError> {
    let mut reader = Reader::new(File::open(path)?)?;
    let mut frame = I420Frame::black(0, 0, Instant::now());
    let mut count = 0;
    while reader.next_frame(&mut frame)? {
        count += 1;
    }
    let luma = frame.planes().0;
    let average = luma.iter().map(|&y| f64::from(y)).sum::<f64>() / luma.len() as f64;
    let format = reader.header().format();
    Ok((format.width, format.height, format.fps, count, average))
}

#[test]
fn every_420_video_that_ffmpeg_writes_is_read_from_a_file_and_through_a_fifo() {
    let scratch = Scratch::new("y4m");
    let fifo = scratch.fifo("video");
    for (size, rate, filter, options, fps) in [
        ("320x180", "30", "", "", 30),
        ("161x91", "30000/1001", "", "", 30),
        ("64x64", "7", "", "-chroma_sample_location left", 7),
        ("64x64", "25", "", "-chroma_sample_location topleft", 25),
        ("64x64", "25", ",scale=out_range=full", "-color_range pc", 25),
        ("64x64", "25", ",setfield=tff", "", 25),
        ("64x64", "25", ",setsar=4/3", "", 25),
    ] {
        let (width, height) = size.split_once('x').expect("a size");
        let video = format!(
            "-f lavfi -i color=c=white:size=64x64:rate={rate} -frames:v 5 -vf scale={width}:{height}{filter} {options} \
             -pix_fmt yuv420p"
        );
        let file = scratch.file("video.y4m");
        let to_file = format!("{video} -f yuv4mpegpipe {}", file.display());
        wait(ffmpeg(&to_file), &to_file);
        let to_fifo = format!("{video} -f yuv4mpegpipe - | cat > {}", fifo.display());
        let writer = ffmpeg(&to_fifo);
        let through_fifo = pictures(&fifo);
        wait(writer, &to_fifo);
        let (width, height): (u32, u32) = (width.parse().expect("width"), height.parse().expect("height"));
        for read in [pictures(&file), through_fifo] {
            let (w, h, f, count, luma) = read.unwrap_or_else(|error| panic!("{to_file}: {error}"));
            assert_eq!((w, h, f, count), (width, height, fps, 5), "{to_file}");
            assert!((luma - 235.0).abs() < 1.5, "{to_file}: white is {luma}");
        }
    }
}

#[test]
fn other_colours_that_ffmpeg_writes_are_refused_by_name() {
    let scratch = Scratch::new("colours");
    let file = scratch.file("video.y4m");
    for (format, colour) in
        [("yuv444p", "444"), ("yuv422p", "422"), ("yuv411p", "411"), ("gray", "mono"), ("yuv420p10le", "420p10")]
    {
        let arguments = format!(
            "-f lavfi -i color=size=64x64 -frames:v 1 -pix_fmt {format} -strict -1 -f yuv4mpegpipe {}",
            file.display()
        );
        wait(ffmpeg(&arguments), &arguments);
        assert_eq!(pictures(&file), Err(Y4mError::UnsupportedColour(colour.into())), "{arguments}");
    }
}
