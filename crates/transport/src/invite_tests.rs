use iroh::SecretKey;

use super::*;

fn invite() -> Invite {
    Invite {
        peer: SecretKey::from_bytes(&[7; 32]).public(),
        token: [9; 32].into(),
        expires_at_ms: 1_790_000_000_000,
        whereabouts: Whereabouts {
            relay: Some("https://relay.example".parse().unwrap()),
            addresses: ["192.0.2.1:5000", "[2001:db8::1]:6"].map(|a| a.parse().unwrap()).to_vec(),
        },
        name: Some("Zoë".into()),
    }
}

/// A link of any version and content, with a checksum that is right.
fn link_of(version: u8, content: &[u8]) -> String {
    let mut bytes = vec![version];
    bytes.extend(u16::try_from(HEADER_BYTES + content.len() + CHECKSUM_BYTES).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes.extend(checksum(&bytes));
    format!("ahoy:{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

fn content(link: &str) -> Vec<u8> {
    unpack(link.strip_prefix("ahoy:").unwrap().to_ascii_uppercase().as_bytes()).unwrap()
}

#[test]
fn links_say_what_was_put_into_them() {
    let bare = Invite { whereabouts: Whereabouts::default(), name: None, ..invite() };
    for invite in [invite(), bare] {
        let link = invite.to_link();
        assert!(link.len() < 300, "{} letters", link.len());
        assert_eq!(Invite::parse(&link), Ok(invite));
    }
}

#[test]
fn what_messengers_do_to_links_is_passed_over() {
    let link = invite().to_link();
    let (a, b) = link.split_at(77);
    let letters = link.strip_prefix("ahoy:").unwrap();
    for text in [
        format!("  {link}\n"),
        format!("{a}\r\n {b}"),
        link.to_ascii_uppercase(),
        format!("ahoy://{letters}"),
        format!("ahoy://{letters}/"),
    ] {
        assert_eq!(Invite::parse(&text), Ok(invite()), "{text}");
    }
}

#[test]
fn each_error_is_told_apart() {
    let link = invite().to_link();
    let good = content(&link);
    // Half of all numbers are the coordinate of no point.
    let no_point = (0..=u8::MAX).map(|n| [n; 32]).find(|key| EndpointId::from_bytes(key).is_err()).unwrap();
    let key_that_is_none = [&no_point, &good[32..]].concat();
    let table = [
        (String::new(), LinkError::NotALink),
        ("hello".into(), LinkError::NotALink),
        ("https://example.com".into(), LinkError::NotALink),
        ("aho".into(), LinkError::Cut),
        ("ahoy:".into(), LinkError::Cut),
        ("ahoy:ae".into(), LinkError::Cut),
        (link[..link.len() - 1].into(), LinkError::Cut),
        (format!("{link}a"), LinkError::Altered),
        (format!("{link}."), LinkError::Altered),
        (format!("{link}{link}"), LinkError::Altered),
        (format!("ahoy:{}", "a".repeat(1_000_000)), LinkError::Altered),
        (" ".repeat(1_000_000), LinkError::NotALink),
        ("ahoy:é€😀".into(), LinkError::Altered),
        ("ahoy:aaaaaaaaaaaaaaaa".into(), LinkError::Altered),
        (link_of(2, b"all is different"), LinkError::Newer),
        (link_of(1, b""), LinkError::Altered),
        (link_of(1, b"too short"), LinkError::Altered),
        (link_of(1, &key_that_is_none), LinkError::Altered),
        (link_of(1, &[&good[..], b"more"].concat()), LinkError::Altered),
        (link_of(1, &good[..good.len() - 1]), LinkError::Altered),
    ];
    for (text, error) in table {
        let shown = &text[..text.floor_char_boundary(80)];
        assert_eq!(Invite::parse(&text), Err(error), "{shown}");
    }
    let me = SecretKey::from_bytes(&[1; 32]).public();
    let expiry = invite().expires_at_ms;
    assert_eq!(invite().check(me, expiry - 1), Ok(()));
    assert_eq!(invite().check(me, expiry), Err(LinkError::Expired));
    assert_eq!(invite().check(invite().peer, 0), Err(LinkError::Own));
}

#[test]
fn a_link_that_is_cut_anywhere_says_so() {
    let link = invite().to_link();
    for end in 2..link.len() {
        assert_eq!(Invite::parse(&link[..end]), Err(LinkError::Cut), "at {end}");
    }
}

#[test]
fn no_flipped_bit_makes_another_link() {
    let link = invite().to_link();
    let mut errors = std::collections::BTreeMap::new();
    for at in 0..link.len() {
        for bit in 0..7 {
            let mut bytes = link.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            match Invite::parse(str::from_utf8(&bytes).unwrap()) {
                // The other case of the same letter.
                Ok(read) => assert_eq!((read, bit), (invite(), 5)),
                Err(error) => *errors.entry(format!("{error:?}")).or_insert(0) += 1,
            }
        }
    }
    assert!(errors["Altered"] > 1000 && !errors.contains_key("Newer"), "{errors:?}");
}

#[test]
fn names_and_whereabouts_in_links_have_limits() {
    let addresses = (1..100).map(|port| SocketAddr::from(([0x20, 1, 0xd, 0xb8, 0, 0, 0, 1], port))).collect();
    let relay = Some(format!("https://relay.example/{}", "x".repeat(480)).parse().unwrap());
    let large =
        Invite { whereabouts: Whereabouts { relay, addresses }, name: Some("😀\0".repeat(10_000)), ..invite() };
    let link = large.to_link();
    assert!(link.len() <= 2_150, "{} letters", link.len());
    let read = Invite::parse(&link).unwrap();
    assert_eq!((read.name.unwrap().chars().count(), read.whereabouts.addresses.len()), (100, 16));
    // A name that somebody else's program wrote.
    let mut long = content(&Invite { name: None, ..invite() }.to_link());
    long.truncate(long.len() - 2);
    put_text(&mut long, &"a\u{7}".repeat(10_000));
    assert_eq!(Invite::parse(&link_of(1, &long)), Err(LinkError::Altered), "longer than any link");
    long.truncate(content(&Invite { name: None, ..invite() }.to_link()).len() - 2);
    put_text(&mut long, &"a\u{7}\n".repeat(300));
    assert_eq!(Invite::parse(&link_of(1, &long)).unwrap().name, Some("a ".repeat(50).trim().to_owned()));
}

#[test]
fn tokens_are_random_and_not_shown() {
    assert_ne!(InviteToken::random(), InviteToken::random());
    assert_eq!(format!("{:?}", InviteToken::random()), "InviteToken(…)");
}
