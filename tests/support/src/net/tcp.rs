//! A TCP flow that sends as much as a path carries, for calls to share a bottleneck with.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use nix::sys::socket::{setsockopt, sockopt::TcpCongestion};

use super::path::{FAR, Pair};

/// The congestion control of the sender: what Linux uses where nothing else is set (RFC 9438).
const CONGESTION_CONTROL: &str = "cubic";
/// Bytes given to the socket at once.
const WRITE: usize = 16 * 1024;

/// A connection from the near to the far end of a pair, with always more to send. Dropping it closes it.
pub struct TcpFlow {
    ends: [TcpStream; 2],
    threads: Vec<JoinHandle<()>>,
}

impl TcpFlow {
    /// Connects, and begins to send.
    ///
    /// # Panics
    /// Where there is no connection, or the kernel has no such congestion control.
    pub fn start(pair: &Pair) -> Self {
        let listener = pair.far.enter(|| TcpListener::bind((FAR, 0))).expect("a port at the far end");
        let address = listener.local_addr().expect("its address");
        let sender = pair.near.enter(|| TcpStream::connect(address)).expect("a connection over the path");
        let (receiver, _) = listener.accept().expect("the connection that was just made");
        setsockopt(&sender, TcpCongestion, &CONGESTION_CONTROL.into()).expect("a usual congestion control");
        let ends = [&sender, &receiver].map(|end| end.try_clone().expect("a second handle of a socket"));
        let threads = vec![thread::spawn(move || send(sender)), thread::spawn(move || receive(receiver))];
        Self { ends, threads }
    }
}

fn send(mut to: TcpStream) {
    let zeros = vec![0; WRITE];
    while to.write_all(&zeros).is_ok() {}
}

fn receive(mut from: TcpStream) {
    let mut buffer = vec![0; WRITE];
    while from.read(&mut buffer).is_ok_and(|len| len > 0) {}
}

impl Drop for TcpFlow {
    fn drop(&mut self) {
        for end in &self.ends {
            // Wakes the thread that waits for it. The other end may have closed it before.
            let _ = end.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::{
        self,
        conditions::{Conditions, Schedule},
        path::Path,
    };

    #[test]
    fn a_flow_fills_its_bottleneck_and_ends_with_its_owner() {
        if let Err(reason) = net::available() {
            eprintln!("skipped: {reason}");
            return;
        }
        let delay = Conditions::clean(Duration::from_millis(10));
        let (forward, back) = (Schedule::constant(delay.rate_kbps(2000.0)), Schedule::constant(delay));
        let path = Path::start(2, forward, back, 1);
        let flow = TcpFlow::start(&path.pairs[1]);
        thread::sleep(Duration::from_secs(4));
        let counts = path.forward();
        let (from, to) = (Duration::from_secs(2), Duration::from_secs(4));
        let used = counts.carried_by(1, from, to) as f64 * 8.0 / 4e6;
        assert!((0.9..1.05).contains(&used), "{used} of the bottleneck");
        assert_eq!(counts.carried_by(0, from, to), 0, "nothing of another pair");

        drop(flow);
        thread::sleep(Duration::from_millis(500));
        let before = path.forward().carried_in_all();
        thread::sleep(Duration::from_millis(500));
        assert_eq!(path.forward().carried_in_all(), before);
    }
}
