use std::{
    pin::{Pin, pin},
    sync::atomic::AtomicUsize,
    task::{Context, Poll, Waker},
    time::Instant,
};

use super::*;
use crate::webm::{Demuxer, demux};

const FRAME: Duration = Duration::from_millis(33);

/// A stream whose frames come at a steady rate and say their number, with its requests for key frames
/// counted.
struct Rig {
    hub: Hub,
    id: StreamId,
    writer: Option<StreamWriter>,
    wanted: Arc<AtomicUsize>,
    pushed: u32,
}

impl Rig {
    fn new() -> Self {
        let (hub, id, wanted) = (Hub::new(), StreamId::new("call/remote"), Arc::<AtomicUsize>::default());
        let writer = Some(open(&hub, &id, &wanted));
        Self { hub, id, writer, wanted, pushed: 0 }
    }

    fn push(&mut self, key: bool) {
        self.push_sized(key, (640, 360), 100);
    }

    fn push_sized(&mut self, key: bool, (width, height): (u32, u32), len: usize) {
        let data = [&self.pushed.to_be_bytes()[..], &vec![0; len]].concat().into();
        let frame = EncodedFrame { data, key, width, height, captured_at: Instant::now() };
        self.writer.as_ref().expect("open").push(&frame, FRAME * self.pushed);
        self.pushed += 1;
    }

    fn wanted(&self) -> usize {
        self.wanted.load(Relaxed)
    }

    fn reader(&self) -> Reader {
        Reader { hub: self.hub.clone(), id: self.id.clone(), cursor: None, demuxer: Demuxer::new() }
    }
}

fn open(hub: &Hub, id: &StreamId, wanted: &Arc<AtomicUsize>) -> StreamWriter {
    let wanted = wanted.clone();
    hub.open(id.clone(), move || {
        wanted.fetch_add(1, Relaxed);
    })
}

/// Reads as the page does: appends every body to one demuxer.
struct Reader {
    hub: Hub,
    id: StreamId,
    cursor: Option<Cursor>,
    demuxer: Demuxer,
}

#[derive(Debug, PartialEq)]
enum Read {
    /// Numbers of the frames.
    Frames(Vec<u32>),
    Waits,
    End,
}

impl Reader {
    fn chunk(&self) -> Option<Chunk> {
        poll(pin!(self.hub.read(&self.id, self.cursor))).map(|chunk| chunk.expect("a known stream"))
    }

    fn read(&mut self) -> Read {
        match self.chunk() {
            None => Read::Waits,
            Some(Chunk::End) => Read::End,
            Some(Chunk::Media { body, next }) => {
                self.cursor = Some(next);
                Read::Frames(self.demuxer.push(&body).expect("WebM that goes on").iter().map(number).collect())
            }
        }
    }
}

fn number(frame: &demux::Frame) -> u32 {
    u32::from_be_bytes(*frame.data.first_chunk().expect("a number"))
}

/// One poll: what is there without waiting.
fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn frames(numbers: impl IntoIterator<Item = u32>) -> Read {
    Read::Frames(numbers.into_iter().collect())
}

fn starts_anew(body: &[u8]) -> bool {
    body.starts_with(&[0x1A, 0x45, 0xDF, 0xA3])
}

#[test]
fn a_late_joiner_starts_at_the_newest_key_frame() {
    let mut rig = Rig::new();
    for key in [true, false, true, false, false] {
        rig.push(key);
    }
    let mut reader = rig.reader();
    assert_eq!(reader.read(), frames([2, 3, 4]));
    assert_eq!(reader.read(), Read::Waits);
    rig.push(false);
    assert_eq!(reader.read(), frames([5]));
    assert_eq!(rig.wanted(), 0);
}

#[test]
fn a_joiner_without_a_key_frame_to_start_at_asks_for_one_and_waits_for_it() {
    let mut rig = Rig::new();
    rig.push(true);
    for _ in 0..200 {
        rig.push(false);
    }
    let reader = rig.reader();
    let mut read = pin!(reader.hub.read(&reader.id, None));
    assert!(poll(read.as_mut()).is_none());
    assert_eq!(rig.wanted(), 1);
    rig.push(false);
    assert!(poll(read.as_mut()).is_none());
    assert_eq!(rig.wanted(), 2, "the request may have been lost, so it is made again");
    rig.push(true);
    assert!(poll(read).is_some());
}

#[test]
fn frames_that_nobody_could_decode_are_left_out_and_ask_for_a_key_frame() {
    let mut rig = Rig::new();
    rig.push(false);
    assert_eq!(rig.wanted(), 1);
    rig.push(true);
    assert_eq!(rig.wanted(), 1);
    assert_eq!(rig.reader().read(), frames([1]));
}

