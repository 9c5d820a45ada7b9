//! The description of the other side as the stack is shown it: the carried sections alone, in one form.
//!
//! Directions are not shown. The stack ends a stream for good at `inactive`, and answers `sendonly` with
//! `sendrecv`. So for it both media always flow both ways; what is sent goes by [`super::Remote::takes`], and
//! our answer says the rest.

use rtc::sdp::{
    MediaDescription, SessionDescription,
    description::{
        common::Attribute,
        media::{MediaName, RangedPort},
        session::{TimeDescription, Timing},
    },
};

use super::{
    StackMids, codecs,
    read::Description,
    sections::Choice,
    streams::{self, Streams},
    transport::Transport,
};

/// The profile of browsers (RFC 8829 section 5.1.2).
pub(super) const PROFILE: [&str; 4] = ["UDP", "TLS", "RTP", "SAVPF"];
/// The discard port: the real one is in the candidates (RFC 8839 section 4.2.1.3).
const PORT: isize = 9;

/// Writes the description for the stack. `learned` are the streams of sections that declare none.
pub(super) fn write(
    description: &Description,
    choice: &Choice,
    transport: &Transport,
    learned: &Streams,
    names: &StackMids,
) -> String {
    let mids: Vec<&str> = choice.carried.iter().map(|carried| names.get(carried.kind)).collect();
    let mut session = vec![value("group", format!("BUNDLE {}", mids.join(" ")))];
    session.extend(description.lite.then(|| flag("ice-lite")));
    session.extend(description.mixed_extensions.then(|| flag("extmap-allow-mixed")));
    let mut candidates = Some(&transport.candidates);
    let sections = choice.carried.iter().filter_map(|carried| {
        let section = description.sections.get(carried.index)?;
        let kind = carried.kind;
        let mut attributes = vec![
            value("mid", names.get(kind).to_owned()),
            value("ice-ufrag", transport.ufrag.clone()),
            value("ice-pwd", transport.password.clone()),
            value("fingerprint", format!("sha-256 {}", transport.fingerprint)),
            value("setup", transport.setup.name().to_owned()),
            flag("sendrecv"),
            flag("rtcp-mux"),
        ];
        attributes.extend(transport.trickle.then(|| value("ice-options", "trickle".to_owned())));
        attributes.extend(carried.codecs.attributes(section, kind));
        attributes.extend(codecs::extensions(section).iter().map(|(id, uri)| value("extmap", format!("{id} {uri}"))));
        if let Some(ssrc) = streams::declared(section).or_else(|| learned.learned(kind)) {
            // One track a kind, whatever it is called there: the stack tells tracks apart by this name.
            attributes.push(value("ssrc", format!("{ssrc} msid:peer {}", kind.name())));
        }
        attributes.extend(candidates.take().into_iter().flatten().map(|line| value("candidate", line.clone())));
        Some(MediaDescription {
            media_name: MediaName {
                media: kind.name().to_owned(),
                port: RangedPort { value: PORT, range: None },
                protos: PROFILE.map(str::to_owned).to_vec(),
                formats: carried.codecs.formats(),
            },
            attributes,
            ..Default::default()
        })
    });
    let mut shown = SessionDescription {
        session_name: "-".to_owned(),
        time_descriptions: vec![TimeDescription {
            timing: Timing { start_time: 0, stop_time: 0 },
            repeat_times: vec![],
        }],
        attributes: session,
        media_descriptions: sections.collect(),
        ..Default::default()
    };
    shown.origin.username = "-".to_owned();
    shown.origin.network_type = "IN".to_owned();
    shown.origin.address_type = "IP4".to_owned();
    shown.origin.unicast_address = "0.0.0.0".to_owned();
    shown.marshal()
}

pub(super) fn value(name: &str, value: String) -> Attribute {
    Attribute::new(name.to_owned(), Some(value))
}

pub(super) fn flag(name: &str) -> Attribute {
    Attribute::new(name.to_owned(), None)
}
