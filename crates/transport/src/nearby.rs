//! Who is on this network, by multicast DNS (RFC 6762).

use std::{collections::HashMap, future::pending, sync::Arc, time::Duration};

use iroh::{
    EndpointId, TransportAddr,
    address_lookup::{AddressLookup, EndpointData, UserData},
};
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};
use tokio::{sync::watch, time::sleep};
use tokio_stream::StreamExt;

use crate::{Event, Whereabouts, local::Local, text};

/// Other programs that use iroh are not asked, and do not hear of us.
const SERVICE: &str = "ahoy";

/// A network that allows no multicast is tried again after this.
const RETRY: Duration = Duration::from_secs(30);

/// Others that are shown; a network with more of them is no living room.
const MAX_SHOWN: usize = 256;

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

/// Ends when this side's addresses have changed: sockets have joined the groups of the old network.
async fn look(local: &Local, mode: Lan, shown: &mut HashMap<EndpointId, Option<String>>) {
    if mode == Lan::Off {
        return pending().await;
    }
    let service = MdnsAddressLookup::builder().service_name(SERVICE).advertise(mode == Lan::Visible);
    let mdns = match service.build(local.me) {
        Ok(mdns) => mdns,
        Err(error) => {
            tracing::warn!(%error, "nobody can be found on this network");
            return sleep(RETRY).await;
        }
    };
    let mut discoveries = mdns.subscribe().await;
    let mut status = local.status.subscribe();
    let mut published = None;
    loop {
        let ours = status.borrow_and_update().clone();
        let now = (ours.name, ours.whereabouts);
        if published.as_ref() != Some(&now) {
            if published.is_some_and(|(_, whereabouts): (_, Whereabouts)| whereabouts != now.1) {
                return;
            }
            mdns.publish(&data(now.0.as_deref(), &now.1));
            published = Some(now);
        }
        tokio::select! {
            discovery = discoveries.next() => match discovery {
                Some(DiscoveryEvent::Discovered { endpoint_info, .. }) => {
                    let peer = endpoint_info.endpoint_id;
                    let addresses = endpoint_info.ip_addrs().copied().collect();
                    local.registry().seen(peer, Whereabouts { relay: None, addresses }.checked().addresses);
                    let name = endpoint_info.user_data().and_then(|name| text::name(name.as_ref()));
                    let known = shown.get(&peer);
                    if peer != local.me && known != Some(&name) && (known.is_some() || shown.len() < MAX_SHOWN) {
                        shown.insert(peer, name.clone());
                        // Without a reader there is nobody to tell.
                        let _ = local.events.send(Event::Nearby { peer, name }).await;
                    }
                }
                Some(DiscoveryEvent::Expired { endpoint_id }) => {
                    if shown.remove(&endpoint_id).is_some() {
                        gone(local, endpoint_id).await;
                    }
                }
                Some(_) => {}
                None => return sleep(RETRY).await,
            },
            Ok(()) = status.changed() => {}
        }
    }
}

async fn gone(local: &Local, peer: EndpointId) {
    local.registry().gone(peer);
    let _ = local.events.send(Event::NearbyGone { peer }).await;
}

/// What others on the network see.
fn data(name: Option<&str>, whereabouts: &Whereabouts) -> EndpointData {
    let addresses = whereabouts.addresses.iter().copied().map(TransportAddr::Ip);
    let mut data =
        EndpointData::from_iter(addresses.chain(whereabouts.relay.iter().cloned().map(TransportAddr::Relay)));
    let name = name.unwrap_or_default();
    let cut = name.get(..name.floor_char_boundary(UserData::MAX_LENGTH)).unwrap_or_default();
    // Always said: a name that is taken away must replace the one before.
    data.set_user_data(UserData::try_from(cut.to_owned()).ok());
    data
}
