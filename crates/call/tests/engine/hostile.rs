//! Messages that no honest peer sends: each is told once, none ends a call that runs.

use ahoy_call::{
    engine::{EngineCommand, EngineConfig},
    event::{CallEvent, Problem, ProblemCode, Side},
    id::{CallId, PeerId},
    message::{Envelope, HangupReason, IceCandidate, Payload},
};

use ahoy_media::video::capture::CameraSpec;

use super::{
    devices::Scratch,
    exchange::{Exchange, Stranger},
    phone::{Call, Phone, both, no_camera, pictures_out, sound_out},
};

fn problem(code: ProblemCode) -> impl Fn(&CallEvent) -> Option<Problem> {
    move |event| match event {
        CallEvent::Problem(problem) if problem.code == code => Some(problem.clone()),
        _ => None,
    }
}

fn candidate(line: &str) -> Payload {
    let candidate = IceCandidate { candidate: line.into(), sdp_mid: Some("0".into()), ..IceCandidate::end() };
    Payload::IceCandidate { candidate: Some(candidate) }
}

fn address(number: usize) -> String {
    format!("candidate:{number} 1 udp 2122260223 127.1.{}.{} 9 typ host", number / 200, number % 200 + 1)
}

/// Both sides still get sound and pictures.
async fn goes_on(one: &mut Phone, other: &mut Phone) {
    for phone in [one, other] {
        phone.until_grown("sound of the other", 20, |stats| stats.link.audio_in_packets).await;
        phone.until_grown("pictures of the other", 10, |stats| stats.link.video_in.receive.frames).await;
        assert_eq!(phone.count(|event| matches!(event, CallEvent::Ended { .. })), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_messages_into_a_call_are_told_and_get_no_answer() {
    let Call { exchange, id, mut caller, mut callee } = Call::connect(both(), both()).await;
    let mut mallory = Stranger::on(&exchange, "mallory");
    let offer = || Payload::CallOffer { sdp: "v=0\r\n".into() };
    let anna = caller.name.clone();

    for payload in [offer(), candidate(&address(1)), Payload::CallHangup { reason: None }] {
        mallory.say(&anna, &id, payload).await;
    }
    let told = caller.until("a problem", problem(ProblemCode::WrongPeer)).await;
    assert!(told.what.contains("mallory") && !told.todo.is_empty(), "{told:?}");
    let elsewhere = CallId::random();
    mallory.say(&anna, &elsewhere, offer()).await;
    mallory.say(&anna, &elsewhere, candidate(&address(2))).await;
    caller.until("a problem", problem(ProblemCode::UnknownCall)).await;
    exchange.deliver(&mallory.name, &anna, Envelope::parse(b"not even JSON"));
    exchange.deliver(&mallory.name, &anna, Envelope::parse(br#"{"v":7}"#));

    goes_on(&mut caller, &mut callee).await;
    assert_eq!(caller.count(|event| matches!(event, CallEvent::Problem(_))), 2, "{:#?}", caller.seen);
    assert!(mallory.heard_nothing().await, "a stranger was answered");
    assert_eq!(caller.engine.stats().await.len(), 1, "a stranger has a link");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_peer_itself_says_wrong_in_a_running_call_is_told_once_each() {
    let Call { exchange, id, mut caller, mut callee } = Call::connect(both(), both()).await;
    let (anna, ben) = (caller.name.clone(), callee.name.clone());
    let mut seq = 1000;
    let mut say = |payload: Payload| {
        seq += 1;
        exchange.deliver(&ben, &anna, Ok(Envelope::new(id.clone(), seq, payload)));
    };
    let garbage = || "v=0\r\nm=???\r\nno session at all".to_owned();
    exchange.deliver(&ben, &anna, Envelope::parse(b"{\"v\":1,"));
    say(candidate("candidate:this is none"));
    say(Payload::CallAnswer { sdp: garbage() });
    say(Payload::CallOffer { sdp: garbage() });
    for code in [
        ProblemCode::BadMessage,
        ProblemCode::BadCandidate,
        ProblemCode::UnexpectedMessage,
        ProblemCode::BadDescription,
    ] {
        if caller.count(|event| problem(code)(event).is_some()) == 0 {
            caller.until(&format!("{code:?}"), problem(code)).await;
        }
    }
    goes_on(&mut caller, &mut callee).await;
    for seen in &caller.seen {
        if let CallEvent::Problem(problem) = &seen.event {
            println!("{:?}: {} -> {}", problem.code, problem.what, problem.todo);
            assert!(!problem.what.is_empty() && !problem.todo.is_empty());
        }
    }
    assert_eq!(caller.count(|event| matches!(event, CallEvent::Problem(_))), 4, "{:#?}", caller.seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_candidates_are_told_and_the_call_goes_on() {
    let Call { exchange, id, mut caller, mut callee } = Call::connect(both(), both()).await;
    for number in 0..2000 {
        let envelope = Envelope::new(id.clone(), 1000 + number as u64, candidate(&address(number)));
        exchange.deliver(&callee.name, &caller.name, Ok(envelope));
    }
    caller.until("a problem", problem(ProblemCode::TooManyCandidates)).await;
    goes_on(&mut caller, &mut callee).await;
    let told = caller.count(|event| matches!(event, CallEvent::Problem(_)));
    assert_eq!(told, 1, "a flood of candidates is a flood of events");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_renegotiates_all_the_time_with_senseless_candidates_keeps_its_call() {
    let Call { exchange, id, mut caller, mut callee } = Call::connect(both(), both()).await;
    let (mallory, victim) = (caller.name.clone(), callee.name.clone());
    let mut carol = Stranger::on(&exchange, "carol");
    let start = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
    let mut seq = 1000;
    let mut say = |payload: Payload| {
        seq += 1;
        exchange.deliver(&mallory, &victim, Ok(Envelope::new(id.clone(), seq, payload)));
    };
    for number in 0..300 {
        tick.tick().await;
        say(Payload::CallOffer { sdp: format!("v=0\r\ns={number}\r\n") });
        say(Payload::CallAnswer { sdp: format!("v=0\r\ns={number}\r\n") });
        // Of a section that does not exist.
        let lost = IceCandidate {
            candidate: address(number),
            sdp_mid: Some("no such section".into()),
            sdp_m_line_index: Some(999),
            username_fragment: None,
        };
        say(Payload::IceCandidate { candidate: Some(lost) });
    }
    println!("900 messages of no sense in {:?}", start.elapsed());
    callee.until("a problem", problem(ProblemCode::TooManyOffers)).await;
    goes_on(&mut caller, &mut callee).await;
    let told = callee.count(|event| matches!(event, CallEvent::Problem(_)));
    println!("{told} problems were told");
    assert!(told <= 5, "{:#?}", callee.seen);
    // Another call is as good as ever after it.
    callee.does(EngineCommand::HangUp);
    callee.until_ended().await;
    caller.until_ended().await;
    let start = tokio::time::Instant::now();
    carol.say(&victim, &CallId::random(), Payload::CallRequest { media: None }).await;
    callee.until_incoming().await;
    assert!(start.elapsed() < std::time::Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_with_two_hundred_candidates_connects() {
    let exchange = Exchange::forging(|payload| {
        if let Payload::CallOffer { sdp } = payload {
            (0..200).for_each(|number| sdp.push_str(&format!("a={}\r\n", address(number))));
        }
    });
    let Call { mut caller, mut callee, .. } = Call::connect_by(exchange, both(), both()).await;
    goes_on(&mut caller, &mut callee).await;
}

/// Takes one medium out of an offer, and puts it into the answer as refused: a peer that has no such medium.
fn without(kind: &'static str) -> Exchange {
    Exchange::forging(move |payload| match payload {
        Payload::CallOffer { sdp } => {
            let (start, end) = section(sdp, kind).expect("an offer of everything");
            let mid = mid(&sdp[start..end]);
            sdp.replace_range(start..end, "");
            let group = sdp.lines().find(|line| line.starts_with("a=group:BUNDLE")).unwrap().to_owned();
            *sdp = sdp.replace(&group, &group.replace(&format!(" {mid}"), ""));
        }
        Payload::CallAnswer { sdp } => {
            // As Chromium refuses: port and format 0, no codec.
            let mid = usize::from(kind == "video");
            let refused =
                format!("m={kind} 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=inactive\r\n");
            let at = if mid == 0 { sdp.find("m=").unwrap() } else { sdp.len() };
            sdp.insert_str(at, &refused);
        }
        _ => {}
    })
}

/// Where the section of a medium starts and ends.
fn section(sdp: &str, kind: &str) -> Option<(usize, usize)> {
    let start = sdp.find(&format!("m={kind} "))?;
    let next = sdp[start + 1..].find("\r\nm=").map(|end| start + 1 + end + 2);
    Some((start, next.unwrap_or(sdp.len())))
}

fn mid(section: &str) -> String {
    section.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_without_video_is_a_call_with_sound() {
    let Call { caller, callee, .. } = Call::connect_by(without("video"), both(), both()).await;
    for phone in [&caller, &callee] {
        phone.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
        phone.until_stats("the end of a camera that nobody watches", |stats| stats.video.is_none()).await;
        assert_eq!(pictures_out(&phone.stats().await), 0, "{} sends pictures that nobody takes", phone.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_without_audio_is_a_call_with_pictures() {
    let Call { caller, callee, .. } = Call::connect_by(without("audio"), both(), both()).await;
    for phone in [&caller, &callee] {
        phone.until_grown("pictures", 10, |stats| stats.link.video_in.receive.frames).await;
        assert_eq!(sound_out(&phone.stats().await), 0, "{} sends sound that nobody takes", phone.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_video_codec_in_common_there_is_sound() {
    let exchange = Exchange::forging(|payload| {
        if let Payload::CallOffer { sdp } = payload {
            *sdp = sdp.replace("VP8/90000", "H264/90000");
        }
    });
    let Call { caller, callee, .. } = Call::connect_by(exchange, both(), both()).await;
    for phone in [&caller, &callee] {
        phone.until_grown("sound", 20, |stats| stats.link.audio_in_packets).await;
        assert_eq!(pictures_out(&phone.stats().await), 0, "{} sends pictures that nobody takes", phone.name);
    }
}

/// As a browser that may not show pictures, or has hidden them, answers; its own are seen all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_nobody_watches_is_closed() {
    let exchange = Exchange::forging(|payload| {
        if let Payload::CallAnswer { sdp } = payload {
            let (start, end) = section(sdp, "video").unwrap();
            let deaf = sdp[start..end].replace("a=sendrecv", "a=sendonly");
            sdp.replace_range(start..end, &deaf);
        }
    });
    let file = Scratch::y4m("unwatched", 320, 180, 3);
    let config = EngineConfig { camera: Some(CameraSpec::File(file.path())), ..both() };
    let Call { mut caller, callee, .. } = Call::connect_by(exchange, config, both()).await;
    caller.until_stats("the end of a camera that nobody watches", |stats| stats.video.is_none()).await;
    let closed = async {
        while file.is_open() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::phone::LIMIT, closed).await.expect("the camera's file is closed");
    caller.until_grown("pictures of the other", 10, |stats| stats.link.video_in.receive.frames).await;
    // The person is told once that nobody sees it.
    let told = |event: &CallEvent| matches!(event, CallEvent::Problem(problem) if problem.what.contains("video"));
    assert_eq!(caller.count(told), 1, "{:#?}", caller.seen);
    drop(callee);
}

async fn call_by(exchange: Exchange) -> (Phone, Phone) {
    let mut anna = Phone::on(&exchange, "anna", no_camera());
    let mut ben = Phone::on(&exchange, "ben", no_camera());
    anna.calls(&ben);
    ben.until_incoming().await;
    ben.does(EngineCommand::Accept);
    anna.until_ended().await;
    ben.until_ended().await;
    (anna, ben)
}

fn end(phone: &Phone) -> (HangupReason, Side, String) {
    match &phone.seen.last().unwrap().event {
        CallEvent::Ended { reason, by, text } => (reason.clone(), *by, text.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_description_that_is_of_no_use_ends_the_call_at_both_sides_and_says_why() {
    type Forgery = fn(&mut Payload);
    let offer: Forgery = |payload| {
        if let Payload::CallOffer { sdp } = payload {
            *sdp = "garbage".into();
        }
    };
    let answer: Forgery = |payload| {
        if let Payload::CallAnswer { sdp } = payload {
            *sdp = "v=0\r\ngarbage".into();
        }
    };
    let foreign: Forgery = |payload| {
        if let Payload::CallOffer { sdp } = payload {
            *sdp = sdp.replace("VP8/90000", "H264/90000").replace("opus/48000", "G722/48000");
        }
    };
    for (forgery, callee_refuses) in [(offer, true), (foreign, true), (answer, false)] {
        let (anna, ben) = call_by(Exchange::forging(forgery)).await;
        let (refusing, other) = if callee_refuses { (&ben, &anna) } else { (&anna, &ben) };
        let (reason, by, text) = end(refusing);
        println!("{text}");
        assert_eq!((reason, by), (HangupReason::Failed, Side::Local));
        assert!(text.contains("cannot be used"), "{text}");
        let (reason, by, _) = end(other);
        assert_eq!((reason, by), (HangupReason::Failed, Side::Remote));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_calls_can_say_anything_before_it_is_accepted() {
    let exchange = Exchange::default();
    let mut anna = Phone::on(&exchange, "anna", no_camera());
    let mut mallory = Stranger::on(&exchange, "mallory");
    let (to, id): (PeerId, _) = (anna.name.clone(), CallId::random());
    mallory.say(&to, &id, Payload::CallRequest { media: None }).await;
    anna.until_incoming().await;
    mallory.say(&to, &id, Payload::CallAck).await;
    mallory.say(&to, &id, Payload::CallAnswer { sdp: "v=0".into() }).await;
    mallory.say(&to, &id, candidate("")).await;
    mallory.say(&to, &id, candidate(&address(3))).await;
    mallory.hears("the ringing", |payload| matches!(payload, Payload::Ringing).then_some(())).await;
    anna.until("a problem", problem(ProblemCode::UnexpectedMessage)).await;
    mallory.say(&to, &id, Payload::CallHangup { reason: Some(HangupReason::Other("x".repeat(60_000))) }).await;
    let CallEvent::Ended { text, .. } = anna.until_ended().await else { unreachable!() };
    assert!(text.len() < 200, "a stranger's words fill the screen: {} bytes", text.len());
    assert!(mallory.heard_nothing().await, "an address was told before the call was accepted");
}
