//! The WebM demuxer.

use ahoy_media::webm::{Demuxer, Muxer};

use crate::vp8;

/// The first byte is the size of the portions in which the rest arrives: parsers break at the seams.
pub(crate) fn demux(data: &[u8]) {
    let Some((&portion, stream)) = data.split_first() else { return };
    let mut demuxer = Demuxer::new();
    let mut bytes = 0;
    for part in stream.chunks(usize::from(portion) + 1) {
        let Ok(frames) = demuxer.push(part) else { return };
        bytes += frames.iter().map(|frame| frame.data.len()).sum::<usize>();
    }
    assert!(bytes <= stream.len(), "{bytes} bytes of frames out of {}", stream.len());
}

pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let mut muxer = Muxer::new(64, 48);
    let mut stream = muxer.init_segment().to_vec();
    for (index, frame) in vp8::frames().iter().enumerate() {
        stream.extend_from_slice(&muxer.cluster(frame, index % 3 == 0, 33 * index as u64));
    }
    let twice = [&stream[..], &stream].concat();
    [(255, &stream), (6, &stream), (255, &twice)].map(|(portion, stream)| [&[portion], &stream[..]].concat()).into()
}
