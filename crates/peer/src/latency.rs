//! Reads a peer's received WebM as it comes, decodes the test pattern in it, and tells how old each picture
//! was.

use std::{fs::File, io::Read, path::Path, thread::JoinHandle};

use ahoy_media::{
    video::{pattern::read_cells, vp8::Decoder},
    webm::demux::Demuxer,
};

use crate::clock::unix_ms;

/// What was seen of one direction.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// Age of each picture when its bytes were ready, in ms, in order of coming.
    pub ages_ms: Vec<f64>,
    /// When each came, unix ms.
    pub arrivals: Vec<u64>,
    /// Pictures that came but could not be decoded, or whose cells could not be read.
    pub unreadable: u64,
    /// Pictures that the sender drew and that never came, by the counter in the cells.
    pub skipped: u64,
}

/// Starts to read `fifo` until its writer closes it.
pub fn watch(fifo: &Path) -> std::io::Result<JoinHandle<Pictures>> {
    let path = fifo.to_owned();
    std::thread::Builder::new().name("latency".into()).spawn(move || {
        let mut pictures = Pictures::default();
        if let Err(error) = read(&path, &mut pictures) {
            tracing::warn!(%error, "the received pictures cannot be read any further");
        }
        pictures
    })
}

fn read(path: &Path, pictures: &mut Pictures) -> Result<(), Box<dyn std::error::Error>> {
    let mut file = File::open(path)?;
    let (mut demuxer, mut decoder) = (Demuxer::new(), Decoder::new()?);
    let mut buffer = vec![0; 1 << 16];
    let mut last_counter = None;
    loop {
        let len = file.read(&mut buffer)?;
        // The age counts from the moment the bytes were there, not from when this program had decoded them.
        let now = unix_ms();
        if len == 0 {
            return Ok(());
        }
        for frame in demuxer.push(buffer.get(..len).unwrap_or_default())? {
            pictures.arrivals.push(now);
            let cells = decoder.decode(&frame.data).ok().flatten().and_then(|picture| read_cells(&picture));
            let Some(cells) = cells else {
                pictures.unreadable += 1;
                continue;
            };
            pictures.ages_ms.push(f64::from(cells.age_ms(now)));
            if let Some(last) = last_counter.replace(cells.counter) {
                pictures.skipped += u64::from(cells.counter.saturating_sub(last).saturating_sub(1));
            }
        }
    }
}

/// The value below which `share` (0 to 1) of the values lie; none of nothing.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len() as f64 - 1.0) * share).round().max(0.0) as usize;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_and_many() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[3.0], 0.95), Some(3.0));
        let many: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!((percentile(&many, 0.5), percentile(&many, 0.95)), (Some(50.0), Some(95.0)));
    }
}
