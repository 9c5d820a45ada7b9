//! The way to others: the transport, and what its events mean here.

use std::{collections::HashSet, path::Path, sync::Arc};

use ahoy_store::{self as store, Addresses, DisplayName, EndpointId, NewContact, NewRequest, RequestText, Store};
use ahoy_transport::{
    Config, Event, Events, Introduction, InviteError, KeyError, Lan, LinkError, Newcomer, Policy, RequestError, Roster,
    SecretKey, load_or_create_key,
};
use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{App, database, now};
use crate::api::{AppEvent, Nearby, Notice, Presence, Settings};

/// How to be on the network by the settings.
pub fn config(secret_key: SecretKey, settings: &Settings, loopback_only: bool) -> Config {
    Config {
        secret_key,
        name: Some(settings.name.clone()).filter(|name| !name.is_empty()),
        presence: ahoy_transport::Presence::Online,
        relay: settings.relay_url.as_ref().and_then(|url| url.parse().ok()),
        lan: if loopback_only { Lan::Off } else { lan(settings) },
        loopback_only,
    }
}

/// What of the local network is used.
pub fn lan(settings: &Settings) -> Lan {
    if settings.visible_nearby { Lan::Visible } else { Lan::Listen }
}

/// The key in a file, or a new one.
///
/// # Errors
/// A file that is no key: without the key nobody knows this user, so no other is made in its place.
pub fn key(path: &Path) -> Result<SecretKey, Notice> {
    if let Some(folder) = path.parent() {
        // What cannot be made is told by the key itself.
        let _ = std::fs::create_dir_all(folder);
    }
    load_or_create_key(path).map_err(|error| {
        let code = if matches!(error, KeyError::Damaged { .. }) { "key-damaged" } else { "key-inaccessible" };
        Notice::explain(code, &error.to_string())
    })
}

/// Whom the store knows.
pub fn roster(store: &Store) -> Result<Roster, Notice> {
    let contacts = store.contacts().map_err(|error| database::notice(&error))?;
    let blocked = store.blocked().map_err(|error| database::notice(&error))?;
    let asked = store.asked().map_err(|error| database::notice(&error))?;
    Ok(Roster {
        contacts: contacts.iter().filter_map(|contact| entry(contact.peer, &contact.whereabouts)).collect(),
        blocked: blocked.iter().filter_map(|blocked| key_of(blocked.peer)).collect(),
        requested: asked.into_iter().filter_map(key_of).collect(),
    })
}

/// The transport's word for a key; none for bytes that are no point of the curve.
pub fn key_of(peer: EndpointId) -> Option<ahoy_transport::EndpointId> {
    ahoy_transport::EndpointId::from_bytes(peer.as_bytes()).ok()
}

/// The store's word for a key.
pub fn id_of(key: ahoy_transport::EndpointId) -> EndpointId {
    EndpointId::new(*key.as_bytes())
}

pub fn entry(peer: EndpointId, whereabouts: &store::Whereabouts) -> Option<ahoy_transport::Contact> {
    let whereabouts = ahoy_transport::Whereabouts {
        relay: whereabouts.relay.as_ref().and_then(|relay| relay.as_str().parse().ok()),
        addresses: whereabouts.addresses.as_slice().to_vec(),
    };
    Some(ahoy_transport::Contact { peer: key_of(peer)?, whereabouts })
}

fn kept(whereabouts: &ahoy_transport::Whereabouts) -> store::Whereabouts {
    store::Whereabouts {
        relay: whereabouts.relay.as_ref().and_then(|relay| relay.as_str().parse().ok()),
        addresses: whereabouts.addresses.iter().copied().collect::<Addresses>(),
    }
}

/// Somebody as the store keeps contacts.
pub fn contact(newcomer: &Newcomer) -> NewContact {
    NewContact {
        peer: id_of(newcomer.peer),
        name: None,
        own_name: newcomer.name.as_deref().and_then(DisplayName::new),
        whereabouts: kept(&newcomer.whereabouts),
    }
}

fn presence(presence: ahoy_transport::Presence) -> Presence {
    match presence {
        ahoy_transport::Presence::Offline => Presence::Offline,
        ahoy_transport::Presence::Online => Presence::Online,
        ahoy_transport::Presence::Away => Presence::Away,
        ahoy_transport::Presence::Busy => Presence::Busy,
        ahoy_transport::Presence::InCall => Presence::InCall,
        ahoy_transport::Presence::DoNotDisturb => Presence::DoNotDisturb,
        ahoy_transport::Presence::NoCalls => Presence::NoCalls,
    }
}

