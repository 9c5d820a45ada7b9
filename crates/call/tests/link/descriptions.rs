//! Two links whose descriptions are altered on the way into those of other programs, in either direction.
//! Sound and pictures have to arrive both ways all the same.

use super::*;

/// What is altered on the way: the offer that one link gets, or the answer that the other gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Offer,
    Answer,
}

/// The descriptions that were sent, unaltered, and the events that the links reported.
#[derive(Debug, Default)]
struct Record {
    offer: String,
    answer: String,
    told: Vec<String>,
    absent: Option<MediaState>,
    /// What the offerer and the answerer take, as the respective other link was told last.
    takes: [Option<MediaState>; 2],
}

/// Carries events between two links until each has connected `connections` times and the answer was taken.
async fn exchange(
    a: &mut End,
    b: &mut End,
    side: Side,
    alter: &dyn Fn(&str) -> String,
    mut connections: usize,
) -> Result<Record, String> {
    // Of the side whose description is next to go: before the offer the answerer has none.
    let (mut record, mut early) = (Record::default(), vec![]);
    a.link.command(LinkCommand::CreateOffer { ice_restart: false });
    let carried = async {
        while connections > 0 || record.takes.contains(&None) {
            let (report, to, from_a) = tokio::select! {
                report = a.reports.recv() => (report, &b.link, true),
                report = b.reports.recv() => (report, &a.link, false),
            };
            let event = match report.expect("the link runs") {
                LinkReport::Event(event) => event,
                LinkReport::Takes(media) => {
                    record.takes[usize::from(from_a)] = Some(media);
                    continue;
                }
                _ => continue,
            };
            match event {
                LinkEvent::LocalOffer(sdp) => {
                    to.command(LinkCommand::AcceptOffer {
                        sdp: if side == Side::Offer { alter(&sdp) } else { sdp.clone() },
                    });
                    record.offer = sdp;
                    early.drain(..).for_each(|candidate| to.command(LinkCommand::AddCandidate(candidate)));
                }
                LinkEvent::LocalAnswer(sdp) => {
                    to.command(LinkCommand::AcceptAnswer {
                        sdp: if side == Side::Answer { alter(&sdp) } else { sdp.clone() },
                    });
                    record.answer = sdp;
                    early.drain(..).for_each(|candidate| to.command(LinkCommand::AddCandidate(candidate)));
                }
                LinkEvent::LocalCandidate(candidate) => {
                    let described = if from_a { &record.offer } else { &record.answer };
                    match described.is_empty() {
                        true => early.push(candidate),
                        false => to.command(LinkCommand::AddCandidate(candidate)),
                    }
                }
                LinkEvent::LocalCandidatesDone => {}
                LinkEvent::MediumRefused(what) => record.told.push(what),
                LinkEvent::Absent(media) => record.absent = Some(media),
                LinkEvent::RemoteDescriptionRefused(why) => return Err(why),
                LinkEvent::Connected => connections -= 1,
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    };
    tokio::time::timeout(LIMIT, carried).await.expect("connected in time")?;
    Ok(record)
}

async fn connected(side: Side, alter: &dyn Fn(&str) -> String) -> Result<(End, End, Record), String> {
    let (mut a, mut b) = (end(Role::Caller, None), end(Role::Callee, None));
    let record = exchange(&mut a, &mut b, side, alter, 2).await?;
    Ok((a, b, record))
}

/// Applies a change to each section of a description: the first has no `m=` line.
fn sections(sdp: &str, change: impl Fn(&str) -> String) -> String {
    let mut parts = sdp.split("\r\nm=");
    let mut all = vec![change(parts.next().unwrap())];
    all.extend(parts.map(|part| change(&format!("m={part}"))));
    all.join("\r\n")
}

fn without(sdp: &str, prefixes: &[&str]) -> String {
    let kept = sdp.split("\r\n").filter(|line| !prefixes.iter().any(|prefix| line.starts_with(prefix)));
    kept.collect::<Vec<_>>().join("\r\n")
}

fn with_line(sdp: &str, kind: &str, line: &str) -> String {
    sections(sdp, |section| match section.strip_prefix(&format!("m={kind} ")) {
        Some(_) => format!("{}\r\n{line}\r\n", section.trim_end()),
        None => section.to_owned(),
    })
    .replace("\r\n\r\n", "\r\n")
}

fn bundle_only(sdp: &str) -> String {
    with_line(&sdp.replace("m=video 9 ", "m=video 0 "), "video", "a=bundle-only")
}

fn without_direction(sdp: &str) -> String {
    without(sdp, &["a=sendrecv"])
}

fn without_ssrc(sdp: &str) -> String {
    without(sdp, &["a=ssrc"])
}

fn with_simulcast(sdp: &str) -> String {
    let sdp = sections(sdp, |section| match section.starts_with("m=video") {
        true => without_ssrc(section),
        false => section.to_owned(),
    });
    with_line(&sdp, "video", "a=rid:l send\r\na=rid:m send\r\na=rid:h send\r\na=simulcast:send l;m;h")
}

fn with_host_name(sdp: &str) -> String {
    with_line(sdp, "audio", "a=candidate:1 1 udp 2113937151 turn.invalid.example 54842 typ host generation 0")
}

fn with_upper_case(sdp: &str) -> String {
    sdp.replace("sha-256", "SHA-256")
        .replace("opus/", "OPUS/")
        .replace("VP8/", "vp8/")
        .replace("a=setup:act", "a=setup:ACT")
}

fn active(sdp: &str) -> String {
    sdp.replace("a=setup:actpass", "a=setup:active")
}

fn with_second_video(sdp: &str) -> String {
    let video = sdp.find("m=video").unwrap();
    let second = sdp[video..].replace("a=mid:1", "a=mid:2").replace("a=ssrc:", "a=ssrc:1");
    format!("{}\r\n{second}", sdp.trim_end()).replace("BUNDLE 0 1", "BUNDLE 0 1 2")
}

type Alter = fn(&str) -> String;

const WILD: [(&str, Alter); 8] = [
    ("bundle-only", bundle_only),
    ("no direction", without_direction),
    ("no ssrc", without_ssrc),
    ("simulcast", with_simulcast),
    ("host name", with_host_name),
    ("upper case", with_upper_case),
    ("setup:active", active),
    ("two videos", with_second_video),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_arrives_both_ways_whatever_an_offer_looks_like() {
    for (name, alter) in WILD {
        let (mut a, mut b, record) = connected(Side::Offer, &alter).await.expect(name);
        carry(&a, &mut b).await;
        carry(&b, &mut a).await;
        let Record { offer, answer, .. } = record;
        assert_ne!(alter(&offer), offer, "{name}: nothing was altered");
        assert_eq!(answer.contains("a=setup:passive"), name == "setup:active", "{name}: {answer}");
        assert!(!answer.contains("a=rid") && !answer.contains("simulcast"), "{name}: {answer}");
        assert_eq!(answer.matches("\r\nm=").count(), alter(&offer).matches("\r\nm=").count(), "{name}: {answer}");
        assert_eq!(answer.contains("m=video 0 "), name == "two videos", "{name}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_arrives_both_ways_whatever_an_answer_looks_like() {
    // An answer that claims another end of the handshake than its author takes would be a lie.
    for (name, alter) in WILD.into_iter().filter(|(name, _)| *name != "setup:active") {
        let (mut a, mut b, record) = connected(Side::Answer, &alter).await.expect(name);
        carry(&a, &mut b).await;
        carry(&b, &mut a).await;
        assert_ne!(alter(&record.answer), record.answer, "{name}: nothing was altered");
        assert_eq!(record.told, [""; 0], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_held_and_resumed_by_descriptions() {
    let (mut a, mut b, _) = connected(Side::Offer, &str::to_owned).await.unwrap();
    let ([yes, no], both) = ([true, false], |on| Some(MediaState { audio: on, video: on }));
    for (direction, answered, offerer_takes) in [
        ("a=sendonly", "a=recvonly", no),
        ("a=inactive", "a=inactive", no),
        ("a=recvonly", "a=sendonly", yes),
        ("a=inactive", "a=inactive", no),
        ("a=sendrecv", "a=sendrecv", yes),
    ] {
        let alter = |sdp: &str| sdp.replace("a=sendrecv", direction);
        let record = exchange(&mut a, &mut b, Side::Offer, &alter, 0).await.unwrap();
        assert_eq!(record.answer.matches(answered).count(), 2, "{direction}: {}", record.answer);
        assert_eq!(record.takes[0], both(offerer_takes), "{direction}");
        assert_eq!(record.takes[1], both(matches!(answered, "a=sendrecv" | "a=recvonly")), "{direction}");
    }
    carry(&a, &mut b).await;
    carry(&b, &mut a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_carries_what_an_offer_without_a_bundle_begins_with() {
    let alter = |sdp: &str| {
        let other =
            |section: &str| section.replace("a=ice-ufrag:", "a=ice-ufrag:x").replace("a=ice-pwd:", "a=ice-pwd:x");
        let sdp = without(sdp, &["a=group:"]);
        sections(&sdp, |section| if section.starts_with("m=video") { other(section) } else { section.to_owned() })
    };
    let (a, mut b, record) = connected(Side::Offer, &alter).await.unwrap();
    assert!(record.answer.contains("m=video 0 ") && !record.answer.contains("a=group"), "{}", record.answer);
    assert_eq!(record.takes, [Some(MediaState { audio: true, video: false }); 2]);
    assert_eq!(record.told.len(), 2, "each side is told: {:?}", record.told);
    assert!(record.told.iter().all(|what| what.contains("no video in this call")), "{:?}", record.told);
    a.link.send_audio(OutgoingAudio { payload: Bytes::from_static(&SOUND), samples: 960, captured_at: Instant::now() });
    assert_eq!(tokio::time::timeout(LIMIT, b.sounds.recv()).await.expect("sound came").unwrap(), SOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_began_with_sound_gets_video_by_an_offer_of_the_side_that_was_called() {
    let sound_alone = |sdp: &str| {
        let video = sdp.find("m=video").unwrap();
        sdp[..video].replace("BUNDLE 0 1", "BUNDLE 0")
    };
    let (mut a, mut b, record) = connected(Side::Offer, &sound_alone).await.unwrap();
    assert_eq!(record.takes[1], Some(MediaState { audio: true, video: false }));
    assert_eq!(record.absent, Some(MediaState { audio: false, video: true }));
    // The caller of this test has a video section of its own from the start; it takes the new one for that.
    let record = exchange(&mut b, &mut a, Side::Offer, &str::to_owned, 0).await.unwrap();
    assert_eq!(record.takes, [Some(MediaState::BOTH); 2]);
    assert!(record.offer.contains("a=setup:active") && record.answer.contains("a=setup:passive"), "{record:?}");
    carry(&a, &mut b).await;
    carry(&b, &mut a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sections_that_come_and_go_in_a_call_move_no_stream() {
    let (mut a, mut b, _) = connected(Side::Offer, &str::to_owned).await.unwrap();
    // A second video and a data channel are added, and put before the first video.
    let alter = |sdp: &str| {
        let video = sdp.find("m=video").unwrap();
        let (head, first) = sdp.split_at(video);
        let second = first.replace("a=mid:1", "a=mid:9").replace("a=ssrc:", "a=ssrc:1");
        let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\na=sctp-port:5000\r\n";
        format!("{head}{}\r\n{data}{first}", second.trim_end()).replace("BUNDLE 0 1", "BUNDLE 0 9 d 1")
    };
    let record = exchange(&mut a, &mut b, Side::Offer, &alter, 0).await;
    // The offerer here did not write the altered offer, so the answer's sections go by their names.
    let answer = record.unwrap().answer;
    let lines: Vec<&str> =
        answer.split("\r\n").filter(|line| line.starts_with("m=") || line.starts_with("a=mid")).collect();
    assert!(lines[2].starts_with("m=video 0 ") && lines[3] == "a=mid:9", "{lines:?}");
    assert_eq!(lines[4..6], ["m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:d"], "{lines:?}");
    assert!(lines[6].starts_with("m=video 9 ") && lines[7] == "a=mid:1", "{lines:?}");
    carry(&a, &mut b).await;
    carry(&b, &mut a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_that_cannot_be_used_says_why() {
    for side in [Side::Offer, Side::Answer] {
        for (alter, why) in [
            ((|sdp| without(sdp, &["a=fingerprint"])) as Alter, "no fingerprint"),
            (|sdp| sdp.replace("sha-256", "sha-1"), "sha-1"),
            (|sdp| without(sdp, &["a=ice-"]), "no ICE"),
            (|sdp| sdp.replace("VP8/", "H264/").replace("opus/", "PCMU/"), "neither Opus nor VP8"),
            (|sdp| sdp.replace("m=audio 9", "m=audio 0").replace("m=video 9", "m=video 0"), "refuses audio and video"),
            (|_| "v=0".to_owned(), "neither an audio nor a video"),
            (|_| "hello".to_owned(), "not a session description"),
        ] {
            let refused = connected(side, &alter).await.map(|_| ()).unwrap_err();
            assert!(refused.contains(why) && !refused.contains("network"), "{side:?}: {refused}");
        }
    }
}
