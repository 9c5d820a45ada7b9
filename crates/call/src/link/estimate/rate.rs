//! Rates of packets: what leaves here, and what arrives there.

use std::collections::VecDeque;

/// Packets that a window holds at the most: 10 Mbit/s of small packets.
const MAX_PACKETS: usize = 4096;

/// Bytes over a window of time, on either side's clock.
#[derive(Debug)]
pub(super) struct RateWindow {
    /// Seconds.
    span: f64,
    packets: VecDeque<(f64, usize)>,
    newest: f64,
}

impl RateWindow {
    /// A window of `span` seconds.
    pub(super) fn new(span: f64) -> Self {
        Self { span, packets: VecDeque::new(), newest: f64::NEG_INFINITY }
    }

    /// Takes a packet of `bytes` at `at` seconds.
    pub(super) fn push(&mut self, at: f64, bytes: usize) {
        // A clock that jumps back has begun anew.
        if at < self.newest - self.span {
            self.clear();
        }
        self.newest = self.newest.max(at);
        self.packets.push_back((at, bytes));
        let oldest = self.newest - self.span;
        while self.packets.len() > MAX_PACKETS || self.packets.front().is_some_and(|(at, _)| *at < oldest) {
            self.packets.pop_front();
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.newest = f64::NEG_INFINITY;
    }

    /// Bits a second over what is in the window; none of fewer than `least` packets, or of less than a
    /// quarter of the window. The first packet's bytes do not count: they came before the time that is
    /// measured.
    pub(super) fn rate(&self, least: usize) -> Option<f64> {
        self.rate_of_last(self.span, least)
    }

    /// As [`Self::rate`], over the newest `span` seconds of the window.
    pub(super) fn rate_of_last(&self, span: f64, least: usize) -> Option<f64> {
        let oldest = self.newest - span;
        let old = self.packets.iter().take_while(|(at, _)| *at < oldest).count();
        let first = self.packets.get(old)?.0;
        let took = self.newest - first;
        let bytes: usize = self.packets.iter().skip(old + 1).map(|(_, bytes)| bytes).sum();
        (self.packets.len() - old >= least.max(2) && took >= span / 4.0).then(|| bytes as f64 * 8.0 / took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_window_alone() {
        let mut window = RateWindow::new(0.5);
        assert_eq!(window.rate(1), None);
        for step in 0..200 {
            let bytes = if step < 100 { 100 } else { 1000 };
            window.push(f64::from(step) / 100.0, bytes);
        }
        assert!((window.rate(5).unwrap() - 800_000.0).abs() < 1.0);
        assert_eq!(window.rate(1000), None, "too few");
        window.push(2.0, 5000);
        assert!((window.rate_of_last(0.1, 5).unwrap() - 1_120_000.0).abs() < 1.0, "{:?}", window.rate_of_last(0.1, 5));
        window.push(-100.0, 500);
        assert_eq!(window.rate(1), None, "the clock began anew");
    }
}
