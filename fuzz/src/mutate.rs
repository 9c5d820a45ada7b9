//! Seeded cases: the same number gives the same bytes, on every machine and in every run.

/// Mutations of one input at most: more, and little is left of its form.
const MUTATIONS_MAX: usize = 6;
/// One case in so many is wholly random.
const RANDOM_ONE_IN: usize = 8;
const RANDOM_LEN: usize = 256;
/// Bytes at which parsers change their mind.
const EDGES: [u8; 8] = [0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xfe, 0xff];

/// Case number `number` from inputs that are well-formed.
pub fn case(corpus: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = Random(number);
    if corpus.is_empty() || random.below(RANDOM_ONE_IN) == 0 {
        let len = random.below(RANDOM_LEN);
        return (0..len).map(|_| random.byte()).collect();
    }
    let mut data = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(MUTATIONS_MAX) {
        mutate(&mut data, corpus, &mut random);
    }
    data
}

fn mutate(data: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let (start, end) = random.range(data.len());
    match random.below(8) {
        0 => data[start..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => data[start..end].iter_mut().take(1).for_each(|byte| *byte = EDGES[random.below(EDGES.len())]),
        2 => data[start..end].iter_mut().take(8).for_each(|byte| *byte = random.byte()),
        3 => data[start..end].iter_mut().take(4).for_each(|byte| *byte = 0xff),
        4 => drop(data.drain(start..end)),
        5 => data.truncate(end),
        6 => {
            let copy = data[start..end].to_vec();
            data.splice(start..start, copy);
        }
        _ => {
            let other = &corpus[random.below(corpus.len())];
            let (from, to) = random.range(other.len());
            data.splice(start..end, other[from..to].iter().copied());
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// From 0 to under `end`; 0 if that is empty.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    /// A part of something of that length. Half of them short, for the headers at the front are where the
    /// form is.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let reach = if self.next() & 1 == 0 { len.min(64) } else { len };
        let (a, b) = (self.below(reach + 1), self.below(reach + 1));
        (a.min(b), a.max(b))
    }
}
