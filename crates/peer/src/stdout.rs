//! stdout: whole lines, in the order in which they were handed over, written by a thread of their own.
//!
//! A pipe that nobody reads takes some 64 KiB and then blocks the writer. Here only this thread writes:
//! the call goes on, and lines wait in a queue. A line is never left out: what cannot be delivered any more
//! is a [`Lost`] stdout, and nothing is written from then on.

use std::{
    fmt, future,
    io::{self, Write},
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};

/// Lines that may wait behind a full pipe. A call of an hour with a dozen ICE restarts has about as many; at
/// 64 KiB, the limit of an envelope, they are 16 MiB.
const QUEUE: usize = 256;
/// With the queue full, or at the end, a reader is waited for this long: a busy machine stops a program for a
/// second or two, and a call whose messages get nowhere for longer than this has lost its signaling.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lines cannot be delivered any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The system does not take them: the reader is gone, the disk is full.
    Broken(String),
    /// Nobody has read for too long.
    Unread(Duration),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "stdout cannot be written: {error}"),
            Self::Unread(patience) => write!(f, "stdout is full and has not been read for {} s", patience.as_secs()),
        }
    }
}

enum Item {
    /// With its line feed.
    Line(String),
    /// Answered when everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Where lines are handed over. Clones write to the same stdout.
#[derive(Clone, Debug)]
pub struct Stdout {
    queue: mpsc::Sender<Item>,
    lost: watch::Sender<Option<Lost>>,
    patience: Duration,
}

impl Stdout {
    /// Starts the thread that writes.
    pub fn start() -> Self {
        Self::over(io::stdout(), QUEUE, PATIENCE)
    }

    fn over(mut to: impl Write + Send + 'static, queue: usize, patience: Duration) -> Self {
        let (queue, mut items) = mpsc::channel(queue);
        let this = Self { queue, lost: watch::Sender::new(None), patience };
        let lost = this.lost.clone();
        let writer = thread::Builder::new().name("stdout".into()).spawn(move || {
            if let Err(error) = write_items(&mut to, &mut items) {
                lose(&lost, Lost::Broken(error.to_string()));
            }
        });
        if let Err(error) = writer {
            lose(&this.lost, Lost::Broken(error.to_string()));
        }
        this
    }

    /// Hands a line over, and waits while too many wait already.
    ///
    /// # Errors
    /// stdout is lost, and this line with it.
    pub async fn write_line(&self, mut line: String) -> Result<(), Lost> {
        line.push('\n');
        self.put(Item::Line(line)).await
    }

    /// Waits until every line that was handed over is written.
    ///
    /// # Errors
    /// stdout is lost, and some of the lines with it.
    pub async fn finish(&self) -> Result<(), Lost> {
        let (done, written) = oneshot::channel();
        self.put(Item::Flush(done)).await?;
        let lost = tokio::select! {
            biased;
            Ok(()) = written => return Ok(()),
            lost = self.lost() => lost,
            () = sleep(self.patience) => Lost::Unread(self.patience),
        };
        Err(lose(&self.lost, lost))
    }

    /// Waits until stdout is lost.
    pub async fn lost(&self) -> Lost {
        let mut watched = self.lost.subscribe();
        let lost = watched.wait_for(Option::is_some).await.ok().and_then(|lost| lost.clone());
        match lost {
            Some(lost) => lost,
            // The sender of the watch is in `self`: it is not gone.
            None => future::pending().await,
        }
    }

