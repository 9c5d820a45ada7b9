//! Looks at a window's pixels on the screen, as its user does. It does not matter which program painted them,
//! and they count only when they are really there.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::{
    content::{Cells, Shown},
    desktop::Desktop,
    windows::{Server, Window},
};

/// Between two looks: a third of what a screen of 60 Hz takes from one to the next.
const LOOK: Duration = Duration::from_millis(5);
/// Cells in a row of the test pattern.
const CELLS: usize = 26;
/// Times in the pattern wrap around there, in ms.
const MODULUS: u64 = 1 << 24;
/// The middles of the pattern's rows of cells, in heights of the picture.
const ROWS: [f64; 2] = [0.05, 0.15];
/// How far a grey cell may be from the middle, and a bit from either end.
const GREY: f64 = 0.2;
const BIT: f64 = 0.25;

/// A box of the window in which a picture of 16:9 is shown whole, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// To the right.
    pub width: f64,
    /// Down.
    pub height: f64,
}

impl Frame {
    /// Of an element, as the page tells it: what `getBoundingClientRect` gives, or null.
    pub fn of(place: &Value) -> Option<Self> {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|side| place[side].as_f64());
        Some(Self { x: x?, y: y?, width: width?, height: height? })
    }

    /// The picture's own place.
    fn picture(self) -> Self {
        let width = self.width.min(self.height * 16.0 / 9.0);
        let height = width * 9.0 / 16.0;
        Self { x: self.x + (self.width - width) / 2.0, y: self.y + (self.height - height) / 2.0, width, height }
    }
}

/// Looks at the cells of the test pattern (`docs/architecture.md`, "The test signal") in one window, and
/// notes each change. Ends when it is dropped.
pub struct Eye {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    closed: AtomicBool,
    look: Mutex<Look>,
}

#[derive(Default)]
struct Look {
    at: Option<Frame>,
    seen: Vec<Shown>,
}

impl Shared {
    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Eye {
    /// An eye that looks nowhere yet.
    ///
    /// # Panics
    /// There is no such window.
    pub fn on(desktop: &Desktop, title: &str) -> Self {
        let mut server = Server::of(desktop);
        let window = server.find(title).unwrap_or_else(|| panic!("no window {title}"));
        let shared = Arc::<Shared>::default();
        let looking = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let mut last = None;
            while !looking.closed.load(Relaxed) {
                thread::sleep(LOOK);
                let Some(at) = looking.look().at else { continue };
                let cells = read(&mut server, window, at.picture());
                let counter = cells.map(|cells| cells.counter);
                if last != Some(counter) {
                    last = Some(counter);
                    looking.look().seen.push(Shown { at: unix_ms() as f64, cells });
                }
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Where it looks from now on.
    pub fn turn(&self, at: Option<Frame>) {
        self.shared.look().at = at;
    }

    /// What was seen since this was asked last. It does not look for the flash.
    pub fn seen(&self) -> Vec<Shown> {
        std::mem::take(&mut self.shared.look().seen)
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        self.shared.closed.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_millis()).expect("for a while")
}

fn read(server: &mut Server, window: Window, picture: Frame) -> Option<Cells> {
    let whole = |place: f64| (0.0..f64::from(u16::MAX)).contains(&place).then_some(place.round() as u16);
    let (x, width) = (whole(picture.x)?, whole(picture.width)?);
    let mut number = |row: f64| {
        let y = whole(picture.y + picture.height * row)?;
        number(&server.line(window, x, y, width)?)
    };
    let (time, counter) = (number(ROWS[0])?, number(ROWS[1])?);
    let age_ms = (unix_ms() % MODULUS + MODULUS - u64::from(time)) % MODULUS;
    Some(Cells { age_ms: age_ms as f64, counter, flash: false })
}

/// The number in a line of pixels; none where it is none.
fn number(line: &[u8]) -> Option<u32> {
    let pixels = line.as_chunks::<4>().0;
    let cell = |index: usize| {
        let at = |place: f64| ((index as f64 + place) * pixels.len() as f64 / CELLS as f64) as usize;
        let middle = pixels.get(at(0.3)..at(0.7).max(at(0.3) + 1))?;
        let sum: u32 = middle.iter().flat_map(|[b, g, r, _]| [b, g, r]).map(|&level| u32::from(level)).sum();
        Some(f64::from(sum) / (middle.len() as f64 * 3.0 * 255.0))
    };
    let is_grey = |index| cell(index).is_some_and(|level| (level - 0.5).abs() < GREY);
    if !is_grey(0) || !is_grey(CELLS - 1) {
        return None;
    }
    (0..CELLS - 2).try_fold(0, |number, bit| match cell(bit + 1)? {
        level if level >= 1.0 - BIT => Some(number | 1 << bit),
        level if level <= BIT => Some(number),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: [u8; CELLS], width: usize) -> Vec<u8> {
        let pixel = |x: usize| [cells[x * CELLS / width], cells[x * CELLS / width], cells[x * CELLS / width], 0];
        (0..width).flat_map(pixel).collect()
    }

    #[test]
    fn a_number_is_read_at_any_width_and_nothing_else_is_one() {
        let mut cells = [0; CELLS];
        (cells[0], cells[CELLS - 1]) = (128, 128);
        for bit in [0, 3, 23] {
            cells[bit + 1] = 250;
        }
        for width in [130, 272, 1048, 1280] {
            assert_eq!(number(&line(cells, width)), Some(1 | 1 << 3 | 1 << 23), "{width}");
        }
        cells[5] = 128;
        assert_eq!(number(&line(cells, 1280)), None, "a bit that is none");
        assert_eq!(number(&line([0; CELLS], 1280)), None, "no grey");
        assert_eq!(number(&[]), None);
    }

    #[test]
    fn a_picture_lies_in_the_middle_of_its_frame() {
        let frame = Frame { x: 16.0, y: 60.0, width: 1048.0, height: 600.0 };
        assert_eq!(frame.picture(), Frame { x: 16.0, y: 65.25, width: 1048.0, height: 589.5 });
        let frame = Frame { x: 0.0, y: 0.0, width: 320.0, height: 90.0 };
        assert_eq!(frame.picture(), Frame { x: 80.0, y: 0.0, width: 160.0, height: 90.0 });
    }
}