/// Lets the store decide on strangers.
pub struct Doorkeeper {
    store: Arc<Store>,
    /// Told when there is a new request.
    requests: mpsc::UnboundedSender<()>,
}

impl Doorkeeper {
    /// With the store, and what tells of new requests.
    pub fn new(store: Arc<Store>) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (requests, told) = mpsc::unbounded_channel();
        (Self { store, requests }, told)
    }
}

#[async_trait]
impl Policy for Doorkeeper {
    async fn redeem(&self, token: &ahoy_transport::InviteToken, newcomer: &Newcomer) -> ahoy_transport::Redemption {
        let (store, token, contact) =
            (Arc::clone(&self.store), store::InviteToken::from(*token.as_bytes()), contact(newcomer));
        let redeemed = tokio::task::spawn_blocking(move || store.redeem_invite(token, &contact, now())).await;
        match redeemed {
            Ok(Ok(store::Redemption::Accepted)) => ahoy_transport::Redemption::Accepted,
            Ok(Ok(store::Redemption::Used)) => ahoy_transport::Redemption::Used,
            Ok(Ok(store::Redemption::Expired)) => ahoy_transport::Redemption::Expired,
            Ok(Ok(store::Redemption::Unknown)) => ahoy_transport::Redemption::Unknown,
            // The invite was not used up: it can be tried again.
            Ok(Err(error)) => {
                tracing::warn!(code = error.code(), "an invite could not be redeemed");
                ahoy_transport::Redemption::Unknown
            }
            Err(_) => ahoy_transport::Redemption::Unknown,
        }
    }

    async fn request(&self, newcomer: &Newcomer, text: Option<&str>) -> bool {
        let NewContact { peer, own_name, whereabouts, .. } = contact(newcomer);
        let request = NewRequest { peer, own_name, text: text.and_then(RequestText::new), whereabouts };
        let store = Arc::clone(&self.store);
        let kept = tokio::task::spawn_blocking(move || store.add_request(&request, now())).await;
        let _ = self.requests.send(());
        matches!(kept, Ok(Ok(_)))
    }
}

impl App {
    /// Follows the transport until it is closed.
    pub(super) async fn follow(self: Arc<Self>, mut events: Events, mut requests: mpsc::UnboundedReceiver<()>) {
        let this = Arc::downgrade(&self);
        drop(self);
        loop {
            let (event, request) = tokio::select! {
                event = events.recv() => (event, None),
                request = requests.recv() => (None, request),
            };
            let Some(app) = this.upgrade() else { return };
            let told = match (event, request) {
                (Some(event), _) => app.on_network(event).await,
                (None, Some(())) => app.tell_requests().await,
                (None, None) => return,
            };
            if let Err(notice) = told {
                app.notice(notice);
            }
        }
    }

    pub(super) async fn on_network(&self, event: Event) -> Result<(), Notice> {
        match event {
            Event::Presence { peer, presence: now_is, name } => {
                let peer = id_of(peer);
                {
                    let mut state = self.state();
                    let before = state.present.insert(peer, presence(now_is)).unwrap_or(Presence::Offline);
                    if before != Presence::Offline && now_is == ahoy_transport::Presence::Offline {
                        state.last_seen.insert(peer, now());
                    }
                }
                if peer != self.echo.id() {
                    self.keep_own_name(peer, name.as_deref().and_then(DisplayName::new)).await?;
                }
                self.tell_contacts().await
            }
            Event::Whereabouts { peer, whereabouts } => {
                let (peer, whereabouts) = (id_of(peer), kept(&whereabouts));
                if peer == self.echo.id() {
                    return Ok(());
                }
                self.database(move |store| store.set_whereabouts(peer, &whereabouts)).await
            }
            Event::Introduced { newcomer, by } => {
                if by == Introduction::AcceptedRequest {
                    self.remember(&newcomer).await?;
                }
                self.tell_requests().await?;
                self.tell_contacts().await
            }
            // Nobody sends any yet; not confirmed, it comes again to an Ahoy that can show it.
            Event::Message { .. } => Ok(()),
            Event::Flooding { peer } => {
                let name = self.peer_name(id_of(peer)).await;
                Err(Notice::new(
                    "contact-floods",
                    format!("{name} sends more than anybody needs to, and is listened to slowly."),
                    "Block the contact if it goes on.",
                ))
            }
            Event::Refused { peer } => {
                let name = self.peer_name(id_of(peer)).await;
                Err(Notice::new(
                    "contact-refuses",
                    format!("{name} does not have you as a contact (any more)."),
                    "Ask for an invite, or send one.",
                ))
            }
            Event::Nearby { peer, name } => {
                let id = id_of(peer);
                let name =
                    name.as_deref().and_then(DisplayName::new).map_or_else(|| id.short(), |name| name.to_string());
                {
                    let mut state = self.state();
                    state.nearby.retain(|other| other.id != id.to_string());
                    state.nearby.push(Nearby { id: id.to_string(), name });
                }
                self.tell_nearby().await
            }
            Event::NearbyGone { peer } => {
                let id = id_of(peer).to_string();
                self.state().nearby.retain(|other| other.id != id);
                self.tell_nearby().await
            }
            _ => Ok(()),
        }
    }

