//! What the hub gives its readers is WebM also in the eyes of others: ffprobe reads it, frame by frame, and
//! has nothing to complain about.

use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ahoy_media::{
    units::{Bitrate, VideoFormat},
    video::{I420Frame, pattern, vp8::Encoder},
    webm::{Chunk, Cursor, Hub, StreamId, StreamWriter},
};

const FORMAT: VideoFormat = VideoFormat { width: 320, height: 180, fps: 30 };
const FRAMES: u32 = 60;

/// A camera, its encoder and the stream they write, as in a call.
struct Sender {
    encoder: Encoder,
    frame: I420Frame,
    counter: u32,
    writer: StreamWriter,
}

impl Sender {
    fn new(hub: &Hub) -> Self {
        Self {
            encoder: Encoder::new(FORMAT, Bitrate::from_kbps(500)).expect("encoder"),
            frame: I420Frame::black(FORMAT.width, FORMAT.height, Instant::now()),
            counter: 0,
            writer: hub.open(stream(), || ()),
        }
    }

    fn send(&mut self, key: bool) {
        let interval = Duration::from_secs(1) / FORMAT.fps;
        self.frame.captured_at += interval;
        pattern::draw(&mut self.frame, 1000 + u64::from(self.counter), self.counter);
        let encoded = self.encoder.encode(&self.frame, key).expect("encodes").expect("not dropped");
        self.writer.push(&encoded, interval * self.counter);
        self.counter += 1;
    }
}

fn stream() -> StreamId {
    StreamId::new("remote")
}

/// Reads what is there, and appends it as the page and `--remote-webm` do.
async fn read(hub: &Hub, file: &mut Vec<u8>, after: Option<Cursor>) -> Option<Cursor> {
    match hub.read(&stream(), after).await.expect("a known stream") {
        Chunk::Media { body, next } => {
            file.extend_from_slice(&body);
            Some(next)
        }
        Chunk::End => None,
    }
}

/// One frame as ffprobe saw it.
#[derive(Debug, PartialEq)]
struct Probed {
    time_ms: u64,
    key: bool,
    size: (u32, u32),
}

/// Decodes a file by ffprobe; fails if it warns of anything.
fn ffprobe(webm: Vec<u8>) -> Vec<Probed> {
    let child = Command::new("ffprobe")
        .args(["-v", "warning", "-f", "matroska", "-show_frames", "-of", "csv=p=0"])
        .args(["-show_entries", "frame=key_frame,pts_time,width,height", "-i", "pipe:0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("ffprobe: {error}; it is in the package ffmpeg"));
    let mut stdin = child.stdin.take().expect("piped");
    let feeder = thread::spawn(move || stdin.write_all(&webm));
    let output = child.wait_with_output().expect("ffprobe ends");
    feeder.join().expect("no panic").expect("ffprobe reads all of it");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "ffprobe warned");
    assert!(output.status.success(), "ffprobe: {}", output.status);
    String::from_utf8(output.stdout).expect("text").lines().map(probed).collect()
}

fn probed(line: &str) -> Probed {
    let fields: Vec<_> = line.split(',').collect();
    let [key, time, width, height, ..] = fields[..] else { panic!("ffprobe says {line:?}") };
    let time: f64 = time.parse().expect("a time");
    let side = |text: &str| text.parse().expect("a side");
    Probed { time_ms: (time * 1000.0).round() as u64, key: key == "1", size: (side(width), side(height)) }
}

/// What frames `range` must look like, the first of them and those of `keys` being key frames.
fn expected(range: std::ops::Range<u32>, keys: &[u32]) -> Vec<Probed> {
    let frame = |index: u32| Probed {
        time_ms: (Duration::from_secs(1) / FORMAT.fps * index).as_millis() as u64,
        key: index == range.start || keys.contains(&index),
        size: (FORMAT.width, FORMAT.height),
    };
    range.clone().map(frame).collect()
}

#[tokio::test]
async fn ffprobe_accepts_a_whole_stream_and_sees_every_frame() {
    let hub = Hub::new();
    let mut sender = Sender::new(&hub);
    let (mut file, mut cursor) = (Vec::new(), None);
    for index in 0..FRAMES {
        sender.send(index == 40);
        cursor = read(&hub, &mut file, cursor).await;
    }
    drop(sender);
    assert_eq!(read(&hub, &mut file, cursor).await, None, "the stream ended");
    assert_eq!(ffprobe(file), expected(0..FRAMES, &[40]));
}

#[tokio::test]
async fn ffprobe_accepts_what_a_late_joiner_and_a_slow_reader_get() {
    let hub = Hub::new();
    let mut sender = Sender::new(&hub);
    for index in 0..FRAMES {
        sender.send(index == 25);
    }
    let mut late = Vec::new();
    let cursor = read(&hub, &mut late, None).await;
    assert_eq!(ffprobe(late.clone()), expected(25..FRAMES, &[]));

    // The late joiner then sleeps for longer than the hub remembers; its file goes on at another key frame.
    for index in 0..150 {
        sender.send(index == 140);
    }
    read(&hub, &mut late, cursor).await;
    let mut frames = expected(25..FRAMES, &[]);
    frames.extend(expected(FRAMES + 140..FRAMES + 150, &[]));
    assert_eq!(ffprobe(late), frames);
}

#[tokio::test]
async fn ffprobe_follows_a_change_of_size() {
    let hub = Hub::new();
    let mut sender = Sender::new(&hub);
    let (mut file, mut late, mut cursor) = (Vec::new(), Vec::new(), None);
    for size in [(320, 180), (160, 90)] {
        sender.frame.resize(size.0, size.1);
        for _ in 0..10 {
            sender.send(false);
            cursor = read(&hub, &mut file, cursor).await;
        }
    }
    read(&hub, &mut late, None).await;
    let sizes = |webm| ffprobe(webm).iter().map(|frame| frame.size).collect::<Vec<_>>();
    assert_eq!(sizes(file), [[(320, 180); 10], [(160, 90); 10]].concat());
    assert_eq!(sizes(late), [(160, 90); 10]);
}
