//! Who is on this network, by multicast DNS (RFC 6762).

use std::{
    collections::HashMap,
    future::pending,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use data_encoding::BASE32_NOPAD;
use iroh::EndpointId;
use swarm_discovery::{Discoverer, DropGuard, Peer};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{Event, Whereabouts, local::Local, text};

/// The service is `_ahoy._udp.local`.
const SERVICE: &str = "ahoy";

/// Somebody is found after about this time, and missed after three times as much.
const CADENCE: Duration = Duration::from_secs(2);

/// Answers a second, in a large network; the product with the cadence has to be over 1.
const RESPONSE_RATE: f32 = 2.5;

/// Where the name stands, which has at most this many bytes: 254 with its key (RFC 6763 section 6.1).
const NAME: &str = "name";
const MAX_NAME_BYTES: usize = 240;

/// A network that allows no multicast is tried again after this.
const RETRY: Duration = Duration::from_secs(30);

/// Others that are shown; a network with more of them is no living room.
const MAX_SHOWN: usize = 256;

/// Sightings that wait to be looked at. More are dropped: they come again with the next cadence.
const SIGHTINGS_WAITING: usize = 64;

/// What of the local network is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lan {
    /// Nothing: no socket is opened for it.
    Off,
    /// Others are found, and this side shows neither its key nor its addresses.
    Listen,
    /// Everybody on the network can see this side's key, name and addresses.
    #[default]
    Visible,
}

/// Looks around and shows this side, as `lan` says, until the endpoint is closed.
pub(crate) async fn watch(local: Arc<Local>, mut lan: watch::Receiver<Lan>) {
    let mut shown = HashMap::new();
    loop {
        let mode = *lan.borrow_and_update();
        tokio::select! {
            () = look(&local, mode, &mut shown) => {}
            changed = lan.changed() => if changed.is_err() { return },
            () = local.endpoint.closed() => return,
        }
        for (peer, _) in shown.drain() {
            gone(&local, peer).await;
        }
    }
}

/// Somebody as seen on the network.
#[derive(Debug, PartialEq, Eq)]
struct Sighting {
    /// Empty: not there any more.
    addresses: Vec<SocketAddr>,
    name: Option<String>,
}

/// Ends when what this side shows has changed: the sockets have joined the groups of the old network.
async fn look(local: &Local, mode: Lan, shown: &mut HashMap<EndpointId, Sighting>) {
    if mode == Lan::Off {
        return pending().await;
    }
    let mut status = local.status.subscribe();
    let ours = status.borrow_and_update().clone();
    let (sightings, mut seen) = mpsc::channel(SIGHTINGS_WAITING);
    // Looks and shows until it is dropped.
    let _running = match start(local.me, mode, ours.name.as_deref(), &ours.whereabouts, sightings) {
        Ok(running) => running,
        Err(error) => {
            tracing::warn!(%error, "nobody can be found on this network");
            return sleep(RETRY).await;
        }
    };
    loop {
        tokio::select! {
            sighting = seen.recv() => match sighting {
                Some((peer, sighting)) => tell(local, peer, sighting, shown).await,
                // A socket has failed, as when its interface goes.
                None => return sleep(CADENCE).await,
            },
            Ok(()) = status.changed() => {
                let now = status.borrow_and_update();
                if (&now.name, &now.whereabouts) != (&ours.name, &ours.whereabouts) {
                    return;
                }
            }
        }
    }
}

async fn tell(local: &Local, peer: EndpointId, sighting: Sighting, shown: &mut HashMap<EndpointId, Sighting>) {
    let known = shown.get(&peer);
    if peer == local.me || known == Some(&sighting) {
        return;
    }
    if sighting.addresses.is_empty() {
        if shown.remove(&peer).is_some() {
            gone(local, peer).await;
        }
        return;
    }
    if known.is_none() && shown.len() >= MAX_SHOWN {
        return;
    }
    local.registry().seen(peer, sighting.addresses.clone());
    let new_name = known.is_none_or(|known| known.name != sighting.name);
    let name = sighting.name.clone();
    shown.insert(peer, sighting);
    if new_name {
        // Without a reader there is nobody to tell.
        let _ = local.events.send(Event::Nearby { peer, name }).await;
    }
}

async fn gone(local: &Local, peer: EndpointId) {
    local.registry().gone(peer);
    let _ = local.events.send(Event::NearbyGone { peer }).await;
}

fn start(
    me: EndpointId,
    mode: Lan,
    name: Option<&str>,
    whereabouts: &Whereabouts,
    sightings: mpsc::Sender<(EndpointId, Sighting)>,
) -> Result<DropGuard, Box<dyn std::error::Error + Send + Sync>> {
    let id = BASE32_NOPAD.encode(me.as_bytes()).to_ascii_lowercase();
    let mut service = Discoverer::new(SERVICE.to_owned(), id)
        .with_cadence(CADENCE)
        .with_response_rate(RESPONSE_RATE)
        .with_multicast_interfaces_v4(interfaces(whereabouts))
        .with_callback(move |id, peer| {
            if let Some(seen) = sighting(id, peer) {
                // A network that shouts is heard only as fast as one can think.
                let _ = sightings.try_send(seen);
            }
        });
    if mode == Lan::Visible {
        for address in &whereabouts.addresses {
            service = service.with_addrs(address.port(), [address.ip()]);
        }
        let name = name.unwrap_or_default();
        let cut = name.get(..name.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or_default();
        service = service.with_txt_attributes([(NAME.to_owned(), Some(cut.to_owned()))])?;
    }
    Ok(service.spawn(&Handle::current())?)
}

/// The IPv4 interfaces, by their addresses. Without being named, only the one of the default route would be
/// used, and two machines with nothing but a cable between them have none.
fn interfaces(whereabouts: &Whereabouts) -> Vec<Ipv4Addr> {
    let addresses = whereabouts.addresses.iter().filter_map(|address| match address.ip() {
        IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
        _ => None,
    });
    // Not those that only a router has.
    addresses.filter(|ip| UdpSocket::bind((*ip, 0)).is_ok()).collect()
}

fn sighting(id: &str, peer: &Peer) -> Option<(EndpointId, Sighting)> {
    let addresses = peer.addrs().iter().map(|(ip, port)| SocketAddr::new(*ip, *port)).collect();
    let name = peer.txt_attribute(NAME).flatten().and_then(text::name);
    let addresses = Whereabouts { relay: None, addresses }.checked().addresses;
    Some((id.parse().ok()?, Sighting { addresses, name }))
}
