//! Which sections of a description are part of the call.
//!
//! A call has one connection, and one stream of each kind goes each way through it. So at most one audio and
//! one video section are carried; they have to share a BUNDLE group, or there is one.

use super::{
    Kind,
    codecs::{self, Codecs},
    read::{Description, Section},
    refusal::{NotCarried, Reason, Refusal},
};

/// A section that is part of the call.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) index: usize,
    pub(super) kind: Kind,
    pub(super) codecs: Codecs,
}

/// The verdict on all sections.
#[derive(Debug)]
pub(super) struct Choice {
    /// In the order of the description.
    pub(super) carried: Vec<Carried>,
    pub(super) not_carried: Vec<NotCarried>,
    /// The carried ones share a BUNDLE group.
    pub(super) bundled: bool,
}

/// Chooses the sections of an offer. `current` are the mids of what is carried already: an offer that adds a
/// section, or puts them in another order, moves no stream.
pub(super) fn of_offer(offer: &Description, current: &[(Kind, String)]) -> Result<Choice, Refusal> {
    let verdicts: Vec<_> = offer.sections.iter().map(|section| verdict(section, offer)).collect();
    let acceptable = || {
        let all = verdicts.iter().enumerate();
        all.filter_map(|(index, verdict)| verdict.as_ref().ok().map(|(kind, codecs)| (index, *kind, codecs)))
    };
    let is_current = |index: usize, kind: Kind| {
        let mid = offer.sections.get(index).and_then(|section| section.mid.as_ref());
        current.iter().any(|(carried, name)| *carried == kind && Some(name) == mid)
    };
    let first = acceptable().find(|(index, kind, _)| is_current(*index, *kind)).or_else(|| acceptable().next());
    let Some((first, ..)) = first else { return Err(refusal(verdicts.iter().map(Result::as_ref).map(Result::err))) };
    let group = group_of(offer, first);
    let shares = |index: usize| index == first || group.is_some_and(|group| is_in(offer, index, group));
    let chosen = |kind: Kind| {
        let of_kind = || acceptable().filter(move |(index, it, _)| *it == kind && shares(*index));
        of_kind().find(|(index, ..)| is_current(*index, kind)).or_else(|| of_kind().next())
    };
    let mut carried: Vec<Carried> = Kind::ALL
        .into_iter()
        .filter_map(chosen)
        .map(|(index, kind, codecs)| Carried { index, kind, codecs: codecs.clone() })
        .collect();
    carried.sort_by_key(|carried| carried.index);
    let mut not_carried = vec![];
    for (index, (section, verdict)) in offer.sections.iter().zip(&verdicts).enumerate() {
        let Some(kind) = section.kind else { continue };
        let is_carried = |kind| carried.iter().any(|carried| carried.kind == kind);
        let reason = match verdict {
            Ok(_) if carried.iter().any(|carried| carried.index == index) => continue,
            Ok(_) if is_carried(kind) => Reason::Second,
            Ok(_) => Reason::NotBundled,
            // In an offer that is the place of a section of the past.
            Err(Reason::Refused) => continue,
            Err(_) if is_carried(kind) => Reason::Second,
            Err(reason) => *reason,
        };
        not_carried.push(NotCarried { kind, reason });
    }
    Ok(Choice { carried, not_carried, bundled: group.is_some() })
}

/// Chooses the sections of an answer to an offer of ours. `asked` are the sections of ours, by the index that
/// they have in the answer.
pub(super) fn of_answer(answer: &Description, asked: &[(usize, Kind)]) -> Result<Choice, Refusal> {
    let (mut carried, mut not_carried, mut reasons): (Vec<Carried>, _, _) = (vec![], vec![], vec![]);
    for (index, kind) in asked {
        let reason = match answer.sections.get(*index).map(|section| (section, verdict(section, answer))) {
            Some((section, Ok((answered, codecs)))) if answered == *kind => {
                let group = carried.first().map(|first| group_of(answer, first.index));
                match group {
                    Some(group) if !group.is_some_and(|group| group_has(group, section)) => Reason::NotBundled,
                    _ => {
                        carried.push(Carried { index: *index, kind: *kind, codecs });
                        continue;
                    }
                }
            }
            Some((_, Err(reason))) => reason,
            Some((_, Ok(_))) | None => Reason::Refused,
        };
        reasons.push(reason);
        not_carried.push(NotCarried { kind: *kind, reason });
    }
    if answer.sections.iter().all(|section| section.kind.is_none()) {
        return Err(Refusal::NoMedia);
    }
    if carried.is_empty() {
        return Err(refusal(reasons.iter().map(Some)));
    }
    let bundled = carried.first().is_some_and(|first| group_of(answer, first.index).is_some());
    Ok(Choice { carried, not_carried, bundled })
}

/// Whether a section can be part of a call by itself.
fn verdict(section: &Section, description: &Description) -> Result<(Kind, Codecs), Reason> {
    let kind = section.kind.ok_or(Reason::NotMedia)?;
    // With `bundle-only` a port of 0 is no refusal: it is where the group's port is used or nothing (RFC 8843
    // section 6).
    let is_grouped = || description.bundles.iter().any(|group| group_has(group, section));
    if section.port_is_zero && !(section.has("bundle-only") && is_grouped()) {
        return Err(Reason::Refused);
    }
    // Every profile of RTP, with a fingerprint, means the one of browsers (RFC 8829 section 5.1.2).
    if !section.proto.to_ascii_uppercase().split('/').any(|word| word == "RTP") {
        return Err(Reason::Protocol);
    }
    let codecs = codecs::find(section, kind).ok_or(Reason::NoCommonCodec)?;
    Ok((kind, codecs))
}

fn group_has(group: &[String], section: &Section) -> bool {
    section.mid.as_ref().is_some_and(|mid| group.contains(mid))
}

fn is_in(description: &Description, index: usize, group: &[String]) -> bool {
    description.sections.get(index).is_some_and(|section| group_has(group, section))
}

pub(super) fn group_of(description: &Description, index: usize) -> Option<&[String]> {
    let mut groups = description.bundles.iter().map(Vec::as_slice);
    groups.find(|group| is_in(description, index, group))
}

fn refusal<'a>(reasons: impl Iterator<Item = Option<&'a Reason>>) -> Refusal {
    let reasons: Vec<Reason> = reasons.flatten().copied().filter(|reason| *reason != Reason::NotMedia).collect();
    if reasons.is_empty() {
        Refusal::NoMedia
    } else if reasons.iter().all(|reason| *reason == Reason::Refused) {
        Refusal::AllRefused
    } else {
        Refusal::NothingInCommon
    }
}
