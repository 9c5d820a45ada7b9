//! Reads files and FIFOs alike, and can stop waiting for a FIFO.
//!
//! Opening a FIFO that has no writer blocks for ever, and so does reading one whose writer does nothing;
//! neither can be interrupted. So a FIFO is opened non-blocking, and asked again until something comes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    thread,
    time::Duration,
};

/// The first wait for more, and the longest. A pipe holds 64 KiB, a frame of video some megabytes: the short
/// wait costs a reader that follows a busy writer nothing, the long one costs a sleeping reader 200 wake-ups
/// a second.
const WAITS: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(5));

/// What a read waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The first byte: there may be no writer yet.
    ForStart,
    /// The next byte of a writer that has begun.
    ForMore,
}

/// An open file or FIFO. A read that `gives_up` ends with [`io::ErrorKind::TimedOut`].
pub(crate) struct PatientFile<F> {
    file: File,
    is_file: bool,
    begun: bool,
    gives_up: F,
}

impl<F: FnMut(Waiting) -> bool> PatientFile<F> {
    /// Opens `path` for reading. `gives_up` is asked between two looks at an empty FIFO.
    pub(crate) fn open(path: &Path, gives_up: F) -> io::Result<Self> {
        let is_file = fs::metadata(path)?.is_file();
        let mut options = OpenOptions::new();
        options.read(true);
        if !is_file {
            do_not_block(&mut options);
        }
        Ok(Self { file: options.open(path)?, is_file, begun: false, gives_up })
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn do_not_block(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_NONBLOCK);
}

/// Elsewhere a FIFO blocks until its writer comes.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn do_not_block(_: &mut OpenOptions) {}

impl<F: FnMut(Waiting) -> bool> Read for PatientFile<F> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut wait = WAITS.0;
        loop {
            match self.file.read(to) {
                // A FIFO without a writer reads as if it had ended; it has, once something came.
                Ok(0) if !self.is_file && !self.begun && !to.is_empty() => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(read) => {
                    self.begun = true;
                    return Ok(read);
                }
                Err(error) => return Err(error),
            }
            if (self.gives_up)(if self.begun { Waiting::ForMore } else { Waiting::ForStart }) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(wait);
            wait = (2 * wait).min(WAITS.1);
        }
    }
}

impl<F> Seek for PatientFile<F> {
    /// Of a FIFO: [`io::ErrorKind::NotSeekable`].
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
