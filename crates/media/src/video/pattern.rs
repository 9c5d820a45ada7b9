//! The test pattern: a moving picture that carries its own time and number, so that latency and loss can be
//! read off any decoded frame, by any program. Its form is fixed (docs/architecture.md, "The test signal").
//!
//! Rows 0 to H/10: 26 equal cells, of which 0 and 25 are mid-grey and 1 to 24 are the bits, least significant
//! first, of the capture time in unix milliseconds modulo 2^24. Rows H/10 to 2H/10: the same for the frame
//! counter. Below: a moving, detailed colour picture, with a white square of H/5 in the lower right corner
//! during the first 50 ms of every second.

use std::sync::LazyLock;

use super::I420Frame;

const CELLS: usize = 26;
const BITS: usize = 24;
const BIT_MASK: u32 = (1 << BITS) - 1;

const BLACK: u8 = 16;
const WHITE: u8 = 235;
/// RGB 128 in limited range BT.601.
const MID_GREY: u8 = 126;
const NEUTRAL_CHROMA: u8 = 128;

/// How long after a whole second the square stays white; over one frame interval at 25 frames a second and
/// more.
const FLASH_MS: u64 = 50;

/// How far a cell's mean luma may lie from its nominal value and still be read: the steps are 110 apart, so
/// this leaves a band between them in which a cell is undecided.
const CELL_TOLERANCE: u8 = 45;
/// Over anything the moving picture draws (its luma stays under [`TEXTURE_TOP`]), under a compressed white.
const FLASH_LUMA: u8 = 200;

/// What [`read_cells`] found in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    /// Capture time: unix milliseconds modulo 2^24 (about 4.7 hours).
    pub unix_ms_mod: u32,
    /// Frame counter modulo 2^24.
    pub counter: u32,
    /// Whether the white square is there.
    pub flash: bool,
}

impl Cells {
    /// Milliseconds from this picture's capture to `unix_ms`, right for anything under 4.7 hours.
    pub fn age_ms(&self, unix_ms: u64) -> u32 {
        (unix_ms as u32 & BIT_MASK).wrapping_sub(self.unix_ms_mod) & BIT_MASK
    }
}

/// Draws the pattern over the whole of `frame`. A picture less than 26 wide or 10 high has no room for cells.
pub fn draw(frame: &mut I420Frame, unix_ms: u64, counter: u32) {
    draw_texture(frame, counter);
    draw_cells(frame, 0, unix_ms as u32);
    draw_cells(frame, 1, counter);
    if unix_ms % 1000 < FLASH_MS {
        draw_flash(frame);
    }
}

/// Reads the cells of a picture, also after lossy compression. `None` where the grey cells are not grey or a
/// bit cannot be told, that is, where this is not (or no longer) the test pattern.
pub fn read_cells(frame: &I420Frame) -> Option<Cells> {
    Some(Cells {
        unix_ms_mod: read_row(frame, 0)?,
        counter: read_row(frame, 1)?,
        flash: mean_luma(frame, flash_square(frame))? > FLASH_LUMA,
    })
}

