//! Puts a picture in the place of one colour, as television does.
//!
//! The page paints a hole in its key, which is nearly black. Where it lays something over it, a frame or
//! words, that stays. What is darker than the key is the key under a shadow, and the picture is darkened
//! there as much.

use crate::painter::Pixels;
use ahoy_media::video::screen::PIXEL;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
    /// To the right.
    pub width: i32,
    /// Down.
    pub height: i32,
}

impl Area {
    fn overlap(self, other: Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let right = (self.x + self.width).min(other.x + other.width);
        let bottom = (self.y + self.height).min(other.y + other.height);
        (right > x && bottom > y).then_some(Self { x, y, width: right - x, height: bottom - y })
    }
}

/// What the page has painted, [`PIXEL`] bytes each.
pub struct Page<'a> {
    /// Row by row.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Where that is in the window.
    pub area: Area,
}

impl Page<'_> {
    /// Shows `picture`, whose upper left corner is at `x` and `y` of the window, where `hole` has the colour
    /// `key`, 0xRRGGBB.
    pub fn show(&mut self, picture: &Pixels, (x, y): (i32, i32), hole: Area, key: u32) {
        let (Ok(width), Ok(height)) = (i32::try_from(picture.size.width), i32::try_from(picture.size.height)) else {
            return;
        };
        let placed = Area { x, y, width, height };
        let Some(seen) = placed.overlap(hole).and_then(|seen| seen.overlap(self.area)) else { return };
        let [blue, green, red, _] = key.to_le_bytes();
        let key = [blue, green, red];
        let bytes = |pixels: i32| pixels as usize * PIXEL;
        for row in seen.y..seen.y + seen.height {
            let page = (row - self.area.y) as usize * self.stride + bytes(seen.x - self.area.x);
            let source = (row - y) as usize * bytes(width) + bytes(seen.x - x);
            let page = self.data.get_mut(page..page + bytes(seen.width));
            let source = picture.data.get(source..source + bytes(seen.width));
            if let (Some(page), Some(source)) = (page, source) {
                show_row(page, source, key);
            }
        }
    }
}

/// Pixels that are looked at together: nearly all of a hole is its key, and then they need no look of their
/// own.
const RUN: usize = 16 * PIXEL;

fn show_row(page: &mut [u8], picture: &[u8], key: [u8; 3]) {
    let [blue, green, red] = key;
    let wanted = u32::from_le_bytes([blue, green, red, 0]);
    let ((page, page_rest), (picture, picture_rest)) = (page.as_chunks_mut::<RUN>(), picture.as_chunks::<RUN>());
    for (page, picture) in page.iter_mut().zip(picture) {
        let pixels = page.as_chunks::<PIXEL>().0;
        let other = pixels.iter().fold(0, |other, pixel| other | (u32::from_le_bytes(*pixel) ^ wanted));
        // The fourth byte means nothing.
        if other & 0x00ff_ffff == 0 {
            *page = *picture;
        } else if pixels.iter().any(|pixel| is_under(*pixel, key)) {
            show_pixels(page, picture, key);
        }
    }
    show_pixels(page_rest, picture_rest, key);
}

fn show_pixels(page: &mut [u8], picture: &[u8], key: [u8; 3]) {
    let [_, key_green, _] = key;
    for (page, picture) in page.as_chunks_mut::<PIXEL>().0.iter_mut().zip(picture.as_chunks::<PIXEL>().0) {
        let [blue, green, red, _] = *page;
        if [blue, green, red] == key {
            *page = *picture;
        } else if is_under(*page, key) {
            let dark = |level: u8| (u16::from(level) * u16::from(green) / u16::from(key_green.max(1))) as u8;
            *page = picture.map(dark);
        }
    }
}

/// Whether the picture is seen there, be it in a shadow.
fn is_under([blue, green, red, _]: [u8; PIXEL], [key_blue, key_green, key_red]: [u8; 3]) -> bool {
    blue <= key_blue && green <= key_green && red <= key_red
}

#[cfg(test)]
mod tests {
    use ahoy_media::video::screen::Size;

    use super::*;

    const KEY: u32 = 0x0a_0e_12;
    const HOLE: [u8; 4] = [0x12, 0x0e, 0x0a, 0xff];
    const WORDS: [u8; 4] = [200, 210, 220, 0xff];
    const PICTURE: [u8; 4] = [100, 150, 200, 0];

    fn shown(page: &[[u8; 4]], wide: i32, at: (i32, i32), size: (u32, u32), hole: Area) -> Vec<[u8; 4]> {
        let mut data = page.as_flattened().to_vec();
        let height = page.len() as i32 / wide;
        let area = Area { x: 100, y: 50, width: wide, height };
        let pixels = PICTURE.repeat(size.0 as usize * size.1 as usize);
        let picture = Pixels { data: pixels, size: Size { width: size.0, height: size.1 } };
        Page { data: &mut data, stride: wide as usize * 4, area }.show(&picture, at, hole, KEY);
        data.as_chunks().0.to_vec()
    }

    fn everywhere() -> Area {
        Area { x: 0, y: 0, width: 1000, height: 1000 }
    }

    #[test]
    fn the_picture_is_where_the_key_is_and_nowhere_else() {
        let page = [HOLE, WORDS, HOLE, WORDS];
        assert_eq!(shown(&page, 2, (100, 50), (2, 2), everywhere()), [PICTURE, WORDS, PICTURE, WORDS]);
    }

    #[test]
    fn what_lies_over_a_wide_hole_stays() {
        let mut page = [HOLE; 50];
        for words in [0, 17, 31, 49] {
            page[words] = WORDS;
        }
        let expected = page.map(|pixel| if pixel == HOLE { PICTURE } else { WORDS });
        assert_eq!(shown(&page, 50, (100, 50), (50, 1), everywhere()), expected);
    }

    #[test]
    fn a_shadow_on_the_hole_is_one_on_the_picture() {
        let half = [0x09, 0x07, 0x05, 0xff];
        assert_eq!(shown(&[half, [0, 0, 0, 0xff]], 2, (100, 50), (2, 1), everywhere()), [[50, 75, 100, 0], [0; 4]]);
    }

    #[test]
    fn another_key_is_not_this_one_nor_its_shadow() {
        let own = [0x12, 0x0d, 0x0b, 0xff];
        assert_eq!(shown(&[own], 1, (100, 50), (1, 1), everywhere()), [own]);
    }

    #[test]
    fn only_what_lies_in_picture_hole_and_page_is_touched() {
        let page = [HOLE; 9];
        let at = |x, y, size, hole| {
            let pixels = shown(&page, 3, (x, y), size, hole);
            (0..9).filter(|&index| pixels[index] == PICTURE).collect::<Vec<_>>()
        };
        assert_eq!(at(101, 51, (1, 1), everywhere()), [4]);
        assert_eq!(at(99, 49, (2, 2), everywhere()), [0]);
        assert_eq!(at(102, 52, (50, 50), everywhere()), [8]);
        assert_eq!(at(100, 50, (3, 3), Area { x: 101, y: 0, width: 1, height: 52 }), [1, 4]);
        assert_eq!(at(0, 0, (100, 50), everywhere()), [0; 0]);
        assert_eq!(at(2000, 50, (3, 3), everywhere()), [0; 0]);
    }
}
