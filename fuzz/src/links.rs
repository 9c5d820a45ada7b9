//! Invite links, which people copy, cut and pass on.

use ahoy_transport::{EndpointId, Invite, InviteToken, SecretKey, Whereabouts};

/// A link is refused, or read as what it was written as: no accident makes another link of it.
pub fn parse(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(invite) = Invite::parse(&text) {
        assert_eq!(Invite::parse(&invite.to_link()).as_ref(), Ok(&invite), "it is read otherwise when it is written");
        assert!(invites().contains(&invite), "another link: {text}");
    }
}

pub fn corpus() -> Vec<Vec<u8>> {
    invites().iter().map(|invite| invite.to_link().into_bytes()).collect()
}

fn peer(seed: u8) -> EndpointId {
    SecretKey::from_bytes(&[seed; 32]).public()
}

fn invites() -> Vec<Invite> {
    let bare = Invite {
        peer: peer(1),
        token: InviteToken::from([2; 32]),
        expires_at_ms: 1_790_000_000_000,
        whereabouts: Whereabouts::default(),
        name: None,
    };
    let addresses = ["192.0.2.1:5000", "[2001:db8::1]:6"];
    let full = Invite {
        whereabouts: Whereabouts {
            relay: "https://relay.example".parse().ok(),
            addresses: addresses.iter().filter_map(|address| address.parse().ok()).collect(),
        },
        name: Some("Zoë".to_owned()),
        ..bare.clone()
    };
    vec![bare, full]
}
