//! The transport as its users hold it.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use ahoy_call::{
    id::PeerId,
    message::Envelope,
    signaler::{Incoming, SignalError, Signaler},
};
use async_trait::async_trait;
use iroh::{
    Endpoint, EndpointId, RelayMode, RelayUrl, SecretKey,
    endpoint::{QuicTransportConfig, VarInt, presets},
};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    Contact, DeliverError, Events, Invite, InviteError, InviteToken, Lan, Newcomer, Policy, Presence, RequestError,
    Roster, StartError, Whereabouts, door,
    event::EVENTS_WAITING,
    frame::{ALPN, Status},
    guest,
    local::Local,
    nearby,
    peer::{Command, Parcel},
    roster::Registry,
    text,
};

/// Envelopes that wait for the call engine. When it is behind by more, contacts are read from more slowly.
const ENVELOPES_WAITING: usize = 256;

/// What a peer may have on its way to us: a few frames of the largest kind.
const RECEIVE_WINDOW: VarInt = VarInt::from_u32(256 * 1024);
const STREAM_WINDOW: VarInt = VarInt::from_u32(128 * 1024);
/// What is kept of what we sent until it has arrived.
const SEND_WINDOW: u64 = 512 * 1024;

/// For goodbyes to arrive. Who is not there to hear them finds out by itself.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// How to be on the network.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who this side is.
    pub secret_key: SecretKey,
    /// What it calls itself; cut at [`crate::MAX_NAME_CHARS`] characters.
    pub name: Option<String>,
    /// What contacts are told of its presence.
    pub presence: Presence,
    /// The relay to be at home at. None: no relay is used, not even a contact's.
    pub relay: Option<RelayUrl>,
    /// The local network.
    pub lan: Lan,
    /// Only 127.0.0.1, for tests.
    pub loopback_only: bool,
}

/// A running transport. Clones are the same one; it is closed with the last.
#[derive(Clone)]
pub struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    local: Arc<Local>,
    lan: watch::Sender<Lan>,
    envelopes: Mutex<mpsc::Receiver<Incoming>>,
    closed: watch::Sender<bool>,
}

impl Transport {
    /// Opens the sockets, and begins to dial the contacts.
    ///
    /// # Errors
    /// [`StartError::Network`].
    pub async fn start(config: Config, roster: Roster, policy: Arc<dyn Policy>) -> Result<(Self, Events), StartError> {
        let endpoint = bind(&config).await?;
        let (events, events_out) = mpsc::channel(EVENTS_WAITING);
        let (envelopes, envelopes_out) = mpsc::channel(ENVELOPES_WAITING);
        let status = Status {
            name: config.name.as_deref().and_then(text::name),
            presence: config.presence,
            whereabouts: Whereabouts::of(&endpoint.addr()),
        };
        let mut registry = Registry::new(Instant::now());
        registry.set_blocked_and_requested(roster.blocked, roster.requested);
        let local = Arc::new(Local {
            me: endpoint.id(),
            instance: rand::random(),
            relayed: config.relay.is_some(),
            status: watch::Sender::new(status),
            events,
            envelopes,
            policy,
            registry: registry.into(),
            endpoint,
        });
        roster.contacts.into_iter().filter(|contact| contact.peer != local.me).for_each(|contact| local.add(contact));
        let lan = watch::Sender::new(config.lan);
        tokio::spawn(door::keep(local.clone()));
        tokio::spawn(local.clone().watch_addresses());
        tokio::spawn(nearby::watch(local.clone(), lan.subscribe()));
        let closed = watch::Sender::new(false);
        let inner = Inner { local, lan, envelopes: Mutex::new(envelopes_out), closed };
        Ok((Self { inner: Arc::new(inner) }, events_out))
    }

    /// This side's key.
    pub fn id(&self) -> EndpointId {
        self.local().me
    }

    /// Where this side can be looked for now.
    pub fn whereabouts(&self) -> Whereabouts {
        self.local().status.borrow().whereabouts.clone()
    }

    /// Tells contacts this side's presence from now on.
    pub fn set_presence(&self, presence: Presence) {
        self.local().status.send_if_modified(|status| std::mem::replace(&mut status.presence, presence) != presence);
    }

    /// Tells contacts, and everybody on the network where it is shown, what this side calls itself from now
    /// on.
    pub fn set_name(&self, name: Option<&str>) {
        let name = name.and_then(text::name);
        self.local().status.send_if_modified(|status| {
            let changed = status.name != name;
            status.name = name;
            changed
        });
    }

    /// Uses the local network in another way from now on.
    pub fn set_lan(&self, lan: Lan) {
        self.inner.lan.send_if_modified(|now| std::mem::replace(now, lan) != lan);
    }

    /// An invite of this side, with its name and whereabouts as they are now. The token is to be remembered
    /// for [`Policy::redeem`] before the link is shown.
    pub fn invite(&self, token: InviteToken, expires_at_ms: u64) -> Invite {
        let Status { name, whereabouts, .. } = self.local().status.borrow().clone();
        Invite { peer: self.id(), token, expires_at_ms, whereabouts, name }
    }

    /// Uses somebody's invite link. The inviter is then a contact of this transport, and to be remembered as
    /// one.
    ///
    /// # Errors
    /// [`InviteError`]. After [`InviteError::Unreachable`] the link can be tried again.
    pub async fn open_invite(&self, link: &str) -> Result<Newcomer, InviteError> {
        let invite = Invite::parse(link)?;
        invite.check(self.id(), now_ms())?;
        guest::open(self.local(), &invite).await
    }

