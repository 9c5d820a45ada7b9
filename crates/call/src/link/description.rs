//! What a session description of the other side says about each medium, as far as the stack does not look at it.

use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;

/// The codec of ours for each kind of medium, as it stands in `a=rtpmap` (RFC 8866 section 6.6).
const CODECS: [(&str, &str); 2] = [("audio", " opus/"), ("video", " vp8/")];

/// How we want Opus (RFC 7587 section 6.1).
pub(super) const OPUS_PARAMETERS: &str = "minptime=10;useinbandfec=1;usedtx=1";

/// Whether who wrote this receives a medium: it has a section that is neither refused, nor sends only (RFC 3264
/// sections 5.1 and 6).
pub(super) fn receives(sdp: &str, kind: RtpCodecKind) -> bool {
    let Some(name) = name_of(kind) else { return false };
    let mut sections = sections(sdp);
    let session = sections.next().and_then(direction);
    sections.any(|section| {
        let deaf = matches!(direction(section).or(session), Some("sendonly" | "inactive"));
        media(section) == Some(name) && !is_refused(section) && !deaf
    })
}

fn name_of(kind: RtpCodecKind) -> Option<&'static str> {
    match kind {
        RtpCodecKind::Audio => Some("audio"),
        RtpCodecKind::Video => Some("video"),
        _ => None,
    }
}

/// The offer with each medium refused that has no codec of ours: the stack would refuse the whole offer. None where
/// nothing is left.
pub(super) fn with_common_codecs(sdp: &str) -> Option<String> {
    let mut any = false;
    let offer = sections(sdp)
        .map(|section| match CODECS.iter().find(|(kind, _)| media(section) == Some(kind)) {
            Some((kind, codec)) if !is_refused(section) && !has_codec(section, codec) => refused(section, kind),
            Some(_) => {
                any |= !is_refused(section);
                section.to_owned()
            }
            None => section.to_owned(),
        })
        .collect();
    any.then_some(offer)
}

/// The number that `codec`, as `red/`, has in the section of `kind`; none where it is not there.
pub(super) fn payload_type(sdp: &str, kind: RtpCodecKind, codec: &str) -> Option<u8> {
    let name = name_of(kind)?;
    let section = sections(sdp).find(|section| media(section) == Some(name))?;
    payload_types(section, codec).next()
}

/// The description without redundant audio where that could cost the sound itself.
///
/// The stack keeps the formats that fit exactly and only without any those that fit more or less. Redundancy always fits,
/// for all that it says of itself is numbers: beside an Opus that wants other parameters than ours it would be alone.
pub(super) fn with_safe_redundancy(sdp: &str) -> String {
    let strip = |section: &str| match (media(section), payload_types(section, "red/").next()) {
        (Some("audio"), Some(_)) if !is_plain(section) => without_redundancy(section),
        _ => section.to_owned(),
    };
    sections(sdp).map(strip).collect()
}

/// Opus as ours, and redundancy of the same clock.
fn is_plain(section: &str) -> bool {
    let opus = payload_types(section, "opus/").next();
    let parameters = section.lines().filter_map(|line| line.strip_prefix("a=fmtp:")?.trim_end().split_once(' '));
    let mut ours = parameters.filter(|(number, _)| number.parse().ok() == opus).flat_map(|(_, all)| all.split(';'));
    let agrees = |given: &str| {
        let same_name = |own: &&str| own.split('=').next() == given.split('=').next();
        OPUS_PARAMETERS.split(';').find(same_name).is_none_or(|own| own == given)
    };
    opus.is_some()
        && ours.all(|given| agrees(given.trim()))
        && payload_types(section, "red/").eq(payload_types(section, "red/48000/2"))
}

/// The section without the lines and the numbers of redundancy.
fn without_redundancy(section: &str) -> String {
    let numbers: Vec<String> = payload_types(section, "red/").map(|number| number.to_string()).collect();
    let of_redundancy = |line: &str| {
        let number = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().find_map(|name| line.strip_prefix(name));
        number.and_then(|rest| rest.split(' ').next()).is_some_and(|number| numbers.iter().any(|own| own == number))
    };
    let keep = |line: &str| match line.strip_prefix("m=") {
        // m=<media> <port> <proto> <fmt> ... (RFC 8866 section 5.14)
        Some(media) => {
            let words = media.trim_end().split(' ').enumerate();
            let kept = words.filter(|(at, word)| *at < 3 || !numbers.iter().any(|number| number == word));
            format!("m={}\r\n", kept.map(|(_, word)| word).collect::<Vec<_>>().join(" "))
        }
        None => line.to_owned(),
    };
    section.split_inclusive('\n').filter(|line| !of_redundancy(line)).map(keep).collect()
}

/// The numbers under which a section maps `codec`, as `red/`.
fn payload_types<'a>(section: &'a str, codec: &'a str) -> impl Iterator<Item = u8> + 'a {
    let maps = section.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split_once(' '));
    let named = maps.filter(move |(_, of)| of.to_ascii_lowercase().starts_with(codec));
    named.filter_map(|(number, _)| number.parse().ok())
}

/// The session's own part, then each medium's.
fn sections(sdp: &str) -> impl Iterator<Item = &str> {
    let starts = sdp.match_indices("\nm=").map(|(at, _)| at + 1);
    let ends = starts.clone().chain([sdp.len()]);
    [0].into_iter().chain(starts).zip(ends).filter_map(|(start, end)| sdp.get(start..end))
}