#[test]
fn readers_do_not_disturb_each_other_and_share_the_bytes() {
    let mut rig = Rig::new();
    let (mut early, mut late) = (rig.reader(), rig.reader());
    rig.push(true);
    assert_eq!(early.read(), frames([0]));
    rig.push(false);
    assert_eq!(late.read(), frames([0, 1]));
    assert_eq!(early.read(), frames([1]));
    rig.push(false);
    let [Some(Chunk::Media { body: one, .. }), Some(Chunk::Media { body: two, .. })] = [early.chunk(), late.chunk()]
    else {
        panic!("both have a chunk to read");
    };
    assert_eq!(one.as_ptr(), two.as_ptr());
    assert!(!starts_anew(&one));
}

#[test]
fn a_reader_that_fell_behind_is_moved_to_the_newest_key_frame() {
    let mut rig = Rig::new();
    rig.push(true);
    let mut reader = rig.reader();
    assert_eq!(reader.read(), frames([0]));
    for number in 1..=200 {
        rig.push(number == 170 || number == 190);
    }
    assert_eq!(reader.read(), frames(190..=200));
}

#[test]
fn a_reader_that_fell_behind_all_key_frames_asks_for_one() {
    let mut rig = Rig::new();
    rig.push(true);
    let mut reader = rig.reader();
    assert_eq!(reader.read(), frames([0]));
    for _ in 0..200 {
        rig.push(false);
    }
    assert_eq!(reader.read(), Read::Waits);
    assert_eq!(rig.wanted(), 1);
    rig.push(true);
    assert_eq!(reader.read(), frames([201]));
}

#[test]
fn a_reader_a_little_late_misses_nothing() {
    let mut rig = Rig::new();
    rig.push(true);
    let mut reader = rig.reader();
    assert_eq!(reader.read(), frames([0]));
    let in_window = (WINDOW.as_millis() / FRAME.as_millis()) as u32;
    for _ in 0..in_window {
        rig.push(false);
    }
    assert_eq!(reader.read(), frames(1..=in_window));
}

#[test]
fn memory_is_bounded_in_time_and_in_bytes() {
    let mut rig = Rig::new();
    let held = |rig: &Rig| {
        let window = rig.writer.as_ref().expect("open").window.borrow();
        assert_eq!(window.bytes, window.clusters.iter().map(|cluster| cluster.data.len()).sum::<usize>());
        (window.clusters.len(), window.bytes)
    };
    for _ in 0..1000 {
        rig.push(true);
    }
    assert!(held(&rig).0 as u32 <= WINDOW.as_millis() as u32 / FRAME.as_millis() as u32 + 1);
    for _ in 0..50 {
        rig.push_sized(true, (640, 360), 1 << 20);
        assert!(held(&rig).1 <= BYTES_MAX);
    }
    rig.push_sized(true, (640, 360), BYTES_MAX + 1);
    assert_eq!(held(&rig).0, 1, "the newest frame stays however large it is");
}

#[test]
fn a_change_of_size_goes_on_in_the_same_segment_and_is_told_to_later_readers() {
    let mut rig = Rig::new();
    let mut follower = rig.reader();
    rig.push(true);
    let init = Muxer::new(640, 360).init_segment();
    assert!(matches!(follower.chunk(), Some(Chunk::Media { body, .. }) if body.starts_with(&init)));
    assert_eq!(follower.read(), frames([0]));
    rig.push_sized(true, (320, 180), 100);
    assert!(matches!(follower.chunk(), Some(Chunk::Media { body, .. }) if !starts_anew(&body)));
    assert_eq!(follower.read(), frames([1]));
    let init = Muxer::new(320, 180).init_segment();
    assert!(matches!(rig.reader().chunk(), Some(Chunk::Media { body, .. }) if body.starts_with(&init)));
}

#[test]
fn an_ended_stream_gives_its_rest_and_then_its_end() {
    let mut rig = Rig::new();
    rig.push(true);
    let mut reader = rig.reader();
    assert_eq!(reader.read(), frames([0]));
    rig.push(false);
    rig.writer = None;
    assert_eq!(reader.read(), frames([1]));
    assert_eq!(reader.read(), Read::End);
    assert_eq!(reader.read(), Read::End);
}

#[test]
fn a_stream_that_ends_without_a_frame_ends_for_those_who_wait() {
    let mut rig = Rig::new();
    let reader = rig.reader();
    let mut read = pin!(reader.hub.read(&reader.id, None));
    assert!(poll(read.as_mut()).is_none());
    rig.writer = None;
    assert_eq!(poll(read), Some(Ok(Chunk::End)));
}

#[test]
fn an_unknown_stream_is_an_error_that_names_it() {
    let hub = Hub::new();
    let error = poll(pin!(hub.read(&StreamId::new("call-7/remote"), None))).expect("an answer").expect_err("an error");
    assert_eq!(error, HubError::UnknownStream(StreamId::new("call-7/remote")));
    assert!(error.to_string().contains("call-7/remote"), "{error}");
}

