//! Frames on a stream, with limits in size and time.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use crate::frame::{Frame, LENGTH_BYTES};

/// A frame that has begun must be whole by then. 64 KiB at 56 kbit/s take ten seconds; who is slower wants to
/// hold us up.
pub(crate) const FRAME_LIMIT: Duration = Duration::from_secs(20);

/// Why no frame was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The stream is over.
    Ended,
    /// It does not follow the protocol.
    Garbage,
    /// It came too slowly.
    Slow,
}

/// The next frame, of at most `max` bytes. Waits for its beginning for as long as it takes, for the rest for
/// [`FRAME_LIMIT`]. Must not be dropped half-way: what was read of a frame would be lost.
pub(crate) async fn read_frame<R: AsyncRead + Unpin>(stream: &mut R, max: usize) -> Result<Frame, ReadError> {
    let first = AsyncReadExt::read_u8(stream).await.map_err(|_| ReadError::Ended)?;
    let read = async {
        let mut length = [first; LENGTH_BYTES];
        let (_, rest) = length.split_at_mut(1);
        AsyncReadExt::read_exact(stream, rest).await.map_err(|_| ReadError::Ended)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        // Before anything is allocated.
        if length == 0 || length > max {
            return Err(ReadError::Garbage);
        }
        let mut frame = vec![0; length];
        AsyncReadExt::read_exact(stream, &mut frame).await.map_err(|_| ReadError::Ended)?;
        Frame::decode(&frame).map_err(|_| ReadError::Garbage)
    };
    timeout(FRAME_LIMIT, read).await.unwrap_or(Err(ReadError::Slow))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::frame::MAX_FRAME_BYTES;

    async fn read(bytes: &[u8]) -> Result<Frame, ReadError> {
        read_frame(&mut &bytes[..], MAX_FRAME_BYTES).await
    }

    #[tokio::test]
    async fn frames_have_a_length_that_is_believed_only_within_the_limit() {
        let frame = Frame::Ack { seq: 7 };
        assert_eq!(read(&frame.encode()).await, Ok(frame));
        for length in [0, MAX_FRAME_BYTES as u32 + 1, u32::MAX] {
            assert_eq!(read(&length.to_be_bytes()).await, Err(ReadError::Garbage), "{length}");
        }
        assert_eq!(read(&[0, 0, 0, 9, 8, 0]).await, Err(ReadError::Ended));
        assert_eq!(read(&[]).await, Err(ReadError::Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn the_beginning_is_waited_for_and_the_rest_not_for_ever() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        let reader = tokio::spawn(async move { read_frame(&mut theirs, MAX_FRAME_BYTES).await });
        tokio::time::sleep(FRAME_LIMIT * 100).await;
        assert!(!reader.is_finished());
        for byte in [0, 0, 1] {
            ours.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(FRAME_LIMIT / 4).await;
        }
        assert!(!reader.is_finished());
        tokio::time::sleep(FRAME_LIMIT / 3).await;
        assert_eq!(reader.await.unwrap(), Err(ReadError::Slow));
    }
}