/// A rectangle of luma samples: columns and rows, ends excluded.
#[derive(Clone, Copy)]
struct Area {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Area {
    /// The middle half in both directions, at least one sample of a non-empty area: away from the edges,
    /// which compression smears.
    fn middle(self) -> Self {
        let (dx, dy) = ((self.right - self.left) / 4, (self.bottom - self.top) / 4);
        Self { left: self.left + dx, right: self.right - dx, top: self.top + dy, bottom: self.bottom - dy }
    }
}

fn cell(frame: &I420Frame, row: usize, index: usize) -> Area {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    Area {
        left: width * index / CELLS,
        right: width * (index + 1) / CELLS,
        top: height * row / 10,
        bottom: height * (row + 1) / 10,
    }
}

fn flash_square(frame: &I420Frame) -> Area {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let side = height / 5;
    Area { left: width.saturating_sub(side), right: width, top: height - side, bottom: height }
}

fn fill(frame: &mut I420Frame, area: Area, luma: u8) {
    let width = frame.width() as usize;
    let chroma_width = frame.chroma_width();
    let (y, u, v) = frame.planes_mut();
    fill_plane(y, width, area, luma);
    let halved =
        Area { left: area.left / 2, right: area.right.div_ceil(2), top: area.top / 2, bottom: area.bottom.div_ceil(2) };
    fill_plane(u, chroma_width, halved, NEUTRAL_CHROMA);
    fill_plane(v, chroma_width, halved, NEUTRAL_CHROMA);
}

fn fill_plane(plane: &mut [u8], stride: usize, area: Area, value: u8) {
    for row in plane.chunks_exact_mut(stride).take(area.bottom).skip(area.top) {
        if let Some(span) = row.get_mut(area.left..area.right) {
            span.fill(value);
        }
    }
}

fn draw_cells(frame: &mut I420Frame, row: usize, value: u32) {
    for index in 0..CELLS {
        let luma = match index {
            0 | 25 => MID_GREY,
            bit if value >> (bit - 1) & 1 == 1 => WHITE,
            _ => BLACK,
        };
        fill(frame, cell(frame, row, index), luma);
    }
}

fn draw_flash(frame: &mut I420Frame) {
    fill(frame, flash_square(frame), WHITE);
}

fn read_row(frame: &I420Frame, row: usize) -> Option<u32> {
    let near = |luma: u8, nominal: u8| luma.abs_diff(nominal) <= CELL_TOLERANCE;
    let grey = |index| Some(near(mean_luma(frame, cell(frame, row, index))?, MID_GREY));
    if !(grey(0)? && grey(CELLS - 1)?) {
        return None;
    }
    (0..BITS).try_fold(0, |value, bit| match mean_luma(frame, cell(frame, row, bit + 1))? {
        luma if near(luma, WHITE) => Some(value | 1 << bit),
        luma if near(luma, BLACK) => Some(value),
        _ => None,
    })
}

/// Mean luma of the middle of `area`; `None` of an empty one.
fn mean_luma(frame: &I420Frame, area: Area) -> Option<u8> {
    let Area { left, right, top, bottom } = area.middle();
    let rows = frame.planes().0.chunks_exact((frame.width() as usize).max(1)).take(bottom).skip(top);
    let sum: usize = rows.filter_map(|row| row.get(left..right)).flatten().map(|&luma| usize::from(luma)).sum();
    let mean = sum.checked_div((right - left) * (bottom - top))?;
    u8::try_from(mean).ok()
}

/// Side of the square textures, a power of two so that they tile.
const TEXTURE_SIDE: usize = 256;
const TEXTURE_BOTTOM: u8 = 24;
const TEXTURE_TOP: u8 = 190;

/// A square that tiles, each row stored twice over, so that a row can be read from any start without
/// wrapping.
struct Texture(Vec<[u8; 2 * TEXTURE_SIDE]>);

/// Two layers for each plane. Drawn over each other half transparent and moving apart, they make a picture
/// that no motion vector predicts whole, as hair, leaves and sensor noise do; one moving layer alone would
/// cost a VP8 encoder next to nothing after the key frame.
static LAYERS: LazyLock<[[Texture; 2]; 3]> = LazyLock::new(|| {
    let layer = |seed, bottom, top| Texture::noise(seed, bottom, top);
    [
        [layer(1, TEXTURE_BOTTOM, TEXTURE_TOP), layer(2, TEXTURE_BOTTOM, TEXTURE_TOP)],
        [layer(3, 40, 216), layer(4, 40, 216)],
        [layer(5, 40, 216), layer(6, 40, 216)],
    ]
});

/// Samples a frame that each layer moves, x and y. Coprime with each other, so that the picture does not
/// repeat soon.
const MOTION: [(usize, usize); 2] = [(3, 1), (TEXTURE_SIDE - 2, 1)];

impl Texture {
    /// Smooth value noise, from `bottom` to `top`, in octaves of which each has its cell's side in samples
    /// and its weight. The weights make VP8 at 1280x720 and 30 frames a second need 1.5 Mbit/s for a clean
    /// picture (quantizer 30) and let it go down to 0.7 Mbit/s (quantizer 56); measured with libvpx's
    /// real-time settings.
    fn noise(seed: u32, bottom: u8, top: u8) -> Self {
        let octaves = [(64, 0.85), (16, 0.12), (4, 0.03)];
        let sample = |x: usize, y: usize| {
            let value: f32 = octaves.iter().map(|&(cell, weight)| weight * smooth_noise(seed, x, y, cell)).sum();
            bottom + (value * f32::from(top - bottom)) as u8
        };
        let row = |y| std::array::from_fn(|x| sample(x % TEXTURE_SIDE, y));
        Self((0..TEXTURE_SIDE).map(row).collect())
    }