fn media(section: &str) -> Option<&str> {
    section.strip_prefix("m=")?.split(' ').next()
}

fn is_refused(section: &str) -> bool {
    section.split(' ').nth(1) == Some("0")
}

fn direction(part: &str) -> Option<&str> {
    let attributes = part.lines().filter_map(|line| line.strip_prefix("a="));
    attributes.map(str::trim_end).find(|name| matches!(*name, "sendrecv" | "sendonly" | "recvonly" | "inactive"))
}

fn has_codec(section: &str, codec: &str) -> bool {
    let mut maps = section.lines().filter(|line| line.starts_with("a=rtpmap:"));
    maps.any(|line| line.to_ascii_lowercase().contains(codec))
}

/// A refused section keeps its place and its name only.
fn refused(section: &str, kind: &str) -> String {
    let mid = section.lines().find(|line| line.starts_with("a=mid:")).unwrap_or_default().trim_end();
    format!("m={kind} 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\n{mid}\r\na=inactive\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdp(media: &[(&str, &str, &str)]) -> String {
        let section = |(mid, (m, codec, direction)): (usize, &(&str, &str, &str))| {
            format!("m={m} UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na=rtpmap:96 {codec}\r\na={direction}\r\n")
        };
        let sections: String = media.iter().enumerate().map(section).collect();
        format!("v=0\r\ns=-\r\n{sections}")
    }

    #[test]
    fn a_refused_or_deaf_section_receives_nothing() {
        for (m, direction, wanted) in [
            ("video 9", "sendrecv", true),
            ("video 9", "recvonly", true),
            ("video 9", "sendonly", false),
            ("video 9", "inactive", false),
            ("video 0", "recvonly", false),
            ("audio 9", "sendrecv", false),
        ] {
            assert_eq!(receives(&sdp(&[(m, "VP8/90000", direction)]), RtpCodecKind::Video), wanted, "{m} {direction}");
        }
        assert!(!receives("", RtpCodecKind::Audio));
        let held = "v=0\r\na=inactive\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";
        assert!(!receives(held, RtpCodecKind::Audio), "the session's direction is that of its sections");
    }

    #[test]
    fn a_codec_is_found_by_its_name() {
        let sound = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 RED/48000/2\r\n";
        let sdp = format!("v=0\r\n{sound}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 red/90000\r\n");
        assert_eq!(payload_type(&sdp, RtpCodecKind::Audio, "red/"), Some(63));
        assert_eq!(payload_type(&sdp, RtpCodecKind::Video, "red/"), Some(96));
        assert_eq!(payload_type(&sdp, RtpCodecKind::Audio, "pcmu/"), None);
        assert_eq!(payload_type("a=rtpmap:63 red/48000", RtpCodecKind::Audio, "red/"), None);
    }

    #[test]
    fn redundancy_goes_where_the_stack_would_keep_nothing_else() {
        let sdp = |red: &str, parameters: &str| {
            format!(
                "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 63 111 0\r\na=rtpmap:63 {red}\r\na=fmtp:63 111/111\r\n\
                 a=rtpmap:111 opus/48000/2\r\na=fmtp:111 {parameters}\r\na=rtcp-fb:63 transport-cc\r\na=mid:0\r\n\
                 m=video 9 UDP/TLS/RTP/SAVPF 63\r\na=rtpmap:63 red/90000\r\n"
            )
        };
        for (red, parameters, stays) in [
            ("red/48000/2", "minptime=10;useinbandfec=1", true),
            ("red/48000/2", "minptime=10; useinbandfec=1; stereo=1", true),
            ("RED/48000/2", OPUS_PARAMETERS, true),
            ("red/48000/2", "useinbandfec=0", false),
            ("red/48000/2", "minptime=20;useinbandfec=1", false),
            ("red/8000", "useinbandfec=1", false),
        ] {
            let given = sdp(red, parameters);
            let safe = with_safe_redundancy(&given);
            assert_eq!(safe == given, stays, "{red} {parameters}: {safe}");
            assert!(stays || safe.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=rtpmap:111"), "{safe}");
            assert!(stays || !safe.contains("63 111/111") && !safe.contains("rtcp-fb"), "{safe}");
            assert!(safe.ends_with("a=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF 63\r\na=rtpmap:63 red/90000\r\n"));
        }
        let without_opus = "m=audio 9 UDP/TLS/RTP/SAVPF 63\r\na=rtpmap:63 red/48000/2\r\n";
        assert_eq!(with_safe_redundancy(without_opus), "m=audio 9 UDP/TLS/RTP/SAVPF\r\n");
        assert_eq!(with_safe_redundancy(""), "");
    }

    #[test]
    fn sections_without_our_codec_are_refused_and_all_else_stays() {
        let both = sdp(&[("audio 9", "opus/48000/2", "sendrecv"), ("video 9", "vp8/90000", "sendrecv")]);
        assert_eq!(with_common_codecs(&both).as_ref(), Some(&both));
        let sound = sdp(&[("audio 9", "opus/48000/2", "sendrecv"), ("video 9", "H264/90000", "sendrecv")]);
        let common = with_common_codecs(&sound).expect("sound is left");
        assert!(receives(&common, RtpCodecKind::Audio) && !receives(&common, RtpCodecKind::Video), "{common}");
        assert!(common.ends_with("m=video 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=inactive\r\n"));
        for nothing in [sdp(&[("video 9", "H264/90000", "sendrecv")]), "v=0\r\n".into(), String::new()] {
            assert_eq!(with_common_codecs(&nothing), None);
        }
    }
}
