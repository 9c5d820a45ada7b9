//! What the receiver's feedback says of each packet, beyond what the crate's history keeps of it.
//!
//! The history counts a packet as lost once a later one has arrived. Two kinds of packets are not lost all
//! the same: those that arrive later, out of order, and those that no feedback was about because the feedback
//! itself was lost. This interceptor notes both, from the sequence numbers that each feedback packet covers
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rtc::{
    interceptor::{Packet, TaggedPacket, convert_twcc},
    rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc,
};

use crate::link::reader::Read;

/// What was said longer ago than this is of an earlier round of the 16-bit numbers.
const KEPT: Duration = Duration::from_secs(5);
/// Numbers that are remembered: 5 s of 800 packets a second. A power of two, so that numbers that follow each
/// other across the end of their range have places that do.
const PLACES: usize = 4096;

/// What feedback said of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum Said {
    /// It has not arrived.
    Missing,
    /// It has arrived.
    Arrived,
}

/// What feedback said lately, by transport-wide sequence number. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(in crate::link) struct Coverage(Arc<Mutex<Numbers>>);

/// What was said of the newest number at each place: its number modulo [`PLACES`]. Repeated feedback, which
/// jitter causes and a hostile peer may send, takes no more room.
#[derive(Debug)]
struct Numbers(Box<[Option<(u16, Said, Instant)>]>);

impl Default for Numbers {
    fn default() -> Self {
        Self(vec![None; PLACES].into())
    }
}

impl Coverage {
    /// Notes that feedback about `number` came at `now`.
    pub(in crate::link) fn note(&self, now: Instant, number: u16, said: Said) {
        // What has arrived cannot be missing any more, whatever a later feedback says.
        let arrived = self.said(now, number) == Some(Said::Arrived);
        let said = if arrived { Said::Arrived } else { said };
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = numbers.0.get_mut(usize::from(number) % PLACES) {
            *place = Some((number, said, now));
        }
    }

    /// Notes all that `feedback`, which came at `now`, covers.
    fn read(&self, now: Instant, feedback: &TransportLayerCc) {
        // The last chunk may have more room than is used. rtc reads the rest as missing packets, although these
        // are still to be sent (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.4).
        let covered = usize::from(feedback.packet_status_count).min(PLACES);
        for one in convert_twcc(feedback).into_iter().take(covered) {
            let said = if one.arrived { Said::Arrived } else { Said::Missing };
            self.note(now, one.sequence_number, said);
        }
    }

    /// What feedback said of `number` in the last seconds; none: no feedback covered it.
    pub(in crate::link) fn said(&self, now: Instant, number: u16) -> Option<Said> {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, said, at) = (*numbers.0.get(usize::from(number) % PLACES)?)?;
        (of == number && now.saturating_duration_since(at) < KEPT).then_some(said)
    }
}

/// Reads feedback on its way in, before the congestion controller does.
pub(in crate::link) struct CoverageTap {
    coverage: Coverage,
}

impl CoverageTap {
    /// A tap that notes into `coverage`.
    pub(in crate::link) fn new(coverage: Coverage) -> Self {
        Self { coverage }
    }
}

impl Read for CoverageTap {
    fn read(&mut self, packet: &mut TaggedPacket) -> bool {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            for feedback in packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<TransportLayerCc>()) {
                self.coverage.read(packet.now, feedback);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
        PacketStatusChunk, RecvDelta, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc, SymbolTypeTcc,
    };

    use super::*;

    #[test]
    fn what_a_chunk_has_room_for_is_not_covered() {
        let (coverage, now) = (Coverage::default(), Instant::now());
        let mut symbols = vec![SymbolTypeTcc::PacketNotReceived; 7];
        symbols[1] = SymbolTypeTcc::PacketReceivedSmallDelta;
        let feedback = TransportLayerCc {
            sender_ssrc: 1,
            media_ssrc: 2,
            base_sequence_number: 100,
            packet_status_count: 2,
            reference_time: 0,
            fb_pkt_count: 0,
            packet_chunks: vec![PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::TwoBit,
                symbol_list: symbols,
            })],
            recv_deltas: vec![RecvDelta { type_tcc_packet: SymbolTypeTcc::PacketReceivedSmallDelta, delta: 250 }],
        };
        coverage.read(now, &feedback);
        let said = [100, 101, 102, 106].map(|number| coverage.said(now, number));
        assert_eq!(said, [Some(Said::Missing), Some(Said::Arrived), None, None]);
    }

    #[test]
    fn a_late_arrival_takes_back_a_loss_and_a_later_claim_does_not_take_back_an_arrival() {
        let (coverage, now) = (Coverage::default(), Instant::now());
        assert_eq!(coverage.said(now, 7), None);
        coverage.note(now, 7, Said::Missing);
        assert_eq!(coverage.said(now, 7), Some(Said::Missing));
        coverage.note(now, 7, Said::Arrived);
        coverage.note(now, 7, Said::Missing);
        assert_eq!(coverage.said(now, 7), Some(Said::Arrived));
        assert_eq!(coverage.said(now + KEPT, 7), None, "of another round of numbers");
    }

    #[test]
    fn feedback_that_repeats_itself_does_not_keep_out_what_is_new() {
        let (coverage, now) = (Coverage::default(), Instant::now());
        for _ in 0..20 {
            (0..600).for_each(|number| coverage.note(now, number, Said::Missing));
        }
        coverage.note(now, 7, Said::Arrived);
        coverage.note(now, 601, Said::Arrived);
        assert_eq!((coverage.said(now, 7), coverage.said(now, 8)), (Some(Said::Arrived), Some(Said::Missing)));
        assert_eq!(coverage.said(now, 601), Some(Said::Arrived));
    }

    #[test]
    fn a_number_of_an_earlier_round_says_nothing_of_a_later_one() {
        let (coverage, now) = (Coverage::default(), Instant::now());
        coverage.note(now, 7, Said::Missing);
        coverage.note(now, 7 + PLACES as u16, Said::Arrived);
        assert_eq!((coverage.said(now, 7), coverage.said(now, 7 + PLACES as u16)), (None, Some(Said::Arrived)));
    }
}
