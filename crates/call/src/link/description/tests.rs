//! What becomes of descriptions as they are found in the wild, without a stack.

use std::time::{Duration, Instant};

use super::*;
use crate::message::{IceCandidate, MediaState};

/// A digest of the right length.
fn digest() -> String {
    vec!["AB"; 32].join(":")
}

/// The session's part of a description, and a section.
fn head(more: &str) -> String {
    format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{more}")
}

fn section(m: &str, mid: &str, more: &str) -> String {
    let codec = if m.starts_with("audio") { "111 opus/48000/2" } else { "96 VP8/90000" };
    let digest = digest();
    format!(
        "m={m}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=ice-ufrag:user\r\na=ice-pwd:a-password-of-22-letters\r\n\
         a=fingerprint:sha-256 {digest}\r\na=setup:actpass\r\na=rtcp-mux\r\na=rtpmap:{codec}\r\n{more}"
    )
}

const AUDIO: &str = "audio 9 UDP/TLS/RTP/SAVPF 111";
const VIDEO: &str = "video 9 UDP/TLS/RTP/SAVPF 96";

fn audio(more: &str) -> String {
    section(AUDIO, "a", more)
}

fn video(more: &str) -> String {
    section(VIDEO, "v", more)
}

fn both() -> String {
    format!("{}{}{}", head("a=group:BUNDLE a v\r\n"), audio(""), video(""))
}

fn session() -> Session {
    Session::new(Addresses::Network)
}

fn shown(sdp: &str) -> Result<Remote, String> {
    session().remote_offer(sdp)
}

/// Takes an offer and answers it; what the stack was shown stands for what it answers.
fn answered(session: &Session, offer: &str) -> (Remote, String) {
    let remote = session.remote_offer(offer).unwrap();
    let answer = session.our_answer(&remote.sdp.replace("a=setup:actpass", "a=setup:active")).unwrap();
    (remote, answer)
}

fn lines<'a>(sdp: &'a str, starts: &[&str]) -> Vec<&'a str> {
    sdp.lines().filter(|line| starts.iter().any(|start| line.starts_with(start))).collect()
}

fn takes(audio: bool, video: bool) -> MediaState {
    MediaState { audio, video }
}

#[test]
fn the_stack_is_shown_both_media_of_every_offer_from_the_field() {
    for (name, sdp, sections, setup) in [
        ("bundle-only", include_str!("../../../tests/cases/sdp/bundle-only.sdp"), 2, "active"),
        ("no-direction", include_str!("../../../tests/cases/sdp/no-direction.sdp"), 2, "active"),
        ("no-ssrc", include_str!("../../../tests/cases/sdp/no-ssrc.sdp"), 2, "active"),
        ("simulcast", include_str!("../../../tests/cases/sdp/simulcast.sdp"), 2, "active"),
        ("fqdn-cand", include_str!("../../../tests/cases/sdp/fqdn-cand.sdp"), 2, "active"),
        ("fp-alg-upper", include_str!("../../../tests/cases/sdp/fp-alg-upper.sdp"), 2, "active"),
        ("setup-active", include_str!("../../../tests/cases/sdp/setup-active.sdp"), 2, "passive"),
        ("two-videos", include_str!("../../../tests/cases/sdp/two-videos.sdp"), 3, "active"),
    ] {
        let (remote, answer) = answered(&session(), sdp);
        assert_eq!(remote.takes, MediaState::BOTH, "{name}");
        assert_eq!(
            lines(&remote.sdp, &["m="]),
            ["m=audio 9 UDP/TLS/RTP/SAVPF 111 63", "m=video 9 UDP/TLS/RTP/SAVPF 96"],
            "{name}"
        );
        assert_eq!(lines(&remote.sdp, &["a=candidate", "a=rid", "a=simulcast"]), [""; 0], "{name}");
        assert_eq!(lines(&answer, &["m="]).len(), sections, "{name}: {answer}");
        assert_eq!(lines(&answer, &["m=video 0"]).len(), sections - 2, "{name}: {answer}");
        let transport = ["a=setup:", "a=ice-ufrag:", "a=ice-pwd:"].map(|name| lines(&answer, &[name]).len());
        assert_eq!(transport, [sections; 3], "{name}: a refused section has it too: {answer}");
        assert!(lines(&answer, &["a=setup:"]).iter().all(|line| *line == format!("a=setup:{setup}")), "{name}");
        assert_eq!(lines(&answer, &["a=group"]), ["a=group:BUNDLE 0 1"], "{name}");
        assert_eq!(remote.not_carried.len(), sections - 2, "{name}: {:?}", remote.not_carried);
        // What the stack is shown is in the form that it is brought into.
        assert_eq!(read_offer(&remote.sdp), Ok(remote.sdp), "{name}");
    }
}