    /// Row `y` of the tiled plane from column `x` on, for one period.
    fn row(&self, x: usize, y: usize) -> &[u8] {
        let start = x % TEXTURE_SIDE;
        self.0.get(y % TEXTURE_SIDE).and_then(|row| row.get(start..start + TEXTURE_SIDE)).unwrap_or_default()
    }
}

/// Random values on a grid of `cell` samples, between them interpolated: 0 to 1, periodic in the texture's
/// side.
fn smooth_noise(seed: u32, x: usize, y: usize, cell: usize) -> f32 {
    let periods = TEXTURE_SIDE / cell;
    let corner =
        |dx, dy| random(seed, ((x / cell + dx) % periods) as u32, ((y / cell + dy) % periods) as u32, cell as u32);
    let fraction = |at: usize| (at % cell) as f32 / cell as f32;
    let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let (tx, ty) = (fraction(x), fraction(y));
    mix(mix(corner(0, 0), corner(1, 0), tx), mix(corner(0, 1), corner(1, 1), tx), ty)
}

/// A number from 0 to 1 that depends on nothing but its arguments.
fn random(seed: u32, x: u32, y: u32, octave: u32) -> f32 {
    let mut hash = seed.wrapping_mul(0x9e37_79b9) ^ x.wrapping_mul(0x85eb_ca6b) ^ y.wrapping_mul(0xc2b2_ae35) ^ octave;
    // The finalizer of MurmurHash3: every input bit reaches every output bit.
    for factor in [0x85eb_ca6b_u32, 0xc2b2_ae35] {
        hash = (hash ^ hash >> 16).wrapping_mul(factor);
    }
    (hash ^ hash >> 16) as f32 / u32::MAX as f32
}

fn draw_texture(frame: &mut I420Frame, counter: u32) {
    let (width, chroma_width) = (frame.width() as usize, frame.chroma_width());
    let (y, u, v) = frame.planes_mut();
    let [luma, blue, red] = &*LAYERS;
    for (plane, stride, layers) in [(y, width, luma), (u, chroma_width, blue), (v, chroma_width, red)] {
        let [first, second] = layers;
        let at =
            |(dx, dy): (usize, usize)| (counter as usize % TEXTURE_SIDE * dx, counter as usize % TEXTURE_SIDE * dy);
        let [(x1, y1), (x2, y2)] = MOTION.map(at);
        for (y, row) in plane.chunks_exact_mut(stride.max(1)).enumerate() {
            let (first, second) = (first.row(x1, y + y1), second.row(x2, TEXTURE_SIDE * 2 + y - y2 % TEXTURE_SIDE));
            for span in row.chunks_mut(TEXTURE_SIDE) {
                for ((out, &a), &b) in span.iter_mut().zip(first).zip(second) {
                    *out = a.midpoint(b);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const TIME: u64 = 1_700_000_123_456;

    fn drawn(width: u32, height: u32, unix_ms: u64, counter: u32) -> I420Frame {
        let mut frame = I420Frame::black(width, height, Instant::now());
        draw(&mut frame, unix_ms, counter);
        frame
    }

    #[test]
    fn cells_read_back_at_any_size() {
        for (width, height) in [(1280, 720), (640, 360), (1920, 1080), (641, 361), (160, 90), (52, 20), (26, 10)] {
            for (unix_ms, counter) in [(TIME, 0), (TIME + 1, 1), (0, 0xff_ffff), (u64::MAX, 0xaa_aaaa)] {
                let cells = read_cells(&drawn(width, height, unix_ms, counter))
                    .unwrap_or_else(|| panic!("{width}x{height} at {unix_ms}: not read"));
                assert_eq!(cells.unix_ms_mod, (unix_ms % (1 << 24)) as u32, "{width}x{height}");
                assert_eq!(cells.counter, counter, "{width}x{height}");
            }
        }
    }

    #[test]
    fn sizes_without_room_for_cells_are_drawn_but_not_read() {
        for (width, height) in [(16, 16), (25, 64), (64, 9), (1, 1)] {
            assert_eq!(read_cells(&drawn(width, height, TIME, 1)), None, "{width}x{height}");
        }
    }

    #[test]
    fn cells_are_laid_out_as_designed() {
        let frame = drawn(1280, 720, 0b01, 0b10);
        let luma = |cell: usize, row: usize| frame.planes().0[(row * 72 + 36) * 1280 + cell * 1280 / 26 + 24];
        assert_eq!([luma(0, 0), luma(1, 0), luma(2, 0), luma(25, 0)], [126, 235, 16, 126]);
        assert_eq!([luma(0, 1), luma(1, 1), luma(2, 1), luma(25, 1)], [126, 16, 235, 126]);
        assert!(frame.planes().1[..640 * 72].iter().all(|&u| u == 128), "the cells have colour");
    }

    #[test]
    fn the_square_flashes_in_the_first_50_ms_of_a_second() {
        for counter in 0..300 {
            for (ms, flash) in [(0, true), (49, true), (50, false), (999, false)] {
                let cells = read_cells(&drawn(320, 180, 1_700_000_000_000 + ms, counter)).expect("cells");
                assert_eq!(cells.flash, flash, "{ms} ms, frame {counter}");
            }
        }
        let frame = drawn(1280, 720, 0, 0);
        let row = &frame.planes().0[576 * 1280..577 * 1280];
        assert!(row[1280 - 144..].iter().all(|&luma| luma == 235));
        assert!(row[1280 - 145] < 235, "the square is wider than H/5");
    }

    #[test]
    fn a_picture_that_is_not_the_pattern_is_not_read() {
        assert_eq!(read_cells(&I420Frame::black(640, 360, Instant::now())), None);
        let mut undecided = drawn(640, 360, TIME, 5);
        let seventh_bit = cell(&undecided, 0, 7);
        fill(&mut undecided, seventh_bit, MID_GREY);
        assert_eq!(read_cells(&undecided), None);
        let mut no_grey = drawn(640, 360, TIME, 5);
        let last = cell(&no_grey, 1, 25);
        fill(&mut no_grey, last, WHITE);
        assert_eq!(read_cells(&no_grey), None);
    }

    #[test]
    fn the_picture_moves_and_has_colour() {
        let (one, two) = (drawn(640, 360, TIME, 1), drawn(640, 360, TIME, 2));
        let below = 640 * 72;
        let changed = (below..640 * 360).filter(|&at| one.data()[at] != two.data()[at]).count();
        assert!(changed > 640 * 288 / 2, "{changed} samples changed");
        let (low, high) = one.planes().1.iter().fold((255, 0), |(low, high), &u| (u.min(low), u.max(high)));
        assert!(high - low > 40, "U from {low} to {high}");
    }

    #[test]
    fn age_is_right_across_the_wrap() {
        let cells = Cells { unix_ms_mod: 0xff_fff0, counter: 0, flash: false };
        assert_eq!(cells.age_ms((1 << 24) + 4), 20);
    }
}