#[test]
fn streams_ended_long_ago_are_forgotten_but_one_of_the_same_name_lives() {
    let hub = Hub::new();
    let open = |name: &str| hub.open(StreamId::new(name), || ());
    drop(open("again"));
    let again = open("again");
    for index in 0..ENDED_MAX {
        drop(open(&index.to_string()));
    }
    let read = |name: &str| poll(pin!(hub.read(&StreamId::new(name), None)));
    assert_eq!(read("0"), Some(Ok(Chunk::End)));
    drop(open("one more"));
    assert_eq!(read("0"), Some(Err(HubError::UnknownStream(StreamId::new("0")))));
    assert_eq!(read("again"), None, "an open stream waits for its first frame");
    assert_eq!(hub.0.streams().by_id.len(), ENDED_MAX + 1);
    drop(again);
}

#[test]
fn a_cursor_of_an_earlier_stream_of_that_name_starts_anew() {
    let mut rig = Rig::new();
    rig.push(true);
    let mut reader = rig.reader();
    assert_eq!(reader.read(), frames([0]));
    rig.writer = Some(open(&rig.hub, &rig.id, &rig.wanted));
    for key in [true, false, true] {
        rig.push(key);
    }
    assert_eq!(reader.read(), frames([3]));
}

#[test]
fn cursors_round_trip_as_text_and_others_are_refused() {
    let cursor = Cursor { epoch: 3, next: 117 };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for text in ["", "3", "3.", ".7", "3.x", "-1.2", "1.2.3"] {
        assert_eq!(text.parse::<Cursor>(), Err(HubError::Cursor(text.to_owned())));
    }
    let mut rig = Rig::new();
    rig.push(true);
    let ahead = Reader { cursor: Some(Cursor { epoch: 0, next: 99 }), ..rig.reader() }.read();
    assert_eq!(ahead, frames([0]), "a cursor that was never given out starts anew");
}

#[tokio::test]
async fn a_waiting_read_is_woken_by_the_next_frame() {
    let mut rig = Rig::new();
    let reader = rig.reader();
    let read = tokio::spawn(async move { reader.hub.read(&reader.id, None).await });
    while rig.wanted() == 0 {
        tokio::task::yield_now().await;
    }
    rig.push(true);
    let chunk = tokio::time::timeout(Duration::from_secs(20), read).await.expect("woken").expect("no panic");
    assert!(matches!(chunk, Ok(Chunk::Media { .. })));
}

#[test]
fn who_decodes_by_itself_gets_the_very_frames() {
    let mut rig = Rig::new();
    let read =
        |rig: &Rig, after| poll(pin!(rig.hub.read_frames(&rig.id, after))).map(|read| read.expect("a known stream"));
    let numbers = |read: Option<Frames>| match read {
        Some(Frames::Media { frames, next }) => {
            (frames.iter().map(|frame| (frame.len(), frame[3])).collect::<Vec<_>>(), Some(next))
        }
        _ => (Vec::new(), None),
    };
    assert_eq!(read(&rig, None), None);
    assert_eq!(rig.wanted(), 1);
    for key in [true, false, true, false] {
        rig.push(key);
    }
    let (joined, next) = numbers(read(&rig, None));
    assert_eq!(joined, [(104, 2), (104, 3)], "from the newest key frame on");
    assert_eq!(read(&rig, next), None);
    rig.push(false);
    assert_eq!(numbers(read(&rig, next)).0, [(104, 4)]);
    rig.writer = None;
    assert_eq!(numbers(read(&rig, next)).0, [(104, 4)], "also after the end");
    let (_, last) = numbers(read(&rig, next));
    assert_eq!(read(&rig, last), Some(Frames::End));
}

#[test]
fn a_picture_is_shown_beside_the_frames_and_its_stream_ends_with_them() {
    let (hub, id) = (Hub::new(), StreamId::new("own"));
    let writer = hub.open_shown(id.clone(), || panic!("nobody reads frames"));
    let mut pictures = hub.pictures(&id).expect("pictures");
    assert!(poll(pin!(pictures.changed())).is_none(), "there is none yet");
    for width in [2, 4] {
        writer.show(I420Frame::black(width, 2, Instant::now()));
    }
    assert!(matches!(poll(pin!(pictures.changed())), Some(Ok(()))));
    assert_eq!(pictures.borrow().as_ref().map(|picture| picture.width()), Some(4), "the newest");
    drop(writer);
    assert!(matches!(poll(pin!(pictures.changed())), Some(Err(_))), "the end");
    let _other = hub.open(id.clone(), || {});
    assert!(hub.pictures(&id).is_none() && hub.pictures(&StreamId::new("none")).is_none());
}