#[test]
fn an_answer_from_the_field_is_taken_as_an_offer_is() {
    for (name, sdp) in [
        ("bundle-only", include_str!("../../../tests/cases/sdp/bundle-only.sdp")),
        ("no-direction", include_str!("../../../tests/cases/sdp/no-direction.sdp")),
        ("no-ssrc", include_str!("../../../tests/cases/sdp/no-ssrc.sdp")),
        ("simulcast", include_str!("../../../tests/cases/sdp/simulcast.sdp")),
        ("fqdn-cand", include_str!("../../../tests/cases/sdp/fqdn-cand.sdp")),
        ("fp-alg-upper", include_str!("../../../tests/cases/sdp/fp-alg-upper.sdp")),
        ("two-videos", include_str!("../../../tests/cases/sdp/two-videos.sdp")),
    ] {
        let session = session();
        session.our_offer(&shown(&both()).unwrap().sdp).unwrap();
        let remote = session.remote_answer(sdp).unwrap();
        assert_eq!((remote.takes, lines(&remote.sdp, &["m="]).len()), (MediaState::BOTH, 2), "{name}");
        assert_eq!(lines(&remote.sdp, &["a=setup"]), ["a=setup:active"; 2], "{name}: one that does not choose begins");
    }
}

#[test]
fn names_are_compared_in_any_case() {
    let plain = shown(&both()).unwrap();
    for (from, to) in [
        ("sha-256", "SHA-256"),
        ("sha-256", "Sha-256"),
        ("opus/", "OPUS/"),
        ("VP8/", "vp8/"),
        ("a=setup:actpass", "a=setup:ActPass"),
        ("a=mid:", "a=MID:"),
        ("a=group:BUNDLE", "a=group:bundle"),
        ("a=fingerprint", "a=Fingerprint"),
        ("UDP/TLS/RTP/SAVPF", "udp/tls/rtp/savpf"),
        ("m=audio", "m=Audio"),
        ("AB:", "ab:"),
    ] {
        assert_eq!(shown(&both().replace(from, to)).as_ref(), Ok(&plain), "{to}");
    }
    let held = both().replace("a=rtcp-mux", "a=RecvOnly");
    assert_eq!(lines(&answered(&session(), &held).1, &["a=sendonly"]).len(), 2);
}

#[test]
fn what_a_section_lacks_is_taken_from_the_session() {
    let names = ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"];
    let both = both();
    let mut moved: Vec<&str> =
        both.split_inclusive("\r\n").filter(|line| !names.iter().any(|name| line.starts_with(name))).collect();
    let once = audio("");
    let shared = once.split_inclusive("\r\n").filter(|line| names.iter().any(|name| line.starts_with(name)));
    let shared: String = shared.collect();
    moved.insert(4, &shared);
    let moved = moved.concat();
    assert_eq!(shown(&moved), shown(&both));
    for (direction, expected) in [("sendonly", takes(false, false)), ("recvonly", MediaState::BOTH)] {
        let sdp = moved.replace("a=group", &format!("a={direction}\r\na=group"));
        assert_eq!(shown(&sdp).unwrap().takes, expected, "{direction}");
    }
    // The section's own goes before that of the session.
    let sdp = moved.replace("a=group", "a=inactive\r\na=group").replace("a=mid:v", "a=mid:v\r\na=recvonly");
    assert_eq!(shown(&sdp).unwrap().takes, takes(false, true));
}

#[test]
fn a_port_of_zero_is_a_refusal_but_for_sections_of_a_bundle() {
    for (port_and_more, group, carried) in [
        (("9", ""), "a v", true),
        (("0", ""), "a v", false),
        (("0", "a=bundle-only\r\n"), "a v", true),
        (("0", "a=bundle-only\r\n"), "a", false),
        (("9", "a=bundle-only\r\n"), "a v", true),
    ] {
        let (port, more) = port_and_more;
        let video = section(&VIDEO.replace('9', port).replace("06", "96"), "v", more);
        let video = video.replacen(
            &format!("m=video {port} UDP/TLS/RTP/SAVPF {port}6"),
            &format!("m=video {port} UDP/TLS/RTP/SAVPF 96"),
            1,
        );
        let sdp = format!("{}{}{video}", head(&format!("a=group:BUNDLE {group}\r\n")), audio(""));
        assert_eq!(shown(&sdp).unwrap().takes, takes(true, carried), "{port} {more} {group}");
        let session = session();
        session.our_offer(&shown(&both()).unwrap().sdp).unwrap();
        let remote = session.remote_answer(
            &sdp.replace(":a", ":0")
                .replace(":v", ":1")
                .replace("BUNDLE a v", "BUNDLE 0 1")
                .replace("BUNDLE a", "BUNDLE 0"),
        );
        let remote = remote.unwrap();
        assert_eq!(remote.takes, takes(true, carried), "{port} {more} {group}");
        assert_eq!(remote.not_carried.is_empty(), carried, "{:?}", remote.not_carried);
    }
}

