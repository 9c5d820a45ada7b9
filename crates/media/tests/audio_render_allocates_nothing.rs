//! The sound callback must not allocate or free: `Mixer::render` is run under an allocator that counts.
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::{Duration, Instant},
};

use ahoy_media::audio::{
    FRAME_SAMPLES,
    jitter::Packet,
    mixer::mixer,
    opus::{DredDuration, Encoder, MAX_PACKET, OpusFrame, OpusSettings},
};

thread_local! {
    /// Allocations and frees of this thread while it is rendering; nothing is counted otherwise.
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Counting;

impl Counting {
    fn count() {
        COUNT.set(COUNT.get().map(|count| count + 1));
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local `Cell` without
// a destructor, which does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        Self::count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn render_neither_allocates_nor_frees_whatever_happens() {
    let (handle, mut mixer) = mixer();
    let settings = OpusSettings { frame: OpusFrame::Ms20, ..OpusSettings::default() };
    let describing = OpusSettings { fec: false, dred: DredDuration::from_ms(200), ..settings };
    let mut encoder = Encoder::new(settings).unwrap();
    let (mut stream, mut local) = (handle.add_stream().unwrap(), handle.add_pcm_stream().unwrap());
    let mut short_lived = Some(handle.add_stream().unwrap());
    let (mut frame, mut packet) = ([0.0; FRAME_SAMPLES], [0; MAX_PACKET]);
    let base = Instant::now();
    let (mut counted, mut restored) = (0, 0);
    for n in 0..1500u32 {
        let pcm: Vec<f32> = (0..960).map(|i| 0.3 * (i as f32 * 0.05).sin() * (n as f32 * 0.3).sin()).collect();
        if n == 750 {
            encoder.configure(describing.encoding()).unwrap();
        }
        // Two seconds of silence; a loss now and then; jitter; another source; a wild timestamp; garbage.
        let len = encoder.encode(if n / 100 % 5 == 3 { &[0.0; 960] } else { &pcm }, &mut packet).unwrap();
        let arrival = base + Duration::from_millis(u64::from(n) * 20 + u64::from(n * n % 37));
        let ssrc = if n < 700 { 1 } else { 2 };
        let timestamp = n * 960 + if n % 211 == 0 { 10_000_000 } else { 0 };
        if len > 0 && n % 23 != 0 {
            let payload = if n % 101 == 0 { &[0xff; 40][..] } else { &packet[..len] };
            stream.push(Packet { ssrc, sequence: n as u16, timestamp, payload, arrival, redundant: false });
            if let Some(stream) = &mut short_lived {
                stream.push(Packet { ssrc, sequence: n as u16, timestamp, payload, arrival, redundant: false });
            }
        }
        local.push(&pcm);
        if n == 700 {
            restored = stream.stats().jitter.recovered;
        }
        if n == 800 {
            short_lived = None;
        }
        for half in 0..2 {
            let now = base + Duration::from_millis(u64::from(n) * 20 + half * 10 + 40);
            COUNT.set(Some(0));
            mixer.render(&mut frame, now);
            counted += COUNT.replace(None).unwrap();
        }
    }
    let stats = stream.stats();
    assert!(stats.jitter.lost > 0 && restored > 0 && stats.jitter.refused > 0, "{stats:?}");
    assert!(stats.jitter.recovered > restored, "nothing was revived: {stats:?}");
    assert_eq!(stats.playout.unwrap().playing.ssrc, 2);
    assert_eq!(counted, 0, "allocations and frees in render");
}
