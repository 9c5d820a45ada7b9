use super::*;
use crate::rtp::vp8::packetize;

/// A sender's side of a stream: numbered packets of frames that say which they are.
struct Sender {
    sequence: u16,
    frame: u16,
}

impl Sender {
    fn new(sequence: u16) -> Self {
        Self { sequence, frame: 0 }
    }

    fn frame(&mut self, key: bool, len: usize) -> Vec<VideoPacket> {
        let mut data = vec![self.frame as u8; len];
        data[0] = u8::from(!key); // the P bit
        let payloads: Vec<_> = packetize(&data, self.frame).collect();
        let last = payloads.len() - 1;
        let timestamp = u32::from(self.frame) * 3000;
        self.frame += 1;
        payloads
            .into_iter()
            .enumerate()
            .map(|(index, payload)| {
                let packet =
                    VideoPacket { sequence: self.sequence, timestamp, marker: index == last, payload, repeated: false };
                self.sequence = self.sequence.wrapping_add(1);
                packet
            })
            .collect()
    }
}

fn drain(receiver: &mut VideoReceiver) -> (Vec<u32>, Vec<u16>, usize) {
    let (mut frames, mut nacks, mut requests) = (vec![], vec![], 0);
    while let Some(output) = receiver.poll_output() {
        match output {
            ReceiveOutput::Frame(frame) => frames.push(frame.timestamp / 3000),
            ReceiveOutput::Nack(sequences) => nacks.extend(sequences),
            ReceiveOutput::RequestKeyFrame => requests += 1,
        }
    }
    (frames, nacks, requests)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn frames_come_out_whole_and_in_order_over_the_wrap() {
    let (mut sender, mut receiver, now) = (Sender::new(65_530), VideoReceiver::default(), Instant::now());
    for index in 0..10 {
        for packet in sender.frame(index == 0, 3000) {
            receiver.insert(now, packet);
        }
    }
    assert_eq!(drain(&mut receiver), ((0..10).collect(), vec![], 0));
}

#[test]
fn reordered_and_repeated_packets_cost_nothing() {
    let (mut sender, mut receiver, now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
    let mut packets: Vec<_> = (0..4).flat_map(|index| sender.frame(index == 0, 4000)).collect();
    let copies = packets.clone();
    packets.swap(2, 5);
    packets.swap(9, 10);
    for packet in packets.into_iter().chain(copies) {
        receiver.insert(now, packet);
    }
    assert_eq!(drain(&mut receiver), (vec![0, 1, 2, 3], vec![], 0));
    assert_eq!(receiver.stats().lost, 0);
}

#[test]
fn a_lost_packet_is_asked_for_and_mended() {
    let (mut sender, mut receiver, now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
    for packet in sender.frame(true, 1000) {
        receiver.insert(now, packet);
    }
    let lost = sender.frame(false, 1000).remove(0);
    for packet in sender.frame(false, 1000) {
        receiver.insert(now, packet);
    }
    assert_eq!(drain(&mut receiver), (vec![0], vec![], 0), "reordering is waited for");
    let later = receiver.next_deadline().unwrap();
    assert_eq!(later - now, REORDER_TOLERANCE);
    receiver.handle_timeout(later);
    assert_eq!(drain(&mut receiver), (vec![], vec![1], 0));
    receiver.insert(later + ms(50), lost);
    assert_eq!(drain(&mut receiver), (vec![1, 2], vec![], 0));
    assert_eq!((receiver.stats().recovered, receiver.stats().lost), (1, 0));
}

#[test]
fn an_unmended_loss_asks_for_a_key_frame_once_a_round_trip_and_shows_nothing_undecodable() {
    let (mut sender, mut receiver, mut now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
    receiver.set_round_trip(ms(30));
    for packet in sender.frame(true, 1000) {
        receiver.insert(now, packet);
    }
    sender.frame(false, 1000); // lost, and every repetition too
    for packet in sender.frame(false, 1000) {
        receiver.insert(now, packet);
    }
    assert_eq!(drain(&mut receiver).0, [0]);
    let start = now;
    let (mut nacks, mut requests) = (0, 0);
    while now < start + ms(700) {
        now = receiver.next_deadline().expect("something is always due").max(now + ms(1));
        receiver.handle_timeout(now);
        let (frames, asked, keys) = drain(&mut receiver);
        assert!(frames.is_empty());
        nacks += asked.len();
        requests += keys;
    }
    assert!((4..=6).contains(&nacks), "{nacks}");
    assert!((2..=4).contains(&requests), "{requests}");
    for packet in sender.frame(true, 3000).into_iter().chain(sender.frame(false, 500)) {
        receiver.insert(now, packet);
    }
    assert_eq!(drain(&mut receiver).0, [3, 4]);
}

#[test]
fn over_a_long_path_each_round_asks_three_times() {
    let (mut sender, mut receiver, mut now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
    receiver.set_round_trip(ms(100));
    for packet in sender.frame(true, 1000) {
        receiver.insert(now, packet);
    }
    sender.frame(false, 1000);
    for packet in sender.frame(false, 1000) {
        receiver.insert(now, packet);
    }
    let (start, mut asked) = (now, vec![]);
    while asked.len() < 6 {
        now = receiver.next_deadline().unwrap();
        receiver.handle_timeout(now);
        asked.extend(drain(&mut receiver).1.iter().map(|_| (now - start).as_millis()));
    }
    assert_eq!(asked, [5, 15, 39, 110, 120, 144]);
}

#[test]
fn what_is_sent_again_early_does_not_delay_the_next_nack() {
    for (repeated, first_nack_after) in [(true, ms(5)), (false, ms(72))] {
        let (mut sender, mut receiver, now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
        for packet in sender.frame(true, 1000) {
            receiver.insert(now, packet);
        }
        let early = VideoPacket { repeated, ..sender.frame(false, 500).remove(0) };
        receiver.insert(now, sender.frame(false, 500).remove(0));
        let later = now + ms(60);
        receiver.insert(later, early);
        drain(&mut receiver);
        sender.frame(false, 500);
        receiver.insert(later, sender.frame(false, 500).remove(0));
        assert_eq!(receiver.next_deadline(), Some(later + first_nack_after), "repeated: {repeated}");
    }
}

#[test]
fn a_key_frame_behind_the_hole_is_taken_at_once() {
    let (mut sender, mut receiver, now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
    for packet in sender.frame(true, 1000) {
        receiver.insert(now, packet);
    }
    sender.frame(false, 1000);
    for packet in sender.frame(true, 5000) {
        receiver.insert(now, packet);
    }
    assert_eq!(drain(&mut receiver), (vec![0, 2], vec![], 0));
    assert_eq!(receiver.stats().lost, 1);
    assert_eq!(receiver.next_deadline(), None);
}

#[test]
fn joining_in_mid_stream_asks_for_a_key_frame_at_once() {
    let (mut sender, mut receiver, now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
    sender.frame(true, 1000);
    for packet in sender.frame(false, 1000) {
        receiver.insert(now, packet);
    }
    assert_eq!(drain(&mut receiver), (vec![], vec![], 0), "the key frame's packets may be on their way");
    receiver.handle_timeout(receiver.next_deadline().unwrap());
    assert_eq!(drain(&mut receiver), (vec![], vec![], 1));
}

#[test]
fn padding_between_frames_is_stepped_over() {
    let (mut sender, mut receiver, now) = (Sender::new(9), VideoReceiver::default(), Instant::now());
    for packet in sender.frame(true, 1000) {
        receiver.insert(now, packet);
    }
    receiver
        .insert(now, VideoPacket { sequence: 10, timestamp: 0, marker: false, payload: Bytes::new(), repeated: false });
    sender.sequence = 11;
    for packet in sender.frame(false, 1000) {
        receiver.insert(now, packet);
    }
    assert_eq!(drain(&mut receiver), (vec![0, 1], vec![], 0));
}

#[test]
fn padding_that_got_lost_holds_nothing_up() {
    // (numbers of the padding between two frames, those of it that come, frames that come behind it)
    for (padding, comes, frames) in
        [(1, vec![], vec![0, 1]), (3, vec![], vec![0, 1]), (3, vec![1], vec![0, 1]), (3, vec![0, 2], vec![0, 1])]
    {
        let (mut sender, mut receiver, now) = (Sender::new(65_534), VideoReceiver::default(), Instant::now());
        let first = sender.frame(true, 1000);
        let end = sender.sequence;
        for packet in first {
            receiver.insert(now, packet);
        }
        for number in comes {
            let sequence = end.wrapping_add(number);
            receiver.insert(
                now,
                VideoPacket { sequence, timestamp: 0, marker: false, payload: Bytes::new(), repeated: false },
            );
        }
        sender.sequence = end.wrapping_add(padding);
        for packet in sender.frame(false, 3000) {
            receiver.insert(now, packet);
        }
        assert_eq!(drain(&mut receiver), (frames, vec![], 0));
        assert_eq!((receiver.stats().lost, receiver.next_deadline()), (0, None));
    }
}

#[test]
fn a_hole_that_may_have_been_video_is_waited_for() {
    let lost = |sender: &mut Sender, which: &str| match which {
        "a frame" => drop(sender.frame(false, 1000)),
        // Padding that was lost, and the first packet of the frame behind it.
        _ => sender.sequence += 2,
    };
    for which in ["a frame", "a start"] {
        let (mut sender, mut receiver, now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
        for packet in sender.frame(true, 1000) {
            receiver.insert(now, packet);
        }
        lost(&mut sender, which);
        for packet in sender.frame(false, 3000).into_iter().skip(1) {
            receiver.insert(now, packet);
        }
        assert_eq!(drain(&mut receiver).0, [0], "{which}");
        assert!(receiver.next_deadline().is_some(), "{which}");
    }
}

#[test]
fn an_outage_is_not_asked_for_packet_by_packet() {
    let (mut sender, mut receiver, now) = (Sender::new(0), VideoReceiver::default(), Instant::now());
    for packet in sender.frame(true, 1000) {
        receiver.insert(now, packet);
    }
    drain(&mut receiver);
    sender.sequence = 20_000;
    for packet in sender.frame(false, 1000) {
        receiver.insert(now, packet);
    }
    receiver.handle_timeout(now + ms(5));
    assert_eq!(drain(&mut receiver), (vec![], vec![], 1));
}

#[test]
fn any_packets_whatever_leave_the_receiver_bounded_and_alive() {
    // A seeded walk over numbers, sizes and descriptors that no honest sender would make.
    let (mut receiver, mut now, mut seed) = (VideoReceiver::default(), Instant::now(), 0x1234_5678_9abc_def1u64);
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..200_000 {
        now += Duration::from_micros(random() % 3000);
        let payload: Vec<u8> = (0..random() % 9).map(|_| random() as u8).collect();
        let sequence = if random() % 64 == 0 { random() as u16 } else { (random() % 600) as u16 };
        let timestamp = (random() % 4) as u32;
        receiver.insert(
            now,
            VideoPacket {
                sequence,
                timestamp,
                marker: random() % 2 == 0,
                payload: payload.into(),
                repeated: random() % 2 == 0,
            },
        );
        while receiver.poll_output().is_some() {}
        assert!(receiver.buffer.len() <= MAX_BUFFERED + 1 && receiver.missing.len() <= MAX_BUFFERED + 1);
    }
}

/// Frames 33 ms apart whose packets take 0 to 60 ms longer than the fastest, and of which `lost` are lost
/// until they are asked for again; a retransmission takes 60 ms. How many were asked for in the first 3 s,
/// and after that; and the frames given out.
fn jittery(lost: impl Fn(u16) -> bool, seconds: u64) -> (usize, usize, usize) {
    let mut chance = fastrand::Rng::with_seed(3);
    let (mut sender, mut receiver, start) = (Sender::new(0), VideoReceiver::default(), Instant::now());
    receiver.set_round_trip(ms(60));
    let mut on_the_way = BTreeMap::new();
    let (mut first, mut later, mut frames) = (0, 0, 0);
    let mut number = 0u32;
    let mut sent: Vec<VideoPacket> = vec![];
    for step in 0..seconds * 1000 {
        if step % 33 == 0 {
            for packet in sender.frame(step == 0, 4000) {
                let due = step * 1000 + chance.u64(0..60_000);
                sent.push(packet.clone());
                if !lost(packet.sequence) {
                    on_the_way.insert((due, number), packet);
                }
                number += 1;
            }
        }
        while on_the_way.first_key_value().is_some_and(|((due, _), _)| *due <= step * 1000) {
            let (_, packet) = on_the_way.pop_first().unwrap();
            receiver.insert(start + ms(step), packet);
        }
        receiver.handle_timeout(start + ms(step));
        let (given, nacks, _) = drain(&mut receiver);
        frames += given.len();
        for sequence in &nacks {
            let packet = sent.iter().find(|packet| packet.sequence == *sequence).unwrap().clone();
            on_the_way.insert(((step + 60) * 1000, number), packet);
            number += 1;
        }
        if step < 3000 { first += nacks.len() } else { later += nacks.len() }
    }
    (first, later, frames)
}

#[test]
fn packets_that_overtake_each_other_are_not_asked_for_again() {
    let (first, later, frames) = jittery(|_| false, 20);
    assert!(frames >= 600, "{frames}");
    assert!(first < 60 && later < 20, "{first} asked for at first, {later} later");
}

#[test]
fn a_packet_that_is_lost_among_those_that_overtake_each_other_is_asked_for() {
    let (_, later, frames) = jittery(|sequence| sequence % 50 == 49, 20);
    assert!(frames >= 595, "{frames}");
    assert!(later >= 40, "{later}");
}