#[test]
fn an_answer_goes_the_other_way_than_its_offer() {
    for (offered, answer) in
        [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")]
    {
        let session = session();
        let offer = both().replace("a=rtcp-mux", &format!("a={offered}"));
        // And back, again and again.
        for _ in 0..3 {
            let (remote, text) = answered(&session, &offer);
            assert_eq!(lines(&text, &[&format!("a={answer}")]).len(), 2, "{offered}: {text}");
            assert_eq!(lines(&remote.sdp, &["a=sendrecv"]).len(), 2, "the stack is shown no direction");
            assert_eq!(remote.not_carried, [""; 0], "a hold is no problem");
            assert_eq!(lines(&answered(&session, &both()).1, &["a=sendrecv"]).len(), 2);
        }
    }
    let one = both().replacen("a=rtcp-mux", "a=sendonly", 1);
    assert_eq!(
        shown(&one).unwrap().not_carried,
        ["your audio does not arrive: the other side's program receives no audio in this call"]
    );
}

#[test]
fn the_end_of_the_handshake_fits_the_offer_and_never_changes() {
    for (offered, answer) in [("active", "passive"), ("passive", "active"), ("actpass", "active"), ("", "active")] {
        let session = session();
        let offer = both().replace("a=setup:actpass", &format!("a=setup:{offered}"));
        assert_eq!(
            lines(&answered(&session, &offer).1, &["a=setup:"]),
            [&*format!("a=setup:{answer}"); 2],
            "{offered}"
        );
        for again in ["actpass", "active", "passive"] {
            let offer = both().replace("actpass", again);
            assert_eq!(lines(&answered(&session, &offer).1, &["a=setup:"]), [&*format!("a=setup:{answer}"); 2]);
        }
    }
    // Who offered is what the answer leaves, and stays it when the other side offers.
    for (answered_as, ours) in [("active", "passive"), ("passive", "active"), ("actpass", "passive"), ("", "passive")] {
        let session = session();
        session.our_offer(&shown(&both()).unwrap().sdp).unwrap();
        session.remote_answer(&both().replace("a=setup:actpass", &format!("a=setup:{answered_as}"))).unwrap();
        let answer = answered(&session, &both()).1;
        assert_eq!(lines(&answer, &["a=setup:"]), [&*format!("a=setup:{ours}"); 2], "{answered_as}");
    }
    let why = shown(&both().replace("actpass", "holdconn")).unwrap_err();
    assert!(why.contains("holdconn"), "{why}");
}

#[test]
fn a_later_offer_of_ours_says_which_end_of_the_handshake_we_are() {
    for (offered, ours) in [("actpass", "active"), ("active", "passive"), ("passive", "active")] {
        let session = session();
        let offer = both().replace("a=setup:actpass", &format!("a=setup:{offered}"));
        answered(&session, &offer);
        let again = session.our_offer(&both_of_the_stack()).unwrap();
        assert_eq!(lines(&again, &["a=setup:"]), [&*format!("a=setup:{ours}"); 2], "{offered}");
        // The stack is shown the agreed role, whatever the answer says.
        for answered_as in ["active", "passive", "actpass"] {
            let answer = both().replace("a=setup:actpass", &format!("a=setup:{answered_as}"));
            let remote = session.remote_answer(&answer).unwrap();
            let theirs = if ours == "active" { "passive" } else { "active" };
            assert_eq!(lines(&remote.sdp, &["a=setup:"]), [&*format!("a=setup:{theirs}"); 2], "{answered_as}");
            session.our_offer(&both_of_the_stack()).unwrap();
        }
    }
    // The first one leaves the choice.
    let first = session().our_offer(&both_of_the_stack()).unwrap();
    assert_eq!(lines(&first, &["a=setup:"]), ["a=setup:actpass"; 2]);
}

#[test]
fn a_medium_is_absent_while_no_side_has_described_or_refused_it() {
    let session = session();
    assert_eq!(session.absent(), MediaState::NONE, "nothing is agreed yet");
    let sound = format!("{}{}", head("a=group:BUNDLE a\r\n"), audio(""));
    answered(&session, &sound);
    assert_eq!(session.absent(), takes(false, true));
    session.our_offer(&both_of_the_stack()).unwrap();
    assert_eq!(session.absent(), MediaState::NONE, "it is being offered");
    session.rolled_back();
    assert_eq!(session.absent(), takes(false, true));
    session.our_offer(&both_of_the_stack()).unwrap();
    let refused = video("").replace("m=video 9", "m=video 0").replace("a=mid:v", "a=mid:0");
    session.remote_answer(&format!("{sound}{refused}")).unwrap();
    assert_eq!(session.absent(), MediaState::NONE, "it was refused");
    // What we refuse is not absent either.
    let session = self::session();
    answered(&session, &format!("{}{}{}", head(""), audio(""), video("")));
    assert_eq!(session.absent(), MediaState::NONE);
}

#[test]
fn the_fingerprint_that_can_be_checked_is_found_among_others() {
    let digest = digest();
    let given = format!("a=fingerprint:sha-256 {digest}\r\n");
    for (lines, wanted) in [
        (format!("a=fingerprint:sha-1 AB:CD\r\n{given}"), Ok(())),
        (format!("{given}a=fingerprint:sha-512 AB:CD\r\n{given}"), Ok(())),
        (format!("a=fingerprint:sha-256 nonsense\r\n{given}"), Ok(())),
        ("a=fingerprint:sha-1 AB:CD\r\n".to_owned(), Err("sha-1")),
        ("a=fingerprint:SHA-384 AB\r\na=fingerprint:sha-512 AB\r\n".to_owned(), Err("sha-384, sha-512")),
        (format!("a=fingerprint:sha-256 {}\r\n", &digest[3..]), Err("damaged")),
        (format!("a=fingerprint:sha-256 {digest} more\r\n"), Err("damaged")),
        (format!("a=fingerprint:sha-256 {}\r\n", digest.replace('B', "G")), Err("damaged")),
        (String::new(), Err("no fingerprint")),
    ] {
        match (shown(&both().replace(&given, &lines)), wanted) {
            (Ok(remote), Ok(())) => assert!(remote.sdp.contains(given.trim_end()), "{lines}: {}", remote.sdp),
            (Err(why), Err(part)) => assert!(why.contains(part) && !why.contains("network"), "{lines}: {why}"),
            (shown, wanted) => panic!("{lines}: {shown:?} instead of {wanted:?}"),
        }
    }
}

#[test]
fn an_unusable_candidate_line_is_left_out() {
    let good = "1 1 udp 2113937151 192.0.2.1 5000 typ host";
    for (line, usable) in [
        (good, Some(good)),
        ("1 1 UDP 2113937151 192.0.2.1 5000 TYP HOST generation 0 ufrag x", Some(good)),
        (
            "1 1 udp 1 2001:db8::1 5000 typ srflx raddr 10.0.0.1 rport 7",
            Some("1 1 udp 1 2001:db8::1 5000 typ srflx raddr 10.0.0.1 rport 7"),
        ),
        ("1 1 udp 1 192.0.2.1 5000 typ relay raddr 0.0.0.0 rport 99999", Some("1 1 udp 1 192.0.2.1 5000 typ relay")),
        ("1 1 udp 1 192.0.2.1 5000 typ relay raddr", Some("1 1 udp 1 192.0.2.1 5000 typ relay")),
        ("1 1 udp 1 turn.invalid.example 5000 typ host", None),
        ("1 1 udp 1 c0ffee00-0000.local 5000 typ host", None),
        ("1 1 udp 1 192.0.2.1 0 typ host", None),
        ("1 1 udp 1 192.0.2.1 65536 typ host", None),
        ("1 1 udp 1 192.0.2.1 -1 typ host", None),
        ("1 1 tcp 1 192.0.2.1 9 typ host tcptype active", None),
        ("1 1 ssltcp 1 192.0.2.1 443 typ relay", None),
        ("1 1 udp 1 192.0.2.1 5000 typ guess", None),
        ("1 1 udp 1 127.0.0.1 5000 typ host", None),
        ("1 1 udp 1 ::1 5000 typ host", None),
        ("1 1 udp 1 0.0.0.0 5000 typ host", None),
        ("1 1 udp 1 :: 5000 typ host", None),
        ("1 1 udp 1 224.0.0.251 5353 typ host", None),
        ("1 2 udp 1 192.0.2.1 5000 typ host", None),
        ("1 1 udp 4294967296 192.0.2.1 5000 typ host", None),
        ("1 1 udp 1 192.0.2.1", None),
        ("", None),
    ] {
        assert_eq!(transport::usable(line, Addresses::Network).as_deref(), usable, "{line}");
        let sdp = format!("{}{}{}", head(""), audio(&format!("a=candidate:{line}\r\n")), "");
        let shown = shown(&sdp).unwrap().sdp;
        assert_eq!(lines(&shown, &["a=candidate"]).len(), usize::from(usable.is_some()), "{line}: {shown}");
        let trickled = session().candidate(&format!("candidate:{line}"));
        match usable {
            Some(usable) => assert_eq!(trickled, Some(format!("candidate:{usable}"))),
            // What is no candidate at all the stack complains about.
            None => assert_eq!(trickled.is_none(), line.to_lowercase().contains(" typ "), "{line}"),
        }
    }
    let own = "1 1 udp 1 127.0.0.1 5000 typ host";
    assert_eq!(transport::usable(own, Addresses::Loopback).as_deref(), Some(own));
}

#[test]
fn candidates_of_sections_that_are_not_carried_are_ignored() {
    let session = session();
    let sdp = format!("{}{}", both().replace("BUNDLE a v", "BUNDLE a v w"), section(VIDEO, "w", ""));
    answered(&session, &sdp);
    let of = |mid: Option<&str>, index: Option<u16>| IceCandidate {
        sdp_mid: mid.map(str::to_owned),
        sdp_m_line_index: index,
        ..IceCandidate::default()
    };
    for (candidate, known) in [
        (of(Some("a"), Some(0)), true),
        (of(Some("v"), None), true),
        (of(Some("w"), Some(2)), false),
        (of(Some("x"), Some(0)), false),
        (of(None, Some(1)), true),
        (of(Some(""), Some(1)), true),
        (of(None, Some(2)), false),
        (of(None, Some(3)), false),
        (of(None, Some(u16::MAX)), false),
        (of(None, None), true),
    ] {
        assert_eq!(session.has_section_of(&candidate), known, "{candidate:?}");
    }
    // The stack's first section is not always the first of all.
    let data = section("application 9 UDP/DTLS/SCTP webrtc-datachannel", "d", "");
    let sdp = format!("{}{data}{}", head("a=group:BUNDLE d a\r\n"), audio(""));
    let session = self::session();
    assert_eq!(session.place_of_transport(), 0);
    answered(&session, &sdp);
    assert_eq!(session.place_of_transport(), 1);
}

#[test]
fn without_a_bundle_the_first_medium_is_carried_and_the_others_are_refused_aloud() {
    for (sections, expected, not) in
        [([audio(""), video("")], takes(true, false), "video"), ([video(""), audio("")], takes(false, true), "audio")]
    {
        for group in ["", "a=group:BUNDLE a\r\n", "a=group:LS a v\r\n"] {
            let sdp = format!("{}{}", head(group), sections.concat());
            let session = session();
            let (remote, answer) = answered(&session, &sdp);
            let expected = if group.contains("BUNDLE") && not == "audio" { takes(false, true) } else { expected };
            assert_eq!(remote.takes, expected, "{group}");
            assert_eq!(lines(&answer, &["m="]).iter().filter(|line| line.contains(" 0 ")).count(), 1, "{answer}");
            assert!(answer.contains(&format!("m={not} 0 ")), "{answer}");
            assert!(remote.not_carried[0].contains(&format!("no {not} in this call")), "{:?}", remote.not_carried);
            assert_eq!(answered(&session, &sdp).0.not_carried, [""; 0], "once is enough");
            // It stays refused when we offer.
            let again = session.our_offer(&both_of_the_stack()).unwrap();
            assert_eq!(lines(&again, &["m="]).len(), 2, "{again}");
            assert!(again.contains(&format!("m={not} 0 ")), "{again}");
        }
    }
}

/// An offer as the stack makes it.
fn both_of_the_stack() -> String {
    shown(&both()).unwrap().sdp
}

#[test]
fn one_section_of_a_kind_is_carried_and_stays_it() {
    let second = section(VIDEO, "w", "a=ssrc:7 cname:x\r\n");
    let first = video("a=ssrc:5 cname:x\r\n");
    let sdp = |sections: &[&str]| format!("{}{}{}", head("a=group:BUNDLE a v w d\r\n"), audio(""), sections.concat());
    let data = section("application 9 UDP/DTLS/SCTP webrtc-datachannel", "d", "");
    let unknown = section("hologram 9 X/Y 1", "h", "");
    let ended = first.replace("m=video 9", "m=video 0");
    let session = session();
    for (name, sections, ssrc, refused) in [
        ("the first", vec![&*first], "5", vec![]),
        ("a second", vec![&first, &second], "5", vec!["w"]),
        ("re-ordered", vec![&second, &first], "5", vec!["w"]),
        ("and others", vec![&data, &unknown, &second, &first, &data], "5", vec!["d", "h", "w", "d"]),
        ("ended, and another", vec![&ended, &second], "7", vec!["v"]),
        ("and back", vec![&first, &second], "7", vec!["v"]),
        ("recycled", vec![&second, &ended], "7", vec!["v"]),
    ] {
        let offer = sdp(&sections);
        let (remote, answer) = answered(&session, &offer);
        assert_eq!(lines(&remote.sdp, &["a=ssrc"]), [format!("a=ssrc:{ssrc} msid:peer video")], "{name}");
        assert_eq!(lines(&remote.sdp, &["m=video"]).len(), 1, "{name}");
        let mids = |sdp: &str| lines(sdp, &["a=mid"]).iter().map(|line| line.to_string()).collect::<Vec<_>>();
        assert_eq!(mids(&answer), mids(&offer), "{name}: the order is kept");
        let parts = answer.split("m=").skip(1).filter(|part| part.split(' ').nth(1) == Some("0"));
        let named: Vec<_> =
            parts.filter_map(|part| part.lines().find_map(|line| line.strip_prefix("a=mid:"))).collect();
        assert_eq!(named, refused, "{name}: {answer}");
    }
    // A second audio section, the same.
    let sdp = format!("{}{}{}", head("a=group:BUNDLE a b\r\n"), audio(""), section(AUDIO, "b", ""));
    let (remote, answer) = answered(&self::session(), &sdp);
    assert_eq!(lines(&answer, &["m="]), [&format!("m={AUDIO}"), "m=audio 0 UDP/TLS/RTP/SAVPF 111"]);
    assert_eq!(remote.not_carried, ["the other side offers a second audio stream, and only one is taken"]);
}

#[test]
fn our_offers_keep_the_sections_of_the_session_and_add_what_is_missing() {
    let session = session();
    let data = section("application 9 UDP/DTLS/SCTP webrtc-datachannel", "1", "");
    let sdp = format!("{}{data}{}", head("a=group:BUNDLE a 1\r\n"), audio(""));
    answered(&session, &sdp);
    for _ in 0..3 {
        let offer = session.our_offer(&both_of_the_stack()).unwrap();
        assert_eq!(
            lines(&offer, &["m=", "a=mid", "a=group"]),
            [
                "a=group:BUNDLE a 0",
                "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
                "a=mid:1",
                "m=audio 9 UDP/TLS/RTP/SAVPF 111",
                "a=mid:a",
                "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
                "a=mid:0"
            ]
        );
        // Given up, it leaves nothing behind.
        session.rolled_back();
    }
    session.our_offer(&both_of_the_stack()).unwrap();
    // Refused by the other side, it is told, and offered in the same place again.
    let refused = video("").replace("m=video 9", "m=video 0").replace("a=mid:v", "a=mid:0");
    let answer = format!("{}{}{}{refused}", head("a=group:BUNDLE a\r\n"), data.replace(" 9 ", " 0 "), audio(""));
    let remote = session.remote_answer(&answer).unwrap();
    assert_eq!(remote.takes, takes(true, false));
    assert_eq!(remote.not_carried, ["there is no video in this call: the other side's program refuses it"]);
    let offer = session.our_offer(&both_of_the_stack()).unwrap();
    assert_eq!(lines(&offer, &["m=video", "a=mid:0"]), ["m=video 9 UDP/TLS/RTP/SAVPF 96 97", "a=mid:0"]);
}

#[test]
fn formats_of_ours_are_found_among_others_and_shown_in_one_form() {
    let other = "a=rtpmap:0 PCMU/8000\r\na=rtpmap:13 CN/8000\r\na=fmtp:111 stereo=1;useinbandfec=0\r\na=rtcp-fb:* NACK\r\n\
                 a=rtcp-fb:111 transport-cc\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:99999 x\r\n\
                 a=extmap:0 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:5 urn:other\r\n";
    for (formats, more, shown_as) in [
        ("111 0 13 300 x", "", "111"),
        ("111 63", "a=rtpmap:63 RED/48000/2\r\na=fmtp:63 111/111\r\n", "111 63"),
        ("63 111", "a=rtpmap:63 red/48000/2\r\n", "63 111"),
        ("63 111", "a=rtpmap:63 red/8000\r\n", "111"),
        // Not on the `m=` line; of RTCP's numbers; twice.
        ("111", "a=rtpmap:63 red/48000/2\r\n", "111"),
        ("111 72", "a=rtpmap:72 red/48000/2\r\n", "111"),
        ("111 110", "a=rtpmap:110 opus/48000/2\r\n", "111"),
        ("110 111", "a=rtpmap:110 opus/48000\r\n", "110"),
    ] {
        let audio = section(&format!("audio 9 UDP/TLS/RTP/SAVPF {formats}"), "a", &format!("{other}{more}"));
        let shown = shown(&format!("{}{audio}", head(""))).unwrap().sdp;
        assert_eq!(lines(&shown, &["m="]), [format!("m=audio 9 UDP/TLS/RTP/SAVPF {shown_as}")], "{formats} {more}");
        let main = shown_as.split(' ').find(|number| *number != "63").unwrap();
        assert!(shown.contains(&format!("a=fmtp:{main} {OPUS_PARAMETERS}\r\n")), "{shown}");
        assert!(shown.contains(&format!("a=rtcp-fb:{main} nack\r\n")), "{shown}");
        assert_eq!(lines(&shown, &["a=extmap"]), ["a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid"]);
        assert_eq!(payload_type(&shown, RtpCodecKind::Audio, "opus"), main.parse().ok());
        let red = shown_as.contains("63").then_some(63);
        assert_eq!(payload_type(&shown, RtpCodecKind::Audio, "red"), red);
        assert_eq!(payload_type(&shown, RtpCodecKind::Video, "VP8"), None);
    }
    // A static format without a map, and maps that cannot be read, cost nothing.
    let sdp = both()
        .replace("SAVPF 111", "SAVPF 8 111")
        .replace("a=mid:a", "a=mid:a\r\na=rtpmap:\r\na=rtpmap:9999 opus/48000/2");
    assert_eq!(lines(&shown(&sdp).unwrap().sdp, &["m=audio"]), ["m=audio 9 UDP/TLS/RTP/SAVPF 111"]);
}

#[test]
fn retransmissions_of_video_are_taken_as_the_offer_names_them_and_not_shown_to_the_stack() {
    let rtx = |number: u8, fmtp: &str| format!("a=rtpmap:{number} RTX/90000\r\na=fmtp:{number} {fmtp}\r\n");
    for (formats, more, taken) in [
        ("96 98", rtx(98, "apt=96"), Some(98)),
        ("96 99 98", rtx(99, "apt=100") + &rtx(98, "rtx-time=200; APT = 96"), Some(98)),
        ("98 96", rtx(98, "apt=96"), Some(98)),
        ("96", rtx(98, "apt=96"), None),
        ("96 98", rtx(98, "apt=97"), None),
        ("96 98", rtx(98, "apt"), None),
        ("96 98", "a=rtpmap:98 rtx/90000\r\n".to_owned(), None),
        ("96 98", "a=rtpmap:98 rtx/48000\r\na=fmtp:98 apt=96\r\n".to_owned(), None),
        ("96 98", rtx(96, "apt=96"), None),
        ("96", String::new(), None),
    ] {
        let sdp = format!("{}{}", head(""), section(&format!("video 9 UDP/TLS/RTP/SAVPF {formats}"), "v", &more));
        let session = session();
        let (remote, answer) = answered(&session, &sdp);
        assert_eq!(lines(&remote.sdp, &["m="]), ["m=video 9 UDP/TLS/RTP/SAVPF 96"], "{formats} {more}");
        assert_eq!(session.retransmission(), taken.map(|rtx| Retransmission { rtx, main: 96 }), "{formats} {more}");
        let expected = if taken.is_some() {
            vec!["m=video 9 UDP/TLS/RTP/SAVPF 96 98", "a=rtpmap:98 rtx/90000", "a=fmtp:98 apt=96"]
        } else {
            vec!["m=video 9 UDP/TLS/RTP/SAVPF 96"]
        };
        assert_eq!(lines(&answer, &["m=", "a=rtpmap:98", "a=fmtp:9"]), expected, "{formats} {more}");
    }
}

#[test]
fn our_offers_name_retransmissions_under_a_number_that_is_free_and_stays() {
    let session = session();
    let stack = both_of_the_stack();
    let taken = stack.replace("SAVPF 96", "SAVPF 97").replace("rtpmap:96", "rtpmap:97");
    for (stack, rtx, main) in [(&taken, 98, 97), (&stack, 98, 96)] {
        let offer = session.our_offer(stack).unwrap();
        assert_eq!(lines(&offer, &["a=fmtp:98"]), [format!("a=fmtp:{rtx} apt={main}")]);
        assert_eq!(session.retransmission(), Some(Retransmission { rtx, main }));
        session.rolled_back();
    }
    // A call of sound alone.
    let sound = format!("{}{}", head(""), audio(""));
    session.our_offer(&shown(&sound).unwrap().sdp).unwrap();
    assert_eq!(session.retransmission(), None);
}

#[test]
fn one_stream_of_a_section_is_declared() {
    for (given, declared) in [
        ("a=ssrc:1 cname:x\r\na=ssrc:1 msid:a b\r\n", Some("1")),
        ("a=ssrc-group:FID 1 2\r\na=ssrc:2 cname:x\r\na=ssrc:1 cname:x\r\n", Some("1")),
        ("a=ssrc-group:SIM 1 2 3\r\na=ssrc:3 cname:x\r\na=ssrc:1 cname:x\r\n", Some("1")),
        ("a=msid:a b\r\n", None),
        ("a=msid:a b\r\na=rid:l send\r\na=simulcast:send l\r\n", None),
        ("a=ssrc:99999999999 cname:x\r\na=ssrc:\r\na=ssrc\r\na=ssrc:-1\r\n", None),
    ] {
        let shown = shown(&format!("{}{}", head(""), video(given))).unwrap().sdp;
        let wanted: Vec<_> = declared.map(|ssrc| format!("a=ssrc:{ssrc} msid:peer video")).into_iter().collect();
        assert_eq!(lines(&shown, &["a=ssrc", "a=msid", "a=rid", "a=simulcast"]), wanted, "{given}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_in_words_that_blame_no_network() {
    let h264 = both().replace("VP8/", "H264/").replace("opus/", "PCMU/");
    let zero = both().replace("m=audio 9", "m=audio 0").replace("m=video 9", "m=video 0");
    let without = |name: &str| {
        let kept = both();
        kept.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect::<String>()
    };
    for (sdp, part) in [
        (String::new(), "not a session description"),
        ("\0".to_owned(), "not a session description"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 111".to_owned(), "not a session description"),
        ("v=0\r\n".to_owned(), "neither an audio nor a video section"),
        (head(&section("application 9 UDP/DTLS/SCTP x", "d", "")), "neither an audio nor a video section"),
        (h264, "neither Opus nor VP8"),
        (both().replace("RTP/SAVPF", "MSRP"), "neither Opus nor VP8"),
        (zero, "refuses audio and video alike"),
        (without("a=fingerprint"), "no fingerprint"),
        (without("a=ice-ufrag"), "no ICE"),
        (without("a=ice-pwd"), "no ICE"),
    ] {
        let why = shown(&sdp).unwrap_err();
        assert!(why.contains(part) && !why.contains("network"), "{why}");
    }
    // One medium less is no reason to refuse the other.
    let remote = shown(&both().replace("VP8/", "H264/")).unwrap();
    assert_eq!(remote.takes, takes(true, false));
    assert_eq!(
        remote.not_carried,
        ["there is no video in this call: the other side's program does not know the codec VP8"]
    );
}

#[test]
fn hostile_descriptions_are_read_in_bounded_time() {
    /// A tenth of a second would be noticed in a call; tests are not optimised and machines are busy.
    const LIMIT: Duration = Duration::from_secs(1);
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let candidates = many(10_000, &|n| format!("a=candidate:1 1 udp 1 192.0.2.1 {n} typ host\r\n"));
    let cut = |mut text: String| {
        text.truncate(crate::message::MAX_SDP_BYTES);
        text
    };
    for (name, sdp) in [
        ("garbage", (0..=u8::MAX).cycle().take(64 * 1024).map(char::from).collect::<String>()),
        ("letters", "a".repeat(48 * 1024)),
        ("long line", cut(format!("{}a=x:{}", both(), "y".repeat(64 * 1024)))),
        ("sections", format!("{}{}", head(""), many(10_000, &|_| "m=audio 9 X 1\r\n".to_owned()))),
        ("sections that fit", cut(format!("{}{}", head(""), many(3_000, &|_| "m=a 9 X 1\r\n".to_owned())))),
        ("candidates", format!("{}{candidates}", both())),
        ("candidates that fit", cut(format!("{}{candidates}", both()))),
        ("numbers", both().replace(" 9 ", " 99999999999999999999 ").replace("111", "99999999999999999999")),
        ("negative", both().replace(" 9 ", " -1 ")),
        ("mids", format!("{}{}", head("a=group:BUNDLE a a a\r\n"), audio("").repeat(60))),
        ("groups", cut(format!("{}{}", head(&many(5_000, &|_| "a=group:BUNDLE a\r\n".to_owned())), audio("")))),
        ("maps", cut(format!("{}{}", both(), many(5_000, &|n| format!("a=rtpmap:{n} VP8/90000\r\n"))))),
        ("formats", cut(format!("{}{}", head(""), section(&format!("audio 9 RTP {}", "1 ".repeat(9_000)), "a", "")))),
        ("shared", cut(format!("{}{}", head(&many(900, &|_| "a=extmap:1 x\r\n".to_owned())), audio("").repeat(60)))),
        ("streams", cut(format!("{}{}", both(), many(4_000, &|n| format!("a=ssrc:{n} x\r\n"))))),
        ("nul", both().replace("a=mid:a", "a=mid:a\0")),
        ("empty words", both().replace("a=mid:a", "a=mid:\u{7f}\u{200b}").replace("m=video", "m=\u{1}")),
        ("colons", both().replace("a=setup", "a=:\r\na=\r\n=\r\na=setup")),
        ("carriage returns", both().replace('\n', "\r")),
    ] {
        let started = Instant::now();
        for _ in 0..2 {
            let session = session();
            if let Ok(remote) = session.remote_offer(&sdp) {
                let sections = lines(&remote.sdp, &["m="]).len();
                assert!(sections <= 2 && lines(&remote.sdp, &["a=candidate"]).len() <= 64, "{name}");
                assert_eq!(read_offer(&remote.sdp), Ok(remote.sdp.clone()), "{name}");
                session.our_answer(&remote.sdp).unwrap();
            }
            session.our_offer(&both_of_the_stack()).unwrap();
            let _ = session.remote_answer(&sdp);
        }
        let took = started.elapsed();
        assert!(took < 4 * LIMIT, "{name}: {took:?}");
    }
}
