//! Interceptors that only look at what comes: the rest of the interface, which is the same for all of them.

use std::{collections::VecDeque, time::Instant};

use rtc::{
    interceptor::{Interceptor, StreamInfo, TaggedPacket},
    sansio::Protocol,
    shared::error::Error,
};

/// Looks at each packet that comes.
pub(super) trait Read: Send + Sync + 'static {
    /// May change the packet. False: it goes no further.
    fn read(&mut self, packet: &mut TaggedPacket) -> bool;
}

/// Makes a [`Read`] an interceptor, which passes on all that is sent.
pub(super) struct Reader<R> {
    read: R,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(read: R) -> Self {
        Self { read, reads: VecDeque::new(), writes: VecDeque::new() }
    }
}

impl<R: Read> Protocol<TaggedPacket, TaggedPacket, ()> for Reader<R> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        if self.read.read(&mut packet) {
            self.reads.push_back(packet);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl<R: Read> Interceptor for Reader<R> {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