    async fn put(&self, item: Item) -> Result<(), Lost> {
        let lost = tokio::select! {
            // Behind a line that was lost no other may follow.
            biased;
            lost = self.lost() => lost,
            Ok(()) = self.queue.send(item) => return Ok(()),
            () = sleep(self.patience) => Lost::Unread(self.patience),
        };
        Err(lose(&self.lost, lost))
    }
}

/// Notes that stdout is lost; gives the first reason that was noted.
fn lose(to: &watch::Sender<Option<Lost>>, lost: Lost) -> Lost {
    to.send_if_modified(|known| {
        let first = known.is_none();
        known.get_or_insert_with(|| lost.clone());
        first
    });
    to.borrow().clone().unwrap_or(lost)
}

fn write_items(to: &mut impl Write, items: &mut mpsc::Receiver<Item>) -> io::Result<()> {
    while let Some(item) = items.blocking_recv() {
        match item {
            Item::Line(line) => {
                to.write_all(line.as_bytes())?;
                to.flush()?;
            }
            // Nobody waits any more.
            Item::Flush(done) => drop(done.send(())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(50);

    /// A pipe that takes a line for each time that its reader is ready.
    struct Pipe {
        ready: Receiver<()>,
        read: Sender<String>,
    }

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.ready.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            let _ = self.read.send(String::from_utf8_lossy(line).into_owned());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pipe() -> (Pipe, Sender<()>, Receiver<String>) {
        let ((reader, ready), (read, lines)) = (channel(), channel());
        (Pipe { ready, read }, reader, lines)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn lines_wait_for_their_reader_and_keep_their_order() {
        let (pipe, reader, lines) = pipe();
        block_on(async {
            let stdout = Stdout::over(pipe, 100, LONG);
            for n in 0..100 {
                stdout.write_line(n.to_string()).await.unwrap();
            }
            assert!(lines.try_recv().is_err(), "nobody has read yet");
            (0..100).for_each(|_| reader.send(()).unwrap());
            stdout.finish().await.unwrap();
        });
        let read: String = lines.try_iter().collect();
        assert_eq!(read, (0..100).map(|n| format!("{n}\n")).collect::<String>());
    }

    #[test]
    fn a_full_queue_waits_for_a_late_reader_and_loses_nothing() {
        let (pipe, reader, lines) = pipe();
        block_on(async {
            let stdout = Stdout::over(pipe, 2, LONG);
            let writes = async {
                for n in 0..10 {
                    stdout.write_line(n.to_string()).await.unwrap();
                }
                stdout.finish().await.unwrap();
            };
            let reads = async {
                // The queue, and what the thread holds, are full by then.
                while stdout.queue.capacity() > 0 {
                    tokio::task::yield_now().await;
                }
                (0..10).for_each(|_| reader.send(()).unwrap());
            };
            tokio::time::timeout(LONG, async { tokio::join!(writes, reads) }).await.unwrap();
        });
        assert_eq!(lines.try_iter().count(), 10);
    }

    #[test]
    fn a_queue_that_is_full_for_long_is_a_lost_stdout_and_no_line_follows_a_lost_one() {
        let (pipe, reader, lines) = pipe();
        block_on(async {
            let stdout = Stdout::over(pipe, 1, SHORT);
            let mut written = 0;
            let lost = loop {
                match stdout.write_line(written.to_string()).await {
                    Ok(()) => written += 1,
                    Err(lost) => break lost,
                }
            };
            assert_eq!(lost, Lost::Unread(SHORT));
            assert_eq!(stdout.lost().await, lost);
            (0..written).for_each(|_| reader.send(()).unwrap());
            (0..written).for_each(|n| assert_eq!(lines.recv().unwrap(), format!("{n}\n")));
            assert_eq!(stdout.write_line("late".into()).await, Err(lost.clone()));
            assert_eq!(stdout.finish().await, Err(lost));
        });
        assert!(lines.try_recv().is_err());
    }

    #[test]
    fn an_unread_end_is_waited_for_no_longer_than_the_limit() {
        let (pipe, _reader, _lines) = pipe();
        block_on(async {
            let stdout = Stdout::over(pipe, 8, SHORT);
            stdout.write_line("unread".into()).await.unwrap();
            assert_eq!(stdout.finish().await, Err(Lost::Unread(SHORT)));
        });
    }

    #[test]
    fn a_closed_pipe_is_a_lost_stdout() {
        let (pipe, reader, _lines) = pipe();
        drop(reader);
        block_on(async {
            let stdout = Stdout::over(pipe, 8, LONG);
            let _ = stdout.write_line("x".into()).await;
            assert!(matches!(stdout.lost().await, Lost::Broken(_)));
            assert!(matches!(stdout.write_line("y".into()).await, Err(Lost::Broken(_))));
        });
    }
}