    /// Asks somebody to become a contact, at `contact.whereabouts` and where it was seen on this network;
    /// `text` is cut at [`crate::MAX_REQUEST_CHARS`] characters. None: the request waits for an answer, which
    /// comes as [`crate::Event::Introduced`]; until then the key belongs into [`Roster::requested`] at the
    /// next start. Some: the other side had this one as a contact or had asked itself, and is a contact now,
    /// to be remembered as one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request_contact(
        &self,
        contact: &Contact,
        text: Option<&str>,
    ) -> Result<Option<Newcomer>, RequestError> {
        guest::ask_for_contact(self.local(), contact, text).await
    }

    /// Has a contact from now on; one that it has is looked for at these whereabouts. One's own key is passed
    /// over.
    pub fn add_contact(&self, contact: Contact) {
        if contact.peer != self.id() {
            self.local().add(contact);
        }
    }

    /// Is not reachable for a contact any more.
    pub fn remove_contact(&self, peer: EndpointId) {
        self.local().registry().remove(peer);
    }

    /// Gives a key no answer from now on. To a contact it looks as if this side had gone offline.
    pub fn block(&self, peer: EndpointId) {
        self.local().registry().block(peer);
    }

    /// Takes that back.
    pub fn unblock(&self, peer: EndpointId) {
        self.local().unblock(peer);
    }

    /// Brings a message of the outbox to a contact; returns when the contact has confirmed that it keeps it.
    /// The same number with the same bytes is one message however often it is delivered, as far as the other
    /// side's program runs on; after its restart it may get a message again.
    ///
    /// # Errors
    /// [`DeliverError`]; the message may have come nevertheless, and is to be delivered again.
    pub async fn deliver(&self, peer: EndpointId, id: u64, body: Vec<u8>) -> Result<(), DeliverError> {
        self.send_parcel(peer, Parcel::Message { id, body }).await
    }

    /// Says goodbye to contacts and closes the sockets. Takes up to three seconds where a goodbye is not
    /// answered.
    pub async fn close(&self) {
        self.inner.closed.send_replace(true);
        self.local().registry().close();
        let _ = timeout(CLOSE_LIMIT, self.local().endpoint.close()).await;
    }

    fn local(&self) -> &Arc<Local> {
        &self.inner.local
    }

    async fn send_parcel(&self, peer: EndpointId, parcel: Parcel) -> Result<(), DeliverError> {
        if *self.inner.closed.borrow() {
            return Err(DeliverError::Closed);
        }
        let task = self.local().registry().task(peer).ok_or(DeliverError::NoContact)?;
        let (done, result) = oneshot::channel();
        task.send(Command::Send { parcel, done }).map_err(|_| DeliverError::NoContact)?;
        // The task ends when the contact is removed, is blocked, or the transport closes.
        result.await.unwrap_or(Err(DeliverError::Closed))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.local.registry().close();
        let endpoint = self.local.endpoint.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { timeout(CLOSE_LIMIT, endpoint.close()).await });
        }
    }
}

/// Peers are called by their keys in hexadecimal.
#[async_trait]
impl Signaler for Transport {
    /// Returns when the other side has acknowledged the envelope, at the latest after ten seconds.
    async fn send(&self, to: &PeerId, envelope: &Envelope) -> Result<(), SignalError> {
        let json = envelope.to_json()?.into_bytes();
        let result = match to.as_str().parse() {
            Ok(peer) => self.send_parcel(peer, Parcel::Envelope(json)).await,
            Err(_) => Err(DeliverError::NoContact),
        };
        result.map_err(|error| SignalError::Unreachable { peer: to.clone(), why: error.to_string() })
    }

    async fn receive(&self) -> Option<Incoming> {
        let mut closed = self.inner.closed.subscribe();
        let mut envelopes = self.inner.envelopes.lock().await;
        tokio::select! {
            incoming = envelopes.recv() => incoming,
            _ = closed.wait_for(|closed| *closed) => None,
        }
    }

    /// The contact's task takes envelopes in the order of the first poll, and its stream keeps it.
    fn keeps_order(&self) -> bool {
        true
    }

    /// While there is a call, a contact that is lost is dialled every second.
    fn set_in_call(&self, peer: &PeerId, in_call: bool) {
        let task = peer.as_str().parse().ok().and_then(|peer| self.local().registry().task(peer));
        if let Some(task) = task {
            // One that has ended has no links to look for.
            let _ = task.send(Command::InCall(in_call));
        }
    }
}

async fn bind(config: &Config) -> Result<Endpoint, StartError> {
    let network = |error: &dyn std::error::Error| StartError::Network(error.to_string());
    let transport = QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .receive_window(RECEIVE_WINDOW)
        .stream_receive_window(STREAM_WINDOW)
        .send_window(SEND_WINDOW)
        .build();
    let relays = match &config.relay {
        Some(relay) => RelayMode::custom([relay.clone()]),
        None => RelayMode::Disabled,
    };
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(config.secret_key.clone())
        .alpns(vec![ALPN.to_vec()])
        .relay_mode(relays)
        .transport_config(transport);
    if config.loopback_only {
        let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        builder = builder.clear_ip_transports().bind_addr(loopback).map_err(|error| network(&error))?;
    }
    builder.bind().await.map_err(|error| network(&error))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
