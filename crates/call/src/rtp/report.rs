//! Sender reports of our own, and the round-trip time out of the receiver reports that answer them.
//!
//! The crate's reports date an RTP timestamp by when its packet was written; ours by when it was captured, so
//! that the other side's lip sync does not inherit our encoder's and packetizer's delay.

use std::time::{Duration, Instant};

use rtc::rtcp::{reception_report::ReceptionReport, sender_report::SenderReport};

use super::clock::{Ntp, WallClock};

/// Between two sender reports: the minimum of RFC 3550 section 6.2 is 5 s; every WebRTC stack sends one a
/// second, and lip sync wants the first one early.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Counts what one outgoing stream sent and writes its reports.
#[derive(Debug)]
pub struct SenderReports {
    ssrc: u32,
    hz: u32,
    /// The newest packet: its RTP timestamp, and when that was captured.
    newest: Option<(u32, Instant)>,
    packets: u32,
    octets: u32,
    reported: bool,
}

impl SenderReports {
    /// For the stream `ssrc` with `hz` ticks a second.
    pub fn new(ssrc: u32, hz: u32) -> Self {
        Self { ssrc, hz, newest: None, packets: 0, octets: 0, reported: false }
    }

    /// Counts one packet with `payload` bytes, whose timestamp stands for `captured_at`.
    pub fn sent(&mut self, payload: usize, timestamp: u32, captured_at: Instant) {
        self.newest = Some((timestamp, captured_at));
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload as u32);
    }

    /// Media was sent and never reported: without a first report the other side cannot sync lips.
    pub fn first_is_due(&self) -> bool {
        self.newest.is_some() && !self.reported
    }

    /// The report for `now` (RFC 3550 section 6.4.1). None until a packet was sent.
    pub fn report(&mut self, now: Instant, wall: &WallClock) -> Option<SenderReport> {
        let (timestamp, captured_at) = self.newest?;
        self.reported = true;
        let since = now.saturating_duration_since(captured_at);
        let ticks = (since.as_nanos() * u128::from(self.hz) / 1_000_000_000) as u32;
        Some(SenderReport {
            ssrc: self.ssrc,
            ntp_time: wall.ntp(now).0,
            rtp_time: timestamp.wrapping_add(ticks),
            packet_count: self.packets,
            octet_count: self.octets,
            ..SenderReport::default()
        })
    }
}

/// The round-trip time that a reception report tells at `arrival` (RFC 3550 section 6.4.1): A - LSR - DLSR.
/// None where the other side has not had a report of ours yet, or its numbers cannot be true.
pub fn round_trip(report: &ReceptionReport, arrival: Ntp) -> Option<Duration> {
    if report.last_sender_report == 0 {
        return None;
    }
    let units = arrival.middle().wrapping_sub(report.last_sender_report).wrapping_sub(report.delay);
    let rtt = Duration::from_secs_f64(f64::from(units) / 65_536.0);
    // Half a wrap means "negative": a lying or badly rounded report.
    (units < 0x8000_0000 && rtt < MAX_ROUND_TRIP).then_some(rtt)
}

/// No path on Earth is slower, and timers derived from the figure stay sane.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_report_is_written_only_after_media() {
        let now = Instant::now();
        let wall = WallClock::new(now, SystemTime::now());
        let mut reports = SenderReports::new(7, 48_000);
        assert!(reports.report(now, &wall).is_none());
        reports.sent(160, 100, now);
        let report = reports.report(now + Duration::from_secs(1), &wall).unwrap();
        assert_eq!((report.ssrc, report.rtp_time, report.packet_count, report.octet_count), (7, 48_100, 1, 160));
    }

    #[test]
    fn round_trip_is_what_the_network_took() {
        let sent = Ntp(0x1234_5678_0000_0000);
        let arrival = Ntp(sent.0 + (3 << 31)); // 1.5 s later
        let report = ReceptionReport { last_sender_report: sent.middle(), delay: 65_536, ..Default::default() };
        assert_eq!(round_trip(&report, arrival), Some(Duration::from_millis(500)));
    }

    #[test]
    fn impossible_reports_give_no_round_trip() {
        let arrival = Ntp(0x1234_5678_0000_0000);
        for (last_sender_report, delay) in
            [(0, 0), (arrival.middle(), 1), (arrival.middle().wrapping_sub(65_536 * 60), 0)]
        {
            let report = ReceptionReport { last_sender_report, delay, ..Default::default() };
            assert_eq!(round_trip(&report, arrival), None);
        }
    }
}
