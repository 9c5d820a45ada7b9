//! Two links over real sockets on loopback.

#[path = "link/descriptions.rs"]
mod descriptions;

use std::time::{Duration, Instant};

use ahoy_call::{
    link::{Ceiling, Impairment, LinkConfig, LinkReport, OutgoingAudio, PeerLink, Reports, Sinks},
    message::MediaState,
    state::{LinkCommand, LinkEvent, Role},
};
use ahoy_media::{
    audio::opus::OpusSettings,
    units::{Bitrate, VideoFormat},
    video::{I420Frame, vp8},
};
use bytes::Bytes;
use tokio::sync::mpsc;

/// An Opus packet of silence.
const SOUND: [u8; 3] = [0xf8, 0xff, 0xfe];
/// Everything here is over in a second or two; a busy machine gets ten times that.
const LIMIT: Duration = Duration::from_secs(20);

struct End {
    link: PeerLink,
    reports: Reports,
    pictures: mpsc::UnboundedReceiver<ahoy_call::rtp::receive::ReceivedFrame>,
    sounds: mpsc::UnboundedReceiver<Vec<u8>>,
}

fn end(role: Role, impairment: Option<Impairment>) -> End {
    let config = LinkConfig {
        ice_servers: vec![],
        relay_only: false,
        loopback_only: true,
        impairment,
        ceiling: Ceiling { video: Bitrate::from_kbps(1500), total: None },
        voice: OpusSettings::default().encoding(),
        probe_turn: Default::default(),
    };
    let (picture, pictures) = mpsc::unbounded_channel();
    let (sound, sounds) = mpsc::unbounded_channel();
    let sinks = Sinks {
        audio: Box::new(move |packet| drop(sound.send(packet.payload.to_vec()))),
        video: Box::new(move |frame| drop(picture.send(frame))),
        playout: Box::new(|| None),
        hold_sound: Box::new(|_| {}),
    };
    let (link, reports) = PeerLink::spawn(config, sinks);
    link.command(LinkCommand::Open { role });
    link.command(LinkCommand::SetSending(MediaState::BOTH));
    End { link, reports, pictures, sounds }
}

/// Carries events between two links until both are connected. Candidates may be reported before the
/// description that they belong to; they are held back until that has been carried.
async fn connect(a: &mut End, b: &mut End) {
    let (mut connected, mut described, mut early) = (0, [false; 2], [Vec::new(), Vec::new()]);
    a.link.command(LinkCommand::CreateOffer { ice_restart: false });
    while connected < 2 {
        let (report, from, to) = tokio::select! {
            report = a.reports.recv() => (report, 0, &b.link),
            report = b.reports.recv() => (report, 1, &a.link),
        };
        let LinkReport::Event(event) = report.expect("the link runs") else { continue };
        match event {
            LinkEvent::LocalOffer(sdp) => to.command(LinkCommand::AcceptOffer { sdp }),
            LinkEvent::LocalAnswer(sdp) => to.command(LinkCommand::AcceptAnswer { sdp }),
            LinkEvent::LocalCandidate(candidate) => {
                early[from].push(candidate);
                if !described[from] {
                    continue;
                }
            }
            LinkEvent::LocalCandidatesDone => continue,
            LinkEvent::Connected => {
                connected += 1;
                continue;
            }
            other => panic!("{other:?}"),
        }
        described[from] = true;
        early[from].drain(..).for_each(|candidate| to.command(LinkCommand::AddCandidate(candidate)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_links_connect_and_carry_sound_and_picture_both_ways() {
    let started = Instant::now();
    let (mut a, mut b) = (end(Role::Caller, None), end(Role::Callee, None));
    tokio::time::timeout(LIMIT, connect(&mut a, &mut b)).await.expect("connected in time");
    println!("connected in {:?}", started.elapsed());
    carry(&a, &mut b).await;
    carry(&b, &mut a).await;
    a.link.command(LinkCommand::Close);
    b.link.command(LinkCommand::Close);
}

async fn carry(from: &End, to: &mut End) {
    let format = VideoFormat { width: 320, height: 180, fps: 30 };
    let mut encoder = vp8::Encoder::new(format, Bitrate::from_kbps(500)).unwrap();
    let frame = I420Frame::black(320, 180, Instant::now());
    let encoded = encoder.encode(&frame, true).unwrap().expect("a key frame is never dropped");
    let packet = || OutgoingAudio { payload: Bytes::from_static(&SOUND), samples: 960, captured_at: Instant::now() };
    let received = async {
        loop {
            assert!(from.link.send_video(&encoded));
            from.link.send_audio(packet());
            // Media sent before the other side's keys are there is lost, as on any network.
            if let Ok(frame) = tokio::time::timeout(Duration::from_millis(20), to.pictures.recv()).await {
                break frame.unwrap();
            }
        }
    };
    let received = tokio::time::timeout(LIMIT, received).await.expect("a picture came");
    assert!(received.key);
    assert_eq!(received.data, encoded.data);
    assert_eq!(tokio::time::timeout(LIMIT, to.sounds.recv()).await.expect("sound came").unwrap(), SOUND);
}
