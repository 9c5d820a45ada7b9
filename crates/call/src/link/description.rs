//! What a session description of the other side says about each medium, as far as the stack does not look at it.

use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;

/// The codec of ours for each kind of medium, as it stands in `a=rtpmap` (RFC 8866 section 6.6).
const CODECS: [(&str, &str); 2] = [("audio", " opus/"), ("video", " vp8/")];

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
    let maps = section.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split_once(' '));
    maps.filter(|(_, of)| of.to_ascii_lowercase().starts_with(codec)).find_map(|(number, _)| number.parse().ok())
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