    async fn keep_own_name(&self, peer: EndpointId, name: Option<DisplayName>) -> Result<(), Notice> {
        if name.is_none() {
            return Ok(());
        }
        self.database(move |store| match store.contact(peer)? {
            Some(contact) if contact.own_name != name => store.set_own_name(peer, name.as_ref()),
            Some(_) | None => Ok(()),
        })
        .await
    }

    /// Keeps somebody as a contact whom the transport has as one already.
    pub(super) async fn remember(&self, newcomer: &Newcomer) -> Result<EndpointId, Notice> {
        let contact = contact(newcomer);
        let peer = contact.peer;
        self.database(move |store| match store.add_contact(&contact, now()) {
            // As the user has it.
            Err(store::StoreError::AlreadyContact { .. }) => Ok(()),
            done => done,
        })
        .await?;
        Ok(peer)
    }

    /// Who is near, and neither a contact yet nor blocked.
    pub(super) async fn nearby(&self) -> Result<Vec<Nearby>, Notice> {
        let contacts = self.contacts().await?;
        let blocked = self.database(|store| store.blocked()).await?;
        let known = contacts.into_iter().map(|contact| contact.id);
        let known: HashSet<_> = known.chain(blocked.into_iter().map(|blocked| blocked.peer.to_string())).collect();
        let nearby = self.state().nearby.clone();
        Ok(nearby.into_iter().filter(|near| !known.contains(&near.id)).collect())
    }

    pub(super) async fn tell_nearby(&self) -> Result<(), Notice> {
        let nearby = self.nearby().await?;
        self.tell(AppEvent::Nearby { nearby });
        Ok(())
    }

    /// Lets contacts know what the user is doing.
    pub(super) fn publish_presence(&self) {
        // Until it is told: of two who do this at once the later one knows more.
        let state = self.state();
        let (settings, busy, wanted) = (self.settings(), state.is_busy(), state.presence);
        let presence = match (settings.video_disabled, busy, settings.do_not_disturb, wanted) {
            (true, ..) => ahoy_transport::Presence::NoCalls,
            (false, true, ..) => ahoy_transport::Presence::InCall,
            (false, false, true, _) => ahoy_transport::Presence::DoNotDisturb,
            (false, false, false, Presence::Away) => ahoy_transport::Presence::Away,
            (false, false, false, _) => ahoy_transport::Presence::Online,
        };
        self.transport.set_presence(presence);
    }
}

/// Why an invite was of no use.
pub fn invite_notice(error: InviteError) -> Notice {
    let code = match error {
        InviteError::Link(LinkError::NotALink) => "invite-not-a-link",
        InviteError::Link(LinkError::Cut) => "invite-cut",
        InviteError::Link(LinkError::Altered) => "invite-altered",
        InviteError::Link(LinkError::Newer) => "invite-newer",
        InviteError::Link(LinkError::Own) => "invite-own",
        InviteError::Link(LinkError::Expired) => "invite-expired",
        InviteError::Unreachable => "invite-unreachable",
        InviteError::Used => "invite-used",
        InviteError::Unknown => "invite-unknown",
        _ => "invite-refused",
    };
    Notice::explain(code, &error.to_string())
}

/// Why a request was not left.
pub fn request_notice(error: RequestError) -> Notice {
    let code = match error {
        RequestError::Unreachable => "request-unreachable",
        RequestError::Refused => "request-refused",
        RequestError::Own => "request-own",
        _ => "request-failed",
    };
    Notice::explain(code, &error.to_string())
}
